//! What a run puts up with: each mistake is answered once, a call that comes again and again ends the run. Pure.

use std::collections::{HashMap, HashSet};

use super::model::message::ToolCall;

/// How often one call with the same arguments is carried out; reading again after a change is no loop.
const SAME: u32 = 2;
/// How many different mistakes are answered before the model is taken not to understand.
const MISTAKES: usize = 5;
/// How many calls of one answer are carried out.
pub(super) const CALLS: usize = 16;

/// Why a run is cut short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    #[error(
        "the model called `{tool}` with the same arguments {} times; the loop was cut", SAME + 1
    )]
    Loop { tool: String },
    #[error("the model repeats a mistake that it was told of: {mistake}")]
    Again { mistake: String },
    #[error("the model made {} different mistakes in its tool calls; it was told of each once", MISTAKES + 1)]
    TooMany,
}

/// What was called and what was wrong so far.
#[derive(Default)]
pub(super) struct Guard {
    calls: HashMap<String, u32>,
    mistakes: HashSet<String>,
}

impl Guard {
    /// Notes a call, and says whether it is one too many.
    pub fn called(&mut self, call: &ToolCall) -> Result<(), Cut> {
        // serde_json keeps the keys of an object in order, so equal arguments have one text.
        let times = self.calls.entry(format!("{} {}", call.name, call.arguments)).or_default();
        *times += 1;
        if *times > SAME { Err(Cut::Loop { tool: call.name.clone() }) } else { Ok(()) }
    }

    /// Notes a mistake, and says whether it is one too many.
    pub fn mistaken(&mut self, mistake: &str) -> Result<(), Cut> {
        if !self.mistakes.insert(mistake.to_owned()) {
            return Err(Cut::Again { mistake: mistake.to_owned() });
        }
        if self.mistakes.len() > MISTAKES { Err(Cut::TooMany) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn call(name: &str, arguments: Value) -> ToolCall {
        ToolCall { id: String::new(), name: name.into(), arguments }
    }

    #[test]
    fn the_third_equal_call_is_a_loop_whatever_the_order_of_its_arguments() {
        let mut guard = Guard::default();
        assert_eq!(guard.called(&call("a", json!({"x": 1, "y": 2}))), Ok(()));
        assert_eq!(guard.called(&call("a", json!({"x": 2}))), Ok(()));
        assert_eq!(guard.called(&call("a", json!({"y": 2, "x": 1}))), Ok(()));
        let cut = guard.called(&call("a", json!({"x": 1, "y": 2}))).unwrap_err();
        assert_eq!(
            cut.to_string(),
            "the model called `a` with the same arguments 3 times; the loop was cut"
        );
    }

    #[test]
    fn a_mistake_is_answered_once_and_five_are_answered_in_all() {
        let mut guard = Guard::default();
        for n in 0..5 {
            assert_eq!(guard.mistaken(&format!("no tool `{n}`")), Ok(()));
        }
        assert_eq!(guard.mistaken("no tool `5`"), Err(Cut::TooMany));
        let mut guard = Guard::default();
        guard.mistaken("no tool `x`").unwrap();
        assert!(matches!(guard.mistaken("no tool `x`"), Err(Cut::Again { .. })));
    }
}

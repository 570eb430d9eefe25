//! Who has an issue; exactly one of these holds.

use crate::dispatch::{AgentId, Dispatch, TaskType};
use crate::reason::Hold;

/// An agent that a person chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The agent.
    pub agent: AgentId,
    /// The kind of task it was chosen for, where that was said.
    pub task: Option<TaskType>,
}

/// Who has an issue.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Custody {
    /// Nobody: the rules decide.
    #[default]
    Free,
    /// Nobody, until a person says otherwise; the agent that a person chose before gets it then.
    Held(Hold, Option<Choice>),
    /// An agent that a person chose, as soon as it has a free place.
    Chosen(Choice),
    /// An agent, by an open dispatch.
    Dispatched(Dispatch),
}

impl Custody {
    /// The dispatch that is open.
    pub fn dispatch(&self) -> Option<&Dispatch> {
        match self {
            Self::Dispatched(dispatch) => Some(dispatch),
            _ => None,
        }
    }

    /// Why it is held.
    pub fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Held(hold, _) => Some(hold),
            _ => None,
        }
    }

    /// The agent that a person chose and that has no dispatch for it yet.
    pub fn choice(&self) -> Option<&Choice> {
        match self {
            Self::Held(_, choice) => choice.as_ref(),
            Self::Chosen(choice) => Some(choice),
            _ => None,
        }
    }
}

//! Whom a flag asks, and why them: the next of a rotation.

use std::fmt::{self, Display};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::code;

/// Who of a rotation is asked about an issue; kept, so that nobody is chosen a second time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// The rotation.
    pub rotation: String,
    /// Whose turn it is; `None` where nobody can be asked, so that the owner is.
    pub login: Option<String>,
    /// Whether they are assigned, too.
    pub assigns: bool,
    /// How many members the rotation has.
    pub of: usize,
    /// Whose turn it would have been.
    pub passed: Vec<PassedOver>,
}

/// Somebody whose turn it would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Who.
    pub login: String,
    /// Why it is not.
    pub why: Why,
}

/// Why it is not somebody's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Why {
    /// They are away.
    Away {
        /// The last day.
        until: NaiveDate,
    },
    /// The forge does not take them as an assignee of the issue.
    NotAssignable,
    /// They opened the issue.
    Author,
    /// They had claimed the issue until now, and are being unassigned.
    HadClaimed,
}

impl Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rotation = code(&self.rotation);
        let passed = self.passed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match (&self.login, passed.is_empty()) {
            (Some(_), true) => write!(f, "next of {} in rotation {rotation}", self.of),
            (Some(_), false) => write!(f, "next of {} in rotation {rotation}; {passed}", self.of),
            (None, _) => write!(f, "nobody in rotation {rotation} can be asked: {passed}"),
        }
    }
}

impl Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = code(&self.login);
        match self.why {
            Why::Away { until } => write!(f, "{login} is away until {until}"),
            Why::NotAssignable => write!(f, "{login} cannot be assigned here"),
            Why::Author => write!(f, "{login} opened it"),
            Why::HadClaimed => write!(f, "{login} had claimed it until now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_names_the_rotation_and_who_was_passed_over() {
        let passed = |login: &str, why| PassedOver { login: login.into(), why };
        let until = "2027-01-06".parse().unwrap();
        let mut duty = Duty {
            rotation: "backend".into(),
            login: Some("bob".into()),
            assigns: true,
            of: 3,
            passed: vec![passed("alice", Why::Away { until })],
        };
        let expected = "next of 3 in rotation `backend`; `alice` is away until 2027-01-06";
        assert_eq!(duty.to_string(), expected);
        duty.login = None;
        duty.passed.extend([passed("bob", Why::NotAssignable), passed("eve", Why::Author)]);
        let expected = "nobody in rotation `backend` can be asked: `alice` is away until 2027-01-06; \
                        `bob` cannot be assigned here; `eve` opened it";
        assert_eq!(duty.to_string(), expected);
    }
}

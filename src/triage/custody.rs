//! Who has an issue; exactly one of these holds.

use crate::clock::Timestamp;
use crate::dispatch::{AgentId, Dispatch, TaskType};
use crate::issue::Account;
use crate::reason::Hold;

/// An agent that a person chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The agent.
    pub agent: AgentId,
    /// The kind of task it was chosen for, where that was said.
    pub task: Option<TaskType>,
}

/// What a person has by `/triage claim`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonClaim {
    /// The ledger's number of the command.
    pub order: i64,
    /// Who; the id is 0 where only the login is known.
    pub holder: Account,
    /// Since when.
    pub since: Timestamp,
    /// When the holder is reminded.
    pub remind_at: Timestamp,
    /// When it ends, unless the holder shows a sign of work.
    pub until: Timestamp,
    /// Whether the holder was reminded since the last sign of work.
    pub is_reminded: bool,
}

impl PersonClaim {
    /// When the issue has to be looked at.
    pub fn due_at(&self) -> Timestamp {
        if self.is_reminded { self.until } else { self.remind_at }
    }
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
    /// A person, by a command of theirs.
    Claimed(PersonClaim),
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

    /// What a person has by a command of theirs.
    pub fn claim(&self) -> Option<&PersonClaim> {
        match self {
            Self::Claimed(claim) => Some(claim),
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

//! Who has an issue; exactly one of these holds.

use crate::dispatch::{AgentId, Dispatch, TaskType};
use crate::reason::Hold;

/// Who has an issue.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Custody {
    /// Nobody: the rules decide.
    #[default]
    Free,
    /// Nobody, until a person says otherwise.
    Held(Hold),
    /// An agent that a person chose, as soon as it has a free place.
    Chosen {
        /// The agent.
        agent: AgentId,
        /// The kind of task it was chosen for, where that was said.
        task: Option<TaskType>,
    },
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
            Self::Held(hold) => Some(hold),
            _ => None,
        }
    }
}

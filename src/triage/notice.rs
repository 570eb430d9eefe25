//! What people are told once about a dispatch, as data; `plan` words it.

use super::Marker;
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, Attempt, Report};
use crate::issue::IssueRef;
use crate::reason::Cause;

/// What is said once about a dispatch, in a comment of its own, because an edit notifies nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The ledger's number of the dispatch.
    pub dispatch: i64,
    /// What is said.
    pub news: News,
}

/// What there is to say about a dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The agent has little time left.
    Reminder {
        /// The account to call, if the agent has one.
        login: Option<String>,
        /// When its time is over.
        deadline_at: Timestamp,
        /// The open pull requests for the issue.
        pulls: Vec<IssueRef>,
    },
    /// The agent's time is over.
    TimedOut {
        /// Who had it.
        agent: AgentId,
        /// For how many minutes.
        minutes: i64,
    },
    /// A person has to take over.
    Escalation {
        /// What was tried, and what failed.
        attempts: Vec<Attempt>,
    },
    /// The agent delivered.
    Result {
        /// Who.
        agent: AgentId,
        /// What it said.
        report: Report,
    },
    /// A closed issue is open again, and nobody has it yet.
    Reopened {
        /// What was missing.
        cause: Cause,
    },
}

impl Notice {
    /// By what it is found again.
    pub fn marker(&self) -> Marker {
        let kind = match &self.news {
            News::Reminder { .. } => "reminder",
            News::TimedOut { .. } => "timed_out",
            News::Escalation { .. } => "escalation",
            News::Result { .. } => "result",
            News::Reopened { .. } => "reopened",
        };
        Marker::notice(kind, self.dispatch)
    }
}

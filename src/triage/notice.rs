//! What people are told once about a dispatch or a claim, as data; `plan` words it.

use super::Marker;
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, Attempt, Report};
use crate::issue::IssueRef;
use crate::reason::Cause;

/// What is said once about a dispatch or a claim, in a comment of its own, because an edit notifies nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The ledger's number of the dispatch, or of the command by which somebody claimed the issue.
    pub about: i64,
    /// What is said.
    pub news: News,
}

/// What there is to say about a dispatch or a claim.
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
    /// The agent was to work again on its pull request, and changed nothing.
    Unchanged {
        /// Who.
        agent: AgentId,
        /// The pull request.
        pull: IssueRef,
        /// What it said.
        message: Option<String>,
    },
    /// A closed issue is open again, and nobody has it yet.
    Reopened {
        /// What was missing.
        cause: Cause,
    },
    /// A claim ends soon.
    ClaimReminder {
        /// Whose.
        login: String,
        /// When it ends.
        until: Timestamp,
    },
    /// A claim has ended without a sign of work.
    ClaimEnded {
        /// Whose it was.
        login: String,
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
            News::Unchanged { .. } => "unchanged",
            News::Reopened { .. } => "reopened",
            News::ClaimReminder { .. } => "claim_reminder",
            News::ClaimEnded { .. } => "claim_ended",
        };
        Marker::notice(kind, self.about)
    }

    /// Whether it is about the work of an agent, and not about a person's claim.
    pub fn is_about_dispatch(&self) -> bool {
        !matches!(self.news, News::ClaimReminder { .. } | News::ClaimEnded { .. })
    }
}

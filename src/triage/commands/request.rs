//! A command as it was given, and what is answered to it.

use super::{Command, Refusal};
use crate::dispatch::{LOCAL_AGENT, TaskType};
use crate::issue::Account;

/// Whether the writer of a comment may give commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// They may write to the repository.
    Writer,
    /// They may not.
    Reader,
    /// They may be one or the other: the forge does not show it to our account.
    Unshown {
        /// Whether our account administers the repository, which is not enough here.
        is_admin: bool,
    },
    /// It could not be found out.
    Unknown,
}

/// Where a command was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In a comment, by the forge's id of it.
    Comment(i64),
    /// On the command line or the dashboard, by its place in the inbox; nobody waits for an answer on the issue.
    Entry(i64),
}

named_enum! {
    /// How far a command has come.
    OrderState {
        /// It was read, and nobody has evaluated it.
        Received = "received",
        /// It is in effect in the ledger; its writes are on their way.
        Applied = "applied",
        /// It was carried out.
        CarriedOut = "carried_out",
        /// It was not, and will not be.
        Refused = "refused",
        /// It ended one way or the other, by a version that did not keep which.
        Answered = "answered",
    }
}

/// One command in one comment, or one given by hand, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// The ledger's number of it.
    pub order: i64,
    /// How far it has come.
    pub state: OrderState,
    /// Why it is refused.
    pub why: Option<String>,
    /// Where it was given.
    pub source: Source,
    /// Which of the commands of its source it is, from 0.
    pub part: u32,
    /// Whether the comment that answers it is known to be on the issue.
    pub is_said: bool,
    /// Whether its author, who may not command, was refused in words within the day.
    pub is_author_told: bool,
    /// Who wrote it.
    pub by: String,
    /// The forge's number of their account; 0 where only the login is known.
    pub by_id: i64,
    /// What they may.
    pub permission: Permission,
    /// What they want.
    pub command: Command,
    /// The kind of task an agent is to have it for, where that was said.
    pub task_type: Option<TaskType>,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Somebody who may write to the repository: always answered.
    Writer,
    /// Anybody else.
    Outsider,
    /// Anybody else, who gets a reaction and no words.
    Briefly,
    /// Nobody: outsiders have had all the answers of this hour.
    Nobody,
}

/// What a command has come to; one that is still [`OrderState::Applied`] is answered later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEnd {
    /// The ledger's number of it.
    pub order: i64,
    /// How far it has come.
    pub state: OrderState,
    /// Why it is refused.
    pub why: Option<String>,
    /// Whom the answer is for.
    pub to: Audience,
    /// Whether whoever gave it was told, or nobody waits for that.
    pub is_told: bool,
}

impl CommandRequest {
    /// Who wrote it.
    pub fn account(&self) -> Account {
        Account { id: self.by_id, login: self.by.clone() }
    }

    /// Why they may not command, if they may not.
    pub(in crate::triage) fn lacks_access(&self) -> Option<Refusal<'_>> {
        match self.permission {
            Permission::Writer => None,
            Permission::Reader => Some(Refusal::NotAWriter(&self.by)),
            Permission::Unknown => Some(Refusal::PermissionUnknown(&self.by)),
            Permission::Unshown { is_admin: false } => Some(Refusal::PermissionUnshown(&self.by)),
            Permission::Unshown { is_admin: true } => Some(Refusal::TeamUnshown(&self.by)),
        }
    }

    /// Whether the local agent gave it, which no text may talk into approving itself.
    pub fn is_local_agents(&self) -> bool {
        matches!(self.source, Source::Entry(_)) && self.by == LOCAL_AGENT
    }
}

impl OrderState {
    /// Whether nothing more becomes of it.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Received | Self::Applied)
    }
}

impl OrderEnd {
    /// The command is refused, for this reason.
    pub fn refused(order: i64, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::at(order, OrderState::Refused) }
    }

    /// The command has come so far.
    pub fn at(order: i64, state: OrderState) -> Self {
        Self { order, state, why: None, to: Audience::Writer, is_told: false }
    }
}

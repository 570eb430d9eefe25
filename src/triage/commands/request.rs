//! A command as it was given, and what is answered to it.

use super::Command;
use crate::dispatch::TaskType;

/// Whether the writer of a comment may give commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// They may write to the repository.
    Writer,
    /// They may not.
    Reader,
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

/// One command in one comment, or one given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// Where it was given.
    pub source: Source,
    /// Who wrote it.
    pub by: String,
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
    /// Nobody: outsiders have had all the answers of this hour.
    Nobody,
}

/// What is answered to a comment with commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where the commands were given that it answers.
    pub source: Source,
    /// Whom it is for.
    pub to: Audience,
    /// Whether all of them were carried out.
    pub is_done: bool,
    /// The paragraphs of the answer; none where a reaction says enough.
    pub texts: Vec<String>,
    /// Whether the reasons for the decision are asked for.
    pub explains: bool,
}

//! What the agent can see and do, as a trait: reads give nouns, writes are [`AgentAction`]s. The implementation sees to
//! the dry run, the marker and the ledger.

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dispatch::AgentId;
use crate::gitea::Comment;
use crate::issue::{Issue, IssueNumber, IssueRef, RepoName};
pub use crate::store::StoredNote as Note;

/// What was asked for, or why not.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Unavailable>>;

/// Why something could not be read or done; one sentence for the model, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// An agent that an issue can be given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableAgent {
    /// Its name.
    pub id: AgentId,
    /// What it is good at.
    pub strengths: Vec<String>,
    /// How many more dispatches it may have now.
    pub free: u32,
}

/// A part of an issue, to become an issue of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "One part.")]
pub struct SubIssue {
    /// Its title.
    pub title: String,
    /// What is to be done.
    pub body: String,
}

/// One write. It always concerns the issue that is worked on, or its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentAction {
    /// Writes a comment.
    Comment(String),
    /// Puts an existing label on.
    Label(String),
    /// Proposes what has to hold when the issue is done.
    Criteria(Vec<String>),
    /// Splits the issue into parts.
    Split(Vec<SubIssue>),
    /// Gives the issue to an agent when this run is over.
    Delegate(AgentId),
    /// Remembers something about the repository.
    SaveNote(Note),
}

/// The world, as the agent may use it.
pub trait Environment: Send + Sync {
    /// Whether nothing may be changed anywhere.
    fn is_dry_run(&self) -> bool;
    /// An issue as it is now; `None` when there is none.
    fn issue<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Option<Issue>>;
    /// The comments on an issue, oldest first.
    fn comments<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Vec<Comment>>;
    /// Issues of a repository that hold these words, open and closed.
    fn search<'a>(&'a self, repo: &'a RepoName, words: &'a str) -> Answer<'a, Vec<Issue>>;
    /// A file's text at a branch, tag or commit; the default branch when `None`. `None` when there is no such file.
    fn file<'a>(
        &'a self,
        repo: &'a RepoName,
        path: &'a str,
        reference: Option<&'a str>,
    ) -> Answer<'a, Option<String>>;
    /// The agents an issue can be given to.
    fn available_agents(&self) -> Answer<'_, Vec<AvailableAgent>>;
    /// What is remembered about a repository.
    fn notes<'a>(&'a self, repo: &'a RepoName) -> Answer<'a, Vec<Note>>;
    /// Writes; the sentence says what became of it.
    fn act<'a>(&'a self, at: &'a IssueRef, action: AgentAction) -> Answer<'a, String>;
}

/// An issue's number in the repository of `at`.
pub(super) fn beside(at: &IssueRef, number: Option<IssueNumber>) -> IssueRef {
    IssueRef { repo: at.repo.clone(), number: number.unwrap_or(at.number) }
}

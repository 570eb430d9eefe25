//! Pauses: a person keeps new work from an agent, or the issues of a repository from every agent. What agents have goes on.

use std::collections::BTreeMap;
use std::fmt;

use super::AgentId;
use crate::clock::Timestamp;
use crate::issue::RepoName;
use crate::reason::code;

/// What may be paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pausable {
    /// An agent: it gets no new work.
    Agent(AgentId),
    /// A repository: its issues are given to no agent.
    Repository(RepoName),
}

/// For people, as `agent claude`.
impl fmt::Display for Pausable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Repository(repo) => write!(f, "repository {repo}"),
        }
    }
}

/// A pause that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What is paused.
    pub of: Pausable,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Whose pause keeps an agent from an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// The agent is paused, by this person.
    Agent(String),
    /// The repository is, by this person.
    Repository(String),
}

/// What is paused, and by whom.
impl fmt::Display for PausedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(by) => write!(f, "paused by {}", code(by)),
            Self::Repository(by) => write!(f, "the repository is paused by {}", code(by)),
        }
    }
}

/// The pauses that concern an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Who paused its repository.
    pub repository: Option<String>,
    /// Who paused which agent.
    pub agents: BTreeMap<AgentId, String>,
}

impl Pauses {
    /// What keeps this agent from the issue.
    pub fn keep(&self, agent: &AgentId) -> Option<PausedBy> {
        let of_repository = self.repository.clone().map(PausedBy::Repository);
        of_repository.or_else(|| self.agents.get(agent).cloned().map(PausedBy::Agent))
    }
}

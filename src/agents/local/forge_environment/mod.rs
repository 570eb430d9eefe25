//! The world of the local agent: reads from the forge and the store, writes through the executor that writes everything
//! else. It refuses what would let a text choose who works on an issue.

mod sub_issues;
mod write;

use super::{AgentAction, Answer, AvailableAgent, Environment, IssueComment, Note, Unavailable};
use crate::apply::{Executor, LabelRules};
use crate::clock::Clock;
use crate::dispatch::{Agent, AgentId, Interface};
use crate::gitea as forge;
use crate::issue::{Account, Issue, IssueRef, RepoName};
use crate::store::{self, Store};

/// The largest file that is read, in bytes.
const LARGEST_FILE: usize = 256 * 1024;

/// What runs of the local agent work with, and what they have to respect.
pub struct Parts {
    /// The ledger and the notes.
    pub store: Store,
    /// The forge; its dry run holds here too.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// The agents there are, the local one among them.
    pub agents: Vec<Agent>,
    /// Labels that call an agent or a person, or have an issue left alone: not the model's to put on.
    pub reserved_labels: Vec<String>,
    /// Who is told that a budget is used up; the repository's owner when not given.
    pub owner: Option<String>,
    /// Whether a person is asked before parts of an issue become issues.
    pub asks_first: bool,
}

/// The forge and the store, as the agent may use them.
pub(super) struct ForgeEnvironment {
    pub forge: forge::Client,
    pub executor: Executor,
    pub store: Store,
    pub clock: Clock,
    pub agents: Vec<Agent>,
    reserved_labels: Vec<String>,
    owner: Option<String>,
    asks_first: bool,
}

impl ForgeEnvironment {
    pub fn new(parts: Parts) -> Self {
        // A label is only put on when it is there: what a model calls a label is not to become one.
        let labels = LabelRules { create: false, color: String::new() };
        Self {
            executor: Executor::new(parts.forge.clone(), labels),
            forge: parts.forge,
            store: parts.store,
            clock: parts.clock,
            agents: parts.agents,
            reserved_labels: parts.reserved_labels,
            owner: parts.owner,
            asks_first: parts.asks_first,
        }
    }

    pub fn is_dry_run(&self) -> bool {
        self.forge.is_dry_run()
    }

    /// Our own account.
    pub async fn us(&self) -> Result<Account, Unavailable> {
        self.forge.whoami().await.map_err(|error| forge_failed(&error))
    }

    pub async fn must_read(&self, at: &IssueRef) -> Result<Issue, Unavailable> {
        let issue = self.forge.issue(at).await.map_err(|error| forge_failed(&error))?;
        issue.ok_or_else(|| Unavailable(format!("there is no issue {at}")))
    }

    async fn jot(&self, repo: &RepoName, note: Note) -> Result<String, Unavailable> {
        if self.is_dry_run() {
            return Ok(HELD_BACK.to_owned());
        }
        self.store.jot(repo, note, self.clock.now()).await.map_err(|e| store_failed(&e))?;
        Ok("noted".to_owned())
    }

    async fn delegate(&self, at: &IssueRef, id: AgentId) -> Result<String, Unavailable> {
        let known = |agent: &&Agent| agent.id == id && agent.interface != Interface::Local;
        if self.agents.iter().find(known).is_none() {
            return Err(Unavailable(
                "there is no such agent; `list_agents` names those there are".into(),
            ));
        }
        if self.is_dry_run() {
            return Ok(HELD_BACK.to_owned());
        }
        // An order by hand: a dispatch like any other, decided and told where those are.
        let (by, order) = ("the local agent".to_owned(), format!("assign {id}"));
        let now = self.clock.now();
        self.store.order(at.clone(), by, order, now).await.map_err(|e| store_failed(&e))?;
        Ok(format!("{id} gets the issue when it has a place free"))
    }

    async fn workers(&self) -> Result<Vec<AvailableAgent>, Unavailable> {
        let load = self.store.load().await.map_err(|e| store_failed(&e))?;
        let others = self.agents.iter().filter(|a| a.interface != Interface::Local);
        let worker = |agent: &Agent| {
            let taken = load.get(&agent.id).copied().unwrap_or(0);
            AvailableAgent {
                id: agent.id.clone(),
                strengths: agent.strengths.iter().map(ToString::to_string).collect(),
                free: agent.max_concurrent.saturating_sub(taken),
            }
        };
        Ok(others.map(worker).collect())
    }
}

/// What a write is answered with in a dry run.
pub(super) const HELD_BACK: &str = "held back: this is a dry run";

/// A failure of the forge in its own words, which hold no token and nothing the forge said.
pub(super) fn forge_failed(error: &forge::Error) -> Unavailable {
    match error {
        forge::Error::DryRun { .. } => Unavailable(HELD_BACK.to_owned()),
        error => Unavailable(error.to_string()),
    }
}

/// A failure of the store is for the log, not for the model.
pub(super) fn store_failed(error: &store::Error) -> Unavailable {
    tracing::error!(%error, "the store failed under a tool of the local agent");
    Unavailable("the store could not be used; see the log".to_owned())
}

impl Environment for ForgeEnvironment {
    fn issue<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Option<Issue>> {
        Box::pin(async move { self.forge.issue(at).await.map_err(|e| forge_failed(&e)) })
    }

    fn comments<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Vec<IssueComment>> {
        Box::pin(async move {
            let comments = self.forge.comments(at).await.map_err(|e| forge_failed(&e))?;
            let by = |author: Option<Account>| author.map_or("somebody".into(), |a| a.login);
            let remark = |c: forge::Comment| IssueComment { by: by(c.author), body: c.body };
            Ok(comments.into_iter().map(remark).collect())
        })
    }

    fn search<'a>(&'a self, repo: &'a RepoName, words: &'a str) -> Answer<'a, Vec<Issue>> {
        Box::pin(async move {
            self.forge.search_issues(repo, words).await.map_err(|e| forge_failed(&e))
        })
    }

    fn file<'a>(
        &'a self,
        repo: &'a RepoName,
        path: &'a str,
        reference: Option<&'a str>,
    ) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let found =
                self.forge.file(repo, path, reference).await.map_err(|e| forge_failed(&e))?;
            let Some(bytes) = found else { return Ok(None) };
            if bytes.len() > LARGEST_FILE {
                return Err(Unavailable(format!(
                    "the file is larger than {} KiB",
                    LARGEST_FILE / 1024
                )));
            }
            let text =
                String::from_utf8(bytes).map_err(|_| Unavailable("the file is no text".into()))?;
            Ok(Some(text))
        })
    }

    fn workers(&self) -> Answer<'_, Vec<AvailableAgent>> {
        Box::pin(self.workers())
    }

    fn notes<'a>(&'a self, repo: &'a RepoName) -> Answer<'a, Vec<Note>> {
        Box::pin(async move { self.store.notes(repo).await.map_err(|e| store_failed(&e)) })
    }

    fn act<'a>(&'a self, at: &'a IssueRef, action: AgentAction) -> Answer<'a, String> {
        Box::pin(async move {
            match action {
                AgentAction::Comment(text) => self.say(at, "comment", &text).await,
                AgentAction::Criteria(criteria) => self.propose_criteria(at, &criteria).await,
                AgentAction::Label(name) => self.label(at, name).await,
                AgentAction::Split(parts) => self.split(at, parts).await,
                AgentAction::Delegate(id) => self.delegate(at, id).await,
                AgentAction::SaveNote(note) => self.jot(&at.repo, note).await,
            }
        })
    }
}

//! The environment of the local agent: reads from the forge and the store, writes through the executor. It refuses what
//! would let a text choose who works on an issue.

mod sub_issues;
mod write;

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{AgentAction, Answer, AvailableAgent, Budget, Environment, Note, Unavailable};
use crate::apply::{Executor, LabelRules};
use crate::clock::Clock;
use crate::dispatch::pause::Pausable;
use crate::dispatch::{Agent, AgentId, Interface, LOCAL_AGENT};
use crate::gitea as forge;
use crate::issue::{Account, Issue, IssueRef, NamedPeople, RepoName, beginning};
use crate::store::{self, ManualOrder, Store};

/// The largest file that is read, in bytes.
const LARGEST_FILE: usize = 256 * 1024;

/// As much of a comment as the model may be shown, in bytes.
const LARGEST_COMMENT: usize = 64 * 1024;

/// What runs of the local agent work with, and what they have to respect.
pub struct Parts {
    /// The ledger and the notes.
    pub store: Store,
    /// The forge; its dry run holds here too.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// The people whom the configuration names.
    pub named: Arc<NamedPeople>,
}

/// What the owner tunes, also while the local agent is there.
#[derive(Clone, Debug, Default)]
pub struct LocalRules {
    /// The agents there are, the local one among them.
    pub agents: Vec<Agent>,
    /// Labels that call an agent or a person, or have an issue left alone: not the model's to put on.
    pub reserved_labels: Vec<String>,
    /// Who is told that a budget is used up; the repository's owner when not given.
    pub owner: Option<String>,
    /// Whether a person is asked before parts of an issue become issues.
    pub asks_first: bool,
    /// What may be spent.
    pub budgets: Vec<Budget>,
}

/// The forge and the store, as the agent may use them.
pub(super) struct ForgeEnvironment {
    pub parts: Parts,
    pub rules: ArcSwap<LocalRules>,
    executor: Executor,
}

impl ForgeEnvironment {
    pub fn new(parts: Parts, rules: LocalRules) -> Self {
        // A label is only put on when it is there: what a model calls a label is not to become one.
        let labels = LabelRules { create: false, color: String::new() };
        let executor = Executor::with(parts.forge.clone(), labels, Arc::clone(&parts.named));
        Self { executor, rules: ArcSwap::from_pointee(rules), parts }
    }

    /// Our own account.
    async fn account(&self, repo: &RepoName) -> Result<Account, Unavailable> {
        Ok(self.parts.forge.whoami_in(repo).await?)
    }

    async fn read_issue(&self, at: &IssueRef) -> Result<Issue, Unavailable> {
        let issue = self.parts.forge.issue(at).await?;
        issue.ok_or_else(|| Unavailable(format!("there is no issue {at}")))
    }

    async fn save_note(&self, repo: &RepoName, note: Note) -> Written {
        if self.is_dry_run() {
            return Ok(HELD_BACK.to_owned());
        }
        self.parts.store.jot(repo, note, self.parts.clock.now()).await?;
        Ok("noted".to_owned())
    }

    /// The agents an issue can be given to.
    fn others(&self) -> Vec<Agent> {
        let agents = self.rules.load().agents.clone();
        agents.into_iter().filter(|agent| agent.interface != Interface::Local).collect()
    }

    async fn delegate(&self, at: &IssueRef, id: AgentId) -> Written {
        if !self.others().iter().any(|agent| agent.id == id) {
            let why = "there is no such agent; `list_agents` names those there are";
            return Err(Unavailable(why.to_owned()));
        }
        if self.is_dry_run() {
            return Ok(HELD_BACK.to_owned());
        }
        // Decided and handed over where a person's command is, but it approves nothing.
        let (by, command) = (LOCAL_AGENT.to_owned(), format!("assign {id}"));
        let order = ManualOrder { by, command, task_type: None };
        self.parts.store.order(at.clone(), order, self.parts.clock.now()).await?;
        Ok(format!("{id} gets the issue when it has a place free"))
    }
}

/// What became of a write, in a sentence for the model.
type Written = Result<String, Unavailable>;
/// What a write is answered with in a dry run.
const HELD_BACK: &str = "held back: this is a dry run";

/// A failure of the forge in its own words, which hold no token and nothing the forge said.
impl From<forge::Error> for Unavailable {
    fn from(error: forge::Error) -> Self {
        match error {
            forge::Error::DryRun { .. } => Self(HELD_BACK.to_owned()),
            error => Self(error.to_string()),
        }
    }
}

/// A failure of the store is for the log, not for the model.
impl From<store::Error> for Unavailable {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "the store failed under a tool of the local agent");
        Self("the store could not be used; see the log".to_owned())
    }
}

impl Environment for ForgeEnvironment {
    fn is_dry_run(&self) -> bool {
        self.parts.forge.is_dry_run()
    }

    fn issue<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Option<Issue>> {
        Box::pin(async move { Ok(self.parts.forge.issue(at).await?) })
    }

    fn comments<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Vec<forge::Comment>> {
        Box::pin(async move { Ok(self.parts.forge.comments_of(at, |one| Some(cut(one))).await?) })
    }

    fn search<'a>(&'a self, repo: &'a RepoName, words: &'a str) -> Answer<'a, Vec<Issue>> {
        Box::pin(async move { Ok(self.parts.forge.search_issues(repo, words).await?) })
    }

    fn file<'a>(
        &'a self,
        repo: &'a RepoName,
        path: &'a str,
        reference: Option<&'a str>,
    ) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let found = self.parts.forge.file(repo, path, reference).await?;
            let Some(bytes) = found else { return Ok(None) };
            if bytes.len() > LARGEST_FILE {
                let most = LARGEST_FILE / 1024;
                return Err(Unavailable(format!("the file is larger than {most} KiB")));
            }
            let text = String::from_utf8(bytes);
            text.map(Some).map_err(|_| Unavailable("the file is no text".to_owned()))
        })
    }

    fn available_agents(&self) -> Answer<'_, Vec<AvailableAgent>> {
        Box::pin(async move {
            let load = self.parts.store.load().await?;
            let pauses = self.parts.store.pauses().await?;
            let is_paused = |agent: &Agent| {
                let of = Pausable::Agent(agent.id.clone());
                pauses.iter().any(|pause| pause.of == of)
            };
            let free = |agent: &Agent| {
                let taken = load.get(&agent.id).copied().unwrap_or(0);
                if is_paused(agent) { 0 } else { agent.max_concurrent.saturating_sub(taken) }
            };
            let available = |agent: &Agent| AvailableAgent {
                id: agent.id.clone(),
                strengths: agent.strengths.iter().map(ToString::to_string).collect(),
                free: free(agent),
            };
            Ok(self.others().iter().map(available).collect())
        })
    }

    fn notes<'a>(&'a self, repo: &'a RepoName) -> Answer<'a, Vec<Note>> {
        Box::pin(async move { Ok(self.parts.store.notes(repo).await?) })
    }

    fn act<'a>(&'a self, at: &'a IssueRef, action: AgentAction) -> Answer<'a, String> {
        Box::pin(async move {
            match action {
                AgentAction::Comment(text) => self.say(at, &text).await,
                AgentAction::Criteria(criteria) => self.propose_criteria(at, &criteria).await,
                AgentAction::Label(name) => self.label(at, name).await,
                AgentAction::Split(parts) => self.split(at, parts).await,
                AgentAction::Delegate(id) => self.delegate(at, id).await,
                AgentAction::SaveNote(note) => self.save_note(&at.repo, note).await,
            }
        })
    }
}

/// A comment with as much of its text as is kept of the whole list.
fn cut(mut comment: forge::Comment) -> forge::Comment {
    let text = &mut comment.body;
    text.truncate(beginning(text, LARGEST_COMMENT).len());
    text.shrink_to_fit();
    comment
}

//! The parts that do the work, each made from the configuration, the store, the forge and the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{rules, settings};
use crate::agents::local::{self, LocalAgent, LocalClient, LocalRuns};
use crate::agents::runner::{self, Job, RunParts, RunnerClient};
use crate::agents::{GiteaAgents, HttpAgents};
use crate::apply::{AgentClients, Executor};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::dispatch::{AgentId, Interface};
use crate::gitea::{self as forge, IssueQuery, StateFilter};
use crate::issue::{Issue, IssueRef, NamedPeople, RepoName};
use crate::store::Store;
use crate::summary::{self, Summaries};
use crate::sweep::{self, Sweeper};
use crate::triage::Verdict;
use crate::worker::{self, Worker};

/// What every part is made from.
pub struct Base<'a> {
    /// What the owner tunes.
    pub config: &'a Config,
    /// The inbox and the ledger.
    pub store: Store,
    /// The forge.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// The people whom the configuration names.
    pub named: Arc<NamedPeople>,
    /// Notified when there is a run to take.
    pub offered: Arc<Notify>,
}

impl<'a> Base<'a> {
    /// The base of a configuration, over a store that is open.
    ///
    /// # Errors
    /// When the forge's address or token cannot be used.
    pub fn new(config: &'a Config, store: Store, clock: Clock) -> anyhow::Result<Self> {
        let named = NamedPeople::default();
        named.set_commanders(config.triage.commanders.clone());
        let forge = settings::forge(config)?;
        let offered = Arc::default();
        Ok(Self { config, store, forge, clock, named: named.into(), offered })
    }

    /// The worker; `arrived` wakes it for deliveries.
    pub(super) fn worker(&self, arrived: &Arc<Notify>) -> anyhow::Result<Worker> {
        let labels = settings::labels(self.config);
        Ok(Worker::new(worker::Parts {
            store: self.store.clone(),
            forge: self.forge.clone(),
            executor: Executor::with(self.forge.clone(), labels, Arc::clone(&self.named)),
            clock: self.clock.clone(),
            rules: Arc::new(rules::rules(self.config)?).into(),
            arrived: Arc::clone(arrived),
        }))
    }

    /// Runs of the local agent.
    pub fn local_runs(&self, agent: LocalAgent) -> LocalRuns {
        let parts = local::Parts {
            store: self.store.clone(),
            forge: self.forge.clone(),
            clock: self.clock.clone(),
            named: Arc::clone(&self.named),
        };
        LocalRuns::new(agent, parts, settings::local_rules(self.config))
    }

    /// What makes runs for runners.
    pub(super) fn run_parts(&self) -> RunParts {
        RunParts {
            store: self.store.clone(),
            forge: self.forge.clone(),
            named: Arc::clone(&self.named),
            clock: self.clock.clone(),
            offered: Arc::clone(&self.offered),
        }
    }

    /// What an agent would be told by a runner about an issue; `None` when there is no such issue. Nothing is kept.
    ///
    /// # Errors
    /// When the forge cannot be asked, or the template cannot be used.
    pub async fn prompt(&self, at: &IssueRef) -> anyhow::Result<Option<String>> {
        let Some(issue) = self.forge.issue(at).await? else { return Ok(None) };
        let rules = rules::rules(self.config)?;
        let agents = &self.config.agents.list;
        let agent = agents.iter().find(|agent| agent.interface == Interface::Runner);
        let job = Job {
            at: at.clone(),
            branch: runner::branch(at.number, &issue.title, 0),
            criteria: rules.triage.criteria(&issue),
            task_type: rules.triage.task_type(&issue),
            title: issue.title,
            body: issue.body,
            comments: Vec::new(),
            agent: agent.map_or_else(|| AgentId::new("agent"), |agent| agent.id.clone()),
            follow_up: None,
        };
        let client = RunnerClient::new(self.run_parts(), self.config.runs.prompt.as_deref())?;
        Ok(Some(client.tell(job).await?))
    }

    /// The local agent for dispatches, which wakes `worker` with what it reports.
    pub(super) fn local_client(&self, agent: LocalAgent, worker: &Worker) -> LocalClient {
        let worker = worker.clone();
        LocalClient::new(self.local_runs(agent), move || worker.wake())
    }

    /// An issue and what a worker would decide about it at `now`; `None` when there is none. Nothing is written or kept.
    ///
    /// # Errors
    /// When the forge or the store cannot be asked.
    pub async fn preview(
        &self,
        at: &IssueRef,
        now: Timestamp,
    ) -> anyhow::Result<Option<(Issue, Verdict)>> {
        Ok(self.worker(&Arc::default())?.preview(at, now).await?)
    }

    /// The open issues of a repository, newest first, each as [`Self::preview`] sees it.
    ///
    /// # Errors
    /// When the forge or the store cannot be asked.
    pub async fn preview_open(
        &self,
        repo: &RepoName,
        now: Timestamp,
    ) -> anyhow::Result<Vec<(Issue, Verdict)>> {
        let query = IssueQuery { state: StateFilter::Open, since: None };
        let worker = self.worker(&Arc::default())?;
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 1.. {
            let listed = self.forge.issues_page(repo, &query, page).await?.items;
            let new: Vec<_> = listed.into_iter().filter(|one| seen.insert(one.number)).collect();
            // A page that brings nothing new is past the end, or from a server that does not page.
            if new.is_empty() {
                break;
            }
            for issue in new {
                let at = IssueRef { repo: repo.clone(), number: issue.number };
                found.extend(worker.preview(&at, now).await?);
            }
        }
        Ok(found)
    }

    /// A sweep that wakes `worker`, if there is one here, when it has found something.
    pub fn sweeper(&self, worker: Option<&Worker>) -> Sweeper {
        let worker = worker.cloned();
        Sweeper::new(sweep::Parts {
            store: self.store.clone(),
            forge: self.forge.clone(),
            clock: self.clock.clone(),
            settings: Arc::new(settings::sweep(self.config)).into(),
            filled: Box::new(move || worker.iter().for_each(Worker::wake)),
        })
    }

    /// The daily summaries.
    pub fn summaries(&self) -> Summaries {
        Summaries::new(summary::Parts {
            store: self.store.clone(),
            forge: self.forge.clone(),
            clock: self.clock.clone(),
            settings: Arc::new(settings::summary(self.config)).into(),
        })
    }
}

/// The client of each agent interface.
pub(super) fn clients(
    config: &Config,
    local: Option<&LocalClient>,
    runs: &RunParts,
) -> AgentClients {
    let agents = &config.agents;
    let http = HttpAgents::new(agents.allow_private.clone(), agents.secrets.clone());
    let runner = RunnerClient::new(runs.clone(), config.runs.prompt.as_deref());
    let clients = AgentClients::default()
        .with(Interface::Forge, GiteaAgents)
        .with(Interface::Http, http)
        .with(Interface::Runner, runner);
    match local {
        Some(local) => clients.with(Interface::Local, local.clone()),
        None => clients,
    }
}

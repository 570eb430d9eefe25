//! `dispatch`: dispatches one issue to an agent by hand.

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::{Failure, PATIENCE, check_repo, fail_unless, one_of, open_parts, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::{AgentId, TaskType};
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, IssueState};
use crate::service;
use crate::store::{History, ManualOrder};

/// Dispatch an issue to an agent by hand, whatever its score
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage dispatch acme/widgets#12\n  gitea-triage dispatch acme/widgets#12 --agent kimi\n  gitea-triage dispatch acme/widgets#12 --task-type refactoring --json\n\nWithout `--agent` the policy chooses the agent: by `--task-type` if given, otherwise as for any issue. The command goes into the inbox like `/triage assign` in a comment. It is processed here, or by `serve` if that is running."
)]
pub(super) struct Dispatch {
    /// The issue, as `owner/repo#12`
    issue: IssueRef,
    /// The agent's id in the configuration
    #[arg(short, long, value_name = "ID")]
    agent: Option<String>,
    /// The task type of the dispatch
    #[arg(short, long, value_name = "TYPE", value_parser = one_of::<TaskType>(TaskType::NAMES))]
    task_type: Option<TaskType>,
    /// Print one JSON object
    #[arg(short, long)]
    json: bool,
}

impl Dispatch {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        check_repo(config, &self.issue.repo)?;
        let agent = self.agent(config).await?;
        let order = ManualOrder {
            by: std::env::var("USER").unwrap_or_else(|_| "the command line".to_owned()),
            command: format!("assign {agent}"),
            task_type: self.task_type,
        };
        let (store, parts) = open_parts(config).await?;
        store.order(self.issue.clone(), order, Clock::System.now()).await?;
        let Some(parts) = parts else { return self.report(&agent, None) };
        parts.worker.settle(PATIENCE).await?;
        if let Some(local) = &parts.local {
            local.finished().await;
            parts.worker.settle(PATIENCE).await?;
        }
        let history = store.history(self.issue.clone()).await?;
        self.report(&agent, history.as_ref())
    }

    /// The agent that is named, or the one that the policy chooses.
    async fn agent(&self, config: &Config) -> Result<AgentId, Failure> {
        let agents = &config.agents.list;
        if let Some(wanted) = &self.agent {
            match self.read(config).await {
                // The running service carries it out when the forge can be asked again.
                Err(error)
                    if error
                        .downcast_ref::<forge::Error>()
                        .is_some_and(forge::Error::is_transient) => {}
                read => drop(read?),
            }
            let found = agents.iter().find(|a| a.id.as_str().eq_ignore_ascii_case(wanted));
            let known = agents.iter().map(|a| format!("`{}`", a.id)).collect::<Vec<_>>().join(", ");
            return found.map(|agent| agent.id.clone()).ok_or_else(|| {
                Failure::Usage(format!("there is no agent `{wanted}`; there are {known}"))
            });
        }
        let issue = self.read(config).await?;
        let triage = service::rules(config)?.triage;
        let suits = triage.suitable(&issue, agents, self.task_type);
        suits.ok_or_else(|| {
            anyhow!("no agent is configured for this task type; name one with `--agent`").into()
        })
    }

    async fn read(&self, config: &Config) -> anyhow::Result<Issue> {
        let at = &self.issue;
        let found = service::forge(config)?.issue(at).await;
        let issue = found.with_context(|| format!("`{at}` cannot be read"))?;
        let issue = issue.ok_or_else(|| anyhow!("there is no issue `{at}`"))?;
        if issue.is_pull_request {
            bail!("`{at}` is a pull request; name the issue that it belongs to");
        }
        if issue.state == IssueState::Closed {
            bail!("`{at}` is closed; reopen it first");
        }
        Ok(issue)
    }

    fn report(&self, agent: &AgentId, history: Option<&History>) -> Result<(), Failure> {
        let open = history.and_then(|h| h.dispatches.iter().rev().find(|d| d.state.is_open()));
        let decided = history.and_then(|h| h.evaluations.last());
        let refused = history.and_then(|h| h.orders.first()).and_then(|order| order.why.as_deref());
        let reason = refused.or(decided.map(|evaluation| evaluation.reason.as_str()));
        let value = json!({
            "issue": self.issue, "agent": agent, "queued": history.is_none(), "reason": reason,
            "state": open.map(|d| d.state), "task_type": open.map(|d| d.task_type),
            "deadline_at": open.map(|d| d.deadline_at),
        });
        let at = &self.issue;
        let text = match reason {
            _ if history.is_none() => format!(
                "queued: the running `gitea-triage serve` dispatches `{at}` to `{agent}`; `gitea-triage explain {at}` shows the result"
            ),
            Some(reason) => format!("{at}: {reason}"),
            None => format!("`{at}` has no decision yet; `gitea-triage inbox list` shows why"),
        };
        show(self.json, &value, &text)?;
        let is_given = open.is_some_and(|d| d.agent == *agent);
        let is_waiting = decided.is_some_and(|last| last.action == "wait");
        fail_unless(history.is_none() || (refused.is_none() && (is_given || is_waiting)))
    }
}

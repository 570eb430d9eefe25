//! `agent`: lists the agents, and runs the local one on one issue, now.

use std::path::Path;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use serde_json::json;

use super::table::Table;
use super::terminal::{self, Piece};
use super::{Failure, block_on, check_repo, fail_unless, load, print, print_json, share_or_empty};
use crate::agents::local::{Message, Run, Task};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dispatch::Agent as Configured;
use crate::issue::IssueRef;
use crate::service::{self, Base};

/// List the agents, and run the local one by hand
#[derive(Debug, Args)]
pub(super) struct Agent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Run(RunCommand),
}

/// List the agents that issues may be dispatched to
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage agent list\n  gitea-triage agent list --json | jq -r .id\n\nWithout a configuration: the built-in agents."
)]
struct List {
    /// Print the ids only
    #[arg(long, conflicts_with = "json")]
    ids: bool,
    /// Print one line of JSON for each agent
    #[arg(short, long)]
    json: bool,
}

/// Run the local agent on one issue and print its result
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage agent run acme/widgets#12 --dry-run\n  gitea-triage agent run acme/widgets#12 --json \\\n      --prompt \"Propose acceptance criteria.\"\n\nA dry run asks the model too and shows every message, but writes nothing and calls no external tool that may change something. Exit code 1 when the run fails."
)]
struct RunCommand {
    /// The issue, as `owner/repo#N`
    issue: IssueRef,
    /// The request to the model, instead of the default one
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Show every message, write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print the run as one JSON object; messages go to stderr
    #[arg(short, long)]
    json: bool,
}

impl Agent {
    pub(super) fn run(self, path: Option<&Path>) -> Result<(), Failure> {
        match self.command {
            Command::List(command) => command.run(&agents(path)?),
            Command::Run(command) => block_on(command.run(load(path)?)),
        }
    }
}

/// The configured agents; without a configuration, the built-in ones.
fn agents(path: Option<&Path>) -> Result<Vec<Configured>, Failure> {
    match config::find(path)? {
        Some(file) => Ok(load(Some(&file))?.agents.list),
        None => Ok(config::built_in_agents()),
    }
}

impl List {
    fn run(self, agents: &[Configured]) -> Result<(), Failure> {
        let mut table = Table::new(&["AGENT", "INTERFACE", "LABEL", "ACCOUNT", "AT ONCE"], &[]);
        for agent in agents {
            let Configured { id, interface, label, login, max_concurrent, .. } = agent;
            if self.ids {
                print(id.as_str())?;
            } else if self.json {
                print_json(&json!({
                    "id": id, "interface": interface, "label": label, "login": login,
                    "max_concurrent": max_concurrent,
                }))?;
            }
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let cells = [id.to_string(), interface.to_string(), text(label), text(login)];
            let cells = cells.into_iter().chain([max_concurrent.to_string()]);
            table.row(cells.map(Piece::plain), "");
        }
        if self.ids || self.json { Ok(()) } else { Ok(table.print()?) }
    }
}

impl RunCommand {
    async fn run(self, mut config: Config) -> Result<(), Failure> {
        if config.local_agent.is_none() {
            let text =
                "there is no local agent; add `[local_agent]` with `model` to the configuration";
            return Err(Failure::Usage(text.to_owned()));
        }
        check_repo(&config, &self.issue.repo)?;
        config.triage.dry_run |= self.dry_run;
        self.work(&config).await
    }

    async fn work(&self, config: &Config) -> Result<(), Failure> {
        let agent = service::local_agent(config).await?;
        let agent = agent.ok_or_else(|| anyhow!("there is no local agent"))?;
        let (store, _folder) = share_or_empty(config, self.dry_run)?;
        let base = Base::new(config, store, Clock::System)?;
        let task = Task { prompt: self.prompt.clone(), ..Task::new(self.issue.clone()) };
        let run = base.local_runs(agent.clone()).run(task, &|message| self.show(message)).await;
        agent.stop().await;
        base.store.close().await?;
        self.report(&run?)
    }

    fn show(&self, message: &Message) {
        if !self.dry_run {
            return;
        }
        let text = as_text(message);
        // A closed output ends no run.
        match self.json {
            true => terminal::err(&text),
            false => drop(terminal::out(&text)),
        }
    }

    fn report(&self, run: &Run) -> Result<(), Failure> {
        if self.json {
            print_json(run)?;
            return fail_unless(!run.is_failed());
        }
        if run.is_failed() {
            return Err(anyhow!("{}", run.error).into());
        }
        if !self.dry_run {
            print(&run.content)?;
        }
        let calls = run.tool_calls.len();
        terminal::err(&format!(
            "{} rounds, {calls} tool calls, {} ms, {}",
            run.rounds, run.latency_ms, run.model
        ));
        Ok(())
    }
}

fn as_text(message: &Message) -> String {
    let mut text = format!("── {} ──\n", message.role());
    if !message.content().is_empty() {
        text.push_str(message.content());
        text.push('\n');
    }
    for call in message.calls() {
        text.push_str(&format!("calls {} {}\n", call.name, call.arguments));
    }
    text
}

//! `agent run`: the local agent on one issue, now.

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::{Failure, check_repo, fail_unless, print, print_json, share_or_empty, terminal};
use crate::agents::local::{Message, Run, Task};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::IssueRef;
use crate::service::{self, Base};

/// Run the local agent by hand
#[derive(Debug, Args)]
pub(super) struct Agent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunCommand),
}

/// Run the local agent on one issue and print its result
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage agent run acme/widgets#12 --dry-run\n  gitea-triage agent run acme/widgets#12 --prompt \"Propose acceptance criteria.\" --json\n\nA dry run asks the model too and shows every message, but writes nothing and calls no external tool that may change something. Exit code 1 when the run fails."
)]
struct RunCommand {
    /// The issue, as `owner/repo#N`
    issue: IssueRef,
    /// The request to the model, instead of the default one
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Show every message, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the run as one JSON object; messages go to stderr
    #[arg(long)]
    json: bool,
}

impl Agent {
    pub(super) async fn run(self, mut config: Config) -> Result<(), Failure> {
        let Command::Run(command) = self.command;
        if config.local_agent.is_none() {
            let text =
                "there is no local agent; add `[local_agent]` with `model` to the configuration";
            return Err(Failure::Usage(text.to_owned()));
        }
        check_repo(&config, &command.issue.repo)?;
        config.triage.dry_run |= command.dry_run;
        command.work(&config).await
    }
}

impl RunCommand {
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

//! `runner`: takes runs from a service and lets agents work on them. The work is done by the `runner` room. What the
//! service needs for runners is made and shown by its own commands, by the service's configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{
    Failure, block_on, fail_unless, finding, load, print_json, runner_prompt, runner_token,
};
use crate::check::Level;
use crate::runner::{self as runner_room, CallError, Finding, Runner, RunnerError, Settings};

/// Run agents for a service: take issues, let an agent work on each, open pull requests
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  gitea-triage runner --config gitea-triage-runner.toml\n  gitea-triage runner check --config gitea-triage-runner.toml\n  gitea-triage runner --server https://triage.example.com \\\n      --token-file runner-token\n\nWithout `--config`: ./gitea-triage-runner.toml, then /etc/gitea-triage/gitea-triage-runner.toml. SIGTERM and SIGINT take no more runs, give those in progress the time of `drain`, and stop; what is not done by then goes to another runner."
)]
pub(super) struct RunnerCommand {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    over: Over,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check that git, the agents, the forge and the service can be used from here
    #[command(
        after_help = "Examples:\n  gitea-triage runner check\n  gitea-triage runner check --json | jq -r 'select(.is_fine | not) | .said'\n\nStarts each agent for a moment; none is told to do anything. Exit code 1 when something is wrong."
    )]
    Check {
        /// Print one line of JSON for each finding
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        over: Over,
    },
    Token(runner_token::Token),
    Prompt(runner_prompt::PromptCommand),
}

/// What is said on the command line goes before what the file says.
#[derive(Debug, Args)]
struct Over {
    /// Address of the service
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file with the runner's token
    #[arg(long, value_name = "FILE", env = "GITEA_TRIAGE_RUNNER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Folder for everything the runner keeps
    #[arg(long, value_name = "FOLDER")]
    work: Option<PathBuf>,
    /// Runs at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    places: Option<u32>,
}

impl RunnerCommand {
    pub(super) fn run(self, path: Option<&Path>) -> Result<(), Failure> {
        match self.verb {
            Some(Verb::Check { json, over }) => block_on(check(over.settings(path)?, json)),
            Some(Verb::Token(command)) => command.run(),
            Some(Verb::Prompt(command)) => block_on(command.run(&load(path)?)),
            None => block_on(serve(self.over.settings(path)?)),
        }
    }
}

impl Over {
    fn settings(&self, path: Option<&Path>) -> Result<Settings, Failure> {
        let usage = |error: runner_room::SettingsError| Failure::Usage(error.to_string());
        let file = Settings::find(path).map_err(usage)?;
        let mut settings = match &file {
            Some(file) => Settings::load(file).map_err(usage)?,
            None => Settings::default(),
        };
        if let Some(server) = &self.server {
            settings.server.clone_from(server);
        }
        if let Some(token_file) = &self.token_file {
            settings.token_file.clone_from(token_file);
        }
        if let Some(work) = &self.work {
            settings.work.clone_from(work);
        }
        settings.places = self.places.unwrap_or(settings.places);
        settings.check().map_err(|error| {
            let found = match file {
                Some(file) => format!("config `{}`", file.display()),
                None => format!(
                    "no configuration was found at `{}`",
                    runner_room::PLACES.join("` or `")
                ),
            };
            Failure::Usage(format!("{found}:\n{error}"))
        })?;
        Ok(settings)
    }
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let runner = Runner::open(settings).map_err(failure)?;
    let (halt, halted) = watch::channel(false);
    let work = runner.run(halted);
    tokio::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => return ended.map_err(failure),
            _ = term.recv() => halt.send_replace(true),
            _ = interrupt.recv() => halt.send_replace(true),
        };
    }
}

/// What no restart makes good is a mistake of the configuration: the service manager does not repeat it.
fn failure(error: RunnerError) -> Failure {
    match error {
        RunnerError::Settings(text) => Failure::Usage(text),
        RunnerError::Service(CallError::Refused(refused)) => Failure::Usage(refused.error),
        RunnerError::Service(error) => Failure::Failed(error.into()),
    }
}

async fn check(settings: Settings, json: bool) -> Result<(), Failure> {
    let (mut is_fine, mut printed) = (true, Ok(()));
    let mut tell = |finding: Finding| {
        is_fine &= finding.is_fine;
        if printed.is_ok() {
            printed = show(&finding, json);
        }
    };
    let looked =
        tokio::time::timeout(Duration::from_secs(600), runner_room::check(&settings, &mut tell));
    let is_over = looked.await.is_ok();
    printed?;
    fail_unless(is_fine && is_over)
}

fn show(found: &Finding, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(found);
    }
    let level = if found.is_fine { Level::Green } else { Level::Red };
    finding::out(level, &found.about, &found.said, None)
}

//! `runner`: what a runner needs, made and shown by hand.

use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, block_on, load, runner_prompt, runner_token};

/// Make a runner's token, show what an agent is told
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage runner token builder --agent coder\n  gitea-triage runner prompt acme/widgets#12"
)]
pub(super) struct Runner {
    #[command(subcommand)]
    command: RunnerVerb,
}

#[derive(Debug, Subcommand)]
enum RunnerVerb {
    Token(runner_token::Token),
    Prompt(runner_prompt::PromptCommand),
}

impl Runner {
    pub(super) fn run(self, path: Option<&Path>) -> Result<(), Failure> {
        match self.command {
            RunnerVerb::Token(command) => command.run(),
            RunnerVerb::Prompt(command) => block_on(command.run(&load(path)?)),
        }
    }
}

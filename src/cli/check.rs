//! `check`: whether the setup works. The checks are in the `check` room; here they are printed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::finding::Findings;
use super::hook::hook_token;
use super::{Failure, fail_unless};
use crate::check::{Checkup, Level};
use crate::clock::Clock;
use crate::config::Config;
use crate::service;

/// Check everything the setup needs, and say what to fix
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage check\n  gitea-triage check --json | jq -r 'select(.level == \"red\") | .cure'\n  gitea-triage check --no-delivery\n\nChanges nothing. To see a delivery arrive it sends an empty list of labels to an issue, for which the forge sends a delivery without changing the issue. Exit code 1 when a line is red."
)]
pub(super) struct Check {
    /// Do not test whether a delivery arrives
    #[arg(long)]
    no_delivery: bool,
    /// How long to wait for the delivery
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// A file with a token that may read webhooks, when the service's own account may not
    #[arg(long, value_name = "FILE", env = "GITEA_TRIAGE_HOOK_TOKEN_FILE")]
    hook_token_file: Option<PathBuf>,
    /// Print one line of JSON for each check
    #[arg(short, long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let token = hook_token(config, self.hook_token_file.as_ref())?;
        let checkup = Checkup {
            config,
            forge: service::forge(config)?,
            hook_forge: service::forge_as(config, &token, true)?,
            wanted: service::wanted_hook(config),
            database: service::database(config)?,
            clock: Clock::System,
            patience: (!self.no_delivery).then_some(self.patience),
        };
        let mut seen = Findings::new(self.json);
        checkup.run(&mut |line| seen.take(line)).await;
        fail_unless(seen.end()? != Level::Red)
    }
}

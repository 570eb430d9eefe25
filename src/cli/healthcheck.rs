//! `healthcheck`: asks a running service whether it is alive, for containers without `curl`.

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{Failure, print};
use crate::config::Config;
use crate::hooks::Receiver;

/// Ask a running service whether it is alive, on the address in its configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage healthcheck\n  gitea-triage healthcheck --ready\n\nExit code 0 when the service is alive (with `--ready`: ready), otherwise 1."
)]
pub(super) struct Healthcheck {
    /// Ask also whether the store and Gitea can be reached
    #[arg(long)]
    ready: bool,
}

impl Healthcheck {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let receiver = Receiver::new(&config.server.listen)?;
        let page = if self.ready { "readyz" } else { "healthz" };
        let url = format!("{}/{page}", receiver.address);
        let answer = receiver.get(page).await;
        let (status, text) = answer.with_context(|| {
            format!("`{url}` does not answer; check that `gitea-triage serve` is running")
        })?;
        if !(200..300).contains(&status) {
            return Err(anyhow!("`{url}` answered {status}: {}", text.trim()).into());
        }
        print("ok")
    }
}

//! `healthcheck`: asks a running service whether it is alive, for containers without `curl`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{Failure, block_on, load, print};
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
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<(), Failure> {
        let receiver = Receiver::new(&load(path)?.server.listen)?;
        let page = if self.ready { "readyz" } else { "healthz" };
        block_on(ask(&receiver, page))?;
        print("ok")
    }
}

async fn ask(receiver: &Receiver, page: &str) -> anyhow::Result<()> {
    let url = format!("{}/{page}", receiver.address());
    let answer = receiver.get(page).await;
    let (status, text) = answer.with_context(|| {
        format!("`{url}` does not answer; check that `gitea-triage serve` is running")
    })?;
    if !(200..300).contains(&status) {
        bail!("`{url}` answered {status}: {}", text.trim());
    }
    Ok(())
}

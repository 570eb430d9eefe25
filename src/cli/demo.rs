//! `demo`: the service, a Gitea in memory and the recorded deliveries, on this machine alone.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::replay::{Replayed, head, replayed};
use super::{Failure, block_on, print, print_json};
use crate::demo::{self, FIXTURES, Told};

/// A pace at which people can follow.
const PACE: Duration = Duration::from_secs(1);

/// A service, a Gitea in memory and recorded deliveries, on this machine alone
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage demo\n  gitea-triage demo --exit\n  gitea-triage demo --pace 3s --listen 127.0.0.1:8484\n\nNeeds no configuration and no network, and leaves nothing behind. Ctrl-C ends it."
)]
pub(super) struct Demo {
    /// End when every delivery has come to its end, and do not wait between them
    #[arg(long)]
    exit: bool,
    /// Time between two deliveries [default: 1s; none with --exit]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pace: Option<Duration>,
    /// Address and port of the service [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// One line of JSON for each delivery
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        block_on(async {
            let mut term = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let demo = demo::Demo::start(self.listen.as_deref()).await?;
            let shown = tokio::select! {
                shown = self.show(&demo) => shown,
                _ = term.recv() => Ok(()),
                _ = interrupt.recv() => Ok(()),
            };
            demo.stop().await;
            shown.map(|()| ExitCode::SUCCESS)
        })?
    }

    async fn show(&self, demo: &demo::Demo) -> Result<(), Failure> {
        self.say(&format!(
            "the service is at {}, its Gitea at {}; sign in with the token `{}`",
            demo.url(),
            demo.gitea_url(),
            crate::demo::TOKEN
        ))?;
        self.say("")?;
        self.say(&head())?;
        let pace = self.pace.unwrap_or(if self.exit { Duration::ZERO } else { PACE });
        for (name, recording) in FIXTURES {
            let line = match demo.feed(recording).await? {
                Told::Ended(seen) => replayed(name, seen, demo.store()).await?,
                Told::Rejected(rejected) => Replayed::rejected(name, rejected.to_string()),
            };
            if self.json {
                print_json(&line)?
            } else {
                print(&line.row())?
            }
            tokio::time::sleep(pace).await;
        }
        if self.exit {
            return Ok(());
        }
        self.say(&format!("\nthat is all; {} goes on answering until Ctrl-C", demo.url()))?;
        std::future::pending().await
    }

    /// What is no line of JSON.
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(text) }
    }
}

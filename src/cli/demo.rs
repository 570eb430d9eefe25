//! `demo`: the service with an in-memory forge, one issue in each state, and the recorded deliveries.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::replay::{Replayed, head, replayed};
use super::{Failure, print};
use crate::demo::{self, Fed, Purpose, Recorded};

/// A pace that people can follow.
const PACE: Duration = Duration::from_secs(1);

/// Run the service with an in-memory Gitea or Forgejo, issues to look at, and recorded deliveries
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage demo\n  gitea-triage demo --exit\n  gitea-triage demo --forgejo\n  gitea-triage demo --pace 3s --listen 127.0.0.1:8484\n\nNeeds no configuration and no network, listens on this machine only, and leaves nothing behind. Ctrl-C ends it. With --exit the recorded deliveries are all there is."
)]
pub(super) struct Demo {
    /// Show what a Forgejo sends, instead of a Gitea
    #[arg(long)]
    forgejo: bool,
    /// Exit after the last delivery, and do not wait between deliveries
    #[arg(long)]
    exit: bool,
    /// Time between two deliveries [default: 1s; none with --exit]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pace: Option<Duration>,
    /// Address and port of the service [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Print one line of JSON for each delivery
    #[arg(short, long)]
    json: bool,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let recorded = if self.forgejo { demo::FORGEJO } else { demo::GITEA };
        let purpose = if self.exit { Purpose::Recordings } else { Purpose::Visit };
        let demo = demo::Demo::start(&recorded, self.listen.as_deref(), purpose).await?;
        let shown = tokio::select! {
            shown = self.show(&demo, &recorded) => shown,
            _ = term.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        demo.stop().await;
        shown
    }

    async fn show(&self, demo: &demo::Demo, recorded: &Recorded) -> Result<(), Failure> {
        self.say(&self.overview(demo, recorded))?;
        if !self.exit
            && let Err(error) = demo.tour().await
        {
            super::terminal::err(&format!("not every state could be shown: {error:#}"));
        }
        self.say(&head())?;
        let pace = self.pace.unwrap_or(if self.exit { Duration::ZERO } else { PACE });
        for (name, recording) in recorded.deliveries {
            let line = match demo.feed(recording).await? {
                Fed::Ended(seen) => replayed(name, seen, demo.store()).await?,
                Fed::Rejected(rejected) => Replayed::rejected(name, rejected.to_string()),
            };
            super::show(self.json, &line, &line.row())?;
            tokio::time::sleep(pace).await;
        }
        if self.exit {
            return Ok(());
        }
        demo.watch_all();
        self.say("\nall recorded deliveries are processed; Ctrl-C ends the demo")?;
        std::future::pending().await
    }

    /// What there is to look at.
    fn overview(&self, demo: &demo::Demo, recorded: &Recorded) -> String {
        if self.exit {
            let (url, gitea) = (demo.url(), demo.gitea_url());
            return format!(
                "dashboard: {url} (token `{}`); in-memory {:?}: {gitea}\n",
                demo::TOKEN,
                recorded.flavour
            );
        }
        format!(
            "Dashboard, signed in:  {}\n{:<22} {}\nOpen an issue:         {}\n\n\
             One issue is in each state: with an agent, on a runner, waiting, flagged, asked\n\
             for more, a duplicate, escalated, and with a failed delivery. What a real\n\
             {:?} sent follows, a line each.\n",
            demo.sign_in_link(),
            format!("In-memory {:?}:", recorded.flavour),
            demo.gitea_url(),
            demo.new_issue_url(),
            recorded.flavour,
        )
    }

    /// Prints text for people; nothing with `--json`.
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(text) }
    }
}

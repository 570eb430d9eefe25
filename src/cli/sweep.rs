//! `sweep`: one round over the repositories for what no webhook told.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Failure, block_on, load, print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::RepoName;
use crate::service::{self, Parts};
use crate::store::{self, Find, OpenMode, Store};
use crate::sweep::{How, Report, Sweeper};
use crate::worker::Worker;

/// How long what failed may rest before it is left to the next run or to `serve`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Find what no webhook told, and work it off
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage sweep --once\n  gitea-triage sweep --dry-run\n  gitea-triage sweep --enqueue --json\n\nFinds go into the inbox and are worked off here, or by `serve` where it is running. A repository's first sweep reads every open issue, later ones what changed since; every open issue is read again once in `sweep.full_every`."
)]
pub(super) struct Sweep {
    /// One round, then out; `serve` makes the others
    #[arg(long)]
    once: bool,
    /// Show what would be found; nothing is kept and nothing is written
    #[arg(long, conflicts_with = "enqueue")]
    dry_run: bool,
    /// Only fill the inbox
    #[arg(long)]
    enqueue: bool,
    /// Read every open issue, even where that is not due
    #[arg(long)]
    full: bool,
    /// One line of JSON for each find, and one with the counts
    #[arg(long)]
    json: bool,
}

/// Where a round finds its store and who works it off.
struct Place {
    store: Store,
    sweeper: Sweeper,
    /// Nobody here, when a service has the store, or when nothing is to be worked off.
    worker: Option<Worker>,
    is_served: bool,
    /// Keeps a throw-away store until the round is over.
    _folder: Option<tempfile::TempDir>,
}

impl Sweep {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(path)?;
        block_on(self.sweep(&config))?
    }

    async fn sweep(&self, config: &Config) -> Result<ExitCode, Failure> {
        let place = self.place(config).await?;
        let how = How { full: self.full, look_only: self.dry_run, at_once: true };
        let before = place.sweeper.requests();
        let report = place.sweeper.round(how, &progress).await?;
        let requests = place.sweeper.requests() - before;
        clear_progress();
        report.finds().try_for_each(|find| self.show(find))?;
        for failed in &report.failed {
            eprintln!("gitea-triage: `{}` could not be swept: {}", failed.place, failed.error);
        }
        let unfinished = match &place.worker {
            Some(worker) => Some(work_off(worker, &place.store, config).await?),
            None => None,
        };
        self.sum_up(&report, requests, unfinished, place.is_served)?;
        Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// A dry run reads the store there is, or an empty one; a running service keeps the work to itself.
    async fn place(&self, config: &Config) -> Result<Place, Failure> {
        let path = service::database(config)?;
        if self.dry_run && !path.exists() {
            let folder = tempfile::tempdir()?;
            let mut place = beside(config, &folder.path().join("sweep.db"), false)?;
            place._folder = Some(folder);
            return Ok(place);
        }
        if self.dry_run || self.enqueue {
            return beside(config, &path, false);
        }
        match Parts::build(config, Clock::System).await {
            Ok(Parts { store, sweeper, worker, .. }) => {
                let (worker, _folder) = (Some(worker), None);
                Ok(Place { store, sweeper, worker, is_served: false, _folder })
            }
            Err(error) if is_in_use(&error) => beside(config, &path, true),
            Err(error) => Err(error.into()),
        }
    }

    fn show(&self, find: &Find) -> Result<(), Failure> {
        let why = find.why.as_str();
        if self.json {
            return print_json(&json!({
                "issue": find.at, "why": why, "missed": find.is_missed, "enqueued": !self.dry_run,
            }));
        }
        let missed = if find.is_missed { "no webhook told" } else { "" };
        print(format!("{:<40} {why:<8} {missed}", find.at.to_string()).trim_end())
    }

    fn sum_up(
        &self,
        report: &Report,
        requests: u64,
        unfinished: Option<u64>,
        is_served: bool,
    ) -> Result<(), Failure> {
        let (repos, finds) = (report.passed.len(), report.finds().count());
        let missed = report.missed();
        if self.json {
            let failed: Vec<_> = report.failed.iter().map(|f| &f.place).collect();
            return print_json(&json!({
                "repositories": repos, "failed": failed, "finds": finds, "missed": missed,
                "requests": requests, "unfinished": unfinished,
            }));
        }
        print(&format!(
            "{finds} found in {repos} repositories with {requests} requests, {missed} of them missed by webhooks"
        ))?;
        match unfinished {
            _ if self.dry_run => print("a dry run: nothing was kept"),
            Some(0) => print("everything in the inbox is worked off"),
            Some(n) => print(&format!(
                "{n} in the inbox wait for another try; run this again, or start `gitea-triage serve`"
            )),
            None if is_served => {
                print("the running `gitea-triage serve` works them off within a minute")
            }
            None => print("they are in the inbox; `gitea-triage serve` works them off"),
        }
    }
}

/// Whether a running service has the store.
pub(super) fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<store::Error>(), Some(store::Error::InUse(_)))
}

/// A sweep over a store that somebody else works off, or nobody.
fn beside(config: &Config, path: &std::path::Path, is_served: bool) -> Result<Place, Failure> {
    let store = Store::open(path, config.webhook.queue, OpenMode::Shared)?;
    let forge = service::forge(config)?;
    let sweeper = service::sweeper(config, &store, &forge, &Clock::System, None);
    Ok(Place { store, sweeper, worker: None, is_served, _folder: None })
}

/// Works the inbox off with as many hands as the service has; how many deliveries are left for later.
async fn work_off(worker: &Worker, store: &Store, config: &Config) -> Result<u64, Failure> {
    let hands = (0..config.worker.concurrency.max(1)).map(|_| worker.settle(PATIENCE));
    futures_util::future::try_join_all(hands).await?;
    Ok(store.backlog().await?)
}

fn progress(repo: &RepoName, done: u32, pages: u32) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{repo}: page {done} of {pages}\x1b[K");
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

//! `sweep`: one pass over the repositories for changes that no webhook delivered.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Failure, fail_unless, print, print_json, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::RepoName;
use crate::service::{self, Base, Parts};
use crate::store::{self, Find, OpenMode, Store};
use crate::sweep::{How, Report, Sweeper};
use crate::worker::Worker;

/// How long to wait for a retry before the rest is left to the next run or to `serve`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Find changes that no webhook delivered, and process them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage sweep --once\n  gitea-triage sweep --dry-run\n  gitea-triage sweep --enqueue --json\n\nChanged issues go into the inbox and are processed here, or by `serve` if that is running. The first sweep of a repository reads every open issue, later ones only what changed since. Every `sweep.full_every` all open issues are read again."
)]
pub(super) struct Sweep {
    /// Make one pass and exit; `serve` sweeps by itself
    #[arg(long)]
    once: bool,
    /// Only show what would be found; store and write nothing
    #[arg(long, conflicts_with = "enqueue")]
    dry_run: bool,
    /// Only fill the inbox; process nothing
    #[arg(long)]
    enqueue: bool,
    /// Read every open issue, even if that is not due
    #[arg(long)]
    full: bool,
    /// Print one line of JSON for each changed issue, and one with the counts
    #[arg(long)]
    json: bool,
}

/// The parts of one pass.
struct Pass {
    store: Store,
    sweeper: Sweeper,
    /// `None` when a service has the store, or when nothing is to be processed.
    worker: Option<Worker>,
    is_served: bool,
    /// Keeps a temporary store until the pass is over.
    _folder: Option<tempfile::TempDir>,
}

impl Sweep {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let pass = self.open(config).await?;
        let how = How { full: self.full, look_only: self.dry_run, at_once: true };
        let before = pass.sweeper.requests();
        let report = pass.sweeper.round(how, &progress).await?;
        let requests = pass.sweeper.requests() - before;
        clear_progress();
        report.finds().try_for_each(|find| self.show(find))?;
        for failed in &report.failed {
            eprintln!("gitea-triage: `{}` could not be read: {}", failed.place, failed.error);
        }
        let unfinished = match &pass.worker {
            Some(worker) => Some(process(worker, &pass.store, config).await?),
            None => None,
        };
        let end = End { requests, unfinished, is_served: pass.is_served };
        self.summarise(&report, &end)?;
        fail_unless(report.failed.is_empty())
    }

    /// A dry run reads the existing store, or an empty one. A running service keeps the processing to itself.
    async fn open(&self, config: &Config) -> Result<Pass, Failure> {
        let path = service::database(config)?;
        if self.dry_run && !path.exists() {
            let folder = tempfile::tempdir()?;
            let mut pass = beside(config, &folder.path().join("sweep.db"), false)?;
            pass._folder = Some(folder);
            return Ok(pass);
        }
        if self.dry_run || self.enqueue {
            return beside(config, &path, false);
        }
        match Parts::build(config, Clock::System).await {
            Ok(Parts { store, sweeper, worker, .. }) => {
                let (worker, _folder) = (Some(worker), None);
                Ok(Pass { store, sweeper, worker, is_served: false, _folder })
            }
            Err(error) if is_in_use(&error) => beside(config, &path, true),
            Err(error) => Err(error.into()),
        }
    }

    fn show(&self, find: &Find) -> Result<(), Failure> {
        let why = find.why.as_str();
        let value = json!({
            "issue": find.at, "why": why, "missed": find.is_missed, "enqueued": !self.dry_run,
        });
        let missed = if find.is_missed { "no webhook" } else { "" };
        let text = format!("{:<40} {why:<8} {missed}", find.at.to_string());
        show(self.json, &value, text.trim_end())
    }

    fn summarise(&self, report: &Report, end: &End) -> Result<(), Failure> {
        let (repos, finds, missed) = (report.passed.len(), report.finds().count(), report.missed());
        let requests = end.requests;
        if self.json {
            let failed: Vec<_> = report.failed.iter().map(|f| &f.place).collect();
            return print_json(&json!({
                "repositories": repos, "failed": failed, "finds": finds, "missed": missed,
                "requests": requests, "unfinished": end.unfinished,
            }));
        }
        print(&format!(
            "found {finds} changed issues in {repos} repositories with {requests} requests; webhooks \
             had missed {missed} of them"
        ))?;
        match end.unfinished {
            _ if self.dry_run => print("dry run: nothing was stored"),
            Some(0) => print("everything in the inbox is processed"),
            Some(n) => print(&format!(
                "{n} in the inbox wait for a retry; run this again, or start `gitea-triage serve`"
            )),
            None if end.is_served => {
                print("the running `gitea-triage serve` processes them within a minute")
            }
            None => print("they are in the inbox; `gitea-triage serve` processes them"),
        }
    }
}

/// How a pass ended.
struct End {
    requests: u64,
    /// Deliveries that wait for a retry; `None` when nothing was processed here.
    unfinished: Option<u64>,
    is_served: bool,
}

/// Whether a running service has the store.
pub(super) fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<store::Error>(), Some(store::Error::InUse(_)))
}

/// A pass over a store that is processed elsewhere, or not at all.
fn beside(config: &Config, path: &std::path::Path, is_served: bool) -> Result<Pass, Failure> {
    let store = Store::open(path, config.webhook.queue, OpenMode::Shared)?;
    let sweeper = Base::new(config, store.clone(), Clock::System)?.sweeper(None);
    Ok(Pass { store, sweeper, worker: None, is_served, _folder: None })
}

/// Processes the inbox with the configured concurrency; returns how many deliveries are left.
async fn process(worker: &Worker, store: &Store, config: &Config) -> Result<u64, Failure> {
    let workers = (0..config.worker.concurrency.max(1)).map(|_| worker.settle(PATIENCE));
    futures_util::future::try_join_all(workers).await?;
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

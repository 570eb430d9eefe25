//! `sweep`: one pass over the repositories for changes that no webhook delivered.

use clap::Args;
use serde_json::json;

use super::table::Table;
use super::terminal::{self, Piece};
use super::{
    Failure, PATIENCE, complain, fail_unless, open_parts, print, print_json, share_or_empty, show,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::RepoName;
use crate::service::{Base, Parts};
use crate::store::Store;
use crate::sweep::{How, Report};

/// Find changes that no webhook delivered, and process them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage sweep\n  gitea-triage sweep --dry-run\n  gitea-triage sweep --enqueue --json\n  gitea-triage sweep --backlog\n\nChanged issues go into the inbox and are processed here, or by `serve` if that is running. The first sweep of a repository reads every open issue, later ones only what changed since. Every `sweep.full_every` all open issues are read again.\n\nNobody is mentioned for issues that were open before the first sweep, until somebody touches them: `--backlog` treats them like new ones."
)]
pub(super) struct Sweep {
    /// No effect: one pass is what this does; `serve` sweeps by itself
    #[arg(long)]
    once: bool,
    /// Only show what would be found; store and write nothing
    #[arg(short = 'n', long, conflicts_with = "enqueue")]
    dry_run: bool,
    /// Only fill the inbox; process nothing
    #[arg(long)]
    enqueue: bool,
    /// Read every open issue, even if that is not due
    #[arg(long)]
    full: bool,
    /// Evaluate the issues that were open before the first sweep like new ones: people are mentioned and asked
    #[arg(long, conflicts_with_all = ["once", "full"])]
    backlog: bool,
    /// Print one line of JSON for each changed issue, and one with the counts
    #[arg(short, long)]
    json: bool,
}

impl Sweep {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let is_only_looking = self.dry_run || self.enqueue;
        let ((store, parts), _folder) = if is_only_looking {
            let (store, folder) = share_or_empty(config, self.dry_run)?;
            ((store, None), folder)
        } else {
            (open_parts(config).await?, None)
        };
        if self.backlog {
            return self.call_from_before(config, store, parts).await;
        }
        let sweeper = match &parts {
            Some(parts) => parts.sweeper.clone(),
            None => Base::new(config, store, Clock::System)?.sweeper(None),
        };
        let how = How { full: self.full, look_only: self.dry_run, at_once: true };
        let before = sweeper.requests();
        let report = sweeper.round(how, &progress).await?;
        let requests = sweeper.requests() - before;
        terminal::clear_progress();
        self.show(&report)?;
        for failed in &report.failed {
            complain(&format!("`{}` could not be read: {}", failed.place, failed.error));
        }
        for unread in report.unread() {
            complain(&unread.to_string());
        }
        let is_served = parts.is_none() && !is_only_looking;
        let unfinished = match parts {
            Some(parts) => Some(process(&parts, config).await?),
            None => None,
        };
        self.summarise(&report, requests, unfinished, is_served)?;
        fail_unless(report.failed.is_empty())
    }

    /// Has the issues looked at that were open before the first sweep, as if they were new.
    async fn call_from_before(
        &self,
        config: &Config,
        store: Store,
        parts: Option<Parts>,
    ) -> Result<(), Failure> {
        let issues = store.from_before(config.gitea.repos.clone()).await?;
        let count = issues.len();
        for at in &issues {
            let value = json!({"issue": at, "why": "backlog", "enqueued": !self.dry_run});
            show(self.json, &value, &at.to_string())?;
        }
        if !self.dry_run {
            store.call_from_before(issues, Clock::System.now()).await?;
        }
        let is_served = parts.is_none() && !self.enqueue;
        let unfinished = match parts {
            Some(parts) => Some(process(&parts, config).await?),
            None => None,
        };
        if self.json {
            return print_json(&json!({"finds": count, "unfinished": unfinished}));
        }
        print(&format!(
            "{count} issues were open before the first sweep and nobody has touched them"
        ))?;
        self.tell_rest(unfinished, is_served)
    }

    fn show(&self, report: &Report) -> Result<(), Failure> {
        let mut table = Table::new(&["ISSUE", "WHY", "MISSED"], &["WHY"]);
        for find in report.finds() {
            let why = find.why.as_str();
            if self.json {
                print_json(&json!({
                    "issue": find.at, "why": why, "missed": find.is_missed, "enqueued": !self.dry_run,
                }))?;
            }
            let missed = if find.is_missed { "no webhook" } else { "" };
            table.row([find.at.to_string().as_str(), why, missed].map(Piece::plain), "");
        }
        if self.json { Ok(()) } else { Ok(table.print()?) }
    }

    /// `unfinished` deliveries wait for a retry; `None` when nothing was processed here.
    fn summarise(
        &self,
        report: &Report,
        requests: u64,
        unfinished: Option<u64>,
        is_served: bool,
    ) -> Result<(), Failure> {
        let repos = report.passed.len() + report.quiet.len();
        let (finds, missed) = (report.finds().count(), report.missed());
        if self.json {
            let failed: Vec<_> = report.failed.iter().map(|f| &f.place).collect();
            let unread: Vec<_> = report.unread().map(ToString::to_string).collect();
            return print_json(&json!({
                "repositories": repos, "failed": failed, "unread": unread, "finds": finds, "missed": missed,
                "requests": requests, "unfinished": unfinished,
            }));
        }
        print(&format!(
            "found {finds} changed issues in {repos} repositories with {requests} requests; webhooks \
             had missed {missed} of them"
        ))?;
        self.tell_rest(unfinished, is_served)
    }

    /// Says what becomes of what is in the inbox.
    fn tell_rest(&self, unfinished: Option<u64>, is_served: bool) -> Result<(), Failure> {
        match unfinished {
            _ if self.dry_run => print("dry run: nothing was stored"),
            Some(0) => print("everything in the inbox is processed"),
            Some(n) => print(&format!(
                "{n} in the inbox wait for a retry; run this again, or start `gitea-triage serve`"
            )),
            None if is_served => {
                print("the running `gitea-triage serve` processes them within a minute")
            }
            None => print("they are in the inbox; `gitea-triage serve` processes them"),
        }
    }
}

/// Processes the inbox with the configured concurrency; returns how many deliveries are left.
async fn process(parts: &Parts, config: &Config) -> Result<u64, Failure> {
    let workers = (0..config.worker.concurrency.max(1)).map(|_| parts.worker.settle(PATIENCE));
    futures_util::future::try_join_all(workers).await?;
    Ok(parts.store.backlog().await?)
}

fn progress(repo: &RepoName, done: u32, pages: u32) {
    terminal::progress(&format!("{repo}: page {done} of {pages}"));
}

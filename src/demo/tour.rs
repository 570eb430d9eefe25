//! One issue in each state, in a repository of its own: each is opened as a person would, and what it comes to is decided by
//! the service.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::{PATIENCE, STEP, world};
use crate::dispatch::DispatchState;
use crate::fake_gitea::{FakeGitea, Fault, FaultKind};
use crate::issue::{IssueRef, RepoName};
use crate::store::Store;

/// The people who may write to the repository; the first two are asked in turn.
pub(super) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

const READY: [&str; 2] = [
    "Export to CSV drops the last row",
    "1. Create a table with five rows\n2. Export it as CSV with `export_rows()`\n3. Open the file\n\n\
     The last row is missing. All rows of the table should be in the file.",
];
const SAME: [&str; 2] = [
    "CSV export is missing the last row of the table",
    "When I export a table as CSV, the file lacks its last row. It should have all rows. Seen with version 2.3 on Linux; \
     the code is `export_rows()`.\n\n1. Create a table\n2. Export as CSV",
];
const VAGUE: [&str; 2] = ["The list is wrong", "It is not as it was before the update."];
const URGENT: [&str; 2] = [
    "Data loss: notes are gone after saving",
    "All notes of last week were gone when I came back from lunch.",
];
const HOPELESS: [&str; 2] = [
    "[Research] Find out why the nightly import stalls on the mainframe",
    "`import_all()` in `src/import/nightly.py` stalls after 02:00.\n\n## Acceptance criteria\n- [ ] the cause is named\n\
     - [ ] `docs/import.md` says how to see it\n- [ ] a test shows it",
];
const AT_WORK: [&str; 2] = [
    "[Research] Compare three queues for sending mail",
    "`enqueue()` in `src/queue/mod.rs` should not lose mail when the process ends.\n\n## Acceptance criteria\n\
     - [ ] three queues are measured\n- [ ] `docs/queue.md` has the figures\n- [ ] a test shows the difference",
];
const NEXT: [&str; 2] = [
    "[Research] Which image format is smallest for the thumbnails",
    "`thumbnail()` in `src/images/scale.rs` writes PNG.\n\n## Acceptance criteria\n- [ ] WebP and AVIF are measured\n\
     - [ ] `docs/images.md` has the figures",
];
const AFTER_THAT: [&str; 2] = [
    "[Research] Can the search index be built in parallel",
    "`build_index()` in `src/search/index.rs` uses one core.\n\n## Acceptance criteria\n- [ ] two and four cores are measured\n\
     - [ ] `docs/search.md` has the figures",
];
const UNREADABLE: [&str; 2] = [
    "[Bug] The clock in the footer is an hour slow",
    "`footer()` in `src/page.py` should use the time zone of the reader.",
];

/// Where the tour takes place.
pub(super) struct Tour<'a> {
    pub gitea: &'a FakeGitea,
    pub repo: &'a RepoName,
    pub store: &'a Store,
}

impl Tour<'_> {
    /// Opens all of the issues, and waits for each that the next one depends on.
    pub async fn take(&self) -> anyhow::Result<()> {
        let ready = self.open("bob", READY);
        self.decided(&ready).await?;
        self.open("carol", SAME);
        self.open("carol", VAGUE);
        self.open("bob", URGENT);
        self.fail_one().await?;
        let hopeless = self.open("bob", HOPELESS);
        self.comes_to(&hopeless, DispatchState::Escalated).await?;
        let at_work = self.open("carol", AT_WORK);
        self.comes_to(&at_work, DispatchState::InProgress).await?;
        for issue in [NEXT, AFTER_THAT] {
            self.decided(&self.open("bob", issue)).await?;
        }
        Ok(())
    }

    fn open(&self, by: &str, issue: [&str; 2]) -> IssueRef {
        world::open(self.gitea, self.repo, by, issue)
    }

    /// An issue that the service may not read: its delivery fails, and can be retried afterwards.
    async fn fail_one(&self) -> anyhow::Result<()> {
        // Somebody may be opening others, so its number is known only then.
        self.gitea.pause_deliveries();
        let at = self.open("carol", UNREADABLE);
        self.gitea.fail(Fault {
            method: Some("GET".to_owned()),
            path_contains: format!("/{}/issues/{}?", at.repo, at.number),
            times: 1,
            kind: FaultKind::Status(403),
        });
        self.gitea.resume();
        self.until("a delivery fails", async || Ok(self.store.gauges().await?.dead > 0)).await
    }

    async fn decided(&self, at: &IssueRef) -> anyhow::Result<()> {
        let has_decision = async || {
            let history = self.store.history(at.clone()).await?;
            Ok(history.is_some_and(|history| !history.evaluations.is_empty()))
        };
        self.until("an issue is decided about", has_decision).await
    }

    async fn comes_to(&self, at: &IssueRef, state: DispatchState) -> anyhow::Result<()> {
        let is_there = async || {
            let history = self.store.history(at.clone()).await?;
            let last = history.and_then(|history| Some(history.dispatches.last()?.state));
            Ok(last == Some(state))
        };
        self.until("an agent goes on", is_there).await
    }

    async fn until(
        &self,
        what: &str,
        mut done: impl AsyncFnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while !done().await? {
            if began.elapsed() > PATIENCE {
                bail!("{} did not come to this within {PATIENCE:?}: {what}", self.repo);
            }
            tokio::time::sleep(STEP.max(Duration::from_millis(20))).await;
        }
        Ok(())
    }
}

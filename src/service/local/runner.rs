//! Takes what is handed to the local agent and lets it work in the background; what comes of a run is reported like any
//! agent's. It decides nothing about the dispatch.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::LocalRuns;
use crate::agents::local::{Run, Task};
use crate::agents::{AgentClient, HandedOver};
use crate::clock::Clock;
use crate::dispatch::{Agent, Dispatch, Handoff, Progress, Report};
use crate::issue::IssueRef;
use crate::store::{self, Store};

/// Lets the local agent work on what it is handed. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    inner: Arc<Inner>,
}

struct Inner {
    runs: LocalRuns,
    store: Store,
    clock: Clock,
    /// Called when something was reported.
    reported: Box<dyn Fn() + Send + Sync>,
    /// The dispatches that are worked on.
    working: Mutex<BTreeSet<String>>,
    idle: Notify,
}

impl AgentClient for Runner {
    fn hand_off<'a>(&'a self, _: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        self.begin(handoff.dispatch_id.clone(), handoff.at.clone());
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Runner {
    /// A runner over these runs; `reported` is called when there is something to look at.
    pub fn new(
        runs: LocalRuns,
        store: Store,
        clock: Clock,
        reported: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (reported, working) = (Box::new(reported), Mutex::default());
        let inner = Inner { runs, store, clock, reported, working, idle: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Begins anew what was cut off when the program ended: a dispatch that was handed over and has nobody at work.
    pub fn take_up(&self, open: Vec<Dispatch>) {
        for dispatch in open {
            self.begin(dispatch.key, dispatch.at);
        }
    }

    /// Waits until nothing is worked on.
    pub async fn finished(&self) {
        loop {
            let idle = self.inner.idle.notified();
            if self.inner.working().is_empty() {
                return;
            }
            idle.await;
        }
    }

    fn begin(&self, key: String, at: IssueRef) {
        // Told twice, it begins once.
        if self.inner.working().insert(key.clone()) {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move { inner.work(key, at).await });
        }
    }
}

impl Inner {
    async fn work(&self, key: String, at: IssueRef) {
        let began = Report { state: Progress::InProgress, message: None, url: None };
        self.report(&key, began).await;
        let run = self.runs.run(Task::new(at.clone()), &|_| ()).await;
        let report = match run {
            Ok(run) => told(run),
            Err(error) => {
                tracing::error!(issue = %at, error = format!("{error:#}"), "the local agent could not run");
                failed("the store failed under it; see the log".to_owned())
            }
        };
        self.report(&key, report).await;
        self.working().remove(&key);
        self.idle.notify_waiters();
    }

    /// What a store that fails does not take is told again by the next start.
    async fn report(&self, key: &str, report: Report) {
        let told: Result<(), store::Error> = async {
            match self.store.dispatch_by_key(key.to_owned()).await? {
                Some(dispatch) if dispatch.state.is_open() => {
                    self.store.report(&dispatch, report, self.clock.now()).await
                }
                // A person took it away meanwhile.
                _ => Ok(()),
            }
        }
        .await;
        match told {
            Ok(()) => (self.reported)(),
            Err(error) => tracing::error!(%error, "the local agent's report could not be kept"),
        }
    }

    fn working(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run came to.
fn told(run: Run) -> Report {
    if run.is_failed() {
        return failed(run.error);
    }
    Report { state: Progress::Completed, message: Some(run.content), url: None }
}

fn failed(message: String) -> Report {
    Report { state: Progress::Failed, message: Some(message), url: None }
}

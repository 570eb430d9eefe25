//! The local agent as one that can be handed an issue: it works in the background, and its runs are reported like any
//! agent's work. It decides nothing about the dispatch.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{LocalRules, LocalRuns, Parts, Run, Task};
use crate::apply::{AgentClient, HandedOver};
use crate::dispatch::{Agent, Dispatch, Handoff, Interface, Progress, Report};
use crate::issue::IssueRef;
use crate::store;

/// How often, and after what pause, it is asked whether the writes of an earlier run are known: for half a minute, after
/// which the forge is not there to write to either.
const RECOVERY_LOOKS: u32 = 300;
const RECOVERY_LOOK: Duration = Duration::from_millis(100);
/// How often, and after what pause, a store that fails is asked again: for two minutes.
const STORE_TRIES: u32 = 120;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Starts the local agent on what it is handed. Cheap to clone.
#[derive(Clone)]
pub struct LocalClient(Arc<Inner>);

struct Inner {
    runs: LocalRuns,
    /// Called when something was reported.
    reported: Box<dyn Fn() + Send + Sync>,
    /// The dispatches that are worked on.
    working: watch::Sender<BTreeSet<String>>,
}

impl AgentClient for LocalClient {
    fn hand_off<'a>(&'a self, _: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        self.begin(handoff.dispatch_id.clone(), handoff.at.clone());
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl LocalClient {
    /// A client over these runs; `reported` is called when there is something to look at.
    pub fn new(runs: LocalRuns, reported: impl Fn() + Send + Sync + 'static) -> Self {
        let (reported, working) = (Box::new(reported), watch::Sender::default());
        Self(Arc::new(Inner { runs, reported, working }))
    }

    /// Swaps what the owner tunes.
    pub fn set_rules(&self, rules: LocalRules) {
        self.0.runs.set_rules(rules);
    }

    /// Begins anew what was cut off when a program ended, this one before or another one: dispatches that were handed over
    /// and have nobody at work.
    pub async fn resume(&self) {
        let environment = &self.0.runs.environment;
        let (parts, rules) = (&environment.parts, environment.rules.load_full());
        let local = rules.agents.iter().filter(|agent| agent.interface == Interface::Local);
        match parts.store.handed_over(local.map(|agent| agent.id.clone()).collect()).await {
            Ok(open) => self.take_up(open),
            Err(error) => {
                tracing::error!(%error, "what the local agent had begun could not be read")
            }
        }
    }

    /// Does it on this runtime, for somebody who is not to keep the agent.
    pub fn resumer(&self) -> impl Fn() + Send + Sync + 'static {
        let (inner, runtime) = (Arc::downgrade(&self.0), Handle::current());
        move || {
            if let Some(inner) = inner.upgrade() {
                runtime.spawn(async move { Self(inner).resume().await });
            }
        }
    }

    /// Begins those of these dispatches that are not worked on.
    pub fn take_up(&self, open: Vec<Dispatch>) {
        for dispatch in open {
            self.begin(dispatch.key, dispatch.at);
        }
    }

    /// The keys of the dispatches that are worked on.
    pub fn working(&self) -> BTreeSet<String> {
        self.0.working.borrow().clone()
    }

    /// Ends the servers of tools that were started.
    pub async fn stop(&self) {
        self.0.runs.agent.stop().await;
    }

    /// Waits until nothing is worked on.
    pub async fn finished(&self) {
        // Fails only without a sender, which is ours.
        let _ = self.0.working.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    fn begin(&self, key: String, at: IssueRef) {
        // Told twice, it begins once.
        if self.0.working.send_if_modified(|working| working.insert(key.clone())) {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.work(key, at).await });
        }
    }
}

/// Asks the store again where it fails, for as long as a database may take to come back. What is done within a term ends
/// with it.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, store::Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    for tried in 1..STORE_TRIES {
        match ask().await {
            // It will not come back.
            Err(error @ (store::Error::Closed | store::Error::TooNew(_))) => return Err(error),
            Err(error) if tried == 1 => {
                tracing::warn!(%error, "the store failed under the local agent; trying again");
            }
            Err(_) => {}
            found => return found,
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
    ask().await
}

impl Inner {
    /// Works on a dispatch unless another service does; what is cut off because this one is out of touch with the others,
    /// one of them begins anew.
    async fn work(&self, key: String, at: IssueRef) {
        let store = &self.runs.environment.parts.store;
        match patiently(|| store.take_up(key.clone())).await {
            Ok(Some(term)) => drop(term.hold(self.work_alone(&key, at)).await),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(issue = %at, %error, "the local agent could not begin; it does after the next start");
            }
        }
        self.working.send_if_modified(|working| working.remove(&key));
    }

    async fn work_alone(&self, key: &str, at: IssueRef) {
        self.report(key, Progress::InProgress, None).await;
        self.after_recovery(key).await;
        let run = AssertUnwindSafe(self.run(key, at.clone())).catch_unwind();
        let (state, said) = match run.await {
            Ok(Ok(run)) if run.is_failed() => (Progress::Failed, run.error),
            Ok(Ok(run)) => (Progress::Completed, run.content),
            // Nobody else ends a dispatch whose run is gone.
            Err(_) => {
                tracing::error!(issue = %at, "the local agent's run broke off; please report it with the log around it");
                (Progress::Failed, "an internal error; see the log".to_owned())
            }
            Ok(Err(error)) => {
                tracing::error!(issue = %at, error = format!("{error:#}"), "the local agent could not run");
                (Progress::Failed, "the store failed under it; see the log".to_owned())
            }
        };
        self.report(key, state, Some(said)).await;
    }

    /// Waits until the worker, which the report has called, knows what became of each write that an earlier run meant when
    /// it was cut off: before that, another comment of the same words would be taken for it.
    async fn after_recovery(&self, key: &str) {
        let store = &self.runs.environment.parts.store;
        for _ in 0..RECOVERY_LOOKS {
            match store.has_open_agent_writes(key.to_owned()).await {
                Ok(true) => tokio::time::sleep(RECOVERY_LOOK).await,
                _ => return,
            }
        }
    }

    /// Works on the text that was approved, or on none. What was approved is read while the dispatch is open: a change
    /// that was seen ends it.
    async fn run(&self, key: &str, at: IssueRef) -> anyhow::Result<Run> {
        let store = &self.runs.environment.parts.store;
        let approved = store.approved_text(key.to_owned()).await?;
        let found = store.dispatch_by_key(key.to_owned()).await?;
        if !found.is_some_and(|dispatch| dispatch.state.is_open()) {
            let error = "the dispatch is over".to_owned();
            return Ok(Run { error, ..Run::default() });
        }
        self.runs.run(Task { approved, ..Task::new(at) }, &|_| ()).await
    }

    /// A report that the store does not take for long is made again after the next start.
    async fn report(&self, key: &str, state: Progress, message: Option<String>) {
        let report = Report { message, ..Report::new(state) };
        match patiently(|| self.keep(key, report.clone())).await {
            Ok(()) => (self.reported)(),
            Err(error) => tracing::error!(%error, "the local agent's report could not be kept"),
        }
    }

    async fn keep(&self, key: &str, report: Report) -> Result<(), store::Error> {
        let Parts { store, clock, .. } = &self.runs.environment.parts;
        match store.dispatch_by_key(key.to_owned()).await? {
            Some(open) if open.state.is_open() => store.report(&open, report, clock.now()).await,
            // A person took it away meanwhile.
            _ => Ok(()),
        }
    }
}

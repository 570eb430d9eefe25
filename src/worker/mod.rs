//! Processes the inbox: classifies what has arrived into lanes, and reconciles one issue at a time. It decides nothing
//! about an issue; it decides when to look, when to retry and when to stop.

mod ask;
mod assess;
mod beforehand;
mod breaker;
mod classify;
mod given_up;
mod identify;
mod preview;
mod process;
mod reconcile;
mod requests;
mod retry;
mod write_limit;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::apply::{AgentClients, Executor, LabelRules};
use crate::clock::{Clock, Timestamp, from_millis};
use crate::gitea as forge;
use crate::issue::Account;
use crate::meters::{Table, Working};
use crate::plan::EffectKind;
use crate::store::{self, Pace, Store};
use crate::triage::Action;

use self::breaker::Breaker;
use self::write_limit::WriteLimits;

pub use crate::triage::{Check, Rules};

/// How long lanes rest. Gitea sends the three to five deliveries of one new issue within a few milliseconds, and
/// gathers its queue for 100 ms (gitea-facts 1.7), so edits of one burst are less than a quarter second apart.
pub const PACE: Pace = Pace {
    siblings: Duration::from_millis(40),
    quiet: Duration::from_millis(250),
    moment: Duration::from_millis(1_500),
    longest: Duration::from_secs(2),
};

/// How long an idle worker sleeps at most before it looks again by itself.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// How far the clock may go back without being taken for set back: workers read it one after the other.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(2);
/// How often dispatches are looked through for those whose time has come.
const WAKE_EVERY_MS: i64 = 200;
/// How long to let the store be when it fails.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What a worker is made of.
pub struct Parts {
    /// The inbox and the ledger.
    pub store: Store,
    /// Where issues are read.
    pub forge: forge::Client,
    /// Where effects are written.
    pub executor: Executor,
    /// The time.
    pub clock: Clock,
    /// What the owner tunes.
    pub rules: ArcSwap<Rules>,
    /// Notified by the receiver when something was accepted.
    pub arrived: Arc<Notify>,
}

/// Processes the inbox. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    parts: Arc<Parts>,
    state: Arc<State>,
}

/// What is kept between two issues.
#[derive(Default)]
struct State {
    account: ArcSwapOption<Account>,
    /// The repositories of which an older version kept no id were asked for.
    has_identified_repos: AtomicBool,
    /// Issues were woken for what a start or new rules may have made possible.
    has_filled_places: AtomicBool,
    /// The latest time that was seen, in milliseconds since 1970; 0 before any was.
    latest: AtomicI64,
    /// When dispatches were last looked through for those whose time has come, in milliseconds since 1970.
    woken_at: AtomicI64,
    /// Claims the store would not take back yet.
    unfinished: Mutex<Vec<process::Unfinished>>,
    /// Notified when a lane may be due.
    due: Notify,
    breaker: Breaker,
    write_limits: WriteLimits,
    meters: Arc<Working>,
}

impl Worker {
    /// A worker over these parts.
    pub fn new(parts: Parts) -> Self {
        let state = State { meters: Arc::new(meters()), ..State::default() };
        Self { parts: Arc::new(parts), state: Arc::new(state) }
    }

    /// Swaps the rules; work in flight ends under the old ones.
    pub fn set_rules(&self, rules: Arc<Rules>) {
        self.parts.rules.store(rules);
        self.state.has_filled_places.store(false, Ordering::SeqCst);
        self.state.due.notify_waiters();
    }

    /// Says which account is ours, so that its changes are known as our own.
    pub fn set_account(&self, account: Account) {
        self.state.account.store(Some(Arc::new(account)));
    }

    /// Swaps how labels are made.
    pub fn set_labels(&self, labels: LabelRules) {
        self.parts.executor.set_labels(labels);
    }

    /// Swaps how agents are reached; work in flight ends as before.
    pub fn set_clients(&self, clients: AgentClients) {
        self.parts.executor.set_clients(clients);
    }

    /// Says that lanes have become due otherwise than by an arrival. One worker looks, and calls the next when it has found
    /// something.
    pub fn wake(&self) {
        self.state.due.notify_one();
    }

    /// The same for somebody who is not to keep the worker, and the store with it.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let state = Arc::clone(&self.state);
        move || state.due.notify_one()
    }

    /// Notified when the forge can be reached again: deliveries may have been lost meanwhile.
    pub fn after_outage(&self) -> Arc<Notify> {
        Arc::clone(&self.state.breaker.over)
    }

    /// Until when the forge is to be left alone, because it asked for that or is unreachable.
    pub fn rests_until(&self) -> Option<Timestamp> {
        self.state.breaker.rests_until(self.parts.clock.now())
    }

    /// What was done so far, for the metrics.
    pub fn meters(&self) -> Arc<Working> {
        Arc::clone(&self.state.meters)
    }

    fn rules(&self) -> Arc<Rules> {
        self.parts.rules.load_full()
    }

    fn account(&self) -> Option<Arc<Account>> {
        self.state.account.load_full()
    }

    /// Classifies what arrives, until the task is dropped.
    pub async fn classify_forever(self) {
        loop {
            match self.classify().await {
                // Now and then without being notified: a command beside the service may have revived something.
                Ok(0) => {
                    let arrival = self.parts.arrived.notified();
                    let _ = tokio::time::timeout(LONGEST_SLEEP, arrival).await;
                }
                Ok(_) => self.wake(),
                Err(error) => {
                    tracing::error!(%error, "the inbox could not be classified; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Processes lanes until `stop` says so; the lane in hand is finished first.
    pub async fn work_until(self, stop: Arc<tokio::sync::watch::Receiver<bool>>) {
        let mut stop = (*stop).clone();
        while !*stop.borrow() {
            // Enlisted before looking, so that what becomes due between the look and the wait is not missed.
            let due = self.state.due.notified();
            match self.work_one().await {
                Ok(true) => {}
                Ok(false) => {
                    let pause = self.pause().await;
                    tokio::select! {
                        () = due => {}
                        () = tokio::time::sleep(pause) => {}
                        _ = stop.changed() => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the store could not be used; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Takes the next due lane through the flow, or asks an unreachable forge whether it answers again; false when
    /// there is nothing to do.
    async fn work_one(&self) -> Result<bool, store::Error> {
        if self.parts.store.term().is_over() {
            return Ok(false);
        }
        self.give_back_all().await?;
        let now = self.parts.clock.now();
        self.notice_clock_set_back(now).await?;
        if let Some(is_back) = self.held_up().await {
            if !is_back && self.is_time_to_wake(now) {
                self.parts.store.end_overdue(now).await?;
            }
            return Ok(is_back);
        }
        self.identify_repos().await?;
        self.wake_due(now).await?;
        self.fill_places(now).await?;
        match self.parts.store.claim(now).await? {
            Some(claim) => {
                boundary!("claim::taken");
                // There may be more, and somebody who sleeps.
                self.wake();
                self.process(claim).await.map(|()| true)
            }
            None => Ok(self.parts.store.wake_due(now).await? > 0),
        }
    }

    /// Wakes the issues of dispatches whose time has come, now and then while there is something else to do.
    async fn wake_due(&self, now: Timestamp) -> Result<(), store::Error> {
        if !self.is_time_to_wake(now) {
            return Ok(());
        }
        self.parts.store.wake_due(now).await.map(drop)
    }

    /// Whether dispatches were not looked through a moment ago.
    fn is_time_to_wake(&self, now: Timestamp) -> bool {
        let last = self.state.woken_at.load(Ordering::Relaxed);
        let is_time = (now.timestamp_millis() - last).abs() >= WAKE_EVERY_MS;
        if is_time {
            self.state.woken_at.store(now.timestamp_millis(), Ordering::Relaxed);
        }
        is_time
    }

    /// Wakes issues for what a start or new rules may have made possible.
    async fn fill_places(&self, now: Timestamp) -> Result<(), store::Error> {
        if self.state.has_filled_places.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let woken = self.wake_all(now).await;
        if woken.is_err() {
            self.state.has_filled_places.store(false, Ordering::SeqCst);
        }
        woken
    }

    /// Wakes the issues that wait for a place, and those of which a dry run withheld something, unless it goes on.
    async fn wake_all(&self, now: Timestamp) -> Result<(), store::Error> {
        let store = &self.parts.store;
        store.wake_for_places(self.rules().agents.clone(), now).await?;
        while !self.parts.forge.is_dry_run() && store.wake_withheld(now).await? > 0 {}
        Ok(())
    }

    /// Lanes are due at a time of day, so a clock that is set back would make them wait for as long again. After a
    /// start, the latest delivery says what time it was, unless other machines took some in by clocks of their own.
    async fn notice_clock_set_back(&self, now: Timestamp) -> Result<(), store::Error> {
        let before = match self.state.latest.swap(now.timestamp_millis(), Ordering::SeqCst) {
            0 if self.parts.store.replicas() > 1 => return Ok(()),
            0 => match self.parts.store.latest_arrival().await? {
                Some(at) => at,
                None => return Ok(()),
            },
            ms => from_millis(ms),
        };
        let back = before - now;
        // Of several machines, the clock of one says nothing about what waits.
        if back <= CLOCK_SLACK || self.parts.store.replicas() > 1 {
            return Ok(());
        }
        let seconds = back.num_seconds();
        tracing::warn!(seconds, "the clock was set back; what waits goes with it");
        let set_back = self.parts.store.set_back(back).await;
        if set_back.is_err() {
            // To be noticed again by the next look.
            self.state.latest.fetch_max(before.timestamp_millis(), Ordering::SeqCst);
        }
        set_back
    }

    /// How long until the next lane is due.
    async fn pause(&self) -> Duration {
        let now = self.parts.clock.now();
        if self.parts.store.term().is_over() {
            // Whoever takes part again is woken.
            return LONGEST_SLEEP;
        }
        let due = match self.state.breaker.rests_until(now) {
            Some(until) => Some(until),
            None => self.parts.store.next_due().await.ok().flatten(),
        };
        due.map_or(LONGEST_SLEEP, |at| (at - now).to_std().unwrap_or_default())
            .clamp(Duration::from_millis(1), LONGEST_SLEEP)
    }

    /// Processes all there is, waiting for what is due within `patience`; a manual clock is moved instead of
    /// waited for.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn settle(&self, patience: Duration) -> Result<(), store::Error> {
        loop {
            if self.classify().await? > 0 || self.work_one().await? {
                continue;
            }
            let now = self.parts.clock.now();
            let Some(due) = self.parts.store.next_due().await? else { return Ok(()) };
            let due = self.state.breaker.rests_until(now).unwrap_or(due);
            let pause = (due - now).to_std().unwrap_or_default();
            if pause > patience {
                return Ok(());
            }
            match &self.parts.clock {
                Clock::System => tokio::time::sleep(pause).await,
                manual @ Clock::Manual(_) => manual.advance(due - now),
            }
        }
    }
}

/// The worker's meters, with a zero for all that can be counted.
fn meters() -> Working {
    let results = ["done", "failed", "withheld", "held_back", "error"];
    let effects =
        EffectKind::ALL.iter().flat_map(|kind| results.map(|result| [kind.as_str(), result]));
    Working {
        decisions: Table::with(Action::ALL.iter().map(|action| [action.as_str()])),
        effects: Table::with(effects),
        ..Working::default()
    }
}

//! The circuit breaker: while the forge is unreachable, no issue is taken up, and one cheap call now and then asks whether
//! it answers again. The first half is pure: it gets what happened and when, and says what may be done.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::plan::Decided;

use super::Worker;

/// How many failures in a row that speak of an outage are one.
const OPENS_AFTER: u32 = 5;
/// The pause before the first probe; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a probe may take. Nobody else probes in this time.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// The longest that one answer can hold up every issue; the issue itself waits as long as the answer says.
const LONGEST_HOLD: Duration = Duration::from_secs(3_600);
/// A failure so soon after a probe, with no success in between, belongs to the same outage.
const RELAPSE: Duration = Duration::from_secs(60);

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Take issues up.
    Pass,
    /// Ask the forge whether it answers again; only one caller gets this.
    Probe,
    /// Nothing.
    Wait,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tripped {
    /// Nothing new.
    No,
    /// An outage begins.
    Opened,
    /// The outage that a probe took to be over goes on.
    Relapsed,
}

/// A time span on the service's clock. One that began in the future is over: the clock was set back.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

impl Span {
    fn new(from: Timestamp, length: Duration) -> Self {
        Self { from, until: from + length }
    }

    fn holds(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// The one that ends later, beginning now.
    fn or_longer(self, other: Option<Self>) -> Self {
        let until = other.filter(|o| o.holds(self.from)).map_or(self.until, |o| o.until);
        Self { until: until.max(self.until), ..self }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// While it lasts, the forge is left alone: it asked for that, or it is unreachable and the next probe is not due.
    rest: Option<Span>,
    /// The pause before the latest probe; set while the breaker is open.
    open: Option<Duration>,
    /// Whether deliveries may have been lost.
    may_have_lost: bool,
    /// The latest probe that found the forge back, and the pause before it, until another call confirms it.
    unproven: Option<(Span, Duration)>,
}

/// Whether the forge may be asked.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    /// Notified when the forge can be reached again after an outage in which deliveries may have been lost.
    pub over: Arc<Notify>,
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be done now. [`Gate::Probe`] is given to one caller, who has to report what came of it.
    pub fn gate(&self, now: Timestamp) -> Gate {
        let mut state = self.lock();
        match (state.rest.is_some_and(|rest| rest.holds(now)), state.open) {
            (true, _) => Gate::Wait,
            (false, None) => Gate::Pass,
            (false, Some(_)) => {
                // A second on top, so that the prober's own time is over first.
                state.rest = Some(Span::new(now, PROBE_LIMIT + Duration::from_secs(1)));
                Gate::Probe
            }
        }
    }

    /// Until when nothing may be done.
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        let state = self.lock();
        let rest = state.rest.filter(|rest| rest.holds(now)).map(|rest| rest.until);
        rest.or(state.open.map(|_| now))
    }

    /// Whether the last that was heard of the forge spoke of no outage.
    pub fn is_steady(&self) -> bool {
        let state = self.lock();
        state.failures == 0 && state.open.is_none() && state.unproven.is_none()
    }

    /// The forge answered an issue's call; it is there.
    pub fn answered(&self) {
        let mut state = self.lock();
        if state.open.is_none() {
            (state.failures, state.unproven) = (0, None);
            self.is_back(&mut state);
        }
    }

    fn is_back(&self, state: &mut State) {
        if std::mem::take(&mut state.may_have_lost) {
            self.over.notify_one();
        }
    }

    /// Notes that deliveries may be lost by this, beside the failure that is counted.
    pub fn note_loss(&self, error: &forge::Error) {
        self.lock().may_have_lost |= may_lose(error);
    }

    /// A call failed in a way that speaks of an outage.
    pub fn failed(&self, now: Timestamp, retry_after: Option<Duration>, may_lose: bool) -> Tripped {
        let mut state = self.lock();
        state.may_have_lost |= may_lose;
        if let Some(wish) = retry_after {
            state.rest = Some(Span::new(now, wish.min(LONGEST_HOLD)).or_longer(state.rest));
        }
        if state.open.is_some() {
            return Tripped::No;
        }
        state.failures += 1;
        let relapse = state.unproven.take().filter(|(since, _)| since.holds(now));
        let (pause, tripped) = match relapse {
            Some((_, pause)) => (longer(pause), Tripped::Relapsed),
            None if state.failures >= OPENS_AFTER => (FIRST_PAUSE, Tripped::Opened),
            None => return Tripped::No,
        };
        state.open = Some(pause);
        state.rest = Some(Span::new(now, pause).or_longer(state.rest));
        tripped
    }

    /// The probe found the forge back.
    pub fn recovered(&self, now: Timestamp) {
        let mut state = self.lock();
        let pause = state.open.take().unwrap_or(FIRST_PAUSE);
        state.unproven = Some((Span::new(now, RELAPSE), pause));
        (state.failures, state.rest) = (0, None);
        self.is_back(&mut state);
    }

    /// The probe found the forge still unreachable.
    pub fn still_unreachable(&self, now: Timestamp, retry_after: Option<Duration>) {
        let mut state = self.lock();
        let pause = state.open.map_or(FIRST_PAUSE, longer);
        state.open = Some(pause);
        let wish = retry_after.unwrap_or_default().min(LONGEST_HOLD);
        state.rest = Some(Span::new(now, pause.max(wish)));
    }
}

/// A forge that asks for fewer requests is there, and loses no delivery.
fn may_lose(error: &forge::Error) -> bool {
    error.is_outage() && error.status() != Some(429)
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

impl Worker {
    /// Says what stands between the worker and the next issue: `None` when nothing does, `Some(true)` when the forge
    /// was asked and answers again, `Some(false)` when it has to wait.
    pub(super) async fn held_up(&self) -> Option<bool> {
        match self.state.breaker.gate(self.parts.clock.now()) {
            Gate::Pass => None,
            Gate::Wait => Some(false),
            Gate::Probe => Some(self.probe().await),
        }
    }

    /// Counts an issue that was reconciled: it shows that the forge is there.
    pub(super) fn record_success(&self, decided: &Decided) {
        self.state.meters.decisions.add([decided.evaluation.decision.action().as_str()]);
        self.state.breaker.answered();
    }

    /// Records why an issue could not be reconciled; whether that speaks of an outage.
    pub(super) fn record_failure(&self, error: &forge::Error) -> bool {
        if !error.is_outage() {
            self.state.breaker.answered();
            return false;
        }
        let (now, wish) = (self.parts.clock.now(), error.retry_after());
        match self.state.breaker.failed(now, wish, may_lose(error)) {
            Tripped::No => return true,
            Tripped::Opened => {
                self.state.meters.outages.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "the forge is unreachable; issues wait until it answers again, deliveries are accepted as before");
            }
            Tripped::Relapsed => {
                tracing::warn!(%error, "the forge is still unreachable; issues keep waiting");
            }
        }
        self.state.meters.is_unreachable.store(true, Ordering::Relaxed);
        true
    }

    /// Asks the forge whether it answers again; true when it does. A cheap call, and one that writes nothing.
    async fn probe(&self) -> bool {
        let asked = tokio::time::timeout(PROBE_LIMIT, self.parts.forge.version()).await;
        let now = self.parts.clock.now();
        let is_outage = |e: &forge::Error| e.is_outage() || e.status().is_some_and(|s| s >= 500);
        let wish = match asked {
            Err(_) => None,
            Ok(Err(error)) if is_outage(&error) => error.retry_after(),
            // Any other refusal, such as of the token, is one that only the issue's own call can report.
            Ok(_) => {
                self.state.breaker.recovered(now);
                self.state.meters.is_unreachable.store(false, Ordering::Relaxed);
                tracing::info!("the forge answers again; waiting issues are processed");
                self.state.due.notify_waiters();
                return true;
            }
        };
        self.state.breaker.still_unreachable(now, wish);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use futures_util::FutureExt as _;

    fn at(second: i64) -> Timestamp {
        from_millis(second * 1_000)
    }

    fn seconds(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    /// One that opened at second 0.
    fn open() -> Breaker {
        let breaker = Breaker::default();
        for n in 1..=OPENS_AFTER {
            let expected = if n == OPENS_AFTER { Tripped::Opened } else { Tripped::No };
            assert_eq!(breaker.failed(at(0), None, true), expected);
        }
        breaker
    }

    #[test]
    fn failures_with_a_success_between_them_open_nothing() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..OPENS_AFTER {
                assert_eq!(breaker.failed(at(0), None, true), Tripped::No);
            }
            breaker.answered();
        }
        assert_eq!(breaker.gate(at(0)), Gate::Pass);
    }

    #[test]
    fn one_probe_is_given_out_and_the_pause_grows_to_thirty_seconds() {
        let breaker = open();
        let mut now = 0;
        for pause in [2, 4, 8, 16, 30, 30] {
            assert_eq!(breaker.gate(at(now + pause - 1)), Gate::Wait);
            now += pause;
            assert_eq!(breaker.gate(at(now)), Gate::Probe);
            assert_eq!(breaker.gate(at(now)), Gate::Wait, "while the probe is on its way");
            breaker.still_unreachable(at(now), None);
        }
    }

    #[test]
    fn a_probe_that_never_came_back_is_followed_by_another() {
        let breaker = open();
        assert_eq!(breaker.gate(at(2)), Gate::Probe);
        assert_eq!(breaker.gate(at(12)), Gate::Wait);
        assert_eq!(breaker.gate(at(13)), Gate::Probe);
    }

    #[test]
    fn a_late_failure_opens_nothing_twice_but_its_wish_is_kept() {
        let breaker = open();
        assert_eq!(breaker.failed(at(1), seconds(90), true), Tripped::No);
        assert_eq!(breaker.gate(at(90)), Gate::Wait);
        assert_eq!(breaker.gate(at(91)), Gate::Probe);
        breaker.still_unreachable(at(91), seconds(60));
        assert_eq!(breaker.gate(at(150)), Gate::Wait);
        assert_eq!(breaker.gate(at(151)), Gate::Probe);
    }

    #[test]
    fn a_wish_of_one_answer_is_kept_by_all() {
        let breaker = Breaker::default();
        assert_eq!(breaker.failed(at(0), seconds(20), true), Tripped::No);
        assert_eq!(breaker.failed(at(0), seconds(5), true), Tripped::No);
        assert_eq!(breaker.rests_until(at(1)), Some(at(20)));
        assert_eq!((breaker.gate(at(19)), breaker.gate(at(20))), (Gate::Wait, Gate::Pass));
    }

    #[test]
    fn a_failure_right_after_a_probe_is_the_same_outage() {
        let breaker = open();
        breaker.recovered(at(2));
        assert_eq!(breaker.failed(at(3), None, true), Tripped::Relapsed);
        assert_eq!((breaker.gate(at(6)), breaker.gate(at(7))), (Gate::Wait, Gate::Probe));
        breaker.recovered(at(7));
        breaker.answered();
        assert_eq!(breaker.failed(at(8), None, true), Tripped::No);
    }

    #[test]
    fn a_forge_that_only_asked_for_fewer_calls_has_lost_nothing() {
        let breaker = Breaker::default();
        for _ in 0..OPENS_AFTER {
            breaker.failed(at(0), None, false);
        }
        breaker.recovered(at(2));
        assert!(breaker.over.notified().now_or_never().is_none());
        let breaker = open();
        breaker.recovered(at(2));
        assert!(breaker.over.notified().now_or_never().is_some());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_the_wait() {
        let breaker = open();
        assert_eq!(breaker.gate(at(-86_400)), Gate::Probe);
    }
}

//! When the service sweeps: at its start, every so often, soon after an outage, and a few times more for what was left to
//! its delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{GRACE, How, Kind, Report, Sweeper};
use crate::clock::{Clock, Timestamp};
use crate::store;

/// How long the service sleeps at most before it looks at the clock again, which may have been set.
const NAP: Duration = Duration::from_secs(60);
/// The same for a clock in hand, which moves without passing.
const SHORT_NAP: Duration = Duration::from_millis(20);
/// How soon a round follows that left something to its delivery: the delivery must have come by then.
const FOLLOW_UP_PAUSE: Duration = Duration::from_secs(2 * GRACE.as_secs());
/// How many rounds in a row follow one that left something to its delivery: what changes all the time is not waited for.
const FOLLOW_UPS: u32 = 5;
/// How soon a round in which the forge was unreachable is made again.
const OUTAGE_PAUSE: Duration = Duration::from_secs(30);
/// How soon after the last round one is made because the forge can be reached again.
const BACK_PAUSE: Duration = Duration::from_secs(60);

/// When the next round is due.
#[derive(Clone, Copy, Debug)]
struct Timer {
    /// When the last one began; `None` makes the next one due at once.
    last: Option<Timestamp>,
    /// How long after that the next one is due.
    pause: Duration,
}

impl Timer {
    /// How long until the next round, by this clock; nothing when it is due. A last time that lies far ahead comes
    /// from a clock that was wrong.
    fn rest(self, now: Timestamp) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        let [since, ahead] = [now - last, last - now].map(|d| d.to_std().unwrap_or_default());
        if ahead > self.pause.max(NAP) {
            return Duration::ZERO;
        }
        self.pause.saturating_add(ahead).saturating_sub(since)
    }
}

impl Sweeper {
    /// Sweeps until the task is dropped. `after_outage` is notified when the forge can be reached again.
    pub async fn run(self, at_start: bool, after_outage: Arc<Notify>) {
        let every = self.settings().every;
        let mut timer = Timer { last: None, pause: every };
        if !at_start {
            timer.last = Some(self.last_pass().await.unwrap_or_else(|| self.inner.clock.now()));
        }
        let (mut follow_ups, mut is_out) = (0, false);
        self.tell_from_before().await;
        loop {
            let (term, has_waited) = self.inner.store.lead().await;
            if has_waited {
                // Another service swept until a moment ago.
                timer.last = self.last_pass().await;
            }
            if term.hold(self.rest(&mut timer, &after_outage)).await.is_none() {
                continue;
            }
            timer.last = Some(self.inner.clock.now());
            let round = self.round(How::default(), &|_, _, _| {});
            let Some(result) = term.hold(round).await else { continue };
            let every = self.settings().every;
            timer.pause = pause_after(&result, every, follow_ups);
            let is_followed = timer.pause == FOLLOW_UP_PAUSE;
            follow_ups = if is_followed { follow_ups + 1 } else { 0 };
            log(&result, is_out);
            is_out = result.is_ok_and(|report| report.saw_outage());
        }
    }

    /// Waits until the next round is due.
    async fn rest(&self, timer: &mut Timer, after_outage: &Notify) {
        loop {
            // The owner may have shortened it meanwhile.
            let pause = timer.pause.min(self.settings().every);
            let rest = Timer { pause, ..*timer }.rest(self.inner.clock.now());
            if rest.is_zero() {
                return;
            }
            let nap = match &self.inner.clock {
                Clock::System => rest.min(NAP),
                Clock::Manual(_) => SHORT_NAP,
            };
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = after_outage.notified() => timer.pause = timer.pause.min(BACK_PAUSE),
            }
        }
    }

    /// Says how many issues nobody is called for.
    async fn tell_from_before(&self) {
        let repos = self.settings().repos.clone();
        match self.inner.store.from_before(repos).await {
            Ok(issues) if !issues.is_empty() => tell_quiet(issues.len()),
            _ => {}
        }
    }

    /// When any repository was last read, so that a restart does not put the next round off.
    async fn last_pass(&self) -> Option<Timestamp> {
        let cursors = self.inner.store.sweep_cursors().await.ok()?;
        cursors.into_iter().map(|c| c.passed_at.max(c.since)).max()
    }
}

/// What was left to its delivery is looked at when the delivery must have come, and again where it has changed since.
fn pause_after(
    result: &Result<Report, store::Error>,
    every: Duration,
    follow_ups: u32,
) -> Duration {
    every.min(match result {
        Ok(report) if report.saw_outage() => OUTAGE_PAUSE,
        Ok(report) if report.left() > 0 && follow_ups < FOLLOW_UPS => FOLLOW_UP_PAUSE,
        Ok(_) => every,
        Err(_) => NAP,
    })
}

/// Issues that were open before their repository was first read are given to agents, but nobody is called for them.
fn tell_quiet(issues: usize) {
    tracing::info!(
        issues,
        "open before the first sweep: agents get these issues as places allow, and nobody is mentioned until somebody touches one or `gitea-triage sweep --backlog` is run"
    );
}

/// A failure is logged once a round, an outage once for as long as it lasts; neither stops the others or the next round.
fn log(result: &Result<Report, store::Error>, was_out: bool) {
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            return tracing::error!(%error, "the sweep could not use the store; trying again");
        }
    };
    let (out, refused): (Vec<_>, Vec<_>) = report.failed.iter().partition(|f| f.error.is_outage());
    if let (Some(first), false) = (out.first(), was_out) {
        let (places, error) = (out.len(), &first.error);
        tracing::warn!(places, %error, "the forge is unreachable; what changes meanwhile is found once it can be reached");
    }
    for failed in refused {
        let (place, error) = (&failed.place, &failed.error);
        tracing::warn!(%place, %error, "`{place}` could not be swept; what changed there is found by a later sweep");
    }
    for unread in report.unread() {
        tracing::warn!("{unread}; the sweep leaves it out");
    }
    let first = report.passed.iter().filter(|passed| passed.kind == Kind::First);
    let before = first.map(|passed| passed.finds.len()).sum();
    if before > 0 {
        tell_quiet(before);
    }
    let repos = report.passed.len() + report.quiet.len();
    let finds = report.finds().count();
    let (missed, left) = (report.missed(), report.left());
    if finds > 0 {
        tracing::info!(repos, finds, missed, left, "swept; what was found is in the inbox");
    } else {
        tracing::debug!(repos, left, "swept; nothing was found");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY_MS: i64 = 86_400_000;

    fn rest(last_ms: i64, now_ms: i64) -> Duration {
        Timer { last: Some(from_millis(last_ms)), pause: HOUR }.rest(from_millis(now_ms))
    }

    #[test]
    fn the_next_round_is_due_when_the_pause_is_over() {
        assert_eq!(rest(0, 0), HOUR);
        assert_eq!(rest(0, 1_000), HOUR - Duration::from_secs(1));
        assert_eq!(rest(0, 3_600_000), Duration::ZERO);
        assert_eq!(Timer { last: None, pause: HOUR }.rest(from_millis(0)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_jumps_a_day_makes_one_round_due_either_way() {
        assert_eq!(rest(0, DAY_MS), Duration::ZERO);
        assert_eq!(rest(DAY_MS, DAY_MS), HOUR);
        assert_eq!(rest(DAY_MS, 0), Duration::ZERO);
        assert_eq!(rest(0, 0), HOUR);
    }

    #[test]
    fn a_clock_that_is_set_back_a_moment_makes_none_due() {
        assert!(rest(500, 0) > HOUR);
    }
}

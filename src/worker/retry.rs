//! When to retry and when to stop. Pure.

use std::time::Duration;

use crate::clock::Timestamp;

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// The pause while the forge is unreachable, when it does not say how long to wait.
const OUTAGE: Duration = Duration::from_secs(5);

/// What kind of failure it was, as far as trying again goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// It may pass by itself.
    pub is_transient: bool,
    /// The forge as a whole is unreachable; that is not this fault, so the try does not count.
    pub is_outage: bool,
    /// How long the forge asked us to wait.
    pub retry_after: Option<Duration>,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again at this time; whether the failed try counts.
    Later { at: Timestamp, spends_attempt: bool },
    /// Stop; a person has to look.
    Bury,
}

/// The attempts on one issue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    /// How many have failed before.
    pub before: u32,
    /// How many may fail.
    pub max: u32,
    /// Spreads the retries of different issues, so that they do not all come back at once.
    pub seed: u64,
}

/// What follows a failed attempt.
pub(super) fn after(failed: Failed, attempts: Attempts, now: Timestamp) -> Next {
    let Failed { is_transient, is_outage, retry_after } = failed;
    let Attempts { before, max, seed } = attempts;
    if !is_transient || (!is_outage && before + 1 >= max) {
        return Next::Bury;
    }
    let pause = match is_outage {
        true => spread(retry_after.unwrap_or(OUTAGE), seed, before),
        false => spread(backoff(before), seed, before).max(retry_after.unwrap_or_default()),
    };
    Next::Later { at: now + pause, spends_attempt: !is_outage }
}

/// 1 s, 2 s, 4 s … up to [`LONGEST`].
fn backoff(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.min(9)).min(LONGEST)
}

/// Up to a fifth longer, never shorter: a `Retry-After` has to be kept.
fn spread(pause: Duration, seed: u64, attempts: u32) -> Duration {
    let mixed = (seed ^ (u64::from(attempts) << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let share = f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    pause.mul_f64(1.0 + share / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use proptest::prelude::*;

    const PASSING: Failed = Failed { is_transient: true, is_outage: false, retry_after: None };

    #[test]
    fn a_permanent_failure_is_buried_at_once() {
        let failed = Failed { is_transient: false, ..PASSING };
        assert_eq!(
            after(failed, Attempts { before: 0, max: 10, seed: 1 }, from_millis(0)),
            Next::Bury
        );
    }

    #[test]
    fn the_last_try_is_the_last() {
        assert!(matches!(
            after(PASSING, Attempts { before: 8, max: 10, seed: 1 }, from_millis(0)),
            Next::Later { .. }
        ));
        assert_eq!(
            after(PASSING, Attempts { before: 9, max: 10, seed: 1 }, from_millis(0)),
            Next::Bury
        );
    }

    #[test]
    fn an_outage_costs_no_try() {
        let failed = Failed { is_outage: true, ..PASSING };
        let next = after(failed, Attempts { before: 9, max: 10, seed: 1 }, from_millis(0));
        assert!(matches!(next, Next::Later { spends_attempt: false, .. }), "{next:?}");
    }

    proptest! {
        #[test]
        fn a_wish_of_the_forge_is_kept(seconds in 0_u64..4_000, attempts in 0_u32..9, seed: u64, outage: bool) {
            let retry_after = Some(Duration::from_secs(seconds));
            let failed = Failed { is_transient: true, is_outage: outage, retry_after };
            let Next::Later { at, .. } = after(failed, Attempts { before: attempts, max: 10, seed }, from_millis(0)) else {
                return Err(TestCaseError::fail("buried"));
            };
            prop_assert!(at >= from_millis(i64::try_from(seconds).unwrap() * 1_000));
        }

        #[test]
        fn no_pause_is_longer_than_six_minutes(attempts in 0_u32..9, seed: u64) {
            let Next::Later { at, .. } = after(PASSING, Attempts { before: attempts, max: 10, seed }, from_millis(0)) else {
                return Err(TestCaseError::fail("buried"));
            };
            prop_assert!((from_millis(1_000)..=from_millis(360_000)).contains(&at));
        }
    }
}

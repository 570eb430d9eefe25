//! Whether a server may be tried: after each failure the pause is longer, so that one that dies at once is not started
//! again and again. Pure; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// How often it failed in a row, and until when it is left alone.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A server that has not failed; `first` is its first pause.
    pub fn new(first: Duration) -> Self {
        Self { first, failures: 0, until: None }
    }

    /// How long it is still left alone, if it is.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// It failed; the next pause is twice as long.
    pub fn record_failure(&mut self, now: Instant) {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.until = Some(now + doubled.min(LONGEST));
    }

    /// It did what it was asked.
    pub fn record_success(&mut self) {
        self.failures = 0;
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_and_a_success_ends_it() {
        let now = Instant::now();
        let mut rest = Backoff::new(Duration::from_secs(1));
        assert_eq!(rest.remaining(now), None);
        let rests = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for expected in rests {
            rest.record_failure(now);
            assert_eq!(rest.remaining(now), Some(Duration::from_secs(expected)));
        }
        assert_eq!(rest.remaining(now + Duration::from_secs(300)), None);
        rest.record_success();
        rest.record_failure(now);
        assert_eq!(rest.remaining(now), Some(Duration::from_secs(1)));
    }
}

//! The rate limit for wrong tokens. A token cannot be guessed in reasonable time anyway; the limit keeps the log from
//! filling, and never keeps the right one out.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// Wrong tokens a minute, from any address, before they are refused without a word in the log.
const MOST: u32 = 30;
const WINDOW: TimeDelta = TimeDelta::minutes(1);

/// The wrong tokens of the current minute.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Option<(Timestamp, u32)>>);

impl Attempts {
    /// Whether another wrong token is told so.
    pub fn allow(&self, now: Timestamp) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.is_none_or(|(since, count)| now - since >= WINDOW || count < MOST)
    }

    /// Records a wrong token.
    pub fn record_wrong(&self, now: Timestamp) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *tries = match *tries {
            Some((since, count)) if now - since < WINDOW => Some((since, count + 1)),
            _ => Some((now, 1)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn after_too_many_wrong_ones_there_is_a_pause() {
        let attempts = Attempts::default();
        let now = from_millis(0);
        for _ in 0..MOST {
            assert!(attempts.allow(now));
            attempts.record_wrong(now);
        }
        assert!(!attempts.allow(now + TimeDelta::seconds(59)));
        assert!(attempts.allow(now + WINDOW));
    }
}

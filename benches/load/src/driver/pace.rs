//! When the next request is due.

use std::time::{Duration, Instant};

/// The times of one run, and the plan between them.
pub struct Pace {
    started: Instant,
    /// From here on is measured.
    pub measured_from: Instant,
    /// From here on nothing new is planned.
    pub ends: Instant,
    /// Between two planned requests; `None` when answers set the pace.
    every: Option<Duration>,
    planned: u64,
    most: u64,
}

impl Pace {
    pub fn new(warmup: Duration, measured: Duration, rate: Option<f64>, most: u64) -> Self {
        let started = Instant::now();
        let every = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let measured_from = started + warmup;
        Self { started, measured_from, ends: measured_from + measured, every, planned: 0, most }
    }

    /// Whether requests leave at planned times.
    pub fn is_open(&self) -> bool {
        self.every.is_some()
    }

    /// When the next request should leave; `None` when there will be no more.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let next = match self.every {
            Some(every) => self.started + every.mul_f64(self.planned as f64),
            None => now,
        };
        (self.planned < self.most && next < self.ends).then_some(next)
    }

    /// The time that the next request was planned for, if that has come; it counts as sent then.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next(now).filter(|at| *at <= now)?;
        self.planned += 1;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_plans_evenly_and_never_ahead() {
        let mut pace = Pace::new(Duration::ZERO, Duration::from_secs(1), Some(10.0), u64::MAX);
        let late = pace.started + Duration::from_secs(5);
        assert_eq!(pace.take(pace.started), Some(pace.started));
        assert_eq!(pace.take(pace.started), None);
        assert_eq!(std::iter::from_fn(|| pace.take(late)).count(), 9);
    }

    #[test]
    fn a_closed_loop_is_due_until_the_end_or_the_count() {
        let mut pace = Pace::new(Duration::ZERO, Duration::from_secs(1), None, 2);
        let now = pace.started;
        assert_eq!(std::iter::from_fn(|| pace.take(now)).count(), 2);
        let pace = Pace::new(Duration::ZERO, Duration::from_secs(1), None, 2);
        assert_eq!(pace.next(pace.ends), None);
    }
}

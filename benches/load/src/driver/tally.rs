//! What came back: answers by status, latencies, and what it cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine::Usage;

/// The counts of one run.
#[derive(Default)]
pub struct Tally {
    /// Every answer, the warm-up's included.
    statuses: BTreeMap<u16, u64>,
    /// Latencies of the good answers that are measured.
    latencies: Vec<Duration>,
    /// Measured answers of a status that was not wanted.
    bad: u64,
    /// Connections that ended without an answer.
    pub broken: u64,
    /// Requests that were planned or sent, and never answered.
    pub unanswered: u64,
}

/// The time that was measured.
pub struct Window {
    pub length: Duration,
    pub usage: Usage,
}

impl Tally {
    pub fn count(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    /// Takes a measured answer in.
    pub fn measure(&mut self, is_good: bool, planned: Instant, now: Instant) {
        if is_good {
            self.latencies.push(now.saturating_duration_since(planned));
        } else {
            self.bad += 1;
        }
    }

    /// The report.
    pub fn report(mut self, window: &Window) -> Value {
        self.latencies.sort_unstable();
        let good = self.latencies.len();
        let each = |seconds: f64| round(seconds * 1e6 / good.max(1) as f64);
        let at = |share: f64| round(quantile(&self.latencies, share).as_secs_f64() * 1e6);
        json!({
            "ok": good,
            "errors": self.bad + self.broken + self.unanswered,
            "statuses": self.statuses,
            "rps": round(good as f64 / window.length.as_secs_f64()),
            "p50_us": at(0.5),
            "p99_us": at(0.99),
            "max_us": at(1.0),
            "cpu_us": each(window.usage.server_s),
            "children_cpu_us": each(window.usage.children_s),
            "driver_cpu_us": each(window.usage.driver_s),
            "steal_s": round(window.usage.steal_s),
        })
    }
}

/// The value below which this share of the sorted values lies.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        let at = |share| quantile(&values, share).as_millis();
        assert_eq!((at(0.5), at(0.99), at(1.0)), (50, 99, 100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}

//! Counters that the rooms keep of what they do. Nouns only: each room owns its own meters, so that two services in
//! one process never count for each other, and nobody but `metrics` knows how they are shown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// Upper bounds of a [`Latency`]'s buckets, in seconds; one more takes what is above. Fine around a flush of the
/// disk, and with an edge at the five seconds after which Gitea gives up.
pub const BOUNDS_S: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Counters by names. The names are part of the program, so there can only be so many.
#[derive(Debug, Default)]
pub struct Table<const N: usize>(Mutex<BTreeMap<[&'static str; N], u64>>);

impl<const N: usize> Table<N> {
    /// One that shows these rows before anything was counted, so that the first one is seen as a rise.
    pub fn with(rows: impl IntoIterator<Item = [&'static str; N]>) -> Self {
        Self(Mutex::new(rows.into_iter().map(|row| (row, 0)).collect()))
    }

    /// One more of these.
    pub fn add(&self, row: [&'static str; N]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(row).or_default() += 1;
    }

    /// Every row with its count.
    pub fn rows(&self) -> Vec<([&'static str; N], u64)> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().map(|(row, count)| (*row, *count)).collect()
    }
}

/// How long something took, by [`BOUNDS_S`].
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS_S.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    /// One more, which took that long.
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS_S.len());
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many fell into each bucket, not summed up; the last is above all bounds.
    pub fn buckets(&self) -> [u64; BOUNDS_S.len() + 1] {
        self.buckets.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// All of them together, in seconds.
    pub fn sum_s(&self) -> f64 {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// When each of several things was last used, by their places in a list.
#[derive(Debug, Default)]
pub struct LatestUses(Mutex<BTreeMap<usize, Timestamp>>);

impl LatestUses {
    /// This one is used.
    pub fn note(&self, place: usize, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, at);
    }

    /// The list is another one: of each place in it, where the same stood before.
    pub fn move_to(&self, before: &[Option<usize>]) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = before
            .iter()
            .enumerate()
            .filter_map(|(place, was)| Some((place, *was.as_ref().and_then(|was| uses.get(was))?)));
        *uses = kept.collect();
    }

    /// Those that were used, with when.
    pub fn all(&self) -> Vec<(usize, Timestamp)> {
        let uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.iter().map(|(place, at)| (*place, *at)).collect()
    }
}

/// What the receiver counts.
#[derive(Debug)]
pub struct Receiving {
    /// Deliveries by how they were answered.
    pub answers: Table<1>,
    /// From the head of a delivery to its answer, for those that came as far as the store.
    pub accept: Latency,
    /// When each secret last signed a delivery.
    pub signed: LatestUses,
}

/// What the worker counts.
#[derive(Debug, Default)]
pub struct Working {
    /// Evaluations by what was decided.
    pub decisions: Table<1>,
    /// Effects by kind and result.
    pub effects: Table<2>,
    /// How often an issue reached its write limit.
    pub write_limits: AtomicU64,
    /// Outages of the forge.
    pub outages: AtomicU64,
    /// Whether the breaker is open now.
    pub is_unreachable: AtomicBool,
}

/// What the forge's client counts.
#[derive(Debug, Default)]
pub struct Calls {
    /// Requests by method and how they ended.
    pub outcomes: Table<2>,
    /// From a request to the end of its answer.
    pub time: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let latency = Latency::default();
        for micros in [0, 250, 251, 5_000_000, 5_000_001] {
            latency.add(Duration::from_micros(micros));
        }
        let mut expected = [0; BOUNDS_S.len() + 1];
        (expected[0], expected[1], expected[13], expected[14]) = (2, 1, 1, 1);
        assert_eq!(latency.buckets(), expected);
        assert!((latency.sum_s() - 10.000_502).abs() < 1e-9);
    }

    #[test]
    fn a_use_goes_with_what_was_used_when_the_list_changes() {
        let uses = LatestUses::default();
        uses.note(0, from_millis(5));
        uses.note(1, from_millis(7));
        // A new one first, the old first one after it, and the second is gone.
        uses.move_to(&[None, Some(0), Some(2)]);
        assert_eq!(uses.all(), [(1, from_millis(5))]);
    }
}

//! Deliveries whose id was stored a moment ago. One that comes again is answered from memory, so that a flood of
//! repeats costs the writer nothing; how often each came is written down a little later.

use std::collections::{HashMap, HashSet, VecDeque};

use super::inbox::Key;
use crate::clock::Timestamp;

/// How many ids are remembered. What is older is still known to the store.
const REMEMBERED: usize = 20_000;

/// How often one id came again, and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) key: Key,
    pub(super) times: u32,
    pub(super) last: Timestamp,
}

/// The ids stored last, and the repeats that are not written down yet.
#[derive(Default)]
pub(super) struct Repeats {
    stored: HashSet<Key>,
    order: VecDeque<Key>,
    unsaid: HashMap<Key, Repeat>,
}

impl Repeats {
    /// Remembers an id that is on the disk.
    pub(super) fn remember(&mut self, key: Key) {
        if !self.stored.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.stored.remove(&oldest);
        }
    }

    /// Notes that an id came again: `None` when it is not remembered, else whether it is the first repeat that waits
    /// to be written down.
    pub(super) fn note(&mut self, key: &Key, now: Timestamp) -> Option<bool> {
        if !self.stored.contains(key) {
            return None;
        }
        let is_first = self.unsaid.is_empty();
        let repeat = self.unsaid.entry(key.clone());
        let repeat = repeat.or_insert_with(|| Repeat { key: key.clone(), times: 0, last: now });
        repeat.times += 1;
        repeat.last = repeat.last.max(now);
        Some(is_first)
    }

    /// The repeats to be written down now.
    pub(super) fn take(&mut self) -> Vec<Repeat> {
        self.unsaid.drain().map(|(_, repeat)| repeat).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn only_what_is_on_the_disk_is_taken_for_a_repeat() {
        let mut repeats = Repeats::default();
        let key: Key = vec![1; 16];
        assert_eq!(repeats.note(&key, from_millis(1)), None);
        repeats.remember(key.clone());
        assert_eq!(repeats.note(&key, from_millis(2)), Some(true));
        assert_eq!(repeats.note(&key, from_millis(3)), Some(false));
        assert_eq!(repeats.take(), [Repeat { key, times: 2, last: from_millis(3) }]);
        assert!(repeats.take().is_empty());
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut repeats = Repeats::default();
        for n in 0..=u32::try_from(REMEMBERED).unwrap() {
            repeats.remember(n.to_be_bytes().to_vec());
        }
        assert_eq!(repeats.note(&0_u32.to_be_bytes().to_vec(), from_millis(1)), None);
        assert!(repeats.note(&1_u32.to_be_bytes().to_vec(), from_millis(1)).is_some());
    }
}

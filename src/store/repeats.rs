//! Deliveries that came again, counted in memory and written down a little later, so that a flood of repeats costs the
//! writer nothing.

use std::collections::HashMap;

use super::ids::Key;
use crate::clock::Timestamp;

/// How often one id came again, and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) key: Key,
    pub(super) times: u32,
    pub(super) last: Timestamp,
}

/// The repeats that are not written down yet.
#[derive(Default)]
pub(super) struct Repeats {
    unsaid: HashMap<Key, Repeat>,
}

impl Repeats {
    /// Notes that an id came again; whether it is the first repeat that waits to be written down.
    pub(super) fn note(&mut self, key: &Key, now: Timestamp) -> bool {
        let is_first = self.unsaid.is_empty();
        let repeat = self.unsaid.entry(key.clone());
        let repeat = repeat.or_insert_with(|| Repeat { key: key.clone(), times: 0, last: now });
        repeat.times += 1;
        repeat.last = repeat.last.max(now);
        is_first
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
    fn repeats_of_an_id_are_written_down_once_with_their_number() {
        let mut repeats = Repeats::default();
        let key = Key::from([1; 16]);
        assert!(repeats.note(&key, from_millis(2)));
        assert!(!repeats.note(&key, from_millis(3)));
        assert_eq!(repeats.take(), [Repeat { key, times: 2, last: from_millis(3) }]);
        assert!(repeats.take().is_empty());
    }
}

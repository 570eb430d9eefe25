//! Connections from outside: how many there may be, what each may hold, and which one is closed when a place is needed.
//! It knows nothing of what is asked or answered.
//!
//! The HTTP library decodes every request that is in its read buffer, and reads on while an answer is being written. The
//! [`Gate`] in front of it hands over the bytes of one request at a time: the head, then the body as far as the handler
//! asks for it, then nothing until the answer is sent. So a sender holds one request, however many it sends at once.

mod gate;
mod path;
mod place;
mod room;
mod sender;
mod server;
mod turn;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use place::Place;

pub use path::is_plain;
pub use room::{Full, Room, Share};
pub use sender::Proxies;
pub use server::{Listener, listen};

/// How often connections are looked through for those that take too long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What one connection holds while it waits, by measurement: two buffers of 8 KiB and the state of the library.
const ONE: u64 = 32 * 1024;
/// The fewest places there are, and the most.
const PLACES: (u64, u64) = (128, 1_024);

/// All connections from outside.
#[derive(Debug)]
pub struct Connections {
    places: usize,
    proxies: Proxies,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
    last: AtomicU64,
}

impl Connections {
    /// As many as an eighth of `memory` bytes holds.
    pub fn new(memory: u64, proxies: Proxies) -> Self {
        let places = (memory / 8 / ONE).clamp(PLACES.0, PLACES.1);
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        Self { places, proxies, taken: Mutex::default(), last: AtomicU64::new(0) }
    }

    /// How many may be open at once.
    pub fn places(&self) -> usize {
        self.places
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.taken().len()
    }

    /// Whether so many are open that none is kept for a next request.
    fn is_crowded(&self) -> bool {
        self.open() > self.places / 2
    }

    /// Gives a new connection a place. When all are taken, those that let us wait the longest are closed.
    fn admit(&self, from: Option<IpAddr>) -> Arc<Place> {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place::new(id, from.map(|address| address.to_canonical())));
        let mut taken = self.taken();
        if taken.len() >= self.places {
            make_room(&mut taken, self.places);
        }
        taken.insert(id, Arc::clone(&place));
        place
    }

    fn leave(&self, place: &Place) {
        self.taken().remove(&place.id);
    }

    /// Closes, for as long as it is polled, what takes too long.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = Instant::now();
            self.taken().retain(|_, place| {
                let is_late = place.is_late(now);
                if is_late {
                    place.end();
                }
                !is_late
            });
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a part of the connections, so that it is not done for each newcomer: first those of addresses that hold more
/// than a quarter, and of these the ones that have let us wait the longest. A connection that brought a genuine delivery
/// comes last, and one whose answer is being made is never closed.
fn make_room(taken: &mut BTreeMap<u64, Arc<Place>>, places: usize) {
    let mut held: HashMap<Option<IpAddr>, usize> = HashMap::new();
    let standings: Vec<_> = taken.values().map(|place| (place.id, place.standing())).collect();
    for (_, standing) in &standings {
        *held.entry(standing.from).or_default() += 1;
    }
    let mut waiting: Vec<_> = standings
        .into_iter()
        .filter_map(|(id, standing)| {
            let is_modest = held.get(&standing.from).is_none_or(|held| *held <= places / 4);
            Some((standing.is_proven, is_modest, standing.waits_since?, id))
        })
        .collect();
    waiting.sort_unstable();
    for (.., id) in waiting.into_iter().take(1 + places / 32) {
        if let Some(place) = taken.remove(&id) {
            place.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn full() -> (Connections, Vec<Arc<Place>>) {
        let all = Connections::new(0, Proxies::default());
        let places = (0..all.places()).map(|_| all.admit(address(1))).collect();
        (all, places)
    }

    #[test]
    fn a_newcomer_gets_a_place_of_whoever_has_kept_us_waiting_the_longest() {
        let (all, places) = full();
        let newcomer = all.admit(address(1));
        assert!(places[0].is_ended() && !newcomer.is_ended());
        assert!(!places[places.len() - 1].is_ended());
        assert!(all.open() <= all.places());
    }

    #[test]
    fn an_answer_that_is_made_is_never_closed_and_a_genuine_sender_comes_last() {
        let (all, places) = full();
        places[0].begin(address(1), None);
        places[1].prove();
        for _ in 0..2 * all.places() {
            all.admit(address(1));
        }
        assert!(!places[0].is_ended() && !places[1].is_ended());
        assert!(places[2].is_ended());
    }

    #[test]
    fn the_address_that_holds_most_gives_way_before_others() {
        let all = Connections::new(0, Proxies::default());
        let modest = all.admit(address(2));
        let places: Vec<_> = (1..all.places()).map(|_| all.admit(address(1))).collect();
        all.admit(address(3));
        assert!(!modest.is_ended() && places[0].is_ended());
    }
}

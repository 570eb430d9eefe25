//! Room for bodies: what all of them may hold together. Nobody's signature is known before the whole body is there, so
//! without a limit anybody could fill the memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use tokio::sync::Notify;

use super::place::Place;

/// What may be held when the memory is large; more is never needed.
const MOST: u64 = 64 * 1024 * 1024;
/// What there is beside one body of the largest size.
const BESIDE: usize = 4 * 1024 * 1024;
/// Bodies up to this size are taken whatever else arrives; few of Gitea's are larger.
const SMALL: usize = 64 * 1024;
/// A body that is on its way for so long gives way to others; a whole small one arrives at once.
const SLOW: Duration = Duration::from_millis(500);
/// How long a body waits for room, and how often it looks again: others become slow meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(50);

/// Room for bodies.
#[derive(Debug)]
pub struct Room {
    held: Mutex<Held>,
    /// Notified when some came free.
    freed: Notify,
}

#[derive(Debug)]
struct Held {
    free: usize,
    bodies: BTreeMap<u64, Body>,
    last: u64,
}

#[derive(Debug)]
struct Body {
    bytes: usize,
    /// How long it will be, if that was said.
    announced: usize,
    place: Arc<Place>,
}

/// What one body holds, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    id: u64,
}

/// There is no room, and none came free in time.
#[derive(Debug)]
pub struct Full;

impl Room {
    /// A sixteenth of `memory` bytes, and at least a body of the largest size with some beside it.
    pub fn new(memory: u64, largest: usize) -> Self {
        let share = usize::try_from((memory / 16).min(MOST)).unwrap_or(usize::MAX);
        let free = share.max(largest.saturating_add(BESIDE));
        let held = Held { free, bodies: BTreeMap::new(), last: 0 };
        Self { held: Mutex::new(held), freed: Notify::new() }
    }

    /// An empty share for the body of this request.
    pub fn share(self: &Arc<Self>, request: &HttpRequest) -> Share {
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        self.share_of(request.conn_data::<Arc<Place>>().cloned(), announced)
    }

    fn share_of(self: &Arc<Self>, place: Option<Arc<Place>>, announced: usize) -> Share {
        let place = place.unwrap_or_else(|| Arc::new(Place::new(u64::MAX, None)));
        let mut held = self.held();
        held.last += 1;
        let id = held.last;
        held.bodies.insert(id, Body { bytes: 0, announced, place });
        Share { room: Arc::clone(self), id }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes `more` bytes for a body; for a small one, if need be, from those that are slow: their connections are
    /// closed, so what they hold is free in a moment. Larger ones wait for each other.
    fn take(&mut self, id: u64, more: usize) -> bool {
        let is_small = self.bodies.get(&id).is_some_and(|body| body.bytes + more <= SMALL);
        while self.free < more {
            if !is_small {
                return false;
            }
            let Some(slowest) = self.slowest(id) else { return false };
            let Some(body) = self.bodies.remove(&slowest) else { return false };
            body.place.end();
            self.free += body.bytes;
        }
        if self.free < more {
            return false;
        }
        let Some(body) = self.bodies.get_mut(&id) else { return false };
        body.bytes += more;
        self.free -= more;
        true
    }

    fn is_small(&self, id: u64, more: usize) -> bool {
        let body = self.bodies.get(&id);
        body.is_some_and(|body| body.announced.max(body.bytes + more) <= SMALL)
    }

    /// The body that has been on its way the longest, of those that are slow.
    fn slowest(&self, but: u64) -> Option<u64> {
        let now = Instant::now();
        let arriving = self.bodies.iter().filter(|(id, body)| **id != but && body.bytes > 0);
        let slow = arriving.filter_map(|(id, body)| Some((body.place.body_since()?, *id)));
        let (since, id) = slow.min()?;
        (now.saturating_duration_since(since) >= SLOW).then_some(id)
    }
}

impl Share {
    /// Takes room for `more` bytes. A small body waits for it; large ones would wait for each other.
    ///
    /// # Errors
    /// When there is none, and none comes free.
    pub async fn take(&self, more: usize) -> Result<(), Full> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let freed = self.room.freed.notified();
            let is_small = {
                let mut held = self.room.held();
                if held.take(self.id, more) {
                    return Ok(());
                }
                held.is_small(self.id, more)
            };
            if !is_small || Instant::now() >= deadline {
                return Err(Full);
            }
            // That none came free is no error: others may have become slow.
            let _ = tokio::time::timeout(AGAIN, freed).await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.room.held();
        // It is gone when it gave way to another.
        if let Some(body) = held.bodies.remove(&self.id) {
            held.free += body.bytes;
            self.room.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::place::Length;

    fn room() -> Arc<Room> {
        Arc::new(Room::new(0, 100))
    }

    fn arriving() -> Arc<Place> {
        let place = Arc::new(Place::new(1, None));
        place.begin(None, Some(Length::Known(1_000)));
        place
    }

    #[tokio::test]
    async fn what_is_given_back_is_room_again_and_nobody_waits_for_ever() {
        let room = room();
        let (first, second) = (room.share_of(None, 0), room.share_of(None, 0));
        first.take(100).await.unwrap();
        first.take(BESIDE).await.unwrap();
        assert!(second.take(1).await.is_err(), "a body that is whole gives way to nobody");
        drop(first);
        second.take(BESIDE).await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_body_gives_way_to_one_that_comes_later() {
        let room = room();
        let slow = arriving();
        let (first, second) = (room.share_of(Some(Arc::clone(&slow)), 0), room.share_of(None, 0));
        first.take(BESIDE + 100).await.unwrap();
        let began = Instant::now();
        second.take(50).await.unwrap();
        assert!(began.elapsed() < PATIENCE);
        assert!(second.take(BESIDE + 100).await.is_err(), "a large body takes from nobody");
        assert!(slow.is_ended());
        assert!(first.take(1).await.is_err(), "it holds nothing any more");
        drop(first);
        second.take(BESIDE + 50).await.unwrap();
    }
}

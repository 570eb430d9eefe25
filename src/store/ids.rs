//! Which delivery ids were seen before, so that none is taken in twice. It knows nothing else of a delivery.
//!
//! Ids are random, so that each one written into an index of all would cost a page of its own, more than the delivery
//! itself. The last ones are therefore only in the delivery's row and in memory; by the thousand, and in their order,
//! they are sorted into `delivery_id`. A start reads those that were not sorted in yet from the rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::engine::{Connection, Flush, params};
use super::rows::{all, first, only, run};
use super::{Error, OpenMode, Store};
use crate::delivery::DeliveryId;

/// How many ids are sorted in at a time: the more, the fewer pages each costs, and the longer a start takes.
const BATCH: u32 = 12_000;
/// How many of them one step sorts in, so that no delivery waits long behind it.
const STEP: usize = 64;
/// Of the ids that are more than two batches, the next step takes one in so many: when deliveries come faster than small
/// steps go, waiting is better than memory that grows.
const BEHIND: usize = 32;
/// The fact that says up to which place in the inbox ids are sorted in.
pub(super) const UPTO: &str = "ids_upto";

/// A delivery's id as the store keeps it.
pub(super) type Key = SmallVec<[u8; 16]>;

/// Sixteen bytes for a UUID, which Gitea always sends; any other text behind a zero, and behind two where one would make
/// it as long as a UUID: the two never meet. No id holds a zero itself.
pub(super) fn key(id: &DeliveryId) -> Key {
    match uuid::Uuid::try_parse(id.as_str()) {
        Ok(uuid) => Key::from(uuid.into_bytes()),
        Err(_) => {
            let zeros = if id.as_str().len() == 15 { 2 } else { 1 };
            std::iter::repeat_n(0, zeros).chain(id.as_str().bytes()).collect()
        }
    }
}

/// The id a key was made from.
pub(super) fn id_of(key: &[u8]) -> String {
    match uuid::Uuid::from_slice(key) {
        Ok(uuid) => uuid.to_string(),
        Err(_) => String::from_utf8_lossy(key).trim_start_matches('\0').to_owned(),
    }
}

/// The ids in memory, and who sorts them in.
#[derive(Default)]
pub(super) struct Ids {
    recent: Mutex<Recent>,
    new: AtomicUsize,
    sorting: tokio::sync::Mutex<()>,
    /// Nothing is kept here, because the database has one index of all ids, which every process writes into.
    is_elsewhere: bool,
}

#[derive(Default)]
struct Recent {
    /// The place of each delivery that is not sorted in, or was with the last batch.
    places: HashMap<Key, i64>,
    /// Those among them whose transaction is not over.
    unsettled: Vec<Key>,
}

impl Ids {
    /// Reads those that are not sorted in yet. A service that finds very many sorts them in first; a command beside it
    /// leaves that to the service.
    pub(super) fn open(writer: &mut Connection, how: OpenMode) -> Result<Self, Error> {
        // A server has one index of all, which every process writes into.
        if matches!(writer, Connection::Postgres(_)) {
            return Ok(Self { is_elsewhere: true, ..Self::default() });
        }
        let waiting = "SELECT count(*) FROM delivery WHERE seq > ?1";
        let waiting: u32 = only(writer, waiting, [upto(writer)?], |row| row.get(0))?;
        if how != OpenMode::Shared && waiting > 2 * BATCH {
            writer.begin(Flush::First)?;
            let sorted = sort_all_in(writer);
            let ended = writer.end(sorted.is_ok());
            sorted.and(ended)?;
        }
        let places: HashMap<_, _> = after(writer, u32::MAX)?.into_iter().collect();
        let new = AtomicUsize::new(places.len());
        let recent = Mutex::new(Recent { places, ..Recent::default() });
        Ok(Self { recent, new, ..Self::default() })
    }

    /// The place of the delivery with this id, also when it is only about to be committed.
    pub(super) fn seen(&self, writer: &Connection, key: &Key) -> Result<Option<i64>, Error> {
        // Let go before the database is asked: everybody who hands a delivery in looks here first.
        let recent = self.recent().places.get(key).copied();
        recent.map_or_else(|| sorted_in(writer, key), |seq| Ok(Some(seq)))
    }

    /// Remembers the id of a delivery that was just written and waits for its commit.
    pub(super) fn remember(&self, key: Key, seq: i64) {
        if self.is_elsewhere {
            return;
        }
        let mut recent = self.recent();
        recent.unsettled.push(key.clone());
        recent.places.insert(key, seq);
    }

    /// The writer's transaction is over; what was written in it is on the disk, or was undone.
    pub(super) fn settle(&self, is_committed: bool) {
        let Recent { places, unsettled } = &mut *self.recent();
        for key in unsettled.drain(..) {
            if !is_committed {
                places.remove(&key);
            }
        }
    }

    /// Whether the id is known to be on the disk, without asking it; of older ones this says no.
    pub(super) fn is_stored(&self, key: &Key) -> bool {
        let recent = self.recent();
        recent.places.contains_key(key) && !recent.unsettled.contains(key)
    }

    /// Counts a new id; whether it is time to sort ids in.
    pub(super) fn count(&self) -> bool {
        let new = self.new.fetch_add(1, Ordering::Relaxed) + 1;
        !self.is_elsewhere && new.is_multiple_of(BATCH as usize)
    }

    /// How many the next step sorts in.
    fn step(&self) -> usize {
        STEP + self.recent().places.len().saturating_sub(2 * BATCH as usize) / BEHIND
    }

    /// Forgets those that were sorted in before this place.
    fn forget(&self, upto: i64) {
        self.recent().places.retain(|_, seq| *seq > upto);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of the delivery with this id, for readers too: the last ones are looked for row by row.
pub(super) fn find(c: &Connection, key: &[u8]) -> Result<Option<i64>, Error> {
    if let Some(seq) = sorted_in(c, key)? {
        return Ok(Some(seq));
    }
    let sql = "SELECT seq FROM delivery WHERE seq > ?1 AND id = ?2";
    first(c, sql, params![upto(c)?, key], |row| row.get(0))
}

fn sorted_in(c: &Connection, key: &[u8]) -> Result<Option<i64>, Error> {
    first(c, "SELECT seq FROM delivery_id WHERE id = ?1", [key], |row| row.get(0))
}

fn upto(c: &Connection) -> Result<i64, Error> {
    Ok(super::fact(c, UPTO)?.and_then(|seq| seq.parse().ok()).unwrap_or(0))
}

fn set_upto(writer: &Connection, seq: i64) -> Result<(), Error> {
    super::set_fact(writer, UPTO, &seq.to_string())
}

/// The oldest ids that are not sorted in, at most `limit`, with their places.
fn after(c: &Connection, limit: u32) -> Result<Vec<(Key, i64)>, Error> {
    let sql = "SELECT id, seq FROM delivery WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    all(c, sql, [upto(c)?, limit.into()], |row| {
        Ok((Key::from_slice(row.get_ref(0)?.as_blob()?), row.get(1)?))
    })
}

fn sort_in(writer: &Connection, ids: &[(Key, i64)]) -> Result<(), Error> {
    let sql = "INSERT INTO delivery_id VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    ids.iter().try_for_each(|(key, seq)| run(writer, sql, params![&key[..], seq]))
}

/// For a store in which they could not be sorted in for long: at its start nobody waits for it.
fn sort_all_in(writer: &Connection) -> Result<(), Error> {
    let last: i64 = only(writer, "SELECT max(seq) FROM delivery", [], |row| row.get(0))?;
    let sql = "INSERT INTO delivery_id SELECT id, seq FROM delivery WHERE seq > ?1 ORDER BY id
               ON CONFLICT DO NOTHING";
    run(writer, sql, [upto(writer)?])?;
    set_upto(writer, last)
}

impl Store {
    /// Sorts the ids of whole batches in, step by step between what others write. Returns at once when somebody is at
    /// it already.
    pub(super) async fn sort_ids_in(&self) -> Result<(), Error> {
        let Ok(_alone) = self.inner.ids.sorting.try_lock() else { return Ok(()) };
        loop {
            let (before, mut batch) = self.read(|c| Ok((upto(c)?, after(c, BATCH)?))).await?;
            let Some((_, last)) = batch.last().cloned().filter(|_| batch.len() == BATCH as usize)
            else {
                return Ok(());
            };
            self.inner.ids.forget(before);
            batch.sort_unstable();
            while !batch.is_empty() {
                let rest = batch.len().saturating_sub(self.inner.ids.step());
                let step = batch.split_off(rest);
                self.write(move |c| sort_in(c, &step)).await?;
            }
            self.write(move |c| set_upto(c, last)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryId;
    use crate::store::{Accepted, sample};

    const MANY: i64 = BATCH as i64 + 1_000;

    /// The id of a row that [`filled`] made.
    fn id(seq: i64) -> DeliveryId {
        // Scattered, as random ids are.
        let number =
            u128::from(seq.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c82_0d2b_4a87);
        DeliveryId::parse(&uuid::Uuid::from_u128(number).to_string()).unwrap()
    }

    /// A store in which that many deliveries came to their end, none of them sorted in.
    fn filled(folder: &std::path::Path, rows: i64) -> Store {
        let path = folder.join("ids.db");
        drop(Store::open(&path, 16, OpenMode::Shared).unwrap());
        let mut c = rusqlite::Connection::open(&path).unwrap();
        let transaction = c.transaction().unwrap();
        for seq in 1..=rows {
            let key = key(&id(seq));
            let insert = "INSERT INTO delivery (seq, id, origin, received_at, event, state, settled_at, reason)
                          VALUES (?1, ?2, 'webhook', 0, '', 'ignored', 0, 'a test')";
            transaction.prepare_cached(insert).unwrap().execute(params![seq, &key[..]]).unwrap();
        }
        transaction.commit().unwrap();
        drop(c);
        Store::open(&path, 16, OpenMode::Exclusive).unwrap()
    }

    async fn accept(store: &Store, id: DeliveryId) -> Accepted {
        store.accept(sample(id)).await.unwrap()
    }

    async fn rows(store: &Store, table: &'static str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        store.read(move |c| only(c, &count, [], |row| row.get(0))).await.unwrap()
    }

    fn in_memory(store: &Store) -> i64 {
        store.inner.ids.recent().places.len().try_into().unwrap()
    }

    #[tokio::test]
    async fn an_id_is_known_before_it_is_sorted_in_and_after_and_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = filled(folder.path(), MANY);
        let text = DeliveryId::parse("no-uuid").unwrap();
        assert_eq!(accept(&store, text.clone()).await, Accepted::New);
        let batch = i64::from(BATCH);
        for (sorted_in, remembered) in [(0, MANY + 1), (batch, MANY + 1), (batch, MANY + 1 - batch)]
        {
            assert_eq!(rows(&store, "delivery_id").await, sorted_in);
            assert_eq!(in_memory(&store), remembered);
            for known in [id(1), id(batch), id(MANY), text.clone()] {
                let before = store.delivery(&known).await.unwrap();
                let before = before.unwrap_or_else(|| panic!("{known} ({sorted_in} sorted in)"));
                assert_eq!(accept(&store, known.clone()).await, Accepted::Duplicate);
                let after = store.delivery(&known).await.unwrap().unwrap();
                assert_eq!((after.seq, after.repeats), (before.seq, before.repeats + 1));
            }
            assert!(store.delivery(&id(MANY + 1)).await.unwrap().is_none());
            if sorted_in == 0 {
                store.sort_ids_in().await.unwrap();
            } else {
                store.close().await.unwrap();
                store =
                    Store::open(&folder.path().join("ids.db"), 16, OpenMode::Exclusive).unwrap();
            }
        }
        assert_eq!(rows(&store, "delivery").await, MANY + 1);
    }

    #[tokio::test]
    async fn what_one_batch_sorted_in_is_forgotten_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 2 * i64::from(BATCH));
        assert_eq!(in_memory(&store), 2 * i64::from(BATCH));
        store.sort_ids_in().await.unwrap();
        assert_eq!(in_memory(&store), i64::from(BATCH));
        assert_eq!(rows(&store, "delivery_id").await, 2 * i64::from(BATCH));
        assert_eq!(accept(&store, id(1)).await, Accepted::Duplicate);
    }

    #[tokio::test]
    async fn a_sorting_in_that_was_cut_off_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), MANY);
        let some = store.read(|c| after(c, 500)).await.unwrap();
        store.write(move |c| sort_in(c, &some)).await.unwrap();
        store.close().await.unwrap();
        let store = Store::open(&folder.path().join("ids.db"), 16, OpenMode::Exclusive).unwrap();
        assert_eq!((rows(&store, "delivery_id").await, in_memory(&store)), (500, MANY));
        store.sort_ids_in().await.unwrap();
        assert_eq!(rows(&store, "delivery_id").await, i64::from(BATCH));
        assert_eq!(accept(&store, id(7)).await, Accepted::Duplicate);
    }

    #[tokio::test]
    async fn a_start_after_very_many_sorts_all_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 2 * i64::from(BATCH) + 1);
        assert_eq!(in_memory(&store), 0);
        assert_eq!(rows(&store, "delivery_id").await, 2 * i64::from(BATCH) + 1);
        assert_eq!(accept(&store, id(40)).await, Accepted::Duplicate);
        assert_eq!(accept(&store, id(i64::MAX)).await, Accepted::New);
    }

    #[tokio::test]
    async fn a_batch_that_fills_up_is_sorted_in_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), i64::from(BATCH) - 1);
        assert_eq!(accept(&store, id(i64::MAX)).await, Accepted::New);
        let patience = std::time::Duration::from_secs(20);
        let sorted_in = async {
            while rows(&store, "delivery_id").await < i64::from(BATCH) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(patience, sorted_in).await.unwrap();
    }

    #[tokio::test]
    async fn the_same_id_twice_in_one_commit_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 1);
        let (one, other) = tokio::join!(accept(&store, id(9)), accept(&store, id(9)));
        assert_ne!(one, other);
        assert_eq!(rows(&store, "delivery").await, 2);
    }

    #[tokio::test]
    async fn what_was_undone_with_a_neighbour_is_no_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 1);
        let fails = || store.write(|_| Err::<(), _>(Error::Closed));
        let (_, one, _, other, _) =
            tokio::join!(fails(), accept(&store, id(8)), fails(), accept(&store, id(9)), fails());
        assert_eq!((one, other), (Accepted::New, Accepted::New));
        for again in [id(8), id(9)] {
            assert_eq!(accept(&store, again).await, Accepted::Duplicate);
        }
        assert_eq!(rows(&store, "delivery").await, 3);
    }

    #[test]
    fn what_is_not_committed_is_not_taken_for_stored() {
        let ids = Ids::default();
        let (one, other) = (key(&id(1)), key(&id(2)));
        ids.remember(one.clone(), 1);
        assert!(!ids.is_stored(&one));
        ids.settle(true);
        ids.remember(other.clone(), 2);
        assert!(ids.is_stored(&one));
        ids.settle(false);
        assert!(ids.is_stored(&one) && !ids.is_stored(&other));
        ids.remember(other.clone(), 2);
        ids.settle(true);
        assert!(ids.is_stored(&other));
    }

    #[test]
    fn steps_grow_when_ids_come_faster_than_they_are_sorted_in() {
        let ids = Ids::default();
        let some =
            |count: usize| (0..count).map(|n| (key(&id(i64::try_from(n).unwrap())), 0)).collect();
        ids.recent().places = some(2 * BATCH as usize);
        assert_eq!(ids.step(), STEP);
        ids.recent().places = some(2 * BATCH as usize + 100 * BEHIND);
        assert_eq!(ids.step(), STEP + 100);
    }

    #[test]
    fn every_id_comes_back_from_its_key() {
        for text in ["060a98c2-4462-416d-82bf-493fd115ad41", "00982b00-0000-4000-8000-000000000000"]
        {
            assert_eq!(id_of(&key(&DeliveryId::parse(text).unwrap())), text);
        }
        for length in 1..=40 {
            let text = "x".repeat(length);
            let key = key(&DeliveryId::parse(&text).unwrap());
            assert_eq!(id_of(&key), text);
            assert_ne!(key.len(), 16, "`{text}` could be taken for a UUID");
        }
    }
}

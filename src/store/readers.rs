//! The connections that only read: each has a thread and a cache of its own while it is used, and none waits for the
//! writer. It knows no tables.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::engine::Connection;
use super::{Error, Place};

/// Readers at once. Without a bound a single busy moment would leave its threads and caches in memory for good, and
/// more of them than there are processors to serve only wait for each other.
const READERS: usize = 4;

pub(super) struct Readers {
    place: Place,
    /// Those that nobody reads with.
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        let places = Arc::new(Semaphore::new(READERS));
        Self { place, idle: Mutex::default(), places }
    }

    /// Runs `f` on a reader, off the async threads, as soon as one is free; who came first reads first.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::Closed)?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            // Given back by the thread, which goes on when nobody waits for its answer any more.
            let _place = place;
            let idle = readers.idle().pop();
            let connection = idle.map_or_else(|| readers.place.reader(), Ok)?;
            let result = try_read(f, &connection);
            readers.idle().push(connection);
            result
        });
        task.await.map_err(|_| Error::Closed)?
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn try_read<T>(
    f: impl FnOnce(&Connection) -> Result<T, Error>,
    connection: &Connection,
) -> Result<T, Error> {
    database!();
    f(connection)
}

impl Drop for Readers {
    /// Off the async threads: a connection to a server says that it ends, and waits for that.
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle());
        if idle.iter().any(|one| matches!(one, Connection::Postgres(_))) {
            std::thread::spawn(|| drop(idle));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::store::rows::only;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_is_read_for_by_a_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let readers = Arc::new(Readers::new(Place::from(&path)));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let read = |number: i64| {
            let (readers, now, most) = (readers.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                let read = readers.read(move |c| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Long enough for the others to be there too: it counts to a hundred thousand.
                    let count = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n \
                                 WHERE i < ?1 + 100000) SELECT max(i) FROM n";
                    let last: i64 = only(c, count, [number], |row| row.get(0))?;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(last)
                });
                read.await.unwrap()
            })
        };
        let crowd: Vec<_> = (0..40).map(read).collect();
        for (number, last) in (0..).zip(crowd) {
            assert_eq!(last.await.unwrap(), number + 100_000);
        }
        let (most, kept) = (most.load(Ordering::SeqCst), readers.idle().len());
        assert!((1..=READERS).contains(&most), "{most} read at once");
        assert!(kept <= READERS, "{kept} readers are kept");
    }

    #[tokio::test]
    async fn a_reader_that_fails_or_is_given_up_leaves_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Arc::new(Readers::new(Place::from(&folder.path().join("nothing.db"))));
        for _ in 0..READERS + 1 {
            let failed = readers.read(|_| Ok(())).await;
            assert!(matches!(failed, Err(Error::Open { .. })), "{failed:?}");
        }
        for _ in 0..READERS + 1 {
            // Polled once, which takes the place, and dropped.
            let given_up = readers.read(|_| Ok(()));
            tokio::select! { biased; _ = given_up => {}, () = std::future::ready(()) => {} }
        }
        let places = readers.places.acquire_many(READERS as u32);
        drop(tokio::time::timeout(Duration::from_secs(60), places).await.unwrap().unwrap());
    }
}

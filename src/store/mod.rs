//! The only SQL: the inbox (what was accepted and how it ended), the lanes (which issue is being processed) and the
//! ledger (what was concluded and written). It decides nothing and talks to nobody but SQLite.
//!
//! One thread writes, and groups what is queued into one commit; readers are apart and never wait for it. What a
//! call returned `Ok` for is flushed to the disk, but for sorting and claiming: they are flushed with what comes next,
//! and done again when power is lost before.
//!
//! # Errors
//! Every question fails when the store cannot be read or holds something unreadable, and every change when it cannot be
//! written; nothing is changed then. What else a call may answer with stands at the call.

mod backup;
mod budgets;
mod claims;
mod digest;
mod dispatches;
mod duties;
mod entries;
mod error;
mod gauges;
mod history;
mod identity;
mod ids;
mod inbox;
mod lanes;
mod ledger;
mod local_agent;
mod orders;
mod packing;
mod pages;
mod people;
mod private;
mod readers;
mod repeats;
mod retention;
mod rows;
mod run_logs;
mod runners;
mod runs;
mod schema;
mod sessions;
mod settling;
mod similar;
mod summaries;
mod sweeps;
mod turns;
mod wakes;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use self::rows::{first, run};
use self::writer::Flush;

pub use crate::delivery::DeliveryState;
pub use backup::Copied;
pub use budgets::{AgentSpending, DaySpending};
pub use digest::{ActionTaken, Digest, FailedDeliveries, OpenIssue, Period};
pub use dispatches::{Recorded, TransitionView};
pub use duties::DutyView;
pub use entries::ManualOrder;
pub use error::Error;
pub use gauges::Gauges;
pub use history::{DeliveryView, EffectView, EvaluationView, Filter, History};
pub use identity::ShownIssue;
pub use inbox::{Accepted, Classified, Destination, Signed, Unclassified};
pub use lanes::{Claim, Claimed, Pace, Rank};
pub use local_agent::{Proposal, Spending, StoredNote, Totals};
pub use orders::{GivenOrders, LastLook, OrderView};
pub use pages::{
    Activity, AgentLoad, DeliveryQuery, DeliveryStory, EvaluationStory, Hour, IssueQuery, IssueRow,
    IssueStory, Lane, LaneState, Overview, Page, Pulse, RunView, Show, Sight, Standings,
};
pub use run_logs::RunLog;
pub use runners::RunnerSeen;
pub use runs::{NewRun, Offer, RunAnswer, RunCall, RunState, Taking};
pub use sessions::Session;
pub use settling::{Ended, Failure, Told};
pub use similar::Numbered;
pub use summaries::{Ask, Posted, SummaryDay, Turn};
pub use sweeps::{Find, Known, Mark, OwnWrite, SweepCursor, Unlisted, Why};
pub use turns::NewTurn;

/// How long the writer waits for another process's lock. Below the two seconds in which a delivery must be answered.
const BUSY_WRITER: Duration = Duration::from_millis(1_500);
/// How long an accepted delivery may wait for its commit before the sender is told to come back.
const ACCEPT_TIMEOUT: Duration = Duration::from_millis(1_700);
/// Bytes of a page: most packed bodies fit into one, and the log has half as many to take.
const PAGE_SIZE: i64 = 8_192;
/// Pages in the log before it is folded back. Small, because the fold is what the slowest answers wait for.
const WAL_AUTOCHECKPOINT: i64 = 250;

/// The store. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writer: writer::Writer,
    readers: Arc<readers::Readers>,
    /// Places in the queue of accepted deliveries.
    places: Arc<Semaphore>,
    repeats: Mutex<repeats::Repeats>,
    ids: Arc<ids::Ids>,
    /// Held as long as the store is, by a `serve`.
    lock: Mutex<Option<File>>,
}

/// How the store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// By the one service that processes it; a second one is refused.
    Exclusive,
    /// By a command, beside a service that may be running.
    Shared,
}

impl Store {
    /// Opens or creates the database at `path` and brings it to today's schema. `queue` is how many deliveries may
    /// wait for their commit at once.
    ///
    /// # Errors
    /// When the file cannot be opened, is newer than this program, or is in use by another service.
    pub fn open(path: &Path, queue: usize, how: OpenMode) -> Result<Self, Error> {
        let lock = match how {
            OpenMode::Exclusive => Some(lock(path)?),
            OpenMode::Shared => None,
        };
        let mut connection = connect(path)?;
        schema::migrate(&mut connection, path)?;
        if how == OpenMode::Exclusive {
            lanes::recover(&connection)?;
        }
        let ids = Arc::new(ids::Ids::open(&connection, how)?);
        let written = Arc::clone(&ids);
        let ended = move |is_committed| written.settle(is_committed);
        let writer = writer::Writer::start(connection, ended).map_err(|e| open_error(path, e))?;
        let inner = Inner {
            path: path.to_owned(),
            writer,
            readers: Arc::new(readers::Readers::new(path)),
            places: Arc::new(Semaphore::new(queue)),
            repeats: Mutex::default(),
            ids,
            lock: Mutex::new(lock),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Waits until all that was queued is written, and lets another service have the database.
    pub async fn close(&self) -> Result<(), Error> {
        let written = self.write_repeats().await;
        let written = written.and(self.write(|_| Ok(())).await);
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        written
    }

    /// Whether something can be written: takes the write lock and a flush, changes nothing that anyone reads.
    pub async fn probe(&self) -> Result<(), Error> {
        let sql =
            "INSERT INTO fact VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1";
        self.write(|c| run(c, sql, [])).await
    }

    /// A fact the service remembers about itself.
    pub async fn fact(&self, name: impl Into<String>) -> Result<Option<String>, Error> {
        let name = name.into();
        self.read(move |c| fact(c, &name)).await
    }

    /// Remembers a fact.
    pub async fn remember(&self, name: impl Into<String>, value: String) -> Result<(), Error> {
        let name = name.into();
        self.write(move |c| set_fact(c, &name, &value)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.writer.write(Flush::First, f).await
    }

    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.readers.read(f).await
    }
}

fn fact(c: &Connection, name: &str) -> Result<Option<String>, Error> {
    first(c, "SELECT value FROM fact WHERE name = ?1", [name], |row| row.get(0))
}

fn set_fact(c: &Connection, name: &str, value: &str) -> Result<(), Error> {
    let set = "INSERT INTO fact VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    run(c, set, (name, value))
}

/// An empty store, gone with its folder.
#[cfg(test)]
fn scratch() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db"), 8, OpenMode::Shared).unwrap();
    (folder, store)
}

/// A delivery that says nothing.
#[cfg(test)]
fn sample(id: crate::delivery::DeliveryId) -> crate::delivery::Delivery {
    crate::delivery::Delivery {
        id,
        received_at: crate::clock::from_millis(1),
        body: bytes::Bytes::from_static(b"{}"),
        event_header: String::new(),
        scope: None,
    }
}

/// The steps in which SQLite would answer.
#[cfg(test)]
fn plan(c: &Connection, sql: &str) -> Result<Vec<String>, Error> {
    let mut plan = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    // What the question asks for stays empty: only its shape matters here.
    let steps = plan.raw_query().mapped(|r| r.get::<_, String>(3)).collect::<Result<_, _>>()?;
    Ok(steps)
}

fn open_error(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Open { path: path.to_owned(), reason: reason.to_string() }
}

/// A lock file beside the database: SQLite's own locks come and go with each transaction, so they cannot say
/// that a service is running.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private::file(Path::new(&name)).map_err(|e| open_error(path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(open_error(path, e)),
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    // SQLite gives its log and its index the mode of the database.
    private::file(path).map_err(|e| open_error(path, e))?;
    ["-wal", "-shm"].iter().for_each(|end| private::close(&backup::beside(path, end)));
    let connection = Connection::open(path).map_err(|e| open_error(path, e))?;
    connection.busy_timeout(BUSY_WRITER)?;
    // For a new file; one that has its pages keeps them.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(|e| open_error(path, e))?;
    // FULL, not NORMAL: a 2xx must survive power loss, and WAL with NORMAL does not flush at commit. The writer sets
    // NORMAL for what may wait.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

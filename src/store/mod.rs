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

mod acts;
mod arrivals;
mod backup;
mod budgets;
mod claims;
mod copy;
mod digest;
mod dispatches;
mod duties;
mod engine;
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
mod pauses;
mod people;
mod place;
mod private;
mod readers;
mod repeats;
mod replicas;
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
mod term;
mod turns;
mod wakes;
mod writer;

use self::rows::{first, run};
use std::fs::File;
use std::path::Path;
#[cfg(test)]
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use self::engine::{Connection, Flush, open_error};

pub use crate::delivery::DeliveryState;
pub use acts::Act;
pub use arrivals::Accepted;
pub use backup::Copied;
pub use budgets::{AgentSpending, DaySpending};
pub use copy::{Content, CopiedTable, CopyProgress, CopyStep, copy};
pub use digest::{ActionTaken, Digest, FailedDeliveries, OpenIssue, Period};
pub use dispatches::{Recorded, TransitionView};
pub use duties::DutyView;
pub use engine::News;
pub use entries::ManualOrder;
pub use error::Error;
pub use gauges::Gauges;
pub use history::{DeliveryView, EffectView, EvaluationView, Filter, History};
pub use identity::ShownIssue;
pub use inbox::{Classified, Destination, Signed, Unclassified};
pub use lanes::{Claim, Claimed, Pace, Rank};
pub use local_agent::{Proposal, Spending, StoredNote, Totals};
pub use orders::{GivenOrders, LastLook, OrderView};
pub use pages::{
    Activity, AgentLoad, Between, DISPATCHES, DeliveryQuery, DeliveryStory, DispatchDay,
    EvaluationStory, Hour, IssueQuery, IssueRow, IssueStory, Lane, LaneState, Needs, Overview,
    Page, Pulse, RunView, Show, Sight, Standings,
};
pub use place::Place;
pub use replicas::{Replica, StoreTurn};
pub use run_logs::RunLog;
pub use runners::RunnerSeen;
pub use runs::{NewRun, Offer, RunAnswer, RunCall, RunState, Taking};
pub use schema::VERSION as SCHEMA_VERSION;
pub use sessions::Session;
pub use settling::{Ended, Failure, Told};
pub use similar::Numbered;
pub use summaries::{Ask, Posted, SummaryDay, Turn};
pub use sweeps::{Find, Known, Mark, OwnWrite, SweepCursor, Unlisted, Why};
pub use term::Term;
pub use turns::NewTurn;

/// How long an accepted delivery may wait for its commit before the sender is told to come back.
const ACCEPT_TIMEOUT: Duration = Duration::from_millis(1_700);

/// The store. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    writer: writer::Writer,
    arrivals: Arc<writer::Together<arrivals::Arrived, Accepted>>,
    readers: Arc<readers::Readers>,
    /// Places in the queue of accepted deliveries.
    places: Arc<Semaphore>,
    repeats: Mutex<repeats::Repeats>,
    /// Held while repeats are written down.
    writing_repeats: tokio::sync::Mutex<()>,
    ids: Arc<ids::Ids>,
    takings: lanes::Takings,
    /// Held as long as the store is, by a `serve`.
    lock: Mutex<Option<File>>,
    /// Its service among those that share it, once it has joined them.
    member: OnceLock<replicas::Member>,
}

/// How the store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// By the only one who processes it; anybody else is refused.
    Exclusive,
    /// By a service: a file by the only one, a server beside others that [`Store::join`] too.
    Service,
    /// By a command, beside a service that may be running.
    Shared,
}

impl Store {
    /// Opens or creates the database and brings it to today's schema. `queue` is how many deliveries may
    /// wait for their commit at once.
    ///
    /// # Errors
    /// When the database cannot be opened, is newer than this program, is in use by another service, or is a copy that
    /// was not finished.
    pub fn open(place: impl Into<Place>, queue: usize, how: OpenMode) -> Result<Self, Error> {
        Self::open_as(place.into(), queue, how, copy::must_be_whole)
    }

    /// The same with a check of its own.
    fn open_as(place: Place, queue: usize, how: OpenMode, check: Check) -> Result<Self, Error> {
        let alone = place.file().filter(|_| how != OpenMode::Shared);
        let lock = alone.map(lock).transpose()?;
        // On a thread of its own: a server is waited for, which the async threads may not do.
        let (connection, ids) = std::thread::scope(|scope| {
            let ready = scope.spawn(|| made_ready(&place, how, check)).join();
            ready.unwrap_or(Err(Error::Broken))
        })?;
        let ids = Arc::new(ids);
        let (known, written) = (Arc::clone(&ids), Arc::clone(&ids));
        let arrivals = writer::Together::new(move |c, some| arrivals::take_in(c, &known, some));
        let ended = move |is_committed| written.settle(is_committed);
        let writer = writer::Writer::start(connection, ended).map_err(|e| place.error(e))?;
        let inner = Inner {
            readers: Arc::new(readers::Readers::new(place.clone())),
            place,
            writer,
            arrivals,
            places: Arc::new(Semaphore::new(queue)),
            repeats: Mutex::default(),
            writing_repeats: tokio::sync::Mutex::default(),
            ids,
            lock: Mutex::new(lock),
            takings: lanes::Takings::default(),
            member: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// Waits until all that was queued is written, and lets another service have the database, and what this one had.
    pub async fn close(&self) -> Result<(), Error> {
        let left = self.leave().await;
        left.and(self.close_unfinished().await)
    }

    /// The same, but lets others find out by themselves what this one had: what was cut off in the middle may still reach the
    /// forge, so that nobody is to go on with it at once.
    pub async fn close_unfinished(&self) -> Result<(), Error> {
        self.fall_silent();
        let written = self.write_repeats().await;
        let written = written.and(self.write(Connection::let_go).await);
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        written
    }

    /// Whether something can be written: takes the write lock and a flush, changes nothing that anyone reads.
    pub async fn probe(&self) -> Result<(), Error> {
        let sql = "INSERT INTO fact VALUES ('probe', '1') ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(fact.value AS BIGINT) + 1 AS TEXT)";
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

    /// Remembers a fact unless there is one of that name, and gives the one that is there then.
    pub async fn remember_first(
        &self,
        name: impl Into<String>,
        value: String,
    ) -> Result<String, Error> {
        let name = name.into();
        self.write(move |c| {
            if let Some(known) = fact(c, &name)? {
                return Ok(known);
            }
            set_fact(c, &name, &value)?;
            Ok(value.clone())
        })
        .await
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

/// Whether what is at a place may be opened.
type Check = fn(&Connection, &Place) -> Result<(), Error>;

/// The connection that writes, to a database with today's schema.
fn made_ready(place: &Place, how: OpenMode, check: Check) -> Result<(Connection, ids::Ids), Error> {
    let mut connection = place.writer(how)?;
    let is_command = how == OpenMode::Shared && place.file().is_none();
    if is_command && replicas::run_earlier(&connection).map_err(|error| place.refused(error))? {
        return Err(Error::TooOld(place.to_string()));
    }
    schema::migrate(&mut connection, place)?;
    check(&connection, place)?;
    let is_alone = match how {
        OpenMode::Exclusive => true,
        OpenMode::Service => place.file().is_some(),
        OpenMode::Shared => false,
    };
    if is_alone {
        connection.begin(Flush::First)?;
        let recovered = connection.batch("DELETE FROM replica");
        let recovered = recovered.and_then(|()| lanes::recover(&connection));
        let ended = connection.end(recovered.is_ok());
        recovered.and(ended)?;
    }
    let ids = ids::Ids::open(&mut connection, how)?;
    Ok((connection, ids))
}

fn fact(c: &Connection, name: &str) -> Result<Option<String>, Error> {
    first(c, "SELECT value FROM fact WHERE name = ?1", [name], |row| row.get(0))
}

fn set_fact(c: &Connection, name: &str, value: &str) -> Result<(), Error> {
    let set =
        "INSERT INTO fact VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    run(c, set, (name, value))
}

/// An empty store, gone with its folder; on the PostgreSQL that `GITEA_TRIAGE_TEST_POSTGRES` names, where it names one.
#[cfg(test)]
fn scratch() -> (tempfile::TempDir, Store) {
    let Ok(url) = std::env::var("GITEA_TRIAGE_TEST_POSTGRES") else { return scratch_file() };
    let schema = format!("unit_{}", uuid::Uuid::new_v4().simple());
    let make = || {
        Place::from_str(&url)
            .unwrap()
            .writer(OpenMode::Shared)?
            .batch(&format!("CREATE SCHEMA {schema}"))
    };
    std::thread::scope(|scope| scope.spawn(make).join().unwrap()).unwrap();
    let joint = if url.contains('?') { '&' } else { '?' };
    let place: Place = format!("{url}{joint}options=-csearch_path%3D{schema}").parse().unwrap();
    (tempfile::tempdir().unwrap(), Store::open(place, 8, OpenMode::Shared).unwrap())
}

/// An empty store on SQLite.
#[cfg(test)]
fn scratch_file() -> (tempfile::TempDir, Store) {
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
    let Connection::Sqlite(c) = c else { return Err(Error::Elsewhere) };
    c.plan(sql)
}

/// A lock file beside the database: SQLite's own locks come and go with each transaction, so they cannot say
/// that a service is running.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private::file(Path::new(&name)).map_err(|e| open_error(path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(path.display().to_string())),
        Err(std::fs::TryLockError::Error(e)) => Err(open_error(path, e)),
    }
}

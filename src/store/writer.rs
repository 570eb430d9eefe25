//! The one thread that writes: it takes what is queued, runs it in one transaction and answers after the commit,
//! so that a hundred neighbours pay for one flush. It knows no tables, and not what may wait for a flush of others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Error;

/// The most jobs one transaction takes; what comes later waits for the next flush.
const GROUP: usize = 256;

/// When what was written has to be on the device, which only a loss of power tells apart: what is committed survives
/// the end of the process either way. SQLite's names for the two, with a write-ahead log, are `FULL` and `NORMAL`
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flush {
    /// With whatever is flushed next. The log is flushed from its start to its end, so nothing later can be on the
    /// device without it. Only for what can be done again when it is lost with all that followed it.
    Later,
    /// Before it is answered.
    First,
}

/// What a piece of writing gives, whatever it is.
type Given = Box<dyn Any + Send>;
type Work = Box<dyn FnMut(&Connection) -> Result<Given, Error> + Send>;

/// A piece of writing, waiting for its turn.
struct Job {
    f: Work,
    flush: Flush,
    result: Option<Result<Given, Error>>,
    reply: oneshot::Sender<Result<Given, Error>>,
}

impl Job {
    /// Runs inside the group's transaction; false when it failed and the group has to be undone.
    fn run(&mut self, connection: &Connection) -> bool {
        // While the transaction waited to begin, its sender may have been told that nothing is stored.
        if self.reply.is_closed() {
            return true;
        }
        // Caught, because this thread is the only one: without it nothing could be stored any more.
        let result = catch_unwind(AssertUnwindSafe(|| (self.f)(connection)));
        self.result = Some(result.unwrap_or(Err(Error::Broken)));
        !self.has_failed()
    }

    fn has_failed(&self) -> bool {
        matches!(self.result, Some(Err(_)))
    }

    /// Answers, after the commit.
    fn answer(self, committed: Result<(), Error>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Error::Closed),
            // The job's own error says more than that the group was undone.
            (Err(_), Some(Err(own))) => Err(own),
            (Err(error), _) => Err(error),
        };
        // The other side may have given up waiting; the work is committed all the same.
        let _ = self.reply.send(result);
    }
}

/// The way to the writing thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Sender<Job>,
}

impl Writer {
    /// Starts the thread; it ends when the last handle is gone and all that was queued is written. `ended` is told of
    /// each transaction whether it was committed, before anybody else is: memory that follows the tables needs it.
    pub(super) fn start(
        connection: Connection,
        ended: impl FnMut(bool) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || Thread::new(connection, ended).write_all(&queue))?;
        Ok(Self { jobs })
    }

    /// Queues `f`, waits until it is committed and, if it has to be, flushed, and gives its result. `f` may run several
    /// times: when a neighbour fails, the group is undone, the others are run again, and the one that failed is run
    /// alone.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        flush: Flush,
        mut f: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let f = Box::new(move |c: &Connection| Ok(Box::new(f(c)?) as Given));
        self.jobs.send(Job { f, flush, result: None, reply }).map_err(|_| Error::Closed)?;
        let given = answer.await.map_err(|_| Error::Closed)??;
        given.downcast().map(|given| *given).map_err(|_| Error::Closed)
    }
}

/// What the thread has.
struct Thread<E> {
    /// As [`super::connect`] leaves it: flushing each commit.
    connection: Connection,
    ended: E,
    /// What the connection is set to.
    flush: Flush,
    /// A flush has failed. What was committed before without one may be lost although the next one succeeds: Linux
    /// tells of a page that could not be written once, and takes it for written from then on (fsync(2)).
    is_doubtful: bool,
}

impl<E: FnMut(bool)> Thread<E> {
    fn new(connection: Connection, ended: E) -> Self {
        Self { connection, ended, flush: Flush::First, is_doubtful: false }
    }

    fn write_all(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let group = std::iter::once(first).chain(queue.try_iter()).take(GROUP);
            self.write_group(group.filter(|job| !job.reply.is_closed()).collect());
        }
        // What is in the log belongs into the file when the service stops in good order.
        if let Err(error) = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE") {
            tracing::debug!(%error, "the log could not be folded into the database at the end");
        }
    }

    fn write_group(&mut self, mut group: Vec<Job>) {
        match self.commit(&mut group) {
            // One of them failed; the others must not suffer for it, and not be flushed one by one.
            Err(Error::Undone) if group.len() > 1 => {
                let (failed, rest): (Vec<_>, _) = group.into_iter().partition(Job::has_failed);
                self.write_group(rest);
                failed.into_iter().for_each(|job| self.write_group(vec![job]));
            }
            // When the transaction itself could not begin or end, trying each alone would only make all wait longer.
            result => {
                let answer = |job: Job| job.answer(result.as_ref().copied().map_err(Error::again));
                group.into_iter().for_each(answer);
            }
        }
    }

    fn commit(&mut self, group: &mut [Job]) -> Result<(), Error> {
        let Some(flush) = group.iter().map(|job| job.flush).max() else { return Ok(()) };
        let result = self.prepare(flush).and_then(|()| run(&mut self.connection, group));
        self.is_doubtful |= result.as_ref().is_err_and(Error::is_failed_flush);
        (self.ended)(result.is_ok());
        result
    }

    /// Sets what the next commit does, which SQLite refuses within a transaction, and sees to it that a flush means
    /// something.
    fn prepare(&mut self, flush: Flush) -> Result<(), Error> {
        if flush != self.flush {
            let (mode, autocheckpoint) = match flush {
                Flush::First => ("FULL", super::WAL_AUTOCHECKPOINT),
                // SQLite tells nobody of a fold that failed, and the flush it begins with would be the first of this.
                Flush::Later => ("NORMAL", 0),
            };
            self.connection.pragma_update(None, "synchronous", mode)?;
            self.connection.pragma_update(None, "wal_autocheckpoint", autocheckpoint)?;
            self.flush = flush;
        }
        if self.is_doubtful && flush == Flush::First {
            // Writes all that is in the log into the database, and begins it again.
            let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
            if self.connection.query_row(fold, [], |row| row.get(0))? {
                return Err(Error::Write("its log cannot be renewed while it is read".to_owned()));
            }
            self.is_doubtful = false;
        }
        Ok(())
    }
}

/// Runs all jobs in one transaction. `BEGIN IMMEDIATE` takes the write lock at once: a deferred transaction
/// could fail halfway when another process writes.
fn run(connection: &mut Connection, group: &mut [Job]) -> Result<(), Error> {
    database!();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group.iter_mut() {
        if !job.run(&transaction) {
            return Err(Error::Undone);
        }
        database!();
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `PRAGMA synchronous` says.
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;

    /// A job that says how the transaction it runs in is going to be committed.
    async fn ask(writer: Writer, flush: Flush) -> i64 {
        let mode =
            |c: &Connection| Ok(c.pragma_query_value(None, "synchronous", |row| row.get(0))?);
        writer.write(flush, mode).await.unwrap()
    }

    #[tokio::test]
    async fn a_group_is_flushed_when_one_of_it_has_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let connection = super::super::connect(&folder.path().join("flush.db")).unwrap();
        let writer = Writer::start(connection, drop).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        assert_eq!(ask(writer.clone(), Flush::Later).await, NORMAL);
        assert_eq!(ask(writer.clone(), Flush::First).await, FULL);
        // What is queued behind this one becomes a group.
        let first = writer.write(Flush::First, move |_| {
            wait.recv().unwrap();
            Ok(())
        });
        let later = ask(writer.clone(), Flush::Later);
        let others = async { tokio::join!(later, ask(writer.clone(), Flush::First)) };
        let release = async { go.send(()).unwrap() };
        let (first, others, ()) = tokio::join!(first, others, release);
        first.unwrap();
        assert_eq!(others, (FULL, FULL));
        let alone = tokio::join!(ask(writer.clone(), Flush::Later), ask(writer, Flush::Later));
        assert_eq!(alone, (NORMAL, NORMAL));
    }

    fn insert(reply: oneshot::Sender<Result<Given, Error>>, flush: Flush) -> Job {
        let insert = "INSERT INTO t VALUES (1)";
        let f = Box::new(|c: &Connection| Ok(Box::new(c.execute(insert, [])?) as Given));
        Job { f, flush, result: None, reply }
    }

    #[test]
    fn after_a_failed_flush_nothing_is_answered_for_before_the_log_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doubt.db");
        let connection = super::super::connect(&path).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (0)").unwrap();
        let mut thread = Thread { is_doubtful: true, ..Thread::new(connection, drop) };
        let mut commit = |flush| {
            let (reply, _answer) = oneshot::channel();
            thread.commit(&mut [insert(reply, flush)]).map_err(|e| e.to_string())
        };
        let log = || std::fs::metadata(folder.path().join("doubt.db-wal")).unwrap().len();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        assert_eq!(commit(Flush::Later), Ok(()));
        let refused = commit(Flush::First).unwrap_err();
        assert!(refused.contains("while it is read"), "{refused}");
        let before = log();
        drop(reader);
        assert_eq!(commit(Flush::First), Ok(()));
        assert!(log() < before, "{} is not less than {before}", log());
        // From then on it goes on as ever.
        let new = log();
        assert_eq!(commit(Flush::First), Ok(()));
        assert!(log() > new);
    }

    #[test]
    fn only_a_flush_that_failed_makes_the_log_doubtful() {
        let error = |code| {
            let code = rusqlite::ffi::Error::new(code);
            Error::Sqlite(rusqlite::Error::SqliteFailure(code, None))
        };
        assert!(error(rusqlite::ffi::SQLITE_IOERR_FSYNC).is_failed_flush());
        assert!(!error(rusqlite::ffi::SQLITE_FULL).is_failed_flush());
        assert!(!Error::Undone.is_failed_flush());
    }
}

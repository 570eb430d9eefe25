//! The one thread that writes: it takes what is queued, runs it in one transaction and answers after the commit,
//! so that a hundred neighbours pay for one flush. It knows no tables.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Error;

/// The most jobs one transaction takes; what comes later waits for the next flush.
const GROUP: usize = 256;

/// A piece of writing, waiting for its turn.
trait Job: Send {
    /// Nobody waits for the answer any more, so it must not be started.
    fn is_abandoned(&self) -> bool;
    /// Runs inside the group's transaction; false when it failed and the group has to be undone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Whether its last run failed.
    fn has_failed(&self) -> bool;
    /// Answers, after the commit.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Work<F, T> {
    f: F,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Work<F, T>
where
    F: FnMut(&Connection) -> Result<T, Error> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        // While the transaction waited to begin, its sender may have been told that nothing is stored.
        if self.is_abandoned() {
            return true;
        }
        let result = (self.f)(connection);
        let fine = result.is_ok();
        self.result = Some(result);
        fine
    }

    fn has_failed(&self) -> bool {
        matches!(self.result, Some(Err(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
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
    jobs: Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread; it ends when the last handle is gone and all that was queued is written. `ended` is told of
    /// each transaction whether it was committed, before anybody else is: memory that follows the tables needs it.
    pub(super) fn start(
        connection: Connection,
        ended: impl FnMut(bool) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || Thread { connection, ended }.write_all(&queue))?;
        Ok((Self { jobs }, thread))
    }

    /// Queues `f`, waits until it is committed and flushed, and gives its result. `f` may run several times: when a
    /// neighbour fails, the group is undone, the others are run again, and the one that failed is run alone.
    pub(super) async fn write<T, F>(&self, f: F) -> Result<T, Error>
    where
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Box::new(Work { f, result: None, reply })).map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// What the thread has.
struct Thread<E> {
    connection: Connection,
    ended: E,
}

impl<E: FnMut(bool)> Thread<E> {
    fn write_all(mut self, queue: &Receiver<Box<dyn Job>>) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        while let Ok(first) = queue.recv() {
            group.push(first);
            while group.len() < GROUP {
                match queue.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            group.retain(|job| !job.is_abandoned());
            self.write_group(&mut group);
        }
        // What is in the log belongs into the file when the service stops in good order.
        if let Err(error) = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE") {
            tracing::debug!(%error, "the log could not be folded into the database at the end");
        }
    }

    fn write_group(&mut self, group: &mut Vec<Box<dyn Job>>) {
        match self.commit(group) {
            // One of them failed; the others must not suffer for it, and not be flushed one by one.
            Err(Error::Undone) if group.len() > 1 => {
                let (failed, mut rest) = group.drain(..).partition(|job| job.has_failed());
                self.write_group(&mut rest);
                self.write_alone(failed);
            }
            // When the transaction itself could not begin or end, trying each alone would only make all wait longer.
            result => answer(group, &result),
        }
    }

    fn write_alone(&mut self, jobs: Vec<Box<dyn Job>>) {
        for job in jobs {
            let mut alone = vec![job];
            let result = self.commit(&mut alone);
            answer(&mut alone, &result);
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
        if group.is_empty() {
            return Ok(());
        }
        let result = run(&mut self.connection, group);
        (self.ended)(result.is_ok());
        result
    }
}

fn answer(group: &mut Vec<Box<dyn Job>>, result: &Result<(), Error>) {
    for job in group.drain(..) {
        job.answer(result.as_ref().copied().map_err(Error::again));
    }
}

/// Runs all jobs in one transaction. `BEGIN IMMEDIATE` takes the write lock at once: a deferred transaction
/// could fail halfway when another process writes.
fn run(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
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

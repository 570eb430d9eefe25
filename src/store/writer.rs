//! The one thread that writes: it takes what is queued, runs it in one transaction and answers after the commit,
//! so that a hundred neighbours pay for one flush. It knows no tables, and not what may wait for a flush of others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

use super::Error;
use super::engine::{Connection, Flush};

/// The most jobs one transaction takes; what comes later waits for the next flush.
const GROUP: usize = 256;

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
            .spawn(move || Thread { connection, ended }.write_all(&queue))?;
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
    connection: Connection,
    ended: E,
}

impl<E: FnMut(bool)> Thread<E> {
    fn write_all(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let group = std::iter::once(first).chain(queue.try_iter()).take(GROUP);
            self.write_group(group.filter(|job| !job.reply.is_closed()).collect());
        }
        self.connection.close();
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
        let result = run(&mut self.connection, flush, group);
        (self.ended)(result.is_ok());
        result
    }
}

/// Runs all jobs in one transaction.
fn run(connection: &mut Connection, flush: Flush, group: &mut [Job]) -> Result<(), Error> {
    database!();
    connection.begin(flush)?;
    match run_each(connection, group) {
        Ok(()) => connection.end(true),
        Err(error) => {
            if let Err(error) = connection.end(false) {
                tracing::debug!(%error, "a transaction could not be undone; its connection is gone");
            }
            Err(error)
        }
    }
}

fn run_each(connection: &Connection, group: &mut [Job]) -> Result<(), Error> {
    for job in group.iter_mut() {
        if !job.run(connection) {
            return Err(Error::Undone);
        }
        database!();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::only;
    use crate::store::{OpenMode, Place};

    /// What `PRAGMA synchronous` says.
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;

    /// A job that says how the transaction it runs in is going to be committed.
    async fn ask(writer: Writer, flush: Flush) -> i64 {
        let mode = |c: &Connection| only(c, "PRAGMA synchronous", [], |row| row.get(0));
        writer.write(flush, mode).await.unwrap()
    }

    #[tokio::test]
    async fn a_group_is_flushed_when_one_of_it_has_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let connection =
            Place::from(&folder.path().join("flush.db")).writer(OpenMode::Shared).unwrap();
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
}

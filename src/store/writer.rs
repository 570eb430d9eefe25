//! The one thread that writes: it takes what is queued, runs it in one transaction and answers after the commit,
//! so that a hundred neighbours pay for one flush. It knows no tables, and not what may wait for a flush of others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Error;
use super::engine::{Connection, Flush};

/// The most jobs one transaction takes; what comes later waits for the next flush.
const GROUP: usize = 256;

/// Where the one who waits for a result gets it.
type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// A piece of writing, waiting for its turn.
trait Job: Send {
    fn flush(&self) -> Flush;

    /// Whether nobody waits for it any more; asked before it is run.
    fn is_given_up(&self) -> bool;

    /// Runs inside the group's transaction; false when it failed and the group has to be undone.
    fn run(&mut self, connection: &Connection) -> bool;

    fn has_failed(&self) -> bool;

    /// Answers, after the commit.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

/// Runs a part of a job. What panics is caught, because this thread is the only one: without it nothing could be stored
/// any more.
fn caught<T>(f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(Error::Broken))
}

/// What is answered of a job that gave `result`.
fn outcome<T>(committed: Result<(), Error>, result: Option<Result<T, Error>>) -> Result<T, Error> {
    match (committed, result) {
        (Ok(()), Some(result)) => result,
        (Ok(()), None) => Err(Error::Closed),
        // The job's own error says more than that the group was undone.
        (Err(_), Some(Err(own))) => Err(own),
        (Err(error), _) => Err(error),
    }
}

/// A piece of writing for one.
struct Single<T, F> {
    f: F,
    flush: Flush,
    result: Option<Result<T, Error>>,
    reply: Reply<T>,
}

impl<T: Send, F: FnMut(&Connection) -> Result<T, Error> + Send> Job for Single<T, F> {
    fn flush(&self) -> Flush {
        self.flush
    }

    fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        // While the transaction waited to begin, its sender may have been told that nothing is stored.
        if self.reply.is_closed() {
            return true;
        }
        self.result = Some(caught(|| (self.f)(connection)));
        !self.has_failed()
    }

    fn has_failed(&self) -> bool {
        matches!(self.result, Some(Err(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        // The other side may have given up waiting; the work is committed all the same.
        let _ = self.reply.send(outcome(committed, self.result));
    }
}

/// Things of one kind that wait to be written, all by one piece of writing: a server is waited for once for all of them.
pub(super) struct Together<I, T> {
    /// Writes some, and says of each what became of it.
    work: Box<Work<I, T>>,
    waiting: Mutex<Vec<(I, Reply<T>)>>,
}

type Work<I, T> = dyn Fn(&Connection, &[&I]) -> Result<Vec<T>, Error> + Send + Sync;

impl<I, T> Together<I, T> {
    pub(super) fn new(
        work: impl Fn(&Connection, &[&I]) -> Result<Vec<T>, Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { work: Box::new(work), waiting: Mutex::default() })
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(I, Reply<T>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The piece of writing for all that wait when its turn comes.
struct Crowd<I, T> {
    of: Arc<Together<I, T>>,
    flush: Flush,
    taken: Vec<(I, Reply<T>)>,
    result: Option<Result<Vec<T>, Error>>,
}

impl<I: Send, T: Send> Job for Crowd<I, T> {
    fn flush(&self) -> Flush {
        self.flush
    }

    fn is_given_up(&self) -> bool {
        let mut waiting = self.of.waiting();
        waiting.retain(|(_, reply)| !reply.is_closed());
        waiting.is_empty()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        if self.result.take().is_none() {
            self.taken = std::mem::take(&mut *self.of.waiting());
        }
        self.taken.retain(|(_, reply)| !reply.is_closed());
        let items: Vec<_> = self.taken.iter().map(|(item, _)| item).collect();
        self.result = Some(caught(|| (self.of.work)(connection, &items)));
        !self.has_failed()
    }

    fn has_failed(&self) -> bool {
        matches!(self.result, Some(Err(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        // Where the transaction did not begin, they still wait.
        let waited = self.result.is_none().then(|| std::mem::take(&mut *self.of.waiting()));
        let replies = self.taken.into_iter().chain(waited.into_iter().flatten()).map(|(_, r)| r);
        match outcome(committed, self.result) {
            Ok(given) => replies.zip(given).for_each(|(reply, given)| {
                let _ = reply.send(Ok(given));
            }),
            Err(error) => replies.for_each(|reply| {
                let _ = reply.send(Err(error.again()));
            }),
        }
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
        f: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue(Single { f, flush, result: None, reply })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// The same for one thing of many that are written by the same piece of writing. Where that fails, it has failed for
    /// all of them.
    pub(super) async fn write_one_of<I: Send + 'static, T: Send + 'static>(
        &self,
        together: &Arc<Together<I, T>>,
        flush: Flush,
        item: I,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = together.waiting();
            waiting.push((item, reply));
            waiting.len() == 1
        };
        // Whoever came before has queued for this one too.
        if is_first {
            let of = Arc::clone(together);
            let queued = self.queue(Crowd { of, flush, taken: Vec::new(), result: None });
            queued.inspect_err(|_| together.waiting().clear())?;
        }
        answer.await.unwrap_or(Err(Error::Closed))
    }

    fn queue(&self, job: impl Job + 'static) -> Result<(), Error> {
        self.jobs.send(Box::new(job)).map_err(|_| Error::Closed)
    }
}

/// What the thread has.
struct Thread<E> {
    connection: Connection,
    ended: E,
}

impl<E: FnMut(bool)> Thread<E> {
    fn write_all(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let group = std::iter::once(first).chain(queue.try_iter()).take(GROUP);
            self.write_group(group.filter(|job| !job.is_given_up()).collect());
        }
        self.connection.close();
    }

    fn write_group(&mut self, mut group: Vec<Box<dyn Job>>) {
        match self.commit(&mut group) {
            // One of them failed; the others must not suffer for it, and not be flushed one by one.
            Err(Error::Undone) if group.len() > 1 => {
                let (failed, rest): (Vec<_>, _) =
                    group.into_iter().partition(|job| job.has_failed());
                self.write_group(rest);
                failed.into_iter().for_each(|job| self.write_group(vec![job]));
            }
            // When the transaction itself could not begin or end, trying each alone would only make all wait longer.
            result => {
                let answer =
                    |job: Box<dyn Job>| job.answer(result.as_ref().copied().map_err(Error::again));
                group.into_iter().for_each(answer);
            }
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let Some(flush) = group.iter().map(|job| job.flush()).max() else { return Ok(()) };
        let result = run(&mut self.connection, flush, group);
        (self.ended)(result.is_ok());
        result
    }
}

/// Runs all jobs in one transaction.
fn run(connection: &mut Connection, flush: Flush, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
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

fn run_each(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
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

    fn scratch_writer(folder: &std::path::Path) -> Writer {
        let connection = Place::from(&folder.join("crowd.db")).writer(OpenMode::Shared).unwrap();
        connection.batch("CREATE TABLE t (x)").unwrap();
        Writer::start(connection, drop).unwrap()
    }

    /// Inserts numbers, and says how many came with each; refuses negative ones.
    fn numbers() -> Arc<Together<i64, usize>> {
        Together::new(|c: &Connection, some: &[&i64]| {
            let insert = |x: &&i64| match **x {
                0.. => crate::store::rows::run(c, "INSERT INTO t VALUES (?1)", [**x]),
                _ => Err(Error::Stale),
            };
            some.iter().try_for_each(insert)?;
            Ok(vec![some.len(); some.len()])
        })
    }

    /// A job that keeps the writer waiting until the other end is gone: it may run twice.
    fn kept_waiting(writer: &Writer) -> (Sender<()>, impl Future<Output = Result<(), Error>>) {
        let (go, wait) = channel();
        let job = move |_: &Connection| {
            let _ = wait.recv();
            Ok(())
        };
        (go, writer.write(Flush::First, job))
    }

    async fn sum(writer: &Writer) -> i64 {
        let sum = |c: &Connection| only(c, "SELECT coalesce(sum(x), 0) FROM t", [], |r| r.get(0));
        writer.write(Flush::Later, sum).await.unwrap()
    }

    #[tokio::test]
    async fn what_waits_is_written_at_once_but_for_what_nobody_waits_for_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, together) = (scratch_writer(folder.path()), numbers());
        let (go, first) = kept_waiting(&writer);
        let put = |x| writer.write_one_of(&together, Flush::First, x);
        let given_up = async {
            // Polled once, which queues it, and dropped.
            tokio::select! { biased; _ = put(100) => {}, () = std::future::ready(()) => {} }
        };
        // A neighbour that fails has all of them written a second time, and the same ones.
        let fails = writer.write(Flush::First, |_| Err::<(), _>(Error::Stale));
        let release = async { drop(go) };
        let (_, _, one, two, failed, ()) =
            tokio::join!(first, given_up, put(1), put(2), fails, release);
        assert_eq!((one.unwrap(), two.unwrap()), (2, 2));
        assert!(matches!(failed, Err(Error::Stale)));
        assert_eq!(sum(&writer).await, 3);
        assert_eq!(put(4).await.unwrap(), 1);
        assert_eq!(sum(&writer).await, 7);
    }

    #[tokio::test]
    async fn what_fails_together_leaves_the_neighbours_and_those_that_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, together) = (scratch_writer(folder.path()), numbers());
        let (go, first) = kept_waiting(&writer);
        let put = |x| writer.write_one_of(&together, Flush::First, x);
        let insert = |c: &Connection| crate::store::rows::run(c, "INSERT INTO t VALUES (8)", []);
        let neighbour = writer.write(Flush::First, insert);
        let release = async { drop(go) };
        let (_, one, bad, neighbour, ()) = tokio::join!(first, put(1), put(-1), neighbour, release);
        let both = [one, bad].map(|refused| refused.unwrap_err().to_string());
        assert!(both.iter().all(|said| said.contains("another worker")), "{both:?}");
        neighbour.unwrap();
        assert_eq!(put(16).await.unwrap(), 1);
        assert_eq!(sum(&writer).await, 24);
    }
}

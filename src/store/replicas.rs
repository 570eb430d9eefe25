//! The services that share a store on a server: who of them lives, what one leaves behind when it is gone, and which one
//! does what is to be done once. A file has one service, which needs none of this.
//!
//! Each has a row and renews it by the server's clock. A row that was not renewed in [`GONE_AFTER`] is taken away by the
//! others, and the issues that its service had are due again; their epoch fences the late one off from the store. From the
//! forge it keeps itself away: a [`Term`] is over a good while before anybody takes the row away, and work is only done
//! within one. Only then a service may come back, as a new one.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::engine::{Connection, Listener, News, params};
use super::lanes::millis;
use super::rows::{changed, insert, is_any, only, run};
use super::term::{Presence, Term};
use super::{Error, Inner, Store, lanes, schema};

/// How often a service renews its row.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// How long after its last beat a service does nothing any more that others can see.
const TERM: Duration = Duration::from_secs(15);
/// How long after its last beat the others take what it had: within 30 s with a beat of theirs in between.
const GONE_AFTER: Duration = Duration::from_secs(20);
/// How long a service listens before it looks whether it is to stop.
const LISTEN: Duration = Duration::from_secs(1);
/// How long a turn lasts at most where whoever has it lives on: longer than a forge takes for what is done in one.
const TURN: Duration = Duration::from_secs(120);
/// How often one asks for it.
const TURN_AGAIN: Duration = Duration::from_millis(100);
/// The pause before a lost connection is made anew.
const AGAIN: Duration = Duration::from_millis(500);

/// A service as others on the same store know it.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its machine and where it listens: of two with the same name, the earlier one has ended.
    pub name: String,
    /// Whether it processes issues, and not only takes deliveries.
    pub works: bool,
}

/// What the store keeps of its own service among the others.
pub(super) struct Member {
    replica: Replica,
    presence: watch::Sender<Presence>,
    /// It has left, or a later version has the store.
    end: watch::Sender<Option<End>>,
    /// Of its own tasks one has a turn at a time.
    turn: Arc<Mutex<()>>,
}

/// What only one service may do at a time, and one task of it.
pub struct StoreTurn {
    what: String,
    _alone: Option<OwnedMutexGuard<()>>,
}

/// Why a service takes part no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Left,
    Outdated,
}

impl Store {
    /// Takes part as one of those that share this store, until the store is closed; `heard` is called with what others write,
    /// from a thread of its own. Over a file there is nobody else.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn join(
        &self,
        replica: Replica,
        heard: impl Fn(News) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        if self.place().file().is_some() {
            return Ok(());
        }
        let member = Member {
            presence: watch::Sender::new(self.enter(&replica, None).await?),
            replica,
            end: watch::Sender::default(),
            turn: Arc::default(),
        };
        let end = member.end.subscribe();
        if self.inner.member.set(member).is_err() {
            return Err(Error::Broken);
        }
        let store = Arc::downgrade(&self.inner);
        let around = Around { store, end, runtime: Handle::current(), heard: Arc::new(heard) };
        let thread = std::thread::Builder::new().name("store-replica".into());
        thread.spawn(move || around.take_part()).map_err(|error| self.place().error(error))?;
        Ok(())
    }

    /// The present term of this service.
    pub fn term(&self) -> Term {
        Term(self.member().map(|member| {
            let presence = member.presence.subscribe();
            let id = presence.borrow().id;
            (id, presence)
        }))
    }

    /// Whether other services may share the store, also such as are not known yet.
    pub fn is_shared(&self) -> bool {
        self.member().is_some()
    }

    /// How many services share the store, this one among them.
    pub fn replicas(&self) -> u64 {
        self.member().map_or(1, |member| member.presence.borrow().living)
    }

    /// Whether this service does what is to be done once: of those that process issues, or of all where none does, the one
    /// that lives longest.
    pub fn leads(&self) -> bool {
        self.member().is_none_or(|member| {
            let presence = member.presence.borrow();
            presence.is_first && presence.until > Instant::now()
        })
    }

    /// Waits until this service does what is to be done once, and gives its term; whether it had to wait.
    pub async fn lead(&self) -> (Term, bool) {
        let Some(member) = self.member() else { return (Term::default(), false) };
        let mut presence = member.presence.subscribe();
        let mut has_waited = false;
        while !self.leads() {
            has_waited = true;
            // The sender is kept with the store.
            let _ = presence.changed().await;
        }
        (self.term(), has_waited)
    }

    /// Waits until this service is the one that does something which only one may do at a time; others may go on after
    /// [`TURN`] at the latest, and when it is gone.
    pub async fn take_turn(&self, what: String) -> Result<StoreTurn, Error> {
        let holder = self.term().holder();
        let turn = self.member().map(|member| Arc::clone(&member.turn));
        let _alone = match turn {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        loop {
            let name = what.clone();
            let is_ours = self.write(move |c| {
                let values = params![name, holder, millis(TURN)];
                Ok(changed(c, TAKE_TURN, values)? > 0)
            });
            if is_ours.await? {
                return Ok(StoreTurn { what, _alone });
            }
            tokio::time::sleep(TURN_AGAIN).await;
        }
    }

    /// Lets others do it.
    pub async fn end_turn(&self, turn: StoreTurn) -> Result<(), Error> {
        let holder = self.term().holder();
        let sql = "DELETE FROM turn WHERE name = ?1 AND holder = ?2";
        // The lock is kept until it is done.
        let StoreTurn { what, _alone } = turn;
        self.write(move |c| run(c, sql, params![what, holder])).await
    }

    /// Waits until a later version has taken over the store, so that this one is to stop.
    pub async fn outdated(&self) {
        let Some(member) = self.member() else { return std::future::pending().await };
        let ended =
            member.end.subscribe().wait_for(|end| *end == Some(End::Outdated)).await.is_ok();
        if !ended {
            std::future::pending::<()>().await;
        }
    }

    /// Does nothing more that others can see.
    pub fn fall_silent(&self) {
        if let Some(member) = self.member() {
            member.end.send_replace(Some(End::Left));
            member.presence.send_modify(|presence| presence.until = Instant::now());
        }
    }

    /// Leaves what this service has to the others.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        let Some(member) = self.member() else { return Ok(()) };
        self.fall_silent();
        let id = member.presence.borrow().id;
        self.write(move |c| {
            run(c, "DELETE FROM replica WHERE id = ?1", [id])?;
            take_orphans(c)
        })
        .await
    }

    fn member(&self) -> Option<&Member> {
        self.inner.member.get()
    }

    /// A new row, after what is left of the one before.
    async fn enter(&self, replica: &Replica, before: Option<i64>) -> Result<Presence, Error> {
        let (replica, since) = (replica.clone(), Instant::now());
        let entered = self.write(move |c| enter(c, &replica, before)).await?;
        Ok(Presence { until: since + TERM, ..entered })
    }
}

const TAKE_TURN: &str = "INSERT INTO turn VALUES (?1, ?2, clock_ms() + ?3)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE turn.until <= clock_ms() OR turn.holder = excluded.holder OR NOT EXISTS (SELECT 1 FROM replica WHERE replica.id = turn.holder)";

/// The lock by which the connection of a service says that it lasts, among those of other programs.
const IS_ENDED: &str = "pg_try_advisory_xact_lock(19798, hashtext(current_schema() || ' ' || id))";

fn enter(c: &Connection, replica: &Replica, before: Option<i64>) -> Result<Presence, Error> {
    // One that had this name and whose connection is gone was the same service before it was started again.
    let former = format!("DELETE FROM replica WHERE id = ?2 OR (name = ?1 AND {IS_ENDED})");
    run(c, &former, params![replica.name, before])?;
    let sql = "INSERT INTO replica (name, version, works, since, beat_at) VALUES (?1, ?2, ?3, clock_ms(), clock_ms())";
    let values = params![replica.name, env!("CARGO_PKG_VERSION"), replica.works];
    let id = insert(c, "id", sql, values)?;
    forget_gone(c)?;
    let living =
        "SELECT coalesce(min(CASE WHEN works = 1 THEN id END), min(id)), count(*) FROM replica";
    let (oldest, living): (Option<i64>, u64) = only(c, living, [], |r| r.try_into())?;
    Ok(Presence { id, until: Instant::now(), is_first: oldest == Some(id), living })
}

/// Whether services of an earlier version run on a server: they end when the schema goes on.
pub(super) fn run_earlier(c: &Connection) -> Result<bool, Error> {
    // Before that step they knew nothing of each other.
    const KNOWN: usize = 15;
    let living = "SELECT 1 FROM replica WHERE beat_at > clock_ms() - ?1";
    Ok((KNOWN..schema::VERSION).contains(&schema::version(c)?)
        && is_any(c, living, [millis(GONE_AFTER)])?)
}

/// Takes away the rows of those that are gone, and leaves what they had to the others.
fn forget_gone(c: &Connection) -> Result<(), Error> {
    run(c, "DELETE FROM replica WHERE beat_at <= clock_ms() - ?1", [millis(GONE_AFTER)])?;
    take_orphans(c)
}

/// What there is to hear when a service is gone.
const LEFT: [News; 3] = [News::Due, News::Offered, News::Orphaned];

/// Makes what is left of services that are gone due for the others.
fn take_orphans(c: &Connection) -> Result<(), Error> {
    lanes::recover(c)?;
    LEFT.into_iter().for_each(|news| c.announce(news));
    Ok(())
}

/// Renews a row, and says of all: whether it was there, the oldest that works, or the oldest where none does, how many live
/// and how many are gone, and the version of the schema.
const BEAT: &str = "WITH beat AS (UPDATE replica SET beat_at = clock_ms() WHERE id = $1 RETURNING id)
    SELECT (SELECT count(*) FROM beat),
        coalesce(min(CASE WHEN works = 1 AND is_living THEN id END), min(CASE WHEN is_living THEN id END)),
        count(CASE WHEN is_living THEN 1 END), count(CASE WHEN NOT is_living THEN 1 END),
        (SELECT version FROM schema_version)
    FROM (SELECT id, works, id = $1 OR beat_at > clock_ms() - $2 AS is_living FROM replica) AS known";

/// What a service does beside its work to take part.
struct Around<F> {
    store: Weak<Inner>,
    /// Why it takes part no more; gone with the store.
    end: watch::Receiver<Option<End>>,
    runtime: Handle,
    heard: Arc<F>,
}

impl<F: Fn(News) + Send + Sync + 'static> Around<F> {
    /// Renews the row and listens, until the store is closed.
    fn take_part(self) {
        let (mut listener, mut was_told) = (None, false);
        while self.takes_part() {
            match self.round(&mut listener) {
                Ok(()) => was_told = false,
                Err(error) => {
                    listener = None;
                    if !std::mem::replace(&mut was_told, true) {
                        tracing::warn!(%error, "this service lost touch with the others on its store; trying again");
                    }
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    fn takes_part(&self) -> bool {
        self.end.has_changed().is_ok() && self.end.borrow().is_none()
    }

    /// One beat, and what is heard until the next.
    fn round(&self, listener: &mut Option<Listener>) -> Result<(), Error> {
        let Some(listener) = self.be_there(listener)? else { return Ok(()) };
        let next = Instant::now() + BEAT_EVERY;
        while self.takes_part() {
            let rest = next.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            listener.hear(rest.min(LISTEN))?.into_iter().for_each(&*self.heard);
        }
        Ok(())
    }

    /// Says that this service is there, as a new one when its term is over. The store is not kept by whoever listens.
    fn be_there<'a>(
        &self,
        listener: &'a mut Option<Listener>,
    ) -> Result<Option<&'a mut Listener>, Error> {
        let Some(store) = self.store.upgrade().map(|inner| Store { inner }) else {
            return Ok(None);
        };
        let Some(member) = store.member() else { return Ok(None) };
        if store.term().is_over() {
            // It may have ended because this service does.
            if !self.takes_part() {
                return Ok(None);
            }
            *listener = None;
            let before = member.presence.borrow().id;
            let entered = self.runtime.block_on(store.enter(&member.replica, Some(before)))?;
            member.presence.send_replace(entered);
            tracing::info!("this service takes part again; what it had in hand is done anew");
        }
        let listener = match listener {
            Some(listener) => listener,
            None => {
                let new = store.place().listen(member.presence.borrow().id)?;
                // The lock of services goes with the other connection, which may have been lost as well.
                let writes = store.clone();
                self.runtime.spawn(async move { writes.write(|_| Ok(())).await });
                // What was said before nobody heard.
                News::ALL.iter().copied().for_each(&*self.heard);
                listener.insert(new)
            }
        };
        self.beat(&store, member, listener)?;
        // Whom the others have given up comes back at once.
        Ok((!store.term().is_over()).then_some(listener))
    }

    fn beat(&self, store: &Store, member: &Member, listener: &mut Listener) -> Result<(), Error> {
        let (id, since) = (member.presence.borrow().id, Instant::now());
        let [is_there, oldest, living, gone, version] =
            listener.numbers(BEAT, &[id, millis(GONE_AFTER)])?;
        if usize::try_from(version).is_ok_and(|version| version > schema::VERSION) {
            member.end.send_replace(Some(End::Outdated));
            return Ok(());
        }
        let living = u64::try_from(living).unwrap_or(0);
        member.presence.send_modify(|presence| {
            let until = term_after(presence.until, is_there > 0, since, Instant::now());
            *presence = Presence { id, until, is_first: oldest == id, living };
        });
        if gone > 0 {
            tracing::warn!(
                "a service on the same store is gone; the others go on with what it had"
            );
            // Not here: whoever writes may be waited for, and the next beat is not to be late.
            let (store, heard) = (store.clone(), Arc::clone(&self.heard));
            self.runtime.spawn(async move {
                match store.write(forget_gone).await {
                    // One's own news is not heard.
                    Ok(()) => LEFT.into_iter().for_each(&*heard),
                    Err(error) => {
                        tracing::warn!(%error, "what it had could not be taken over; trying again");
                    }
                }
            });
        }
        Ok(())
    }
}

/// Until when a term lasts after a beat that was sent `since`, as it is answered `now`. One that was over before has had its
/// claims dropped, so that it is not taken up again.
fn term_after(until: Instant, is_there: bool, since: Instant, now: Instant) -> Instant {
    if is_there && until > now { since + TERM } else { until.min(since) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lanes::make_due;
    use crate::store::{scratch, scratch_file};

    #[test]
    fn a_term_that_was_over_when_the_answer_came_is_not_taken_up_again() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let (until, since) = (start + TERM, start + 5 * second);
        assert_eq!(term_after(until, true, since, since + second), since + TERM);
        for (is_there, now) in [(true, until), (true, until + second), (false, since + second)] {
            assert!(term_after(until, is_there, since, now) <= now);
        }
    }

    /// A service that has an issue in hand, as another connection sees its row and its lane: `claimed` or `due`.
    async fn left_by(leaves: impl AsyncFnOnce(&Store)) -> (i64, String) {
        let (_folder, store) = scratch();
        store.join(Replica { name: "one".to_owned(), works: true }, |_| {}).await.unwrap();
        let now = crate::clock::Clock::System.now();
        let at = "acme/widgets#1".parse().unwrap();
        let due = move |c: &Connection| make_due(c, lanes::insert(c, &at)?, now);
        store.write(due).await.unwrap();
        assert!(store.claim(now).await.unwrap().is_some());
        leaves(&store).await;
        assert!(store.term().is_over());
        let left = "SELECT (SELECT count(*) FROM replica), (SELECT state FROM lane)";
        store.read(move |c| only(c, left, [], |row| row.try_into())).await.unwrap()
    }

    #[tokio::test]
    #[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
    async fn what_was_cut_off_is_not_given_to_others_at_once() {
        let stops = async |store: &Store| store.close().await.unwrap();
        assert_eq!(left_by(stops).await, (0, "due".to_owned()));
        let is_cut_off = async |store: &Store| store.close_unfinished().await.unwrap();
        assert_eq!(left_by(is_cut_off).await, (1, "claimed".to_owned()));
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
    async fn the_last_one_hears_that_another_is_gone() {
        let (_folder, store) = scratch();
        let (hears, heard) = std::sync::mpsc::channel();
        let hears = std::sync::Mutex::new(hears);
        let tell = move |news| hears.lock().unwrap().send(news).unwrap_or_default();
        store.join(Replica { name: "one".to_owned(), works: true }, tell).await.unwrap();
        let patience = Duration::from_secs(60);
        let all = move || {
            let first: Vec<_> = News::ALL.iter().map(|_| heard.recv_timeout(patience)).collect();
            assert!(first.iter().all(Result::is_ok), "it heard nothing when it came");
            heard
        };
        let heard = tokio::task::spawn_blocking(all).await.unwrap();
        let gone = "INSERT INTO replica (name, version, works, since, beat_at) VALUES ('two', '1', 1, 0, 0)";
        store.write(move |c| run(c, gone, [])).await.unwrap();
        // A connection that is made anew may tell all of it once more.
        let until = move || {
            let mut all = Vec::new();
            while !all.ends_with(&LEFT) {
                all.push(heard.recv_timeout(patience).unwrap());
            }
        };
        tokio::task::spawn_blocking(until).await.unwrap();
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn over_a_file_there_is_nobody_to_wait_for() {
        let (_folder, store) = scratch_file();
        let replica = Replica { name: "one".to_owned(), works: true };
        store.join(replica, |_| {}).await.unwrap();
        let (term, has_waited) = store.lead().await;
        assert!(!has_waited && !term.is_over() && store.leads());
        assert_eq!((store.replicas(), term.holder()), (1, None));
    }
}

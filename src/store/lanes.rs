//! Lanes: one for each issue. What is pending for an issue waits in its lane, and one worker has a lane
//! at a time. This room keeps the times it is given; how long to wait is the worker's rule.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::engine::{Connection, Flush, News, Row, RowResult, Values, params};
use super::ids::id_of;
use super::rows::{all, changed, first, is_any, only, parsed, run};
use super::term::Term;
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::Origin;
use crate::issue::IssueRef;

/// The fact that says after which delivery the clock was set back.
const SET_BACK: &str = "set_back_after";

/// How long a lane rests before it is looked at, so that a burst of edits is looked at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The rest after a delivery whose siblings are known to follow at once.
    pub siblings: Duration,
    /// The rest after the last edit of an issue that was looked at a moment ago.
    pub quiet: Duration,
    /// How long ago "a moment ago" is.
    pub moment: Duration,
    /// The longest that resting may put off the oldest waiting delivery.
    pub longest: Duration,
}

/// Whose turn comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A person who may command waits for an answer: at once, also in the middle of a burst.
    Commanded = -1,
    /// The issue is urgent.
    Urgent = 0,
    /// Any other.
    Ordinary = 1,
}

/// One issue that a worker has, with all that was pending for it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lane.
    pub(super) lane: i64,
    /// Which taking of the lane this is; a later one makes it stale.
    pub(super) epoch: i64,
    /// By what it is told from another taking of that number: a server that crashes may forget the latest ones.
    taken: i64,
    /// The issue.
    pub at: IssueRef,
    /// The forge's id of its repository, where it was seen.
    pub repo_id: Option<i64>,
    /// The forge's id of the issue, where it was seen.
    pub issue_id: Option<i64>,
    /// How many tries have failed before this one.
    pub attempts: u32,
    /// What is pending, oldest first.
    pub deliveries: Vec<Claimed>,
    /// The ledger's latest evaluation when it was taken: what came after it may not have been read.
    pub(super) mark: i64,
    /// As long as the issue is this service's.
    pub term: Term,
}

/// One pending delivery of a claimed lane.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its place in the inbox.
    pub seq: i64,
    /// The forge's id.
    pub id: String,
    /// Who put it there.
    pub origin: Origin,
    /// Kind and action.
    pub action: String,
    /// When it was received.
    pub received_at: Timestamp,
}

impl Claim {
    /// Whether a webhook reported an issue that no worker ever had: most often a new one.
    pub fn is_of_new_issue(&self) -> bool {
        self.epoch == 1 && self.deliveries.iter().any(|one| one.origin == Origin::Webhook)
    }
}

impl Store {
    /// Gives the caller the next lane that is due, by rank. A command that comes while it is claimed gives it its rank
    /// anew. A loss of power takes it back,
    /// as a start would: no request that writes leaves before its intent is flushed, and this with it. A service that
    /// the others do not count on any more gets none.
    pub async fn claim(&self, now: Timestamp) -> Result<Option<Claim>, Error> {
        let term = self.term();
        if term.is_over() {
            return Ok(None);
        }
        let now = now.timestamp_millis();
        let taken = self.inner.takings.begin(now);
        let take =
            "UPDATE lane SET state = 'claimed', claimed_at = ?3, due_at = NULL, epoch = epoch + 1,
                        priority = max(priority, 0), claimed_by = ?2
                    WHERE id = (SELECT id FROM lane WHERE state = 'due' AND due_at <= ?1
                                ORDER BY priority, due_at LIMIT 1)
                        AND (CAST(?2 AS BIGINT) IS NULL OR EXISTS (SELECT 1 FROM replica WHERE replica.id = ?2))
                    RETURNING id, epoch, repo, number, attempts, repo_id, issue_id";
        let holder = term.holder();
        let unknown = self.inner.takings.unknown();
        let forgotten = unknown.clone();
        let given = Arc::new(AtomicBool::new(false));
        let is_given = Arc::clone(&given);
        let claim = move |c: &Connection| {
            unknown.iter().try_for_each(|one| free(c, UNKNOWN, params![one.holder, one.at]))?;
            let values = params![now, holder, taken];
            let claim = first(c, take, values, |row| claim_of(row, taken, term.clone()))?;
            let Some(mut claim) = claim else { return Ok(None) };
            claim.deliveries = take_deliveries(c, claim.lane)?;
            let latest = first(c, "SELECT max(id) FROM evaluation", [], |r| r.get(0))?;
            claim.mark = latest.flatten().unwrap_or(0);
            boundary!("claim::marked");
            is_given.store(true, Ordering::SeqCst);
            Ok(Some(claim))
        };
        let claimed = self.inner.writer.write(Flush::Later, claim).await;
        match &claimed {
            Ok(_) => self.inner.takings.forget(&forgotten),
            // It may have been committed all the same, and nobody would have the lane then.
            Err(_) if given.load(Ordering::SeqCst) => {
                self.inner.takings.remember(Taking { holder, at: taken });
            }
            Err(_) => {}
        }
        claimed
    }

    /// When the latest delivery arrived, unless the clock was set back since and what waits has gone with it.
    pub async fn latest_arrival(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|c| {
            let sql = "SELECT seq, received_at FROM delivery ORDER BY seq DESC LIMIT 1";
            let latest: Option<(i64, i64)> = first(c, sql, [], |r| r.try_into())?;
            let set_back = super::fact(c, SET_BACK)?.and_then(|seq| seq.parse().ok());
            let latest = latest.filter(|(seq, _)| Some(*seq) != set_back);
            Ok(latest.map(|(_, at)| from_millis(at)))
        })
        .await
    }

    /// Makes every waiting lane, every open dispatch and every claim due `by` so much earlier, because the clock went back.
    pub async fn set_back(&self, by: TimeDelta) -> Result<(), Error> {
        let by = by.num_milliseconds();
        self.write(move |c| {
            run(c, "UPDATE lane SET due_at = due_at - ?1 WHERE state = 'due'", [by])?;
            // Its beginning too: the reminder comes after a part of the time between the two.
            let dispatches =
                "UPDATE dispatch SET due_at = due_at - ?1, deadline_at = deadline_at - ?1,
                     opened_at = opened_at - ?1 WHERE ended_at IS NULL";
            run(c, dispatches, [by])?;
            super::claims::set_back(c, by)?;
            let latest = "SELECT coalesce(max(seq), 0) FROM delivery";
            let latest: i64 = only(c, latest, [], |row| row.get(0))?;
            super::set_fact(c, SET_BACK, &latest.to_string())
        })
        .await
    }
}

/// How far takings at one time may run ahead of it, in milliseconds.
const A_MOMENT: i64 = 1_000;

/// How a service takes lanes: no two at the same time, so that each is known by when that was.
#[derive(Default)]
pub(super) struct Takings {
    /// When the latest was, in milliseconds since 1970.
    latest: AtomicI64,
    /// Those of which nobody knows whether they were committed; a store that cannot be reached adds none.
    unknown: Mutex<Vec<Taking>>,
}

/// A taking of a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Taking {
    holder: Option<i64>,
    at: i64,
}

impl Takings {
    /// The time of the next one: now, or a little later where others were now. A clock that was set back begins anew.
    fn begin(&self, now: i64) -> i64 {
        let later = |latest: i64| match latest.saturating_sub(now) {
            ahead @ 0..A_MOMENT => now + ahead + 1,
            _ => now,
        };
        let before = self
            .latest
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |latest| Some(later(latest)));
        before.map_or(now, later)
    }

    fn list(&self) -> MutexGuard<'_, Vec<Taking>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unknown(&self) -> Vec<Taking> {
        self.list().clone()
    }

    fn remember(&self, taking: Taking) {
        self.list().push(taking);
    }

    fn forget(&self, known: &[Taking]) {
        self.list().retain(|one| !known.contains(one));
    }
}

fn claim_of(row: &Row<'_>, taken: i64, term: Term) -> RowResult<Claim> {
    Ok(Claim {
        term,
        taken,
        lane: row.get(0)?,
        epoch: row.get(1)?,
        at: IssueRef { repo: parsed(row, 2)?, number: row.get(3)? },
        attempts: row.get(4)?,
        repo_id: row.get(5)?,
        issue_id: row.get(6)?,
        deliveries: Vec::new(),
        mark: 0,
    })
}

fn take_deliveries(c: &Connection, lane: i64) -> Result<Vec<Claimed>, Error> {
    let take = "UPDATE delivery SET state = 'claimed'
         WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'pending'";
    run(c, take, [lane])?;
    let taken = "SELECT seq, id, origin, action, received_at FROM delivery
         WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed' ORDER BY seq";
    all(c, taken, [lane], |row| {
        Ok(Claimed {
            seq: row.get(0)?,
            id: id_of(row.get_ref(1)?.as_blob()?),
            origin: parsed(row, 2)?,
            action: row.get::<Option<String>>(3)?.unwrap_or_default(),
            received_at: from_millis(row.get(4)?),
        })
    })
}

/// The lane of an issue by its name, made when there is none.
pub(super) fn lane(c: &Connection, at: &IssueRef) -> Result<i64, Error> {
    match named(c, at)? {
        Some(id) => Ok(id),
        None => insert(c, at),
    }
}

/// A new lane.
pub(super) fn insert(c: &Connection, at: &IssueRef) -> Result<i64, Error> {
    let sql = "INSERT INTO lane (repo, number) VALUES (?1, ?2)";
    super::rows::insert(c, "id", sql, params![at.repo.to_string(), at.number])
}

/// The lane of an issue by the name that its repository has now, if it was ever looked at.
pub(super) fn named(c: &Connection, at: &IssueRef) -> Result<Option<i64>, Error> {
    let sql = "SELECT id FROM lane WHERE repo = ?1 AND number = ?2";
    first(c, sql, params![at.repo.to_string(), at.number], |r| r.get(0))
}

/// The same for people, whose links may have a name that the repository had before.
pub(super) fn find(c: &Connection, at: &IssueRef) -> Result<Option<i64>, Error> {
    let before = "SELECT lane.id FROM former_name JOIN lane ON lane.repo = former_name.now
                  WHERE former_name.repo = ?1 AND number = ?2";
    match named(c, at)? {
        None => first(c, before, params![at.repo.to_string(), at.number], |r| r.get(0)),
        found => Ok(found),
    }
}

/// Ends a claim whose issue is looked at anew.
pub(super) fn give_back(c: &Connection, lane: i64, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE delivery SET state = 'pending'
               WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'";
    let is_waiting = changed(c, sql, [lane])? > 0 || waiting(c, lane)?.is_some();
    run(c, "UPDATE lane SET state = 'idle', claimed_at = NULL WHERE id = ?1", [lane])?;
    if is_waiting { make_due(c, lane, now) } else { Ok(()) }
}

/// Puts a lane before those of a later rank until its issue has been looked at.
pub(super) fn hurry(c: &Connection, lane: i64, rank: Rank) -> Result<(), Error> {
    run(c, "UPDATE lane SET priority = ?2 WHERE id = ?1 AND priority > ?2", [lane, rank as i64])
}

/// Whether the issue was open before its repository was first read, and nobody has touched it since.
pub(super) fn is_from_before(c: &Connection, lane: i64) -> Result<bool, Error> {
    let sql = "SELECT from_before FROM lane WHERE id = ?1";
    Ok(first(c, sql, [lane], |r| r.get(0))?.unwrap_or_default())
}

/// Notes that an issue was open before its repository was first read, or that somebody has touched it since.
pub(super) fn mark_from_before(c: &Connection, lane: i64, is: bool) -> Result<(), Error> {
    let sql = "UPDATE lane SET from_before = ?2 WHERE id = ?1 AND from_before <> ?2";
    run(c, sql, params![lane, is])
}

/// Makes an idle lane due now; a lane that is due or claimed comes to its turn anyway.
pub(super) fn make_due(c: &Connection, lane: i64, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE lane SET state = 'due', due_at = ?2 WHERE id = ?1 AND state = 'idle'";
    if changed(c, sql, [lane, now.timestamp_millis()])? > 0 {
        c.announce(News::Due);
    }
    Ok(())
}

/// Makes a lane due now that rests; one that failed waits for its next try.
pub(super) fn end_rest(c: &Connection, lane: i64, now: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE lane SET due_at = min(due_at, ?2) WHERE id = ?1 AND state = 'due' AND attempts = 0";
    c.announce(News::Due);
    run(c, sql, [lane, now.timestamp_millis()])
}

/// What decides when a lane with something pending is due.
struct Waiting {
    first_received: i64,
    last_received: i64,
    evaluated_at: Option<i64>,
    due_at: Option<i64>,
    attempts: i64,
    is_claimed: bool,
    is_commanded: bool,
}

fn waiting(c: &Connection, lane: i64) -> Result<Option<Waiting>, Error> {
    let sql = "SELECT min(received_at), max(received_at), evaluated_at, due_at, attempts, lane.state = 'claimed',
             priority < 0
         FROM lane JOIN delivery ON delivery.lane = lane.id
             AND delivery.state IN ('pending', 'claimed') AND delivery.state = 'pending'
         WHERE lane.id = ?1 GROUP BY lane.id";
    first(c, sql, [lane], |row| {
        Ok(Waiting {
            first_received: row.get(0)?,
            last_received: row.get(1)?,
            evaluated_at: row.get(2)?,
            due_at: row.get(3)?,
            attempts: row.get(4)?,
            is_claimed: row.get(5)?,
            is_commanded: row.get(6)?,
        })
    })
}

/// A duration as times are kept, in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// When to look: at once, after the burst that is on its way, or after a quiet moment. A person's command waits for none.
fn due_at(waiting: &Waiting, more_coming: bool, pace: Pace) -> i64 {
    let just_seen =
        waiting.evaluated_at.is_some_and(|at| waiting.first_received - at < millis(pace.moment));
    let rest = match (more_coming, just_seen) {
        _ if waiting.is_commanded => return waiting.first_received,
        (_, true) => millis(pace.quiet),
        (true, false) => millis(pace.siblings),
        (false, false) => 0,
    };
    let cap = waiting.first_received + millis(pace.longest);
    let wanted = (waiting.last_received + rest).max(waiting.due_at.unwrap_or(0));
    wanted.min(cap)
}

/// How long a lane rests, and from when on.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    pub(super) pace: Pace,
    pub(super) now: Timestamp,
}

impl Schedule {
    /// Something new is pending in a lane: sets when it is due, unless a worker has it or it waits for another try.
    pub(super) fn wake(self, c: &Connection, lane: i64, more_coming: bool) -> Result<(), Error> {
        let Some(waiting) = waiting(c, lane)? else { return Ok(()) };
        if waiting.is_claimed || (waiting.attempts > 0 && waiting.due_at.is_some()) {
            return Ok(());
        }
        // What was received before the clock was set back seems to come from the future.
        let latest = self.now.timestamp_millis() + millis(self.pace.longest);
        let due_at = due_at(&waiting, more_coming, self.pace).min(latest);
        c.announce(News::Due);
        run(c, "UPDATE lane SET state = 'due', due_at = ?2 WHERE id = ?1", [lane, due_at])
    }

    /// Ends a claim: the lane is idle, or due again when something came in the meantime.
    pub(super) fn release(
        self,
        c: &Connection,
        lane: i64,
        last_error: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "UPDATE lane SET state = 'idle', claimed_at = NULL, due_at = NULL, attempts = 0, last_error = ?2
                   WHERE id = ?1";
        run(c, sql, params![lane, last_error])?;
        self.wake(c, lane, false)
    }
}

/// Fails unless the claim is the lane's latest.
pub(super) fn fence(c: &Connection, claim: &Claim) -> Result<(), Error> {
    let sql = "SELECT 1 FROM lane WHERE id = ?1 AND epoch = ?2 AND state = 'claimed'
                   AND claimed_at = ?3 AND claimed_by IS NOT DISTINCT FROM ?4";
    let values = params![claim.lane, claim.epoch, claim.taken, claim.term.holder()];
    if is_any(c, sql, values)? { Ok(()) } else { Err(Error::Stale) }
}

/// Lanes of workers that are gone.
const ORPHANED: &str = "NOT EXISTS (SELECT 1 FROM replica WHERE replica.id = claimed_by)";
/// The lane of a taking, if that was committed.
const UNKNOWN: &str = "claimed_by IS NOT DISTINCT FROM ?1 AND claimed_at = ?2";

/// What workers had that are gone is due again, and the attempt does not count.
pub(super) fn recover(c: &Connection) -> Result<(), Error> {
    free(c, ORPHANED, [])
}

/// What is claimed and fits is due again.
fn free(c: &Connection, whose: &str, values: impl Values + Copy) -> Result<(), Error> {
    let deliveries = format!(
        "UPDATE delivery SET state = 'pending' WHERE state IN ('pending', 'claimed') AND state = 'claimed'
             AND lane IN (SELECT id FROM lane WHERE state = 'claimed' AND {whose})"
    );
    run(c, &deliveries, values)?;
    let lanes = format!(
        "UPDATE lane SET state = 'due', due_at = claimed_at, claimed_at = NULL, epoch = epoch + 1
             WHERE state = 'claimed' AND {whose}"
    );
    run(c, &lanes, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch;

    /// A store with one issue that is due at 5.
    async fn due() -> (tempfile::TempDir, Store) {
        let (folder, store) = scratch();
        let at = "acme/widgets#1".parse().unwrap();
        let due = move |c: &Connection| make_due(c, insert(c, &at)?, from_millis(5));
        store.write(due).await.unwrap();
        (folder, store)
    }

    async fn is_latest(store: &Store, claim: &Claim) -> bool {
        let claim = claim.clone();
        store.read(move |c| fence(c, &claim)).await.is_ok()
    }

    #[tokio::test]
    async fn a_claim_that_a_crash_of_the_server_took_back_is_not_the_next_of_that_number() {
        let (_folder, store) = due().await;
        let first = store.claim(from_millis(5)).await.unwrap().unwrap();
        let forget =
            "UPDATE lane SET state = 'due', due_at = 5, claimed_at = NULL, epoch = epoch - 1";
        store.write(move |c| run(c, forget, [])).await.unwrap();
        let second = store.claim(from_millis(5)).await.unwrap().unwrap();
        assert_eq!(first.epoch, second.epoch);
        assert_eq!(
            (is_latest(&store, &first).await, is_latest(&store, &second).await),
            (false, true)
        );
    }

    #[test]
    fn takings_of_one_time_are_told_apart_and_a_clock_that_goes_back_is_followed() {
        let takings = Takings::default();
        let times = [5_000, 5_000, 5_000, 9_000, 8_990, 3_000, 3_000];
        assert_eq!(
            times.map(|now| takings.begin(now)),
            [5_000, 5_001, 5_002, 9_000, 9_001, 3_000, 3_001]
        );
    }

    #[tokio::test]
    async fn a_claim_of_which_nobody_knows_is_due_again_with_the_next_look() {
        let (_folder, store) = due().await;
        let lost = store.claim(from_millis(5)).await.unwrap().unwrap();
        assert!(store.claim(from_millis(9)).await.unwrap().is_none());
        // Its answer was lost with the connection.
        store.inner.takings.remember(Taking { holder: lost.term.holder(), at: lost.taken });
        let again = store.claim(from_millis(9)).await.unwrap().unwrap();
        assert_eq!((again.at.to_string(), again.lane), ("acme/widgets#1".to_owned(), lost.lane));
        assert_eq!(
            (is_latest(&store, &lost).await, is_latest(&store, &again).await),
            (false, true)
        );
        // And not once more.
        assert!(store.claim(from_millis(9)).await.unwrap().is_none());
        assert!(is_latest(&store, &again).await);
    }

    const PACE: Pace = Pace {
        siblings: Duration::from_millis(40),
        quiet: Duration::from_millis(250),
        moment: Duration::from_secs(1),
        longest: Duration::from_secs(1),
    };

    #[track_caller]
    fn is_due(first: i64, last: i64, evaluated_at: Option<i64>, more_coming: bool, expected: i64) {
        let waiting = Waiting {
            first_received: first,
            last_received: last,
            evaluated_at,
            due_at: None,
            attempts: 0,
            is_claimed: false,
            is_commanded: false,
        };
        assert_eq!(due_at(&waiting, more_coming, PACE), expected);
    }

    #[test]
    fn a_lane_is_looked_at_at_once_unless_more_is_known_to_come() {
        is_due(5_000, 5_000, None, false, 5_000);
        is_due(5_000, 5_000, Some(1_000), false, 5_000);
        is_due(5_000, 5_000, None, true, 5_040);
        is_due(5_000, 5_000, Some(4_500), false, 5_250);
    }

    #[test]
    fn a_lasting_burst_is_looked_at_after_the_longest_rest() {
        is_due(5_000, 5_990, Some(4_500), false, 6_000);
    }
}

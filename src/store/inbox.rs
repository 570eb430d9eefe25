//! The inbox's front: taking deliveries in, and giving each its lane or its early end.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::arrivals::{Accepted, Arrived, repeated};
use super::engine::{Connection, Flush, News, Row, params};
use super::ids::{self, Key, key};
use super::lanes::{self, Pace, Rank, Schedule};
use super::packing::{pack, unpack};
use super::repeats::Repeats;
use super::rows::{all, changed, first, from_json, run, to_json};
use super::{ACCEPT_TIMEOUT, Error, Store, identity, turns, wakes};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{Delivery, DeliveryId, WakeCause};
use crate::issue::{ForgeIds, IssueRef, RepoName};

/// How long repeats are counted in memory before they are written down.
const REPEATS_WAIT: Duration = Duration::from_millis(200);

/// A delivery nobody has read yet.
#[derive(Clone, Debug)]
pub struct Unclassified {
    /// Its place in the inbox.
    pub seq: i64,
    /// When it was received.
    pub received_at: Timestamp,
    /// What is to be read, or why it cannot be.
    pub signed: Result<Signed, String>,
}

/// What a delivery says, and for whom it may speak.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The signed bytes.
    pub body: Vec<u8>,
    /// The repositories its secret covers; `None` covers all.
    pub scope: Option<Vec<String>>,
}

/// Where a delivery goes after its body was read.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To the lane of this issue; `more_coming` lets it rest until its siblings are there.
    Lane {
        /// The issue, as the delivery names it.
        at: IssueRef,
        /// The forge's ids of it.
        ids: Option<ForgeIds>,
        /// More deliveries for the same change are known to follow at once.
        more_coming: bool,
        /// When its turn is.
        rank: Rank,
    },
    /// To the issues that a pull request concerns: those among the ones that it names that somebody works on, and those
    /// that wait for it, when it is over. Nowhere when there are none.
    Concerned {
        /// The pull request.
        pull: IssueRef,
        /// The issues that it names.
        named: BTreeSet<IssueRef>,
        /// Whether it is over.
        is_over: bool,
    },
    /// The lanes of the issues in an agent's hands whose pull request has this commit at its head. Nowhere when there are
    /// none.
    Commit {
        /// Where the commit is.
        repo: RepoName,
        /// Its name.
        sha: String,
    },
    /// Nowhere, with the reason; the issue is kept for people, when it is one to look after.
    Ignored {
        /// The issue, and the forge's ids of it.
        of: Option<(IssueRef, Option<ForgeIds>)>,
        /// Why.
        reason: String,
    },
    /// Nowhere: it says what a repository is called now, which is noted.
    Renamed {
        /// The forge's id of the repository.
        id: i64,
        /// Its name.
        name: RepoName,
    },
    /// Nowhere, because it could not be read.
    Dead(String),
}

/// One delivery, sorted.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Its place in the inbox.
    pub seq: i64,
    /// Kind and action, as the body says.
    pub action: String,
    /// Where it goes.
    pub to: Destination,
}

impl Store {
    /// Takes a delivery in. When this returns `Ok`, it has been flushed to the disk.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the queue is full or the disk too slow to answer in time. Nothing is half-stored.
    pub async fn accept(&self, delivery: Delivery) -> Result<Accepted, Error> {
        let place = Arc::clone(&self.inner.places).try_acquire_owned();
        let place = place.map_err(|_| Error::Overloaded)?;
        let key = key(&delivery.id);
        if self.is_repeat(&key, delivery.received_at) {
            return Ok(Accepted::Duplicate);
        }
        let arrived = Arrived {
            key,
            received_at: delivery.received_at.timestamp_millis(),
            event: delivery.event_header,
            scope: delivery.scope.as_deref().map(to_json),
            body: pack(&delivery.body),
            _place: place,
        };
        let stored = self.inner.writer.write_one_of(&self.inner.arrivals, Flush::First, arrived);
        let accepted = tokio::time::timeout(ACCEPT_TIMEOUT, stored).await;
        let accepted = accepted.unwrap_or(Err(Error::Overloaded))?;
        if accepted == Accepted::New && self.inner.ids.count() {
            let store = self.clone();
            tokio::spawn(async move {
                if let Err(error) = store.sort_ids_in().await {
                    tracing::warn!(%error, "ids could not be sorted in; it is tried again later");
                }
            });
        }
        Ok(accepted)
    }

    /// Whether the id is known to be on the disk; that it came again is then written down a moment later, so that a
    /// flood of repeats does not keep the writer from what is new.
    fn is_repeat(&self, key: &Key, now: Timestamp) -> bool {
        if !self.inner.ids.is_stored(key) {
            return false;
        }
        let is_first = self.repeats().note(key, now);
        if is_first {
            let store = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(REPEATS_WAIT).await;
                if let Err(error) = store.write_repeats().await {
                    tracing::debug!(%error, "repeats were answered but not counted");
                }
            });
        }
        true
    }

    /// Writes down how often deliveries came again.
    pub(super) async fn write_repeats(&self) -> Result<(), Error> {
        // A caller that comes second waits for the write under way, so that it reads the new number.
        let _writing = self.inner.writing_repeats.lock().await;
        let repeats = self.repeats().take();
        if repeats.is_empty() {
            return Ok(());
        }
        let ids = Arc::clone(&self.inner.ids);
        self.write(move |c| {
            repeats.iter().try_for_each(|r| {
                let Some(seq) = ids.seen(c, &r.key)? else { return Ok(()) };
                repeated(c, seq, r.times, r.last.timestamp_millis())
            })
        })
        .await
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.inner.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest deliveries nobody has read yet, at most `limit`.
    pub async fn unclassified(&self, limit: u32) -> Result<Vec<Unclassified>, Error> {
        let sql = "SELECT seq, received_at, scope, bytes FROM delivery JOIN body USING (seq)
                   WHERE state = 'received' ORDER BY seq LIMIT ?1";
        // One that cannot be read must not keep the others from being sorted.
        let one = |row: &Row<'_>| {
            Ok(Unclassified {
                seq: row.get(0)?,
                received_at: from_millis(row.get(1)?),
                signed: signed(row).map_err(|error| error.to_string()),
            })
        };
        self.read(move |c| all(c, sql, [limit], one)).await
    }

    /// Gives deliveries their lanes or their early ends. What a loss of power takes back is sorted again.
    pub async fn classify(
        &self,
        sorted: Vec<Classified>,
        pace: Pace,
        now: Timestamp,
    ) -> Result<(), Error> {
        let sort = move |c: &Connection| {
            sorted.iter().try_for_each(|one| classify_one(c, one, Schedule { pace, now }))?;
            boundary!("classify::placed");
            Ok(())
        };
        self.inner.writer.write(Flush::Later, sort).await
    }

    /// Gives a dead delivery another chance: it is read again from the start. `false` when none of that id is dead.
    pub async fn revive(&self, id: &DeliveryId, now: Timestamp) -> Result<bool, Error> {
        let key = key(id);
        self.write(move |c| {
            let Some(seq) = ids::find(c, &key)? else { return Ok(false) };
            revive(c, seq, now)
        })
        .await
    }

    /// Gives each of these deliveries that is dead another chance, and says how many those are.
    pub async fn revive_all(&self, places: Vec<i64>, now: Timestamp) -> Result<usize, Error> {
        self.write(move |c| {
            places.iter().try_fold(0, |count, seq| Ok(count + usize::from(revive(c, *seq, now)?)))
        })
        .await
    }

    /// Ends each of these deliveries that is dead for good, and says how many those are; `why` names who wanted it.
    pub async fn dismiss_all(&self, places: Vec<i64>, why: String) -> Result<usize, Error> {
        let sql =
            "UPDATE delivery SET state = 'ignored', reason = ?2 WHERE seq = ?1 AND state = 'dead'";
        self.write(move |c| {
            places.iter().try_fold(0, |count, seq| Ok(count + c.execute(sql, params![seq, why])?))
        })
        .await
    }

    /// The signed bytes of a delivery, unless they are past their time.
    pub async fn body(&self, seq: i64) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |c| {
            let sql = "SELECT bytes FROM body WHERE seq = ?1";
            let bytes: Option<Vec<u8>> = first(c, sql, [seq], |r| r.get(0))?;
            bytes.map(|b| unpack(&b)).transpose()
        })
        .await
    }
}

fn revive(c: &Connection, seq: i64, now: Timestamp) -> Result<bool, Error> {
    let dead = "SELECT lane, EXISTS (SELECT 1 FROM body WHERE body.seq = delivery.seq)
                FROM delivery WHERE seq = ?1 AND state = 'dead'";
    let state = match first(c, dead, [seq], |r| r.try_into())? {
        Some((Some(lane), _)) => {
            lanes::make_due(c, lane, now)?;
            "pending"
        }
        Some((None, true)) => "received",
        _ => return Ok(false),
    };
    c.announce(News::Arrived);
    let sql = "UPDATE delivery SET state = ?2, reason = NULL, settled_at = NULL WHERE seq = ?1";
    run(c, sql, params![seq, state])?;
    Ok(true)
}

fn classify_one(c: &Connection, one: &Classified, schedule: Schedule) -> Result<(), Error> {
    let Classified { seq, action, to } = one;
    let at = schedule.now.timestamp_millis();
    let end = |state: &str, reason: &str, lane: Option<i64>| {
        let sql =
            "UPDATE delivery SET state = ?2, reason = ?3, settled_at = ?4, action = ?5, lane = ?6
                   WHERE seq = ?1 AND state = 'received'";
        run(c, sql, params![seq, state, reason, at, action, lane])
    };
    match to {
        Destination::Ignored { of, reason } => {
            let lane = of.as_ref().map(|(at, ids)| identity::reported(c, at, *ids)).transpose()?;
            end("ignored", reason, lane)
        }
        Destination::Renamed { id, name } => {
            identity::settle_name(c, *id, name, schedule.now)?;
            end("ignored", "the repository's new name was noted", None)
        }
        Destination::Dead(reason) => end("dead", reason, None),
        Destination::Concerned { pull, named, is_over } => {
            let mut lanes = wakes::concerned(c, named)?;
            if *is_over {
                lanes.extend(wakes::waiting_for(c, pull)?);
            }
            lanes.extend(turns::lanes_of_pull(c, pull)?);
            let Some(first) = lanes.pop_first() else {
                return end("ignored", "no issue that it names is in an agent's hands", None);
            };
            join_each(c, one, Lanes { first, others: lanes }, schedule)
        }
        Destination::Commit { repo, sha } => {
            let mut lanes = turns::lanes_of_commit(c, repo, sha)?;
            let Some(first) = lanes.pop_first() else {
                let reason = "the commit is not at the head of an agent's pull request";
                return end("ignored", reason, None);
            };
            join_each(c, one, Lanes { first, others: lanes }, schedule)
        }
        Destination::Lane { at, ids, more_coming, rank } => {
            let lane = identity::reported(c, at, *ids)?;
            lanes::hurry(c, lane, *rank)?;
            if join(c, one, lane)? {
                lanes::mark_from_before(c, lane, false)?;
                schedule.wake(c, lane, *more_coming)?;
            }
            Ok(())
        }
    }
}

/// The lanes that a delivery concerns.
struct Lanes {
    first: i64,
    others: BTreeSet<i64>,
}

/// Puts a delivery into the first of its lanes, and wakes the others.
fn join_each(c: &Connection, one: &Classified, of: Lanes, schedule: Schedule) -> Result<(), Error> {
    if join(c, one, of.first)? {
        schedule.wake(c, of.first, false)?;
        wakes::wake(c, of.others, WakeCause::Pull, schedule.now)?;
    }
    Ok(())
}

/// Puts a delivery into a lane; false when it was put somewhere before.
fn join(c: &Connection, one: &Classified, lane: i64) -> Result<bool, Error> {
    let Classified { seq, action, .. } = one;
    let join = "UPDATE delivery SET state = 'pending', lane = ?2, action = ?3
                WHERE seq = ?1 AND state = 'received'";
    let is_first = changed(c, join, params![seq, lane, action])? == 1;
    if is_first {
        note_same(c, lane, *seq)?;
    }
    Ok(is_first)
}

/// How many of an issue's deliveries before one are looked through for the same bytes, of those that are finished and
/// of those that are not.
const EARLIER: u32 = 8;

const SAME: &str = "SELECT delivery.id FROM body AS this JOIN body AS earlier
         ON length(earlier.bytes) = length(this.bytes) AND earlier.bytes = this.bytes
     JOIN delivery ON delivery.seq = earlier.seq
     WHERE this.seq = ?2 AND earlier.seq IN (
         SELECT * FROM (SELECT seq FROM delivery WHERE lane = ?1 AND settled_at IS NOT NULL AND seq < ?2
                        ORDER BY seq DESC LIMIT ?3) AS ended
         UNION ALL
         SELECT * FROM (SELECT seq FROM delivery WHERE lane = ?1 AND state IN ('pending', 'claimed') AND seq < ?2
                        ORDER BY seq DESC LIMIT ?3) AS open)
     ORDER BY earlier.seq LIMIT 1";

/// Says of a delivery that an earlier one had the same bytes: Gitea gives another id to one that is sent again by hand,
/// and to each hook it calls. Packing is the same for the same bytes.
fn note_same(c: &Connection, lane: i64, seq: i64) -> Result<(), Error> {
    let earlier: Option<Vec<u8>> = first(c, SAME, params![lane, seq, EARLIER], |r| r.get(0))?;
    earlier.map_or(Ok(()), |earlier| {
        run(c, "UPDATE delivery SET same_as = ?2 WHERE seq = ?1", params![seq, earlier])
    })
}

/// Reads scope and body of a row of [`Store::unclassified`].
fn signed(row: &Row<'_>) -> Result<Signed, Error> {
    let scope = row.get::<Option<String>>(2)?.map(|text| from_json(&text)).transpose()?;
    let body = unpack(row.get_ref(3)?.as_blob()?)?;
    Ok(Signed { body, scope })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Origin;
    use crate::store::{ManualOrder, sample, scratch};

    #[tokio::test]
    async fn a_body_that_cannot_be_read_ends_its_delivery_and_no_other() {
        let (_folder, store) = scratch();
        for id in ["broken", "sound"] {
            store.accept(sample(DeliveryId::parse(id).unwrap())).await.unwrap();
        }
        let broken = "UPDATE body SET bytes = ?1 WHERE seq = 1";
        store.write(move |c| run(c, broken, [&[0xff, 0][..]])).await.unwrap();
        let unsorted = store.unclassified(8).await.unwrap();
        let found: Vec<_> = unsorted.iter().map(|one| (one.seq, one.signed.is_ok())).collect();
        assert_eq!(found, [(1, false), (2, true)]);
    }

    #[tokio::test]
    async fn what_a_secret_covers_and_what_was_ordered_is_read_back() {
        let (_folder, store) = scratch();
        let scope = Some(vec!["acme/*".to_owned(), "other/one".to_owned()]);
        let one = sample(DeliveryId::parse("one").unwrap());
        store.accept(Delivery { scope: scope.clone(), ..one }).await.unwrap();
        let unsorted = store.unclassified(8).await.unwrap().remove(0);
        assert_eq!(unsorted.signed.unwrap().scope, scope);
        let at: IssueRef = "acme/widgets#1".parse().unwrap();
        let given = ManualOrder { by: "ops".into(), command: "hold".into(), task_type: None };
        store.order(at, given.clone(), from_millis(1)).await.unwrap();
        assert_eq!(store.carried(2).await.unwrap(), Some(given));
    }

    #[tokio::test]
    async fn an_issue_has_one_lane_however_its_repository_is_spelled() {
        let (_folder, store) = scratch();
        for spelled in ["acme/widgets#1", "Acme/Widgets#1"] {
            let at = spelled.parse().unwrap();
            store.enqueue(at, Origin::Manual, "a test", from_millis(1)).await.unwrap();
        }
        let lanes = "SELECT count(*), min(repo) FROM lane";
        let lanes = store.read(|c| first(c, lanes, [], |r| r.try_into()));
        assert_eq!(lanes.await.unwrap(), Some((1, "acme/widgets".to_owned())));
    }
}

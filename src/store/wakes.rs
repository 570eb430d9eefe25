//! Waking issues: what they waited for is closed, their agent has a free place, or the time of their dispatch or claim has
//! come.
//! What follows is decided where every issue is looked at.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::engine::{Connection, params};
use super::entries::{Entry, enqueue};
use super::lanes::Claim;
use super::rows::{all, first, run};
use super::{Error, Store, claims, pauses};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{Origin, WakeCause};
use crate::dispatch::AgentId;
use crate::issue::{IssueRef, RepoName};

/// When a dispatch is looked at again if the look it was woken for comes to no end: a failed delivery must not make it
/// be forgotten.
const AGAIN: TimeDelta = TimeDelta::hours(1);
/// How many are woken in one go.
const BATCH: u32 = 64;

/// When the next dispatch, claim and budget have to be looked at.
const TIMERS: [&str; 3] = [
    "SELECT due_at FROM dispatch WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1",
    "SELECT due_at FROM person_claim WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1",
    "SELECT budget_at FROM lane WHERE budget_at IS NOT NULL ORDER BY budget_at LIMIT 1",
];

impl Store {
    /// Wakes the issues of dispatches and claims whose time has come for the next hand-off, a reminder or the end; how many
    /// there were.
    pub async fn wake_due(&self, now: Timestamp) -> Result<usize, Error> {
        if self.next_timer().await?.is_none_or(|at| at > now) {
            return Ok(0);
        }
        let (at, again) = (now.timestamp_millis(), (now + AGAIN).timestamp_millis());
        self.write(move |c| {
            let due = "SELECT id, lane FROM dispatch WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
            let due: Vec<(i64, i64)> = all(c, due, params![at, BATCH], |r| r.try_into())?;
            // The deadline is not slept through.
            let later = "UPDATE dispatch SET due_at = CASE WHEN deadline_at > ?3 THEN min(?2, deadline_at) ELSE ?2 END WHERE id = ?1";
            for (dispatch, _) in &due {
                run(c, later, [*dispatch, again, at])?;
            }
            let claimed = claims::due(c, now, now + AGAIN)?;
            let budgeted = budgeted(c, now, now + AGAIN)?;
            let lanes = due.iter().map(|(_, lane)| *lane).chain(claimed).chain(budgeted);
            let lanes: Vec<_> = lanes.collect();
            let count = lanes.len();
            wake(c, lanes, WakeCause::Due, now)?;
            Ok(count)
        })
        .await
    }

    /// Wakes issues whose latest evaluation was made in a dry run that withheld something, a few at a time; how many
    /// there were.
    pub async fn wake_withheld(&self, now: Timestamp) -> Result<usize, Error> {
        let sql = "SELECT DISTINCT lane.id FROM effect
                       JOIN latest ON latest.lane = effect.lane AND latest.evaluation = effect.evaluation
                       JOIN lane ON lane.id = effect.lane AND lane.state = 'idle'
                   WHERE effect.state = 'withheld' LIMIT ?1";
        self.write(move |c| {
            let lanes: Vec<i64> = all(c, sql, [BATCH], |r| r.get(0))?;
            let count = lanes.len();
            wake(c, lanes, WakeCause::DryRunOver, now)?;
            Ok(count)
        })
        .await
    }

    /// When the next dispatch or claim has to be looked at; `None` when none has.
    pub async fn next_timer(&self) -> Result<Option<Timestamp>, Error> {
        self.first_of(&TIMERS).await
    }

    /// The same, or when the next lane is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let lane = "SELECT due_at FROM lane WHERE state = 'due' ORDER BY due_at LIMIT 1";
        let [dispatch, claim, budget] = TIMERS;
        self.first_of(&[dispatch, claim, budget, lane]).await
    }

    /// The first of the times that these questions give, asked as one.
    async fn first_of(&self, questions: &[&str]) -> Result<Option<Timestamp>, Error> {
        let each: Vec<_> = questions.iter().map(|one| format!("SELECT ({one}) AS at")).collect();
        let sql = format!("SELECT min(at) FROM ({}) AS each", each.join(" UNION ALL "));
        let next = self.read(move |c| first(c, &sql, [], |r| r.get::<Option<_>>(0))).await?;
        Ok(next.flatten().map(from_millis))
    }
}

/// The lanes that wait for a budget which may have something left again by now; they are looked at once more `again`.
pub(super) fn budgeted(
    c: &Connection,
    now: Timestamp,
    again: Timestamp,
) -> Result<Vec<i64>, Error> {
    let sql = "UPDATE lane SET budget_at = ?2 WHERE budget_at <= ?1 RETURNING id";
    all(c, sql, [now, again].map(|at| at.timestamp_millis()), |r| r.get(0))
}

/// Keeps what an issue waits for in place of what it waited for before.
pub(super) fn keep_blockers(c: &Connection, lane: i64, blockers: &[IssueRef]) -> Result<(), Error> {
    run(c, "DELETE FROM blocker WHERE lane = ?1", [lane])?;
    let insert = "INSERT INTO blocker VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    let keep = |at: &IssueRef| run(c, insert, params![lane, at.repo.to_string(), at.number]);
    blockers.iter().try_for_each(keep)
}

/// Keeps which agents would do for an issue that waits for one, in place of those before; the first stands on the lane.
pub(super) fn keep_alternatives(
    c: &Connection,
    lane: i64,
    agents: &[(&AgentId, u32)],
) -> Result<(), Error> {
    run(c, "DELETE FROM alternative WHERE lane = ?1", [lane])?;
    let insert = "INSERT INTO alternative VALUES (?1, ?2)";
    agents.iter().skip(1).try_for_each(|(agent, _)| run(c, insert, params![agent.as_str(), lane]))
}

/// Wakes the issues that wait for `at`, which has come to its end.
pub(super) fn wake_blocked(c: &Connection, at: &IssueRef, now: Timestamp) -> Result<(), Error> {
    wake(c, waiting_for(c, at)?, WakeCause::Unblocked, now)
}

/// The lanes of the issues that wait for `at`.
pub(super) fn waiting_for(c: &Connection, at: &IssueRef) -> Result<BTreeSet<i64>, Error> {
    let sql = "SELECT lane FROM blocker WHERE repo = ?1 AND number = ?2";
    all(c, sql, params![at.repo.to_string(), at.number], |r| r.get(0))
}

/// The lanes of those among the issues that somebody works on.
pub(super) fn concerned(
    c: &Connection,
    issues: &BTreeSet<IssueRef>,
) -> Result<BTreeSet<i64>, Error> {
    let sql = "SELECT id FROM lane WHERE repo = ?1 AND number = ?2
               AND EXISTS (SELECT 1 FROM dispatch WHERE dispatch.lane = lane.id AND ended_at IS NULL)";
    let lane = |at: &IssueRef| {
        first(c, sql, params![at.repo.to_string(), at.number], |r| r.get(0)).transpose()
    };
    issues.iter().filter_map(lane).collect()
}

/// Wakes the issues of a repository that somebody works on.
pub(super) fn wake_dispatched(
    c: &Connection,
    repo: &RepoName,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "SELECT lane.id FROM lane JOIN dispatch ON dispatch.lane = lane.id
               WHERE repo = ?1 AND ended_at IS NULL";
    let lanes: Vec<_> = all(c, sql, [repo.to_string()], |r| r.get(0))?;
    wake(c, lanes, WakeCause::Due, now)
}

/// Wakes the issue of a claim when one that it waits for came to its end after the claim was taken.
pub(super) fn wake_unblocked(c: &Connection, claim: &Claim, now: Timestamp) -> Result<(), Error> {
    let sql = "SELECT 1 FROM blocker JOIN lane ON lane.repo = blocker.repo AND lane.number = blocker.number
                   JOIN evaluation ON evaluation.lane = lane.id
               WHERE blocker.lane = ?1 AND evaluation.id > ?2 AND evaluation.action = 'finish' LIMIT 1";
    let ended = first(c, sql, [claim.lane, claim.mark], |_| Ok(claim.lane))?;
    wake(c, ended, WakeCause::Unblocked, now)
}

/// Wakes those with the best claim on an agent's places: P0 first, then the higher score, then the older issue. Of what is
/// paused nobody is woken.
pub(super) fn wake_waiting(
    c: &Connection,
    agent: &str,
    places: u32,
    now: Timestamp,
) -> Result<(), Error> {
    if pauses::has_agent(c, agent)? {
        return Ok(());
    }
    let best = "SELECT id FROM lane
                WHERE id IN (SELECT id FROM lane WHERE waits_for = ?1
                             UNION SELECT lane FROM alternative WHERE agent = ?1)
                    AND NOT EXISTS (SELECT 1 FROM paused_repository WHERE paused_repository.repo = lane.repo)
                ORDER BY wait_p0 DESC, wait_score DESC, wait_since, id LIMIT ?2";
    let lanes: Vec<_> = all(c, best, params![agent, places], |r| r.get(0))?;
    wake(c, lanes, WakeCause::PlaceFree, now)
}

pub(super) fn wake(
    c: &Connection,
    lanes: impl IntoIterator<Item = i64>,
    cause: WakeCause,
    at: Timestamp,
) -> Result<(), Error> {
    let entry = Entry { origin: Origin::Wake, what: cause.as_str().into(), at };
    lanes.into_iter().try_for_each(|lane| enqueue(c, lane, &entry).map(drop))
}

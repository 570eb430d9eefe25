//! Dispatches: who has which issue, taking and freeing an agent's places, and how each came to its end. A place is
//! checked and taken in one transaction, so that an agent never has more than it may.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::inbox::{self, Entry};
use super::recorded::Recorded;
use super::rows::{from_json, parsed, to_json};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{Origin, WakeCause};
use crate::dispatch::{Agent, AgentId, Attempt, Dispatch, DispatchState, Transition};
use crate::issue::IssueRef;
use crate::plan::NewDispatch;
use crate::reason::Cause;
use crate::triage::Evaluation;

/// The columns [`dispatch_of`] reads.
pub(super) const DISPATCH: &str =
    "SELECT dispatch.id, repo, number, agent, task_type, dispatch.state, opened_at,
     deadline_at, key, by_person, failures, reminded_at IS NOT NULL, cause,
     coalesce((SELECT reason FROM evaluation WHERE evaluation.id = dispatch.evaluation), ''), counts
     FROM dispatch JOIN lane ON lane.id = dispatch.lane";

/// One change of a dispatch's state, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransitionView {
    /// When.
    pub at: Timestamp,
    /// The state it went to.
    pub state: String,
    /// What it came from.
    pub cause: String,
    /// The evaluation it belongs to.
    pub evaluation: Option<i64>,
}

/// When, and by which evaluation.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) evaluation: Option<i64>,
}

/// Opens a dispatch, taking one of the agent's places; the check and the taking are one transaction.
pub(super) fn open(
    c: &Connection,
    recorded: &Recorded,
    new: &NewDispatch,
    e: &Evaluation,
) -> Result<i64, Error> {
    let Recorded { lane, evaluation, .. } = *recorded;
    let agent = &new.agent;
    let mut taken = c.prepare_cached(
        "SELECT count(*) FROM dispatch WHERE agent = ?1 AND ended_at IS NULL AND lane <> ?2",
    )?;
    let taken: u32 = taken.query_row(params![agent.id.as_str(), lane], |r| r.get(0))?;
    if taken >= agent.max_concurrent && !new.by_person {
        return Err(Error::AgentBusy(agent.id.clone()));
    }
    let at = e.at.timestamp_millis();
    let timeout = i64::try_from(agent.timeout.as_millis()).unwrap_or(i64::MAX);
    let cause = Cause::Decided { reason: e.decision.reason().to_string() };
    let state = if new.by_person { DispatchState::Assigned } else { DispatchState::Pending };
    let id = c
        .prepare_cached(
            "INSERT INTO dispatch (lane, evaluation, agent, task_type, state, opened_at, deadline_at, due_at, key,
                                   by_person, cause)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)",
        )?
        .insert(params![
            lane,
            evaluation,
            agent.id.as_str(),
            e.task_type().as_str(),
            state.as_str(),
            at,
            at.saturating_add(timeout),
            new.key,
            new.by_person,
            to_json(&cause),
        ])?;
    let moment = Moment { at: e.at, evaluation: Some(evaluation) };
    note(c, id, &Transition::to(state, cause), moment)?;
    Ok(id)
}

/// Moves a dispatch on; when it ends, the issue that waits for its agent with the best claim is woken. A move to the
/// state it has already is none.
pub(super) fn advance(
    c: &Connection,
    id: i64,
    to: &Transition,
    moment: Moment,
) -> Result<(), Error> {
    let ended = (!to.state.is_open()).then_some(moment.at.timestamp_millis());
    let mut update = c.prepare_cached(
        "UPDATE dispatch SET state = ?2, ended_at = ?3, cause = ?4, counts = ?5,
             due_at = CASE WHEN ?3 IS NULL THEN due_at END
         WHERE id = ?1 AND ended_at IS NULL AND state <> ?2 RETURNING agent",
    )?;
    let values = params![id, to.state.as_str(), ended, to_json(&to.cause), to.counts];
    let agent: Option<String> = update.query_row(values, |r| r.get(0)).optional()?;
    let Some(agent) = agent else { return Ok(()) };
    note(c, id, to, moment)?;
    if ended.is_some() { wake_waiting(c, &agent, 1, moment.at) } else { Ok(()) }
}

/// The agent a lane waits for.
pub(super) fn waits_for(c: &Connection, lane: i64) -> Result<Option<String>, Error> {
    let mut rows = c.prepare_cached("SELECT waits_for FROM lane WHERE id = ?1")?;
    Ok(rows.query_row([lane], |r| r.get(0))?)
}

impl Store {
    /// Wakes as many of the issues that wait for an agent as it has free places: there may be more of them than when
    /// the last dispatch ended.
    pub async fn wake_for_places(&self, agents: Vec<Agent>, now: Timestamp) -> Result<(), Error> {
        self.write(move |c| {
            let load = load(c, 0)?;
            agents.iter().try_for_each(|agent| {
                let taken = load.get(&agent.id).copied().unwrap_or(0);
                let free = agent.max_concurrent.saturating_sub(taken);
                wake_waiting(c, agent.id.as_str(), free, now)
            })
        })
        .await
    }
}

/// How many hand-offs have failed by now.
pub(super) fn set_failures(c: &Connection, id: i64, failures: u32) -> Result<(), Error> {
    c.prepare_cached("UPDATE dispatch SET failures = ?2 WHERE id = ?1")?
        .execute(params![id, failures])?;
    Ok(())
}

/// Writes down that a hand-off failed; the dispatch stays where it is until the next one.
pub(super) fn note_failure(
    c: &Connection,
    id: i64,
    cause: &Cause,
    moment: Moment,
) -> Result<(), Error> {
    c.prepare_cached("UPDATE dispatch SET cause = ?2 WHERE id = ?1")?
        .execute(params![id, to_json(cause)])?;
    note(c, id, &Transition::to(DispatchState::Failed, cause.clone()), moment)
}

/// When an open dispatch has to be looked at next.
pub(super) fn set_due(c: &Connection, id: i64, due_at: Timestamp) -> Result<(), Error> {
    c.prepare_cached("UPDATE dispatch SET due_at = ?2 WHERE id = ?1 AND ended_at IS NULL")?
        .execute(params![id, due_at.timestamp_millis()])?;
    Ok(())
}

/// Writes down that the agent was reminded.
pub(super) fn reminded(c: &Connection, id: i64, at: Timestamp) -> Result<(), Error> {
    c.prepare_cached("UPDATE dispatch SET reminded_at = ?2 WHERE id = ?1")?
        .execute(params![id, at.timestamp_millis()])?;
    Ok(())
}

fn note(c: &Connection, id: i64, to: &Transition, moment: Moment) -> Result<(), Error> {
    let Moment { at, evaluation } = moment;
    c.prepare_cached(
        "INSERT INTO transition (dispatch, at, state, cause, evaluation) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id, at.timestamp_millis(), to.state.as_str(), to.cause.to_string(), evaluation])?;
    Ok(())
}

/// Wakes those with the best claim on an agent's places: P0 first, then the higher score, then the older issue.
pub(super) fn wake_waiting(
    c: &Connection,
    agent: &str,
    places: u32,
    at: Timestamp,
) -> Result<(), Error> {
    let mut best = c.prepare_cached(
        "SELECT id FROM lane WHERE waits_for = ?1
         ORDER BY wait_p0 DESC, wait_score DESC, wait_since, id LIMIT ?2",
    )?;
    let best = best.query_map(params![agent, places], |r| r.get(0))?;
    let entry = Entry { origin: Origin::Wake, what: WakeCause::PlaceFree.as_str().into(), at };
    for lane in best.collect::<Result<Vec<i64>, _>>()? {
        inbox::enqueue(c, lane, &entry)?;
    }
    Ok(())
}

pub(super) fn load(c: &Connection, but: i64) -> Result<BTreeMap<AgentId, u32>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT agent, count(*) FROM dispatch WHERE ended_at IS NULL AND lane <> ?1 GROUP BY agent",
    )?;
    let rows = rows.query_map([but], |r| Ok((AgentId::new(r.get::<_, String>(0)?), r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn last_agent(c: &Connection, lane: i64) -> Result<Option<AgentId>, Error> {
    let mut rows =
        c.prepare_cached("SELECT agent FROM dispatch WHERE lane = ?1 ORDER BY id DESC LIMIT 1")?;
    Ok(rows.query_row([lane], |r| r.get::<_, String>(0)).optional()?.map(AgentId::new))
}

/// The attempts that failed since a person last said to begin anew, oldest first.
pub(super) fn attempts(c: &Connection, lane: i64) -> Result<Vec<Attempt>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT id, agent, cause FROM dispatch
         WHERE lane = ?1 AND counts AND ended_at IS NOT NULL
             AND id > (SELECT fresh_from FROM lane WHERE lane.id = ?1) ORDER BY id",
    )?;
    let rows = rows.query_map([lane], |r| {
        Ok(Attempt {
            dispatch: r.get(0)?,
            agent: AgentId::new(r.get::<_, String>(1)?),
            cause: cause(r, 2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// From now on no earlier dispatch of the lane counts as a try.
pub(super) fn begin_anew(c: &Connection, lane: i64) -> Result<(), Error> {
    c.prepare_cached(
        "UPDATE lane SET fresh_from = coalesce((SELECT max(id) FROM dispatch WHERE lane = ?1), 0) WHERE id = ?1",
    )?
    .execute([lane])?;
    Ok(())
}

/// How a dispatch went, oldest first.
pub(super) fn transitions(c: &Connection, dispatch: i64) -> Result<Vec<TransitionView>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT at, state, cause, evaluation FROM transition WHERE dispatch = ?1 ORDER BY id",
    )?;
    let rows = rows.query_map([dispatch], |r| {
        Ok(TransitionView {
            at: from_millis(r.get(0)?),
            state: r.get(1)?,
            cause: r.get(2)?,
            evaluation: r.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The two latest dispatches that no person made, open or ended, the newer one first.
pub(super) fn latest(c: &Connection, lane: i64) -> Result<Vec<Dispatch>, Error> {
    let sql = format!(
        "{DISPATCH} WHERE dispatch.lane = ?1 AND NOT by_person ORDER BY dispatch.id DESC LIMIT 2"
    );
    let mut rows = c.prepare_cached(&sql)?;
    Ok(rows.query_map([lane], dispatch_of)?.collect::<Result<_, _>>()?)
}

pub(super) fn open_dispatch(c: &Connection, lane: i64) -> Result<Option<Dispatch>, Error> {
    let sql = format!("{DISPATCH} WHERE dispatch.lane = ?1 AND ended_at IS NULL");
    Ok(c.prepare_cached(&sql)?.query_row([lane], dispatch_of).optional()?)
}

pub(super) fn dispatch_of(row: &Row<'_>) -> rusqlite::Result<Dispatch> {
    Ok(Dispatch {
        id: row.get(0)?,
        at: IssueRef { repo: parsed(row, 1)?, number: row.get(2)? },
        agent: AgentId::new(row.get::<_, String>(3)?),
        task_type: parsed(row, 4)?,
        state: parsed(row, 5)?,
        opened_at: from_millis(row.get(6)?),
        deadline_at: from_millis(row.get(7)?),
        key: row.get(8)?,
        by_person: row.get(9)?,
        failures: row.get(10)?,
        is_reminded: row.get(11)?,
        cause: cause(row, 12)?,
        reason: row.get(13)?,
        counts: row.get(14)?,
    })
}

/// What the latest change of a dispatch came from. One that cannot be read is shown as it stands there.
fn cause(row: &Row<'_>, column: usize) -> rusqlite::Result<Cause> {
    let json: Option<String> = row.get(column)?;
    let json = json.unwrap_or_default();
    Ok(from_json(&json).unwrap_or(Cause::Earlier { text: json }))
}

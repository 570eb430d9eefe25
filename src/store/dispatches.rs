//! Dispatches: who has which issue, taking and freeing an agent's places, and how each came to its end. A place is
//! checked and taken in one transaction, so that an agent never has more than it may.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::engine::{Connection, Row, RowResult, params};
use super::rows::{all, changed, first, from_json, insert, parsed, run, to_json};
use super::term::Term;
use super::wakes::{budgeted, wake, wake_waiting};
use super::{Error, Store, pauses, people};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::WakeCause;
use crate::dispatch::pause::Pausable;
use crate::dispatch::{Agent, AgentId, Attempt, Dispatch, DispatchState, Transition};
use crate::issue::IssueRef;
use crate::plan::NewDispatch;
use crate::reason::{Cause, Hold};
use crate::triage::Evaluation;

/// The columns [`dispatch_of`] reads.
pub(super) const DISPATCH: &str = "dispatch.id, repo, number, dispatch.agent, task_type, dispatch.state, opened_at,
     deadline_at, key, by_person, failures, reminded_at IS NOT NULL, cause,
     coalesce((SELECT reason FROM evaluation WHERE evaluation.id = dispatch.evaluation), ''), counts,
     EXISTS (SELECT 1 FROM evaluation WHERE evaluation.id = dispatch.evaluation AND reason_code = 'chosen')";
/// How many those are.
pub(super) const DISPATCH_COLUMNS: usize = 16;

/// The question for dispatches, with its end.
pub(super) fn dispatch_where(rest: &str) -> String {
    format!("SELECT {DISPATCH} FROM dispatch JOIN lane ON lane.id = dispatch.lane WHERE {rest}")
}

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

/// An intent that is on the disk: what stands in the ledger of an evaluation before any request leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub(super) lane: i64,
    /// The ledger's number of the evaluation.
    pub evaluation: i64,
    /// The dispatch the effects belong to.
    pub dispatch: Option<i64>,
    /// The ledger's numbers of the effects, in their order.
    pub effects: Vec<i64>,
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
    let has_none = || -> Result<bool, Error> {
        let is_paused = pauses::has_agent(c, agent.id.as_str())? || pauses::has_lane(c, lane)?;
        Ok(is_paused || taken(c, &agent.id, lane)? >= agent.max_concurrent)
    };
    if !new.by_person && has_none()? {
        return Err(Error::AgentBusy(agent.id.clone()));
    }
    let at = e.at.timestamp_millis();
    let timeout = i64::try_from(agent.timeout.as_millis()).unwrap_or(i64::MAX);
    let cause = Cause::Decided { reason: e.decision.reason().to_string() };
    let state = if new.by_person { DispatchState::Assigned } else { DispatchState::Pending };
    let sql = "INSERT INTO dispatch (lane, evaluation, agent, task_type, state, opened_at, deadline_at, due_at, key,
                               by_person, cause)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)";
    let values = params![
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
    ];
    let id = insert(c, "id", sql, values)?;
    let moment = Moment { at: e.at, evaluation: Some(evaluation) };
    note(c, id, &Transition::to(state, cause), moment)?;
    Ok(id)
}

/// How many dispatches an agent has open, without the one of this lane.
pub(super) fn taken(c: &Connection, agent: &AgentId, but: i64) -> Result<u32, Error> {
    let sql = "SELECT count(*) FROM dispatch WHERE agent = ?1 AND ended_at IS NULL AND lane <> ?2";
    let taken = first(c, sql, params![agent.as_str(), but], |r| r.get(0))?;
    Ok(taken.unwrap_or(0))
}

/// Moves a dispatch on; when it ends, the issue that waits for its agent with the best claim is woken, and no runner takes
/// it up any more. A move to the state it has already is none, but for work that has come further.
pub(super) fn advance(
    c: &Connection,
    id: i64,
    to: &Transition,
    moment: Moment,
) -> Result<(), Error> {
    let ended = (!to.state.is_open()).then_some(moment.at.timestamp_millis());
    let sql = "UPDATE dispatch SET state = ?2, ended_at = ?3, cause = ?4, counts = ?5,
                   due_at = CASE WHEN CAST(?3 AS BIGINT) IS NULL THEN due_at END
               WHERE id = ?1 AND ended_at IS NULL AND (state <> ?2 OR state = 'in_progress' AND cause IS DISTINCT FROM ?4) RETURNING agent";
    let values = params![id, to.state.as_str(), ended, to_json(&to.cause), to.counts];
    let Some(agent) = first(c, sql, values, |r| r.get::<String>(0))? else { return Ok(()) };
    note(c, id, to, moment)?;
    if ended.is_none() {
        return Ok(());
    }
    call_off(c, id, moment.at)?;
    wake_waiting(c, &agent, 1, moment.at)
}

/// A dispatch has ended: its run is over where nobody has it; whoever has one is told when they call.
fn call_off(c: &Connection, dispatch: i64, at: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE run SET state = 'ended', outcome = 'cancelled', ended_at = ?2
               WHERE dispatch = ?1 AND state = 'waiting'";
    run(c, sql, params![dispatch, at.timestamp_millis()])
}

/// Ends the open dispatch of an issue that cannot be evaluated. The issue is held: the agent may have done the work, so
/// that nobody else gets it by itself.
pub(super) fn end_unseen(
    c: &Connection,
    lane: i64,
    cause: Cause,
    moment: Moment,
) -> Result<(), Error> {
    let Some(open) = open_dispatch(c, lane)? else { return Ok(()) };
    let state = match cause {
        Cause::NotEvaluated { .. } => DispatchState::TimedOut,
        _ => DispatchState::Failed,
    };
    people::hold(c, lane, Some(&Hold(cause.clone())))?;
    advance(c, open.id, &Transition::to(state, cause), moment)
}

impl Store {
    /// How many dispatches each agent has open.
    pub async fn load(&self) -> Result<BTreeMap<AgentId, u32>, Error> {
        // No lane has the number 0, so none is left out.
        self.read(|c| load(c, 0)).await
    }

    /// The dispatch with this key, open or ended.
    pub async fn dispatch_by_key(&self, key: String) -> Result<Option<Dispatch>, Error> {
        self.read(move |c| first(c, &dispatch_where("key = ?1"), [key], dispatch_of)).await
    }

    /// The digest of the text that was approved of the issue of the dispatch with this key, as far as the issue said that
    /// when it was last looked at: where it did not, the dispatch stands on no approval.
    pub async fn approved_text(&self, key: String) -> Result<Option<String>, Error> {
        let sql = "SELECT digest FROM dispatch JOIN lane ON lane.id = dispatch.lane
                   JOIN approval ON approval.lane = lane.id
                   WHERE dispatch.key = ?1 AND digest = text_digest";
        self.read(move |c| first(c, sql, [key], |r| r.get(0))).await
    }

    /// The dispatches that were handed over to one of these agents and have not ended.
    pub async fn handed_over(&self, agents: Vec<AgentId>) -> Result<Vec<Dispatch>, Error> {
        self.read(move |c| {
            let sql =
                dispatch_where("agent = ?1 AND ended_at IS NULL AND dispatch.state <> 'pending'");
            let mut found = Vec::new();
            for agent in &agents {
                found.extend(all::<_, Vec<_>>(c, &sql, [agent.as_str()], dispatch_of)?);
            }
            Ok(found)
        })
        .await
    }

    /// Has this service work on the dispatch with this key, and gives the term in which it does; `None` when another one does,
    /// and lives.
    pub async fn take_up(&self, key: String) -> Result<Option<Term>, Error> {
        let term = self.term();
        let holder = term.holder();
        let sql = "UPDATE dispatch SET worked_by = ?2 WHERE key = ?1
                   AND (worked_by = ?2 OR NOT EXISTS (SELECT 1 FROM replica WHERE replica.id = worked_by))";
        self.write(
            move |c| Ok((changed(c, sql, params![key, holder])? > 0).then_some(term.clone())),
        )
        .await
    }

    /// Wakes as many of the issues that wait for an agent as it has free places, and all that wait for a budget: there may
    /// be more of both than when the last dispatch ended.
    pub async fn wake_for_places(&self, agents: Vec<Agent>, now: Timestamp) -> Result<(), Error> {
        self.write(move |c| {
            // By the end of time each of them has waited long enough.
            let budgeted = budgeted(c, Timestamp::MAX_UTC, now + TimeDelta::hours(1))?;
            wake(c, budgeted, WakeCause::Due, now)?;
            fill_places(c, &agents, now)
        })
        .await
    }

    /// Ends a pause, and wakes as many of the issues that waited as these agents have free places; `false` when there was
    /// none.
    pub async fn resume(
        &self,
        of: Pausable,
        agents: Vec<Agent>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.write(move |c| {
            let is_ended = pauses::end(c, &of)?;
            fill_places(c, &agents, now)?;
            Ok(is_ended)
        })
        .await
    }
}

/// Wakes as many of the issues that wait for an agent as it has free places.
fn fill_places(c: &Connection, agents: &[Agent], now: Timestamp) -> Result<(), Error> {
    let load = load(c, 0)?;
    agents.iter().try_for_each(|agent| {
        let taken = load.get(&agent.id).copied().unwrap_or(0);
        let free = agent.max_concurrent.saturating_sub(taken);
        wake_waiting(c, agent.id.as_str(), free, now)
    })
}

/// Writes down a change of a dispatch.
pub(super) fn note(c: &Connection, id: i64, to: &Transition, moment: Moment) -> Result<(), Error> {
    let (at, state, cause) =
        (moment.at.timestamp_millis(), to.state.shown(&to.cause), to.cause.to_string());
    let sql = "INSERT INTO transition (dispatch, at, state, cause, evaluation) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(c, sql, params![id, at, state, cause, moment.evaluation])
}

pub(super) fn load(c: &Connection, but: i64) -> Result<BTreeMap<AgentId, u32>, Error> {
    let sql =
        "SELECT agent, count(*) FROM dispatch WHERE ended_at IS NULL AND lane <> ?1 GROUP BY agent";
    all(c, sql, [but], |r| Ok((AgentId::new(r.get::<String>(0)?), r.get(1)?)))
}

pub(super) fn last_agent(c: &Connection, lane: i64) -> Result<Option<AgentId>, Error> {
    let sql = "SELECT agent FROM dispatch WHERE lane = ?1 ORDER BY id DESC LIMIT 1";
    first(c, sql, [lane], |r| r.get::<String>(0).map(AgentId::new))
}

/// The attempts that failed since a person last said to begin anew, oldest first.
pub(super) fn attempts(c: &Connection, lane: i64) -> Result<Vec<Attempt>, Error> {
    let sql = "SELECT id, agent, cause FROM dispatch
               WHERE lane = ?1 AND counts = 1 AND ended_at IS NOT NULL
                   AND id > (SELECT fresh_from FROM lane WHERE lane.id = ?1) ORDER BY id";
    all(c, sql, [lane], |r| {
        let agent = AgentId::new(r.get::<String>(1)?);
        Ok(Attempt { dispatch: r.get(0)?, agent, cause: cause(r, 2)? })
    })
}

/// From now on no earlier dispatch of the lane counts as a try.
pub(super) fn begin_anew(c: &Connection, lane: i64) -> Result<(), Error> {
    let sql = "UPDATE lane SET fresh_from = coalesce((SELECT max(id) FROM dispatch WHERE lane = ?1), 0) WHERE id = ?1";
    run(c, sql, [lane])
}

/// How a dispatch went, oldest first.
pub(super) fn transitions(c: &Connection, dispatch: i64) -> Result<Vec<TransitionView>, Error> {
    let sql = "SELECT at, state, cause, evaluation FROM transition WHERE dispatch = ?1 ORDER BY id";
    all(c, sql, [dispatch], |r| {
        let at = from_millis(r.get(0)?);
        Ok(TransitionView { at, state: r.get(1)?, cause: r.get(2)?, evaluation: r.get(3)? })
    })
}

/// The two latest dispatches that no person made, open or ended, the newer one first.
pub(super) fn latest(c: &Connection, lane: i64) -> Result<Vec<Dispatch>, Error> {
    let rest = "dispatch.lane = ?1 AND by_person = 0 ORDER BY dispatch.id DESC LIMIT 2";
    all(c, &dispatch_where(rest), [lane], dispatch_of)
}

pub(super) fn open_dispatch(c: &Connection, lane: i64) -> Result<Option<Dispatch>, Error> {
    let rest = "dispatch.lane = ?1 AND ended_at IS NULL";
    first(c, &dispatch_where(rest), [lane], dispatch_of)
}

pub(super) fn dispatch_of(row: &Row<'_>) -> RowResult<Dispatch> {
    Ok(Dispatch {
        id: row.get(0)?,
        at: IssueRef { repo: parsed(row, 1)?, number: row.get(2)? },
        agent: AgentId::new(row.get::<String>(3)?),
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
        is_chosen: row.get(15)?,
    })
}

/// What the latest change of a dispatch came from. One that cannot be read is shown as it stands there.
fn cause(row: &Row<'_>, column: usize) -> RowResult<Cause> {
    let json: Option<String> = row.get(column)?;
    let json = json.unwrap_or_default();
    Ok(from_json(&json).unwrap_or(Cause::Earlier { text: json }))
}

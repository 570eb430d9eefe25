//! Dispatches: who has which issue, taking and freeing an agent's places. A place is checked and taken in one
//! transaction, so that an agent never has more than it may.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::inbox::{self, unreadable};
use super::ledger::{Intent, Opening};
use super::{Error, lanes};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::Origin;
use crate::dispatch::{AgentId, Dispatch, DispatchState, TaskType};
use crate::issue::{IssueRef, RepoName};

/// The columns [`dispatch_of`] reads.
pub(super) const DISPATCH: &str =
    "SELECT dispatch.id, repo, number, agent, task_type, dispatch.state, opened_at,
     deadline_at FROM dispatch JOIN lane ON lane.id = dispatch.lane";

/// Opens a dispatch, taking one of the agent's places; the check and the taking are one transaction.
pub(super) fn open(
    c: &Connection,
    lane: i64,
    evaluation: i64,
    opening: &Opening,
    intent: &Intent,
) -> Result<i64, Error> {
    let agent = &opening.agent;
    let mut taken = c.prepare_cached(
        "SELECT count(*) FROM dispatch WHERE agent = ?1 AND ended_at IS NULL AND lane <> ?2",
    )?;
    let taken: u32 = taken.query_row(params![agent.id.as_str(), lane], |r| r.get(0))?;
    if taken >= agent.max_concurrent && !opening.by_person {
        return Err(Error::AgentBusy(agent.id.clone()));
    }
    let at = intent.at.timestamp_millis();
    let timeout = i64::try_from(agent.timeout.as_millis()).unwrap_or(i64::MAX);
    let task_type = intent.verdict.as_ref().map_or(TaskType::RoutineCoding, |v| v.task_type);
    c.prepare_cached(
        "INSERT INTO dispatch (lane, evaluation, agent, task_type, state, opened_at, deadline_at)
         VALUES (?1, ?2, ?3, ?4, ?7, ?5, ?6)",
    )?
    .execute(params![
        lane,
        evaluation,
        agent.id.as_str(),
        task_type.as_str(),
        at,
        at.saturating_add(timeout),
        if opening.by_person { "assigned" } else { "pending" },
    ])?;
    Ok(c.last_insert_rowid())
}

/// Moves a dispatch on; when it ends, the issue that waits for its agent with the best claim is woken.
pub(super) fn advance(
    c: &Connection,
    id: i64,
    state: DispatchState,
    cause: &str,
    at: Timestamp,
) -> Result<(), Error> {
    let ended = (!state.is_open()).then_some(at.timestamp_millis());
    let mut update = c.prepare_cached(
        "UPDATE dispatch SET state = ?2, ended_at = ?3, detail = CASE WHEN ?3 IS NULL THEN detail ELSE ?4 END
         WHERE id = ?1 AND ended_at IS NULL RETURNING agent",
    )?;
    let agent: Option<String> =
        update.query_row(params![id, state.as_str(), ended, cause], |r| r.get(0)).optional()?;
    match (agent, ended) {
        (Some(agent), Some(_)) => wake_waiting(c, &agent, at),
        _ => Ok(()),
    }
}

/// P0 first, then the higher score, then the older issue.
pub(super) fn wake_waiting(c: &Connection, agent: &str, at: Timestamp) -> Result<(), Error> {
    let mut best = c.prepare_cached(
        "SELECT id FROM lane WHERE waits_for = ?1
         ORDER BY wait_p0 DESC, wait_score DESC, wait_since, id LIMIT 1",
    )?;
    let Some(lane) = best.query_row([agent], |r| r.get(0)).optional()? else { return Ok(()) };
    inbox::enqueue(c, lane, Origin::Wake, "a place is free", at)?;
    lanes::make_due(c, lane, at)
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

pub(super) fn open_dispatch(c: &Connection, lane: i64) -> Result<Option<Dispatch>, Error> {
    let sql = format!("{DISPATCH} WHERE dispatch.lane = ?1 AND ended_at IS NULL");
    c.prepare_cached(&sql)?.query_row([lane], |row| Ok(dispatch_of(row))).optional()?.transpose()
}

pub(super) fn dispatch_of(row: &Row<'_>) -> Result<Dispatch, Error> {
    let repo: String = row.get(1)?;
    let repo: RepoName = repo.parse().map_err(|e| unreadable(&e))?;
    let text = |column| row.get::<_, String>(column);
    Ok(Dispatch {
        id: row.get(0)?,
        at: IssueRef { repo, number: row.get(2)? },
        agent: AgentId::new(text(3)?),
        task_type: text(4)?.parse().map_err(|e: String| unreadable(&e))?,
        state: text(5)?.parse().map_err(|e: String| unreadable(&e))?,
        opened_at: from_millis(row.get(6)?),
        deadline_at: from_millis(row.get(7)?),
    })
}

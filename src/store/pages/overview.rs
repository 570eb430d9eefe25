//! What the front page and the page of the agents show: what needs somebody, who has what, and what is stuck.

use super::Sight;
use super::deliveries::{self, DeliveryQuery, Wanted};
use super::issues::{self, ISSUE, IssueRow, Show, Standings};
use crate::dispatch::{Dispatch, DispatchState};
use crate::reason::URGENT_NOT_READY;
use crate::store::dispatches::{DISPATCH, DISPATCH_COLUMNS, dispatch_of};
use crate::store::engine::{Connection, Row, RowResult};
use crate::store::rows::{only, parsed};
use crate::store::{DeliveryState, DeliveryView, Error, Store};

/// How many of each are shown.
const FEW: usize = 8;
/// How many rows are looked through for those in sight, and how many skipped issues for urgent ones.
const EXAMINED: u32 = 10_000;
/// How many dispatches are shown.
const DISPATCHES: usize = 50;

/// The front page.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// How many issues stand how.
    pub standings: Standings,
    /// Flagged issues, the newest first.
    pub flagged: Vec<IssueRow>,
    /// Issues that were escalated and are still open.
    pub escalated: Vec<IssueRow>,
    /// Urgent issues that are not ready and that nobody has.
    pub urgent: Vec<IssueRow>,
    /// Open dispatches, the nearest deadline first, with the titles of their issues.
    pub dispatches: Vec<(Dispatch, String)>,
    /// Issues that wait for an agent.
    pub waiting: Vec<IssueRow>,
    /// The newest failed deliveries.
    pub dead: Vec<DeliveryView>,
    /// The newest decisions.
    pub recent: Vec<IssueRow>,
}

/// How many issues an agent has, and how its work ended so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentLoad {
    /// Its name.
    pub agent: String,
    /// Open dispatches.
    pub open: u64,
    /// Issues that wait for it.
    pub waiting: u64,
    /// Dispatches by how they ended.
    pub ended: Vec<(DispatchState, u64)>,
}

/// Changes whenever something that a page shows may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse(Vec<i64>);

impl Store {
    /// What the front page shows; the counts are of all that there is.
    pub async fn overview(&self, sight: Sight) -> Result<Overview, Error> {
        self.read(move |c| {
            let few = |show| issues::few(c, show, FEW, &sight);
            Ok(Overview {
                standings: issues::standings(c)?,
                flagged: few(Show::Flagged)?,
                escalated: escalated(c, &sight)?,
                urgent: urgent(c, &sight)?,
                dispatches: dispatches(c, &sight)?,
                waiting: few(Show::Waiting)?,
                dead: dead(c, &sight)?,
                recent: few(Show::All)?,
            })
        })
        .await
    }

    /// Every agent that ever had an issue or has one waiting, by name, and the open dispatches in sight.
    pub async fn agent_loads(
        &self,
        sight: Sight,
    ) -> Result<(Vec<AgentLoad>, Vec<(Dispatch, String)>), Error> {
        self.read(move |c| Ok((loads(c)?, dispatches(c, &sight)?))).await
    }

    /// A mark that is another one after every change worth showing.
    pub async fn pulse(&self) -> Result<Pulse, Error> {
        self.read(|c| {
            let value = |row: &Row<'_>, at| Ok(row.get::<Option<i64>>(at)?.unwrap_or_default());
            only(c, PULSE, [], |row| (0..10).map(|at| value(row, at)).collect()).map(Pulse)
        })
        .await
    }
}

/// The newest row of each table, and the small partial indices whose rows come and go.
const PULSE: &str = "SELECT (SELECT max(seq) FROM delivery), (SELECT max(id) FROM evaluation),
    (SELECT max(id) FROM effect), (SELECT max(id) FROM dispatch),
    (SELECT count(*) FROM delivery WHERE state = 'received'),
    (SELECT count(*) FROM delivery WHERE state IN ('pending', 'claimed')),
    (SELECT count(*) FROM delivery WHERE state = 'dead'),
    (SELECT count(*) FROM lane WHERE state = 'claimed'),
    (SELECT count(*) FROM lane WHERE hold IS NOT NULL),
    (SELECT count(*) FROM dispatch WHERE ended_at IS NULL)";

fn dead(c: &Connection, sight: &Sight) -> Result<Vec<DeliveryView>, Error> {
    let state = Some(DeliveryState::Dead);
    let query = DeliveryQuery { state, limit: FEW, ..DeliveryQuery::default() };
    Ok(deliveries::page(c, &Wanted { query, sight: sight.clone() })?.rows)
}

/// Issues whose last dispatch was escalated, for as long as nobody closed them.
fn escalated(c: &Connection, sight: &Sight) -> Result<Vec<IssueRow>, Error> {
    let sql = format!(
        "{ISSUE} WHERE latest.lane IN (SELECT e.lane FROM dispatch e WHERE e.state = 'escalated'
             AND e.id = (SELECT max(d.id) FROM dispatch d WHERE d.lane = e.lane))
         AND action <> 'finish' ORDER BY latest.evaluation DESC LIMIT ?1"
    );
    few(c, &sql, sight)
}

/// The newest among the skipped ones that were looked at last, so that the page costs the same whatever the backlog. Each
/// code is looked up by itself: joined, PostgreSQL reads all decisions there are.
fn urgent(c: &Connection, sight: &Sight) -> Result<Vec<IssueRow>, Error> {
    let sql = format!(
        "{ISSUE} WHERE latest.evaluation IN (
             SELECT evaluation FROM (SELECT evaluation FROM latest WHERE action = 'skip' ORDER BY evaluation DESC LIMIT ?1) AS newest
             WHERE (SELECT reason_code FROM evaluation WHERE id = newest.evaluation) = '{URGENT_NOT_READY}')
         AND dispatch.agent IS NULL ORDER BY latest.evaluation DESC"
    );
    few(c, &sql, sight)
}

/// The first issues of a question that are in sight.
fn few(c: &Connection, sql: &str, sight: &Sight) -> Result<Vec<IssueRow>, Error> {
    first(c, sql, FEW, |row| Ok(Some(issues::issue(row)?).filter(|one| sight.has(&one.repo))))
}

fn dispatches(c: &Connection, sight: &Sight) -> Result<Vec<(Dispatch, String)>, Error> {
    let sql = format!(
        "SELECT {DISPATCH}, coalesce(title, '') FROM dispatch JOIN lane ON lane.id = dispatch.lane
             LEFT JOIN latest ON latest.lane = dispatch.lane
         WHERE ended_at IS NULL ORDER BY deadline_at LIMIT ?1"
    );
    first(c, &sql, DISPATCHES, |row| {
        let dispatch = dispatch_of(row)?;
        let title = row.get(DISPATCH_COLUMNS)?;
        Ok(sight.has(&dispatch.at.repo.to_string()).then_some((dispatch, title)))
    })
}

/// The first `limit` rows that are wanted.
fn first<T>(
    c: &Connection,
    sql: &str,
    limit: usize,
    wanted: impl Fn(&Row<'_>) -> RowResult<Option<T>>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    c.query(sql, [EXAMINED], &mut |row| {
        found.extend(wanted(row)?);
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// How each agent's dispatches stand or ended, and who waits for it: counted along an index, which no order has to be
/// made for.
const LOADS: &str = "SELECT agent, state, count(*) FROM dispatch GROUP BY agent, state";
const WAITING: &str =
    "SELECT waits_for, count(*) FROM lane WHERE waits_for IS NOT NULL GROUP BY waits_for";

fn loads(c: &Connection) -> Result<Vec<AgentLoad>, Error> {
    let mut loads: std::collections::BTreeMap<String, AgentLoad> = Default::default();
    let of = |agent: String| AgentLoad { agent, ..AgentLoad::default() };
    c.query(LOADS, [], &mut |row| {
        let (agent, count): (String, u64) = (row.get(0)?, row.get(2)?);
        let state: DispatchState = parsed(row, 1)?;
        let load = loads.entry(agent.clone()).or_insert_with(|| of(agent));
        if state.is_open() {
            load.open += count
        } else {
            load.ended.push((state, count))
        }
        Ok(true)
    })?;
    c.query(WAITING, [], &mut |row| {
        let agent: String = row.get(0)?;
        loads.entry(agent.clone()).or_insert_with(|| of(agent)).waiting = row.get(1)?;
        Ok(true)
    })?;
    Ok(loads.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch_file};

    #[tokio::test]
    async fn counts_are_taken_from_indices_in_their_order() {
        let (_folder, store) = scratch_file();
        for sql in [LOADS, WAITING, PULSE, issues::STANDINGS] {
            for step in store.read(move |c| plan(c, sql)).await.unwrap() {
                let is_by_index = !step.starts_with("SCAN") || step.contains("INDEX");
                assert!(is_by_index || step == "SCAN CONSTANT ROW", "{sql}: {step}");
                assert!(!step.contains("TEMP B-TREE"), "{sql}: {step}");
            }
        }
    }
}

//! What the front page and the page of the agents show: what needs somebody, who has what, and what is stuck.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;

use super::Sight;
use super::deliveries::{self, DeliveryQuery, Wanted};
use super::issues::{self, IssueRow, Show, Standings};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::{Dispatch, DispatchState};
use crate::store::dispatches::{DISPATCH, DISPATCH_COLUMNS, dispatch_of};
use crate::store::engine::{Connection, Row, RowResult};
use crate::store::rows::{only, parsed};
use crate::store::{DeliveryState, DeliveryView, Error, Store};
use crate::triage::Action;

/// How many of each are shown.
const FEW: usize = 8;
/// How many rows are looked through for those in sight.
const EXAMINED: u32 = 10_000;
/// How many dispatches are shown.
const DISPATCHES: usize = 50;

/// The front page.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// How many issues stand how.
    pub standings: Standings,
    /// Issues that were escalated and are still open.
    pub escalated: Needs,
    /// Urgent issues that are not ready and that nobody has, but those above.
    pub urgent: Needs,
    /// Flagged issues, but those above.
    pub flagged: Needs,
    /// Open dispatches, the nearest deadline first, with the titles of their issues.
    pub dispatches: Vec<(Dispatch, String)>,
    /// Issues that wait for an agent.
    pub waiting: Vec<IssueRow>,
    /// The newest failed deliveries.
    pub dead: Vec<DeliveryView>,
    /// The newest decisions.
    pub recent: Vec<IssueRow>,
}

/// Issues that need a person for one reason.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// The newest of them that are in sight.
    pub newest: Vec<IssueRow>,
    /// How many there are.
    pub all: u64,
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
    /// When the first of them was last decided about.
    pub oldest_wait: Option<Timestamp>,
    /// Dispatches by how they ended.
    pub ended: Vec<(DispatchState, u64)>,
    /// How long those took that were completed, among the newest thousand dispatches of all agents; the shortest first.
    pub times: Vec<TimeDelta>,
}

impl AgentLoad {
    /// The median of `times`, of an even number the lower of the two in the middle.
    pub fn median(&self) -> Option<TimeDelta> {
        self.times.get(self.times.len().saturating_sub(1) / 2).copied()
    }
}

/// Changes whenever something that a page shows may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse(Vec<i64>);

impl Store {
    /// What the front page shows; the counts are of all that there is.
    pub async fn overview(&self, sight: Sight) -> Result<Overview, Error> {
        self.read(move |c| {
            let few = |show| issues::few(c, show, FEW, |issue| sight.has(&issue.repo));
            let mut standings = issues::tallies(c)?;
            let (mut seen, mut flagged) = (HashSet::new(), Needs::default());
            let escalated = needs(c, Show::Escalated, &sight, |issue| {
                standings.escalated += 1;
                flagged.all += u64::from(issue.action == Action::Flag.as_str());
                seen.insert(issue.evaluation)
            })?;
            let urgent = needs(c, Show::Urgent, &sight, |issue| {
                standings.urgent += 1;
                !seen.contains(&issue.evaluation)
            })?;
            flagged.all = standings.flagged.saturating_sub(flagged.all);
            flagged.newest = issues::few(c, Show::Flagged, FEW, |issue| {
                sight.has(&issue.repo) && !seen.contains(&issue.evaluation)
            })?;
            Ok(Overview {
                standings,
                escalated,
                urgent,
                flagged,
                dispatches: dispatches(c, &sight)?,
                waiting: few(Show::Waiting)?,
                dead: dead(c, &sight)?,
                recent: few(Show::All)?,
            })
        })
        .await
    }

    /// Every agent that ever had an issue or has one waiting, by name.
    pub async fn agent_loads(&self) -> Result<Vec<AgentLoad>, Error> {
        self.read(loads).await
    }

    /// The open dispatches in sight, the nearest deadline first, with the titles of their issues.
    pub async fn open_dispatches(&self, sight: Sight) -> Result<Vec<(Dispatch, String)>, Error> {
        self.read(move |c| dispatches(c, &sight)).await
    }

    /// A mark that is another one after every change worth showing.
    pub async fn pulse(&self) -> Result<Pulse, Error> {
        self.read(|c| {
            let value = |row: &Row<'_>, at| Ok(row.get::<Option<i64>>(at)?.unwrap_or_default());
            only(c, PULSE, [], |row| (0..11).map(|at| value(row, at)).collect()).map(Pulse)
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
    (SELECT count(*) FROM dispatch WHERE ended_at IS NULL), (SELECT max(id) FROM act)";

fn dead(c: &Connection, sight: &Sight) -> Result<Vec<DeliveryView>, Error> {
    let state = Some(DeliveryState::Dead);
    let query = DeliveryQuery { state, limit: FEW, ..DeliveryQuery::default() };
    Ok(deliveries::page(c, &Wanted { query, sight: sight.clone() })?.rows)
}

/// The issues that a list shows, of those that are `counted`: the few newest in sight, and how many there are.
fn needs(
    c: &Connection,
    show: Show,
    sight: &Sight,
    mut counted: impl FnMut(&IssueRow) -> bool,
) -> Result<Needs, Error> {
    let mut needs = Needs::default();
    issues::each(c, show, &mut |issue| {
        if counted(&issue) {
            needs.all += 1;
            if needs.newest.len() < FEW && sight.has(&issue.repo) {
                needs.newest.push(issue);
            }
        }
        Ok(true)
    })?;
    Ok(needs)
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
const WAITING: &str = "SELECT waits_for, count(*), min(evaluated_at) FROM lane WHERE waits_for IS NOT NULL GROUP BY waits_for";
/// The newest are cut out first, so that this costs the same however many there were.
const TIMES: &str = "SELECT agent, ended_at - opened_at FROM
        (SELECT agent, state, opened_at, ended_at FROM dispatch ORDER BY id DESC LIMIT 1000) AS newest
    WHERE state = 'completed'";

fn loads(c: &Connection) -> Result<Vec<AgentLoad>, Error> {
    let mut loads: BTreeMap<String, AgentLoad> = BTreeMap::new();
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
        let load = loads.entry(agent.clone()).or_insert_with(|| of(agent));
        load.waiting = row.get(1)?;
        load.oldest_wait = row.get::<Option<_>>(2)?.map(from_millis);
        Ok(true)
    })?;
    c.query(TIMES, [], &mut |row| {
        let (agent, took): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some(load) = loads.get_mut(&agent) {
            load.times.push(TimeDelta::milliseconds(took));
        }
        Ok(true)
    })?;
    loads.values_mut().for_each(|load| load.times.sort_unstable());
    Ok(loads.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch, scratch_file};

    #[tokio::test]
    async fn a_flagged_issue_is_shown_below_any_number_of_escalated_ones() {
        let (_folder, store) = scratch();
        store
            .write(|c| {
                for id in 1..=30 {
                    let lane = format!("INSERT INTO lane (id, repo, number) VALUES ({id}, 'acme/widgets', {id});");
                    let evaluation = format!("INSERT INTO evaluation (id, lane, at, action, reason, signals) VALUES ({id}, {id}, 0, 'flag', 'why', '[]');");
                    c.batch(&(lane + &evaluation))?;
                }
                c.batch("INSERT INTO dispatch (key, lane, agent, task_type, state, opened_at, deadline_at, ended_at)
                         SELECT 'key-' || id, id, 'claude', 'routine_coding', 'escalated', 0, 1, 1 FROM lane WHERE id > 2")
            })
            .await
            .unwrap();
        let overview = store.overview(Sight::All).await.unwrap();
        let Overview { escalated, flagged, .. } = overview;
        assert_eq!((escalated.all, escalated.newest.len()), (28, FEW));
        assert_eq!(flagged.all, 2);
        assert_eq!(flagged.newest.iter().map(|issue| issue.number).collect::<Vec<_>>(), [2, 1]);
    }

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

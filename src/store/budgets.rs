//! What runs use, added up by day, issue and agent; and which budget has nothing left. All is judged in the transaction
//! in which a runner says what was used, or asks for a run.

use std::sync::Arc;

use super::engine::{Connection, Row, RowResult, ToSql, params};
use super::rows::{all, first, from_json, run, to_json};
use super::wakes::wake;
use super::{Error, Store, lanes};
use crate::clock::Timestamp;
use crate::delivery::WakeCause;
use crate::dispatch::AgentId;
use crate::dispatch::budget::{BudgetScope, Budgets, MILLION, Spent, Used, UsedUp};
use crate::dispatch::run::Usage;
use crate::issue::IssueRef;

/// More than any run uses; a runner that says more must not make sums overflow.
const MOST: u64 = 1_000_000_000_000_000;

/// A run, as far as its spending goes.
pub(super) struct Spender<'a> {
    pub(super) run: i64,
    pub(super) lane: i64,
    pub(super) agent: &'a AgentId,
    pub(super) budgets: &'a Budgets,
    pub(super) now: Timestamp,
}

/// What an agent used in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSpending {
    /// The agent.
    pub agent: AgentId,
    /// How much.
    pub used: Used,
}

/// What an agent used of a repository on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySpending {
    /// The day, where the owner's days begin.
    pub day: String,
    /// The agent.
    pub agent: AgentId,
    /// `owner/name`.
    pub repo: String,
    /// How much.
    pub used: Used,
}

impl Store {
    /// The budget that has nothing left for a run on this issue, if one has.
    pub async fn used_up(
        &self,
        at: &IssueRef,
        budgets: Arc<Budgets>,
        now: Timestamp,
    ) -> Result<Option<UsedUp>, Error> {
        if budgets.list.is_empty() {
            return Ok(None);
        }
        let at = at.clone();
        self.read(move |c| {
            // An issue that nobody has looked at has used nothing.
            let lane = lanes::find(c, &at)?.unwrap_or(0);
            let spent = held_back(c, &budgets, lane, now)?;
            Ok(spent.map(|spent| UsedUp { spent, until: budgets.next_day(now) }))
        })
        .await
    }

    /// What agents used since a day, by day, agent and repository; the latest day first.
    pub async fn spending_since(&self, day: String) -> Result<Vec<DaySpending>, Error> {
        let sql = "SELECT day, agent, repo, CAST(sum(tokens) AS BIGINT), CAST(sum(money) AS BIGINT)
                   FROM run_spending JOIN lane ON lane.id = run_spending.lane
                   WHERE day >= ?1 GROUP BY day, agent, repo ORDER BY day DESC, agent, repo";
        self.read(move |c| {
            all(c, sql, [day], |r| {
                let agent = AgentId::new(r.get::<String>(1)?);
                Ok(DaySpending { day: r.get(0)?, agent, repo: r.get(2)?, used: used(r, 3)? })
            })
        })
        .await
    }

    /// What is used of the budgets that a run is held against.
    pub async fn spent_by(
        &self,
        id: i64,
        budgets: Arc<Budgets>,
        now: Timestamp,
    ) -> Result<Vec<Spent>, Error> {
        self.read(move |c| {
            let sql = "SELECT lane FROM run JOIN dispatch ON dispatch.id = run.dispatch WHERE run.id = ?1";
            let Some(lane) = first(c, sql, [id], |r| r.get(0))? else { return Ok(Vec::new()) };
            spent(c, &budgets, Subject { run: Some(id), lane }, now)
        })
        .await
    }
}

/// What each agent used in all.
pub(super) fn by_agent(c: &Connection) -> Result<Vec<AgentSpending>, Error> {
    let sql = "SELECT agent, tokens, money FROM agent_spending ORDER BY agent";
    all(c, sql, [], |r| {
        Ok(AgentSpending { agent: AgentId::new(r.get::<String>(0)?), used: used(r, 1)? })
    })
}

/// Writes down what a run has used so far in its lease, and adds what is new of it to the day. What an agent does not say
/// stays unknown. Its own word on money stands above its price.
pub(super) fn use_up(c: &Connection, who: &Spender<'_>, usage: Usage) -> Result<(), Error> {
    let sql = "SELECT tokens, CAST(round(cost * 1000000) AS BIGINT) FROM run WHERE id = ?1";
    let before = first(c, sql, [who.run], |r| used(r, 0))?.unwrap_or_default();
    let said = who.budgets.used(who.agent, usage);
    let least = |amount: Option<u64>| amount.map(|amount| amount.min(MOST));
    let tokens = least(said.tokens).max(before.tokens);
    let money = match (usage.cost, least(said.money)) {
        (Some(_), Some(own)) => Some(own),
        (_, by_price) => by_price.max(before.money),
    };
    let sql = "UPDATE run SET tokens = ?2, cost = ?3 WHERE id = ?1";
    let cost = money.map(|millionths| millionths as f64 / MILLION as f64);
    run(c, sql, params![who.run, tokens, cost])?;
    if (tokens, money) == (before.tokens, before.money) {
        return Ok(());
    }
    let more = [more(tokens, before.tokens), more(money, before.money)];
    let day = who.budgets.day(who.now).to_string();
    let sql = "INSERT INTO run_spending (day, lane, agent, tokens, money) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (day, lane, agent) DO UPDATE SET
                   tokens = CASE WHEN excluded.tokens IS NULL THEN run_spending.tokens ELSE coalesce(run_spending.tokens, 0) + excluded.tokens END,
                   money = CASE WHEN excluded.money IS NULL THEN run_spending.money ELSE coalesce(run_spending.money, 0) + excluded.money END";
    run(c, sql, params![day, who.lane, who.agent.as_str(), more[0], more[1]])?;
    // Prometheus takes a counter that falls for one that began anew.
    let more = more.map(|more| more.map(|more| more.max(0)));
    let sql = "INSERT INTO agent_spending (agent, tokens, money) VALUES (?1, ?2, ?3)
               ON CONFLICT (agent) DO UPDATE SET
                   tokens = CASE WHEN excluded.tokens IS NULL THEN agent_spending.tokens ELSE coalesce(agent_spending.tokens, 0) + excluded.tokens END,
                   money = CASE WHEN excluded.money IS NULL THEN agent_spending.money ELSE coalesce(agent_spending.money, 0) + excluded.money END";
    run(c, sql, params![who.agent.as_str(), more[0], more[1]])
}

/// How much more it is than before; less where an estimate was too high.
fn more(now: Option<u64>, before: Option<u64>) -> Option<i64> {
    let whole = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    now.map(|now| whole(now).saturating_sub(whole(before.unwrap_or(0))))
}

/// Judges a run by what was used: one that has used a budget up is stopped from now on, and of one that is near to it
/// people are warned once. Gives what its issue has to be told.
pub(super) fn judge(c: &Connection, who: &Spender<'_>) -> Result<Option<Spent>, Error> {
    let subject = Subject { run: Some(who.run), lane: who.lane };
    let all = spent(c, who.budgets, subject, who.now)?;
    if let Some(spent) = all.iter().find(|spent| spent.is_used_up()) {
        let sql = "UPDATE run SET stopped = ?2 WHERE id = ?1";
        run(c, sql, params![who.run, to_json(spent)])?;
        wake_waiting(c, &all, who.now)?;
        tracing::warn!(run = who.run, agent = %who.agent, %spent, "a run is stopped: a budget is used up");
        return Ok(Some(*spent));
    }
    let sql = "SELECT warned FROM run WHERE id = ?1";
    let warned: Option<String> = first(c, sql, [who.run], |r| r.get(0))?;
    let mut warned: Vec<Spent> = from_json(&warned.unwrap_or_default()).unwrap_or_default();
    let is_known = |one: &Spent| warned.iter().any(|other| other.is_of(one));
    let near: Vec<_> = all.into_iter().filter(|one| one.is_near() && !is_known(one)).collect();
    if near.is_empty() {
        return Ok(None);
    }
    for spent in &near {
        let percent = spent.percent();
        tracing::warn!(run = who.run, agent = %who.agent, %spent, percent, "a budget is nearly used up");
    }
    warned.extend(&near);
    run(c, "UPDATE run SET warned = ?2 WHERE id = ?1", params![who.run, to_json(&warned)])?;
    // What all use together is not the matter of one issue.
    let is_own = |spent: &&Spent| matches!(spent.per, BudgetScope::Dispatch | BudgetScope::Issue);
    Ok(near.iter().find(is_own).copied())
}

/// Has the issues looked at whose runs wait, where what has ended has used a budget up.
pub(super) fn follow_end(c: &Connection, who: &Spender<'_>) -> Result<(), Error> {
    let all = spent(c, who.budgets, Subject { run: None, lane: who.lane }, who.now)?;
    wake_waiting(c, &all, who.now)
}

/// Nobody gets the runs that wait, so that their issues wait for the budget instead, and agents' places are free.
fn wake_waiting(c: &Connection, all: &[Spent], now: Timestamp) -> Result<(), Error> {
    if !all.iter().any(|spent| spent.is_used_up() && spent.per != BudgetScope::Dispatch) {
        return Ok(());
    }
    let sql = "SELECT lane FROM run JOIN dispatch ON dispatch.id = run.dispatch WHERE run.state = 'waiting'";
    let lanes: Vec<i64> = self::all(c, sql, [], |r| r.get(0))?;
    wake(c, lanes, WakeCause::Due, now)
}

/// The budget that has nothing left for another run on an issue.
pub(super) fn held_back(
    c: &Connection,
    budgets: &Budgets,
    lane: i64,
    now: Timestamp,
) -> Result<Option<Spent>, Error> {
    let all = spent(c, budgets, Subject { run: None, lane }, now)?;
    Ok(all.into_iter().find(Spent::is_used_up))
}

/// How many runs of an issue's repository runners have.
const AT_WORK: &str = "SELECT count(*) FROM run JOIN dispatch ON dispatch.id = run.dispatch JOIN lane ON lane.id = dispatch.lane
    WHERE run.state = 'leased' AND run.id <> ?1 AND repo = (SELECT repo FROM lane WHERE id = ?2)";

/// Whether a run may be given out, beside those that runners have and after what was used.
pub(super) fn allows(
    c: &Connection,
    budgets: &Budgets,
    candidate: &Row<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let (id, lane): (i64, i64) = (candidate.get(0)?, candidate.get(1)?);
    if let Some(most) = budgets.per_repository {
        let at_work = first(c, AT_WORK, [id, lane], |r| r.get::<u32>(0))?;
        if at_work.unwrap_or(0) >= most {
            return Ok(false);
        }
    }
    Ok(held_back(c, budgets, lane, now)?.is_none())
}

/// Whose spending is judged.
#[derive(Clone, Copy)]
struct Subject {
    /// The run, where what it used itself counts, too.
    run: Option<i64>,
    lane: i64,
}

const OF_RUN: &str = "SELECT CASE WHEN tokens IS NULL THEN past_tokens ELSE tokens + coalesce(past_tokens, 0) END,
    CAST(round(1000000 * CASE WHEN cost IS NULL THEN past_cost ELSE cost + coalesce(past_cost, 0) END) AS BIGINT)
    FROM run WHERE id = ?1";
const OF_ISSUE: &str = "SELECT CAST(sum(tokens) AS BIGINT), CAST(sum(money) AS BIGINT) FROM run_spending WHERE lane = ?1";
/// By the day, on which few issues were worked on, and not by the repository, which may have had many.
const OF_REPOSITORY: &str = "SELECT CAST(sum(tokens) AS BIGINT), CAST(sum(money) AS BIGINT) FROM run_spending CROSS JOIN lane ON lane.id = run_spending.lane
    WHERE day = ?1 AND repo = (SELECT repo FROM lane WHERE id = ?2)";
const OF_DAY: &str = "SELECT CAST(sum(tokens) AS BIGINT), CAST(sum(money) AS BIGINT) FROM run_spending WHERE day = ?1";

/// How much of each budget is used that concerns a run or an issue.
fn spent(
    c: &Connection,
    budgets: &Budgets,
    of: Subject,
    now: Timestamp,
) -> Result<Vec<Spent>, Error> {
    let day = budgets.day(now).to_string();
    let mut all = Vec::new();
    for budget in &budgets.list {
        let (sql, values): (_, Vec<&dyn ToSql>) = match (budget.per, &of.run) {
            (BudgetScope::Dispatch, None) => continue,
            (BudgetScope::Dispatch, Some(run)) => (OF_RUN, vec![run]),
            (BudgetScope::Issue, _) => (OF_ISSUE, vec![&of.lane]),
            (BudgetScope::Repository, _) => (OF_REPOSITORY, vec![&day, &of.lane]),
            (BudgetScope::Day, _) => (OF_DAY, vec![&day]),
        };
        let used = first(c, sql, values.as_slice(), |r| used(r, 0))?.unwrap_or_default();
        all.push(budget.spent(used));
    }
    Ok(all)
}

/// Tokens and money, in two columns from this one on.
fn used(r: &Row<'_>, column: usize) -> RowResult<Used> {
    let amount = |column| {
        let amount: Option<i64> = r.get(column)?;
        RowResult::Ok(amount.map(|amount| u64::try_from(amount).unwrap_or(0)))
    };
    Ok(Used { tokens: amount(column)?, money: amount(column + 1)? })
}

#[cfg(test)]
mod tests {
    use super::super::{plan, scratch_file};
    use super::*;

    #[tokio::test]
    async fn what_is_asked_at_each_heartbeat_is_answered_from_an_index() {
        let (_folder, store) = scratch_file();
        for sql in [OF_RUN, OF_ISSUE, OF_REPOSITORY, OF_DAY, AT_WORK] {
            let steps = store.read(move |c| plan(c, sql)).await.unwrap();
            assert!(!steps.is_empty());
            for step in steps {
                assert!(
                    !step.starts_with("SCAN") || step.contains("INDEX run_leased"),
                    "{sql}: {step}"
                );
            }
        }
    }
}

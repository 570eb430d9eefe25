//! Runs of agents on runners, as people see them.

use super::Sight;
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::AgentId;
use crate::dispatch::budget::Spent;
use crate::dispatch::run::RunOutcome;
use crate::store::engine::{Row, RowResult};
use crate::store::rows::{all, first, from_json, parsed, parsed_if_any};
use crate::store::{Error, RunState, Store};

/// How many runs a list holds.
const MANY: u32 = 50;

/// A run, as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    /// The run.
    pub id: i64,
    /// Who works.
    pub agent: AgentId,
    /// `owner/name`.
    pub repo: String,
    /// The number of the issue.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Where the run stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// What was said at the end.
    pub message: Option<String>,
    /// The runner that has it, or had it last.
    pub runner: Option<String>,
    /// How often it was given out.
    pub epoch: u64,
    /// Which turn it is.
    pub turn: u32,
    /// Until when the lease holds.
    pub leased_until: Option<Timestamp>,
    /// The branch that is pushed.
    pub branch: String,
    /// The pull request.
    pub pull_request: Option<u64>,
    /// Its address, as the runner said.
    pub url: Option<String>,
    /// Tokens of all leases, as far as the agent says.
    pub tokens: Option<u64>,
    /// Money of all leases, as far as the agent says.
    pub cost: Option<f64>,
    /// The budget that stopped it.
    pub stopped: Option<Spent>,
    /// What happened last.
    pub event: Option<String>,
    /// More about it.
    pub detail: Option<String>,
    /// When that was.
    pub event_at: Option<Timestamp>,
    /// When it was handed over.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The dispatch goes on.
    pub is_open: bool,
}

const RUN: &str = "SELECT run.id, run.agent, repo, number, title, run.state, outcome, message, runner, run.epoch, turn,
        leased_until, branch, pull_request, url,
        CASE WHEN tokens IS NULL THEN past_tokens ELSE tokens + coalesce(past_tokens, 0) END,
        CASE WHEN cost IS NULL THEN past_cost ELSE cost + coalesce(past_cost, 0) END,
        event, detail, event_at, created_at, run.ended_at, dispatch.ended_at IS NULL, stopped
    FROM run JOIN dispatch ON dispatch.id = run.dispatch JOIN lane ON lane.id = dispatch.lane";

impl Store {
    /// The runs in sight, the latest first.
    pub async fn run_views(&self, sight: Sight) -> Result<Vec<RunView>, Error> {
        let sql = format!("{RUN} ORDER BY run.id DESC LIMIT ?1");
        let found = self.read(move |c| all::<_, Vec<_>>(c, &sql, [MANY], view)).await?;
        Ok(found.into_iter().filter(|run| sight.has(&run.repo)).collect())
    }

    /// One run.
    pub async fn run_view(&self, id: i64) -> Result<Option<RunView>, Error> {
        let sql = format!("{RUN} WHERE run.id = ?1");
        self.read(move |c| first(c, &sql, [id], view)).await
    }
}

fn view(r: &Row<'_>) -> RowResult<RunView> {
    let time = |at: Option<i64>| at.map(from_millis);
    let stopped: Option<String> = r.get(23)?;
    Ok(RunView {
        id: r.get(0)?,
        agent: AgentId::new(r.get::<String>(1)?),
        repo: r.get(2)?,
        number: r.get(3)?,
        title: r.get(4)?,
        state: parsed(r, 5)?,
        outcome: parsed_if_any(r, 6)?,
        message: r.get(7)?,
        runner: r.get(8)?,
        epoch: r.get(9)?,
        turn: r.get(10)?,
        leased_until: time(r.get(11)?),
        branch: r.get(12)?,
        pull_request: r.get(13)?,
        url: r.get(14)?,
        tokens: r.get(15)?,
        cost: r.get(16)?,
        stopped: stopped.and_then(|json| from_json(&json).ok()),
        event: r.get(17)?,
        detail: r.get(18)?,
        event_at: time(r.get(19)?),
        created_at: from_millis(r.get(20)?),
        ended_at: time(r.get(21)?),
        is_open: r.get(22)?,
    })
}

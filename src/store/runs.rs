//! The work of runners: which run waits, who has a lease of it, and how it ended. A lease and its epoch are compared in the
//! transaction that writes, so that a runner whose lease is another's changes nothing. What a runner reports goes into
//! the inbox in the same transaction.

use std::cmp::Ordering;
use std::sync::Arc;

use super::budgets::{self, Spender, use_up};
use super::dispatches::{DISPATCH, dispatch_of};
use super::engine::{Connection, Flush, News, Row, RowResult, ToSql, params};
use super::entries::{self, Entry};
use super::packing::{pack, unpack};
use super::people::permits;
use super::rows::{changed, first, from_json, parsed, run, to_json};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::Origin;
use crate::dispatch::budget::{Budgets, Spent};
use crate::dispatch::run::{Assignment, Finish, Heartbeat, Permits, RunOutcome, Terms, Usage};
use crate::dispatch::{AgentId, Progress, Report, Reported};
use crate::reason::Cause;

/// How often a turn is given out: one that nobody brings to an end may be what ends its runners.
const LEASES: u32 = 5;
/// How many heads a run remembers, the latest.
const HEADS: usize = 100;

named_enum! {
    /// Where a run stands.
    RunState {
        /// Nobody has it.
        Waiting = "waiting",
        /// A runner has it, or had it and has not called since.
        Leased = "leased",
        /// It has ended.
        Ended = "ended",
    }
}

/// A run as it is handed over.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The key of the dispatch.
    pub dispatch: String,
    /// The title of the issue.
    pub title: String,
    /// The digest of the text.
    pub text_digest: String,
    /// What the agent is told.
    pub prompt: String,
    /// The branch to push.
    pub branch: String,
}

/// Who asks for a run, and what for.
#[derive(Clone, Debug)]
pub struct Taking {
    /// The runner.
    pub runner: String,
    /// The agents it may run and has a place for.
    pub agents: Vec<AgentId>,
    /// The same each time the question is repeated.
    pub request: String,
    /// When it asks.
    pub now: Timestamp,
    /// Until when the lease holds.
    pub until: Timestamp,
    /// Until when a lease would hold that was renewed when the question came. A runner that let a later one end has not
    /// been heard of since: whoever waits for the answer may be gone.
    pub heard_until: Timestamp,
    /// What holds for the run that is given.
    pub terms: Terms,
    /// What runs may use.
    pub budgets: Arc<Budgets>,
}

/// What there is for a runner that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// There is a run that it may take.
    pub is_there: bool,
    /// When the next lease of another run ends, unless its runner calls.
    pub next_at: Option<Timestamp>,
}

/// A call of a runner about a run.
#[derive(Clone, Debug)]
pub struct RunCall {
    /// The run.
    pub run: i64,
    /// The lease that it believes to have.
    pub epoch: u64,
    /// The runner.
    pub runner: String,
    /// The agents that it is listed for.
    pub agents: Vec<AgentId>,
    /// When it calls.
    pub now: Timestamp,
    /// Until when the lease holds after the call.
    pub until: Timestamp,
    /// What runs may use.
    pub budgets: Arc<Budgets>,
}

/// What a call about a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAnswer {
    /// The lease goes on.
    Held {
        /// Why the work is to be stopped.
        cancel: Option<String>,
        /// Something was put into the inbox.
        is_news: bool,
    },
    /// Nothing was changed: the run is another lease's, or has ended. Says which.
    Fenced(&'static str),
    /// Nothing was changed: there is no such run of this runner.
    Unknown,
}

/// A run, as far as a call is judged by it.
pub(super) struct RunRow {
    agent: AgentId,
    state: RunState,
    runner: Option<String>,
    pub(super) epoch: u64,
    is_begun: bool,
    pub(super) logged: u64,
    pushed: Vec<String>,
    turn: u32,
    lane: i64,
    key: String,
    /// Why the dispatch has ended, or the run is to be stopped.
    over: Option<String>,
}

impl RunRow {
    /// The run as a spender.
    fn spends<'a>(&'a self, call: &'a RunCall) -> Spender<'a> {
        let RunCall { run, now, budgets, .. } = call;
        Spender { run: *run, lane: self.lane, agent: &self.agent, budgets, now: *now }
    }

    /// That the lease goes on.
    pub(super) fn answer(&self) -> RunAnswer {
        RunAnswer::Held { cancel: self.over.clone(), is_news: false }
    }
}

const NEWER: &str = "another lease of this run is newer; drop the work and push nothing";
const OVER: &str = "this run has ended; drop the work and push nothing";
/// What a run is told to have failed on that nobody brought to an end.
const NEVER_ENDED: &str = "it was given to a runner again and again, and no runner came to an end with it; see the log of the run";

/// The same of one that may have pushed its branch.
const NEVER_REPORTED: &str = "it was given to a runner again and again; its branch may have been pushed, and no runner came to report it. Look at the branch, and open or merge its pull request";

impl Store {
    /// How many dispatches of the same issue were runs before the one with this key.
    pub async fn runs_before(&self, key: String) -> Result<u32, Error> {
        let sql = "SELECT count(*) FROM run JOIN dispatch before ON before.id = run.dispatch
                   JOIN dispatch ON dispatch.lane = before.lane AND before.id < dispatch.id WHERE dispatch.key = ?1";
        let count = self.read(move |c| first(c, sql, [key], |r| r.get(0))).await?;
        Ok(count.unwrap_or(0))
    }

    /// Has a run wait for a runner; `false` when one of the same dispatch was given out already, or the dispatch has
    /// ended. One that still waits is replaced.
    pub async fn offer_run(&self, new: NewRun, now: Timestamp) -> Result<bool, Error> {
        let prompt = pack(new.prompt.as_bytes());
        let sql = "INSERT INTO run (dispatch, agent, title, text_digest, prompt, branch, created_at)
                   SELECT id, agent, ?2, ?3, ?4, ?5, ?6 FROM dispatch WHERE key = ?1 AND ended_at IS NULL
                   ON CONFLICT (dispatch) DO UPDATE SET title = excluded.title, prompt = excluded.prompt,
                       text_digest = excluded.text_digest, branch = excluded.branch WHERE run.epoch = 0 AND run.state = 'waiting'";
        self.write(move |c| {
            let NewRun { dispatch, title, text_digest, branch, .. } = &new;
            let at = now.timestamp_millis();
            c.announce(News::Offered);
            Ok(changed(c, sql, params![dispatch, title, text_digest, prompt, branch, at])? > 0)
        })
        .await
    }

    /// Whether there is something for a runner, and when there may be. Changes nothing.
    pub async fn offer(&self, taking: Taking) -> Result<Offer, Error> {
        self.read(move |c| {
            let is_repeated = repeated(c, &taking)?.is_some();
            let next =
                first(c, NEXT, [taking.now.timestamp_millis()], |r| r.get::<Option<i64>>(0))?;
            let is_there = is_repeated || candidate(c, &taking)?.is_some();
            Ok(Offer { is_there, next_at: next.flatten().map(from_millis) })
        })
        .await
    }

    /// Gives a runner the run that has waited the longest for one of its agents; the same one as before when the question
    /// is repeated.
    pub async fn take_run(&self, taking: Taking) -> Result<Option<Assignment>, Error> {
        self.write(move |c| {
            end_forsaken(c, taking.now)?;
            if let Some(id) = repeated(c, &taking)? {
                renew(c, id, taking.until)?;
                return assignment(c, id, &taking);
            }
            while let Some(id) = candidate(c, &taking)? {
                if lease(c, id, &taking)? {
                    return assignment(c, id, &taking);
                }
            }
            Ok(None)
        })
        .await
    }

    /// Renews a lease, with what happened last; the first time in a turn the dispatch is told that the agent works.
    pub async fn heartbeat_run(&self, call: RunCall, beat: Heartbeat) -> Result<RunAnswer, Error> {
        let work = move |c: &Connection| {
            let row = match fence(c, &call)? {
                Ok(row) => row,
                Err(answer) => return Ok(answer),
            };
            renew(c, call.run, call.until)?;
            use_up(c, &row.spends(&call), beat.usage)?;
            if let Some(event) = beat.event {
                let sql = "UPDATE run SET event = ?2, detail = ?3, event_at = ?4 WHERE id = ?1";
                let at = call.now.timestamp_millis();
                run(c, sql, params![call.run, event.as_str(), beat.detail, at])?;
            }
            if row.over.is_some() {
                return Ok(row.answer());
            }
            let spent = budgets::judge(c, &row.spends(&call))?;
            if row.is_begun && spent.is_none() {
                return Ok(row.answer());
            }
            run(c, "UPDATE run SET is_begun = 1 WHERE id = ?1", [call.run])?;
            tell(c, &row, Report { spent, ..Report::new(Progress::InProgress) }, call.now)?;
            let stop = spent.filter(Spent::is_used_up).map(|spent| Cause::BudgetUsedUp { spent });
            Ok(RunAnswer::Held { cancel: stop.map(|stop| stop.to_string()), is_news: true })
        };
        self.inner.writer.write(Flush::Later, work).await
    }

    /// Notes that a branch may be written, before it is; not when the work is to be stopped.
    pub async fn push_run(&self, call: RunCall, head: String) -> Result<RunAnswer, Error> {
        self.write(move |c| {
            let row = match fence(c, &call)? {
                Ok(row) => row,
                Err(answer) => return Ok(answer),
            };
            renew(c, call.run, call.until)?;
            if row.over.is_none() && row.pushed.last() != Some(&head) {
                let mut heads = row.pushed.clone();
                heads.retain(|one| *one != head);
                heads.push(head.clone());
                heads.drain(..heads.len().saturating_sub(HEADS));
                run(
                    c,
                    "UPDATE run SET pushed = ?2 WHERE id = ?1",
                    params![call.run, to_json(&heads)],
                )?;
            }
            Ok(row.answer())
        })
        .await
    }

    /// Ends the turn of a run, and tells its dispatch what `report` makes of its end and of which turn it was. One that its
    /// runner gives up although nobody asked for that waits for another.
    pub async fn finish_run(
        &self,
        call: RunCall,
        end: Finish,
        report: fn(&Finish, u32) -> Option<Report>,
    ) -> Result<RunAnswer, Error> {
        self.write(move |c| {
            let row = match fence(c, &call)? {
                Ok(row) => row,
                Err(RunAnswer::Fenced(_)) if is_repeated_end(c, &call)? => {
                    return Ok(RunAnswer::Held { cancel: None, is_news: false });
                }
                Err(answer) => return Ok(answer),
            };
            use_up(c, &row.spends(&call), end.usage)?;
            budgets::follow_end(c, &row.spends(&call))?;
            run(c, "UPDATE run SET finished = epoch WHERE id = ?1", [call.run])?;
            if end.outcome == RunOutcome::Cancelled && row.over.is_none() {
                let sql = "UPDATE run SET state = 'waiting', leased_until = NULL, request = NULL WHERE id = ?1";
                run(c, sql, [call.run])?;
                c.announce(News::Offered);
                return Ok(RunAnswer::Held { cancel: None, is_news: false });
            }
            close(c, call.run, &end, call.now)?;
            let report = report(&end, row.turn).filter(|_| row.over.is_none());
            let is_news = report.is_some();
            report.into_iter().try_for_each(|report| tell(c, &row, report, call.now))?;
            Ok(RunAnswer::Held { cancel: row.over, is_news })
        })
        .await
    }

    /// Lets every lease hold until then: while the service was away nobody could renew one.
    pub async fn renew_leases(&self, until: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE run SET leased_until = max(leased_until, ?1) WHERE state = 'leased'";
        self.write(move |c| run(c, sql, [until.timestamp_millis()])).await
    }
}

/// Ends the runs whose dispatch is over and whose runner does not call any more.
pub(super) fn end_forsaken(c: &Connection, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE run SET state = 'ended', outcome = 'cancelled', ended_at = ?1, leased_until = NULL
               WHERE state = 'leased' AND leased_until <= ?1
                   AND (stopped IS NOT NULL OR EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = run.dispatch AND dispatch.ended_at IS NOT NULL))";
    run(c, sql, [now.timestamp_millis()])
}

/// The run that the same question was answered with before, while nobody else has it.
fn repeated(c: &Connection, taking: &Taking) -> Result<Option<i64>, Error> {
    first(c, REPEATED, params![taking.runner, taking.request], |r| r.get(0))
}

/// The runs of an agent that nobody has, the oldest first.
const WAITING: &str = "SELECT run.id, lane FROM run JOIN dispatch ON dispatch.id = run.dispatch
    WHERE run.state = 'waiting' AND run.agent = ?1 AND dispatch.ended_at IS NULL ORDER BY run.id";
/// Those whose runner has not called in time; the plus has them sorted, so that not all runs are read in their order. One
/// of the runner's own only when it has asked since it called.
const LATE: &str = "SELECT run.id, lane FROM run JOIN dispatch ON dispatch.id = run.dispatch
    WHERE run.state = 'leased' AND leased_until <= ?2 AND run.agent = ?1 AND dispatch.ended_at IS NULL
        AND stopped IS NULL AND (runner <> ?3 OR leased_until <= ?4)
    ORDER BY +run.id";
/// The run that a question was answered with.
const REPEATED: &str = "SELECT run.id FROM run JOIN dispatch ON dispatch.id = run.dispatch
    WHERE run.state = 'leased' AND runner = ?1 AND request = ?2 AND dispatch.ended_at IS NULL";
/// When the next lease ends.
const NEXT: &str = "SELECT min(leased_until) FROM run WHERE state = 'leased' AND leased_until > ?1";

/// The oldest run that may be given out.
fn candidate(c: &Connection, taking: &Taking) -> Result<Option<i64>, Error> {
    let mut oldest: Option<i64> = None;
    for agent in &taking.agents {
        let found = oldest_allowed(c, WAITING, &[&agent.as_str()], taking)?;
        let [now, heard] = [taking.now, taking.heard_until].map(|at| at.timestamp_millis());
        let wanted = params![agent.as_str(), now, taking.runner, heard];
        let left = oldest_allowed(c, LATE, wanted, taking)?;
        oldest = [oldest, found, left].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// The first of these runs that may be given out.
fn oldest_allowed(
    c: &Connection,
    sql: &str,
    wanted: &[&dyn ToSql],
    taking: &Taking,
) -> Result<Option<i64>, Error> {
    let Taking { budgets, now, .. } = taking;
    let mut found = None;
    c.query(sql, wanted, &mut |row| {
        if !budgets.holds_back() || budgets::allows(c, budgets, row, *now)? {
            found = Some(row.get(0)?);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// Gives a run out; `false` when it was given out often enough, and has failed now.
fn lease(c: &Connection, id: i64, taking: &Taking) -> Result<bool, Error> {
    let leases = first(c, "SELECT leases FROM run WHERE id = ?1", [id], |r| r.get::<u32>(0))?;
    if leases.unwrap_or(0) >= LEASES {
        let Some(row) = row(c, id)? else { return Ok(false) };
        // Beside a branch that was pushed, a second attempt would open a second pull request.
        let (outcome, state, message) = match row.pushed.is_empty() {
            true => (RunOutcome::Failed, Progress::Failed, NEVER_ENDED),
            false => (RunOutcome::NeedsPerson, Progress::NeedsPerson, NEVER_REPORTED),
        };
        let end = Finish {
            epoch: row.epoch,
            outcome,
            message: Some(message.to_owned()),
            head: None,
            pull_request: None,
            url: None,
            usage: Usage::default(),
            asks: None,
        };
        close(c, id, &end, taking.now)?;
        let told = Report { message: end.message, ..Report::new(state) };
        tell(c, &row, told, taking.now)?;
        return Ok(false);
    }
    let sql = "UPDATE run SET state = 'leased', runner = ?2, request = ?3, leased_until = ?4, epoch = epoch + 1,
                   leases = leases + 1, logged = 0, tokens = NULL, cost = NULL,
                   past_tokens = CASE WHEN tokens IS NULL THEN past_tokens ELSE coalesce(past_tokens, 0) + tokens END,
                   past_cost = CASE WHEN cost IS NULL THEN past_cost ELSE coalesce(past_cost, 0) + cost END
               WHERE id = ?1";
    let until = taking.until.timestamp_millis();
    run(c, sql, params![id, taking.runner, taking.request, until])?;
    Ok(true)
}

fn assignment(c: &Connection, id: i64, taking: &Taking) -> Result<Option<Assignment>, Error> {
    let sql = format!(
        "SELECT {DISPATCH}, run.epoch, run.title, run.text_digest, run.prompt, run.branch, run.pushed, run.pull_request,
             run.turn, lane
         FROM run JOIN dispatch ON dispatch.id = run.dispatch JOIN lane ON lane.id = dispatch.lane WHERE run.id = ?1"
    );
    let found = first(c, &sql, [id], |r| {
        let dispatch = dispatch_of(r)?;
        let prompt: Option<Vec<u8>> = r.get(19)?;
        let pushed: String = r.get(21)?;
        let left = (dispatch.deadline_at - taking.now).num_seconds();
        let Terms { lease_s, stall_s, max_tokens, is_draft, turns } = taking.terms;
        let turn: u32 = r.get(23)?;
        let assignment = Assignment {
            run: id,
            epoch: r.get(16)?,
            dispatch: dispatch.key,
            agent: dispatch.agent,
            at: dispatch.at,
            title: r.get(17)?,
            text_digest: r.get(18)?,
            prompt: String::new(),
            branch: r.get(20)?,
            pushed: Vec::new(),
            pull_request: r.get(22)?,
            turn,
            lease_s,
            timeout_s: u64::try_from(left).unwrap_or(0).max(1),
            stall_s,
            max_tokens,
            is_draft,
            may_follow: turn < turns,
            permits: Permits::default(),
        };
        Ok((assignment, prompt.unwrap_or_default(), pushed, r.get::<i64>(24)?))
    })?;
    let Some((assignment, prompt, pushed, lane)) = found else { return Ok(None) };
    let permits = permits(c, lane)?;
    let prompt = String::from_utf8_lossy(&unpack(&prompt)?).into_owned();
    Ok(Some(Assignment { prompt, pushed: from_json(&pushed)?, permits, ..assignment }))
}

/// The run that a call is about, or what the call is answered with.
pub(super) fn fence(c: &Connection, call: &RunCall) -> Result<Result<RunRow, RunAnswer>, Error> {
    let Some(row) = row(c, call.run)?.filter(|row| call.agents.contains(&row.agent)) else {
        return Ok(Err(RunAnswer::Unknown));
    };
    let is_theirs = row.runner.as_ref() == Some(&call.runner);
    Ok(match call.epoch.cmp(&row.epoch) {
        Ordering::Less => Err(RunAnswer::Fenced(NEWER)),
        Ordering::Equal if is_theirs && row.state == RunState::Leased => Ok(row),
        Ordering::Equal if is_theirs => Err(RunAnswer::Fenced(OVER)),
        _ => Err(RunAnswer::Unknown),
    })
}

/// Whether this end was told before.
fn is_repeated_end(c: &Connection, call: &RunCall) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM run WHERE id = ?1 AND finished = ?2 AND runner = ?3";
    Ok(first(c, sql, params![call.run, call.epoch, call.runner], |_| Ok(()))?.is_some())
}

fn row(c: &Connection, id: i64) -> Result<Option<RunRow>, Error> {
    let sql =
        "SELECT run.agent, run.state, runner, epoch, is_begun, logged, pushed, lane, key, cause,
                   dispatch.ended_at IS NOT NULL, turn, stopped
               FROM run JOIN dispatch ON dispatch.id = run.dispatch WHERE run.id = ?1";
    first(c, sql, [id], row_of)
}

fn row_of(r: &Row<'_>) -> RowResult<RunRow> {
    let (pushed, cause): (String, Option<String>) = (r.get(6)?, r.get(9)?);
    let stopped: Option<String> = r.get(12)?;
    let spent = stopped.and_then(|stopped| from_json(&stopped).ok());
    let stopped = spent.map(|spent| Cause::BudgetUsedUp { spent }.to_string());
    let why = || match from_json::<Cause>(&cause.unwrap_or_default()) {
        Ok(cause) => cause.to_string(),
        Err(_) => "the dispatch has ended".to_owned(),
    };
    Ok(RunRow {
        agent: AgentId::new(r.get::<String>(0)?),
        state: parsed(r, 1)?,
        runner: r.get(2)?,
        epoch: r.get(3)?,
        is_begun: r.get(4)?,
        logged: r.get(5)?,
        // What cannot be read is nothing that may be pushed over.
        pushed: from_json(&pushed).unwrap_or_default(),
        turn: r.get(11)?,
        lane: r.get(7)?,
        key: r.get(8)?,
        over: r.get::<bool>(10)?.then(why).or(stopped),
    })
}

/// Lets the lease hold until then.
pub(super) fn renew(c: &Connection, id: i64, until: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE run SET leased_until = ?2 WHERE id = ?1";
    run(c, sql, params![id, until.timestamp_millis()])
}

fn close(c: &Connection, id: i64, end: &Finish, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE run SET state = 'ended', leased_until = NULL, outcome = ?2, message = ?3,
                   pull_request = coalesce(?4, pull_request), url = coalesce(?5, url), head = coalesce(?7, head), ended_at = ?6
               WHERE id = ?1";
    let (outcome, at) = (end.outcome.as_str(), now.timestamp_millis());
    run(c, sql, params![id, outcome, end.message, end.pull_request, end.url, at, end.head])
}

/// Puts what a runner reports into the inbox.
fn tell(c: &Connection, row: &RunRow, report: Report, now: Timestamp) -> Result<(), Error> {
    let entry = Entry { origin: Origin::Agent, what: report.state.as_str().into(), at: now };
    let reported = Reported { key: row.key.clone(), report };
    let seq = entries::enqueue(c, row.lane, &entry)?;
    entries::keep(c, seq, &pack(to_json(&reported).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::{plan, scratch, scratch_file};
    use super::*;

    #[tokio::test]
    async fn what_runners_ask_for_all_the_time_is_found_by_an_index() {
        let (_folder, store) = scratch_file();
        for sql in [WAITING, LATE, REPEATED, NEXT] {
            for step in store.read(move |c| plan(c, sql)).await.unwrap() {
                assert!(!step.starts_with("SCAN") || step.contains("INDEX run_"), "{sql}: {step}");
            }
        }
    }

    #[tokio::test]
    async fn a_run_of_no_dispatch_is_not_kept() {
        let (_folder, store) = scratch();
        let new = NewRun {
            dispatch: "nobody".into(),
            title: String::new(),
            text_digest: String::new(),
            prompt: String::new(),
            branch: String::new(),
        };
        assert!(!store.offer_run(new, from_millis(1)).await.unwrap());
        assert_eq!(store.runs_before("nobody".into()).await.unwrap(), 0);
    }
}

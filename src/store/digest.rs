//! What the ledger has to say about one repository and one stretch of time: how its issues stood at the end, and
//! what was done meanwhile. It counts and reads; another room says how it is presented.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::engine::{Connection, Row, params};
use super::rows::{all, from_json, only, parsed};
use super::sweeps::Why;
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::DispatchState;
use crate::issue::{IssueNumber, RepoName};
use crate::reason::{Reason, URGENT_NOT_READY};
use crate::triage::{IssueType, Verdict};

/// A stretch of time, its end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The moment after its last.
    pub until: Timestamp,
}

/// A repository's backlog at the end of a period, and what happened during it.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The issues that were open when they were last looked at, by number; our own summaries are none of them.
    pub open: Vec<OpenIssue>,
    /// What was done, in order.
    pub actions: Vec<ActionTaken>,
    /// How many issues were found closed that were open before.
    pub done: u32,
    /// How many events the sweep found that no webhook had reported.
    pub missed: u32,
    /// The issues whose deliveries ended dead and wait for somebody, by number.
    pub dead: Vec<FailedDeliveries>,
}

/// An open issue, as it was last judged.
#[derive(Clone, Debug)]
pub struct OpenIssue {
    /// Its number.
    pub number: IssueNumber,
    /// The title without its bracket tags.
    pub title: String,
    /// Its score.
    pub score: u8,
    /// Whether the score reaches the threshold.
    pub is_ready: bool,
    /// Whether it goes first in line.
    pub is_p0: bool,
    /// Whether it is a bug.
    pub is_bug: bool,
    /// Whole days since it was opened.
    pub age_days: i64,
    /// `dispatch`, `flag`, `wait` or `skip`.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Whether it is urgent and not ready, so that a person has to look whatever was decided.
    pub is_urgent: bool,
    /// Whether it was open before its repository was first read, and nobody has touched it since.
    pub is_from_before: bool,
    /// Its latest dispatch, as agent and state.
    pub dispatch: Option<(String, DispatchState)>,
}

impl OpenIssue {
    /// Whether an agent has it.
    pub fn is_dispatched(&self) -> bool {
        self.dispatch.as_ref().is_some_and(|(_, state)| state.is_open())
    }

    /// Whether nothing is done about it; what an agent has is skipped because of that, and what is urgent needs attention.
    pub fn is_skipped(&self) -> bool {
        self.action == "skip" && !self.is_dispatched() && !self.is_urgent
    }

    /// Whether it counts as ready. One that is ready by its score may be left alone for another reason, which is said once.
    pub fn is_listed_ready(&self) -> bool {
        self.is_ready && !self.is_skipped()
    }
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct ActionTaken {
    /// When.
    pub at: Timestamp,
    /// The issue's number.
    pub number: IssueNumber,
    /// `dispatch` or `flag`, or the state in which a dispatch ended.
    pub what: String,
    /// The agent it was about.
    pub agent: Option<String>,
    /// Why.
    pub reason: String,
}

/// The failed deliveries of one issue.
#[derive(Clone, Debug)]
pub struct FailedDeliveries {
    /// The issue's number.
    pub number: IssueNumber,
    /// How many there are.
    pub count: u32,
    /// Why the latest died.
    pub reason: String,
}

impl Store {
    /// How a repository stood at the end of a period, and what happened during it.
    pub async fn digest(&self, repo: &RepoName, period: Period) -> Result<Digest, Error> {
        let repo = repo.to_string();
        self.read(move |c| {
            let question = Question {
                repo: &repo,
                from: period.from.timestamp_millis(),
                until: period.until.timestamp_millis(),
            };
            Ok(Digest {
                open: open(c, &question)?,
                actions: actions(c, &question)?,
                done: done(c, &question)?,
                missed: missed(c, &question)?,
                dead: dead(c, &question)?,
            })
        })
        .await
    }

    /// The repositories that any delivery ever led to.
    pub async fn lane_repos(&self) -> Result<Vec<RepoName>, Error> {
        self.read(|c| all(c, REPOS, [], |row| parsed(row, 0))).await
    }
}

/// From one repository to the next along the index: PostgreSQL would read every issue to tell the repositories apart.
const REPOS: &str = "WITH RECURSIVE named(repo) AS (
        SELECT min(repo) FROM lane
        UNION ALL
        SELECT (SELECT repo FROM lane WHERE repo > named.repo ORDER BY repo LIMIT 1) FROM named WHERE repo IS NOT NULL)
    SELECT repo FROM named WHERE repo IS NOT NULL";

/// One repository and period, in the store's own terms.
struct Question<'a> {
    repo: &'a str,
    from: i64,
    until: i64,
}

fn open(c: &Connection, q: &Question<'_>) -> Result<Vec<OpenIssue>, Error> {
    let dispatches = dispatches(c, q)?;
    let sql = "SELECT lane.id, number, at, action, reason, verdict, reason_code, from_before FROM lane JOIN evaluation
             ON evaluation.id = (SELECT max(id) FROM evaluation e WHERE e.lane = lane.id AND e.at < ?2)
         WHERE repo = ?1 AND action <> 'finish' AND reason_code IS DISTINCT FROM ?3 ORDER BY number";
    let mut found = Vec::new();
    c.query(sql, params![q.repo, q.until, Reason::OwnSummary.code()], &mut |row| {
        let mut issue = open_issue(row, q.until)?;
        issue.dispatch = dispatches.get(&row.get::<i64>(0)?).cloned();
        found.push(issue);
        Ok(true)
    })?;
    Ok(found)
}

fn open_issue(row: &Row<'_>, until: i64) -> Result<OpenIssue, Error> {
    let judged_at = from_millis(row.get(2)?);
    let since: TimeDelta = from_millis(until) - judged_at;
    let verdict: Option<String> = row.get(5)?;
    let verdict: Option<Verdict> = verdict.map(|text| from_json(&text)).transpose()?;
    let score = verdict.map(|verdict| verdict.score);
    let of = |yes: fn(&crate::triage::Score) -> bool| score.as_ref().is_some_and(yes);
    Ok(OpenIssue {
        number: row.get(1)?,
        score: score.as_ref().map_or(0, |s| s.total),
        is_ready: of(|s| s.ready),
        is_p0: of(|s| s.p0),
        is_bug: of(|s| s.issue_type == IssueType::Bug),
        age_days: score.as_ref().map_or(0, |s| s.age_days) + since.num_days().max(0),
        title: score.map(|s| s.title).unwrap_or_default(),
        action: row.get(3)?,
        reason: row.get(4)?,
        is_urgent: row.get::<Option<String>>(6)?.as_deref() == Some(URGENT_NOT_READY),
        is_from_before: row.get(7)?,
        dispatch: None,
    })
}

/// The latest dispatch of each lane, in the state it had at the end of the period.
fn dispatches(
    c: &Connection,
    q: &Question<'_>,
) -> Result<HashMap<i64, (String, DispatchState)>, Error> {
    let sql = "SELECT lane, agent, CASE WHEN ended_at >= ?2 THEN 'assigned' ELSE dispatch.state END
         FROM dispatch JOIN lane ON lane.id = dispatch.lane
         WHERE repo = ?1 AND opened_at < ?2 ORDER BY dispatch.id";
    let read = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, parsed(row, 2)?)));
    all(c, sql, params![q.repo, q.until], read)
}

/// What we did: decisions that were written to the forge, and dispatches that ended.
fn actions(c: &Connection, q: &Question<'_>) -> Result<Vec<ActionTaken>, Error> {
    let sql = "SELECT at, number, action, agent, reason FROM lane JOIN evaluation ON evaluation.lane = lane.id
         WHERE repo = ?1 AND at >= ?2 AND at < ?3 AND action IN ('dispatch', 'flag')
           AND EXISTS (SELECT 1 FROM effect WHERE effect.lane = lane.id AND evaluation = evaluation.id
                       AND effect.state = 'done' AND kind <> 'edit')
         UNION ALL
         SELECT ended_at, number, dispatch.state, agent, coalesce(
             (SELECT cause FROM transition t WHERE t.dispatch = dispatch.id ORDER BY t.id DESC LIMIT 1), '')
         FROM dispatch JOIN lane ON lane.id = dispatch.lane
         WHERE repo = ?1 AND ended_at >= ?2 AND ended_at < ?3
         ORDER BY 1, 2";
    all(c, sql, params![q.repo, q.from, q.until], |row| {
        Ok(ActionTaken {
            at: from_millis(row.get(0)?),
            number: row.get(1)?,
            what: row.get(2)?,
            agent: row.get(3)?,
            reason: row.get(4)?,
        })
    })
}

/// Issues that went from open to closed and stayed so. One that was closed when it was first seen is nobody's work
/// of these days.
fn done(c: &Connection, q: &Question<'_>) -> Result<u32, Error> {
    let sql = "SELECT count(DISTINCT lane.id) FROM lane JOIN evaluation e ON e.lane = lane.id
         WHERE repo = ?1 AND e.action = 'finish' AND e.at >= ?2 AND e.at < ?3
           AND EXISTS (SELECT 1 FROM evaluation p WHERE p.action <> 'finish' AND p.reason_code IS DISTINCT FROM ?4 AND p.id =
               (SELECT max(id) FROM evaluation b WHERE b.lane = lane.id AND b.id < e.id))
           AND 'finish' = (SELECT action FROM evaluation l WHERE l.lane = lane.id AND l.at < ?3
               ORDER BY l.id DESC LIMIT 1)";
    only(c, sql, params![q.repo, q.from, q.until, Reason::OwnSummary.code()], |r| r.get(0))
}

/// The inbox calls finds of the sweep so when a webhook should have reported them.
fn missed(c: &Connection, q: &Question<'_>) -> Result<u32, Error> {
    let missed: Vec<_> = Why::ALL.iter().map(|why| format!("'sweep/{why}'")).collect();
    let sql = format!(
        "SELECT count(*) FROM delivery JOIN lane ON lane.id = delivery.lane
         WHERE origin = 'sweep' AND received_at >= ?2 AND received_at < ?3 AND repo = ?1
           AND action IN ({})",
        missed.join(", ")
    );
    only(c, &sql, params![q.repo, q.from, q.until], |r| r.get(0))
}

fn dead(c: &Connection, q: &Question<'_>) -> Result<Vec<FailedDeliveries>, Error> {
    let sql = "SELECT number, dead, reason FROM delivery JOIN (
             SELECT number, count(*) AS dead, max(seq) AS newest FROM delivery JOIN lane ON lane.id = delivery.lane
             WHERE delivery.state = 'dead' AND settled_at < ?2 AND repo = ?1 GROUP BY number) AS of_issue
         ON seq = newest ORDER BY number";
    all(c, sql, params![q.repo, q.until], |row| {
        Ok(FailedDeliveries { number: row.get(0)?, count: row.get(1)?, reason: row.get(2)? })
    })
}

//! The turns of a run: another one begins on the pull request of the one before, in the same row and with the same branch.
//! Which turn it is to be is compared in the transaction that writes, so that a turn begins once however often that is asked.

use std::collections::BTreeSet;

use super::engine::{Connection, News, params};
use super::lanes::Claim;
use super::packing::pack;
use super::rows::{all, changed, first, from_json, parsed, parsed_if_any, to_json};
use super::wakes::wake;
use super::{Error, RunState, Store};
use crate::clock::Timestamp;
use crate::delivery::WakeCause;
use crate::dispatch::{Answered, RunSoFar};
use crate::issue::{IssueRef, RepoName};
use crate::triage::Evaluation;

/// A further turn of a run.
#[derive(Clone, Debug)]
pub struct NewTurn {
    /// The key of the dispatch.
    pub dispatch: String,
    /// Which turn it is; the one before has to have ended.
    pub turn: u32,
    /// The digest of the issue's text.
    pub text_digest: String,
    /// What the agent is told.
    pub prompt: String,
    /// What is answered from now on.
    pub answered: Answered,
}

/// The branch that the run of a dispatch pushes, where that is to be known before its next turn begins.
const BRANCH: &str =
    "SELECT branch FROM run JOIN dispatch ON dispatch.id = run.dispatch WHERE key = ?1";

impl Store {
    /// The branch of the run of the dispatch with this key.
    pub async fn branch_of(&self, key: String) -> Result<Option<String>, Error> {
        self.read(move |c| first(c, BRANCH, [key], |r| r.get(0))).await
    }

    /// Has a run wait for a runner again; `false` when this turn has begun already, the one before goes on, or the
    /// dispatch has ended.
    pub async fn begin_turn(&self, new: NewTurn) -> Result<bool, Error> {
        let prompt = pack(new.prompt.as_bytes());
        let sql = "UPDATE run SET state = 'waiting', turn = ?2, text_digest = ?3, prompt = ?4, answered = ?5, leases = 0,
                       is_begun = 0, request = NULL, outcome = NULL, message = NULL, ended_at = NULL
                   WHERE dispatch = (SELECT id FROM dispatch WHERE key = ?1 AND ended_at IS NULL)
                       AND turn = ?2 - 1 AND state = 'ended' AND outcome IN ('done', 'no_change')";
        self.write(move |c| {
            let NewTurn { dispatch, turn, text_digest, answered, .. } = &new;
            let values = params![dispatch, turn, text_digest, prompt, to_json(answered)];
            c.announce(News::Offered);
            Ok(changed(c, sql, values)? > 0)
        })
        .await
    }

    /// Has the issues of a repository looked at whose pull request waits for people and checks: nothing on the issue changes
    /// by what those say. How many there are.
    pub async fn wake_awaited(&self, repo: &RepoName, now: Timestamp) -> Result<usize, Error> {
        let sql = "SELECT dispatch.lane FROM lane JOIN dispatch ON dispatch.lane = lane.id JOIN run ON run.dispatch = dispatch.id
                   WHERE lane.repo = ?1 AND dispatch.ended_at IS NULL AND run.state = 'ended' AND run.pull_request IS NOT NULL";
        let repo = repo.to_string();
        let lanes: Vec<i64> = self.read(move |c| all(c, sql, [repo], |r| r.get(0))).await?;
        if lanes.is_empty() {
            return Ok(0);
        }
        self.write(move |c| {
            wake(c, lanes.iter().copied(), WakeCause::Pull, now)?;
            Ok(lanes.len())
        })
        .await
    }

    /// Of the dispatches with these keys those that have ended, or that nobody knows.
    pub async fn over_among(&self, keys: Vec<String>) -> Result<Vec<String>, Error> {
        let sql = "SELECT 1 FROM dispatch WHERE key = ?1 AND ended_at IS NULL";
        self.read(move |c| {
            let mut over = Vec::new();
            for key in keys {
                if first(c, sql, [&key], |_| Ok(()))?.is_none() {
                    over.push(key);
                }
            }
            Ok(over)
        })
        .await
    }
}

/// The run of a dispatch.
pub(super) fn run_so_far(c: &Connection, dispatch: i64) -> Result<Option<RunSoFar>, Error> {
    let sql =
        "SELECT turn, state, outcome, message, pull_request, answered FROM run WHERE dispatch = ?1";
    first(c, sql, [dispatch], |r| {
        let is_over = parsed::<RunState>(r, 1)? == RunState::Ended;
        let answered: String = r.get(5)?;
        Ok(RunSoFar {
            turn: r.get(0)?,
            outcome: parsed_if_any(r, 2)?.filter(|_| is_over),
            message: r.get(3)?,
            pull_request: r.get(4)?,
            answered: from_json(&answered).unwrap_or_default(),
        })
    })
}

/// Keeps the commit at the head of the pull request of an issue's dispatch. When it is a new one, the issue is looked at once
/// more: what was said of that commit before nobody could tell whose it was.
pub(super) fn note_head(
    c: &Connection,
    claim: &Claim,
    dispatch: i64,
    evaluation: &Evaluation,
) -> Result<(), Error> {
    let Some(head) = &evaluation.pull_head else { return Ok(()) };
    let sql = "UPDATE run SET head = ?2 WHERE dispatch = ?1 AND head IS DISTINCT FROM ?2";
    match changed(c, sql, params![dispatch, head])? {
        0 => Ok(()),
        _ => wake(c, [claim.lane], WakeCause::Pull, evaluation.at),
    }
}

/// The lane of the issue whose agent pushed this commit, or on whose pull request it was seen, while the dispatch goes on.
const OF_COMMIT: &str = "SELECT dispatch.lane FROM run JOIN dispatch ON dispatch.id = run.dispatch
         JOIN lane ON lane.id = dispatch.lane
     WHERE run.head = ?1 AND lane.repo = ?2 AND dispatch.ended_at IS NULL";

/// The lanes of the issues in an agent's hands whose pull request has this commit at its head.
pub(super) fn lanes_of_commit(
    c: &Connection,
    repo: &RepoName,
    sha: &str,
) -> Result<BTreeSet<i64>, Error> {
    all(c, OF_COMMIT, params![sha, repo.to_string()], |r| r.get(0))
}

/// The lanes of the issues in an agent's hands whose run opened this pull request.
pub(super) fn lanes_of_pull(c: &Connection, pull: &IssueRef) -> Result<BTreeSet<i64>, Error> {
    let sql = "SELECT dispatch.lane FROM lane JOIN dispatch ON dispatch.lane = lane.id JOIN run ON run.dispatch = dispatch.id
               WHERE lane.repo = ?1 AND dispatch.ended_at IS NULL AND run.pull_request = ?2";
    all(c, sql, params![pull.repo.to_string(), pull.number], |r| r.get(0))
}

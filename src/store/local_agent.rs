//! What the local agent keeps: notes about repositories, what it spent, the parts it would split an issue into, and in
//! the ledger, beside what was decided, what it wrote. What is too much is decided elsewhere.

use super::engine::{Connection, ToSql, params};
use super::rows::{all, changed, first, insert, is_any, run};
use super::{Error, Store, lanes, ledger};
use crate::clock::{Timestamp, from_millis};
use crate::issue::{IssueRef, RepoName};
use crate::plan::{Effect, EffectOutcome, WriteOrigin};
use crate::reason::Reason;

/// How many notes a repository has at most; the oldest go.
const MOST: u32 = 100;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    /// What it is about; one note a topic.
    pub topic: String,
    /// What is to be remembered.
    pub text: String,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Answers of the model.
    pub rounds: u64,
    /// Tokens.
    pub tokens: u64,
    /// Milliseconds.
    pub ms: u64,
}

/// What was spent on a day of UTC so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// On the issue.
    pub issue: Spending,
    /// On all issues of its repository.
    pub repository: Spending,
    /// On everything.
    pub day: Spending,
}

/// Parts that wait for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The parts, in the notation of whoever proposed them.
    pub parts: String,
    /// When they were proposed.
    pub at: Timestamp,
}

impl Store {
    /// Keeps a note, in place of the one of its topic.
    pub async fn jot(&self, repo: &RepoName, note: StoredNote, at: Timestamp) -> Result<(), Error> {
        let repo = repo.to_string();
        self.write(move |c| {
            let keep = "INSERT INTO note (repo, topic, text, at) VALUES (?1, ?2, ?3, ?4)
                        ON CONFLICT (repo, topic) DO UPDATE SET text = excluded.text, at = excluded.at";
            run(c, keep, params![repo, note.topic, note.text, at.timestamp_millis()])?;
            let oldest = "DELETE FROM note WHERE repo = ?1 AND topic NOT IN
                          (SELECT topic FROM note WHERE repo = ?1 ORDER BY at DESC, topic LIMIT ?2)";
            run(c, oldest, params![repo, MOST])
        })
        .await
    }

    /// The notes about a repository, the newest first.
    pub async fn notes(&self, repo: &RepoName) -> Result<Vec<StoredNote>, Error> {
        let repo = repo.to_string();
        self.read(move |c| {
            let sql = "SELECT topic, text FROM note WHERE repo = ?1 ORDER BY at DESC, topic";
            all(c, sql, [repo], |r| Ok(StoredNote { topic: r.get(0)?, text: r.get(1)? }))
        })
        .await
    }

    /// What was spent on the day of `now`, before anything that is still going on.
    pub async fn spent(&self, at: &IssueRef, now: Timestamp) -> Result<Totals, Error> {
        let (day, repo, number) = day_and_issue(at, now);
        self.read(move |c| {
            Ok(Totals {
                issue: sum(c, " AND repo = ?2 AND number = ?3", &[&day, &repo, &number])?,
                repository: sum(c, " AND repo = ?2", &[&day, &repo])?,
                day: sum(c, "", &[&day])?,
            })
        })
        .await
    }

    /// Adds what a run spent to its day.
    pub async fn spend(&self, at: &IssueRef, spent: Spending, now: Timestamp) -> Result<(), Error> {
        let (day, repo, number) = day_and_issue(at, now);
        let sql = "INSERT INTO spending (day, repo, number, rounds, tokens, ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (day, repo, number) DO UPDATE SET rounds = spending.rounds + excluded.rounds,
                       tokens = spending.tokens + excluded.tokens, ms = spending.ms + excluded.ms";
        let Spending { rounds, tokens, ms } = spent;
        self.write(move |c| run(c, sql, params![day, repo, number, rounds, tokens, ms])).await
    }

    /// Notes that people are notified on this issue and day that a budget is used up; false when they were before.
    pub async fn tell_of_budget(&self, at: &IssueRef, now: Timestamp) -> Result<bool, Error> {
        let (day, repo, number) = day_and_issue(at, now);
        let sql = "INSERT INTO spending (day, repo, number, told) VALUES (?1, ?2, ?3, 1)
                   ON CONFLICT (day, repo, number) DO UPDATE SET told = 1 WHERE spending.told = 0";
        self.write(move |c| Ok(changed(c, sql, params![day, repo, number])? > 0)).await
    }

    /// Keeps a proposal until a person agrees, in place of the one before.
    pub async fn propose(&self, at: &IssueRef, proposal: Proposal) -> Result<(), Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        let at = proposal.at.timestamp_millis();
        let sql = "INSERT INTO proposal (repo, number, parts, at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (repo, number) DO UPDATE SET parts = excluded.parts, at = excluded.at";
        self.write(move |c| run(c, sql, params![repo, number, proposal.parts, at])).await
    }

    /// The proposal for an issue that nobody has agreed to yet.
    pub async fn proposal(&self, at: &IssueRef) -> Result<Option<Proposal>, Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        self.read(move |c| {
            let sql = "SELECT parts, at FROM proposal WHERE repo = ?1 AND number = ?2";
            first(c, sql, params![repo, number], |r| {
                Ok(Proposal { parts: r.get(0)?, at: from_millis(r.get(1)?) })
            })
        })
        .await
    }

    /// Forgets a proposal, once it is carried out.
    pub async fn settle_proposal(&self, at: &IssueRef) -> Result<(), Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        let sql = "DELETE FROM proposal WHERE repo = ?1 AND number = ?2";
        self.write(move |c| run(c, sql, params![repo, number])).await
    }

    /// Writes down what the local agent is about to write, with the latest evaluation of its issue; one that nobody has
    /// looked at yet gets an evaluation that says so. Gives what [`Store::settle_agent_effect`] needs.
    pub async fn intend_agent_effect(
        &self,
        at: &IssueRef,
        effect: &Effect,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (at, effect) = (at.clone(), effect.clone());
        self.write(move |c| {
            let lane = lanes::lane(c, &at)?;
            let evaluation = latest(c, lane, now)?;
            let (kind, value) = (effect.kind().as_str(), effect.value());
            let (subject, digest) = effect.marker().map(|m| (m.subject().as_str(), m.digest.as_str())).unzip();
            let (agent, now) = (WriteOrigin::Agent.as_str(), now.timestamp_millis());
            // Of no dispatch: what is put on for one is taken off with it. Without its text: the agent says again
            // what was lost, not the worker.
            let sql = "INSERT INTO effect (evaluation, lane, origin, kind, value, subject, digest, intended_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            insert(c, "id", sql, params![evaluation, lane, agent, kind, value, subject, digest, now])
        })
        .await
    }

    /// Whether it is not known what became of a write that the agent meant on the issue of the dispatch with this key.
    pub async fn has_open_agent_writes(&self, key: String) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM effect JOIN dispatch ON dispatch.lane = effect.lane
                   WHERE dispatch.key = ?1 AND effect.state = 'intended' AND effect.origin = 'agent' LIMIT 1";
        self.read(move |c| is_any(c, sql, [key])).await
    }

    /// Writes down what came of it.
    pub async fn settle_agent_effect(
        &self,
        written: i64,
        outcome: &EffectOutcome,
        now: Timestamp,
    ) -> Result<(), Error> {
        let outcome = outcome.clone();
        self.write(move |c| ledger::record_outcome(c, written, &outcome, now)).await
    }
}

fn day_and_issue(at: &IssueRef, now: Timestamp) -> (String, String, u64) {
    (now.format("%Y-%m-%d").to_string(), at.repo.to_string(), at.number)
}

fn sum(c: &Connection, which: &str, given: &[&dyn ToSql]) -> Result<Spending, Error> {
    let sql = format!(
        "SELECT CAST(coalesce(sum(rounds), 0) AS BIGINT), CAST(coalesce(sum(tokens), 0) AS BIGINT), CAST(coalesce(sum(ms), 0) AS BIGINT) FROM spending WHERE day = ?1{which}"
    );
    let sums = first(c, &sql, given, |r| {
        Ok(Spending { rounds: r.get(0)?, tokens: r.get(1)?, ms: r.get(2)? })
    })?;
    Ok(sums.unwrap_or_default())
}

fn latest(c: &Connection, lane: i64, now: Timestamp) -> Result<i64, Error> {
    let latest = "SELECT id FROM evaluation WHERE lane = ?1 ORDER BY id DESC LIMIT 1";
    if let Some(id) = first(c, latest, [lane], |r| r.get(0))? {
        return Ok(id);
    }
    let (reason, now) = (Reason::RunByHand, now.timestamp_millis());
    let sql = "INSERT INTO evaluation (lane, at, action, reason, reason_code) VALUES (?1, ?2, 'skip', ?3, ?4)";
    insert(c, "id", sql, params![lane, now, reason.to_string(), reason.code()])
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::scratch;
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_topic_has_one_note_and_the_oldest_notes_go() {
        let (_folder, store) = scratch();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        let now = Clock::System.now();
        for n in 0..=i64::from(MOST) {
            let note = StoredNote { topic: format!("topic {n}"), text: "one".into() };
            store.jot(&repo, note, now + TimeDelta::seconds(n)).await.unwrap();
        }
        let again = StoredNote { topic: "topic 50".into(), text: "two".into() };
        store.jot(&repo, again.clone(), now + TimeDelta::hours(1)).await.unwrap();
        let notes = store.notes(&"ACME/widgets".parse().unwrap()).await.unwrap();
        assert_eq!(notes.len(), MOST as usize);
        assert_eq!(notes[0], again);
        assert!(notes.iter().all(|note| note.topic != "topic 0"));
        assert!(store.notes(&"acme/other".parse().unwrap()).await.unwrap().is_empty());
    }
}

//! What the local agent spent, by issue and day of UTC. It adds up; what is too much is decided elsewhere.

use rusqlite::{Connection, params};

use super::{Error, Store};
use crate::clock::Timestamp;
use crate::issue::IssueRef;

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

/// What was spent on a day so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// On the issue.
    pub issue: Spending,
    /// On all issues of its repository.
    pub repository: Spending,
    /// On everything.
    pub day: Spending,
}

fn day_of(at: Timestamp) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn sum(c: &Connection, which: &str, given: &[&dyn rusqlite::ToSql]) -> Result<Spending, Error> {
    let sql = format!(
        "SELECT total(rounds), total(tokens), total(ms) FROM spending WHERE day = ?1{which}"
    );
    let mut rows = c.prepare_cached(&sql)?;
    Ok(rows.query_row(given, |r| {
        let whole = |column| r.get::<_, f64>(column).map(|n| n as u64);
        Ok(Spending { rounds: whole(0)?, tokens: whole(1)?, ms: whole(2)? })
    })?)
}

impl Store {
    /// What was spent on the day of `now`, before anything that is still going on.
    pub async fn spent(&self, at: &IssueRef, now: Timestamp) -> Result<Totals, Error> {
        let (repo, number, day) = (at.repo.to_string(), at.number, day_of(now));
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
        let (repo, number, day) = (at.repo.to_string(), at.number, day_of(now));
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO spending (day, repo, number, rounds, tokens, ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET rounds = rounds + excluded.rounds,
                     tokens = tokens + excluded.tokens, ms = ms + excluded.ms",
            )?
            .execute(params![day, repo, number, spent.rounds, spent.tokens, spent.ms])?;
            Ok(())
        })
        .await
    }

    /// Notes that people are notified on this issue and day that a budget is used up; false when they were before.
    pub async fn tell_of_budget(&self, at: &IssueRef, now: Timestamp) -> Result<bool, Error> {
        let (repo, number, day) = (at.repo.to_string(), at.number, day_of(now));
        self.write(move |c| {
            let changed = c
                .prepare_cached(
                    "INSERT INTO spending (day, repo, number, told) VALUES (?1, ?2, ?3, 1)
                     ON CONFLICT DO UPDATE SET told = 1 WHERE told = 0",
                )?
                .execute(params![day, repo, number])?;
            Ok(changed > 0)
        })
        .await
    }
}

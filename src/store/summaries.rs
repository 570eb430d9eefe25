//! Daily summaries: whose turn it is to post one, and what became of it. The intent is on disk before the request
//! leaves, and one row for each repository and day gives the work to one hand at a time.

use chrono::{NaiveDate, TimeDelta};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::parsed;
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::issue::{IssueNumber, RepoName};

/// The longest that a row may say "not yet"; one that says more was written before the clock was set back.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(2);

/// The summary of one repository and local day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryDay {
    /// The repository.
    pub repo: RepoName,
    /// The local day.
    pub day: NaiveDate,
}

/// Asking for the turn to post.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The present moment.
    pub now: Timestamp,
    /// Up to when the summary covers what happened, if nobody has begun it before.
    pub until: Timestamp,
    /// How long nobody else may take it up.
    pub lease: TimeDelta,
    /// A person asks: a summary that was given up for the day is tried again, and no pause is kept.
    pub by_hand: bool,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The caller's, and nobody else's before the lease is over.
    Yours {
        /// Tries before this one.
        attempts: u32,
        /// Up to when it covers what happened: the same in every try, since an earlier one may be on the forge.
        until: Timestamp,
    },
    /// It is posted.
    Posted(Posted),
    /// Somebody has it in hand, or it failed a moment ago: not before then.
    NotBefore(Timestamp),
    /// It failed for good.
    GivenUp,
}

/// A summary that is on the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The local day.
    pub day: NaiveDate,
    /// Its issue.
    pub number: IssueNumber,
    /// Up to when it covers what happened.
    pub until: Timestamp,
    /// Whether the older one has been seen to.
    pub is_tidied: bool,
    /// Whether we closed it, once a newer one was there.
    pub was_closed: bool,
    again_at: Option<i64>,
}

impl Posted {
    /// Whether the older one should be seen to at `now`.
    pub fn is_to_tidy(&self, now: Timestamp) -> bool {
        !self.is_tidied && !is_later(self.again_at, now)
    }
}

/// Whether `at` is still to come, unless it is so far off that a clock must have been set back.
fn is_later(at: Option<i64>, now: Timestamp) -> bool {
    let pause = at.map(|at| from_millis(at) - now);
    pause.is_some_and(|pause| pause > TimeDelta::zero() && pause <= LONGEST_PAUSE)
}

impl Store {
    /// Asks whose turn it is to post a summary; when it is the caller's, that is on the disk.
    pub async fn claim_summary(&self, of: &SummaryDay, ask: Ask) -> Result<Turn, Error> {
        let key = key(of);
        let leased = (ask.now + ask.lease).timestamp_millis();
        self.write(move |c| {
            let Some(row) = find(c, &key)? else {
                take(c, &key, leased, ask.until)?;
                return Ok(Turn::Yours { attempts: 0, until: ask.until });
            };
            let turn = turn(&row, ask);
            if matches!(turn, Turn::Yours { .. }) {
                take(c, &key, leased, ask.until)?;
            }
            Ok(turn)
        })
        .await
    }

    /// Keeps that a summary is on the forge.
    pub async fn summary_posted(&self, of: &SummaryDay, number: IssueNumber) -> Result<(), Error> {
        let key = key(of);
        self.write(move |c| {
            c.execute(
                "UPDATE summary SET state = 'posted', number = ?3, again_at = NULL, detail = NULL
                 WHERE repo = ?1 AND day = ?2 AND state <> 'posted'",
                params![key[0], key[1], number],
            )?;
            Ok(())
        })
        .await
    }

    /// Keeps that a summary could not be posted, and when it is tried again; `None` gives it up for the day.
    pub async fn summary_failed(
        &self,
        of: &SummaryDay,
        again_at: Option<Timestamp>,
        detail: String,
    ) -> Result<(), Error> {
        let key = key(of);
        let again_at = again_at.map(|at| at.timestamp_millis());
        self.write(move |c| {
            c.execute(
                "UPDATE summary SET state = 'failed', again_at = ?3, detail = ?4
                 WHERE repo = ?1 AND day = ?2 AND state <> 'posted'",
                params![key[0], key[1], again_at, detail],
            )?;
            Ok(())
        })
        .await
    }

    /// Keeps that a dry run held a summary back; false when that was known.
    pub async fn summary_withheld(&self, of: &SummaryDay, until: Timestamp) -> Result<bool, Error> {
        let key = key(of);
        self.write(move |c| {
            let made = c.execute(
                "INSERT INTO summary (repo, day, state, until) VALUES (?1, ?2, 'withheld', ?3)
                 ON CONFLICT DO NOTHING",
                params![key[0], key[1], until.timestamp_millis()],
            )?;
            Ok(made == 1)
        })
        .await
    }

    /// Keeps that the older summary was seen to, and which one was closed, if one was.
    pub async fn summary_tidied(
        &self,
        of: &SummaryDay,
        closed: Option<IssueNumber>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let key = key(of);
        let at = now.timestamp_millis();
        self.write(move |c| {
            c.execute(
                "UPDATE summary SET closed_at = ?3 WHERE repo = ?1 AND number = ?2",
                params![key[0], closed, at],
            )?;
            c.execute(
                "UPDATE summary SET tidied_at = ?3, again_at = NULL
                 WHERE repo = ?1 AND day = ?2 AND state = 'posted'",
                params![key[0], key[1], at],
            )?;
            Ok(())
        })
        .await
    }

    /// Keeps that the older summary could not be seen to, and when that is tried again.
    pub async fn summary_untidy(&self, of: &SummaryDay, again_at: Timestamp) -> Result<(), Error> {
        let key = key(of);
        self.write(move |c| {
            c.execute(
                "UPDATE summary SET again_at = ?3 WHERE repo = ?1 AND day = ?2 AND state = 'posted'",
                params![key[0], key[1], again_at.timestamp_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// The posted summaries of a repository up to a day, newest first, at most `limit`.
    pub async fn summaries(&self, of: &SummaryDay, limit: u32) -> Result<Vec<Posted>, Error> {
        let key = key(of);
        self.read(move |c| {
            let sql = format!(
                "{ROW} WHERE repo = ?1 AND day <= ?2 AND state = 'posted' ORDER BY day DESC LIMIT ?3"
            );
            let mut rows = c.prepare_cached(&sql)?;
            let rows = rows.query_map(params![key[0], key[1], limit], record)?;
            Ok(rows.map(|row| row.map(|row| posted(&row))).collect::<Result<_, _>>()?)
        })
        .await
    }
}

named_enum! {
    /// How far a summary has come.
    SummaryState {
        /// It is about to be posted.
        Intended = "intended",
        /// It is on the forge.
        Posted = "posted",
        /// It could not be posted.
        Failed = "failed",
        /// A dry run held it back.
        Withheld = "withheld",
    }
}

/// One row, read.
struct Record {
    day: NaiveDate,
    state: SummaryState,
    until: i64,
    attempts: u32,
    again_at: Option<i64>,
    number: Option<IssueNumber>,
    tidied_at: Option<i64>,
    closed_at: Option<i64>,
}

const ROW: &str =
    "SELECT day, state, until, attempts, again_at, number, tidied_at, closed_at FROM summary";

fn key(of: &SummaryDay) -> [String; 2] {
    [of.repo.to_string(), of.day.to_string()]
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        day: parsed(row, 0)?,
        state: parsed(row, 1)?,
        until: row.get(2)?,
        attempts: row.get(3)?,
        again_at: row.get(4)?,
        number: row.get(5)?,
        tidied_at: row.get(6)?,
        closed_at: row.get(7)?,
    })
}

fn find(c: &Connection, key: &[String; 2]) -> Result<Option<Record>, Error> {
    let sql = format!("{ROW} WHERE repo = ?1 AND day = ?2");
    let mut rows = c.prepare_cached(&sql)?;
    Ok(rows.query_row(params![key[0], key[1]], record).optional()?)
}

fn posted(row: &Record) -> Posted {
    Posted {
        day: row.day,
        number: row.number.unwrap_or_default(),
        until: from_millis(row.until),
        is_tidied: row.tidied_at.is_some(),
        was_closed: row.closed_at.is_some(),
        again_at: row.again_at,
    }
}

fn turn(row: &Record, ask: Ask) -> Turn {
    let yours = Turn::Yours { attempts: row.attempts, until: from_millis(row.until) };
    let not_before = Turn::NotBefore(row.again_at.map_or(ask.now, from_millis));
    let is_later = is_later(row.again_at, ask.now);
    match row.state {
        SummaryState::Posted => Turn::Posted(posted(row)),
        // Nobody waits for a hand in vain: its lease ends, whether it was a person's or a crashed service's.
        SummaryState::Intended if is_later => not_before,
        SummaryState::Failed if ask.by_hand => yours,
        SummaryState::Failed if row.again_at.is_none() => Turn::GivenUp,
        SummaryState::Failed if is_later => not_before,
        SummaryState::Intended | SummaryState::Failed | SummaryState::Withheld => yours,
    }
}

fn take(c: &Connection, key: &[String; 2], leased: i64, until: Timestamp) -> Result<(), Error> {
    c.prepare_cached(
        "INSERT INTO summary (repo, day, state, until, attempts, again_at)
         VALUES (?1, ?2, 'intended', ?3, 1, ?4)
         ON CONFLICT DO UPDATE SET state = 'intended',
             attempts = attempts + 1, again_at = excluded.again_at",
    )?
    .execute(params![key[0], key[1], until.timestamp_millis(), leased])?;
    Ok(())
}

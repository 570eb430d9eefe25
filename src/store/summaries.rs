//! Daily summaries: whose turn it is to post one, and what became of it. The intent is on disk before the request
//! leaves, and one row for each repository and day gives the work to one hand at a time.

use chrono::{NaiveDate, TimeDelta};

use super::engine::{Row, RowResult, params};
use super::rows::{all, changed, first, parsed, run};
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
    again_at: Option<Timestamp>,
}

impl Posted {
    /// Whether the older one should be seen to at `now`.
    pub fn is_to_tidy(&self, now: Timestamp) -> bool {
        !self.is_tidied && !is_later(self.again_at, now)
    }
}

/// Whether `at` is still to come, unless it is so far off that a clock must have been set back.
fn is_later(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at > now && at - now <= LONGEST_PAUSE)
}

impl Store {
    /// Asks whose turn it is to post a summary; when it is the caller's, that is on the disk.
    pub async fn claim_summary(&self, of: &SummaryDay, ask: Ask) -> Result<Turn, Error> {
        let [repo, day] = key(of);
        self.write(move |c| {
            // Of a repository that is gone or called otherwise, nobody asks any more.
            let over =
                "UPDATE summary SET state = 'failed', again_at = NULL, detail = 'its day is over'
                        WHERE state = 'intended' AND day < ?1 AND again_at <= ?2";
            run(c, over, params![day, ask.now.timestamp_millis()])?;
            let row = first(c, &format!("{ROW} AND day = ?2"), [&repo, &day], row)?;
            let turn =
                row.map_or(Turn::Yours { attempts: 0, until: ask.until }, |row| turn(row, ask));
            if matches!(turn, Turn::Yours { .. }) {
                let (until, leased) = (ask.until.timestamp_millis(), ask.now + ask.lease);
                let take = "INSERT INTO summary (repo, day, state, until, attempts, again_at)
                            VALUES (?1, ?2, 'intended', ?3, 1, ?4)
                            ON CONFLICT (repo, day) DO UPDATE SET state = 'intended',
                                attempts = summary.attempts + 1, again_at = excluded.again_at";
                run(c, take, params![repo, day, until, leased.timestamp_millis()])?;
            }
            Ok(turn)
        })
        .await
    }

    /// Keeps that a summary is on the forge.
    pub async fn summary_posted(&self, of: &SummaryDay, number: IssueNumber) -> Result<(), Error> {
        let [repo, day] = key(of);
        let sql = "UPDATE summary SET state = 'posted', number = ?3, again_at = NULL, detail = NULL
                   WHERE repo = ?1 AND day = ?2 AND state <> 'posted'";
        self.write(move |c| run(c, sql, params![repo, day, number])).await
    }

    /// Keeps that a summary could not be posted, and when it is tried again; `None` gives it up for the day.
    pub async fn summary_failed(
        &self,
        of: &SummaryDay,
        again_at: Option<Timestamp>,
        detail: String,
    ) -> Result<(), Error> {
        let [repo, day] = key(of);
        let again_at = again_at.map(|at| at.timestamp_millis());
        let sql = "UPDATE summary SET state = 'failed', again_at = ?3, detail = ?4
                   WHERE repo = ?1 AND day = ?2 AND state <> 'posted'";
        self.write(move |c| run(c, sql, params![repo, day, again_at, detail])).await
    }

    /// Keeps that a dry run held a summary back; false when that was known.
    pub async fn summary_withheld(&self, of: &SummaryDay, until: Timestamp) -> Result<bool, Error> {
        let [repo, day] = key(of);
        let until = until.timestamp_millis();
        let sql = "INSERT INTO summary (repo, day, state, until) VALUES (?1, ?2, 'withheld', ?3)
                   ON CONFLICT DO NOTHING";
        self.write(move |c| Ok(changed(c, sql, params![repo, day, until])? == 1)).await
    }

    /// Keeps that the older summary was seen to, and which one was closed, if one was.
    pub async fn summary_tidied(
        &self,
        of: &SummaryDay,
        closed: Option<IssueNumber>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let [repo, day] = key(of);
        let now = now.timestamp_millis();
        self.write(move |c| {
            let older = "UPDATE summary SET closed_at = ?3 WHERE repo = ?1 AND number = ?2";
            run(c, older, params![repo, closed, now])?;
            let sql = "UPDATE summary SET tidied_at = ?3, again_at = NULL
                       WHERE repo = ?1 AND day = ?2 AND state = 'posted'";
            run(c, sql, params![repo, day, now])
        })
        .await
    }

    /// Keeps that the older summary could not be seen to, and when that is tried again.
    pub async fn summary_untidy(&self, of: &SummaryDay, again_at: Timestamp) -> Result<(), Error> {
        let [repo, day] = key(of);
        let again_at = again_at.timestamp_millis();
        let sql =
            "UPDATE summary SET again_at = ?3 WHERE repo = ?1 AND day = ?2 AND state = 'posted'";
        self.write(move |c| run(c, sql, params![repo, day, again_at])).await
    }

    /// The posted summaries of a repository up to a day, newest first, at most `limit`.
    pub async fn summaries(&self, of: &SummaryDay, limit: u32) -> Result<Vec<Posted>, Error> {
        let [repo, day] = key(of);
        self.read(move |c| {
            let sql =
                format!("{ROW} AND day <= ?2 AND state = 'posted' ORDER BY day DESC LIMIT ?3");
            all(c, &sql, params![repo, day, limit], |r| Ok(row(r)?.posted))
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

const ROW: &str = "SELECT day, state, until, attempts, again_at, number, tidied_at IS NOT NULL, closed_at IS NOT NULL
     FROM summary WHERE repo = ?1";

fn key(of: &SummaryDay) -> [String; 2] {
    [of.repo.to_string(), of.day.to_string()]
}

/// A summary that was begun: how far it has come, how often it was tried, and what is or will be posted.
struct Begun {
    state: SummaryState,
    attempts: u32,
    posted: Posted,
}

fn row(row: &Row<'_>) -> RowResult<Begun> {
    let posted = Posted {
        day: parsed(row, 0)?,
        number: row.get::<Option<_>>(5)?.unwrap_or_default(),
        until: from_millis(row.get(2)?),
        is_tidied: row.get(6)?,
        was_closed: row.get(7)?,
        again_at: row.get::<Option<_>>(4)?.map(from_millis),
    };
    Ok(Begun { state: parsed(row, 1)?, attempts: row.get(3)?, posted })
}

fn turn(begun: Begun, ask: Ask) -> Turn {
    let Begun { state, attempts, posted } = begun;
    let yours = Turn::Yours { attempts, until: posted.until };
    let not_before = Turn::NotBefore(posted.again_at.unwrap_or(ask.now));
    let is_later = is_later(posted.again_at, ask.now);
    match state {
        SummaryState::Posted => Turn::Posted(posted),
        // Nobody waits for a hand in vain: its lease ends, whether it was a person's or a crashed service's.
        SummaryState::Intended if is_later => not_before,
        SummaryState::Failed if ask.by_hand => yours,
        SummaryState::Failed if posted.again_at.is_none() => Turn::GivenUp,
        SummaryState::Failed if is_later => not_before,
        SummaryState::Intended | SummaryState::Failed | SummaryState::Withheld => yours,
    }
}

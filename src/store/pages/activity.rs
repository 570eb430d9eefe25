//! What happened hour by hour, for the charts.

use rusqlite::Connection;

use crate::clock::{Timestamp, from_millis};
use crate::store::{Error, Store};

const HOUR_MS: i64 = 3_600_000;
/// How many hours are shown.
const HOURS: i64 = 24;
/// More rows than these are not counted for one page; the newest of them are.
const MOST_COUNTED: i64 = 100_000;

/// One hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Deliveries by how they stand now: done, ignored, dead, not finished.
    pub deliveries: [u64; 4],
    /// Decisions: dispatch, flag, wait, skip, finish.
    pub decisions: [u64; 5],
}

/// The last 24 hours, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// When each hour began, and what happened in it.
    pub hours: Vec<(Timestamp, Hour)>,
    /// Whether so much happened that only the newest part of it was counted.
    pub is_partial: bool,
}

impl Activity {
    /// What the positions in [`Hour::deliveries`] stand for.
    pub const DELIVERIES: [&'static str; 4] = ["done", "ignored", "dead", "open"];
    /// What the positions in [`Hour::decisions`] stand for.
    pub const DECISIONS: [&'static str; 5] = ["dispatch", "flag", "wait", "skip", "finish"];
}

impl Store {
    /// What happened in the 24 hours up to `now`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn activity(&self, now: Timestamp) -> Result<Activity, Error> {
        self.read(move |c| activity(c, now)).await
    }
}

fn activity(c: &Connection, now: Timestamp) -> Result<Activity, Error> {
    let first = now.timestamp_millis().div_euclid(HOUR_MS) - HOURS + 1;
    let mut hours = vec![Hour::default(); HOURS as usize];
    let deliveries = "SELECT received_at / ?2, state, count(*) FROM
            (SELECT received_at, state FROM delivery NOT INDEXED ORDER BY seq DESC LIMIT ?3)
        WHERE received_at >= ?1 GROUP BY 1, 2";
    let decisions = "SELECT at / ?2, action, count(*) FROM
            (SELECT at, action FROM evaluation WHERE at >= ?1 ORDER BY at DESC LIMIT ?3)
        GROUP BY 1, 2";
    let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
    let mut counted = [0, 0];
    for (which, sql) in [deliveries, decisions].into_iter().enumerate() {
        let mut rows = c.prepare_cached(sql)?;
        let mut rows = rows.query([first * HOUR_MS, HOUR_MS, MOST_COUNTED])?;
        while let Some(row) = rows.next()? {
            let (hour, name, count): (i64, String, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            counted[which] += count;
            let hour = usize::try_from(hour - first).ok().and_then(|at| hours.get_mut(at));
            let Some(hour) = hour else { continue };
            match which {
                0 => hour.deliveries[place(&Activity::DELIVERIES, &name).unwrap_or(3)] += count,
                _ => {
                    let place = place(&Activity::DECISIONS, &name);
                    place.into_iter().for_each(|at| hour.decisions[at] += count);
                }
            }
        }
    }
    let began = |at: usize| from_millis((first + at as i64) * HOUR_MS);
    Ok(Activity {
        hours: hours.into_iter().enumerate().map(|(at, hour)| (began(at), hour)).collect(),
        is_partial: counted.iter().any(|count| *count >= MOST_COUNTED as u64),
    })
}

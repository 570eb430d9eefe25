//! Dispatches whose time has come: the next hand-off, a reminder, a deadline. Their issues are woken, and what
//! follows is decided where every issue is looked at.

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension, params};

use super::inbox::{self, Entry};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{Origin, WakeCause};

/// When a dispatch is looked at again if the look it was woken for comes to no end: a failed delivery must not make it
/// be forgotten.
const AGAIN: TimeDelta = TimeDelta::hours(1);
/// How many are woken in one go.
const BATCH: u32 = 64;

impl Store {
    /// Wakes the issues of dispatches whose time has come; how many there were.
    pub async fn wake_due(&self, now: Timestamp) -> Result<usize, Error> {
        if self.next_timer().await?.is_none_or(|at| at > now) {
            return Ok(0);
        }
        self.write(move |c| {
            let due = due(c, now)?;
            let what = WakeCause::Due.as_str().into();
            let entry = Entry { origin: Origin::Wake, what, at: now };
            for (dispatch, lane) in &due {
                inbox::enqueue(c, *lane, &entry)?;
                let again = (now + AGAIN).timestamp_millis();
                c.prepare_cached("UPDATE dispatch SET due_at = ?2 WHERE id = ?1")?
                    .execute(params![dispatch, again])?;
            }
            Ok(due.len())
        })
        .await
    }

    /// When the next dispatch has to be looked at; `None` when none has.
    pub async fn next_timer(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|c| {
            let mut rows = c.prepare_cached(
                "SELECT due_at FROM dispatch WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1",
            )?;
            Ok(rows.query_row([], |r| r.get(0)).optional()?.map(from_millis))
        })
        .await
    }
}

fn due(c: &Connection, now: Timestamp) -> Result<Vec<(i64, i64)>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT id, lane FROM dispatch WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2",
    )?;
    let rows =
        rows.query_map(params![now.timestamp_millis(), BATCH], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

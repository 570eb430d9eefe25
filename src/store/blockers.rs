//! Which issue waits for which, so that the end of one wakes the others.

use rusqlite::{Connection, params};

use super::Error;
use super::inbox::{self, Entry};
use crate::clock::Timestamp;
use crate::delivery::{Origin, WakeCause};
use crate::issue::IssueRef;

/// Keeps what an issue waits for in place of what it waited for before.
pub(super) fn keep(c: &Connection, lane: i64, blockers: &[IssueRef]) -> Result<(), Error> {
    c.prepare_cached("DELETE FROM blocker WHERE lane = ?1")?.execute([lane])?;
    let mut insert =
        c.prepare_cached("INSERT INTO blocker VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    for at in blockers {
        insert.execute(params![lane, at.repo.to_string(), at.number])?;
    }
    Ok(())
}

/// Wakes the issues that wait for `at`, which has come to its end.
pub(super) fn wake(c: &Connection, at: &IssueRef, now: Timestamp) -> Result<(), Error> {
    let mut rows = c.prepare_cached("SELECT lane FROM blocker WHERE repo = ?1 AND number = ?2")?;
    let lanes = rows.query_map(params![at.repo.to_string(), at.number], |r| r.get(0))?;
    let waiting: Vec<i64> = lanes.collect::<Result<_, _>>()?;
    let entry = Entry { origin: Origin::Wake, what: WakeCause::Unblocked.as_str().into(), at: now };
    waiting.into_iter().try_for_each(|lane| inbox::enqueue(c, lane, &entry).map(drop))
}

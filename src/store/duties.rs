//! Whom rotations ask: who was chosen for which issue, and what each member has in hand. A choice is kept with the intent
//! to say it, so that nobody is chosen twice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::engine::{Connection, params};
use super::rows::{all, first, from_json, run, to_json};
use crate::clock::{Timestamp, from_millis};
use crate::reason::Duty;
use crate::triage::{Evaluation, Shares};

/// Whom a rotation asked, as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct DutyView {
    /// When they were chosen.
    pub at: Timestamp,
    /// Who; `None` where nobody could be asked.
    pub login: Option<String>,
    /// Why.
    pub why: String,
    /// Until when it was their turn.
    pub ended_at: Option<Timestamp>,
}

/// Who is asked about the issue of a lane.
pub(super) fn open(c: &Connection, lane: i64) -> Result<Option<Duty>, Error> {
    let sql = "SELECT duty FROM duty WHERE lane = ?1 AND ended_at IS NULL";
    let kept: Option<String> = first(c, sql, [lane], |r| r.get(0))?;
    kept.map(|kept| from_json(&kept)).transpose()
}

/// What is counted of each rotation.
pub(super) fn shares(c: &Connection) -> Result<BTreeMap<String, Shares>, Error> {
    let sql = "SELECT rotation, login, credit FROM duty_share";
    let rows: Vec<(String, String, i64)> = all(c, sql, [], |r| r.try_into())?;
    let mut shares: BTreeMap<String, Shares> = BTreeMap::new();
    for (rotation, login, credit) in rows {
        shares.entry(rotation).or_default().credits.insert(login, credit);
    }
    for (rotation, shares) in &mut shares {
        shares.latest = latest(c, rotation)?;
    }
    Ok(shares)
}

/// The number of the latest choice of a rotation.
fn latest(c: &Connection, rotation: &str) -> Result<i64, Error> {
    let sql = "SELECT coalesce(max(id), 0) FROM duty WHERE rotation = ?1 AND login IS NOT NULL";
    Ok(first(c, sql, [rotation], |r| r.get(0))?.unwrap_or(0))
}

/// Keeps who is asked from now on, and counts the choice.
///
/// # Errors
/// [`Error::DutyTaken`] when the rotation has gone on in the meantime.
pub(super) fn keep(c: &Connection, lane: i64, e: &Evaluation) -> Result<(), Error> {
    if !e.changes_duty {
        return Ok(());
    }
    end(c, lane, e.at)?;
    let Some(duty) = &e.duty else { return Ok(()) };
    if let Some(shares) = e.shares.as_ref().filter(|_| duty.login.is_some()) {
        if shares.latest != latest(c, &duty.rotation)? {
            return Err(Error::DutyTaken(duty.rotation.clone()));
        }
        let sql = "INSERT INTO duty_share VALUES (?1, ?2, ?3)
                   ON CONFLICT (rotation, login) DO UPDATE SET credit = excluded.credit";
        let mut credits = shares.credits.iter();
        credits
            .try_for_each(|(login, credit)| run(c, sql, params![duty.rotation, login, credit]))?;
    }
    let sql = "INSERT INTO duty (lane, rotation, login, at, duty) VALUES (?1, ?2, ?3, ?4, ?5)";
    let at = e.at.timestamp_millis();
    run(c, sql, params![lane, duty.rotation, duty.login, at, to_json(duty)])
}

/// Ends whoever's turn it is with the issue of a lane.
pub(super) fn end(c: &Connection, lane: i64, at: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE duty SET ended_at = ?2 WHERE lane = ?1 AND ended_at IS NULL";
    run(c, sql, [lane, at.timestamp_millis()])
}

/// Has the turn that somebody has with the issue of one lane go on in another that is about the same issue.
pub(super) fn carry_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    let sql = "UPDATE duty SET lane = ?2 WHERE lane = ?1 AND ended_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM duty WHERE lane = ?2 AND ended_at IS NULL)";
    run(c, sql, [from, to])?;
    run(c, "UPDATE duty SET ended_at = at WHERE lane = ?1 AND ended_at IS NULL", [from])
}

/// Whom rotations asked about the issue of a lane, oldest first.
pub(super) fn views(c: &Connection, lane: i64) -> Result<Vec<DutyView>, Error> {
    let sql = "SELECT at, login, duty, ended_at FROM duty WHERE lane = ?1 ORDER BY id";
    all(c, sql, [lane], |r| {
        let kept: String = r.get(2)?;
        Ok(DutyView {
            at: from_millis(r.get(0)?),
            login: r.get(1)?,
            why: from_json(&kept).map_or(kept, |duty: Duty| duty.to_string()),
            ended_at: r.get::<Option<_>>(3)?.map(from_millis),
        })
    })
}

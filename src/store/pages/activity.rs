//! What happened hour by hour, for the charts.

use crate::clock::{Timestamp, from_millis};
use crate::store::engine::Connection;
use crate::store::{DeliveryState, Error, Store};
use crate::triage::Action;

const HOUR_MS: i64 = 3_600_000;
/// How many hours are shown.
const HOURS: i64 = 24;
/// More rows than these are not counted for one page; the newest of them are.
const MOST_COUNTED: usize = 100_000;

/// One hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Deliveries by how they stand now: done, ignored, dead, not finished.
    pub deliveries: [u64; 4],
    /// Decisions by their action.
    pub decisions: [u64; Action::ALL.len()],
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
    pub const DELIVERIES: &[&str] = &[
        DeliveryState::Done.as_str(),
        DeliveryState::Ignored.as_str(),
        DeliveryState::Dead.as_str(),
        "open",
    ];
    /// What the positions in [`Hour::decisions`] stand for.
    pub const DECISIONS: &[&str] = Action::NAMES;
}

impl Store {
    /// What happened in the 24 hours up to `now`.
    pub async fn activity(&self, now: Timestamp) -> Result<Activity, Error> {
        self.read(move |c| activity(c, now)).await
    }
}

fn activity(c: &Connection, now: Timestamp) -> Result<Activity, Error> {
    let first = now.timestamp_millis().div_euclid(HOUR_MS) - HOURS + 1;
    let mut hours = vec![Hour::default(); HOURS as usize];
    let deliveries = "SELECT received_at, state FROM delivery NOT INDEXED ORDER BY seq DESC";
    let decisions = "SELECT at, action FROM evaluation INDEXED BY evaluation_at ORDER BY at DESC";
    let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
    let mut is_partial = walk(c, deliveries, first, |at, state| {
        let place = place(Activity::DELIVERIES, state).unwrap_or(3);
        hours[at].deliveries[place] += 1;
    })?;
    is_partial |= walk(c, decisions, first, |at, action| {
        let place = place(Activity::DECISIONS, action);
        place.into_iter().for_each(|place| hours[at].decisions[place] += 1);
    })?;
    let began = |at: usize| from_millis((first + at as i64) * HOUR_MS);
    let hours = hours.into_iter().enumerate().map(|(at, hour)| (began(at), hour)).collect();
    Ok(Activity { hours, is_partial })
}

/// Tells `count` the hour and the name of each row from the hour `first` on; `true` when there were too many.
fn walk(
    c: &Connection,
    sql: &str,
    first: i64,
    mut count: impl FnMut(usize, &str),
) -> Result<bool, Error> {
    let (mut examined, mut is_partial) = (0, false);
    c.walk(sql, [], &mut |row| {
        let hour = row.get::<i64>(0)?.div_euclid(HOUR_MS) - first;
        // An hour more, because the order of arrival is not quite that of a clock that is set right now and then.
        if hour < -1 {
            return Ok(false);
        }
        is_partial = examined == MOST_COUNTED;
        if is_partial {
            return Ok(false);
        }
        examined += 1;
        if let Some(hour) = usize::try_from(hour).ok().filter(|hour| *hour < HOURS as usize) {
            count(hour, row.get_ref(1)?.as_str()?);
        }
        Ok(true)
    })?;
    Ok(is_partial)
}

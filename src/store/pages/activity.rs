//! What happened hour by hour, for the charts.

use crate::clock::{Timestamp, from_millis};
use crate::dispatch::DispatchState;
use crate::store::engine::Connection;
use crate::store::{DeliveryState, Error, Store};
use crate::triage::Action;

/// The columns of a chart: how long each is, in milliseconds, how many there are, and the number of the first of all since
/// 1970.
#[derive(Clone, Copy)]
struct Columns {
    width: i64,
    count: usize,
    first: i64,
}

const HOUR_MS: i64 = 3_600_000;
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

/// The dispatches of one day, by how they stand now; those that timed out have failed.
pub type DispatchDay = (Timestamp, [u64; DISPATCHES.len()]);

/// What the positions in a [`DispatchDay`] stand for.
pub const DISPATCHES: &[&str] = &[
    "open",
    DispatchState::Completed.as_str(),
    DispatchState::Failed.as_str(),
    DispatchState::Escalated.as_str(),
];

impl Store {
    /// The dispatches of each of the 14 days up to `now`, the oldest first; of very many only the newest.
    pub async fn dispatch_days(&self, now: Timestamp) -> Result<Vec<DispatchDay>, Error> {
        self.read(move |c| {
            let sql = "SELECT opened_at, state FROM dispatch ORDER BY id DESC";
            let columns = Columns::until(now, 24 * HOUR_MS, 14);
            let mut days = vec![[0; DISPATCHES.len()]; columns.count];
            walk(c, sql, columns, |at, state| {
                let timed_out = DispatchState::TimedOut.as_str();
                let state = if state == timed_out { DispatchState::Failed.as_str() } else { state };
                let place = DISPATCHES.iter().position(|known| *known == state).unwrap_or(0);
                days[at][place] += 1;
            })?;
            Ok(columns.named(days))
        })
        .await
    }

    /// What happened in the 24 hours up to `now`.
    pub async fn activity(&self, now: Timestamp) -> Result<Activity, Error> {
        self.read(move |c| activity(c, now)).await
    }
}

fn activity(c: &Connection, now: Timestamp) -> Result<Activity, Error> {
    let columns = Columns::until(now, HOUR_MS, 24);
    let mut hours = vec![Hour::default(); columns.count];
    let deliveries = "SELECT received_at, state FROM delivery NOT INDEXED ORDER BY seq DESC";
    let decisions = "SELECT at, action FROM evaluation INDEXED BY evaluation_at ORDER BY at DESC";
    let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
    let mut is_partial = walk(c, deliveries, columns, |at, state| {
        let place = place(Activity::DELIVERIES, state).unwrap_or(3);
        hours[at].deliveries[place] += 1;
    })?;
    is_partial |= walk(c, decisions, columns, |at, action| {
        let place = place(Activity::DECISIONS, action);
        place.into_iter().for_each(|place| hours[at].decisions[place] += 1);
    })?;
    Ok(Activity { hours: columns.named(hours), is_partial })
}

impl Columns {
    /// So many, of which the last is the one of `now`.
    fn until(now: Timestamp, width: i64, count: usize) -> Self {
        let last = now.timestamp_millis().div_euclid(width);
        Self { width, count, first: last - count as i64 + 1 }
    }

    /// Each column with the time when it began.
    fn named<T>(self, columns: Vec<T>) -> Vec<(Timestamp, T)> {
        let began = |at: usize| from_millis((self.first + at as i64) * self.width);
        columns.into_iter().enumerate().map(|(at, column)| (began(at), column)).collect()
    }
}

/// Tells `count` the column and the name of each row from the first column on; `true` when there were too many.
fn walk(
    c: &Connection,
    sql: &str,
    columns: Columns,
    mut count: impl FnMut(usize, &str),
) -> Result<bool, Error> {
    let (mut examined, mut is_partial) = (0, false);
    c.walk(sql, [], &mut |row| {
        let column = row.get::<i64>(0)?.div_euclid(columns.width) - columns.first;
        // A column more, because the order of arrival is not quite that of a clock that is set right now and then.
        if column < -1 {
            return Ok(false);
        }
        is_partial = examined == MOST_COUNTED;
        if is_partial {
            return Ok(false);
        }
        examined += 1;
        if let Some(at) = usize::try_from(column).ok().filter(|at| *at < columns.count) {
            count(at, row.get_ref(1)?.as_str()?);
        }
        Ok(true)
    })?;
    Ok(is_partial)
}

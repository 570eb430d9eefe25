//! The part of a list that lies between two times. Places are given in the order of time, so that its ends are found by
//! halving, whatever is in the list.

use crate::clock::Timestamp;
use crate::store::Error;
use crate::store::engine::{Connection, params};
use crate::store::rows::{first, only};

/// Between which times a list shows what there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Between {
    /// Nothing before this.
    pub since: Option<Timestamp>,
    /// Nothing from this on.
    pub until: Option<Timestamp>,
}

/// Places of a list from `from` on, and before `before`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub from: i64,
    pub before: i64,
}

/// A list: the question for its last place, and the one for the time at the first place from `?1` on.
pub(super) struct List<'a> {
    pub last: &'a str,
    pub time: &'a str,
}

impl Between {
    /// The places of a list between both times, and before `before`.
    pub(super) fn places(
        self,
        c: &Connection,
        list: &List<'_>,
        before: Option<i64>,
    ) -> Result<Places, Error> {
        let before = before.unwrap_or(i64::MAX);
        let Self { since, until } = self;
        if since.is_none() && until.is_none() {
            return Ok(Places { from: i64::MIN, before });
        }
        let last: Option<i64> = only(c, list.last, [], |row| row.get(0))?;
        let place = |at: Timestamp| first_place(c, list, last.unwrap_or(0), at);
        let from = since.map_or(Ok(i64::MIN), place)?;
        Ok(Places { from, before: until.map_or(Ok(before), place)?.min(before) })
    }
}

/// The first place whose time is not before `at`.
fn first_place(c: &Connection, list: &List<'_>, last: i64, at: Timestamp) -> Result<i64, Error> {
    let (mut earlier, mut found) = (0, last + 1);
    while earlier + 1 < found {
        let middle = earlier + (found - earlier) / 2;
        let time: Option<i64> = first(c, list.time, params![middle], |row| row.get(0))?;
        match time {
            Some(time) if time < at.timestamp_millis() => earlier = middle,
            _ => found = middle,
        }
    }
    Ok(found)
}

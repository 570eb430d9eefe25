//! When a local day's summary is due. Pure; time is an argument.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;

use crate::clock::{self, Timestamp};

/// An hour of each local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The hour.
    pub at: NaiveTime,
    /// Whose clock it is on.
    pub timezone: Tz,
}

impl Schedule {
    /// The local day at a moment.
    pub fn day(&self, now: Timestamp) -> NaiveDate {
        now.with_timezone(&self.timezone).date_naive()
    }

    /// The moment of the day's hour.
    pub fn moment(&self, day: NaiveDate) -> Timestamp {
        clock::moment(day, self.at, self.timezone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_at(timezone: Tz, at: &str, day: &str, expected: &str) {
        let at = NaiveTime::parse_from_str(at, "%H:%M").unwrap();
        let moment = Schedule { at, timezone }.moment(day.parse().unwrap());
        assert_eq!(moment, expected.parse::<Timestamp>().unwrap());
    }

    #[test]
    fn an_hour_that_does_not_exist_is_the_next_moment() {
        let berlin = chrono_tz::Europe::Berlin;
        is_at(berlin, "02:30", "2026-03-28", "2026-03-28T01:30:00Z");
        is_at(berlin, "02:30", "2026-03-29", "2026-03-29T01:00:00Z");
        is_at(berlin, "02:00", "2026-03-29", "2026-03-29T01:00:00Z");
        is_at(berlin, "06:00", "2026-03-29", "2026-03-29T04:00:00Z");
        is_at(chrono_tz::Pacific::Apia, "06:00", "2011-12-30", "2011-12-30T10:00:00Z");
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_first() {
        let berlin = chrono_tz::Europe::Berlin;
        is_at(berlin, "02:30", "2026-10-25", "2026-10-25T00:30:00Z");
        is_at(berlin, "03:00", "2026-10-25", "2026-10-25T02:00:00Z");
        is_at(chrono_tz::UTC, "02:30", "2026-10-25", "2026-10-25T02:30:00Z");
    }

    #[test]
    fn a_day_ends_where_its_people_are() {
        let day = |timezone, at: &str| {
            let at: Timestamp = at.parse().unwrap();
            Schedule { at: NaiveTime::MIN, timezone }.day(at).to_string()
        };
        assert_eq!(day(chrono_tz::Asia::Tokyo, "2026-03-23T15:00:00Z"), "2026-03-24");
        assert_eq!(day(chrono_tz::America::New_York, "2026-03-23T03:59:59Z"), "2026-03-22");
    }
}

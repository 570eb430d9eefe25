//! What time it is, and nothing else: one clock for the whole service, so that a test can hold it in hand.
//! Pure rooms never read it; they are given a [`Timestamp`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

/// A moment in UTC.
pub type Timestamp = DateTime<Utc>;

/// Where the service takes its time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// A clock that only moves when asked to, in milliseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `now` until [`Clock::advance`] moves it.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.timestamp_millis())))
    }

    /// The present moment, cut to milliseconds so that it survives the store unchanged.
    pub fn now(&self) -> Timestamp {
        let ms = match self {
            Self::System => Utc::now().timestamp_millis(),
            Self::Manual(ms) => ms.load(Ordering::SeqCst),
        };
        from_millis(ms)
    }

    /// Moves a manual clock; the system clock stays as it is.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Manual(ms) = self {
            ms.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
        }
    }
}

/// The moment `ms` milliseconds after 1970, or the nearest one that can be expressed.
pub fn from_millis(ms: i64) -> Timestamp {
    DateTime::from_timestamp_millis(ms).unwrap_or(if ms < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// The longest that clocks were ever set forward at once: an island that changed sides of the date line.
const LONGEST_GAP_MINUTES: i64 = 25 * 60;

/// The moment of an hour of a local day. One that the clocks pass twice is its first passing; one that they leave out is the
/// next moment there is.
pub fn moment(day: NaiveDate, hour: NaiveTime, zone: Tz) -> Timestamp {
    let wanted = day.and_time(hour);
    (0..=LONGEST_GAP_MINUTES)
        .filter_map(|later| wanted.checked_add_signed(TimeDelta::minutes(later)))
        .find_map(|at| at.and_local_timezone(zone).earliest())
        .map_or_else(|| wanted.and_utc(), |at| at.to_utc())
}

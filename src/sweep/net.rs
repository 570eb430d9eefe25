//! The daily net: which repositories are read in full in this round, so that each is in time and none comes with all the
//! others. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Settings;
use crate::clock::Timestamp;
use crate::issue::RepoName;
use crate::store::SweepCursor;

/// The repositories whose full pass belongs into this round. As many are read as keep the later ones in time: those that
/// were all read at once, at the first start, are so spread over the whole of `full_every`. After an outage no more are
/// read at once than on any other day, and each is late by the outage, once.
pub(super) fn due<'a>(
    cursors: impl Iterator<Item = &'a SweepCursor>,
    settings: &Settings,
    now: Timestamp,
) -> BTreeSet<RepoName> {
    let every = millis(settings.every).max(1);
    let full_every = millis(settings.full_every).max(1);
    let mut all: Vec<_> = cursors.map(|one| (left(one, settings, now), one)).collect();
    all.sort_by_key(|(left, one)| (*left, one.repo.clone()));
    let quota =
        ceil(i64::try_from(all.len()).unwrap_or(i64::MAX).saturating_mul(every), full_every);
    // The last ones of them that may not wait decide how many are read now.
    let needed = (1..).zip(&all).map(|(count, (left, _))| {
        let rounds = ceil((*left).max(0), every);
        count - rounds.saturating_mul(quota)
    });
    // A round that follows the last one closely is no further one.
    let is_recent = |one: &SweepCursor| (0..every / 2).contains(&since(one, now));
    let recent = all.iter().filter(|(_, one)| is_recent(one)).count();
    let most = quota.saturating_sub(i64::try_from(recent).unwrap_or(i64::MAX));
    let count = needed.max().unwrap_or(0).min(most);
    let count = usize::try_from(count).unwrap_or(0);
    all.into_iter().take(count).map(|(_, one)| one.repo.clone()).collect()
}

/// How long until a full pass is due, in milliseconds. A last time that lies ahead comes from a clock that was wrong,
/// and means nothing.
fn left(one: &SweepCursor, settings: &Settings, now: Timestamp) -> i64 {
    let since = since(one, now);
    if since < -millis(settings.every) {
        return 0;
    }
    millis(settings.full_every).saturating_sub(since)
}

fn since(one: &SweepCursor, now: Timestamp) -> i64 {
    (now - one.full_at).num_milliseconds()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn ceil(of: i64, by: i64) -> i64 {
    of / by + i64::from(of % by > 0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::from_millis;
    use crate::issue::RepoPatterns;

    const QUARTER: TimeDelta = TimeDelta::minutes(15);
    /// A day of rounds.
    const ROUNDS: usize = 96;

    fn settings() -> Settings {
        Settings {
            repos: RepoPatterns::default(),
            every: Duration::from_secs(15 * 60),
            full_every: Duration::from_secs(24 * 3_600),
            rules: String::new(),
        }
    }

    fn start() -> Timestamp {
        from_millis(1_700_000_000_000)
    }

    /// So many repositories, all read at the start.
    fn read_at_once(count: usize) -> Vec<SweepCursor> {
        let cursor = |n| SweepCursor {
            repo: format!("acme/r{n}").parse().unwrap(),
            passed_at: start(),
            full_at: start(),
            since: start(),
            rules: String::new(),
        };
        (0..count).map(cursor).collect()
    }

    /// Makes the passes of a round; how many there were, and how old the oldest was.
    fn round(cursors: &mut [SweepCursor], now: Timestamp) -> (usize, TimeDelta) {
        let due = due(cursors.iter(), &settings(), now);
        let mut oldest = TimeDelta::zero();
        for one in cursors.iter_mut().filter(|one| due.contains(&one.repo)) {
            oldest = oldest.max(now - one.full_at);
            one.full_at = now;
        }
        (due.len(), oldest)
    }

    /// Makes the rounds of some days; the most passes in a round, and the oldest age that any was due at.
    fn days(cursors: &mut [SweepCursor], now: &mut Timestamp, days: usize) -> (usize, TimeDelta) {
        let (mut most, mut oldest) = (0, TimeDelta::zero());
        for _ in 0..days * ROUNDS {
            *now += QUARTER;
            let (count, age) = round(cursors, *now);
            (most, oldest) = (most.max(count), oldest.max(age));
        }
        (most, oldest)
    }

    #[test]
    fn two_thousand_repositories_read_at_once_are_spread_over_the_day() {
        let (mut cursors, mut now) = (read_at_once(2_000), start());
        for _ in 0..4 {
            let (most, oldest) = days(&mut cursors, &mut now, 1);
            assert_eq!(most, 2_000_usize.div_ceil(ROUNDS));
            assert!(oldest <= TimeDelta::days(1), "{oldest}");
        }
    }

    #[test]
    fn each_is_read_each_day() {
        let (mut cursors, mut now) = (read_at_once(2_000), start());
        let read = |cursors: &mut [SweepCursor], now: &mut Timestamp| -> usize {
            (0..ROUNDS)
                .map(|_| {
                    *now += QUARTER;
                    round(cursors, *now).0
                })
                .sum()
        };
        for _ in 0..3 {
            assert_eq!(read(&mut cursors, &mut now), 2_000);
        }
    }

    #[test]
    fn an_outage_makes_no_burst_and_is_caught_up_within_a_day() {
        let (mut cursors, mut now) = (read_at_once(2_000), start());
        days(&mut cursors, &mut now, 2);
        now += TimeDelta::hours(6);
        let (most, oldest) = days(&mut cursors, &mut now, 1);
        assert!(most <= 2_000_usize.div_ceil(ROUNDS), "{most}");
        assert!(oldest <= TimeDelta::hours(30) + QUARTER, "{oldest}");
        let (_, oldest) = days(&mut cursors, &mut now, 2);
        assert!(oldest <= TimeDelta::days(1) + QUARTER, "{oldest}");
    }

    #[test]
    fn rounds_that_follow_closely_are_one() {
        let mut cursors = read_at_once(2_000);
        let now = start() + TimeDelta::days(1);
        assert_eq!(round(&mut cursors, now).0, 21);
        assert_eq!(round(&mut cursors, now + TimeDelta::seconds(20)).0, 0);
        assert_eq!(round(&mut cursors, now + TimeDelta::minutes(2)).0, 0);
        assert_eq!(round(&mut cursors, now + QUARTER).0, 21);
    }

    #[test]
    fn a_single_one_is_read_when_its_day_is_over_and_not_before() {
        let mut cursors = read_at_once(1);
        let day = start() + TimeDelta::days(1);
        assert_eq!(round(&mut cursors, day - TimeDelta::seconds(1)).0, 0);
        assert_eq!(round(&mut cursors, day).0, 1);
        assert_eq!(round(&mut cursors, day + QUARTER).0, 0);
    }

    #[test]
    fn a_last_time_that_lies_ahead_is_none() {
        let mut cursors = read_at_once(1);
        assert_eq!(round(&mut cursors, start() - TimeDelta::days(1)).0, 1);
        assert_eq!(round(&mut cursors, start() - TimeDelta::days(1) - TimeDelta::seconds(1)).0, 0);
    }
}

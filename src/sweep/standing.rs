//! What the sweep cannot read, for `/readyz` and the dashboard. An outage of the whole forge is theirs to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Kind, Passed, Report};
use crate::gitea::TooLarge;
use crate::issue::RepoName;

/// How many places are named.
const NAMED: usize = 3;

/// What the latest round over each repository could not read.
#[derive(Debug, Default)]
pub struct Standing {
    places: Mutex<BTreeMap<String, Place>>,
}

/// A repository, or a pattern.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Why it could not be read at all.
    failed: Option<String>,
    /// What on it could not be read.
    unread: Vec<TooLarge>,
}

impl Standing {
    /// Keeps what a round says. Of the repositories that it did not ask by themselves, what was known stays.
    pub(super) fn keep(&self, report: &Report, unasked: &BTreeSet<RepoName>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now: BTreeMap<String, Place> = places.clone();
        now.retain(|place, _| place.parse().is_ok_and(|repo| unasked.contains(&repo)));
        for failed in &report.failed {
            let mut place = places.remove(&failed.place).unwrap_or_default();
            // An outage says nothing of the place: what was known of it stays.
            if !failed.error.is_outage() {
                place.failed = Some(failed.error.to_string());
            }
            now.insert(failed.place.clone(), place);
        }
        for passed in &report.passed {
            let repo = passed.repo.to_string();
            let before = places.remove(&repo).unwrap_or_default().unread;
            now.insert(repo, Place { failed: None, unread: unread(before, passed) });
        }
        *places = now;
    }

    /// What cannot be swept, in words; `None` when everything can.
    pub fn trouble(&self) -> Option<String> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = places.iter().filter_map(|(place, now)| {
            let why = now.failed.as_ref()?;
            Some(format!("`{place}` cannot be swept: {why}"))
        });
        let unread = places.values().flat_map(|now| &now.unread).map(TooLarge::to_string);
        let all: Vec<_> = failed.chain(unread).collect();
        let (named, more) = all.split_at(all.len().min(NAMED));
        let more =
            if more.is_empty() { String::new() } else { format!("; and {} more", more.len()) };
        (!all.is_empty()).then(|| format!("{}{more}", named.join("; ")))
    }
}

/// What cannot be read after a pass: one over the changes says nothing of what has not changed.
fn unread(before: Vec<TooLarge>, passed: &Passed) -> Vec<TooLarge> {
    let mut unread = passed.unread.clone();
    if passed.kind == Kind::Changes {
        let is_other = |one: &TooLarge| unread.iter().all(|now| now.number != one.number);
        let kept: Vec<_> = before.into_iter().filter(is_other).collect();
        unread.extend(kept);
    }
    unread
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(kind: Kind, unread: &[u64]) -> Report {
        let repo: RepoName = "acme/widgets".parse().unwrap();
        let large = |n: &u64| TooLarge { repo: repo.clone(), number: Some(*n), place: 1 };
        let unread = unread.iter().map(large).collect();
        let passed = Passed { kind, unread, ..Passed::of(&repo) };
        Report { passed: vec![passed], ..Report::default() }
    }

    #[test]
    fn what_cannot_be_read_is_named_until_a_full_pass_reads_it() {
        let standing = Standing::default();
        assert_eq!(standing.trouble(), None);
        standing.keep(&passed(Kind::Full, &[7]), &BTreeSet::new());
        let said = standing.trouble().unwrap();
        assert_eq!(said, "`acme/widgets#7` is too large to be read; shorten its text");
        standing.keep(&passed(Kind::Changes, &[]), &BTreeSet::new());
        assert!(standing.trouble().is_some());
        standing.keep(&passed(Kind::Changes, &[7, 8, 9, 10]), &BTreeSet::new());
        assert!(standing.trouble().unwrap().ends_with("; and 1 more"));
        let repo = "Acme/Widgets".parse().unwrap();
        standing.keep(&Report::default(), &BTreeSet::from([repo]));
        assert!(standing.trouble().is_some(), "it was not asked");
        standing.keep(&passed(Kind::Full, &[]), &BTreeSet::new());
        assert_eq!(standing.trouble(), None);
    }
}

//! What is kept from round to round for as long as the service runs. Without it a round is only dearer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use super::listing::Of;
use crate::clock::Timestamp;
use crate::issue::RepoName;

/// How long a search is not tried that was refused or too long, and a repository that we may not read; how often is
/// looked at what no list shows.
pub(super) const PAUSE: TimeDelta = TimeDelta::hours(1);
/// How long the forge is not asked again whether it has the search.
const ROUTE_PAUSE: TimeDelta = TimeDelta::days(1);

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The searches that were given up, and when.
    given_up: BTreeMap<Of, Timestamp>,
    /// When the forge last said that it has no such search, or not for us.
    refused_at: Option<Timestamp>,
    /// The repositories that could not be read at last.
    missed: BTreeMap<RepoName, Miss>,
    /// The repositories of owners, as the forge listed them.
    owned: BTreeMap<String, Owned>,
}

/// A repository that could not be read.
#[derive(Clone, Copy, Debug)]
struct Miss {
    at: Timestamp,
    /// Whether somebody has to do something before it can be read.
    is_lasting: bool,
}

#[derive(Clone, Debug)]
struct Owned {
    at: Timestamp,
    repos: Vec<RepoName>,
}

/// Whether less than `span` lies between, whichever is the later: a clock may have been set.
fn is_within(at: Timestamp, now: Timestamp, span: TimeDelta) -> bool {
    (now - at).abs() < span
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a search may be tried.
    pub fn may_search(&self, of: &Of, now: Timestamp) -> bool {
        let state = self.lock();
        let refused = state.refused_at.is_some_and(|at| is_within(at, now, ROUTE_PAUSE));
        !refused && !state.given_up.get(of).is_some_and(|at| is_within(*at, now, PAUSE))
    }

    /// Forgets which searches were refused: the token may be another one.
    pub fn allow_searches(&self) {
        let mut state = self.lock();
        state.given_up.clear();
        state.refused_at = None;
    }

    /// Notes that a search led nowhere.
    pub fn give_up(&self, of: Of, now: Timestamp) {
        self.lock().given_up.insert(of, now);
    }

    /// Notes that there is no search for us; whether that is news.
    pub fn refuse(&self, now: Timestamp) -> bool {
        self.lock().refused_at.replace(now).is_none()
    }

    /// Notes how a repository was read: whether it was not, and then whether that will not pass by itself.
    pub fn note(&self, repo: &RepoName, is_lasting: Option<bool>, now: Timestamp) {
        let mut state = self.lock();
        let Some(is_lasting) = is_lasting else {
            state.missed.remove(repo);
            return;
        };
        if is_lasting {
            // It may be gone from its owner's list, too.
            state.owned.remove(&owner(repo));
        }
        state.missed.insert(repo.clone(), Miss { at: now, is_lasting });
    }

    /// Whether a repository could not be read at last, and then whether it is time to try again.
    pub fn missed(&self, repo: &RepoName, now: Timestamp) -> Option<bool> {
        let miss = self.lock().missed.get(repo).copied()?;
        Some(!miss.is_lasting || !is_within(miss.at, now, PAUSE))
    }

    /// The repositories of an owner, as they were listed within this time.
    pub fn owned(&self, owner: &str, now: Timestamp, span: TimeDelta) -> Option<Vec<RepoName>> {
        let state = self.lock();
        let owned = state.owned.get(&owner.to_lowercase())?;
        is_within(owned.at, now, span).then(|| owned.repos.clone())
    }

    /// Keeps the repositories of an owner.
    pub fn keep_owned(&self, owner: &str, repos: &[RepoName], now: Timestamp) {
        self.lock().owned.insert(owner.to_lowercase(), Owned { at: now, repos: repos.to_vec() });
    }

    /// Keeps repositories that were in no list.
    pub fn add_owned(&self, new: &[RepoName]) {
        let mut state = self.lock();
        for repo in new {
            if let Some(owned) = state.owned.get_mut(&owner(repo)) {
                owned.repos.push(repo.clone());
            }
        }
    }
}

/// The owner's name as it is compared.
pub(super) fn owner(repo: &RepoName) -> String {
    repo.owner().to_lowercase()
}

//! The accounts with write access to a configured repository: the people who may see the dashboard. The answer is
//! cached for a minute, so that many sign-ins do not become many requests. Needs no administrator rights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::issue::{RepoName, RepoPatterns};
use crate::store::Store;

/// How long an answer is cached.
const FRESH: TimeDelta = TimeDelta::minutes(1);
/// Repositories beyond this number are not asked about.
const MOST_REPOS: usize = 200;

/// The login of each account, by the account's number, which stays when a login changes.
pub(super) type Writers = BTreeMap<i64, String>;

/// Asks who may write, and caches the answer.
pub(super) struct People {
    store: Store,
    forge: forge::Client,
    /// The workers' runtime, not the server's: connections to the forge are shared with the workers, and would break
    /// when the server's threads stop.
    runtime: Handle,
    /// Locked during a request, so that only one runs at a time.
    known: Mutex<Option<(Timestamp, Arc<Writers>)>>,
}

impl People {
    /// Asks through `forge`, on `runtime`.
    pub fn new(store: Store, forge: forge::Client, runtime: Handle) -> Self {
        Self { store, forge, runtime, known: Mutex::default() }
    }

    /// Everybody who may write to one of `repos`; `None` when the forge is unreachable.
    pub async fn writers(&self, repos: &RepoPatterns, now: Timestamp) -> Option<Arc<Writers>> {
        let mut known = self.known.lock().await;
        if let Some((at, writers)) = &*known
            && now - *at < FRESH
        {
            return Some(Arc::clone(writers));
        }
        let asking = ask(self.forge.clone(), repos.clone(), self.seen().await);
        let writers = Arc::new(self.runtime.spawn(asking).await.ok().flatten()?);
        *known = Some((now, Arc::clone(&writers)));
        Some(writers)
    }

    /// The repositories that sent a delivery.
    async fn seen(&self) -> Vec<RepoName> {
        self.store.lane_repos().await.unwrap_or_default()
    }
}

/// Everybody who may write to one of the repositories that `patterns` allow, as far as they can be found.
async fn ask(forge: forge::Client, patterns: RepoPatterns, seen: Vec<RepoName>) -> Option<Writers> {
    let mut repos: BTreeSet<RepoName> = patterns.names().cloned().chain(seen).collect();
    for (owner, _) in patterns.wildcards().filter(|(owner, _)| !owner.contains('*')) {
        repos.extend(answered(forge.repositories(owner).await)?);
    }
    let mut writers = Writers::new();
    for repo in repos.iter().filter(|repo| patterns.allows(repo)).take(MOST_REPOS) {
        let accounts = answered(forge.writing_accounts(repo).await)?;
        writers.extend(accounts.into_iter().map(|account| (account.id, account.login)));
    }
    Some(writers)
}

/// The items of an answer. A repository that is gone or not accessible gives nobody access, and the others still do;
/// only an outage gives no answer at all.
fn answered<T>(answer: Result<Vec<T>, forge::Error>) -> Option<Vec<T>> {
    match answer {
        Ok(items) => Some(items),
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "dashboard permissions could not be checked");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "the accounts that may write to a repository could not be listed");
            Some(Vec::new())
        }
    }
}

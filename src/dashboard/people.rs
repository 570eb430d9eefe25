//! Who may write to a repository that is looked after: the people who may see the dashboard. Asked as a service that
//! administers nothing can ask, and remembered for a minute, so that no flood of sign-ins becomes one of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::issue::{RepoName, RepoPatterns};
use crate::store::Store;

/// How long an answer is good.
const FRESH: TimeDelta = TimeDelta::minutes(1);
/// More repositories than these are not asked; whoever writes only to later ones needs to write to one of these.
const MOST_REPOS: usize = 200;

/// The login of each account, by the account's number, which stays when a login changes.
pub(super) type Writers = BTreeMap<i64, String>;

/// Asks and remembers who may write.
pub(super) struct People {
    store: Store,
    forge: forge::Client,
    /// Not on the server's threads: connections to the forge are shared with the workers, and would break under them
    /// when those threads stop.
    runtime: Handle,
    /// Held while they are asked, so that one at a time asks.
    known: Mutex<Option<(Timestamp, Arc<Writers>)>>,
}

impl People {
    /// Asks through `forge`, on `runtime`.
    pub fn new(store: Store, forge: forge::Client, runtime: Handle) -> Self {
        Self { store, forge, runtime, known: Mutex::default() }
    }

    /// Everybody who may write to one of `repos`; `None` when the forge does not say.
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

    /// The repositories of which a delivery came.
    async fn seen(&self) -> Vec<RepoName> {
        self.store.lane_repos().await.unwrap_or_default()
    }
}

/// Everybody who may write to one of the repositories that `patterns` allow, as far as they can be found.
async fn ask(forge: forge::Client, patterns: RepoPatterns, seen: Vec<RepoName>) -> Option<Writers> {
    let mut repos: BTreeSet<RepoName> = patterns.names().cloned().chain(seen).collect();
    for (owner, _) in patterns.wildcards().filter(|(owner, _)| !owner.contains('*')) {
        repos.extend(known(forge.repositories(owner).await)?);
    }
    let mut writers = Writers::new();
    for repo in repos.iter().filter(|repo| patterns.allows(repo)).take(MOST_REPOS) {
        let accounts = known(forge.writing_accounts(repo).await)?;
        writers.extend(accounts.into_iter().map(|account| (account.id, account.login)));
    }
    Some(writers)
}

/// What the forge said. A repository that is gone or closed to us gives nobody a right, and the others still do; only
/// an outage leaves everything open.
fn known<T>(said: Result<Vec<T>, forge::Error>) -> Option<Vec<T>> {
    match said {
        Ok(items) => Some(items),
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "who may see the dashboard could not be asked");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "a repository does not say who writes to it");
            Some(Vec::new())
        }
    }
}

//! What each person may see: the forge is asked with their own token, for every repository that the pages could show.
//! The answer is good for some minutes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::settings::Settings;
use crate::clock::Timestamp;
use crate::gitea::{self as forge, Access, PersonTokens, SignInError};
use crate::issue::{Account, RepoName, RepoPatterns};
use crate::store::{Sight, Store};

/// How long an answer is good.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// How long it is let be when the forge did not answer.
const AFTER_OUTAGE: TimeDelta = TimeDelta::minutes(1);
/// Repositories beyond this number are not asked about, and are not shown to people with accounts.
const MOST_REPOS: usize = 1_000;
/// Questions at once.
const AT_ONCE: usize = 8;

/// Somebody, and what they may see and do now.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Who, under the present login.
    pub account: Account,
    /// What they see.
    pub sees: Sight,
    /// Where they may write.
    pub writes: Sight,
}

/// What the forge said of somebody.
pub(super) enum Looked {
    /// They may see this.
    Seen(Seen),
    /// They may see nothing any more: what they agreed to was taken back, or their rights were.
    NoLonger,
    /// The forge did not say, and nothing is known from before.
    Unknown,
}

/// What is known of one session, and when it has to be asked again.
type Slot = Mutex<Option<(Timestamp, Seen)>>;

/// Asks what people may see, and caches the answers.
pub(super) struct People {
    store: Store,
    forge: forge::Client,
    /// The workers' runtime, not the server's: connections to the forge are shared with the workers, and would break
    /// when the server's threads stop.
    runtime: Handle,
    /// By the session; locked during a question, so that only one runs at a time.
    known: Mutex<HashMap<String, Arc<Slot>>>,
    /// The repositories that are asked about, and when they were looked up.
    repos: Mutex<Option<(Timestamp, Arc<BTreeSet<RepoName>>)>>,
}

impl People {
    /// Asks through `forge`, on `runtime`.
    pub fn new(store: Store, forge: forge::Client, runtime: Handle) -> Self {
        let (known, repos) = (Mutex::default(), Mutex::default());
        Self { store, forge, runtime, known, repos }
    }

    /// What somebody with these tokens may see; it is not kept.
    pub async fn ask(
        &self,
        settings: &Arc<Settings>,
        tokens: PersonTokens,
        now: Timestamp,
    ) -> Result<Seen, SignInError> {
        let repos = self.repos(&settings.repos, now).await.ok_or(SignInError::Unreachable)?;
        let asking = ask(Arc::clone(settings), tokens, repos);
        self.runtime.spawn(asking).await.unwrap_or(Err(SignInError::Unreachable))
    }

    /// Remembers what was just found out for a session.
    pub async fn remember(&self, key: &str, seen: Seen, now: Timestamp) {
        *self.slot(key).await.lock().await = Some((now + FRESH, seen));
    }

    /// Forgets a session that has ended.
    pub async fn forget(&self, key: &str) {
        self.known.lock().await.remove(key);
    }

    /// What is known for a session, or what `ask` finds out when that is too old. Who is known keeps what they may see
    /// while the forge is unreachable: the pages are needed most then.
    pub async fn look(
        &self,
        key: &str,
        now: Timestamp,
        ask: impl Future<Output = Result<Seen, SignInError>>,
    ) -> Looked {
        let slot = self.slot(key).await;
        let mut known = slot.lock().await;
        if let Some((until, seen)) = &*known
            && now < *until
        {
            return Looked::Seen(seen.clone());
        }
        match (ask.await, known.take()) {
            (Ok(seen), _) if seen.sees == Sight::of([]) => Looked::NoLonger,
            (Ok(seen), _) => {
                *known = Some((now + FRESH, seen.clone()));
                Looked::Seen(seen)
            }
            (Err(SignInError::Unreachable), Some((_, seen))) => {
                *known = Some((now + AFTER_OUTAGE, seen.clone()));
                Looked::Seen(seen)
            }
            (Err(SignInError::Unreachable), None) => Looked::Unknown,
            (Err(error), _) => {
                tracing::info!(%error, "a session ends, for the forge no longer answers in its name");
                Looked::NoLonger
            }
        }
    }

    async fn slot(&self, key: &str) -> Arc<Slot> {
        let mut known = self.known.lock().await;
        // Sessions that ended elsewhere leave a slot behind that nobody holds; most are gone with the answer's age.
        if known.len() > 10_000 {
            known.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(known.entry(key.to_owned()).or_default())
    }

    /// The repositories that pages could show; `None` when the forge is unreachable.
    async fn repos(
        &self,
        patterns: &RepoPatterns,
        now: Timestamp,
    ) -> Option<Arc<BTreeSet<RepoName>>> {
        let mut known = self.repos.lock().await;
        let is_fresh = |at: &Timestamp| now - *at < AFTER_OUTAGE;
        if let Some((_, repos)) = known.as_ref().filter(|(at, _)| is_fresh(at)) {
            return Some(Arc::clone(repos));
        }
        let seen = self.store.lane_repos().await.unwrap_or_default();
        let looking = candidates(self.forge.clone(), patterns.clone(), seen);
        let repos = Arc::new(self.runtime.spawn(looking).await.ok().flatten()?);
        *known = Some((now, Arc::clone(&repos)));
        Some(repos)
    }
}

/// Asks, in the name of the tokens, who it is and what they may do in each repository.
async fn ask(
    settings: Arc<Settings>,
    tokens: PersonTokens,
    repos: Arc<BTreeSet<RepoName>>,
) -> Result<Seen, SignInError> {
    let closed = SignInError::Unusable("sign-in with an account is not configured");
    let sign_in = settings.sign_in.as_ref().ok_or(closed)?;
    let account = sign_in.whose(&tokens).await?;
    let tokens = &tokens;
    let asked = stream::iter(repos.iter().cloned()).map(async |repo| {
        let may = sign_in.access(tokens, &repo).await?;
        Ok::<_, SignInError>((repo, may))
    });
    let found: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
    let with =
        |least| Sight::of(found.iter().filter(|(_, may)| *may >= least).map(|(repo, _)| repo));
    let least = if settings.open_to_readers { Access::See } else { Access::Write };
    Ok(Seen { account, sees: with(least), writes: with(Access::Write) })
}

/// The repositories that `patterns` allow, as far as they can be found, those with deliveries first.
async fn candidates(
    forge: forge::Client,
    patterns: RepoPatterns,
    seen: Vec<RepoName>,
) -> Option<BTreeSet<RepoName>> {
    let mut repos: BTreeSet<RepoName> = seen.into_iter().take(MOST_REPOS).collect();
    let mut others: Vec<RepoName> = patterns.names().cloned().collect();
    for (owner, _) in patterns.wildcards().filter(|(owner, _)| !owner.contains('*')) {
        match forge.repositories(owner).await {
            Ok(found) => others.extend(found),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "dashboard permissions could not be checked");
                return None;
            }
            Err(error) => {
                tracing::debug!(%error, "the repositories of an owner could not be listed")
            }
        }
    }
    for repo in others {
        if repos.len() < MOST_REPOS {
            repos.insert(repo);
        }
    }
    repos.retain(|repo| patterns.allows(repo));
    Some(repos)
}

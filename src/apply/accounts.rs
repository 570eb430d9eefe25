//! Accounts: who may write, and who can be assigned.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Executor;
use crate::gitea as forge;
use crate::issue::RepoName;

/// How long an account that may be assigned is cached.
const ASSIGNABLE_FOR: Duration = Duration::from_secs(300);
/// How long an account that may not be assigned is cached: shorter, since somebody may be correcting it.
const UNASSIGNABLE_FOR: Duration = Duration::from_secs(30);
/// How long it is cached that somebody may write to a repository.
const WRITERS_FOR: Duration = Duration::from_secs(60);
/// How long it is cached that somebody is not among those who may: shorter, since they may just have been let in.
const STRANGERS_FOR: Duration = Duration::from_secs(5);

impl Executor {
    /// Whether `login` may write to the repository; cached for a minute. Who may not costs no call of their own, however
    /// many they are.
    pub async fn may_write(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        if !self.listed.has(repo, login, self.forge.writers(repo)).await? {
            return Ok(false);
        }
        let asked = self.forge.is_writer(repo, login);
        self.writers.get(repo, login, asked, |_| WRITERS_FOR).await
    }

    /// Whether the forge will take `login` as an assignee. Asked before assigning: for an unknown login Gitea
    /// answers 500 and may have dropped the old assignees by then.
    pub async fn is_assignable(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let asked = self.forge.assignable(repo, login);
        let long = |answer| if answer { ASSIGNABLE_FOR } else { UNASSIGNABLE_FOR };
        self.assignable.get(repo, login, asked, long).await
    }
}

/// Who is listed as a writer of a repository, and when it was asked.
type List = (Instant, HashSet<String>);

/// The lists of those who may write, for a while.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<RepoName, List>>);

impl Lists {
    /// Whether `login` is on the list of `repo`, which `ask` reads anew when it is old, sooner for who is not on it.
    async fn has(
        &self,
        repo: &RepoName,
        login: &str,
        ask: impl Future<Output = Result<Vec<String>, forge::Error>>,
    ) -> Result<bool, forge::Error> {
        let login = login.to_lowercase();
        if let Some((asked_at, known)) = self.0.lock().await.get(repo) {
            let (has, age) = (known.contains(&login), asked_at.elapsed());
            if age < if has { WRITERS_FOR } else { STRANGERS_FOR } {
                return Ok(has);
            }
        }
        let list: HashSet<_> = ask.await?.iter().map(|listed| listed.to_lowercase()).collect();
        let has = list.contains(&login);
        self.0.lock().await.insert(repo.clone(), (Instant::now(), list));
        Ok(has)
    }
}

/// What the forge said of accounts in repositories, for a while.
#[derive(Default)]
pub(super) struct Answers(Mutex<HashMap<(RepoName, String), (Instant, bool)>>);

impl Answers {
    /// The answer that is known, or the one to `ask`, which is kept as long as `long` says.
    async fn get(
        &self,
        repo: &RepoName,
        login: &str,
        ask: impl Future<Output = Result<bool, forge::Error>>,
        long: impl FnOnce(bool) -> Duration,
    ) -> Result<bool, forge::Error> {
        let key = (repo.clone(), login.to_lowercase());
        let known = self.0.lock().await.get(&key).copied();
        if let Some((_, answer)) = known.filter(|(until, _)| Instant::now() < *until) {
            return Ok(answer);
        }
        let answer = ask.await?;
        let now = Instant::now();
        let mut known = self.0.lock().await;
        known.retain(|_, (until, _)| now < *until);
        known.insert(key, (now + long(answer), answer));
        Ok(answer)
    }
}

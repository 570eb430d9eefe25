//! Accounts: who may write, and who can be assigned.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Executor;
use crate::gitea::{self as forge, Rights};
use crate::issue::RepoName;

/// How long an account that may be assigned is cached.
const ASSIGNABLE_FOR: Duration = Duration::from_secs(300);
/// How long an account that may not be assigned is cached: shorter, since somebody may be correcting it.
const UNASSIGNABLE_FOR: Duration = Duration::from_secs(30);
/// How long it is cached that somebody is listed, or seemed to be a writer: that they may write is always asked anew.
const WRITERS_FOR: Duration = Duration::from_secs(60);
/// How long it is cached that somebody may not write: shorter, since they may just have been let in.
const STRANGERS_FOR: Duration = Duration::from_secs(5);

impl Executor {
    /// Whether `login` may write to the repository's issues: the one question for commands, approvals and whatever else
    /// only writers may. Who is on no list costs no call of their own, however many they are, unless the forge tells us
    /// of anybody. An account of which it does not tell may when it is named in `triage.commanders`.
    pub async fn rights(&self, repo: &RepoName, login: &str) -> Result<Rights, forge::Error> {
        let rights = if self.listed.has(repo, login, self.forge.writers(repo)).await? {
            self.forge.rights(repo, login).await?
        } else {
            self.rights_of_unlisted(repo, login).await?
        };
        let rights = match rights {
            Rights::Unshown { account, .. } if self.named.is_commander(&account) => Rights::Writer,
            rights => rights,
        };
        let is_writer = rights == Rights::Writer;
        let long = if is_writer { WRITERS_FOR } else { STRANGERS_FOR };
        self.writers.keep(repo, login, is_writer, long).await;
        Ok(rights)
    }

    /// Site administrators may write everywhere and are on no list; only administrators of the repository are told.
    async fn rights_of_unlisted(
        &self,
        repo: &RepoName,
        login: &str,
    ) -> Result<Rights, forge::Error> {
        if self.untold.known(repo, "").await.is_some()
            || self.writers.known(repo, login).await == Some(false)
        {
            return Ok(Rights::Reader);
        }
        match self.forge.permission(repo, login).await {
            Ok(permission) if matches!(permission.as_str(), "admin" | "owner") => {
                Ok(Rights::Writer)
            }
            Ok(_) => Ok(Rights::Reader),
            Err(error) if matches!(error.status(), Some(403)) => {
                self.untold.keep(repo, "", false, STRANGERS_FOR).await;
                Ok(Rights::Reader)
            }
            Err(error) if matches!(error.status(), Some(404)) => Ok(Rights::Reader),
            Err(error) => Err(error),
        }
    }

    /// Whether `login` may write, as it was a moment ago: for the order of work alone, since no right may follow from it.
    pub async fn seems_writer(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        match self.writers.known(repo, login).await {
            Some(known) => Ok(known),
            None => Ok(self.rights(repo, login).await? == Rights::Writer),
        }
    }

    /// Whether `login` is a person who is listed as a possible assignee; no right follows from it.
    pub async fn is_listed(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        self.listed.has(repo, login, self.forge.writers(repo)).await
    }

    /// Whether the forge will take `login` as an assignee. Asked before assigning: for an unknown login Gitea
    /// answers 500 and may have dropped the old assignees by then.
    pub async fn is_assignable(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let asked = self.forge.assignable(repo, login);
        let long = |answer| if answer { ASSIGNABLE_FOR } else { UNASSIGNABLE_FOR };
        self.assignable.get(repo, login, asked, long).await
    }
}

/// Who is listed in a repository, and when it was asked.
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
        if let Some(answer) = self.known(repo, login).await {
            return Ok(answer);
        }
        let answer = ask.await?;
        self.keep(repo, login, answer, long(answer)).await;
        Ok(answer)
    }

    async fn known(&self, repo: &RepoName, login: &str) -> Option<bool> {
        let known = self.0.lock().await.get(&key(repo, login)).copied();
        known.filter(|(until, _)| Instant::now() < *until).map(|(_, answer)| answer)
    }

    /// Keeps an answer for so long.
    async fn keep(&self, repo: &RepoName, login: &str, answer: bool, long: Duration) {
        let now = Instant::now();
        let mut known = self.0.lock().await;
        known.retain(|_, (until, _)| now < *until);
        known.insert(key(repo, login), (now + long, answer));
    }
}

fn key(repo: &RepoName, login: &str) -> (RepoName, String) {
    (repo.clone(), login.to_lowercase())
}

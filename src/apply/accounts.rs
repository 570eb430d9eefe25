//! Accounts: who may write, who can be assigned, and who is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Executor;
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, RepoName};
use crate::plan::EffectOutcome;

/// How long an account that may be assigned is cached.
const ASSIGNABLE_FOR: Duration = Duration::from_secs(300);
/// How long an account that may not be assigned is cached: shorter, since somebody may be correcting it.
const UNASSIGNABLE_FOR: Duration = Duration::from_secs(30);

/// How long the assignees of an issue are taken to be as they were read; then they are read again.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long it is cached that somebody may write to a repository.
const WRITERS_FOR: Duration = Duration::from_secs(60);

impl Executor {
    /// Adds an assignee beside those the issue has; the API replaces the whole set.
    pub(super) async fn assign(
        &self,
        at: &IssueRef,
        issue: &Issue,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        let mut logins = issue.assignees.clone();
        logins.push(login.to_owned());
        let now = self.forge.set_assignees(at, &logins).await?;
        if now.iter().any(|l| l.eq_ignore_ascii_case(login)) {
            return Ok(EffectOutcome::done(None));
        }
        Ok(EffectOutcome::failed(format!(
            "the forge did not assign `{login}`; check its access to `{}`",
            at.repo
        )))
    }

    /// The same for an issue that was read some time ago.
    pub(super) async fn assign_anew(
        &self,
        at: &IssueRef,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        match self.forge.issue(at).await? {
            Some(issue) if !issue.is_assigned_to(login) => self.assign(at, &issue, login).await,
            _ => Ok(EffectOutcome::done(None)),
        }
    }

    /// Takes one assignee off and leaves the others.
    pub(super) async fn unassign(
        &self,
        at: &IssueRef,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        // Read anew: the assignees may have changed by what was written just before.
        let Some(issue) = self.forge.issue(at).await? else { return Ok(EffectOutcome::done(None)) };
        let mut logins = issue.assignees;
        logins.retain(|one| !one.eq_ignore_ascii_case(login));
        self.forge.set_assignees(at, &logins).await?;
        Ok(EffectOutcome::done(None))
    }

    /// Whether `login` may write to the repository; cached for a minute.
    pub async fn may_write(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        if let Some(answer) = self.writers.get(repo, login).await {
            return Ok(answer);
        }
        let answer = self.forge.is_writer(repo, login).await?;
        self.writers.insert(repo, login, answer, WRITERS_FOR).await;
        Ok(answer)
    }

    /// Whether the forge will take `login` as an assignee. Asked before assigning: for an unknown login Gitea
    /// answers 500 and may have dropped the old assignees by then.
    pub async fn is_assignable(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        if let Some(answer) = self.assignable.get(repo, login).await {
            return Ok(answer);
        }
        let answer = self.forge.assignable(repo, login).await?;
        let long = if answer { ASSIGNABLE_FOR } else { UNASSIGNABLE_FOR };
        self.assignable.insert(repo, login, answer, long).await;
        Ok(answer)
    }
}

/// What the forge said of accounts in repositories, for a while.
#[derive(Default)]
pub(super) struct Answers {
    known: Mutex<HashMap<(RepoName, String), (Instant, bool)>>,
}

impl Answers {
    async fn get(&self, repo: &RepoName, login: &str) -> Option<bool> {
        let known = self.known.lock().await;
        let (until, answer) = known.get(&key(repo, login))?;
        (Instant::now() < *until).then_some(*answer)
    }

    async fn insert(&self, repo: &RepoName, login: &str, answer: bool, long: Duration) {
        let now = Instant::now();
        let mut known = self.known.lock().await;
        known.retain(|_, (until, _)| now < *until);
        known.insert(key(repo, login), (now + long, answer));
    }
}

fn key(repo: &RepoName, login: &str) -> (RepoName, String) {
    (repo.clone(), login.to_lowercase())
}

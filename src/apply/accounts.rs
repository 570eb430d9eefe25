//! Accounts: who may write, who can be assigned, and who is.

use std::time::{Duration, Instant};

use super::{Hands, done, failed};
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, RepoName};
use crate::plan::EffectOutcome;

/// How long an account that may be assigned is believed to stay so.
const ASSIGNABLE_FOR: Duration = Duration::from_secs(300);
/// How long an account that may not be assigned is believed to stay so: shorter, since somebody may be mending it.
const UNASSIGNABLE_FOR: Duration = Duration::from_secs(30);

/// How long the assignees of an issue are taken to be as they were read: a request more would cost as much as they.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long somebody who may write to a repository is believed to be so.
const WRITERS_FOR: Duration = Duration::from_secs(60);

impl Hands {
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
            return Ok(done(None));
        }
        Ok(failed(format!("the forge did not assign `{login}`; check its access to `{}`", at.repo)))
    }

    /// The same for an issue that was read some time ago.
    pub(super) async fn assign_anew(
        &self,
        at: &IssueRef,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        match self.forge.issue(at).await? {
            Some(issue) if !issue.is_assigned_to(login) => self.assign(at, &issue, login).await,
            _ => Ok(done(None)),
        }
    }

    /// Takes one assignee off and leaves the others.
    pub(super) async fn unassign(
        &self,
        at: &IssueRef,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        // Read anew: the assignees may have changed by what was written just before.
        let Some(issue) = self.forge.issue(at).await? else { return Ok(done(None)) };
        let mut logins = issue.assignees;
        logins.retain(|one| !one.eq_ignore_ascii_case(login));
        self.forge.set_assignees(at, &logins).await?;
        Ok(done(None))
    }

    /// Whether `login` may write to the repository; believed for a minute.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    pub async fn may_write(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let key = (repo.clone(), login.to_lowercase());
        if let Some((until, answer)) = self.writers.lock().await.get(&key)
            && Instant::now() < *until
        {
            return Ok(*answer);
        }
        let answer = self.forge.is_writer(repo, login).await?;
        let mut writers = self.writers.lock().await;
        writers.retain(|_, (until, _)| Instant::now() < *until);
        writers.insert(key, (Instant::now() + WRITERS_FOR, answer));
        Ok(answer)
    }

    /// Whether the forge will take `login` as an assignee. Asked before assigning: for an unknown login Gitea
    /// answers 500 and may have dropped the old assignees by then.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    pub async fn is_assignable(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let key = (repo.clone(), login.to_lowercase());
        if let Some((until, answer)) = self.assignable.lock().await.get(&key)
            && Instant::now() < *until
        {
            return Ok(*answer);
        }
        let answer = self.forge.assignable(repo, login).await?;
        let until = Instant::now() + if answer { ASSIGNABLE_FOR } else { UNASSIGNABLE_FOR };
        self.assignable.lock().await.insert(key, (until, answer));
        Ok(answer)
    }
}

//! What a closed issue lacks of what the owner requires. It reads; what follows is decided elsewhere.

use super::process::Error;
use super::{Rules, Worker};
use crate::gitea::What;
use crate::issue::{Issue, IssueRef};
use crate::triage::{code, open_tasks};

/// What a closed issue has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// No task-list item is open.
    Tasks,
    /// A merged pull request is linked.
    PullRequest,
    /// The checks of that pull request are green.
    Status,
}

impl Worker {
    /// What is missing, in the order in which it is required.
    pub(super) async fn unmet(
        &self,
        issue: &Issue,
        at: &IssueRef,
        rules: &Rules,
    ) -> Result<Vec<String>, Error> {
        let mut unmet = Vec::new();
        let reads_pulls = rules.review.iter().any(|check| *check != Check::Tasks);
        let pull = if reads_pulls { self.merged_pull(at).await? } else { None };
        for check in &rules.review {
            let missing = match (check, &pull) {
                (Check::Tasks, _) => tasks(issue),
                (Check::PullRequest, None) => {
                    Some("no merged pull request is linked to it".to_owned())
                }
                (Check::PullRequest, Some(_)) => None,
                (Check::Status, None) => {
                    Some("no merged pull request whose checks could be looked at".to_owned())
                }
                (Check::Status, Some(pull)) => self.checks(pull).await?,
            };
            unmet.extend(missing);
        }
        Ok(unmet)
    }

    /// The latest merged pull request that speaks of the issue.
    async fn merged_pull(&self, at: &IssueRef) -> Result<Option<IssueRef>, Error> {
        let timeline = self.inner.forge.timeline(at, None).await?;
        let merged = timeline.into_iter().rev().find_map(|one| match one.what {
            What::Linked { pull, is_merged: true } => Some(pull),
            _ => None,
        });
        Ok(merged)
    }

    async fn checks(&self, at: &IssueRef) -> Result<Option<String>, Error> {
        let named = code(&at.to_string());
        let Some(pull) = self.inner.forge.pull(at).await? else {
            return Ok(Some(format!("the pull request {named} is gone")));
        };
        let status = self.inner.forge.commit_status(&at.repo, &pull.head).await?;
        Ok(match status.as_str() {
            "success" => None,
            "" => Some(format!("no check has looked at {named}")),
            other => Some(format!("the checks of {named} say {}", code(other))),
        })
    }
}

fn tasks(issue: &Issue) -> Option<String> {
    match open_tasks(issue) {
        0 => None,
        1 => Some("1 task in its list is not ticked".to_owned()),
        open => Some(format!("{open} tasks in its list are not ticked")),
    }
}

//! Asks the forge what an evaluation wants to know. It decides nothing.

use super::Worker;
use super::process::Error;
use crate::issue::{Account, Change, IssueNumber, IssueRef, IssueState};
use crate::triage::{Answered, MarkedComment, Marker, MergedPull, Question};

impl Worker {
    /// The forge's answer to a question about an issue.
    pub(super) async fn ask(&self, at: &IssueRef, question: Question) -> Result<Answered, Error> {
        let forge = &self.parts.forge;
        Ok(match question {
            Question::Timeline { since } => {
                Answered::Timeline(forge.timeline(at, Some(since)).await?)
            }
            Question::Review { with_checks } => {
                Answered::Review(self.merged_pull(at, with_checks).await?)
            }
            Question::Dependencies => Answered::Dependencies(open(forge.dependencies(at).await?)),
            Question::Blockers(named) => {
                Answered::ClosedBlockers(self.closed_among(at, named).await?)
            }
            Question::Assignable(login) => {
                let answer = self.parts.executor.is_assignable(&at.repo, &login).await?;
                Answered::Assignable(login, answer)
            }
            Question::Comments => Answered::Comments(self.marked_comments(at).await?),
            Question::Account => Answered::Account(self.us().await?),
        })
    }

    /// Our own account, asked for when it is not known yet.
    async fn us(&self) -> Result<Account, Error> {
        match self.account() {
            Some(account) => Ok((*account).clone()),
            None => Ok(self.parts.forge.whoami().await?),
        }
    }

    async fn marked_comments(&self, at: &IssueRef) -> Result<Vec<MarkedComment>, Error> {
        let us = self.us().await?;
        let comments = self.parts.forge.comments(at).await?;
        let ours = comments
            .iter()
            .rev()
            .filter(|comment| comment.author.as_ref().is_some_and(|author| author.is_same_as(&us)));
        let marked = |comment: &crate::gitea::Comment| {
            Marker::find(&comment.body).map(|marker| MarkedComment { id: comment.id, marker })
        };
        Ok(ours.filter_map(marked).collect())
    }

    async fn closed_among(
        &self,
        at: &IssueRef,
        named: Vec<IssueNumber>,
    ) -> Result<Vec<IssueNumber>, Error> {
        let mut closed = Vec::new();
        for number in named {
            let blocker = IssueRef { repo: at.repo.clone(), number };
            let found = self.parts.forge.issue(&blocker).await?;
            if found.is_some_and(|issue| issue.state == IssueState::Closed) {
                closed.push(number);
            }
        }
        Ok(closed)
    }

    /// The latest merged pull request that names the issue.
    async fn merged_pull(
        &self,
        at: &IssueRef,
        with_checks: bool,
    ) -> Result<Option<MergedPull>, Error> {
        let forge = &self.parts.forge;
        let timeline = forge.timeline(at, None).await?;
        let merged = timeline.into_iter().rev().find_map(|one| match one.change {
            Change::Linked { pull, is_merged: true } => Some(pull),
            _ => None,
        });
        let Some(at) = merged else { return Ok(None) };
        let pull = if with_checks { forge.pull(&at).await? } else { None };
        let status = match pull {
            Some(pull) => Some(forge.commit_status(&at.repo, &pull.head).await?),
            None => None,
        };
        Ok(Some(MergedPull { at, status }))
    }
}

/// The issues of a list that are open.
pub(super) fn open(listed: Vec<(IssueRef, IssueState)>) -> Vec<IssueRef> {
    let open = listed.into_iter().filter(|(_, state)| *state == IssueState::Open);
    open.map(|(at, _)| at).collect()
}

//! Asks the forge, or the store about other issues, what an evaluation wants to know. It decides nothing.

use std::collections::BTreeSet;

use super::Worker;
use super::process::Error;
use crate::delivery::{Origin, ShownText};
use crate::dispatch::{EffectKind, PullState, Remark, RemarkId};
use crate::gitea::{self as forge, Comment, Rights};
use crate::issue::{Account, Change, IssueRef, IssueState, RepoName, beginning};
use crate::store::Claim;
use crate::triage::{Facts, MarkedComment, Marker, MergedPull, Question};

/// The deliveries that show who did what with which text before them.
const SHOWS_TEXT: [&str; 5] = [
    "issues/edited",
    "issues/label_updated",
    "issues/assigned",
    "issue_comment/created",
    "issue_comment/edited",
];

/// How much of a comment on a pull request is kept, in bytes.
const LONGEST_REMARK: usize = 16 * 1024;

impl Worker {
    /// Asks about an issue, and adds the answer to the facts. The deliveries are those of the claim, if there is one.
    pub(super) async fn ask(
        &self,
        at: &IssueRef,
        claim: Option<&Claim>,
        question: Question,
        facts: &mut Facts,
    ) -> Result<(), Error> {
        let forge = &self.parts.forge;
        match question {
            Question::Timeline { since } => {
                facts.timeline = Some(forge.timeline(at, Some(since)).await?);
            }
            Question::Review { with_checks } => {
                facts.review = Some(self.merged_pull(at, with_checks).await?);
            }
            Question::Pull { at, answered } => {
                (facts.pull, facts.pull_comments) = self.pull(&at, &answered).await?;
            }
            Question::OpenPulls(pulls) => facts.open_pulls = Some(self.open_among(pulls).await?),
            Question::Dependencies => {
                facts.dependencies = Some(open(forge.dependencies(at).await?));
            }
            Question::Blockers(named) => {
                facts.closed_blockers = Some(self.closed_among(named).await?);
            }
            Question::Assignable(login) => {
                let answer = match self.parts.executor.is_assignable(&at.repo, &login).await {
                    // The account is called otherwise now: nobody has this login.
                    Err(forge::Error::Renamed { .. }) => false,
                    answer => answer?,
                };
                facts.assignable.insert(login, answer);
            }
            Question::Texts(ids) => facts.texts = Some(self.texts(at, ids).await?),
            Question::Comments => facts.comments = Some(self.marked_comments(at).await?),
            Question::Account => facts.account = Some(self.us(&at.repo).await?),
            Question::Neighbours(lookup) => {
                facts.neighbours = Some(self.parts.store.neighbours(lookup).await?);
            }
            Question::Owner => facts.owner_is_person = Some(self.is_owner_person(at).await?),
            Question::Writer(login) => {
                let may_write = self.may_write(&at.repo, &login).await?;
                facts.writers.insert(login, may_write);
            }
            Question::Public => facts.is_public = Some(self.is_public(&at.repo).await?),
            Question::Budget => {
                let (budgets, now) = (self.rules().budgets.clone(), self.parts.clock.now());
                facts.used_up = Some(self.parts.store.used_up(at, budgets, now).await?);
            }
            Question::ShownTexts => facts.shown_texts = Some(self.shown_texts(claim).await?),
        }
        Ok(())
    }

    /// Whether the repository's owner is a person. An organisation is not among those who may write; where the forge does
    /// not show them, the owner is mentioned as before.
    async fn is_owner_person(&self, at: &IssueRef) -> Result<bool, Error> {
        match self.parts.executor.is_listed(&at.repo, at.repo.owner()).await {
            Err(error) if error.is_transient() => Err(error.into()),
            answer => Ok(answer.unwrap_or(true)),
        }
    }

    /// Whether this login may write to the repository's issues. Where the forge does not say, it may not.
    async fn may_write(&self, repo: &RepoName, login: &str) -> Result<bool, Error> {
        if login.is_empty() {
            return Ok(false);
        }
        match self.parts.executor.rights(repo, login).await {
            Err(error) if error.is_transient() => Err(error.into()),
            answer => Ok(answer.is_ok_and(|rights| rights == Rights::Writer)),
        }
    }

    /// Whether everybody may read the repository. Where the forge does not say, they may.
    async fn is_public(&self, repo: &RepoName) -> Result<bool, Error> {
        match self.parts.forge.repository(repo).await {
            Err(error) if error.is_transient() => Err(error.into()),
            answer => Ok(answer.map_or(true, |repo| !repo.private)),
        }
    }

    /// What the deliveries of a claim show of the text, oldest first. One that cannot be read shows nothing.
    async fn shown_texts(&self, claim: Option<&Claim>) -> Result<Vec<ShownText>, Error> {
        let mut shown = Vec::new();
        let deliveries = claim.map(|claim| claim.deliveries.as_slice()).unwrap_or_default();
        for delivery in deliveries.iter().filter(|one| one.origin == Origin::Webhook) {
            if SHOWS_TEXT.contains(&delivery.action.as_str()) {
                let body = self.parts.store.body(delivery.seq).await?;
                shown.extend(body.and_then(|body| forge::shown_text(&body)));
            }
        }
        Ok(shown)
    }

    /// Our own account, asked for when it is not known yet.
    pub(super) async fn us(&self, repo: &RepoName) -> Result<Account, Error> {
        if let Some(account) = self.account() {
            return Ok((*account).clone());
        }
        let account = self.parts.forge.whoami_in(repo).await?;
        self.set_account(account.clone());
        Ok(account)
    }

    /// Our own comments on an issue, newest first.
    pub(super) async fn marked_comments(&self, at: &IssueRef) -> Result<Vec<MarkedComment>, Error> {
        let us = self.us(&at.repo).await?;
        match self.parts.forge.comments_of(at, move |one| marked(one, &us)).await {
            Err(error @ forge::Error::TooLarge { .. }) => self.known_comments(at, error).await,
            ours => Ok(ours?.into_iter().rev().collect()),
        }
    }

    /// The same where the list of all is too large: those that the ledger knows. Where one was meant and nobody knows
    /// whether it was written, nothing is supposed.
    async fn known_comments(
        &self,
        at: &IssueRef,
        error: forge::Error,
    ) -> Result<Vec<MarkedComment>, Error> {
        let record = self.parts.store.record(at.clone()).await?;
        if record.unconfirmed.iter().any(|one| one.write.key().0 == EffectKind::Comment) {
            return Err(error.into());
        }
        tracing::warn!(issue = %at, %error, "only the comments that the ledger knows are read");
        let known = record.audit_comment.iter().chain(&record.calls).map(|one| one.id);
        let known: BTreeSet<_> = known.collect();
        self.texts(at, known.into_iter().rev().collect()).await
    }

    /// Those of our comments that have these ids, and are still there.
    async fn texts(&self, at: &IssueRef, ids: Vec<i64>) -> Result<Vec<MarkedComment>, Error> {
        let us = self.us(&at.repo).await?;
        let mut texts = Vec::new();
        for id in ids {
            let found = self.parts.forge.comment(at, id).await?;
            texts.extend(found.and_then(|one| marked(one, &us)));
        }
        Ok(texts)
    }

    /// A pull request of an agent and what was said about it, and our own comments there, newest first. Of one that is over
    /// nothing more is asked.
    async fn pull(
        &self,
        at: &IssueRef,
        answered: &BTreeSet<RemarkId>,
    ) -> Result<(Option<Option<PullState>>, Vec<MarkedComment>), Error> {
        let forge = &self.parts.forge;
        let Some(pull) = forge.pull(at).await? else { return Ok((Some(None), Vec::new())) };
        if !pull.is_open {
            return Ok((Some(Some(PullState::default())), Vec::new()));
        }
        let us = self.us(&at.repo).await?;
        let checks = forge.checks(&at.repo, &pull.head).await?;
        let mut remarks = forge.reviews(at, answered).await?;
        let mut ours = Vec::new();
        for comment in forge.comments_of(at, Some).await? {
            remarks.extend(commented(&comment));
            ours.extend(marked(comment, &us));
        }
        ours.reverse();
        remarks.sort_by_key(|one| one.at);
        let state = PullState { is_open: true, head: pull.head, remarks, checks };
        Ok((Some(Some(state)), ours))
    }

    /// Those that are closed. One that we may not read is not known to be.
    async fn closed_among(&self, named: Vec<IssueRef>) -> Result<Vec<IssueRef>, Error> {
        let mut closed = Vec::new();
        for blocker in named {
            let found = match self.parts.forge.issue(&blocker).await {
                Err(error) if error.is_hidden() => None,
                found => found?,
            };
            if found.is_some_and(|issue| issue.state == IssueState::Closed) {
                closed.push(blocker);
            }
        }
        Ok(closed)
    }

    async fn open_among(&self, pulls: Vec<IssueRef>) -> Result<Vec<IssueRef>, Error> {
        let mut open = Vec::new();
        for at in pulls {
            if self.parts.forge.pull(&at).await?.is_some_and(|pull| pull.is_open) {
                open.push(at);
            }
        }
        Ok(open)
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
            Change::Linked { pull, is_merged: true, merged_at, .. } => Some((pull, merged_at)),
            _ => None,
        });
        let Some((at, merged_at)) = merged else { return Ok(None) };
        let pull = if with_checks { forge.pull(&at).await? } else { None };
        let status = match pull {
            Some(pull) => Some(forge.commit_status(&at.repo, &pull.head).await?),
            None => None,
        };
        Ok(Some(MergedPull { at, status, merged_at }))
    }
}

/// A comment on a pull request, as something that was said about it.
fn commented(comment: &Comment) -> Option<Remark> {
    let text = beginning(&comment.body, LONGEST_REMARK).to_owned();
    (!text.trim().is_empty()).then(|| Remark {
        id: RemarkId::Comment(comment.id),
        by: comment.author.clone(),
        at: comment.created_at,
        is_approval: false,
        place: None,
        hunk: String::new(),
        text,
    })
}

/// A comment, if it is ours. Anybody can write a marker, so only those by our own account count.
fn marked(comment: Comment, us: &Account) -> Option<MarkedComment> {
    comment.author.filter(|by| by.is_same_as(us))?;
    let marker = Marker::find(&comment.body)?;
    Some(MarkedComment { id: comment.id, marker, body: comment.body })
}

/// The issues of a list that are open.
pub(super) fn open(listed: Vec<(IssueRef, IssueState)>) -> Vec<IssueRef> {
    let open = listed.into_iter().filter(|(_, state)| *state == IssueState::Open);
    open.map(|(at, _)| at).collect()
}

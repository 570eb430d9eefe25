//! Finds what is asked for: the commands in the deliveries of an issue, and, where deliveries may have been lost, in its
//! comments; whether their writers may give any; those given by hand, and what agents reported. This is the one thing
//! that is read from a delivery itself, once for each comment.

use chrono::TimeDelta;

use super::Worker;
use super::process::Error;
use crate::delivery::{CommentEvent, Event, Origin};
use crate::dispatch::Reported;
use crate::gitea::{self as forge, Comment, Rights};
use crate::issue::{Account, Issue};
use crate::store::{Claim, Claimed, GivenOrders, LastLook, ManualOrder};
use crate::triage::commands;
use crate::triage::{CommandRequest, Permission, Source};

/// How the action of a delivery about a comment begins, and how it ends for one that takes a comment away.
const COMMENT: &str = "issue_comment/";
const DELETED: &str = "deleted";
/// How far the forge's clock may be behind ours.
const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(5);
/// How long somebody who was refused in words gets no more of them.
const DAY: TimeDelta = TimeDelta::days(1);

impl Worker {
    /// Writes down the commands in the deliveries of a claim, before anything can go wrong with them.
    pub(super) async fn receive_orders(&self, claim: &Claim) -> Result<(), Error> {
        let mut given = Vec::new();
        for delivery in &claim.deliveries {
            given.extend(self.given(delivery).await?);
        }
        self.keep_orders(claim, given).await
    }

    /// The commands that are to be carried out or answered, oldest first.
    pub(super) async fn requests(
        &self,
        claim: &Claim,
        issue: &Issue,
    ) -> Result<Vec<CommandRequest>, Error> {
        self.keep_orders(claim, self.unheard_of(claim, issue).await?).await?;
        let mut requests = self.parts.store.open_orders(claim).await?;
        let mut asked = None;
        for request in &mut requests {
            let known = asked.filter(|(source, _)| *source == request.source);
            let permission = match known {
                Some((_, permission)) => permission,
                None => self.permission(claim, request).await?,
            };
            asked = Some((request.source, permission));
            request.permission = permission;
            if permission != Permission::Writer {
                let since = self.parts.clock.now() - DAY;
                request.is_author_told = self.parts.store.was_refused(request, since).await?;
            }
        }
        Ok(requests)
    }

    /// What agents reported, oldest first.
    pub(super) async fn reports(&self, claim: &Claim) -> Result<Vec<Reported>, Error> {
        let mut reports = Vec::new();
        for delivery in claim.deliveries.iter().filter(|d| d.origin == Origin::Agent) {
            reports.extend(self.parts.store.carried::<Reported>(delivery.seq).await?);
        }
        Ok(reports)
    }

    async fn keep_orders(&self, claim: &Claim, given: Vec<GivenOrders>) -> Result<(), Error> {
        if !given.is_empty() {
            let now = self.parts.clock.now();
            self.parts.store.receive_orders(claim, given, now).await?;
        }
        Ok(())
    }

    /// What one delivery asks for.
    async fn given(&self, delivery: &Claimed) -> Result<Option<GivenOrders>, Error> {
        match delivery.origin {
            Origin::Webhook if delivery.action.starts_with(COMMENT) => {
                let Some(body) = self.parts.store.body(delivery.seq).await? else {
                    return Ok(None);
                };
                match forge::parse(&body) {
                    Ok(Event::Issue(event)) => {
                        Ok(event.comment.and_then(|comment| in_event(*comment, event.sender)))
                    }
                    _ => Ok(None),
                }
            }
            Origin::Manual => {
                let order: Option<ManualOrder> = self.parts.store.carried(delivery.seq).await?;
                Ok(order.map(|order| GivenOrders {
                    source: Source::Entry(delivery.seq),
                    by: order.by,
                    by_id: 0,
                    commands: vec![order.command],
                    before: None,
                    task_type: order.task_type,
                }))
            }
            _ => Ok(None),
        }
    }

    /// The commands in comments of which no delivery told: read where there are more comments than at the last look, and
    /// where the sweep found a change: an edit moves no time of change. Others cannot be new. A delivery may tell of a
    /// comment that was counted at the last look, so that none tells how many are new.
    async fn unheard_of(&self, claim: &Claim, issue: &Issue) -> Result<Vec<GivenOrders>, Error> {
        if issue.comments == 0 || claim.at.repo.is_former() {
            return Ok(Vec::new());
        }
        let Some(look) = self.parts.store.last_look(claim).await? else { return Ok(Vec::new()) };
        let is_removed = |d: &&Claimed| d.action.strip_prefix(COMMENT) == Some(DELETED);
        let removed = claim.deliveries.iter().filter(is_removed).count() as u64;
        let is_touched = issue.updated_at.is_none_or(|at| at >= look.at - CLOCK_SLACK);
        let is_more = issue.comments + removed > look.comments.unwrap_or_default();
        let is_found = claim.deliveries.iter().any(|d| d.origin == Origin::Sweep);
        let is_news = is_found || (is_touched && is_more);
        if !is_news {
            return Ok(Vec::new());
        }
        let us = self.us(&claim.at.repo).await?;
        let mut place = 0;
        let new_command = move |comment: Comment| {
            place += 1;
            let is_ours = comment.author.as_ref().is_some_and(|by| by.is_same_as(&us));
            let is_new = !is_ours && is_after(&look, place - 1, &comment);
            in_comment(comment).filter(|_| is_new)
        };
        match self.parts.forge.comments_of(&claim.at, new_command).await {
            // What was told is carried out all the same.
            Err(error @ forge::Error::TooLarge { .. }) => {
                tracing::warn!(issue = %claim.at, %error, "commands of which no webhook told are not looked for");
                Ok(Vec::new())
            }
            found => found.map_err(unread),
        }
    }

    /// What may pass is tried again with the whole issue; what stays unknown is refused. Who may give commands by hand
    /// was found out where they were given.
    pub(super) async fn permission(
        &self,
        claim: &Claim,
        asked: &CommandRequest,
    ) -> Result<Permission, Error> {
        if matches!(asked.source, Source::Entry(_)) {
            return Ok(Permission::Writer);
        }
        match self.parts.executor.rights(&claim.at.repo, &asked.by).await {
            Ok(Rights::Writer) => Ok(Permission::Writer),
            Ok(Rights::Reader) => Ok(Permission::Reader),
            Ok(Rights::Unshown { is_admin, .. }) => Ok(Permission::Unshown { is_admin }),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(Permission::Unknown),
        }
    }
}

/// The issue could be read, so that a refusal here is tried again: commands must not be lost by it.
fn unread(error: forge::Error) -> Error {
    match error.status() {
        Some(403 | 404) => Error::Unread(error),
        _ => error.into(),
    }
}

/// Whether a comment, which has this place among all, may hold a command that came after the look. The forge says whole
/// seconds, and its clock may be behind ours; what was there at the first look is old.
fn is_after(look: &LastLook, place: u64, comment: &Comment) -> bool {
    let Some(written) = comment.created_at else { return false };
    let changed = comment.updated_at.unwrap_or(written);
    let [written_s, changed_s, look_s, first_s] =
        [written, changed, look.at, look.first_at].map(|at| at.timestamp());
    let is_later = match look_s == first_s {
        true => written_s > look_s,
        false => written_s >= look_s || (changed_s >= look_s && written_s > first_s),
    };
    let is_added = look.comments.is_some_and(|seen| place >= seen);
    is_later || (is_added && written > look.at - CLOCK_SLACK)
}

/// The commands that a comment of the list holds now.
fn in_comment(comment: Comment) -> Option<GivenOrders> {
    let commands = words(&comment.body);
    (!commands.is_empty()).then(|| GivenOrders {
        source: Source::Comment(comment.id),
        by_id: comment.author.as_ref().map_or(0, |by| by.id),
        by: comment.author.map(|by| by.login).unwrap_or_default(),
        commands,
        before: Some(Vec::new()),
        task_type: None,
    })
}

/// The commands that a delivery about a comment brings. A changed text brings those that it did not hold before, and
/// whoever changed it gives them.
fn in_event(comment: CommentEvent, sender: Option<Account>) -> Option<GivenOrders> {
    let says = words(&comment.body);
    let (by, before) = match comment.created {
        true => (comment.author, None),
        false => (sender, Some(words(&comment.former?))),
    };
    let is_about_commands = !says.is_empty() || before.as_ref().is_some_and(|b| !b.is_empty());
    is_about_commands.then(|| GivenOrders {
        source: Source::Comment(comment.id),
        by_id: by.as_ref().map_or(0, |by| by.id),
        by: by.map(|by| by.login).unwrap_or_default(),
        commands: says,
        before,
        task_type: None,
    })
}

fn words(body: &str) -> Vec<String> {
    commands::parse(body).iter().map(commands::Command::words).collect()
}

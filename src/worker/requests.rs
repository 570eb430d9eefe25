//! Finds what is asked for in the pending deliveries of an issue: the commands in its new comments, and whether their
//! writers may give any, those given by hand, and what agents reported. This is the one thing that is read from a
//! delivery itself, once for each comment.

use std::collections::BTreeSet;

use super::Worker;
use super::process::Error;
use crate::delivery::{CommentEvent, Event, Origin};
use crate::dispatch::Reported;
use crate::gitea as forge;
use crate::store::{Claim, Claimed, ManualOrder};
use crate::triage::commands;
use crate::triage::{CommandRequest, Permission, Source};

/// The action of a delivery that brings a new comment.
const NEW_COMMENT: &str = "issue_comment/created";

impl Worker {
    /// The commands of a claim, oldest first; those that were answered before are left out.
    pub(super) async fn requests(&self, claim: &Claim) -> Result<Vec<CommandRequest>, Error> {
        let mut requests: Vec<CommandRequest> = Vec::new();
        let mut read = BTreeSet::new();
        for delivery in &claim.deliveries {
            let mut asked = self.asked(delivery).await?;
            let Some(first) = asked.first() else { continue };
            if !read.insert(first.source) || self.parts.store.is_answered(first.source).await? {
                continue;
            }
            let permission = self.permission(claim, first).await?;
            asked.iter_mut().for_each(|request| request.permission = permission);
            requests.extend(asked);
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

    /// What one delivery asks for, before it is known whether its writer may.
    async fn asked(&self, delivery: &Claimed) -> Result<Vec<CommandRequest>, Error> {
        let permission = Permission::Unknown;
        match delivery.origin {
            Origin::Webhook if delivery.action == NEW_COMMENT => {
                let Some(comment) = self.comment(delivery.seq).await? else {
                    return Ok(Vec::new());
                };
                let (source, task_type) = (Source::Comment(comment.id), None);
                let by = comment.author.map(|a| a.login).unwrap_or_default();
                let request = |command| CommandRequest {
                    source,
                    by: by.clone(),
                    permission,
                    command,
                    task_type,
                };
                Ok(commands::parse(&comment.body).into_iter().map(request).collect())
            }
            Origin::Manual => {
                let order: Option<ManualOrder> = self.parts.store.carried(delivery.seq).await?;
                let request = order.map(|order| CommandRequest {
                    source: Source::Entry(delivery.seq),
                    command: commands::read(&order.command),
                    by: order.by,
                    permission,
                    task_type: order.task_type,
                });
                Ok(request.into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn comment(&self, seq: i64) -> Result<Option<CommentEvent>, Error> {
        let Some(body) = self.parts.store.body(seq).await? else { return Ok(None) };
        match forge::parse(&body) {
            Ok(Event::Issue(event)) => Ok(event.comment.filter(|c| c.created)),
            _ => Ok(None),
        }
    }

    /// What may pass is tried again with the whole issue; what stays unknown is refused. Who may give commands by hand
    /// was found out where they were given.
    async fn permission(&self, claim: &Claim, asked: &CommandRequest) -> Result<Permission, Error> {
        if matches!(asked.source, Source::Entry(_)) {
            return Ok(Permission::Writer);
        }
        match self.parts.executor.may_write(&claim.at.repo, &asked.by).await {
            Ok(true) => Ok(Permission::Writer),
            Ok(false) => Ok(Permission::Reader),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(Permission::Unknown),
        }
    }
}

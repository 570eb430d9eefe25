//! Finds the commands that are pending for an issue: those in its new comments, and whether their writers may give
//! any, and those given by hand; and what agents reported. This is the one thing that is read from a delivery itself,
//! once for each comment.

use std::collections::BTreeSet;

use super::Worker;
use super::process::Error;
use crate::delivery::{CommentEvent, Event, Origin};
use crate::dispatch::TaskType;
use crate::gitea as forge;
use crate::store::{Claim, Claimed, Reported};
use crate::triage::commands::{self, Command};
use crate::triage::{Order, Permission, Source};

/// The action of a delivery that brings a new comment.
const NEW_COMMENT: &str = "issue_comment/created";

/// What was asked for in one comment or entry, before it is known whether its writer may.
struct Given {
    source: Source,
    by: String,
    commands: Vec<Command>,
    task_type: Option<TaskType>,
}

impl Worker {
    /// The orders of a claim, oldest first; those that were answered before are left out.
    pub(super) async fn orders(&self, claim: &Claim) -> Result<Vec<Order>, Error> {
        let mut orders = Vec::new();
        let mut read = BTreeSet::new();
        for delivery in &claim.deliveries {
            let Some(given) = self.given(delivery).await? else { continue };
            if given.commands.is_empty()
                || !read.insert(given.source)
                || self.inner.store.is_answered(given.source).await?
            {
                continue;
            }
            let permission = self.permission(claim, &given).await?;
            let Given { source, by, commands, task_type } = given;
            let order = |command| Order { source, by: by.clone(), permission, command, task_type };
            orders.extend(commands.into_iter().map(order));
        }
        Ok(orders)
    }

    /// What agents reported, oldest first.
    pub(super) async fn reports(&self, claim: &Claim) -> Result<Vec<Reported>, Error> {
        let mut reports = Vec::new();
        for delivery in claim.deliveries.iter().filter(|d| d.origin == Origin::Agent) {
            reports.extend(self.inner.store.reported(delivery.seq).await?);
        }
        Ok(reports)
    }

    async fn given(&self, delivery: &Claimed) -> Result<Option<Given>, Error> {
        match delivery.origin {
            Origin::Webhook if delivery.action == NEW_COMMENT => {
                let comment = self.comment(delivery.seq).await?;
                Ok(comment.map(|comment| Given {
                    source: Source::Comment(comment.id),
                    commands: commands::parse(&comment.body),
                    by: comment.author.map(|a| a.login).unwrap_or_default(),
                    task_type: None,
                }))
            }
            Origin::Manual => {
                let order = self.inner.store.manual_order(delivery.seq).await?;
                Ok(order.map(|order| Given {
                    source: Source::Entry(delivery.seq),
                    commands: vec![commands::read(&order.command)],
                    by: order.by,
                    task_type: order.task_type,
                }))
            }
            _ => Ok(None),
        }
    }

    async fn comment(&self, seq: i64) -> Result<Option<CommentEvent>, Error> {
        let Some(body) = self.inner.store.body(seq).await? else { return Ok(None) };
        match forge::parse(&body) {
            Ok(Event::Issue(event)) => Ok(event.comment.filter(|c| c.created)),
            _ => Ok(None),
        }
    }

    /// What may pass is tried again with the whole issue; what stays unknown is refused. Who may give orders by hand
    /// was found out where they were given.
    async fn permission(&self, claim: &Claim, given: &Given) -> Result<Permission, Error> {
        if matches!(given.source, Source::Entry(_)) {
            return Ok(Permission::Writer);
        }
        match self.inner.executor.may_write(&claim.at.repo, &given.by).await {
            Ok(true) => Ok(Permission::Writer),
            Ok(false) => Ok(Permission::Reader),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(Permission::Unknown),
        }
    }
}

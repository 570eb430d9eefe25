//! Finds the commands in the comments that are pending for an issue, and whether their writers may give any. This is
//! the one thing that is read from a delivery itself, once for each comment.

use std::collections::BTreeSet;

use super::Worker;
use super::process::Error;
use crate::delivery::{CommentEvent, Event};
use crate::gitea as forge;
use crate::store::Claim;
use crate::triage::commands;
use crate::triage::{Order, Permission};

/// The action of a delivery that brings a new comment.
const NEW_COMMENT: &str = "issue_comment/created";

impl Worker {
    /// The orders in the claim's new comments, oldest first; those of a comment that was answered before are left out.
    pub(super) async fn orders(&self, claim: &Claim) -> Result<Vec<Order>, Error> {
        let mut orders = Vec::new();
        let mut read = BTreeSet::new();
        for delivery in claim.deliveries.iter().filter(|d| d.action == NEW_COMMENT) {
            let Some(comment) = self.comment(delivery.seq).await? else { continue };
            let wanted = commands::parse(&comment.body);
            if wanted.is_empty()
                || !read.insert(comment.id)
                || self.inner.store.is_answered(comment.id).await?
            {
                continue;
            }
            let by = comment.author.map(|a| a.login).unwrap_or_default();
            let permission = self.permission(claim, &by).await?;
            orders.extend(wanted.into_iter().map(|command| Order {
                comment: comment.id,
                by: by.clone(),
                permission,
                command,
            }));
        }
        Ok(orders)
    }

    async fn comment(&self, seq: i64) -> Result<Option<CommentEvent>, Error> {
        let Some(body) = self.inner.store.body(seq).await? else { return Ok(None) };
        match forge::parse(&body) {
            Ok(Event::Issue(event)) => Ok(event.comment.filter(|c| c.created)),
            _ => Ok(None),
        }
    }

    /// What may pass is tried again with the whole issue; what stays unknown is refused.
    async fn permission(&self, claim: &Claim, login: &str) -> Result<Permission, Error> {
        match self.inner.hands.may_write(&claim.at.repo, login).await {
            Ok(true) => Ok(Permission::Writer),
            Ok(false) => Ok(Permission::Reader),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(Permission::Unknown),
        }
    }
}

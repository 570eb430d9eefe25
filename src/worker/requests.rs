//! Finds what is asked for in the pending deliveries of an issue: the commands in its new comments, and whether their
//! writers may give any, those given by hand, and what agents reported. This is the one thing that is read from a
//! delivery itself, once for each comment.

use std::collections::BTreeSet;

use super::Worker;
use super::process::Error;
use crate::delivery::{CommentEvent, Event, Origin};
use crate::dispatch::{Reported, TaskType};
use crate::gitea as forge;
use crate::store::{Claim, Claimed};
use crate::triage::commands::{self, Command};
use crate::triage::{CommandRequest, Permission, Source};

/// The action of a delivery that brings a new comment.
const NEW_COMMENT: &str = "issue_comment/created";

/// The commands of one comment or entry, before it is known whether its writer may give them.
struct Asked {
    source: Source,
    by: String,
    commands: Vec<Command>,
    task_type: Option<TaskType>,
}

impl Worker {
    /// The commands of a claim, oldest first; those that were answered before are left out.
    pub(super) async fn requests(&self, claim: &Claim) -> Result<Vec<CommandRequest>, Error> {
        let mut requests = Vec::new();
        let mut read = BTreeSet::new();
        for delivery in &claim.deliveries {
            let Some(asked) = self.asked(delivery).await? else { continue };
            if asked.commands.is_empty()
                || !read.insert(asked.source)
                || self.inner.store.is_answered(asked.source).await?
            {
                continue;
            }
            let permission = self.permission(claim, &asked).await?;
            let Asked { source, by, commands, task_type } = asked;
            let request =
                |command| CommandRequest { source, by: by.clone(), permission, command, task_type };
            requests.extend(commands.into_iter().map(request));
        }
        Ok(requests)
    }

    /// What agents reported, oldest first.
    pub(super) async fn reports(&self, claim: &Claim) -> Result<Vec<Reported>, Error> {
        let mut reports = Vec::new();
        for delivery in claim.deliveries.iter().filter(|d| d.origin == Origin::Agent) {
            reports.extend(self.inner.store.reported(delivery.seq).await?);
        }
        Ok(reports)
    }

    async fn asked(&self, delivery: &Claimed) -> Result<Option<Asked>, Error> {
        match delivery.origin {
            Origin::Webhook if delivery.action == NEW_COMMENT => {
                let comment = self.comment(delivery.seq).await?;
                Ok(comment.map(|comment| Asked {
                    source: Source::Comment(comment.id),
                    commands: commands::parse(&comment.body),
                    by: comment.author.map(|a| a.login).unwrap_or_default(),
                    task_type: None,
                }))
            }
            Origin::Manual => {
                let order = self.inner.store.manual_order(delivery.seq).await?;
                Ok(order.map(|order| Asked {
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

    /// What may pass is tried again with the whole issue; what stays unknown is refused. Who may give commands by hand
    /// was found out where they were given.
    async fn permission(&self, claim: &Claim, asked: &Asked) -> Result<Permission, Error> {
        if matches!(asked.source, Source::Entry(_)) {
            return Ok(Permission::Writer);
        }
        match self.inner.executor.may_write(&claim.at.repo, &asked.by).await {
            Ok(true) => Ok(Permission::Writer),
            Ok(false) => Ok(Permission::Reader),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(Permission::Unknown),
        }
    }
}

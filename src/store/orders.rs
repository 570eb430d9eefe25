//! Orders given by hand, on the command line or the dashboard: entries of the inbox that carry their text. What they
//! come to is decided where the commands of comments are.

use serde::{Deserialize, Serialize};

use super::inbox::{Entry, EntryBody};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::delivery::Origin;
use crate::dispatch::TaskType;
use crate::issue::IssueRef;

/// An order as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualOrder {
    /// Who gave it, for people; whether they may was found out before.
    pub by: String,
    /// What stands behind `/triage` in a comment, such as `hold until the release`.
    pub command: String,
    /// The kind of task an agent is to have the issue for.
    pub task_type: Option<TaskType>,
}

impl Store {
    /// Puts an order by `by` into the inbox; `command` is what stands behind `/triage` in a comment.
    pub async fn order(
        &self,
        at: IssueRef,
        by: String,
        command: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.place_order(at, ManualOrder { by, command, task_type: None }, now).await
    }

    /// Puts an order into the inbox.
    pub async fn place_order(
        &self,
        at: IssueRef,
        order: ManualOrder,
        now: Timestamp,
    ) -> Result<(), Error> {
        let verb = order.command.split_whitespace().next().unwrap_or("look").to_owned();
        let entry = Entry { origin: Origin::Manual, what: verb.into(), at: now };
        self.enqueue_entry(at, entry, Some(EntryBody::of(&order))).await
    }

    /// The order in an entry of the inbox; `None` when it holds none.
    pub async fn manual_order(&self, seq: i64) -> Result<Option<ManualOrder>, Error> {
        self.entry_body(seq).await
    }
}

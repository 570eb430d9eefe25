//! Entries of the inbox that no webhook reported, such as orders given by hand and reports of agents. What they come to
//! is decided where every issue is looked at.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engine::{Connection, params};
use super::lanes::{self, Rank};
use super::packing::pack;
use super::rows::{from_json, insert, run, to_json};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::delivery::Origin;
use crate::dispatch::{Dispatch, Report, Reported, TaskType};
use crate::issue::IssueRef;

/// An entry of the inbox that no webhook reported.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    /// What it is about, in a word.
    pub(super) what: Cow<'static, str>,
    pub(super) at: Timestamp,
}

/// An order given by hand, on the command line or the dashboard.
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
    /// Puts an entry for an issue into the inbox: a find of the sweep, a person's wish.
    pub async fn enqueue(
        &self,
        at: IssueRef,
        origin: Origin,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let entry = Entry { origin, what: reason.into(), at: now };
        self.enqueue_entry(at, entry, None).await.map(drop)
    }

    /// Puts an order into the inbox, and says where it stands there.
    pub async fn order(
        &self,
        at: IssueRef,
        order: ManualOrder,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let verb = order.command.split_whitespace().next().unwrap_or("look").to_owned();
        let entry = Entry { origin: Origin::Manual, what: verb.into(), at: now };
        self.enqueue_entry(at, entry, Some(to_json(&order))).await
    }

    /// Puts a report about `dispatch` into the inbox. When this returns `Ok`, it has been flushed to the disk.
    pub async fn report(
        &self,
        dispatch: &Dispatch,
        report: Report,
        now: Timestamp,
    ) -> Result<(), Error> {
        let entry = Entry { origin: Origin::Agent, what: report.state.as_str().into(), at: now };
        let reported = Reported { key: dispatch.key.clone(), report };
        self.enqueue_entry(dispatch.at.clone(), entry, Some(to_json(&reported))).await.map(drop)
    }

    async fn enqueue_entry(
        &self,
        at: IssueRef,
        entry: Entry,
        carries: Option<String>,
    ) -> Result<i64, Error> {
        let body = carries.map(|json| pack(json.as_bytes()));
        self.write(move |c| {
            let seq = enqueue(c, lanes::lane(c, &at)?, &entry)?;
            body.iter().try_for_each(|body| keep(c, seq, body))?;
            Ok(seq)
        })
        .await
    }

    /// The [`ManualOrder`] or the [`Reported`] in an entry; `None` when its body is past its time, or it never had one.
    pub async fn carried<T: DeserializeOwned>(&self, seq: i64) -> Result<Option<T>, Error> {
        let body = self.body(seq).await?;
        body.map(|bytes| from_json(&String::from_utf8_lossy(&bytes))).transpose()
    }
}

/// Keeps the packed body of an entry.
pub(super) fn keep(c: &Connection, seq: i64, body: &[u8]) -> Result<(), Error> {
    run(c, "INSERT INTO body VALUES (?1, ?2)", params![seq, body])
}

/// Inserts an entry, has its issue looked at, and gives its place; it needs no body, because its lane is known.
pub(super) fn enqueue(c: &Connection, lane: i64, entry: &Entry) -> Result<i64, Error> {
    let sql = "INSERT INTO delivery (id, origin, received_at, event, state, lane, action)
         VALUES (?1, ?2, ?3, '', 'pending', ?4, ?5)";
    let id = uuid::Uuid::new_v4();
    let Entry { origin, what, at } = entry;
    let action = format!("{origin}/{what}");
    let values = params![id.as_bytes(), origin.as_str(), at.timestamp_millis(), lane, action];
    let seq = insert(c, "seq", sql, values)?;
    lanes::make_due(c, lane, *at)?;
    if *origin == Origin::Manual {
        lanes::mark_from_before(c, lane, false)?;
        lanes::hurry(c, lane, Rank::Commanded)?;
    }
    if *origin != Origin::Sweep {
        lanes::end_rest(c, lane, *at)?;
    }
    Ok(seq)
}

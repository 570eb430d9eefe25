//! What agents report about their dispatches: found by the dispatch's key, kept as entries of the inbox. What a report
//! means is decided where every issue is looked at.

use rusqlite::OptionalExtension;

use super::dispatches::{DISPATCH, dispatch_of};
use super::inbox::{Entry, EntryBody};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::delivery::Origin;
use crate::dispatch::{AgentId, Dispatch, Report, Reported};

impl Store {
    /// The dispatch with this key, open or ended.
    pub async fn dispatch_by_key(&self, key: String) -> Result<Option<Dispatch>, Error> {
        self.read(move |c| {
            let mut rows = c.prepare_cached(&format!("{DISPATCH} WHERE key = ?1"))?;
            Ok(rows.query_row([key], dispatch_of).optional()?)
        })
        .await
    }

    /// The dispatches that were handed over to one of these agents and have not ended.
    pub async fn handed_over(&self, agents: Vec<AgentId>) -> Result<Vec<Dispatch>, Error> {
        self.read(move |c| {
            let sql = format!(
                "{DISPATCH} WHERE agent = ?1 AND ended_at IS NULL AND dispatch.state <> 'pending'"
            );
            let mut rows = c.prepare_cached(&sql)?;
            let mut found = Vec::new();
            for agent in &agents {
                for row in rows.query_map([agent.as_str()], dispatch_of)? {
                    found.push(row?);
                }
            }
            Ok(found)
        })
        .await
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
        self.enqueue_entry(dispatch.at.clone(), entry, Some(EntryBody::of(&reported))).await
    }

    /// The report in an entry of the inbox; `None` when its body is past its time.
    pub async fn reported(&self, seq: i64) -> Result<Option<Reported>, Error> {
        self.entry_body(seq).await
    }
}

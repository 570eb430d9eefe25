//! What agents report about their dispatches: found by the dispatch's key, kept as entries of the inbox. What a report
//! means is decided where every issue is looked at.

use rusqlite::OptionalExtension;

use super::dispatches::{DISPATCH, dispatch_of};
use super::inbox::Said;
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::delivery::Origin;
use crate::dispatch::{AgentId, Dispatch, Report};

/// A report, and the key of the dispatch it is about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reported {
    /// The dispatch's key.
    pub key: String,
    /// What was reported.
    pub report: Report,
}

impl Store {
    /// The dispatch with this key, open or ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dispatch_by_key(&self, key: String) -> Result<Option<Dispatch>, Error> {
        self.read(move |c| {
            let mut rows = c.prepare_cached(&format!("{DISPATCH} WHERE key = ?1"))?;
            rows.query_row([key], |row| Ok(dispatch_of(row))).optional()?.transpose()
        })
        .await
    }

    /// The dispatches that were handed over to one of these agents and have not ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn handed_over(&self, agents: Vec<AgentId>) -> Result<Vec<Dispatch>, Error> {
        self.read(move |c| {
            let sql = format!(
                "{DISPATCH} WHERE agent = ?1 AND ended_at IS NULL AND dispatch.state <> 'pending'"
            );
            let mut rows = c.prepare_cached(&sql)?;
            let mut found = Vec::new();
            for agent in &agents {
                let of_agent = rows.query_map([agent.as_str()], |row| Ok(dispatch_of(row)))?;
                for row in of_agent {
                    found.push(row.map_err(Error::from).flatten()?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Puts a report about `dispatch` into the inbox. When this returns `Ok`, it has been flushed to the disk.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn report(
        &self,
        dispatch: &Dispatch,
        report: Report,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (at, action) = (dispatch.at.clone(), report.state.as_str());
        let reported = Reported { key: dispatch.key.clone(), report };
        self.enqueue_said(at, Said::new(Origin::Agent, action.to_owned(), &reported), now).await
    }

    /// The report in an entry of the inbox; `None` when its body is past its time.
    ///
    /// # Errors
    /// When the store cannot be read, or the entry holds something else.
    pub async fn reported(&self, seq: i64) -> Result<Option<Reported>, Error> {
        self.said(seq).await
    }
}

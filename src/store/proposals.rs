//! Parts into which the local agent would split an issue, until a person agrees; and how busy the agents are.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{Error, Store, dispatches};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::AgentId;
use crate::issue::IssueRef;

/// Parts that wait for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The parts, in the notation of whoever proposed them.
    pub parts: String,
    /// When they were proposed.
    pub at: Timestamp,
}

impl Store {
    /// Keeps a proposal, in place of the one before.
    pub async fn propose(&self, at: &IssueRef, proposal: Proposal) -> Result<(), Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO proposal (repo, number, parts, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET parts = excluded.parts, at = excluded.at",
            )?
            .execute(params![
                repo,
                number,
                proposal.parts,
                proposal.at.timestamp_millis()
            ])?;
            Ok(())
        })
        .await
    }

    /// The proposal for an issue that nobody has agreed to yet.
    pub async fn proposal(&self, at: &IssueRef) -> Result<Option<Proposal>, Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        self.read(move |c| {
            let mut rows =
                c.prepare_cached("SELECT parts, at FROM proposal WHERE repo = ?1 AND number = ?2")?;
            let proposal = |r: &rusqlite::Row<'_>| {
                Ok(Proposal { parts: r.get(0)?, at: from_millis(r.get(1)?) })
            };
            Ok(rows.query_row(params![repo, number], proposal).optional()?)
        })
        .await
    }

    /// Forgets a proposal, once it is carried out.
    pub async fn settle_proposal(&self, at: &IssueRef) -> Result<(), Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        self.write(move |c| {
            c.prepare_cached("DELETE FROM proposal WHERE repo = ?1 AND number = ?2")?
                .execute(params![repo, number])?;
            Ok(())
        })
        .await
    }

    /// How many dispatches each agent has open.
    pub async fn load(&self) -> Result<BTreeMap<AgentId, u32>, Error> {
        // No lane has the number 0, so none is left out.
        self.read(|c| dispatches::load(c, 0)).await
    }
}

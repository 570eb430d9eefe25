//! What the local agent wrote on an issue, kept in the ledger beside what was decided, so that each write can be traced.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, lanes};
use crate::clock::Timestamp;
use crate::issue::IssueRef;
use crate::plan::{Effect, EffectKind, EffectOutcome};

/// The detail of a write of the local agent.
pub(super) const MARK: &str = "by the local agent";

/// Whether a comment of this decision is the local agent's.
pub(super) fn is_said(decision: &str) -> bool {
    decision.starts_with("answer:local-")
}

impl Store {
    /// Writes down what the local agent is about to write, with the latest evaluation of its issue; one that nobody has
    /// looked at yet gets an evaluation that says so. Gives what [`Store::settle_deed`] needs.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn intend_deed(
        &self,
        at: &IssueRef,
        effect: &Effect,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (at, effect) = (at.clone(), effect.clone());
        self.write(move |c| {
            let lane = lanes::lane(c, &at)?;
            let evaluation = latest(c, lane, now)?;
            // Of no dispatch: what is put on for one is taken off with it. Without its text: the agent says again
            // what was lost, not the worker.
            let mark = Some(MARK).filter(|_| effect.kind() != EffectKind::Comment);
            c.prepare_cached(
                "INSERT INTO effect (evaluation, lane, kind, value, digest, intended_at, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                evaluation,
                lane,
                effect.kind().as_str(),
                effect.value(),
                effect.digest(),
                now.timestamp_millis(),
                mark,
            ])?;
            Ok(c.last_insert_rowid())
        })
        .await
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn settle_deed(
        &self,
        deed: i64,
        outcome: &EffectOutcome,
        now: Timestamp,
    ) -> Result<(), Error> {
        let outcome = outcome.clone();
        self.write(move |c| {
            c.prepare_cached(
                "UPDATE effect SET state = ?2, settled_at = ?3, forge_id = ?4, detail = ?5 WHERE id = ?1",
            )?
            .execute(params![
                deed,
                outcome.state.as_str(),
                now.timestamp_millis(),
                outcome.forge_id,
                outcome.detail.as_deref().unwrap_or(MARK),
            ])?;
            Ok(())
        })
        .await
    }
}

fn latest(c: &Connection, lane: i64, now: Timestamp) -> Result<i64, Error> {
    let mut rows =
        c.prepare_cached("SELECT id FROM evaluation WHERE lane = ?1 ORDER BY id DESC LIMIT 1")?;
    if let Some(id) = rows.query_row([lane], |r| r.get(0)).optional()? {
        return Ok(id);
    }
    c.prepare_cached(
        "INSERT INTO evaluation (lane, at, action, reason) VALUES (?1, ?2, 'skip', 'the local agent was run by hand')",
    )?
    .execute(params![lane, now.timestamp_millis()])?;
    Ok(c.last_insert_rowid())
}

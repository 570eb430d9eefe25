//! What the local agent wrote on an issue, kept in the ledger beside what was decided, so that each write can be traced.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, lanes};
use crate::clock::Timestamp;
use crate::issue::IssueRef;
use crate::plan::{Effect, EffectOutcome};

impl Store {
    /// Keeps a write of the local agent with the latest evaluation of its issue; one that nobody has looked at yet gets
    /// an evaluation that says so.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn note_deed(
        &self,
        at: &IssueRef,
        effect: &Effect,
        outcome: &EffectOutcome,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (at, effect, outcome) = (at.clone(), effect.clone(), outcome.clone());
        self.write(move |c| {
            let lane = lanes::lane(c, &at)?;
            let evaluation = latest(c, lane, now)?;
            // Of no dispatch: what is put on for one is taken off with it.
            c.prepare_cached(
                "INSERT INTO effect (evaluation, lane, kind, value, digest, state, intended_at, settled_at, forge_id, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)",
            )?
            .execute(params![
                evaluation,
                lane,
                effect.kind().as_str(),
                effect.value(),
                effect.digest(),
                outcome.state.as_str(),
                now.timestamp_millis(),
                outcome.forge_id,
                outcome.detail.as_deref().unwrap_or("by the local agent"),
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

//! What the local agent wrote on an issue, kept in the ledger beside what was decided, so that each write can be traced.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, lanes, ledger};
use crate::clock::Timestamp;
use crate::issue::IssueRef;
use crate::plan::{Effect, EffectOutcome, WriteOrigin};
use crate::reason::Reason;

impl Store {
    /// Writes down what the local agent is about to write, with the latest evaluation of its issue; one that nobody has
    /// looked at yet gets an evaluation that says so. Gives what [`Store::settle_agent_effect`] needs.
    pub async fn intend_agent_effect(
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
            c.prepare_cached(
                "INSERT INTO effect (evaluation, lane, origin, kind, value, subject, digest, intended_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                evaluation,
                lane,
                WriteOrigin::Agent.as_str(),
                effect.kind().as_str(),
                effect.value(),
                effect.marker().map(|marker| marker.subject().as_str()),
                effect.marker().map(|marker| marker.digest.as_str()),
                now.timestamp_millis(),
            ])?;
            Ok(c.last_insert_rowid())
        })
        .await
    }

    /// Writes down what came of it.
    pub async fn settle_agent_effect(
        &self,
        written: i64,
        outcome: &EffectOutcome,
        now: Timestamp,
    ) -> Result<(), Error> {
        let outcome = outcome.clone();
        self.write(move |c| ledger::record_outcome(c, written, &outcome, now)).await
    }
}

fn latest(c: &Connection, lane: i64, now: Timestamp) -> Result<i64, Error> {
    let mut rows =
        c.prepare_cached("SELECT id FROM evaluation WHERE lane = ?1 ORDER BY id DESC LIMIT 1")?;
    if let Some(id) = rows.query_row([lane], |r| r.get(0)).optional()? {
        return Ok(id);
    }
    let reason = Reason::RunByHand;
    c.prepare_cached(
        "INSERT INTO evaluation (lane, at, action, reason, reason_code) VALUES (?1, ?2, 'skip', ?3, ?4)",
    )?
    .execute(params![lane, now.timestamp_millis(), reason.to_string(), reason.code()])?;
    Ok(c.last_insert_rowid())
}

//! How a claim ends: settled with what it came to, put back to be tried again, or buried.

use rusqlite::{Connection, params};

use super::dispatches::{Moment, Move};
use super::lanes::{self, Claim, Pace, Schedule};
use super::ledger::{self, Evaluation, Intent};
use super::{Error, Store, blockers, dispatches, people, sweeps};
use crate::clock::Timestamp;
use crate::dispatch::{Dispatch, DispatchState};
use crate::issue::Fingerprint;
use crate::plan::EffectOutcome;
use crate::triage::{Decision, Hold};

/// How an evaluation ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What [`Store::intend`] gave; `None` when nothing was to be written.
    pub evaluation: Option<Evaluation>,
    /// What became of its effects, in their order.
    pub effects: Vec<EffectOutcome>,
    /// Where the issue's open dispatch goes.
    pub dispatch: Option<Move>,
    /// What else is known of the dispatch that stays open.
    pub follow: Follow,
    /// The issue as it was read, with what was written since; `None` when it is gone.
    pub fingerprint: Option<Fingerprint>,
}

/// What is kept about a dispatch that stays open.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// How many hand-offs have failed by now, and how the last one did.
    pub hand_off_failed: Option<(u32, String)>,
    /// Its agent was reminded of the deadline.
    pub is_reminded: bool,
    /// When it has to be looked at although nothing may come.
    pub due_at: Option<Timestamp>,
}

/// Why a claim did not come to its end, and what had been written until then.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether this try counts; an outage of the forge does not.
    pub spends_attempt: bool,
    /// Whether our account was refused, so that every other issue would end the same.
    pub is_about_us: bool,
    /// The evaluation that was on its way, if one had been recorded.
    pub evaluation: Option<Evaluation>,
    /// What is known of its effects, in their order; those not tried yet are missing.
    pub effects: Vec<EffectOutcome>,
}

impl Store {
    /// Ends a claim: its deliveries are done, the ledger says why, and who waited for the agent is woken.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn settle(
        &self,
        claim: Claim,
        intent: Intent,
        outcome: Outcome,
        pace: Pace,
    ) -> Result<(), Error> {
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            let evaluation = match &outcome.evaluation {
                Some(recorded) => recorded.clone(),
                None => ledger::insert(c, &claim, &intent)?,
            };
            ledger::record_effects(c, &evaluation, &outcome.effects, intent.at)?;
            follow(c, &evaluation, &outcome, intent.at)?;
            // Again, for a dispatch that only this ends.
            ledger::forget(c, claim.lane, &intent.absent)?;
            finish_deliveries(c, &claim, &evaluation, intent.at)?;
            note_conclusion(c, claim.lane, &intent)?;
            if matches!(intent.decision, Decision::Finish { .. }) {
                blockers::wake(c, &claim.at, intent.at)?;
            }
            sweeps::note_fingerprint(c, claim.lane, outcome.fingerprint.as_ref())?;
            boundary!("settle::noted");
            Schedule { pace, now: intent.at }.release(c, claim.lane, None)
        })
        .await
    }

    /// Puts a lane back to be tried again at `due_at`, with what had been done until then.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn retry(
        &self,
        claim: Claim,
        failure: Failure,
        due_at: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            record(c, &failure)?;
            c.prepare_cached(
                "UPDATE delivery SET state = 'pending' WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'",
            )?
            .execute([claim.lane])?;
            let spent = i64::from(failure.spends_attempt);
            c.prepare_cached(
                "UPDATE lane SET state = 'due', due_at = ?2, claimed_at = NULL, attempts = attempts + ?3,
                 last_error = ?4 WHERE id = ?1",
            )?
            .execute(params![claim.lane, due_at.timestamp_millis(), spent, failure.reason])?;
            Ok(())
        })
        .await
    }

    /// Ends what was claimed as failed deliveries.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn bury(&self, claim: Claim, failure: Failure, pace: Pace) -> Result<(), Error> {
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            record(c, &failure)?;
            give_up(c, claim.lane, &failure)?;
            c.prepare_cached(
                "UPDATE delivery SET state = 'dead', reason = ?2, settled_at = ?3
                 WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'",
            )?
            .execute(params![
                claim.lane,
                failure.reason,
                failure.at.timestamp_millis()
            ])?;
            let schedule = Schedule { pace, now: failure.at };
            schedule.release(c, claim.lane, Some(&failure.reason))
        })
        .await
    }
}

fn finish_deliveries(
    c: &Connection,
    claim: &Claim,
    evaluation: &Evaluation,
    at: Timestamp,
) -> Result<(), Error> {
    c.prepare_cached(
        "UPDATE delivery SET state = 'done', settled_at = ?2, evaluation = ?3
         WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'",
    )?
    .execute(params![claim.lane, at.timestamp_millis(), evaluation.id])?;
    Ok(())
}

/// Keeps on the lane what the next claim needs: how urgent the issue is and whom it waits for.
fn note_conclusion(c: &Connection, lane: i64, intent: &Intent) -> Result<(), Error> {
    let score = intent.verdict.as_ref().map(|v| &v.score);
    let waits_for = match &intent.decision {
        Decision::Wait { agent, .. } => Some(agent.as_str()),
        _ => None,
    };
    let p0 = score.is_some_and(|s| s.p0);
    let since = intent.opened_at.unwrap_or(intent.at).timestamp_millis();
    let before = dispatches::waits_for(c, lane)?;
    c.prepare_cached(
        "UPDATE lane SET priority = ?2, evaluated_at = ?3, waits_for = ?4, wait_p0 = ?5, wait_score = ?6,
         wait_since = ?7 WHERE id = ?1",
    )?
    .execute(params![
        lane,
        i64::from(!p0),
        intent.at.timestamp_millis(),
        waits_for,
        p0,
        score.map_or(0, |s| i64::from(s.total)),
        since
    ])?;
    // Whoever leaves the line wakes the next: the place may still be free, or be one of several.
    if let Some(agent) = before.filter(|agent| Some(agent.as_str()) != waits_for) {
        dispatches::wake_waiting(c, &agent, 1, intent.at)?;
    }
    blockers::keep(c, lane, &intent.blockers)
}

/// Moves the dispatch on, and keeps what is known of one that stays open.
fn follow(
    c: &Connection,
    evaluation: &Evaluation,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<(), Error> {
    let Some(dispatch) = evaluation.dispatch else { return Ok(()) };
    let moment = Moment { at, evaluation: Some(evaluation.id) };
    if let Some(to) = &outcome.dispatch {
        dispatches::advance(c, dispatch, to, moment)?;
    }
    if let Some((failures, cause)) = &outcome.follow.hand_off_failed {
        dispatches::set_failures(c, dispatch, *failures)?;
        dispatches::note_failure(c, dispatch, cause, moment)?;
    }
    if outcome.follow.is_reminded {
        dispatches::reminded(c, dispatch, at)?;
    }
    outcome.follow.due_at.map_or(Ok(()), |due_at| dispatches::set_due(c, dispatch, due_at))
}

/// Ends what a look that came to no end would keep open for good: a dispatch of which nobody was told anything, or one
/// past its deadline, which is held as one that timed out is. Whoever waits for an agent is not kept waiting by a dead
/// letter either, unless all of them would end so.
fn give_up(c: &Connection, lane: i64, failure: &Failure) -> Result<(), Error> {
    let before = dispatches::waits_for(c, lane)?.filter(|_| !failure.is_about_us);
    if before.is_some() {
        c.prepare_cached("UPDATE lane SET waits_for = NULL WHERE id = ?1")?.execute([lane])?;
    }
    if let Some(open) = dispatches::open_dispatch(c, lane)? {
        let evaluation = failure.evaluation.as_ref().map(|evaluation| evaluation.id);
        let moment = Moment { at: failure.at, evaluation };
        if open.deadline_at <= failure.at {
            people::hold(c, lane, Some(&Hold::TimedOutUnseen))?;
            dispatches::advance(
                c,
                open.id,
                &Move::to(DispatchState::TimedOut, &failure.reason),
                moment,
            )?;
        } else if !is_told(c, &open)? {
            dispatches::advance(
                c,
                open.id,
                &Move::to(DispatchState::Failed, &failure.reason),
                moment,
            )?;
        }
    }
    before.map_or(Ok(()), |agent| dispatches::wake_waiting(c, &agent, 1, failure.at))
}

/// Whether anything that calls the agent was done.
fn is_told(c: &Connection, dispatch: &Dispatch) -> Result<bool, Error> {
    if dispatch.state != DispatchState::Pending || dispatch.failures > 0 {
        return Ok(true);
    }
    let mut told = c.prepare_cached(
        "SELECT 1 FROM effect
         WHERE dispatch = ?1 AND kind IN ('label', 'assignee', 'hand_off') AND state = 'done'",
    )?;
    Ok(told.exists([dispatch.id])?)
}

/// Records what is known of the effects of an evaluation that did not come to its end.
fn record(c: &Connection, failure: &Failure) -> Result<(), Error> {
    match &failure.evaluation {
        Some(evaluation) => ledger::record_effects(c, evaluation, &failure.effects, failure.at),
        None => Ok(()),
    }
}

//! How a claim ends: settled with what it came to, put back to be tried again, or buried.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::dispatches::{self, Moment, Recorded};
use super::engine::{Connection, params};
use super::lanes::{self, Claim, Pace, Schedule};
use super::rows::{all, is_any, run, to_json};
use super::wakes::{
    keep_alternatives, keep_blockers, wake, wake_blocked, wake_unblocked, wake_waiting,
};
use super::{Error, Store, claims, duties, ledger, orders, sweeps, turns};
use crate::clock::Timestamp;
use crate::delivery::WakeCause;
use crate::dispatch::{Dispatch, DispatchState, Transition};
use crate::plan::{Decided, EffectOutcome, Outcome};
use crate::reason::{Cause, Reason};
use crate::triage::{Decision, Evaluation, OrderEnd};

/// How long after its deadline a dispatch ends although its issue could not be evaluated: a forge that fails in this very
/// moment is asked again, so that what the agent did is seen. One that is known to be away is not waited for.
const UNSEEN: TimeDelta = TimeDelta::minutes(2);

/// An evaluation that came to its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What was concluded, and what it led to.
    pub decided: Decided,
    /// What [`Store::intend`] gave; `None` when nothing was to be written.
    pub recorded: Option<Recorded>,
    /// How it went.
    pub outcome: Outcome,
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
    /// Whether nobody can reach the issue any more, so that no agent works on it.
    pub is_out_of_reach: bool,
    /// Whether our account was refused, so that every other issue would end the same.
    pub is_about_us: bool,
    /// The intent that was on its way, if one had been recorded.
    pub recorded: Option<Recorded>,
    /// What is known of its effects, in their order; those not tried yet are missing.
    pub effects: Vec<EffectOutcome>,
}

/// What was answered to commands when a claim was given up.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// The intent to answer.
    pub recorded: Recorded,
    /// What is known of the answers, in their order.
    pub effects: Vec<EffectOutcome>,
    /// What the commands have come to.
    pub orders: Vec<OrderEnd>,
}

impl Store {
    /// Ends a claim: its deliveries are done, the ledger says why, and who waited for the agent is woken.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn settle(&self, claim: Claim, ended: Ended, pace: Pace) -> Result<(), Error> {
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            let Ended { decided, recorded, outcome } = &ended;
            let Decided { evaluation, plan } = decided;
            let recorded = match recorded {
                Some(recorded) => recorded.clone(),
                None => ledger::insert(c, &claim, decided)?,
            };
            ledger::record_effects(c, &recorded, &outcome.effects, evaluation.at)?;
            follow(c, &recorded, outcome, evaluation.at)?;
            if let Some(dispatch) = recorded.dispatch {
                turns::note_head(c, &claim, dispatch, evaluation)?;
            }
            orders::keep(c, &outcome.orders, evaluation.at)?;
            claims::end_refused(c, claim.lane, evaluation.at)?;
            // Again, for a dispatch that only this ends.
            ledger::forget(c, claim.lane, &plan.absent)?;
            let done = "UPDATE delivery SET state = 'done', settled_at = ?2, evaluation = ?3
                 WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'";
            let at = evaluation.at.timestamp_millis();
            run(c, done, params![claim.lane, at, recorded.evaluation])?;
            note_conclusion(c, &claim, evaluation)?;
            if matches!(evaluation.decision, Decision::Finish { .. }) {
                wake_blocked(c, &claim.at, evaluation.at)?;
                claims::end(c, claim.lane, evaluation.at)?;
                duties::end(c, claim.lane, evaluation.at)?;
            }
            sweeps::note_left(c, claim.lane, outcome)?;
            boundary!("settle::noted");
            Schedule { pace, now: evaluation.at }.release(c, claim.lane, None)
        })
        .await
    }

    /// Writes down what was answered to the commands of a claim that is about to be given up.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn keep_answers(&self, claim: &Claim, told: Told) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            ledger::record_effects(c, &told.recorded, &told.effects, told.at)?;
            orders::keep(c, &told.orders, told.at)
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
            end_overdue(c, claim.lane, &failure)?;
            let pending = "UPDATE delivery SET state = 'pending'
                 WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'";
            run(c, pending, [claim.lane])?;
            let due = "UPDATE lane SET state = 'due', due_at = ?2, claimed_at = NULL, attempts = attempts + ?3,
                           last_error = ?4 WHERE id = ?1";
            let (due_at, spent) = (due_at.timestamp_millis(), i64::from(failure.spends_attempt));
            run(c, due, params![claim.lane, due_at, spent, failure.reason])
        })
        .await
    }

    /// Ends the dispatches whose deadline has passed while the forge cannot be asked about their issues; how many there
    /// were. They are looked at when it can be asked again.
    pub async fn end_overdue(&self, now: Timestamp) -> Result<usize, Error> {
        let overdue = move |c: &Connection| {
            let sql = "SELECT lane FROM dispatch JOIN lane ON lane.id = dispatch.lane
                       WHERE ended_at IS NULL AND deadline_at <= ?1 AND lane.state <> 'claimed'";
            all::<i64, Vec<_>>(c, sql, [now.timestamp_millis()], |r| r.get(0))
        };
        if self.read(overdue).await?.is_empty() {
            return Ok(0);
        }
        self.write(move |c| {
            let lanes = overdue(c)?;
            let moment = Moment { at: now, evaluation: None };
            for lane in &lanes {
                let error = "the forge could not be reached at its deadline".to_owned();
                dispatches::end_unseen(c, *lane, Cause::NotEvaluated { error }, moment)?;
            }
            wake(c, lanes.iter().copied(), WakeCause::Due, now)?;
            Ok(lanes.len())
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
            claims::give_up(c, claim.lane, failure.at, failure.is_out_of_reach)?;
            orders::begin_again(c, claim.lane)?;
            let dead = "UPDATE delivery SET state = 'dead', reason = ?2, settled_at = ?3
                 WHERE lane = ?1 AND state IN ('pending', 'claimed') AND state = 'claimed'";
            run(c, dead, params![claim.lane, failure.reason, failure.at.timestamp_millis()])?;
            let schedule = Schedule { pace, now: failure.at };
            schedule.release(c, claim.lane, Some(&failure.reason))
        })
        .await
    }
}

/// The agents of which a lane waits for one.
fn waits_for(c: &Connection, lane: i64) -> Result<BTreeSet<String>, Error> {
    let sql = "SELECT waits_for FROM lane WHERE id = ?1 AND waits_for IS NOT NULL
               UNION SELECT agent FROM alternative WHERE lane = ?1";
    all(c, sql, [lane], |r| r.get(0))
}

/// Keeps on the lane what the next claim needs: how urgent the issue is and whom it waits for.
fn note_conclusion(c: &Connection, claim: &Claim, e: &Evaluation) -> Result<(), Error> {
    let lane = claim.lane;
    let score = e.verdict.as_ref().map(|v| &v.score);
    let (p0, total) = score.map_or((false, 0), |s| (s.p0, s.total));
    let agents = e.decision.waits_for();
    let agent = agents.first().map(|(agent, _)| agent.as_str());
    let budget_at = match e.decision.reason() {
        Reason::WaitsForBudget { used_up, .. } => Some(used_up.until.timestamp_millis()),
        _ => None,
    };
    let at = e.at.timestamp_millis();
    let since = e.opened_at.unwrap_or(e.at).timestamp_millis();
    let before = waits_for(c, lane)?;
    let sql = "UPDATE lane SET priority = CASE WHEN priority < 0 THEN priority ELSE ?2 END, evaluated_at = ?3, waits_for = ?4, wait_p0 = ?5, wait_score = ?6,
                   wait_since = ?7, text_digest = coalesce(?8, text_digest), budget_at = ?9 WHERE id = ?1";
    let text = e.text.map(|text| text.to_string());
    run(c, sql, params![lane, i64::from(!p0), at, agent, p0, total, since, text, budget_at])?;
    // Whoever leaves the line wakes the next: the place may still be free, or be one of several.
    keep_alternatives(c, lane, &agents)?;
    for left in before.iter().filter(|left| agents.iter().all(|(one, _)| one.as_str() != *left)) {
        wake_waiting(c, left, 1, e.at)?;
    }
    keep_blockers(c, lane, &e.waits_on)?;
    // What it begins to wait for may have come since it was read, when nobody knew yet whom to wake.
    for (agent, limit) in agents {
        let free = limit.saturating_sub(dispatches::taken(c, agent, lane)?);
        wake_waiting(c, agent.as_str(), free, e.at)?;
    }
    wake_unblocked(c, claim, e.at)
}

/// Moves the dispatch on, and keeps what is known of one that stays open.
fn follow(
    c: &Connection,
    recorded: &Recorded,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<(), Error> {
    let Some(dispatch) = recorded.dispatch else { return Ok(()) };
    let moment = Moment { at, evaluation: Some(recorded.evaluation) };
    if let Some(to) = &outcome.transition {
        dispatches::advance(c, dispatch, to, moment)?;
    }
    // The dispatch stays where it is until the next hand-off.
    if let Some((failures, cause)) = &outcome.hand_off_failed {
        let failed = "UPDATE dispatch SET failures = ?2, cause = ?3 WHERE id = ?1";
        run(c, failed, params![dispatch, failures, to_json(cause)])?;
        let to = Transition::to(DispatchState::Failed, cause.clone());
        dispatches::note(c, dispatch, &to, moment)?;
    }
    if outcome.is_reminded {
        let reminded = "UPDATE dispatch SET reminded_at = ?2 WHERE id = ?1";
        run(c, reminded, [dispatch, at.timestamp_millis()])?;
    }
    let due =
        "UPDATE dispatch SET due_at = coalesce(?2, due_at), deadline_at = coalesce(?3, deadline_at)
               WHERE id = ?1 AND ended_at IS NULL";
    let at = |at: Option<Timestamp>| at.map(|at| at.timestamp_millis());
    run(c, due, params![dispatch, at(outcome.due_at), at(outcome.deadline_at)])
}

/// Ends what an evaluation that failed would keep open for good: a dispatch whose agent was never called, or one past
/// its deadline, or one whose issue nobody can reach. Whoever waits for an agent is not kept waiting by a dead letter
/// either, unless all of them would end so.
fn give_up(c: &Connection, lane: i64, failure: &Failure) -> Result<(), Error> {
    let mut before = waits_for(c, lane)?;
    before.retain(|_| !failure.is_about_us);
    if !before.is_empty() {
        run(c, "UPDATE lane SET waits_for = NULL WHERE id = ?1", [lane])?;
        keep_alternatives(c, lane, &[])?;
    }
    if let Some(open) = dispatches::open_dispatch(c, lane)? {
        let evaluation = failure.recorded.as_ref().map(|recorded| recorded.evaluation);
        let moment = Moment { at: failure.at, evaluation };
        let error = failure.reason.clone();
        if open.deadline_at <= failure.at {
            dispatches::end_unseen(c, lane, Cause::NotEvaluated { error }, moment)?;
        } else if !is_called(c, lane, &open)? {
            let to = Transition::to(DispatchState::Failed, Cause::NotEvaluated { error });
            dispatches::advance(c, open.id, &to, moment)?;
        } else if failure.is_out_of_reach {
            dispatches::end_unseen(c, lane, Cause::OutOfReach { error }, moment)?;
        }
    }
    before.iter().try_for_each(|agent| wake_waiting(c, agent, 1, failure.at))
}

/// Ends a dispatch whose deadline has passed some time ago when its issue could not be evaluated once more.
fn end_overdue(c: &Connection, lane: i64, failure: &Failure) -> Result<(), Error> {
    let open = dispatches::open_dispatch(c, lane)?;
    if open.is_none_or(|open| failure.at < open.deadline_at + UNSEEN) {
        return Ok(());
    }
    let error = failure.reason.clone();
    let moment = Moment { at: failure.at, evaluation: None };
    dispatches::end_unseen(c, lane, Cause::NotEvaluated { error }, moment)
}

/// Whether anything that calls the agent was done.
fn is_called(c: &Connection, lane: i64, dispatch: &Dispatch) -> Result<bool, Error> {
    if dispatch.state != DispatchState::Pending || dispatch.failures > 0 {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM effect
         WHERE lane = ?1 AND dispatch = ?2 AND kind IN ('label', 'assignee', 'hand_off') AND state = 'done'";
    is_any(c, sql, [lane, dispatch.id])
}

/// Records what is known of the effects of an evaluation that did not come to its end.
fn record(c: &Connection, failure: &Failure) -> Result<(), Error> {
    if let Some(recorded) = &failure.recorded {
        ledger::record_effects(c, recorded, &failure.effects, failure.at)?;
        ledger::leave_unsaid(c, recorded, failure.effects.len() + 1, failure.at)?;
    }
    Ok(())
}

//! Where a dispatch goes once what was planned is done, and when it has to be looked at next. Pure.

use std::time::Duration;

use super::look::Look;
use crate::apply::HandoffError;
use crate::clock::Timestamp;
use crate::dispatch::DispatchState;
use crate::plan::{EffectKind, EffectOutcome, EffectState};
use crate::store::{Follow, Intent, Move};
use crate::triage::{Decision, code, remind_at};

/// The pause after the first hand-off that failed; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The shortest pause between two looks at a dispatch whose time has come.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest pause between two hand-offs.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What was concluded and carried out.
pub(super) struct Moves<'a> {
    pub(super) look: &'a Look,
    pub(super) intent: &'a Intent,
    pub(super) max_attempts: u32,
}

impl Moves<'_> {
    /// The state the dispatch goes to: handed over when all was written, ended when the issue is closed.
    pub(super) fn dispatch(&self, effects: &[EffectOutcome]) -> Option<Move> {
        let reason = self.intent.decision.reason();
        match &self.intent.decision {
            Decision::Finish { .. } => Some(Move::to(DispatchState::Completed, reason)),
            Decision::Dispatch { .. } => {
                let state = self.look.dispatch().map_or(DispatchState::Pending, |d| d.state);
                let is_told = state == DispatchState::Pending && self.is_told(effects);
                let told = is_told.then(|| Move::to(DispatchState::Assigned, reason));
                self.look.course.goes.clone().or(told)
            }
            _ => self.look.course.goes.clone(),
        }
    }

    fn is_told(&self, effects: &[EffectOutcome]) -> bool {
        let outcomes = self.intent.effects.iter().zip(effects);
        outcomes.into_iter().all(|(effect, outcome)| match outcome.state {
            EffectState::Intended | EffectState::Withheld => false,
            EffectState::Failed => effect.kind() != EffectKind::HandOff,
            EffectState::Done => true,
        })
    }

    /// What is kept about the dispatch that stays open.
    pub(super) fn follow(&self, hand_off: Option<HandoffError>) -> Follow {
        let before = self.look.dispatch().map_or(0, |dispatch| dispatch.failures);
        let failed = hand_off.map(|why| {
            // What a person has to mend is not tried again.
            let failures = if why.is_transient() { before + 1 } else { self.max_attempts };
            let number = before + 1;
            let said = Some(why.answer()).filter(|answer| !answer.is_empty());
            let said = said.map(|answer| format!(": {}", code(answer))).unwrap_or_default();
            (failures, format!("hand-off {number} of {} failed: {why}{said}", self.max_attempts))
        });
        let due_at = match &failed {
            Some((failures, _)) if *failures >= self.max_attempts => Some(self.intent.at),
            Some((failures, _)) => Some(self.intent.at + pause(*failures)),
            None => self.due_at(),
        };
        Follow { hand_off_failed: failed, is_reminded: self.look.course.is_reminded, due_at }
    }

    fn due_at(&self) -> Option<Timestamp> {
        if let Some(opening) = &self.intent.opens {
            let deadline_at = self.intent.at + opening.agent.timeout;
            return Some(remind_at(self.intent.at, deadline_at));
        }
        let dispatch = self.look.dispatch()?;
        let is_reminded = dispatch.is_reminded || self.look.course.is_reminded;
        // Nobody is reminded of what they were never told.
        let is_told = dispatch.state != DispatchState::Pending;
        let remind_at = remind_at(dispatch.opened_at, dispatch.deadline_at);
        let due_at = if is_told && !is_reminded { remind_at } else { dispatch.deadline_at };
        // What is due already was just looked at: not at once again.
        Some(if due_at > self.intent.at { due_at } else { self.intent.at + AGAIN })
    }
}

/// 1 s, 4 s, 16 s …
fn pause(failures: u32) -> Duration {
    let factor = 4_u32.saturating_pow(failures.saturating_sub(1).min(10));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_hand_offs_grows_fourfold() {
        let seconds: Vec<_> = (1..=6).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 4, 16, 64, 256, 600]);
    }
}

//! The write limit: no issue is written to more often than the owner allows, whatever two instances, a loop or a mistake
//! of ours may ask for. What is held back is evaluated again when the hour is over, so nothing is lost.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::issue::IssueRef;
use crate::plan::{Decided, EffectOutcome, Plan};
use crate::reason::Reason;
use crate::store::{self, Claim, Failure};
use crate::triage::{Decision, Evaluation, Record};

use super::Worker;

/// The time in which writes are counted.
const HOUR: Duration = Duration::from_secs(3_600);

/// Which issues have reached their limit and until when, so that each is logged once.
#[derive(Debug, Default)]
pub(super) struct WriteLimits(Mutex<HashMap<IssueRef, Timestamp>>);

impl WriteLimits {
    /// Notes that an issue has reached its limit; false when it was known.
    fn reach(&self, at: &IssueRef, until: Timestamp, now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, until| *until > now);
        known.insert(at.clone(), until).is_none()
    }
}

/// Until when `wanted` more writes have to wait, if they would be too many. A plan that is longer than the
/// limit passes when nothing else was written, or it never would.
fn until(done: &[Timestamp], wanted: usize, limit: usize) -> Option<Timestamp> {
    let too_many = (done.len() + wanted).saturating_sub(limit).min(done.len());
    let last_to_leave = too_many.checked_sub(1)?;
    (wanted > 0).then(|| done.get(last_to_leave).map(|at| *at + HOUR)).flatten()
}

impl Worker {
    /// Until when the issue's write limit holds these writes back. Answers are no part of it, and nothing is held back
    /// that somebody waits for.
    pub(super) async fn limited_until(
        &self,
        claim: &Claim,
        decided: &Decided,
    ) -> Result<Option<Timestamp>, store::Error> {
        let wanted = decided.plan.effects.iter().filter(|effect| !effect.is_answer()).count();
        if wanted == 0 || decided.evaluation.is_awaited() || self.parts.forge.is_dry_run() {
            return Ok(None);
        }
        let done = self.parts.store.writes_since(claim, decided.evaluation.at - HOUR).await?;
        let limit = usize::try_from(self.rules().write_limit).unwrap_or(usize::MAX);
        Ok(until(&done, wanted, limit))
    }

    /// Puts a claim back with nothing written, to be processed when the issue's write limit allows it.
    pub(super) async fn hold_back(
        &self,
        claim: &Claim,
        record: &Record,
        decided: Decided,
        until: Timestamp,
    ) -> Result<(), store::Error> {
        let Decided { evaluation, plan } = decided;
        let (at, limit) = (evaluation.at, self.rules().write_limit);
        let reason = Reason::WriteLimit { limit, until };
        if self.state.write_limits.reach(&claim.at, until, at) {
            self.state.meters.write_limits.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(issue = %claim.at, "{reason}; see what wrote so much with `gitea-triage explain {}`", claim.at);
        }
        let held = EffectOutcome::failed("held back by the write limit");
        for effect in &plan.effects {
            self.state.meters.effects.add([effect.kind().as_str(), "held_back"]);
        }
        // Only what is held back is written down. What was ordered, reported or ended is concluded anew from the same
        // deliveries: concluded now, it would be over, and its answers and notices with it.
        let decision = Decision::Skip { reason: reason.clone() };
        let mut shown = Evaluation::of(at, decision, record);
        (shown.verdict, shown.signals) = (evaluation.verdict, evaluation.signals);
        let Plan { effects, confirmations, .. } = plan;
        let plan = Plan { effects, confirmations, ..Plan::default() };
        let shown = Decided { evaluation: shown, plan };
        self.record_success(&shown);
        let effects = vec![held; shown.plan.effects.len()];
        let recorded = Some(self.parts.store.intend(claim, shown).await?);
        let failure = Failure {
            at,
            reason: reason.to_string(),
            spends_attempt: false,
            is_out_of_reach: false,
            is_about_us: false,
            recorded,
            effects,
        };
        self.parts.store.retry(claim.clone(), failure, until).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[track_caller]
    fn waits(done: &[i64], wanted: usize, expected: Option<i64>) {
        let done: Vec<_> = done.iter().map(|s| from_millis(s * 1_000)).collect();
        let found = until(&done, wanted, 4).map(|at| at.timestamp() - 3_600);
        assert_eq!(found, expected, "{done:?} and {wanted} more");
    }

    #[test]
    fn writes_wait_until_enough_others_are_an_hour_old() {
        waits(&[], 4, None);
        waits(&[1, 2], 2, None);
        waits(&[1, 2], 3, Some(1));
        waits(&[1, 2, 3, 4], 1, Some(1));
        waits(&[1, 2, 3, 4], 3, Some(3));
        waits(&[1, 2, 3, 4, 5], 1, Some(2));
        waits(&[1, 2, 3, 4, 5], 0, None);
    }

    #[test]
    fn a_plan_longer_than_the_limit_passes_when_it_is_alone() {
        waits(&[], 5, None);
        waits(&[1], 5, Some(1));
    }

    #[test]
    fn a_reached_limit_is_news_once_an_hour() {
        let limits = WriteLimits::default();
        let at: IssueRef = "acme/widgets#5".parse().unwrap();
        assert!(limits.reach(&at, from_millis(10), from_millis(0)));
        assert!(!limits.reach(&at, from_millis(10), from_millis(9)));
        assert!(limits.reach(&at, from_millis(20), from_millis(10)));
    }
}

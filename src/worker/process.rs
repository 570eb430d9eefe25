//! The walk: one claimed issue, from how it is now to what is recorded about it.

use std::panic::AssertUnwindSafe;
use std::sync::{MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tracing::Span;
use tracing::field::Empty;

use crate::apply::Applied;
use crate::clock::Timestamp;
use crate::dispatch::DispatchState;
use crate::gitea as forge;
use crate::issue::Issue;
use crate::plan::EffectOutcome;
use crate::store::{self, Claim, Evaluation, Failure, Intent, Move, Outcome};

use super::look::{Dependency, Look, Read};
use super::moves::Moves;
use super::retry::{self, Failed, Next};
use super::{PACE, Rules, Worker, sight};

/// How often an issue is decided anew because its agent's last place was taken in between.
const RACES: u32 = 3;

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Forge(#[from] forge::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The walk panicked, which is a mistake of ours: it counts as a failed try, and ends as a dead letter if it stays.
    #[error("an internal error; please report it with the log around it")]
    Broken,
}

/// How far a walk came; what is known when it stops early.
#[derive(Default)]
struct Progress {
    evaluation: Option<Evaluation>,
    effects: Vec<EffectOutcome>,
}

impl Worker {
    /// Leads a claim to its end, or puts it back to be tried again.
    ///
    /// # Errors
    /// When the store does not take the claim back; it is kept until the store does.
    #[tracing::instrument(level = "debug", name = "work_issue", skip_all, fields(otel.kind = "consumer", issue = %claim.at, deliveries = claim.deliveries.len(), action = Empty, otel.status_code = Empty))]
    pub(super) async fn process(&self, claim: Claim) -> Result<(), store::Error> {
        let mut progress = Progress::default();
        let walk = AssertUnwindSafe(self.walk(&claim, &mut progress)).catch_unwind().await;
        match walk.unwrap_or(Err(Error::Broken)) {
            Ok(()) => {
                self.inner.outage.ends();
                Ok(())
            }
            Err(error) => self.fail(claim, &error, progress).await,
        }
    }

    async fn walk(&self, claim: &Claim, progress: &mut Progress) -> Result<(), Error> {
        let now = self.inner.clock.now();
        let rules = self.rules();
        let (issue, dependencies) = self.read(claim).await?;
        let Some(issue) = issue else {
            return self.finish_gone(claim, &rules, now).await;
        };
        let orders = self.orders(claim).await?;
        let reports = self.reports(claim).await?;
        let dependencies = dependencies.as_deref();
        let read = Read { issue: &issue, dependencies, orders: &orders, reports: &reports };
        let mut races = 0;
        loop {
            let look = self.look(&claim.at, read, &rules, now).await?;
            let intent = self.conclude(&claim.at, &look, &rules, now).await?;
            boundary!("walk::concluded");
            match self.carry_out(claim, &look, intent, progress).await {
                Err(Error::Store(store::Error::AgentBusy(_))) if races < RACES => races += 1,
                result => return result,
            }
        }
    }

    /// Reads the issue as it is now. Of a new one it is asked at the same time what it waits for: most that are dispatched
    /// are new, and people wait for that. Of others it is asked when the decision needs it, and so it is when we may not
    /// know it, and while the forge does not work as it should.
    async fn read(
        &self,
        claim: &Claim,
    ) -> Result<(Option<Issue>, Option<Vec<Dependency>>), forge::Error> {
        let forge = &self.inner.forge;
        if !claim.is_of_new_issue() || !self.inner.breaker.is_steady() {
            return Ok((forge.issue(&claim.at).await?, None));
        }
        let (issue, dependencies) =
            tokio::join!(forge.issue(&claim.at), forge.dependencies(&claim.at));
        // A wish to wait is kept, whichever of the two it answered, and the longer of two.
        let wish = dependencies.as_ref().err().filter(|e| e.is_transient());
        let wish = wish.and_then(forge::Error::retry_after);
        match (issue, dependencies) {
            (Err(error), Err(longer)) if wish > error.retry_after() => {
                self.inner.outage.begins_with(&error);
                Err(longer)
            }
            (Ok(_), Err(error)) if wish.is_some() => Err(error),
            (issue, dependencies) => Ok((issue?, dependencies.ok())),
        }
    }

    /// Writes the intent down, does it, and records how it went.
    async fn carry_out(
        &self,
        claim: &Claim,
        look: &Look,
        intent: Intent,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let store = &self.inner.store;
        let mut hand_off = None;
        let max_attempts = self.rules().dispatch_attempts;
        if let Some(until) = self.fused(claim, &intent).await? {
            return Ok(self.hold_back(claim, intent, until).await?);
        }
        if intent.opens.is_some() || !intent.effects.is_empty() {
            progress.evaluation = Some(store.intend(claim, intent.clone()).await?);
            boundary!("walk::intended");
            let applied = self.inner.executor.apply(&claim.at, &look.issue, &intent.effects).await;
            self.count(&intent, &applied);
            progress.effects = applied.effects;
            if let Some(error) = applied.error {
                return Err(error.into());
            }
            hand_off = applied.hand_off;
            boundary!("walk::applied");
        }
        let moves = Moves { look, intent: &intent, max_attempts };
        let outcome = Outcome {
            dispatch: moves.dispatch(&progress.effects),
            follow: moves.follow(hand_off),
            fingerprint: Some(sight::left(&look.issue, &intent.effects, &progress.effects)),
            evaluation: progress.evaluation.clone(),
            effects: progress.effects.clone(),
        };
        self.came_through(&intent);
        log(claim, &intent, &outcome);
        store.settle(claim.clone(), intent, outcome, PACE).await?;
        boundary!("walk::settled");
        Ok(())
    }

    /// Counts what was written, and the write that stopped the rest.
    fn count(&self, intent: &Intent, applied: &Applied) {
        let results = applied.effects.iter().map(|e| e.state.as_str());
        let results = results.chain(applied.error.is_some().then_some("error"));
        for (effect, result) in intent.effects.iter().zip(results) {
            self.inner.meters.effects.add([effect.kind().as_str(), result]);
        }
    }

    async fn finish_gone(&self, claim: &Claim, rules: &Rules, now: Timestamp) -> Result<(), Error> {
        let intent = Intent::of(now, rules.triage.gone());
        let outcome = Outcome {
            dispatch: Some(Move::to(DispatchState::Completed, intent.decision.reason())),
            ..Outcome::default()
        };
        self.came_through(&intent);
        log(claim, &intent, &outcome);
        Ok(self.inner.store.settle(claim.clone(), intent, outcome, PACE).await?)
    }

    /// What kind of failure it was. A store that cannot be written takes no claim back either, so such a failure is
    /// only counted once the store works again.
    fn failed(&self, error: &Error) -> Failed {
        match error {
            Error::Forge(error) => {
                self.inner.outage.begins_with(error);
                Failed {
                    is_transient: error.is_transient(),
                    is_outage: self.heed(error),
                    retry_after: error.retry_after(),
                }
            }
            Error::Store(error) => Failed {
                is_transient: true,
                is_outage: matches!(error, store::Error::AgentBusy(_)),
                retry_after: None,
            },
            Error::Broken => Failed { is_transient: true, is_outage: false, retry_after: None },
        }
    }

    /// Puts a failed claim back for later, or buries it. Logged here and nowhere else.
    async fn fail(
        &self,
        claim: Claim,
        error: &Error,
        progress: Progress,
    ) -> Result<(), store::Error> {
        Span::current().record("otel.status_code", "error");
        let now = self.inner.clock.now();
        let failed = self.failed(error);
        let next =
            retry::after(failed, claim.attempts, self.rules().max_attempts, claim.at.number, now);
        let mut failure = Failure {
            at: now,
            reason: error.to_string(),
            spends_attempt: true,
            is_about_us: matches!(error, Error::Forge(refused) if refused.status() == Some(401)),
            evaluation: progress.evaluation,
            effects: progress.effects,
        };
        match next {
            Next::Later { at, spends_attempt } => {
                failure.spends_attempt = spends_attempt;
                tracing::warn!(issue = %claim.at, %error, again = %at, "not finished; trying again later");
            }
            Next::Bury => {
                tracing::error!(issue = %claim.at, %error, "given up; see `gitea-triage inbox list --state dead`");
            }
        }
        self.give_back(Unfinished { claim, failure, next }).await
    }

    /// Gives claims back that the store would not take back before. Until it does, nobody else can have the issue.
    ///
    /// # Errors
    /// When the store still cannot be written.
    pub(super) async fn give_back_all(&self) -> Result<(), store::Error> {
        loop {
            let last = self.unfinished().pop();
            let Some(unfinished) = last else { return Ok(()) };
            self.give_back(unfinished).await?;
        }
    }

    async fn give_back(&self, unfinished: Unfinished) -> Result<(), store::Error> {
        let Unfinished { claim, failure, next } = unfinished.clone();
        let given_back = match next {
            Next::Later { at, .. } => self.inner.store.retry(claim, failure, at).await,
            Next::Bury => self.inner.store.bury(claim, failure, PACE).await,
        };
        match given_back {
            Err(store::Error::Stale) => Ok(()),
            Err(error) => {
                self.unfinished().push(unfinished);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<Unfinished>> {
        self.inner.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim that did not come to its end, and what is to become of it.
#[derive(Clone)]
pub(super) struct Unfinished {
    claim: Claim,
    failure: Failure,
    next: Next,
}

fn log(claim: &Claim, intent: &Intent, outcome: &Outcome) {
    Span::current().record("action", intent.decision.action().as_str());
    tracing::info!(
        issue = %claim.at,
        deliveries = claim.deliveries.len(),
        action = intent.decision.action().as_str(),
        agent = intent.decision.agent().map(tracing::field::display),
        score = intent.verdict.as_ref().map(|v| v.score.total),
        effects = outcome.effects.len(),
        "decided"
    );
}

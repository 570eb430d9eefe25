//! Takes one claim to its end, whatever happens on the way: done, put back to be tried again, or given up.

use std::panic::AssertUnwindSafe;
use std::sync::{MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tracing::Span;
use tracing::field::Empty;

use crate::gitea as forge;
use crate::issue::RepoName;
use crate::plan::EffectOutcome;
use crate::store::{self, Claim, Failure, Recorded};

use super::retry::{self, Attempts, Failed, Next};
use super::{PACE, Worker};

/// Why an issue could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Forge(#[from] forge::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The comments of an issue that could be read could not.
    #[error(transparent)]
    Unread(forge::Error),
    /// The configuration leaves the repository alone by now, or its name has changed.
    #[error(
        "`{0}` is not among `gitea.repos`; add it there, then `gitea-triage inbox retry` goes on"
    )]
    NotAllowed(RepoName),
    /// It panicked, which is a mistake of ours: it counts as a failed attempt, and ends as a dead letter if it stays.
    #[error("an internal error; please report it with the log around it")]
    Broken,
}

/// How far an issue was reconciled; what is known when it stops early.
#[derive(Default)]
pub(super) struct Progress {
    /// The issue was read, and is the one that is claimed.
    pub(super) is_read: bool,
    /// The intent, once it is on the disk.
    pub(super) recorded: Option<Recorded>,
    /// What became of its effects.
    pub(super) effects: Vec<EffectOutcome>,
    /// What was not done of a dispatch, in words.
    pub(super) undone: Option<String>,
}

impl Worker {
    /// Leads a claim to its end, or puts it back to be tried again. A claim that the store does not take back is kept
    /// until the store does.
    #[tracing::instrument(level = "debug", name = "work_issue", skip_all, fields(otel.kind = "consumer", issue = %claim.at, deliveries = claim.deliveries.len(), action = Empty, otel.status_code = Empty))]
    pub(super) async fn process(&self, claim: Claim) -> Result<(), store::Error> {
        let (term, at) = (claim.term.clone(), claim.at.clone());
        let ended = term.hold(Box::pin(self.process_within_term(claim))).await;
        ended.unwrap_or_else(|| {
            tracing::warn!(issue = %at, "left to the other services on the store, with which this one is out of touch");
            Ok(())
        })
    }

    async fn process_within_term(&self, claim: Claim) -> Result<(), store::Error> {
        let mut progress = Progress::default();
        let result = AssertUnwindSafe(self.reconcile(&claim, &mut progress)).catch_unwind().await;
        match result.unwrap_or(Err(Error::Broken)) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(claim, &error, progress).await,
        }
    }

    /// What kind of failure it was. A store that cannot be written takes no claim back either, so such a failure is
    /// only counted once the store works again.
    fn failed(&self, error: &Error) -> Failed {
        let is_busy = matches!(error, Error::Store(error) if error.is_race());
        match error {
            Error::Forge(error) => Failed {
                is_transient: error.is_transient(),
                is_outage: self.record_failure(error),
                retry_after: error.retry_after(),
            },
            _ => Failed {
                is_transient: !matches!(error, Error::NotAllowed(_)),
                is_outage: is_busy,
                retry_after: None,
            },
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
        let now = self.parts.clock.now();
        let failed = self.failed(error);
        let (before, max) = (claim.attempts, self.rules().max_attempts);
        let is_followed = before + 1 < max && self.follow(&claim, error).await;
        let next = match is_followed {
            true => Next::Later { at: now, spends_attempt: true },
            false => retry::after(failed, Attempts { before, max, seed: claim.at.number }, now),
        };
        let mut failure = Failure {
            at: now,
            reason: error.to_string(),
            spends_attempt: true,
            is_out_of_reach: is_out_of_reach(error, progress.is_read),
            is_about_us: matches!(error, Error::Forge(refused) if refused.status() == Some(401)),
            recorded: progress.recorded,
            effects: progress.effects,
        };
        match next {
            Next::Later { .. } if is_followed => {
                failure.reason = "its repository has another name now, where it is followed".into();
                tracing::info!(issue = %claim.at, "{}", failure.reason);
            }
            Next::Later { at, spends_attempt } => {
                failure.spends_attempt = spends_attempt;
                tracing::warn!(issue = %claim.at, %error, again = %at, "not finished; trying again later");
            }
            Next::Bury => {
                tracing::error!(issue = %claim.at, %error, "given up; see `gitea-triage inbox list --state dead`");
                let undone = progress.undone.as_deref();
                if let Err(untold) = self.tell_given_up(&claim, &failure, undone).await {
                    tracing::warn!(issue = %claim.at, error = %untold, "nobody could be told on the issue; its commands stay open");
                }
            }
        }
        self.give_back(Unfinished { claim, failure, next }).await
    }

    /// Notes the name that the repository of a claimed issue has now; whether the issue is followed under it.
    async fn follow(&self, claim: &Claim, error: &Error) -> bool {
        let Error::Forge(forge::Error::Moved { to: Some(to), .. }) = error else { return false };
        if *to == claim.at.repo {
            return false;
        }
        let noted = self.parts.store.claim_moved(claim, to.clone(), self.parts.clock.now()).await;
        // When the store does not take it, the forge says it again the next time.
        noted.is_err() || self.rules().repos.allows(to)
    }

    /// Gives claims back that the store would not take back before. Until it does, nobody else can have the issue.
    pub(super) async fn give_back_all(&self) -> Result<(), store::Error> {
        loop {
            let Some(last) = self.unfinished().pop() else { return Ok(()) };
            self.give_back(last).await?;
        }
    }

    async fn give_back(&self, unfinished: Unfinished) -> Result<(), store::Error> {
        let Unfinished { claim, failure, next } = unfinished.clone();
        let given_back = match next {
            Next::Later { at, .. } => self.parts.store.retry(claim, failure, at).await,
            Next::Bury => self.parts.store.bury(claim, failure, PACE).await,
        };
        match given_back {
            Ok(()) | Err(store::Error::Stale) => Ok(()),
            Err(error) => {
                self.unfinished().push(unfinished);
                Err(error)
            }
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<Unfinished>> {
        self.state.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the issue itself cannot be reached, and nobody can work on it: its repository is gone, archived, called
/// otherwise than `gitea.repos` allows, or not to be seen.
fn is_out_of_reach(error: &Error, is_read: bool) -> bool {
    let Error::Forge(error) = error else { return matches!(error, Error::NotAllowed(_)) };
    let is_lost = matches!(error, forge::Error::Moved { to: Some(_), .. })
        || matches!(error.status(), Some(404 | 410));
    error.status() == Some(423) || (is_lost && !is_read)
}

/// A claim that did not come to its end, and what is to become of it.
#[derive(Clone)]
pub(super) struct Unfinished {
    claim: Claim,
    failure: Failure,
    next: Next,
}

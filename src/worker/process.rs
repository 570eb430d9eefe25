//! The walk: one claimed issue, from how it is now to what is recorded about it.

use std::sync::{MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState};
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, IssueState};
use crate::plan::{EffectOutcome, EffectState, Marker, OurComment, Scene, plan};
use crate::store::{self, Claim, Evaluation, Failure, Intent, Outcome, Past};
use crate::triage::{Decision, Standing, Verdict, mentioned_blockers};

use super::retry::{self, Failed, Next};
use super::{PACE, Rules, Worker};

/// How often an issue is decided anew because its agent's last place was taken in between.
const RACES: u32 = 3;
/// How many issues named as blockers are looked up.
const MAX_BLOCKERS: usize = 5;

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Forge(#[from] forge::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What kind of failure it was. A store that cannot be written takes no claim back either, so such a failure
    /// is only counted once the store works again.
    fn failed(&self) -> Failed {
        match self {
            Self::Forge(error) => Failed {
                is_transient: error.is_transient(),
                is_outage: error.is_outage(),
                retry_after: error.retry_after(),
            },
            Self::Store(error) => Failed {
                is_transient: true,
                is_outage: matches!(error, store::Error::AgentBusy(_)),
                retry_after: None,
            },
        }
    }
}

/// How far a walk came; what is known when it stops early.
#[derive(Default)]
struct Progress {
    evaluation: Option<Evaluation>,
    effects: Vec<EffectOutcome>,
}

/// One issue, looked at: all that a conclusion and a plan need.
struct Look {
    issue: Issue,
    past: Past,
    verdict: Verdict,
}

impl Worker {
    /// Leads a claim to its end, or puts it back to be tried again.
    pub(super) async fn process(&self, claim: Claim) -> Result<(), store::Error> {
        let mut progress = Progress::default();
        match self.walk(&claim, &mut progress).await {
            Ok(()) => Ok(()),
            Err(error) => self.fail(claim, &error, progress).await,
        }
    }

    async fn walk(&self, claim: &Claim, progress: &mut Progress) -> Result<(), Error> {
        let now = self.inner.clock.now();
        let rules = self.rules();
        let Some(issue) = self.inner.forge.issue(&claim.at).await? else {
            return self.finish_gone(claim, &rules, now).await;
        };
        let mut races = 0;
        loop {
            let look = self.look(&claim.at, issue.clone(), &rules, now).await?;
            let intent = self.conclude(&claim.at, &look, &rules, now).await?;
            boundary!("walk::concluded");
            match self.carry_out(claim, &look, intent, progress).await {
                Err(Error::Store(store::Error::AgentBusy(_))) if races < RACES => races += 1,
                result => return result,
            }
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
        if intent.opens.is_some() || !intent.effects.is_empty() {
            progress.evaluation = Some(store.intend(claim, intent.clone()).await?);
            boundary!("walk::intended");
            let applied = self.inner.hands.apply(&claim.at, &look.issue, &intent.effects).await;
            progress.effects = applied.effects;
            if let Some(error) = applied.error {
                return Err(error.into());
            }
            boundary!("walk::applied");
        }
        let outcome = Outcome {
            dispatch: next_state(look, &progress.effects),
            evaluation: progress.evaluation.clone(),
            effects: progress.effects.clone(),
        };
        log(claim, &intent, &outcome);
        store.settle(claim.clone(), intent, outcome, PACE).await?;
        boundary!("walk::settled");
        Ok(())
    }

    /// Reads the ledger and as much of the forge as the decision needs, and decides.
    async fn look(
        &self,
        at: &IssueRef,
        issue: Issue,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Look, Error> {
        let past = self.inner.store.past(at.clone()).await?;
        let mut standing = Standing {
            dispatch: past.dispatch.clone(),
            load: past.load.clone(),
            agents: rules.agents.clone(),
            ..Standing::default()
        };
        let mut verdict = rules.triage.verdict(&issue, &standing, now);
        if self.learn_blockers(at, &issue, &verdict, &mut standing).await? {
            verdict = rules.triage.verdict(&issue, &standing, now);
        }
        Ok(Look { issue, past, verdict })
    }

    /// Asks the forge about blockers, but only where the answer can change the decision. True when it may have.
    async fn learn_blockers(
        &self,
        at: &IssueRef,
        issue: &Issue,
        verdict: &Verdict,
        standing: &mut Standing,
    ) -> Result<bool, Error> {
        match &verdict.decision {
            Decision::Dispatch { .. } | Decision::Wait { .. } if standing.dispatch.is_none() => {
                let all = self.inner.forge.dependencies(at).await?;
                let open = all.into_iter().filter(|(_, state)| *state == IssueState::Open);
                standing.open_dependencies = open.map(|(at, _)| at).collect();
                Ok(!standing.open_dependencies.is_empty())
            }
            Decision::Flag { .. } => {
                for number in mentioned_blockers(issue).into_iter().take(MAX_BLOCKERS) {
                    let blocker = IssueRef { repo: at.repo.clone(), number };
                    let found = self.inner.forge.issue(&blocker).await?;
                    if found.is_some_and(|issue| issue.state == IssueState::Closed) {
                        standing.closed_blockers.push(blocker);
                    }
                }
                Ok(!standing.closed_blockers.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// What is missing for the verdict to be true.
    async fn conclude(
        &self,
        at: &IssueRef,
        look: &Look,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Intent, Error> {
        let agent = look.verdict.decision.agent();
        let agent = agent.and_then(|id| rules.agents.iter().find(|a| a.id == *id));
        let signals = rules.triage.signals(&look.issue);
        let scene = Scene {
            comment: self.our_comment(at, look).await?,
            applied: &look.past.applied,
            agent,
            is_assignable: self.is_assignable(at, look, agent).await?,
            dispatch: look.past.dispatch.as_ref(),
            owner: rules.owner.as_deref().unwrap_or(at.repo.owner()),
            flag_label: rules.flag_label.as_deref(),
            signals: &signals,
        };
        let plan = plan(&look.issue, &look.verdict, &scene);
        let is_dispatched = matches!(look.verdict.decision, Decision::Dispatch { .. });
        // A dry run takes nobody's place: each issue is judged as if it were the only one.
        let opens = agent
            .filter(|_| {
                is_dispatched && look.past.dispatch.is_none() && !self.inner.forge.is_dry_run()
            })
            .cloned();
        Ok(Intent {
            at: now,
            decision: look.verdict.decision.clone(),
            verdict: Some(look.verdict.clone()),
            signals,
            effects: plan.effects,
            opens,
        })
    }

    /// Our latest comment on the issue: from the ledger, or, when the ledger does not know or is not sure, from the
    /// issue itself. Only comments by our own account count; anybody can write a marker.
    async fn our_comment(&self, at: &IssueRef, look: &Look) -> Result<Option<OurComment>, Error> {
        let writes =
            matches!(look.verdict.decision, Decision::Dispatch { .. } | Decision::Flag { .. });
        if !writes {
            return Ok(None);
        }
        if let (Some(comment), false) = (&look.past.comment, look.past.comment_unknown) {
            let marker =
                Marker { decision: comment.decision.clone(), digest: comment.digest.clone() };
            return Ok(Some(OurComment { id: comment.id, marker }));
        }
        if look.issue.comments == 0 && !look.past.comment_unknown {
            return Ok(None);
        }
        let us = match self.account() {
            Some(account) => account,
            None => self.inner.forge.whoami().await?,
        };
        let comments = self.inner.forge.comments(at).await?;
        let ours =
            comments.iter().rev().filter(|c| c.author.as_ref().is_some_and(|a| a.is_same_as(&us)));
        let mut found =
            ours.filter_map(|c| Marker::find(&c.body).map(|m| OurComment { id: c.id, marker: m }));
        Ok(found.next())
    }

    async fn is_assignable(
        &self,
        at: &IssueRef,
        look: &Look,
        agent: Option<&Agent>,
    ) -> Result<bool, Error> {
        let login = agent.and_then(|a| a.login.as_deref());
        match (login, &look.verdict.decision) {
            (Some(login), Decision::Dispatch { .. }) if !look.issue.is_assigned_to(login) => {
                Ok(self.inner.hands.is_assignable(&at.repo, login).await?)
            }
            (login, _) => Ok(login.is_some()),
        }
    }

    async fn finish_gone(&self, claim: &Claim, rules: &Rules, now: Timestamp) -> Result<(), Error> {
        let intent = Intent {
            at: now,
            decision: rules.triage.gone(),
            verdict: None,
            signals: Vec::new(),
            effects: Vec::new(),
            opens: None,
        };
        let outcome = Outcome { dispatch: Some(DispatchState::Completed), ..Outcome::default() };
        log(claim, &intent, &outcome);
        Ok(self.inner.store.settle(claim.clone(), intent, outcome, PACE).await?)
    }

    /// Puts a failed claim back for later, or buries it. Logged here and nowhere else.
    async fn fail(
        &self,
        claim: Claim,
        error: &Error,
        progress: Progress,
    ) -> Result<(), store::Error> {
        let now = self.inner.clock.now();
        let failed = error.failed();
        let next =
            retry::after(failed, claim.attempts, self.rules().max_attempts, claim.at.number, now);
        let mut failure = Failure {
            at: now,
            reason: error.to_string(),
            spends_attempt: true,
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

/// Where the issue's dispatch goes from here: handed over when all was written, ended when the issue is closed or
/// somebody else has taken it.
fn next_state(look: &Look, effects: &[EffectOutcome]) -> Option<DispatchState> {
    match &look.verdict.decision {
        Decision::Finish { .. } => Some(DispatchState::Completed),
        Decision::Dispatch { .. } => {
            let is_told = effects.iter().all(|e| e.state != EffectState::Withheld);
            let state = look.past.dispatch.as_ref().map_or(DispatchState::Pending, |d| d.state);
            (is_told && state == DispatchState::Pending).then_some(DispatchState::Assigned)
        }
        Decision::Skip { .. } if is_taken_over(look) => Some(DispatchState::Failed),
        _ => None,
    }
}

/// Whether a person gave the issue to somebody else while it was dispatched.
fn is_taken_over(look: &Look) -> bool {
    let is_open = |d: &Dispatch| d.state.is_open();
    look.past.dispatch.as_ref().is_some_and(is_open) && !look.issue.assignees.is_empty()
}

fn log(claim: &Claim, intent: &Intent, outcome: &Outcome) {
    tracing::info!(
        issue = %claim.at,
        deliveries = claim.deliveries.len(),
        action = intent.decision.action(),
        agent = intent.decision.agent().map(tracing::field::display),
        score = intent.verdict.as_ref().map(|v| v.score.total),
        effects = outcome.effects.len(),
        "decided"
    );
}

//! Reconciles one claimed issue: reads it as it is now, evaluates it, plans what is missing, and carries that out. What
//! is decided, `triage` and `plan` say; here they are only asked, until they lack no fact.

use tracing::Span;

use super::ask;
use super::process::{Error, Progress};
use super::{PACE, Parts, Worker};
use crate::apply::{Applied, MissingLabel};
use crate::dispatch::{DispatchState, HandoffError, Transition};
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, IssueState};
use crate::plan::{Decided, Effect, EffectOutcome, Outcome, plan};
use crate::reason::Cause;
use crate::store::{self, Claim, Numbered, ShownIssue};
use crate::triage::{CommandRequest, Facts, OrderEnd, Rules, Snapshot, evaluate};

/// How often an issue is evaluated anew because its agent's last place, or somebody's turn, was taken in between.
const RACES: u32 = 3;

impl Worker {
    /// Leads a claimed issue through the flow; `progress` says how far, when it stops early.
    pub(super) async fn reconcile(
        &self,
        claim: &Claim,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (now, rules) = (self.parts.clock.now(), self.rules());
        let repo = &claim.at.repo;
        if !repo.is_former() && !rules.repos.allows(repo) {
            return Err(Error::NotAllowed(repo.clone()));
        }
        self.receive_orders(claim).await?;
        let (issue, mut facts) = self.read(claim).await?;
        let Some(issue) = issue else { return self.finish_gone(claim, &rules).await };
        if !self.is_claimed(claim, &issue).await? {
            return Ok(());
        }
        progress.is_read = true;
        self.keep_words(&issue, &rules).await?;
        let requests = self.requests(claim, &issue).await?;
        let reports = self.reports(claim).await?;
        let assessment = self.assess(&claim.at, &issue, now).await?;
        let key = uuid::Uuid::new_v4().to_string();
        let mut races = 0;
        loop {
            let record = self.parts.store.record(claim.at.clone()).await?;
            let mut snapshot = Snapshot {
                at: &claim.at,
                issue: &issue,
                assessment: &assessment,
                record: &record,
                requests: &requests,
                reports: &reports,
                now,
                is_dry_run: self.parts.forge.is_dry_run(),
                key: &key,
                facts,
            };
            let decided = self.decide(claim, &mut snapshot, &rules).await?;
            boundary!("reconcile::planned");
            match self.carry_out(claim, &snapshot, decided, progress).await {
                Err(Error::Store(error)) if error.is_race() && races < RACES => races += 1,
                result => return result,
            }
            facts = snapshot.facts;
        }
    }

    /// Evaluates and plans, asking the forge for each fact that is lacking.
    async fn decide(
        &self,
        claim: &Claim,
        s: &mut Snapshot<'_>,
        rules: &Rules,
    ) -> Result<Decided, Error> {
        loop {
            let decided = evaluate(s, rules).and_then(|evaluation| {
                plan(s, &evaluation, rules).map(|plan| Decided { evaluation, plan })
            });
            match decided {
                Ok(decided) => return Ok(decided),
                Err(question) => self.ask(s.at, Some(claim), question, &mut s.facts).await?,
            }
        }
    }

    /// Reads the issue as it is now. Of a new one it is asked at the same time what it depends on: most that are
    /// dispatched are new, and people wait for that. Of others it is asked when the decision needs it, and so it is when
    /// we may not know it, and while the forge does not work as it should.
    async fn read(&self, claim: &Claim) -> Result<(Option<Issue>, Facts), forge::Error> {
        let (forge, mut facts) = (&self.parts.forge, Facts::default());
        let is_former = claim.at.repo.is_former();
        if is_former || !claim.is_of_new_issue() || !self.state.breaker.is_steady() {
            return match forge.issue_of(&claim.at, claim.repo_id).await {
                // Another one has its name, and its id leads nowhere: it was deleted.
                Err(error) if is_former && error.status() == Some(404) => Ok((None, facts)),
                issue => Ok((issue?.filter(|issue| !is_former || is_of(claim, issue)), facts)),
            };
        }
        let issue = forge.issue_of(&claim.at, claim.repo_id);
        let (issue, dependencies) = tokio::join!(issue, forge.dependencies(&claim.at));
        // A wish to wait is kept, whichever of the two it answered, and the longer of two.
        let wish = dependencies.as_ref().err().filter(|e| e.is_transient());
        let wish = wish.and_then(forge::Error::retry_after);
        match (issue, dependencies) {
            (Err(error), Err(longer)) if wish > error.retry_after() => {
                self.state.breaker.note_loss(&error);
                Err(longer)
            }
            (Ok(_), Err(error)) if wish.is_some() => Err(error),
            (issue, dependencies) => {
                facts.dependencies = dependencies.ok().map(ask::open);
                Ok((issue?, facts))
            }
        }
    }

    /// Whether the issue that was read is the one that is claimed; another one may have its name by now.
    async fn is_claimed(&self, claim: &Claim, issue: &Issue) -> Result<bool, store::Error> {
        let known = claim.repo_id.zip(claim.issue_id);
        let Some(ids) = issue.ids.filter(|ids| known != Some((ids.repo, ids.issue))) else {
            return Ok(true);
        };
        let at = IssueRef { repo: claim.at.repo.plain(), number: claim.at.number };
        let shown = ShownIssue { at, ids, opened_at: issue.created_at };
        let is_claimed = self.parts.store.is_shown(claim, shown, self.parts.clock.now()).await?;
        if !is_claimed {
            tracing::warn!(issue = %claim.at, "another issue had this name before; both are looked at");
        }
        Ok(is_claimed)
    }

    /// Keeps what the issue says before anything is decided, so that another one that says the same, and is looked at in
    /// the same moment, finds it.
    async fn keep_words(&self, issue: &Issue, rules: &Rules) -> Result<(), store::Error> {
        let policy = rules.triage.policy();
        let Some(ids) = issue.ids.filter(|_| policy.duplicates) else { return Ok(()) };
        let now = self.parts.clock.now();
        let closed_at = || issue.closed_at.or(issue.updated_at).unwrap_or(now);
        let closed_at = (issue.state == IssueState::Closed).then(closed_at);
        let is_recent = closed_at.is_none_or(|at| at >= policy.closed_since(now));
        let words = rules.triage.words(issue).filter(|_| is_recent);
        let at = Numbered { repo: ids.repo, number: issue.number };
        self.parts.store.keep_wording(at, words, closed_at).await
    }

    /// Writes the intent down, does it, and records how it went.
    async fn carry_out(
        &self,
        claim: &Claim,
        s: &Snapshot<'_>,
        mut decided: Decided,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (store, rules) = (&self.parts.store, self.rules());
        if let Some(until) = self.limited_until(claim, &decided).await? {
            return Ok(self.hold_back(claim, s.record, decided, until).await?);
        }
        let mut refused = None;
        if decided.plan.opens.is_some() || !decided.plan.effects.is_empty() {
            progress.recorded = Some(store.intend(claim, decided.clone()).await?);
            boundary!("reconcile::intended");
            let answers = decided.plan.answers_from();
            let written = self.write(s, &decided.plan.effects[..answers], progress).await;
            if written.is_err() {
                progress.undone = decided.undone(&progress.effects);
            }
            refused = written?;
            let is_hand_off_failed = refused.is_some();
            let fitting = decided.answers(s, &progress.effects, is_hand_off_failed);
            if fitting != decided.plan.effects[answers..] {
                self.answer_otherwise(claim, &mut decided, fitting, progress).await?;
            }
            let tried = progress.effects.len();
            self.write(s, &decided.plan.effects[tried..], progress).await?;
            boundary!("reconcile::applied");
        }
        let effects = progress.effects.clone();
        let outcome = decided.outcome(s, effects, refused, rules.dispatch_attempts);
        self.finish(claim, decided, progress.recorded.clone(), outcome).await
    }

    /// Writes these effects; why an agent could not be called. A label that does not exist is made while no other service
    /// on the same store makes one there.
    async fn write(
        &self,
        s: &Snapshot<'_>,
        mut effects: &[Effect],
        progress: &mut Progress,
    ) -> Result<Option<HandoffError>, Error> {
        let Parts { store, executor, .. } = &*self.parts;
        let missing = if store.is_shared() { MissingLabel::Left } else { MissingLabel::Made };
        let mut refused = None;
        loop {
            let applied = executor.apply(s.at, effects, missing).await;
            let (done, lacks_label) = (applied.effects.len(), applied.lacks_label);
            refused = refused.or(self.keep(effects, applied, progress)?);
            if !lacks_label {
                return Ok(refused);
            }
            let (label, rest) = effects[done..].split_at(1);
            let turn = store.take_turn(format!("labels of {}", s.at.repo)).await?;
            let applied = executor.apply(s.at, label, MissingLabel::Made).await;
            let kept = self.keep(label, applied, progress);
            store.end_turn(turn).await?;
            kept?;
            effects = rest;
        }
    }

    /// Keeps what became of effects; why an agent could not be called.
    fn keep(
        &self,
        effects: &[Effect],
        applied: Applied,
        progress: &mut Progress,
    ) -> Result<Option<HandoffError>, forge::Error> {
        self.count(effects, &applied);
        progress.effects.extend(applied.effects);
        match applied.error {
            Some(error) => Err(error),
            None => Ok(applied.hand_off),
        }
    }

    /// Means these answers in place of those that were meant before it was known what became of the other writes.
    async fn answer_otherwise(
        &self,
        claim: &Claim,
        decided: &mut Decided,
        answers: Vec<Effect>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let Some(recorded) = &mut progress.recorded else { return Ok(()) };
        let (store, at) = (&self.parts.store, decided.evaluation.at);
        let ids = store.intend_answers(claim, recorded, answers.clone(), at).await?;
        recorded.effects.extend(ids);
        let unsaid = EffectOutcome::failed("not said: something else came of it");
        progress.effects.resize(decided.plan.effects.len(), unsaid);
        decided.plan.effects.extend(answers);
        Ok(())
    }

    /// Ends the claim with what is known.
    async fn finish(
        &self,
        claim: &Claim,
        decided: Decided,
        recorded: Option<store::Recorded>,
        outcome: Outcome,
    ) -> Result<(), Error> {
        self.record_success(&decided);
        log(&claim.at, claim.deliveries.len(), &decided);
        let ended = store::Ended { decided, recorded, outcome };
        self.parts.store.settle(claim.clone(), ended, PACE).await?;
        boundary!("reconcile::settled");
        Ok(())
    }

    /// Counts what was written, and the write that stopped the rest.
    pub(super) fn count(&self, effects: &[Effect], applied: &Applied) {
        let results = applied.effects.iter().map(|e| e.state.as_str());
        let results = results.chain(applied.error.is_some().then_some("error"));
        for (effect, result) in effects.iter().zip(results) {
            self.state.meters.effects.add([effect.kind().as_str(), result]);
        }
    }

    async fn finish_gone(&self, claim: &Claim, rules: &Rules) -> Result<(), Error> {
        let record = self.parts.store.record(claim.at.clone()).await?;
        let open = self.parts.store.open_orders(claim).await?;
        if let Some(repo) = claim.repo_id.filter(|_| rules.triage.policy().duplicates) {
            let at = Numbered { repo, number: claim.at.number };
            self.parts.store.keep_wording(at, None, None).await?;
        }
        let decided = Decided::only(self.parts.clock.now(), rules.triage.gone(), &record);
        let reason = decided.evaluation.decision.reason().to_string();
        let in_vain = |order: &CommandRequest| OrderEnd {
            is_told: true,
            ..OrderEnd::refused(order.order, reason.clone())
        };
        let orders = open.iter().map(in_vain).collect();
        let ended = Transition::to(DispatchState::Completed, Cause::Decided { reason });
        let outcome = Outcome { transition: Some(ended), orders, ..Outcome::default() };
        self.finish(claim, decided, None, outcome).await
    }
}

/// Whether the issue that was read by a name is the claimed one.
fn is_of(claim: &Claim, issue: &Issue) -> bool {
    issue.ids.is_some_and(|ids| claim.issue_id == Some(ids.issue))
}

fn log(at: &IssueRef, deliveries: usize, decided: &Decided) {
    let (evaluation, plan) = (&decided.evaluation, &decided.plan);
    Span::current().record("action", evaluation.decision.action().as_str());
    tracing::info!(
        issue = %at,
        deliveries,
        action = evaluation.decision.action().as_str(),
        agent = evaluation.decision.agent().map(tracing::field::display),
        score = evaluation.verdict.as_ref().map(|v| v.score.total),
        effects = plan.effects.len(),
        "decided"
    );
}

//! One evaluation of an issue: what a person took off, what people ask for, how the work goes, and then the rules. Each
//! step takes the evaluation so far and gives the next; a step that needs a fact asks for it. Pure.

use super::decide::Chain;
use super::{
    Approval, Custody, Decision, Evaluation, Question, Rules, Snapshot, Verdict, claims, commands,
    lifecycle, observe, outsiders, rotation,
};
use crate::dispatch::DispatchState;
use crate::issue::IssueRef;
use crate::reason::{Cause, Reason};

/// Evaluates an issue, or says what has to be known first.
pub fn evaluate(s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let start = Evaluation { claim_limit: rules.claim_limit, ..Evaluation::start(s) };
    let evaluation = observe::notice_taken_off(start, s, rules)?;
    let evaluation = claims::follow(evaluation, s, rules)?;
    let evaluation = commands::apply_commands(evaluation, s, rules)?;
    let evaluation = claims::release_ours(evaluation, s)?;
    let evaluation = lifecycle::follow(evaluation, s, rules)?;
    let evaluation = outsiders::revoke(evaluation, s, rules)?;
    let given = observe::given_by_person(&evaluation, s, rules).map(|agent| agent.id.clone());
    let evaluation = outsiders::follow(Evaluation { given, ..evaluation }, s, rules)?;
    conclude(keep_withdrawn(evaluation, s), s, rules)
}

/// An approval that was taken back approves no text any more; a choice that stood on it does not go on without one.
fn keep_withdrawn(mut e: Evaluation, s: &Snapshot<'_>) -> Evaluation {
    if e.approval.is_none() && matches!(e.custody, Custody::Chosen(_)) {
        let taken_back = s.record.approval.clone();
        e.approval = taken_back.map(|former| Approval { digest: String::new(), ..former });
    }
    e
}

/// Asks the rules, and ends what they end.
fn conclude(e: Evaluation, s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let chain = Chain { triage: &rules.triage, agents: Some(&rules.agents), s, e: &e };
    let decision = chain.decide()?;
    let task_type = chain.task_type();
    let taken_over = taken_over(&e, &decision, s, rules);
    let e = match taken_over {
        Some(login) => e.hold(DispatchState::Failed, Cause::TakenOver { login }),
        None => e,
    };
    let e = commands::refuse_unmet(e, s, &decision);
    let chain = Chain { triage: &rules.triage, agents: Some(&rules.agents), s, e: &e };
    // A claim goes on where no agent gets what was to be taken from its holder.
    let decision = if e.custody.claim().is_some() { chain.decide()? } else { decision };
    let waits_on = waits_on(decision.reason());
    let e = Evaluation { decision: decision.clone(), ..e };
    let mut e = rotation::settle(e, &decision, s, rules)?;
    let is_given =
        matches!((&e.custody, &decision), (Custody::Chosen(_), Decision::Dispatch { .. }));
    // A dry run gives it to nobody: the choice waits for its end.
    if is_given && !s.is_dry_run {
        e.custody = Custody::Free;
    }
    // Who has the issue already knows what to do, or asks.
    let is_free = e.custody.dispatch().is_none() && e.given.is_none();
    // Whom an old backlog concerns expects no question any more.
    let is_expected = !s.record.is_from_before || is_changed_since(decision.reason());
    e.answer = rules.triage.answer(&decision).filter(|_| is_free && is_expected);
    let score = s.assessment.score.clone();
    let policy = Some(rules.triage.id().clone());
    e.signals = s.assessment.signals.clone();
    e.changes_custody = e.custody != s.record.custody
        || e.removed != s.record.removed
        || e.approval != s.record.approval
        || e.is_no_duplicate != s.record.is_no_duplicate;
    e.verdict = Some(Verdict { score, task_type, decision: decision.clone(), policy });
    Ok(Evaluation { decision, waits_on, ..e })
}

/// Whether somebody has approved the text and waits for what comes of it, not knowing that it was changed.
fn is_changed_since(reason: &Reason) -> bool {
    matches!(reason, Reason::AwaitsApproval { change: Some(_), .. })
}

/// The issues that a blocked one waits for.
fn waits_on(reason: &Reason) -> Vec<IssueRef> {
    match reason {
        Reason::Duplicate { of, closed_at: None, .. } => vec![of.clone()],
        Reason::Depends(on) | Reason::BlockedByText { by: on, .. } => on.clone(),
        _ => Vec::new(),
    }
}

/// Who has the issue now, when a person gave it to somebody else while it was dispatched.
fn taken_over(
    e: &Evaluation,
    decision: &Decision,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Option<String> {
    let dispatch = e.custody.dispatch().filter(|_| matches!(decision, Decision::Skip { .. }))?;
    let own = rules.agent(&dispatch.agent).and_then(|agent| agent.login.as_deref());
    // Who was asked in turn did not take it.
    let asked = e.duty.as_ref().and_then(|duty| duty.login.as_deref());
    let ours = [own, asked];
    let is_other =
        |login: &&String| !ours.iter().flatten().any(|one| one.eq_ignore_ascii_case(login));
    s.issue.assignees.iter().find(is_other).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::AgentId;
    use crate::issue::{Account, Issue};
    use crate::triage::policy::Authors;
    use crate::triage::samples::{World, agent, bug, now};
    use crate::triage::{Action, Choice, Policy, Way};

    #[test]
    fn a_choice_does_not_go_on_without_the_label_that_it_stood_on() {
        let author = Some(Account { id: 2, login: "bob".into() });
        let world = World::of(Issue { author, ..bug() }).agents(vec![agent("claude", &[])]);
        let policy = Policy { authors: Authors::Approved, ..Policy::default() };
        let mut world = world.policy(policy).answered(|facts| {
            facts.writers.insert("bob".into(), false);
            facts.account = Some(Account { id: 3, login: "triage-bot".into() });
            facts.shown_texts = Some(Vec::new());
            facts.timeline = Some(Vec::new());
        });
        world.record.custody =
            Custody::Chosen(Choice { agent: AgentId::new("claude"), task: None });
        let digest = world.issue.text().to_string();
        let (by, at) = ("alice".to_owned(), now());
        world.record.approval = Some(Approval { by, at, way: Way::Label, digest, edited_by: None });
        let e = world.evaluate();
        assert_eq!(e.decision.action(), Action::Skip, "{:?}", e.decision);
        (world.record.custody, world.record.approval) = (e.custody, e.approval);
        assert_eq!(world.evaluate().decision.action(), Action::Skip, "the next look as well");
    }
}

//! One evaluation of an issue: what a person took off, what people ask for, how the work goes, and then the rules. Each
//! step takes the evaluation so far and gives the next; a step that needs a fact asks for it. Pure.

use super::decide::Chain;
use super::{
    Custody, Decision, Evaluation, Question, Rules, Snapshot, Verdict, commands, lifecycle,
    observe, outsiders,
};
use crate::dispatch::{Agent, DispatchState, Interface, Mark};
use crate::issue::IssueRef;
use crate::reason::{Cause, Reason};

/// Evaluates an issue, or says what has to be known first.
pub fn evaluate(s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let evaluation = observe::notice_taken_off(Evaluation::start(s), s, rules)?;
    let evaluation = commands::apply_commands(evaluation, s, rules)?;
    let evaluation = lifecycle::follow(evaluation, s, rules)?;
    let evaluation = outsiders::revoke(evaluation, s, rules)?;
    let given = given_by_person(&evaluation, s, rules).map(|agent| agent.id.clone());
    let evaluation = outsiders::follow(Evaluation { given, ..evaluation }, s, rules)?;
    conclude(evaluation, s, rules)
}

/// Asks the rules, and ends what they end.
fn conclude(e: Evaluation, s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let chain = Chain { triage: &rules.triage, agents: &rules.agents, s, e: &e };
    let decision = chain.decide()?;
    let waits_on = waits_on(decision.reason());
    let task_type = chain.task_type();
    let taken_over = taken_over(&e, &decision, s, rules);
    let e = match taken_over {
        Some(login) => e.hold(DispatchState::Failed, Cause::TakenOver { login }),
        None => e,
    };
    let mut e = commands::refuse_unmet(e, s, &decision);
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

/// The agent to which a person has given the issue, by its label or its account, while nobody had it. What a dispatch of
/// ours left there is no person's doing.
fn given_by_person<'a>(e: &Evaluation, s: &Snapshot<'_>, rules: &'a Rules) -> Option<&'a Agent> {
    let is_free = e.custody == Custody::Free && e.resumes.is_none();
    if !is_free || !e.is_open(s.issue) || s.issue.is_pull_request {
        return None;
    }
    let is_left_over = |mark: &Mark| {
        s.record.leftovers.contains(mark)
            || e.revoked.contains(mark)
            || (!e.attempts.is_empty() && s.record.applied.contains(mark))
    };
    let is_called = |agent: &&Agent| {
        agent.interface == Interface::Forge
            && agent.marks().any(|mark| mark.is_on(s.issue) && !is_left_over(&mark))
    };
    rules.agents.iter().find(is_called)
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
    let own = own.unwrap_or_default();
    s.issue.assignees.iter().find(|login| !login.eq_ignore_ascii_case(own)).cloned()
}

//! One evaluation of an issue: what a person took off, what people ask for, how the work goes, and then the rules. Each
//! step takes the evaluation so far and gives the next; a step that needs a fact asks for it. Pure.

use std::collections::BTreeSet;

use super::commands::Answer;
use super::decide::Case;
use super::{
    Custody, Decision, News, Notice, Question, Record, Rules, Signal, Snapshot, Verdict, commands,
    lifecycle, observe,
};
use crate::clock::Timestamp;
use crate::dispatch::{
    Agent, AgentId, Attempt, DispatchState, Interface, Mark, TaskType, Transition,
};
use crate::issue::{Issue, IssueRef, IssueState};
use crate::reason::{Cause, Hold, Reason};

/// What was concluded about an issue at one moment, and what it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// When.
    pub at: Timestamp,
    /// What is to happen.
    pub decision: Decision,
    /// The whole verdict; `None` when the issue is gone.
    pub verdict: Option<Verdict>,
    /// What gave the points.
    pub signals: Vec<Signal>,
    /// Who has the issue from now on; a dispatch that is to be opened is in the plan.
    pub custody: Custody,
    /// What a person took off it, from now on.
    pub removed: BTreeSet<Mark>,
    /// Whether one of these two is not as the ledger says.
    pub changes_custody: bool,
    /// The attempts that have failed, this evaluation's included.
    pub attempts: Vec<Attempt>,
    /// How the dispatch that was open goes on or ends.
    pub transition: Option<Transition>,
    /// A person said to begin anew: earlier attempts no longer count.
    pub begins_anew: bool,
    /// What is answered to comments with commands.
    pub answers: Vec<Answer>,
    /// Who is to be assigned by hand.
    pub assign: Option<String>,
    /// What people are told once.
    pub notices: Vec<Notice>,
    /// The agent is reminded of its deadline.
    pub is_reminded: bool,
    /// The issue is closed and is to be open.
    pub reopens: bool,
    /// The agent to which a person gave the issue on the forge, while nobody had it.
    pub given: Option<AgentId>,
    /// What the issue waits for.
    pub waits_on: Vec<IssueRef>,
    /// When the issue was opened.
    pub opened_at: Option<Timestamp>,
    /// Why a person has to look, whatever else would be decided.
    pub(super) needs_person: Option<Reason>,
    /// The agent whose account, still assigned, counts as ours although no dispatch is open.
    pub(super) resumes: Option<AgentId>,
    /// A person chose the agent that has the issue already.
    pub(super) is_chosen_again: bool,
}

impl Evaluation {
    /// One that only says what was decided, and leaves all else as the ledger says.
    pub fn of(at: Timestamp, decision: Decision, record: &Record) -> Self {
        Self {
            at,
            decision,
            verdict: None,
            signals: Vec::new(),
            custody: record.custody.clone(),
            removed: record.removed.clone(),
            changes_custody: false,
            attempts: record.attempts.clone(),
            transition: None,
            begins_anew: false,
            answers: Vec::new(),
            assign: None,
            notices: Vec::new(),
            is_reminded: false,
            reopens: false,
            given: None,
            waits_on: Vec::new(),
            opened_at: None,
            needs_person: None,
            resumes: None,
            is_chosen_again: false,
        }
    }

    /// Before the first step: as the ledger says.
    pub(super) fn start(s: &Snapshot<'_>) -> Self {
        let nothing = Decision::Skip { reason: Reason::Earlier(String::new()) };
        Self {
            reopens: s.record.reopens(),
            opened_at: s.issue.created_at,
            ..Self::of(s.now, nothing, s.record)
        }
    }

    /// The kind of task; everyday coding when the issue is gone.
    pub fn task_type(&self) -> TaskType {
        self.verdict.as_ref().map_or(TaskType::RoutineCoding, |verdict| verdict.task_type)
    }

    /// Ends the open dispatch, if there is one, and holds the issue for the same cause.
    pub(super) fn hold(self, state: DispatchState, cause: Cause) -> Self {
        Self { custody: Custody::Held(Hold(cause.clone())), ..self.end(state, cause) }
    }

    /// Ends the open dispatch, if there is one; nobody has the issue then.
    pub(super) fn end(self, state: DispatchState, cause: Cause) -> Self {
        let ended = self.custody.dispatch().map(|_| Transition::to(state, cause));
        Self { custody: Custody::Free, transition: ended.or(self.transition), ..self }
    }

    /// Adds something that people are told once about a dispatch.
    pub(super) fn announce(mut self, dispatch: i64, news: News) -> Self {
        self.notices.push(Notice { dispatch, news });
        self
    }

    /// What was put on the issue for dispatches that have ended: what another agent had is taken off when the issue is
    /// handed on, or two that find their label on it would both work on it.
    pub fn leftovers(&self, s: &Snapshot<'_>) -> BTreeSet<Mark> {
        let is_given = matches!(self.decision, Decision::Dispatch { .. })
            || matches!(self.custody, Custody::Chosen { .. });
        let is_handed_on = self
            .transition
            .as_ref()
            .is_some_and(|ended| ended.counts || (ended.cause.is_command() && is_given));
        let last = s.record.applied.iter().filter(|_| is_handed_on);
        s.record.leftovers.iter().chain(last).cloned().collect()
    }

    /// Whether this account, still assigned, is one of an agent whose attempt failed.
    pub(super) fn is_left_over(&self, login: &str, s: &Snapshot<'_>, agents: &[Agent]) -> bool {
        let failed = self.transition.as_ref().filter(|ended| ended.counts);
        let last = failed.and(s.record.custody.dispatch()).map(|dispatch| &dispatch.agent);
        let last = agents.iter().find(|agent| Some(&agent.id) == last);
        let marks =
            s.record.leftovers.iter().cloned().chain(last.into_iter().flat_map(Agent::marks));
        marks
            .into_iter()
            .any(|mark| matches!(mark, Mark::Assignee(one) if one.eq_ignore_ascii_case(login)))
    }

    /// Whether the issue is open, or is to be opened again.
    pub(super) fn is_open(&self, issue: &Issue) -> bool {
        self.reopens || issue.state == IssueState::Open
    }
}

/// Evaluates an issue, or says what has to be known first.
pub fn evaluate(s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let evaluation = observe::notice_taken_off(Evaluation::start(s), s, rules)?;
    let evaluation = commands::apply_commands(evaluation, s, rules)?;
    let evaluation = lifecycle::follow(evaluation, s, rules)?;
    let given = given_by_person(&evaluation, s, rules).map(|agent| agent.id.clone());
    conclude(Evaluation { given, ..evaluation }, s, rules)
}

/// Asks the rules, and ends what they end.
fn conclude(e: Evaluation, s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let case = Case { triage: &rules.triage, agents: &rules.agents, s, e: &e };
    let decision = case.decide()?;
    let waits_on = waits_on(decision.reason(), s.at);
    let task_type = case.task_type();
    let taken_over = taken_over(&e, &decision, s, rules);
    let mut e = match taken_over {
        Some(login) => e.hold(DispatchState::Failed, Cause::TakenOver { login }),
        None => e,
    };
    if matches!((&e.custody, &decision), (Custody::Chosen { .. }, Decision::Dispatch { .. })) {
        e.custody = Custody::Free;
    }
    let score = s.assessment.score.clone();
    e.signals = s.assessment.signals.clone();
    e.changes_custody = e.custody != s.record.custody || e.removed != s.record.removed;
    e.verdict = Some(Verdict { score, task_type, decision: decision.clone() });
    Ok(Evaluation { decision, waits_on, ..e })
}

/// The issues that a blocked one waits for.
fn waits_on(reason: &Reason, at: &IssueRef) -> Vec<IssueRef> {
    match reason {
        Reason::Depends { on } => on.clone(),
        Reason::BlockedByText { by } => {
            by.iter().map(|number| IssueRef { repo: at.repo.clone(), number: *number }).collect()
        }
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

//! What one evaluation of an issue concludes; each step of it takes the evaluation so far and gives the next.

use std::collections::BTreeSet;

use super::commands::{Audience, OrderEnd};
use super::{
    Answer, Approval, Custody, Decision, News, Notice, PersonClaim, Record, Shares, Signal,
    Snapshot, Verdict,
};
use crate::clock::Timestamp;
use crate::dispatch::run::ToolKind;
use crate::dispatch::{
    Agent, AgentId, Attempt, DispatchState, FollowUp, Mark, TaskType, Transition,
};
use crate::issue::{Issue, IssueRef, IssueState, TextDigest};
use crate::reason::{Cause, Duty, Hold, Reason};

/// The answer of a person to an agent that asked for a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The kind of tool.
    pub kind: ToolKind,
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// Who said so.
    pub by: String,
}

/// What was concluded about an issue at one moment, and what it changes.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// A person said that it is no duplicate.
    pub is_no_duplicate: bool,
    /// What a person took off it, from now on.
    pub removed: BTreeSet<Mark>,
    /// What a person approved of it, from now on.
    pub approval: Option<Approval>,
    /// What calls an agent on the issue and was put there by somebody who may not cause work.
    pub revoked: BTreeSet<Mark>,
    /// Whether custody, what was taken off or what was approved is not as the ledger says.
    pub changes_custody: bool,
    /// Its text, where it matters who opened it.
    pub text: Option<TextDigest>,
    /// The attempts that have failed, this evaluation's included.
    pub attempts: Vec<Attempt>,
    /// How the dispatch that was open goes on or ends.
    pub transition: Option<Transition>,
    /// A person said to begin anew: earlier attempts no longer count.
    pub begins_anew: bool,
    /// What the commands come to if all goes well, in the order of the snapshot's.
    pub orders: Vec<OrderEnd>,
    /// Who is to be assigned: by a command, or because it is their turn.
    pub assign: Option<String>,
    /// Whom we assigned and who does not have the issue any more.
    pub releases: Option<String>,
    /// How many claims whoever makes one may have.
    pub claim_limit: u32,
    /// Who of a rotation is asked.
    pub duty: Option<Duty>,
    /// Whether that is not as the ledger says, and is to be kept.
    pub changes_duty: bool,
    /// The rotation's shares once the choice that was made now counts.
    pub shares: Option<Shares>,
    /// What a person answered to an agent that asked for a permission.
    pub permits: Option<Permit>,
    /// What people are told once.
    pub notices: Vec<Notice>,
    /// The agent is reminded of its deadline.
    pub is_reminded: bool,
    /// The turn that the agent begins on its pull request.
    pub follow_up: Option<FollowUp>,
    /// The commit at the head of the agent's pull request, where that was looked at.
    pub pull_head: Option<String>,
    /// Whether checks of it still run.
    pub awaits_checks: bool,
    /// The deadline of the open dispatch from now on, where it was put off.
    pub deadline_at: Option<Timestamp>,
    /// The issue is closed and is to be open.
    pub reopens: bool,
    /// The pull request that closed the issue and whose checks still run: what is required is not known yet.
    pub under_review: Option<IssueRef>,
    /// The agent to which a person gave the issue on the forge, while nobody had it.
    pub given: Option<AgentId>,
    /// What the issue waits for.
    pub waits_on: Vec<IssueRef>,
    /// What people are told where it is given to nobody.
    pub answer: Option<Answer>,
    /// When the issue was opened.
    pub opened_at: Option<Timestamp>,
    /// Why a person has to look, whatever else would be decided.
    pub(super) needs_person: Option<Reason>,
    /// The agent whose account, still assigned, counts as ours although no dispatch is open.
    pub(super) resumes: Option<AgentId>,
    /// The claim that a command has ended which gives the issue to an agent; it goes on when the agent does not get it.
    pub(super) ended_claim: Option<PersonClaim>,
    /// A person chose the agent that has the issue already.
    pub(super) is_chosen_again: bool,
}

impl Evaluation {
    /// One that only says what was decided, and leaves all else as the ledger says.
    pub fn of(at: Timestamp, decision: Decision, record: &Record) -> Self {
        Self {
            at,
            decision,
            custody: record.custody.clone(),
            is_no_duplicate: record.is_no_duplicate,
            removed: record.removed.clone(),
            approval: record.approval.clone(),
            attempts: record.attempts.clone(),
            duty: record.duty.clone(),
            ..Self::default()
        }
    }

    /// Before the first step: as the ledger says.
    pub(super) fn start(s: &Snapshot<'_>) -> Self {
        Self {
            reopens: s.record.reopens(),
            opened_at: s.issue.created_at,
            ..Self::of(s.now, Decision::default(), s.record)
        }
    }

    /// Whether a person is to look, and nobody is called for it: the issue was open before its repository was first read,
    /// and neither people nor agents have done anything about it since.
    pub fn is_quiet(&self, record: &Record) -> bool {
        let is_untouched =
            self.orders.is_empty() && self.attempts.is_empty() && self.notices.is_empty();
        record.is_from_before && is_untouched && matches!(self.decision, Decision::Flag { .. })
    }

    /// Whether somebody waits for what follows: who commanded, who chose an agent or closed the issue, or the next issue
    /// in line for the place that its dispatch leaves.
    pub fn is_awaited(&self) -> bool {
        let is_over = self.transition.as_ref().is_some_and(|to| !to.state.is_open());
        let is_asked = self.orders.iter().any(|order| order.to == Audience::Writer);
        let by_choice = matches!(self.decision.reason(), Reason::Chosen(_));
        is_over || is_asked || by_choice || matches!(self.decision, Decision::Finish { .. })
    }

    /// The kind of task; everyday coding when the issue is gone.
    pub fn task_type(&self) -> TaskType {
        self.verdict.as_ref().map_or(TaskType::RoutineCoding, |verdict| verdict.task_type)
    }

    /// Ends the open dispatch, if there is one, and holds the issue for the same cause. What a person chose before
    /// stays chosen.
    pub(super) fn hold(self, state: DispatchState, cause: Cause) -> Self {
        let custody = Custody::Held(Hold(cause.clone()), self.custody.choice().cloned());
        Self { custody, ..self.end(state, cause) }
    }

    /// Ends the open dispatch, if there is one; nobody has the issue then.
    pub(super) fn end(mut self, state: DispatchState, cause: Cause) -> Self {
        if self.custody.dispatch().is_some() {
            self.custody = Custody::Free;
            self.transition = Some(Transition::to(state, cause));
        }
        self
    }

    /// Adds something that people are told once about a dispatch or a claim.
    pub(super) fn announce(mut self, about: i64, news: News) -> Self {
        self.notices.push(Notice { about, news });
        self
    }

    /// What was put on the issue for dispatches that have ended: what another agent had is taken off when the issue is
    /// handed on, or two that find their label on it would both work on it.
    pub fn leftovers(&self, s: &Snapshot<'_>) -> BTreeSet<Mark> {
        let is_given = matches!(self.decision, Decision::Dispatch { .. })
            || matches!(self.custody, Custody::Chosen(_))
            || self.assign.is_some();
        let is_handed_on = self
            .transition
            .as_ref()
            .is_some_and(|ended| ended.is_called_off() || (ended.cause.is_command() && is_given));
        let last = s.record.applied.iter().filter(|_| is_handed_on);
        s.record.leftovers.iter().chain(last).cloned().collect()
    }

    /// Whether this account, still assigned, is one of an agent whose dispatch was called off.
    pub(super) fn is_left_over(&self, login: &str, s: &Snapshot<'_>, agents: &[Agent]) -> bool {
        let called_off = self.transition.as_ref().filter(|ended| ended.is_called_off());
        let last = called_off.and(s.record.custody.dispatch()).map(|dispatch| &dispatch.agent);
        let last = agents.iter().find(|agent| Some(&agent.id) == last);
        let marks =
            s.record.leftovers.iter().cloned().chain(last.into_iter().flat_map(Agent::marks));
        marks
            .into_iter()
            .any(|mark| matches!(mark, Mark::Assignee(one) if one.eq_ignore_ascii_case(login)))
    }

    /// The approval, where it is one of the text as it is.
    pub fn approved(&self) -> Option<&Approval> {
        self.approval.as_ref().filter(|approval| self.text.is_some_and(|text| approval.is_of(text)))
    }

    /// Whether the issue is open, or is to be opened again.
    pub(super) fn is_open(&self, issue: &Issue) -> bool {
        self.reopens || issue.state == IssueState::Open
    }
}

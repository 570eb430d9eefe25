//! What is seen of the work on an issue that an agent has: what was taken off it, and by whom, and whether the agent has
//! begun. The timeline is only asked for where it can say something new.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{Check, Custody, Evaluation, Question, Rules, Snapshot};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState, Interface, Mark};
use crate::issue::{Change, IssueRef, IssueState, TimelineEvent};
use crate::reason::Cause;

/// How far the forge's clock may be behind ours.
const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(5);

/// How long after its merge a pull request may close what it names.
const MERGE_SLACK: TimeDelta = TimeDelta::minutes(1);

/// More pull requests than these are not asked for.
const MOST_PULLS: usize = 5;

/// A dispatch of which the timeline can say something new.
struct Observed<'a> {
    dispatch: &'a Dispatch,
    agent: &'a Agent,
    /// What called the agent and is not on the issue any more.
    missing: BTreeSet<Mark>,
    timeline: &'a [TimelineEvent],
}

/// Ends the dispatch of which somebody took off what had called the agent.
pub(super) fn notice_taken_off(
    evaluation: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let Some(observed) = observe(s, rules)? else { return Ok(evaluation) };
    let taken: Vec<Mark> = observed.taken_off().cloned().collect();
    if taken.is_empty() {
        return Ok(evaluation);
    }
    let what = taken.iter().map(|mark| mark.value().to_owned()).collect();
    let mut evaluation = evaluation.hold(DispatchState::Failed, Cause::TakenOff { what });
    evaluation.removed.extend(taken);
    Ok(evaluation)
}

/// What shows that the agent has begun.
pub(super) fn begun(s: &Snapshot<'_>, rules: &Rules) -> Result<Option<Cause>, Question> {
    Ok(observe(s, rules)?.and_then(|observed| observed.begun()))
}

/// Whether the issue was closed by the work on it: by the agent, or by the merge of a pull request that names it. Where
/// the forge does not say, it was a person.
pub(super) fn is_closed_by_work(
    dispatch: &Dispatch,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<bool, Question> {
    let timeline = s.timeline(since(dispatch))?;
    let closing = timeline.iter().rev().find(|one| one.change == Change::Closed);
    let Some(closing) = closing else { return Ok(false) };
    let login = rules.agent(&dispatch.agent).and_then(|agent| agent.login.as_deref());
    let login = login.unwrap_or(dispatch.agent.as_str());
    if closing.by.as_ref().is_some_and(|by| by.login.eq_ignore_ascii_case(login)) {
        return Ok(true);
    }
    let merged_at = s.merged_pull(rules.review.contains(&Check::Status))?.and_then(|p| p.merged_at);
    let apart = merged_at.zip(closing.at).map(|(merged, closed)| (closed - merged).abs());
    Ok(apart.is_some_and(|apart| apart <= MERGE_SLACK))
}

fn observe<'a>(s: &'a Snapshot<'_>, rules: &'a Rules) -> Result<Option<Observed<'a>>, Question> {
    let dispatch = s.record.custody.dispatch().filter(|d| d.state != DispatchState::Pending);
    let Some(dispatch) = dispatch.filter(|_| s.issue.state == IssueState::Open) else {
        return Ok(None);
    };
    let Some(agent) = rules.agent(&dispatch.agent) else { return Ok(None) };
    let missing = missing(s, dispatch, agent);
    if missing.is_empty() && dispatch.state != DispatchState::Assigned {
        return Ok(None);
    }
    let timeline = s.timeline(since(dispatch))?;
    Ok(Some(Observed { dispatch, agent, missing, timeline }))
}

/// The agent to which a person has given the issue, by its label or its account, while nobody had it. What a dispatch of
/// ours left there is no person's doing.
pub(super) fn given_by_person<'a>(
    e: &Evaluation,
    s: &Snapshot<'_>,
    rules: &'a Rules,
) -> Option<&'a Agent> {
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

/// The open pull requests for the issue: those that close it, and those of this account that name it.
pub(super) fn open_pulls<'a>(
    s: &'a Snapshot<'_>,
    login: &str,
    since: Timestamp,
) -> Result<&'a [IssueRef], Question> {
    let pull = |one: &TimelineEvent| match &one.change {
        Change::Linked { pull, is_merged: false, closes, .. } => {
            let is_theirs = one.by.as_ref().is_some_and(|by| by.login.eq_ignore_ascii_case(login));
            (*closes || is_theirs).then(|| pull.clone())
        }
        _ => None,
    };
    let linked = s.timeline(since)?.iter().rev().filter_map(pull);
    let distinct: BTreeSet<_> = linked.take(MOST_PULLS).collect();
    s.open_pulls(distinct.into_iter().collect())
}

/// How an account was last assigned or taken off, where the timeline says.
pub(super) fn last_assignment<'a>(
    timeline: &'a [TimelineEvent],
    of: &str,
) -> Option<&'a TimelineEvent> {
    timeline.iter().rev().find(|one| match &one.change {
        Change::Assigned { login, .. } => login.eq_ignore_ascii_case(of),
        _ => false,
    })
}

/// From when on the timeline says something about a dispatch.
pub(super) fn since(dispatch: &Dispatch) -> Timestamp {
    dispatch.opened_at - CLOCK_SLACK
}

/// What called the agent and is not there any more: each thing that we put on the issue, or, of a person's dispatch,
/// all of it.
fn missing(s: &Snapshot<'_>, dispatch: &Dispatch, agent: &Agent) -> BTreeSet<Mark> {
    let calls: BTreeSet<Mark> = agent.marks().collect();
    let is_missing = |mark: &&Mark| !mark.is_on(s.issue);
    if !dispatch.by_person {
        return s.record.applied.intersection(&calls).filter(is_missing).cloned().collect();
    }
    if calls.iter().all(|mark| is_missing(&mark)) { calls } else { BTreeSet::new() }
}

impl Observed<'_> {
    /// What was taken off by somebody else than the agent. Of a person's dispatch not all that could call the agent was
    /// ever there, so that only what the timeline says counts.
    fn taken_off(&self) -> impl Iterator<Item = &Mark> {
        let was_there = |mark: &&Mark| !self.dispatch.by_person || self.removal_of(mark).is_some();
        let by_others = self.missing.iter().filter(|mark| !self.is_taken_by_agent(mark));
        by_others.filter(was_there)
    }

    /// The agent took its label off, it commented, or a pull request names the issue.
    fn begun(&self) -> Option<Cause> {
        let agent = self.agent.id.clone();
        if let Some(mark) = self.missing.iter().find(|mark| self.is_taken_by_agent(mark)) {
            return Some(Cause::Accepted { agent, what: mark.value().to_owned() });
        }
        // The forge says whole seconds.
        let opened = self.dispatch.opened_at.timestamp();
        let is_new = |one: &&TimelineEvent| one.at.is_none_or(|at| at.timestamp() >= opened);
        self.timeline.iter().filter(is_new).find_map(|one| match &one.change {
            Change::Commented if self.is_by_agent(one) => {
                Some(Cause::Commented { agent: agent.clone() })
            }
            Change::Linked { pull, .. } => Some(Cause::Linked { pull: pull.clone() }),
            _ => None,
        })
    }

    /// Whether it was the agent's own account; one without a login is taken for the account of its name.
    fn is_by_agent(&self, event: &TimelineEvent) -> bool {
        let login = self.agent.login.as_deref().unwrap_or(self.agent.id.as_str());
        event.by.as_ref().is_some_and(|by| by.login.eq_ignore_ascii_case(login))
    }

    /// How this was last taken off, where the timeline says.
    fn removal_of(&self, mark: &Mark) -> Option<&TimelineEvent> {
        self.timeline.iter().rev().find(|one| match (&one.change, mark) {
            (Change::Labelled { name, on: false }, Mark::Label(label)) => name == label,
            (Change::Assigned { login, on: false }, Mark::Assignee(assignee)) => {
                login.eq_ignore_ascii_case(assignee)
            }
            _ => false,
        })
    }

    /// Whether the agent itself took this off, as some do when they begin. Where nobody knows, it was a person.
    fn is_taken_by_agent(&self, mark: &Mark) -> bool {
        self.removal_of(mark).is_some_and(|event| self.is_by_agent(event))
    }
}

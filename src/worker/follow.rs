//! Follows an open dispatch: reads what shows how the work goes, and turns the step that follows into what becomes of
//! the issue. What follows is decided in `triage`.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::process::Error;
use super::{Rules, Worker};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState, Report, Try};
use crate::gitea::{Happening, What};
use crate::issue::{Issue, IssueState};
use crate::plan::{EffectKind, Notice};
use crate::store::{Move, Past, Reported};
use crate::triage::{Limits, Signs, Standing, Step, code, follow};

/// How far the forge's clock may be behind ours.
const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(5);

/// What became of the open dispatch, beside what is decided about the issue.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// How it ends before anything else.
    pub(super) ends: Option<Move>,
    /// Where it goes while it stays open.
    pub(super) goes: Option<Move>,
    /// What people are told.
    pub(super) notices: Vec<Notice>,
    /// Its agent is reminded.
    pub(super) is_reminded: bool,
    /// The closed issue is opened again.
    pub(super) reopens: bool,
    /// Why a person has to look, whatever else would be decided.
    pub(super) flags: Option<String>,
}

/// What was taken off an issue for which somebody has it.
pub(super) struct TakenOff {
    /// Kind and value.
    pub(super) what: BTreeSet<(EffectKind, String)>,
    /// Why our part ends.
    pub(super) reason: String,
}

/// What is known when a dispatch is looked at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) issue: &'a Issue,
    pub(super) past: &'a Past,
    pub(super) rules: &'a Rules,
    pub(super) now: Timestamp,
}

/// What is seen of the work on an issue.
#[derive(Default)]
pub(super) struct Work {
    /// What a person took off it.
    pub(super) taken_off: Option<TakenOff>,
    /// What shows that the agent has begun.
    pub(super) begun: Option<String>,
}

impl Worker {
    /// What is seen of the work. The timeline is only read where it can tell something new: who took our label off,
    /// or whether the agent has begun.
    pub(super) async fn work(&self, view: View<'_>) -> Result<Work, Error> {
        let View { issue, past, rules, .. } = view;
        let dispatch = past.dispatch.as_ref().filter(|d| d.state != DispatchState::Pending);
        let Some(dispatch) = dispatch.filter(|_| issue.state == IssueState::Open) else {
            return Ok(Work::default());
        };
        let Some(agent) = rules.agents.iter().find(|a| a.id == dispatch.agent) else {
            return Ok(Work::default());
        };
        let missing = missing(issue, (past, dispatch), agent);
        if missing.is_empty() && dispatch.state != DispatchState::Assigned {
            return Ok(Work::default());
        }
        // The forge's clock may be behind ours.
        let since = Some(dispatch.opened_at - CLOCK_SLACK);
        let timeline = self.inner.forge.timeline(&dispatch.at, since).await?;
        Ok(Work {
            taken_off: taken_off(&missing, (agent, dispatch), &timeline),
            begun: begun(&missing, (agent, dispatch), &timeline),
        })
    }

    /// What becomes of the dispatch that is open.
    pub(super) async fn follow(
        &self,
        view: View<'_>,
        standing: &mut Standing,
        signs: Signs,
    ) -> Result<Course, Error> {
        let View { issue, past, rules, now } = view;
        let Some(dispatch) = standing.dispatch.clone() else { return Ok(Course::default()) };
        // One that was about to be opened again has been reviewed.
        let is_closed = issue.state == IssueState::Closed && !past.reopen_unknown;
        let mut signs = Signs { is_closed, ..signs };
        if signs.is_closed && !dispatch.by_person {
            signs.unmet = self.unmet(issue, &dispatch.at, rules).await?;
        }
        let limits = Limits { max_attempts: rules.dispatch_attempts };
        let step = follow(&dispatch, &signs, &past.tries, limits, now);
        Ok(Case { dispatch, standing, view }.course(step, signs.is_closed))
    }
}

/// A dispatch, and all that its course is made from.
struct Case<'a> {
    dispatch: Dispatch,
    standing: &'a mut Standing,
    view: View<'a>,
}

impl Case<'_> {
    fn course(self, step: Step, is_closed: bool) -> Course {
        match step {
            Step::Stay => Course::default(),
            Step::Begin { cause } => Course {
                goes: Some(Move::to(DispatchState::InProgress, cause)),
                ..Course::default()
            },
            Step::Remind => self.remind(),
            Step::TimeOut => self.time_out(),
            Step::Deliver { report } => self.deliver(report),
            Step::Fail { cause } => self.fail(cause, is_closed),
            Step::Escalate { cause } => self.escalate(cause, is_closed),
        }
    }

    /// An agent without an account on the forge would not read it.
    fn remind(self) -> Course {
        let agent = self.view.rules.agents.iter().find(|a| a.id == self.dispatch.agent);
        let notice = Notice::Reminder {
            dispatch: self.dispatch.id,
            login: agent.and_then(|agent| agent.login.clone()),
            deadline_at: self.dispatch.deadline_at,
        };
        let notices = if self.dispatch.by_person { Vec::new() } else { vec![notice] };
        Course { notices, is_reminded: true, ..Course::default() }
    }

    fn time_out(self) -> Course {
        let Dispatch { id, agent, opened_at, by_person, .. } = self.dispatch;
        let name = code(agent.as_str());
        let cause = match self.dispatch.state {
            DispatchState::Pending => format!("{name} could not be told of it in time"),
            _ => format!("{name} did not finish it in time"),
        };
        self.standing.dispatch = None;
        self.standing.held =
            Some(format!("timed out: {cause}; `/triage retry` hands it over again"));
        let minutes = (self.view.now - opened_at).num_minutes();
        let notice = Notice::TimedOut { dispatch: id, agent, minutes };
        Course {
            ends: Some(Move::to(DispatchState::TimedOut, cause.clone())),
            notices: if by_person { Vec::new() } else { vec![notice] },
            flags: Some(format!("timed out: {cause}")).filter(|_| !by_person),
            ..Course::default()
        }
    }

    fn deliver(self, report: Report) -> Course {
        let Dispatch { id, agent, .. } = self.dispatch;
        let cause = format!("{} reported that it is done", code(agent.as_str()));
        self.standing.dispatch = None;
        self.standing.held = Some(format!("{cause}; `/triage retry` hands it over again"));
        Course {
            ends: Some(Move::to(DispatchState::Completed, cause)),
            notices: vec![Notice::Result { dispatch: id, agent, report }],
            ..Course::default()
        }
    }

    /// Somebody else gets the issue, with the reason; what the last one left behind counts as ours.
    fn fail(self, cause: String, is_closed: bool) -> Course {
        let Dispatch { id, agent, .. } = self.dispatch;
        self.standing.dispatch = None;
        self.standing.tried.push(agent.clone());
        let login =
            self.view.rules.agents.iter().find(|a| a.id == agent).and_then(|a| a.login.clone());
        self.standing.left_over.extend(login);
        let notice = Notice::Reopened { dispatch: id, cause: cause.clone() };
        Course {
            ends: Some(Move { counts: true, ..Move::to(DispatchState::Failed, cause) }),
            notices: if is_closed { vec![notice] } else { Vec::new() },
            reopens: is_closed,
            ..Course::default()
        }
    }

    fn escalate(self, cause: String, is_closed: bool) -> Course {
        let Dispatch { id, agent, .. } = self.dispatch;
        self.standing.dispatch = None;
        self.standing.held =
            Some(format!("escalated: {cause}; `/triage retry` hands it over again"));
        let mut tries = self.view.past.tries.clone();
        tries.push(Try { dispatch: id, agent, cause: cause.clone() });
        Course {
            ends: Some(Move { counts: true, ..Move::to(DispatchState::Escalated, cause.clone()) }),
            notices: vec![Notice::Escalation { dispatch: id, tries }],
            reopens: is_closed,
            flags: Some(format!("escalated: {cause}")),
            ..Course::default()
        }
    }
}

/// What called the agent and is not there any more: each thing that we put on the issue, or, of a person's dispatch,
/// all of it.
fn missing(
    issue: &Issue,
    (past, dispatch): (&Past, &Dispatch),
    agent: &Agent,
) -> BTreeSet<(EffectKind, String)> {
    let label = agent.label.iter().map(|label| (EffectKind::Label, label.clone()));
    let login = agent.login.iter().map(|login| (EffectKind::Assignee, login.clone()));
    let calls: BTreeSet<_> = label.chain(login).collect();
    let is_missing =
        |(kind, value): &&(EffectKind, String)| kind.is_on(issue, value) == Some(false);
    if !dispatch.by_person {
        return past.applied.intersection(&calls).filter(is_missing).cloned().collect();
    }
    if calls.iter().all(|call| is_missing(&call)) { calls } else { BTreeSet::new() }
}

/// Whether it was the agent's own account; one without a login is taken for the account of its name.
fn is_by(happening: &Happening, agent: &Agent) -> bool {
    let login = agent.login.as_deref().unwrap_or(agent.id.as_str());
    happening.by.as_ref().is_some_and(|by| by.login.eq_ignore_ascii_case(login))
}

/// How this was last taken off, where the timeline tells.
fn taking<'a>(
    (kind, value): &(EffectKind, String),
    timeline: &'a [Happening],
) -> Option<&'a Happening> {
    timeline.iter().rev().find(|one| match &one.what {
        What::Labelled { name, on: false } => *kind == EffectKind::Label && name == value,
        What::Assigned { login, on: false } => {
            *kind == EffectKind::Assignee && login.eq_ignore_ascii_case(value)
        }
        _ => false,
    })
}

/// Whether the agent itself took this off, as some do when they begin. Where nobody knows, it was a person.
fn took_it_itself(what: &(EffectKind, String), agent: &Agent, timeline: &[Happening]) -> bool {
    taking(what, timeline).is_some_and(|one| is_by(one, agent))
}

/// What was taken off by somebody else than the agent. Of a person's dispatch not all that could call the agent was
/// ever there, so that only what the timeline tells counts.
fn taken_off(
    missing: &BTreeSet<(EffectKind, String)>,
    (agent, dispatch): (&Agent, &Dispatch),
    timeline: &[Happening],
) -> Option<TakenOff> {
    let was_there =
        |what: &&(EffectKind, String)| !dispatch.by_person || taking(what, timeline).is_some();
    let by_others =
        missing.iter().filter(|what| !took_it_itself(what, agent, timeline) && was_there(what));
    let what: BTreeSet<_> = by_others.cloned().collect();
    let names: Vec<_> = what.iter().map(|(_, value)| code(value)).collect();
    let reason = format!("somebody took {} off; `/triage resume` goes on", names.join(" and "));
    (!what.is_empty()).then_some(TakenOff { what, reason })
}

/// What shows that the agent has begun: it took its label off, it commented, or a pull request speaks of the issue.
fn begun(
    missing: &BTreeSet<(EffectKind, String)>,
    (agent, dispatch): (&Agent, &Dispatch),
    timeline: &[Happening],
) -> Option<String> {
    let name = code(agent.id.as_str());
    if let Some((_, value)) = missing.iter().find(|what| took_it_itself(what, agent, timeline)) {
        return Some(format!("{name} took {} off", code(value)));
    }
    // The forge tells whole seconds.
    let opened = dispatch.opened_at.timestamp();
    let mut since = timeline.iter().filter(|one| one.at.is_none_or(|at| at.timestamp() >= opened));
    since.find_map(|one| match &one.what {
        What::Commented if is_by(one, agent) => Some(format!("{name} commented")),
        What::Linked { pull, .. } => Some(format!("{} is about it", code(&pull.to_string()))),
        _ => None,
    })
}

/// The latest report about this dispatch in what is pending.
pub(super) fn latest_report(reports: &[Reported], past: &Past) -> Option<Report> {
    let key = &past.dispatch.as_ref()?.key;
    let about = reports.iter().rev().find(|reported| reported.key == *key);
    about.map(|reported| reported.report.clone())
}

/// The issue as it stands for what is decided next: open, when it is to be opened again.
pub(super) fn as_reopened(issue: Issue, course: &Course) -> Issue {
    if course.reopens { Issue { state: IssueState::Open, ..issue } } else { issue }
}

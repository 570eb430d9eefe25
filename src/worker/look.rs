//! One look at an issue: the ledger, what people want, and as much of the forge as the decision needs, up to the
//! verdict. It writes nothing.

use super::follow::{Course, View, as_reopened, latest_report};
use super::process::Error;
use super::{Rules, Worker};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Dispatch, DispatchState, Interface};
use crate::issue::{Account, Issue, IssueRef, IssueState};
use crate::plan::EffectKind;
use crate::store::{Move, Past, Reported, Wishes};
use crate::triage::commands::{Assignee, Command};
use crate::triage::{
    Decision, Obeyed, Order, Permission, Signs, Standing, Verdict, code, is_summary_title,
    mentioned_blockers, obey,
};

/// How many issues named as blockers are looked up.
pub(super) const MAX_BLOCKERS: usize = 5;

/// An issue that another one waits for.
pub(super) type Dependency = (IssueRef, IssueState);

/// All that a conclusion and a plan need.
pub(super) struct Look {
    /// As it was read, but open when it is to be opened again.
    pub(super) issue: Issue,
    pub(super) verdict: Verdict,
    pub(super) course: Course,
    pub(super) past: Past,
    pub(super) standing: Standing,
    pub(super) obeyed: Obeyed,
    pub(super) wishes: Wishes,
    pub(super) given: Option<Agent>,
    pub(super) is_closed: bool,
}

/// What was read for a look: the issue as it is now, what people ordered about it and what agents reported.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) issue: &'a Issue,
    /// What the issue waits for, where that was asked along with it.
    pub(super) dependencies: Option<&'a [Dependency]>,
    pub(super) orders: &'a [Order],
    pub(super) reports: &'a [Reported],
}

impl Look {
    /// The dispatch that stays open.
    pub(super) fn dispatch(&self) -> Option<&Dispatch> {
        self.standing.dispatch.as_ref()
    }

    /// How many tries have failed, this evaluation's included.
    pub(super) fn failed_tries(&self) -> Vec<&str> {
        let ended = self.course.ends.as_ref().filter(|end| end.counts);
        let before = self.past.tries.iter().map(|one| one.cause.as_str());
        before.chain(ended.map(|end| end.cause.as_str())).collect()
    }
}

impl Worker {
    /// Looks at an issue and decides.
    pub(super) async fn look(
        &self,
        at: &IssueRef,
        read: Read<'_>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Look, Error> {
        let mut past = self.inner.store.past(at.clone()).await?;
        let mut standing = standing(&past, rules);
        standing.is_our_summary = self.is_our_summary(read.issue).await?;
        let mut wishes = past.wishes.clone();
        let work = self.work(View { issue: read.issue, past: &past, rules, now }).await?;
        let taken_off = work.taken_off.map(|taken| {
            wishes.removed.extend(taken.what);
            standing.dispatch = None;
            standing.held = Some(taken.reason.clone());
            Move::to(DispatchState::Failed, taken.reason)
        });
        standing.unassignable = self.unassignable(at, read.orders).await?;
        let obeyed = obey(read.orders, &mut standing, read.issue);
        if obeyed.forgives {
            wishes.removed.clear();
            past.tries.clear();
            standing.tried.clear();
        }
        let report = latest_report(read.reports, &past);
        let signs = Signs { begun: work.begun, report, ..Signs::default() };
        let view = View { issue: read.issue, past: &past, rules, now };
        let mut course = self.follow(view, &mut standing, signs).await?;
        course.reopens |= past.reopen_unknown;
        let issue = as_reopened(read.issue.clone(), &course);
        let shown = Read { issue: &issue, ..read };
        let mut verdict = self.verdict(at, shown, &mut standing, (rules, now)).await?;
        let given = given_by_person(&issue, &standing, &past, rules).cloned();
        let by_person = standing.dispatch.as_ref().filter(|dispatch| dispatch.by_person);
        let persons = given.as_ref().map(|agent| &agent.id).or(by_person.map(|d| &d.agent));
        settle_verdict(&mut verdict, persons, &course);
        let taken_over = taken_over(&issue, &verdict, &standing).map(|reason| {
            standing.dispatch = None;
            standing.held = Some(reason.clone());
            Move::to(DispatchState::Failed, reason)
        });
        wishes.held = standing.held.clone();
        let is_dispatched = matches!(verdict.decision, Decision::Dispatch { .. });
        wishes.chosen = standing.chosen.clone().filter(|_| !is_dispatched);
        wishes.chosen_task = standing.chosen_task.filter(|_| wishes.chosen.is_some());
        let ordered = obeyed.ends.clone().map(|(state, cause)| Move::to(state, cause));
        course.ends = ordered.or(course.ends).or(taken_over).or(taken_off);
        // What was another agent's is taken off when the issue is handed on, by us or by an order: two that find their
        // label on it would both work on it.
        let is_handed_on = obeyed.ends.is_some() && (is_dispatched || standing.chosen.is_some());
        if is_handed_on || course.ends.as_ref().is_some_and(|end| end.counts) {
            past.leftovers.append(&mut past.applied.clone());
        }
        let is_closed = read.issue.state == IssueState::Closed;
        Ok(Look { issue, verdict, course, past, standing, obeyed, wishes, given, is_closed })
    }

    /// What is decided, with what the forge says of blockers where that matters.
    async fn verdict(
        &self,
        at: &IssueRef,
        read: Read<'_>,
        standing: &mut Standing,
        (rules, now): (&Rules, Timestamp),
    ) -> Result<Verdict, Error> {
        let verdict = rules.triage.verdict(read.issue, standing, now);
        if self.learn_blockers(at, read, &verdict, standing).await? {
            return Ok(rules.triage.verdict(read.issue, standing, now));
        }
        Ok(verdict)
    }

    async fn is_our_summary(&self, issue: &Issue) -> Result<bool, Error> {
        let Some(author) = issue.author.as_ref().filter(|_| is_summary_title(&issue.title)) else {
            return Ok(false);
        };
        Ok(author.is_same_as(&self.us().await?))
    }

    /// Our own account, asked for when it is not known yet.
    pub(super) async fn us(&self) -> Result<Account, Error> {
        match self.account() {
            Some(account) => Ok(account),
            None => Ok(self.inner.forge.whoami().await?),
        }
    }

    /// Whom of those a writer wants to assign the forge will not take: for an impossible one it answers 500.
    async fn unassignable(&self, at: &IssueRef, orders: &[Order]) -> Result<Vec<String>, Error> {
        let mut impossible = Vec::new();
        for order in orders.iter().filter(|order| order.permission == Permission::Writer) {
            let Command::Assign(Assignee::Login(login)) = &order.command else { continue };
            if !self.inner.executor.is_assignable(&at.repo, login).await? {
                impossible.push(login.clone());
            }
        }
        Ok(impossible)
    }

    /// Learns of blockers where that can change the decision, asking for what was not read. True when it may have.
    async fn learn_blockers(
        &self,
        at: &IssueRef,
        read: Read<'_>,
        verdict: &Verdict,
        standing: &mut Standing,
    ) -> Result<bool, Error> {
        match &verdict.decision {
            Decision::Dispatch { .. } | Decision::Wait { .. } if standing.dispatch.is_none() => {
                let all = match read.dependencies {
                    Some(known) => known.to_vec(),
                    None => self.inner.forge.dependencies(at).await?,
                };
                let open = all.into_iter().filter(|(_, state)| *state == IssueState::Open);
                standing.open_dependencies = open.map(|(at, _)| at).collect();
                Ok(!standing.open_dependencies.is_empty())
            }
            Decision::Flag { .. } => {
                for number in mentioned_blockers(read.issue).into_iter().take(MAX_BLOCKERS) {
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
}

fn standing(past: &Past, rules: &Rules) -> Standing {
    let left_over = past.leftovers.iter().filter(|(kind, _)| *kind == EffectKind::Assignee);
    Standing {
        left_over: left_over.map(|(_, login)| login.clone()).collect(),
        tried: past.tries.iter().map(|one| one.agent.clone()).collect(),
        dispatch: past.dispatch.clone(),
        held: past.wishes.held.clone(),
        chosen: past.wishes.chosen.clone(),
        chosen_task: past.wishes.chosen_task,
        last_agent: past.last_agent.clone(),
        load: past.load.clone(),
        agents: rules.agents.clone(),
        ..Standing::default()
    }
}

/// What stands above the rules: a person's own dispatch, about to be opened or open, and a dispatch that needs a
/// person.
fn settle_verdict(verdict: &mut Verdict, given: Option<&AgentId>, course: &Course) {
    if matches!(verdict.decision, Decision::Finish { .. }) {
        return;
    }
    if let Some(reason) = &course.flags {
        verdict.decision = Decision::Flag { reason: reason.clone() };
        return;
    }
    if let (Some(agent), Decision::Dispatch { .. } | Decision::Wait { .. }) =
        (given, &verdict.decision)
    {
        let reason = format!("given to {} by a person", code(agent.as_str()));
        verdict.decision = Decision::Skip { reason };
    }
}

/// The agent a person has given the issue to, by its label or its account, while no dispatch is open. What a dispatch
/// of ours left there is no person's doing.
fn given_by_person<'a>(
    issue: &Issue,
    standing: &Standing,
    past: &Past,
    rules: &'a Rules,
) -> Option<&'a Agent> {
    let is_free = standing.dispatch.is_none()
        && standing.held.is_none()
        && standing.ours.is_none()
        && standing.chosen.is_none();
    if !is_free || issue.state == IssueState::Closed || issue.is_pull_request {
        return None;
    }
    let is_left_over = |kind, value: &String| {
        let what = (kind, value.clone());
        past.leftovers.contains(&what)
            || (!standing.tried.is_empty() && past.applied.contains(&what))
    };
    let is_called = |agent: &&Agent| {
        let by_label = agent
            .label
            .as_ref()
            .is_some_and(|label| issue.has_label(label) && !is_left_over(EffectKind::Label, label));
        let by_login = agent.login.as_ref().is_some_and(|login| {
            issue.is_assigned_to(login) && !is_left_over(EffectKind::Assignee, login)
        });
        agent.interface == Interface::Forge && (by_label || by_login)
    };
    rules.agents.iter().find(is_called)
}

/// Why our part is over, when a person gave the issue to somebody else while it was dispatched.
fn taken_over(issue: &Issue, verdict: &Verdict, standing: &Standing) -> Option<String> {
    let dispatch = standing.dispatch.as_ref()?;
    let agent = standing.agents.iter().find(|agent| agent.id == dispatch.agent);
    let ours = agent.and_then(|agent| agent.login.as_deref()).unwrap_or_default();
    let other = issue.assignees.iter().find(|login| !login.eq_ignore_ascii_case(ours))?;
    matches!(verdict.decision, Decision::Skip { .. })
        .then(|| format!("given to {}; `/triage resume` goes on", code(other)))
}

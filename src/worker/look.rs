//! One look at an issue: the ledger, what people want, and as much of the forge as the decision needs, up to the
//! intent of what to write. It writes nothing itself.

use std::collections::BTreeSet;

use super::follow::{Course, View, as_reopened, latest_report};
use super::process::Error;
use super::{Rules, Worker};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Dispatch, DispatchState, Handoff, Interface};
use crate::gitea as forge;
use crate::issue::{Account, Issue, IssueRef, IssueState};
use crate::plan::{self, Effect, EffectKind, Marker, Notice, OurComment, Scene, Stage, plan};
use crate::store::{Intent, Move, Opening, Past, Reported, Wishes};
use crate::triage::{
    Decision, Obeyed, Order, Signal, Signs, Standing, Verdict, code, explain, is_summary_title,
    mentioned_blockers, obey,
};

/// How many issues named as blockers are looked up.
const MAX_BLOCKERS: usize = 5;

/// All that a conclusion and a plan need.
pub(super) struct Look {
    /// As it was read, but open when it is to be opened again.
    pub(super) issue: Issue,
    pub(super) verdict: Verdict,
    pub(super) course: Course,
    past: Past,
    standing: Standing,
    obeyed: Obeyed,
    wishes: Wishes,
    given: Option<Agent>,
    is_closed: bool,
}

/// What was read for a look: the issue as it is now, what people ordered about it and what agents reported.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) issue: &'a Issue,
    pub(super) orders: &'a [Order],
    pub(super) reports: &'a [Reported],
}

impl Look {
    /// The dispatch that stays open.
    pub(super) fn dispatch(&self) -> Option<&Dispatch> {
        self.standing.dispatch.as_ref()
    }

    /// How many tries have failed, this evaluation's included.
    fn failed_tries(&self) -> Vec<&str> {
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
        let mut obeyed = obey(read.orders, &mut standing, read.issue);
        self.check_assignee(at, &mut obeyed).await?;
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
        let mut verdict = self.verdict(at, &issue, &mut standing, (rules, now)).await?;
        let given = given_by_person(&issue, &standing, &past, rules).cloned();
        settle_verdict(&mut verdict, given.as_ref(), &course);
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
        let is_closed = read.issue.state == IssueState::Closed;
        Ok(Look { issue, verdict, course, past, standing, obeyed, wishes, given, is_closed })
    }

    /// What is decided, with what the forge says of blockers where that matters.
    async fn verdict(
        &self,
        at: &IssueRef,
        issue: &Issue,
        standing: &mut Standing,
        (rules, now): (&Rules, Timestamp),
    ) -> Result<Verdict, Error> {
        let verdict = rules.triage.verdict(issue, standing, now);
        if self.learn_blockers(at, issue, &verdict, standing).await? {
            return Ok(rules.triage.verdict(issue, standing, now));
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
    async fn us(&self) -> Result<Account, Error> {
        match self.account() {
            Some(account) => Ok(account),
            None => Ok(self.inner.forge.whoami().await?),
        }
    }

    /// A person is only assigned when the forge will take them: for an impossible one it answers 500.
    async fn check_assignee(&self, at: &IssueRef, obeyed: &mut Obeyed) -> Result<(), Error> {
        let Some(login) = &obeyed.assigns else { return Ok(()) };
        if !self.inner.hands.is_assignable(&at.repo, login).await? {
            let text = format!(
                "{} was not assigned: the account does not exist or may not work here.",
                code(login)
            );
            if let Some(answer) = obeyed.answers.last_mut() {
                answer.is_obeyed = false;
                answer.texts.push(text);
            }
            obeyed.assigns = None;
        }
        Ok(())
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

    /// What is missing for the verdict to be true, and what is answered to people.
    pub(super) async fn conclude(
        &self,
        at: &IssueRef,
        look: &Look,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Intent, Error> {
        let agent = look.verdict.decision.agent();
        let agent = agent.and_then(|id| rules.agents.iter().find(|a| a.id == *id));
        let signals = rules.triage.signals(&look.issue);
        let opens = self.opening(look, agent);
        let comments = self.our_comments(at, look).await?;
        let (stage, ended) = stages(look, rules, now);
        let mut effects = {
            let nothing = BTreeSet::new();
            let whose = agent.or(stage.as_ref().map(|stage| stage.agent));
            let scene = Scene {
                comment: our_comment(look, comments.as_deref()),
                applied: look.dispatch().map_or(&nothing, |_| &look.past.applied),
                leftovers: &look.past.leftovers,
                removed: &look.wishes.removed,
                agent,
                is_assignable: self.is_assignable(at, look, whose).await?,
                owner: rules.owner.as_deref().unwrap_or(at.repo.owner()),
                flag_label: rules.flag_label.as_deref(),
                signals: &signals,
                notices: &notices(look, comments.as_deref()),
                reopens: look.course.reopens && look.is_closed,
                handoff: handoff(at, look, (rules, agent), opens.as_ref()),
                stage,
                ended,
            };
            plan(&look.issue, &look.verdict, &scene).effects
        };
        effects.extend(answers(look, &signals, comments.as_deref()));
        let wishes = Some(look.wishes.clone()).filter(|wishes| *wishes != look.past.wishes);
        Ok(Intent {
            verdict: Some(look.verdict.clone()),
            signals,
            effects,
            opens,
            ends: look.course.ends.clone(),
            wishes,
            blockers: blockers(at, look),
            opened_at: look.issue.created_at,
            begins_anew: look.obeyed.forgives,
            answered: look.obeyed.answers.iter().map(|a| a.source).collect(),
            ..Intent::of(now, look.verdict.decision.clone())
        })
    }

    /// The dispatch to open: ours, or the one a person made by giving the issue to an agent. A dry run takes nobody's
    /// place: each issue is judged as if it were the only one.
    fn opening(&self, look: &Look, agent: Option<&Agent>) -> Option<Opening> {
        if look.dispatch().is_some() || self.inner.forge.is_dry_run() {
            return None;
        }
        let is_dispatched = matches!(look.verdict.decision, Decision::Dispatch { .. });
        let key = uuid::Uuid::new_v4().to_string();
        let open = |agent: &Agent, by_person| Opening { agent: agent.clone(), by_person, key };
        match (agent.filter(|_| is_dispatched), &look.given) {
            (Some(agent), _) => Some(open(agent, false)),
            (None, Some(given)) => Some(open(given, true)),
            (None, None) => None,
        }
    }

    /// Our own comments on the issue, newest first, where the ledger cannot say: it knows none although there are
    /// comments, or it does not know whether one was written. Only comments by our own account count; anybody can
    /// write a marker.
    async fn our_comments(
        &self,
        at: &IssueRef,
        look: &Look,
    ) -> Result<Option<Vec<OurComment>>, Error> {
        let writes =
            matches!(look.verdict.decision, Decision::Dispatch { .. } | Decision::Flag { .. });
        let past = &look.past;
        let is_unsure = past.comment_unknown || !past.answers_unknown.is_empty();
        let is_new = writes && past.comment.is_none() && look.issue.comments > 0;
        if !is_unsure && !is_new {
            return Ok(None);
        }
        let us = self.us().await?;
        let comments = self.inner.forge.comments(at).await?;
        let is_ours = |c: &&forge::Comment| c.author.as_ref().is_some_and(|a| a.is_same_as(&us));
        let ours = comments.iter().rev().filter(is_ours);
        Ok(Some(
            ours.filter_map(|c| {
                Marker::find(&c.body).map(|marker| OurComment { id: c.id, marker })
            })
            .collect(),
        ))
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

/// What stands above the rules: a person's own dispatch, and a dispatch that needs a person.
fn settle_verdict(verdict: &mut Verdict, given: Option<&Agent>, course: &Course) {
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
        let reason = format!("given to {} by a person", code(agent.id.as_str()));
        verdict.decision = Decision::Skip { reason };
    }
}

/// The agent a person has given the issue to, by its label or its account, while no dispatch is open. What a failed
/// try of ours left there is no person's doing.
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
        !standing.tried.is_empty()
            && (past.leftovers.contains(&(kind, value.clone()))
                || past.applied.contains(&(kind, value.clone())))
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

/// How far the latest dispatch of ours has come, or the one about to be opened, and how the one before it ended, as
/// their audit comments are to show it.
fn stages<'a>(
    look: &'a Look,
    rules: &'a Rules,
    now: Timestamp,
) -> (Option<Stage<'a>>, Option<Stage<'a>>) {
    let mut known = look.past.latest.iter();
    if let Some(opened) = opened(look, rules, now) {
        let before = known.next().and_then(|latest| stage(look, latest, rules));
        let before = before.filter(|before| before.decision() != opened.decision());
        return (Some(opened), before);
    }
    let latest = known.next().and_then(|latest| stage(look, latest, rules));
    let before = known.next().and_then(|before| stage(look, before, rules));
    let before = before.filter(|before| {
        latest.as_ref().is_some_and(|latest| latest.decision() != before.decision())
    });
    (latest, before)
}

/// The dispatch about to be opened. A dry run opens nothing, and shows what would be written.
fn opened<'a>(look: &'a Look, rules: &'a Rules, now: Timestamp) -> Option<Stage<'a>> {
    let Decision::Dispatch { agent, reason } = &look.verdict.decision else { return None };
    if look.dispatch().is_some() {
        return None;
    }
    let agent = rules.agents.iter().find(|a| a.id == *agent)?;
    let tries = look.failed_tries();
    let (number, before) = (tries.len() + 1, tries.last().copied());
    let (state, deadline_at) = (DispatchState::Assigned, now + agent.timeout);
    Some(Stage { agent, number, state, deadline_at, reason, cause: None, before })
}

fn stage<'a>(look: &'a Look, dispatch: &'a Dispatch, rules: &'a Rules) -> Option<Stage<'a>> {
    let agent = rules.agents.iter().find(|a| a.id == dispatch.agent)?;
    let (state, cause) = shown(look, dispatch);
    let tries = look.past.tries.iter().filter(|one| one.dispatch < dispatch.id);
    let tries: Vec<_> = tries.map(|one| one.cause.as_str()).collect();
    Some(Stage {
        agent,
        number: tries.len() + 1,
        state,
        deadline_at: dispatch.deadline_at,
        reason: &dispatch.reason,
        cause,
        before: tries.last().copied(),
    })
}

/// The state a dispatch is shown in once this evaluation has come to its end, and what it comes from.
fn shown<'a>(look: &'a Look, latest: &'a Dispatch) -> (DispatchState, Option<&'a str>) {
    let is_open = latest.state.is_open();
    let moved = look.course.ends.as_ref().or(look.course.goes.as_ref()).filter(|_| is_open);
    if let Some(to) = moved {
        return (to.state, Some(&to.cause));
    }
    if let (true, Decision::Finish { reason }) = (is_open, &look.verdict.decision) {
        return (DispatchState::Completed, Some(reason));
    }
    match latest.state {
        DispatchState::Assigned => (DispatchState::Assigned, None),
        DispatchState::Pending if latest.failures == 0 => (DispatchState::Assigned, None),
        state => (state, Some(&latest.cause)),
    }
}

/// What is told now: not what is on the issue already, nor that the issue is open again where the next agent's comment
/// says so, with the reason.
fn notices(look: &Look, found: Option<&[OurComment]>) -> Vec<Notice> {
    let is_dispatched = matches!(look.verdict.decision, Decision::Dispatch { .. });
    let is_told = |notice: &Notice| {
        let marker = notice.marker();
        let is_said = is_dispatched && matches!(notice, Notice::Reopened { .. });
        is_said || found.is_some_and(|all| all.iter().any(|c| c.marker == marker))
    };
    look.course.notices.iter().filter(|notice| !is_told(notice)).cloned().collect()
}

/// What is told to an agent that is called directly, by the dispatch that is open or about to be.
fn handoff(
    at: &IssueRef,
    look: &Look,
    (rules, agent): (&Rules, Option<&Agent>),
    opens: Option<&Opening>,
) -> Option<Handoff> {
    let agent = agent.filter(|agent| agent.interface != Interface::Forge)?;
    let open = look.dispatch().map(|dispatch| dispatch.key.as_str());
    // Of a dry run only the intention is seen.
    let key = open.or(opens.map(|opening| opening.key.as_str())).unwrap_or_default();
    let (task_type, callback) = (look.verdict.task_type, rules.public_url.as_deref());
    Some(plan::handoff(&look.issue, plan::HandoffTo { agent, key, at, task_type, callback }))
}

/// What a flagged issue waits for.
fn blockers(at: &IssueRef, look: &Look) -> Vec<IssueRef> {
    if look.course.flags.is_some() || !matches!(look.verdict.decision, Decision::Flag { .. }) {
        return Vec::new();
    }
    let mentioned = mentioned_blockers(&look.issue).into_iter().take(MAX_BLOCKERS);
    let mentioned = mentioned.map(|number| IssueRef { repo: at.repo.clone(), number });
    let open = mentioned.filter(|blocker| !look.standing.closed_blockers.contains(blocker));
    open.chain(look.standing.open_dependencies.iter().cloned()).collect()
}

/// Our audit comment: as the ledger remembers it, or as it was found on the issue.
fn our_comment(look: &Look, found: Option<&[OurComment]>) -> Option<OurComment> {
    if let Some(found) = found {
        return found.iter().find(|c| c.marker.is_audit()).cloned();
    }
    let past = look.past.comment.as_ref()?;
    let marker = Marker { decision: past.decision.clone(), digest: past.digest.clone() };
    Some(OurComment { id: past.id, marker })
}

/// What is answered to people: to their new comments, and again to those whose answer may have been lost.
fn answers(look: &Look, signals: &[Signal], found: Option<&[OurComment]>) -> Vec<Effect> {
    let explanation = explain(&look.verdict, signals);
    let new = look.obeyed.answers.iter().flat_map(|answer| plan::answer(answer, &explanation));
    let is_meant_again =
        |decision: &str| look.course.notices.iter().any(|n| n.marker().decision == decision);
    let is_lost = |(decision, _): &&(String, String)| {
        found.is_some_and(|all| all.iter().all(|c| c.marker.decision != *decision))
            && !is_meant_again(decision)
    };
    let lost = look.past.answers_unknown.iter().filter(is_lost).filter_map(|(_, body)| {
        let marker = Marker::find(body)?;
        Some(Effect::Comment { edit: None, marker, body: body.clone() })
    });
    let assigns = look.obeyed.assigns.iter().filter(|login| !look.issue.is_assigned_to(login));
    assigns.cloned().map(Effect::Assignee).chain(new).chain(lost).collect()
}

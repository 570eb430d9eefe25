//! One look at an issue: the ledger, what people want, and as much of the forge as the decision needs, up to the
//! intent of what to write. It writes nothing itself.

use std::collections::BTreeSet;

use super::process::Error;
use super::{Rules, Worker};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState, Interface};
use crate::gitea as forge;
use crate::issue::{Account, Issue, IssueRef, IssueState};
use crate::plan::{self, Effect, EffectKind, Marker, OurComment, Scene, plan};
use crate::store::{Intent, Opening, Past, Wishes};
use crate::triage::{
    Decision, Obeyed, Order, Signal, Standing, Verdict, code, explain, is_summary_title,
    mentioned_blockers, obey,
};

/// How many issues named as blockers are looked up.
const MAX_BLOCKERS: usize = 5;

/// All that a conclusion and a plan need.
pub(super) struct Look {
    pub(super) issue: Issue,
    pub(super) verdict: Verdict,
    past: Past,
    standing: Standing,
    obeyed: Obeyed,
    wishes: Wishes,
    ends: Option<(DispatchState, String)>,
    given: Option<Agent>,
}

/// What was read for a look: the issue as it is now, and what people ordered about it.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) issue: &'a Issue,
    pub(super) orders: &'a [Order],
}

impl Look {
    /// The dispatch that stays open.
    pub(super) fn dispatch(&self) -> Option<&Dispatch> {
        self.standing.dispatch.as_ref()
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
        let Read { issue, orders } = read;
        let issue = issue.clone();
        let past = self.inner.store.past(at.clone()).await?;
        let mut standing = standing(&past, rules);
        standing.is_our_summary = self.is_our_summary(&issue).await?;
        let mut wishes = past.wishes.clone();
        let mut ends = self.taken_off(&issue, &past, rules, &mut wishes);
        if let Some((_, reason)) = &ends {
            standing.dispatch = None;
            standing.held = Some(reason.clone());
        }
        let mut obeyed = obey(orders, &mut standing, &issue);
        self.check_assignee(at, &mut obeyed).await?;
        if obeyed.forgives {
            wishes.removed.clear();
        }
        let mut verdict = rules.triage.verdict(&issue, &standing, now);
        if self.learn_blockers(at, &issue, &verdict, &mut standing).await? {
            verdict = rules.triage.verdict(&issue, &standing, now);
        }
        let given = given_by_person(&issue, &standing, rules).cloned();
        if let (Some(agent), Decision::Dispatch { .. } | Decision::Wait { .. }) =
            (&given, &verdict.decision)
        {
            let reason = format!("given to {} by a person", code(agent.id.as_str()));
            verdict.decision = Decision::Skip { reason };
        }
        if let Some(reason) = taken_over(&issue, &verdict, &standing) {
            standing.dispatch = None;
            standing.held = Some(reason.clone());
            ends = Some((DispatchState::Failed, reason));
        }
        wishes.held = standing.held.clone();
        let is_dispatched = matches!(verdict.decision, Decision::Dispatch { .. });
        wishes.chosen = standing.chosen.clone().filter(|_| !is_dispatched);
        wishes.chosen_task = standing.chosen_task.filter(|_| wishes.chosen.is_some());
        let ends = obeyed.ends.clone().or(ends);
        Ok(Look { issue, verdict, past, standing, obeyed, wishes, ends, given })
    }

    /// What we put on the issue for the open dispatch and is not there any more: somebody took it off, which ends our
    /// part. A closed issue has come to its end anyway.
    fn taken_off(
        &self,
        issue: &Issue,
        past: &Past,
        rules: &Rules,
        wishes: &mut Wishes,
    ) -> Option<(DispatchState, String)> {
        let dispatch = past.dispatch.as_ref().filter(|d| d.state != DispatchState::Pending)?;
        let agent = rules.agents.iter().find(|a| a.id == dispatch.agent)?;
        let is_missing = |(kind, value): &&(EffectKind, String)| match kind {
            EffectKind::Label => agent.label.as_ref() == Some(value) && !issue.has_label(value),
            EffectKind::Assignee => {
                agent.login.as_ref() == Some(value) && !issue.is_assigned_to(value)
            }
            _ => false,
        };
        let missing: Vec<_> = past.applied.iter().filter(is_missing).cloned().collect();
        if missing.is_empty() || issue.state == IssueState::Closed {
            return None;
        }
        let names: Vec<_> = missing.iter().map(|(_, value)| code(value)).collect();
        wishes.removed.extend(missing);
        let reason = format!("somebody took {} off; `/triage resume` goes on", names.join(" and "));
        Some((DispatchState::Failed, reason))
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
        let nothing = BTreeSet::new();
        let comments = self.our_comments(at, look).await?;
        let scene = Scene {
            comment: our_comment(look, comments.as_deref()),
            applied: look.dispatch().map_or(&nothing, |_| &look.past.applied),
            removed: &look.wishes.removed,
            agent,
            is_assignable: self.is_assignable(at, look, agent).await?,
            owner: rules.owner.as_deref().unwrap_or(at.repo.owner()),
            flag_label: rules.flag_label.as_deref(),
            signals: &signals,
        };
        let mut effects = plan(&look.issue, &look.verdict, &scene).effects;
        effects.extend(answers(look, &signals, comments.as_deref()));
        let wishes = Some(look.wishes.clone()).filter(|wishes| *wishes != look.past.wishes);
        Ok(Intent {
            verdict: Some(look.verdict.clone()),
            signals,
            effects,
            opens: self.opening(look, agent),
            ends: look.ends.clone(),
            wishes,
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
        let ours =
            agent.filter(|_| is_dispatched).map(|a| Opening { agent: a.clone(), by_person: false });
        ours.or_else(|| look.given.clone().map(|agent| Opening { agent, by_person: true }))
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
    Standing {
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

/// The agent a person has given the issue to, by its label or its account, while no dispatch is open.
fn given_by_person<'a>(issue: &Issue, standing: &Standing, rules: &'a Rules) -> Option<&'a Agent> {
    let is_free = standing.dispatch.is_none()
        && standing.held.is_none()
        && standing.ours.is_none()
        && standing.chosen.is_none();
    if !is_free || issue.state == IssueState::Closed || issue.is_pull_request {
        return None;
    }
    let is_called = |agent: &&Agent| {
        agent.interface == Interface::Forge
            && (agent.label.as_ref().is_some_and(|label| issue.has_label(label))
                || agent.login.as_ref().is_some_and(|login| issue.is_assigned_to(login)))
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

/// Our audit comment: as the ledger remembers it, or as it was found on the issue.
fn our_comment(look: &Look, found: Option<&[OurComment]>) -> Option<OurComment> {
    if let Some(found) = found {
        return found.iter().find(|c| !c.marker.is_answer()).cloned();
    }
    let past = look.past.comment.as_ref()?;
    let marker = Marker { decision: past.decision.clone(), digest: past.digest.clone() };
    Some(OurComment { id: past.id, marker })
}

/// What is answered to people: to their new comments, and again to those whose answer may have been lost.
fn answers(look: &Look, signals: &[Signal], found: Option<&[OurComment]>) -> Vec<Effect> {
    let explanation = explain(&look.verdict, signals);
    let new = look.obeyed.answers.iter().flat_map(|answer| plan::answer(answer, &explanation));
    let is_lost = |(decision, _): &&(String, String)| {
        found.is_some_and(|all| all.iter().all(|c| c.marker.decision != *decision))
    };
    let lost = look.past.answers_unknown.iter().filter(is_lost).filter_map(|(_, body)| {
        let marker = Marker::find(body)?;
        Some(Effect::Comment { edit: None, marker, body: body.clone() })
    });
    let assigns = look.obeyed.assigns.iter().filter(|login| !look.issue.is_assigned_to(login));
    assigns.cloned().map(Effect::Assignee).chain(new).chain(lost).collect()
}

//! What is missing for a verdict to be true: sets the scene for the plan, and writes the intent down from what it
//! gives. It writes nothing to the forge.

use std::collections::BTreeSet;

use super::look::{Look, MAX_BLOCKERS};
use super::process::Error;
use super::{Rules, Worker};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState, Handoff, Interface};
use crate::gitea as forge;
use crate::issue::IssueRef;
use crate::plan::{self, Effect, EffectKind, Marker, Notice, OurComment, Scene, Stage, plan};
use crate::store::{Intent, Opening, PastComment};
use crate::triage::{Decision, Signal, explain, mentioned_blockers};

impl Worker {
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
        let comments = self.our_comments(at, look, opened(look, rules, now)).await?;
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
                has_notice: !look.course.notices.is_empty(),
                reopens: look.course.reopens && look.is_closed,
                handoff: handoff(at, look, (rules, agent), opens.as_ref()),
                stage,
                ended,
                page: rules.pages.as_ref().map(|base| page(base, at)),
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
            absent: absent(look),
            opened_at: look.issue.created_at,
            found: comments.unwrap_or_default().into_iter().map(past_comment).collect(),
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
    /// comments, or it does not know whether one was written. Before somebody is told something new the issue is
    /// looked at too: a ledger that was restored from a copy does not know what was told since. Only comments by our
    /// own account count; anybody can write a marker.
    async fn our_comments(
        &self,
        at: &IssueRef,
        look: &Look,
        opened: Option<Stage<'_>>,
    ) -> Result<Option<Vec<OurComment>>, Error> {
        let writes =
            matches!(look.verdict.decision, Decision::Dispatch { .. } | Decision::Flag { .. });
        let past = &look.past;
        let is_unsure = past.comment_unknown || !past.answers_unknown.is_empty();
        let is_new = writes && past.comment.is_none() && look.issue.comments > 0;
        let is_opened_anew = || {
            let told = past.comment.as_ref().map(|comment| comment.decision.as_str());
            told.zip(opened).is_some_and(|(told, opened)| opened.decision() != told)
        };
        let tells = !look.course.notices.is_empty();
        if !(is_unsure || is_new || tells || is_opened_anew()) {
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
                Ok(self.inner.executor.is_assignable(&at.repo, login).await?)
            }
            (login, _) => Ok(login.is_some()),
        }
    }
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

/// What was put on the issue for a dispatch and is not there any more.
fn absent(look: &Look) -> Vec<(EffectKind, String)> {
    let is_absent =
        |(kind, value): &&(EffectKind, String)| kind.is_on(&look.issue, value) == Some(false);
    look.past.leftovers.union(&look.past.applied).filter(is_absent).cloned().collect()
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

/// The page of an issue's story. No path of the forge's: a link to an issue there would leave a reference on it.
fn page(base: &str, at: &IssueRef) -> String {
    format!("{base}/issues/{}/{}/{}", at.repo.owner(), at.repo.name(), at.number)
}

/// A comment that was found, as the ledger is to remember it.
fn past_comment(found: OurComment) -> PastComment {
    let Marker { decision, digest } = found.marker;
    PastComment { id: found.id, decision, digest }
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
    // Giving a reaction twice gives it once.
    let reactions = look.past.reactions_unknown.iter().map(|(comment, content)| Effect::Reaction {
        comment: *comment,
        content: content.clone().into(),
    });
    let assigns = look.obeyed.assigns.iter().filter(|login| !look.issue.is_assigned_to(login));
    assigns.cloned().map(Effect::Assignee).chain(new).chain(reactions).chain(lost).collect()
}

//! How far a dispatch has come, as its audit comment shows it. Pure.

use crate::clock::Timestamp;
use crate::dispatch::{Agent, Dispatch, DispatchState};
use crate::reason::Cause;
use crate::triage::{Decision, Evaluation, Rules, Snapshot, code};

/// How far the latest dispatch of ours has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage<'a> {
    /// Who has it, or had it.
    pub(super) agent: &'a Agent,
    /// Which attempt it is, from 1.
    pub(super) number: usize,
    /// Its state.
    pub(super) state: DispatchState,
    /// When it times out.
    pub(super) deadline_at: Timestamp,
    /// Why it was given the issue.
    pub(super) reason: String,
    /// What its state comes from, where that says more than the decision.
    pub(super) cause: Option<Cause>,
    /// What the attempt before it failed on.
    pub(super) before: Option<String>,
}

impl Stage<'_> {
    /// What the marker of its audit comment says: another comment for each attempt, so that somebody hears of it.
    pub(super) fn decision(&self) -> String {
        match self.number {
            0 | 1 => format!("dispatch:{}", self.agent.id),
            number => format!("dispatch:{}:{number}", self.agent.id),
        }
    }

    /// `**State:** assigned, until 2026-03-23 14:00 UTC`.
    pub(super) fn line(&self) -> String {
        let state =
            self.cause.as_ref().map_or(self.state.as_str(), |cause| self.state.shown(cause));
        let cause = self.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let until =
            self.state.is_open().then(|| self.deadline_at.format(", until %Y-%m-%d %H:%M UTC"));
        let until = until.map(|until| until.to_string()).unwrap_or_default();
        format!("**State:** {}{cause}{until}", code(state))
    }

    /// What has to change for the comment to be brought up to date. Of a dispatch that has ended only its end counts:
    /// what becomes of the text after that is no news.
    pub(super) fn digest(&self) -> Vec<u8> {
        let deadline = self.state.is_open().then_some(self.deadline_at.timestamp());
        let cause = self.cause.as_ref().map(Cause::to_string);
        format!("{} {cause:?} {deadline:?}", self.state).into_bytes()
    }
}

/// The dispatch about to be opened. A dry run opens nothing, and shows what would be written.
pub(super) fn opened<'a>(s: &Snapshot<'_>, e: &Evaluation, rules: &'a Rules) -> Option<Stage<'a>> {
    let Decision::Dispatch { agent, reason } = &e.decision else { return None };
    if e.custody.dispatch().is_some() {
        return None;
    }
    let agent = rules.agent(agent)?;
    Some(Stage {
        agent,
        number: e.attempts.len() + 1,
        state: DispatchState::Assigned,
        deadline_at: s.now + agent.timeout,
        reason: reason.to_string(),
        cause: None,
        before: e.attempts.last().map(|attempt| attempt.cause.to_string()),
    })
}

/// How far the latest dispatch of ours has come, or the one about to be opened, and how the one before it ended.
pub(super) fn stages<'a>(
    s: &Snapshot<'_>,
    e: &Evaluation,
    rules: &'a Rules,
    opened: Option<Stage<'a>>,
) -> [Option<Stage<'a>>; 2] {
    let mut known = s.record.recent.iter();
    let latest = opened.or_else(|| known.next().and_then(|latest| stage(e, latest, rules)));
    let before = known.next().and_then(|before| stage(e, before, rules));
    let is_other = |before: &Stage<'_>| {
        latest.as_ref().is_some_and(|latest| latest.decision() != before.decision())
    };
    let before = before.filter(is_other);
    [latest, before]
}

fn stage<'a>(e: &Evaluation, dispatch: &Dispatch, rules: &'a Rules) -> Option<Stage<'a>> {
    let agent = rules.agent(&dispatch.agent)?;
    let (state, cause) = shown(e, dispatch);
    let earlier = e.attempts.iter().filter(|one| one.dispatch < dispatch.id);
    let earlier: Vec<_> = earlier.map(|one| one.cause.to_string()).collect();
    Some(Stage {
        agent,
        number: earlier.len() + 1,
        state,
        deadline_at: e
            .deadline_at
            .filter(|_| dispatch.state.is_open())
            .unwrap_or(dispatch.deadline_at),
        reason: dispatch.reason.clone(),
        cause,
        before: earlier.last().cloned(),
    })
}

/// The state a dispatch is shown in once this evaluation has come to its end, and what it comes from.
fn shown(e: &Evaluation, latest: &Dispatch) -> (DispatchState, Option<Cause>) {
    let is_open = latest.state.is_open();
    if let Some(to) = e.transition.as_ref().filter(|_| is_open) {
        return (to.state, Some(to.cause.clone()));
    }
    if let (true, Decision::Finish { reason }) = (is_open, &e.decision) {
        return (DispatchState::Completed, Some(Cause::Decided { reason: reason.to_string() }));
    }
    match latest.state {
        DispatchState::Assigned => (DispatchState::Assigned, None),
        DispatchState::Pending if latest.failures == 0 => (DispatchState::Assigned, None),
        state => (state, Some(latest.cause.clone())),
    }
}

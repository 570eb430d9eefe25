//! What an evaluation leaves behind once its plan was carried out: how the dispatch goes on, when it has to be evaluated
//! next, and the issue as it was read with our own writes on it. Pure.

use std::time::Duration;

use super::{Decided, Effect, EffectKind, EffectOutcome, EffectState, reply};
use crate::clock::Timestamp;
use crate::dispatch::{DispatchState, HandoffError, Interface, Mark, Transition};
use crate::issue::{Carried, Fingerprint, Issue, IssueState};
use crate::reason::Cause;
use crate::triage::commands::{Assignee, Command, Refusal, refusal};
use crate::triage::{CommandRequest, Decision, OrderEnd, OrderState, Snapshot, Source, remind_at};

/// The pause after the first hand-off that failed; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The shortest pause between two evaluations of a dispatch whose time has come.
const AGAIN: Duration = Duration::from_secs(60);
/// When checks that still run are asked for again: not every forge sends a webhook of their end.
const CHECKS_EVERY: Duration = Duration::from_secs(300);
/// The longest pause between two hand-offs.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How an evaluation ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What became of the effects, in their order.
    pub effects: Vec<EffectOutcome>,
    /// Where the dispatch goes that is open after the plan began.
    pub transition: Option<Transition>,
    /// How many hand-offs have failed by now, and how the last one did.
    pub hand_off_failed: Option<(u32, Cause)>,
    /// The agent was reminded of its deadline.
    pub is_reminded: bool,
    /// When the dispatch has to be evaluated although nothing may come.
    pub due_at: Option<Timestamp>,
    /// Its deadline from now on, where it was put off.
    pub deadline_at: Option<Timestamp>,
    /// The issue as it was read, with what was written since; `None` when it is gone.
    pub fingerprint: Option<Fingerprint>,
    /// What it carries then.
    pub carried: Carried,
    /// What the commands have come to.
    pub orders: Vec<OrderEnd>,
}

impl Decided {
    /// What is left behind, with what is known of the effects; `refused` says why an agent could not be called, and
    /// `limit` how many hand-offs may fail before a person is asked.
    pub fn outcome(
        &self,
        s: &Snapshot<'_>,
        effects: Vec<EffectOutcome>,
        refused: Option<HandoffError>,
        limit: u32,
    ) -> Outcome {
        let before = s.record.custody.dispatch().map_or(0, |dispatch| dispatch.failures);
        let hand_off_failed = refused.map(|why| {
            let (number, reason, answer) = (before + 1, why.to_string(), why.answer().to_owned());
            // What a person has to repair is not tried again.
            let failures = if why.is_transient() { number } else { limit };
            (failures, Cause::HandOffFailed { number, limit, reason, answer })
        });
        let due_at = match &hand_off_failed {
            Some((failures, _)) if *failures >= limit => Some(s.now),
            Some((failures, _)) => Some(s.now + pause(*failures)),
            // The comment that was written before says otherwise, and perhaps nobody was called.
            None if is_refused(s, self, &effects) => Some(s.now),
            None => due_at(s, self),
        };
        let (left, is_known) = left(s.issue, &self.plan.effects, &effects);
        Outcome {
            orders: self.orders(s, &effects, hand_off_failed.is_some()),
            // A turn that could not be begun is none.
            transition: transition(s, self, &effects)
                .filter(|_| hand_off_failed.is_none() || self.evaluation.follow_up.is_none()),
            hand_off_failed,
            is_reminded: self.evaluation.is_reminded,
            due_at,
            deadline_at: self.evaluation.deadline_at,
            fingerprint: Some(fingerprint(&left, is_known)),
            carried: Carried { labels: left.labels, assignees: left.assignees },
            effects,
        }
    }
}

impl Decided {
    /// What became of the effects that call an agent.
    fn calls<'a>(&self, outcomes: &'a [EffectOutcome]) -> impl Iterator<Item = &'a EffectOutcome> {
        let each = self.plan.effects.iter().zip(outcomes);
        each.filter(|(effect, _)| matches!(effect, Effect::Put(_) | Effect::HandOff { .. }))
            .map(|(_, outcome)| outcome)
    }

    /// What the commands have come to, as far as is known of the writes before the answers.
    fn orders(
        &self,
        s: &Snapshot<'_>,
        effects: &[EffectOutcome],
        is_hand_off_failed: bool,
    ) -> Vec<OrderEnd> {
        let each = s.requests.iter().zip(&self.evaluation.orders);
        let end = |request: &CommandRequest, meant: &OrderEnd| {
            let mut end = match meant.state {
                OrderState::Refused => meant.clone(),
                _ => self.order(request, effects, is_hand_off_failed),
            };
            let is_waited_for = matches!(request.source, Source::Comment(_));
            end.to = meant.to;
            end.is_told = end.state.is_end() && !(is_waited_for && s.is_dry_run);
            end
        };
        each.map(|(request, meant)| end(request, meant)).collect()
    }

    /// What a command has come to that is in effect: one of which a write is withheld, or is tried again later, to no
    /// end yet.
    fn order(
        &self,
        request: &CommandRequest,
        effects: &[EffectOutcome],
        is_hand_off_failed: bool,
    ) -> OrderEnd {
        let is_given = matches!(self.evaluation.decision, Decision::Dispatch { .. });
        let takes = |effect: &Effect| match &request.command {
            Command::Assign(Assignee::Login(login)) => {
                *effect == Effect::Put(Mark::Assignee(login.clone()))
            }
            Command::Claim => *effect == Effect::Put(Mark::Assignee(request.by.clone())),
            Command::Release => matches!(effect, Effect::TakeOff(Mark::Assignee(_))),
            Command::Assign(_)
            | Command::Retry
            | Command::Resume
            | Command::Allow
            | Command::Deny => {
                is_given && matches!(effect, Effect::Put(_) | Effect::HandOff { .. })
            }
            _ => false,
        };
        let tried = self.plan.effects.iter().zip(effects);
        let taken = || tried.clone().filter(|(effect, _)| takes(effect));
        let is_any = |state| taken().any(|(_, outcome)| outcome.state == state);
        let is_called_later =
            is_hand_off_failed && taken().any(|(one, _)| one.kind() == EffectKind::HandOff);
        let failed = taken().find(|(_, outcome)| outcome.state == EffectState::Failed);
        let order = request.order;
        match failed.filter(|_| !is_any(EffectState::Done)) {
            _ if is_called_later || is_any(EffectState::Withheld) => {
                OrderEnd::at(order, OrderState::Applied)
            }
            Some((_, outcome)) => {
                let why = Refusal::Failed(outcome.note.as_deref().unwrap_or_default());
                OrderEnd::refused(order, refusal(&request.command, &why))
            }
            None => OrderEnd::at(order, OrderState::CarriedOut),
        }
    }

    /// The answers to the commands, now that it is known what became of the writes before them.
    pub fn answers(
        &self,
        s: &Snapshot<'_>,
        effects: &[EffectOutcome],
        is_hand_off_failed: bool,
    ) -> Vec<Effect> {
        reply::answers_of(s, &self.evaluation, &self.orders(s, effects, is_hand_off_failed))
    }
}

/// The state the dispatch goes to: assigned when all was written, ended when the issue is closed.
fn transition(
    s: &Snapshot<'_>,
    decided: &Decided,
    effects: &[EffectOutcome],
) -> Option<Transition> {
    let e = &decided.evaluation;
    let by_decision = || Cause::Decided { reason: e.decision.reason().to_string() };
    let goes_on = e.transition.clone().filter(|to| to.state.is_open());
    match &e.decision {
        Decision::Finish { .. } => Some(Transition::to(DispatchState::Completed, by_decision())),
        Decision::Dispatch { .. } => {
            let state = e.custody.dispatch().map_or(DispatchState::Pending, |open| open.state);
            let is_called = state == DispatchState::Pending && is_called(s, decided, effects);
            let assigned =
                is_called.then(|| Transition::to(DispatchState::Assigned, by_decision()));
            goes_on.or(assigned)
        }
        _ => goes_on,
    }
}

/// Whether the agent knows of the issue: nothing was held back, and something that calls it is there.
fn is_called(s: &Snapshot<'_>, decided: &Decided, outcomes: &[EffectOutcome]) -> bool {
    let is_written =
        |one: &EffectOutcome| matches!(one.state, EffectState::Done | EffectState::Failed);
    let new = decided.plan.opens.as_ref().filter(|new| new.agent.interface == Interface::Forge);
    let is_there = new.is_none_or(|new| new.agent.marks().any(|mark| mark.is_on(s.issue)));
    let mut calls = decided.calls(outcomes).peekable();
    let is_known = match calls.peek() {
        Some(_) => calls.any(|one| one.state == EffectState::Done),
        None => is_there,
    };
    outcomes.iter().all(is_written) && is_known
}

/// Whether something that was to call the agent on the forge was refused, or nothing could be put there.
fn is_refused(s: &Snapshot<'_>, decided: &Decided, outcomes: &[EffectOutcome]) -> bool {
    let is_dispatch = matches!(decided.evaluation.decision, Decision::Dispatch { .. });
    let is_failed = decided.calls(outcomes).any(|one| one.state == EffectState::Failed);
    let is_new = decided.plan.opens.is_some();
    is_dispatch && (is_failed || is_new && !is_called(s, decided, outcomes))
}

fn due_at(s: &Snapshot<'_>, decided: &Decided) -> Option<Timestamp> {
    if let Some(new) = &decided.plan.opens {
        return Some(remind_at(s.now, s.now + new.agent.timeout));
    }
    let dispatch = decided.evaluation.custody.dispatch()?;
    let is_reminded = dispatch.is_reminded || decided.evaluation.is_reminded;
    // Nobody is reminded of what they do not know of.
    let is_called = dispatch.state != DispatchState::Pending;
    let deadline_at = decided.evaluation.deadline_at.unwrap_or(dispatch.deadline_at);
    let remind_at = remind_at(dispatch.opened_at, deadline_at);
    let due_at = match decided.evaluation.under_review {
        Some(_) => deadline_at.min(s.now + CHECKS_EVERY),
        None if is_called && !is_reminded => remind_at,
        None => deadline_at,
    };
    let checks_at = s.now + CHECKS_EVERY;
    let due_at = if decided.evaluation.awaits_checks { due_at.min(checks_at) } else { due_at };
    // What is due already was just evaluated: not at once again.
    Some(if due_at > s.now { due_at } else { s.now + AGAIN })
}

/// 1 s, 4 s, 16 s …
fn pause(failures: u32) -> Duration {
    let factor = 4_u32.saturating_pow(failures.saturating_sub(1).min(10));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// The issue with these effects on it, and whether none may have changed more than it says. Changes of others in the
/// meantime are not part of it, so that the sweep finds them when their deliveries are lost.
fn left(issue: &Issue, effects: &[Effect], outcomes: &[EffectOutcome]) -> (Issue, bool) {
    let (mut left, mut is_known) = (issue.clone(), true);
    for (effect, outcome) in effects.iter().zip(outcomes) {
        if outcome.state == EffectState::Done {
            is_known &= put(&mut left, effect);
        }
    }
    (left, is_known)
}

/// What is to be seen of it.
fn fingerprint(left: &Issue, is_known: bool) -> Fingerprint {
    if is_known { Fingerprint::of(left) } else { Fingerprint::unknown(left) }
}

/// Puts an effect on the issue; false when it may have changed more than it says.
fn put(issue: &mut Issue, effect: &Effect) -> bool {
    match effect {
        Effect::Comment { edit: None, .. } => issue.comments += 1,
        Effect::Comment { edit: Some(_), .. }
        | Effect::PullComment { .. }
        | Effect::Reaction { .. }
        | Effect::HandOff { .. } => {}
        Effect::TakeOff(Mark::Label(name)) => issue.labels.retain(|label| label != name),
        Effect::TakeOff(Mark::Assignee(login)) => {
            issue.assignees.retain(|one| !one.eq_ignore_ascii_case(login));
        }
        Effect::Reopen => issue.state = IssueState::Open,
        Effect::Put(mark) if mark.is_on(issue) => {}
        Effect::Put(Mark::Assignee(login)) => issue.assignees.push(login.clone()),
        Effect::Put(Mark::Label(name)) => {
            issue.labels.push(name.clone());
            // A scoped label that is exclusive takes its siblings off, and the name does not tell which ones are.
            let scope = name.rsplit_once('/').map(|(scope, _)| format!("{scope}/"));
            let is_sibling = |label: &String| {
                label != name && scope.as_ref().is_some_and(|s| label.starts_with(s.as_str()))
            };
            return !issue.labels.iter().any(is_sibling);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitea::issue_from_json;
    use serde_json::json;

    fn label(name: &str) -> Effect {
        Effect::Put(Mark::Label(name.to_owned()))
    }

    fn seen(issue: &Issue, effects: &[Effect], outcomes: &[EffectOutcome]) -> Fingerprint {
        let (left, is_known) = left(issue, effects, outcomes);
        fingerprint(&left, is_known)
    }

    fn done() -> EffectOutcome {
        EffectOutcome::done(None)
    }

    #[test]
    fn the_pause_between_hand_offs_grows_fourfold() {
        let seconds: Vec<_> = (1..=6).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 4, 16, 64, 256, 600]);
    }
    fn issue(labels: &[&str]) -> Issue {
        let labels: Vec<_> = labels.iter().map(|name| json!({"name": name})).collect();
        issue_from_json(&json!({"number": 1, "title": "x", "labels": labels})).unwrap()
    }

    #[test]
    fn what_we_wrote_is_no_change() {
        let effects = [label("ready"), Effect::Put(Mark::Assignee("claude".into()))];
        let found = seen(&issue(&["bug"]), &effects, &[done(), done()]);
        let mut after = issue(&["ready", "bug"]);
        after.assignees.push("Claude".into());
        assert!(found.covers(&Fingerprint::of(&after)));
    }

    #[test]
    fn what_we_failed_to_write_is_not_there() {
        let withheld = EffectOutcome { state: EffectState::Withheld, ..done() };
        let found = seen(&issue(&["bug"]), &[label("ready")], &[withheld]);
        assert!(found.covers(&Fingerprint::of(&issue(&["bug"]))));
    }

    #[test]
    fn a_label_that_may_push_its_sibling_off_leaves_the_issue_unknown() {
        let effects = [label("state/ready")];
        assert!(!seen(&issue(&["state/new"]), &effects, &[done()]).is_known());
        assert!(seen(&issue(&["kind/bug"]), &effects, &[done()]).is_known());
    }
}

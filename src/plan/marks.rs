//! What is put on an issue and taken off it, and whom a dispatch calls. Pure.

use super::{Effect, NewDispatch, PlanInput};
use crate::dispatch::{Agent, Handoff, Interface, Mark};
use crate::reason::Cause;
use crate::triage::{Decision, UnconfirmedWrite};

impl PlanInput<'_> {
    /// The labels, assignees and hand-offs that the decision wants.
    pub(super) fn marks(&self, opens: Option<&NewDispatch>) -> Vec<Effect> {
        match (&self.e.decision, self.agent) {
            (Decision::Dispatch { .. }, Some(agent)) => self.calls(agent, opens),
            (Decision::Flag { .. }, _) => {
                let label = self.rules.flag_label.clone().map(Mark::Label);
                let is_quiet = self.e.is_quiet(self.s.record);
                let label = label.filter(|mark| !is_quiet && self.is_wanted(mark)).map(Effect::Put);
                self.calls_off().chain(label).collect()
            }
            _ if self.e.assign.is_none() => self.calls_off().collect(),
            _ => self.e.assign.iter().flat_map(|login| self.gives_up(login)).collect(),
        }
    }

    /// Takes off what called an agent whose dispatch ended because its text was changed, also where that was interrupted, and
    /// what an outsider put there: the agent must not work on what nobody approved.
    fn calls_off(&self) -> impl Iterator<Item = Effect> {
        let latest = self.s.record.recent.first().filter(|latest| !latest.state.is_open());
        let cause = self.e.transition.as_ref().map(|to| &to.cause);
        let cause = cause.or(latest.map(|latest| &latest.cause));
        let is_changed = matches!(cause, Some(Cause::TextChanged { .. }));
        let left_over = is_changed.then(|| self.e.leftovers(self.s)).into_iter().flatten();
        let left_over = left_over.filter(|mark| mark.is_on(self.s.issue));
        left_over.chain(self.e.revoked.iter().cloned()).map(Effect::TakeOff)
    }

    /// Takes off what an agent had there when a person gives the issue to somebody: two would work on it.
    fn gives_up(&self, to: &str) -> impl Iterator<Item = Effect> {
        let is_theirs =
            |mark: &Mark| matches!(mark, Mark::Assignee(login) if login.eq_ignore_ascii_case(to));
        let left_over = self.e.leftovers(self.s).into_iter();
        let others = left_over.chain(self.e.revoked.iter().cloned());
        others.filter(move |mark| mark.is_on(self.s.issue) && !is_theirs(mark)).map(Effect::TakeOff)
    }

    /// What calls an agent; what another one had there goes first.
    fn calls(&self, agent: &Agent, opens: Option<&NewDispatch>) -> Vec<Effect> {
        let left_over = self.e.leftovers(self.s);
        let is_others =
            |mark: &Mark| mark.is_on(self.s.issue) && agent.marks().all(|own| own != *mark);
        let gone = left_over.union(&self.e.revoked).filter(|mark| is_others(mark));
        let gone = gone.cloned().map(Effect::TakeOff).collect::<Vec<_>>().into_iter();
        let may_put = |mark: &Mark| self.is_assignable || matches!(mark, Mark::Label(_));
        let told = agent.marks().filter(may_put).flat_map(|mark| self.tell(mark));
        gone.chain(told).chain(self.hand_off(agent, opens)).collect()
    }

    /// Puts a mark on the issue so that the forge tells the agent of it. One that is there from earlier comes off first:
    /// what is there already fires no event, and the agent would not hear of its second hand-over.
    fn tell(&self, mark: Mark) -> Vec<Effect> {
        if self.is_renewed(&mark) {
            return vec![Effect::TakeOff(mark.clone()), Effect::Put(mark)];
        }
        Some(mark).filter(|mark| self.is_wanted(mark)).map(Effect::Put).into_iter().collect()
    }

    /// Whether it is there from before this hand-over; also when an interruption left open whether it came off.
    fn is_renewed(&self, mark: &Mark) -> bool {
        let off = Effect::TakeOff(mark.clone());
        let is_off = |write: &UnconfirmedWrite| write.key() == (off.kind(), off.value());
        let is_interrupted = || self.s.record.unconfirmed.iter().any(|one| is_off(&one.write));
        mark.is_on(self.s.issue) && (self.e.custody.dispatch().is_none() || is_interrupted())
    }

    /// Whether it is not there, was not put there or refused before for the same dispatch, and was not taken off by a person. An
    /// assignment that was interrupted is made again all the same: it may have undone what a person did.
    fn is_wanted(&self, mark: &Mark) -> bool {
        let record = self.s.record;
        let was_tried = record.applied.contains(mark) || record.refused.contains_key(mark);
        let was_put = self.e.custody.dispatch().is_some() && was_tried;
        let is_interrupted = matches!(mark, Mark::Assignee(_))
            && record.unconfirmed.iter().any(|one| one.write.key() == (mark.kind(), mark.value()));
        (is_interrupted || !mark.is_on(self.s.issue)) && !was_put && !self.e.removed.contains(mark)
    }

    /// What the forge did not let us put on for the open dispatch, where it is not there all the same.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&Mark, &String)> {
        let is_open = self.e.custody.dispatch().is_some();
        let refused = self.s.record.refused.iter().filter(move |_| is_open);
        refused.filter(|(mark, _)| !mark.is_on(self.s.issue))
    }

    /// Why the forge did not let us put this on.
    pub(super) fn refusal(&self, of: &Mark) -> Option<&str> {
        self.refusals().find(|(mark, _)| *mark == of).map(|(_, why)| why.as_str())
    }

    fn hand_off(&self, agent: &Agent, opens: Option<&NewDispatch>) -> Option<Effect> {
        let open = self.e.custody.dispatch();
        let is_called = open.is_some() && self.s.record.handed_off.contains(&agent.id);
        if agent.interface == Interface::Forge || is_called {
            return None;
        }
        // Of a dry run only the intention is seen.
        let key = open.map(|dispatch| &dispatch.key).or(opens.map(|new| &new.key));
        let handoff = self.handoff(agent, key.cloned().unwrap_or_default());
        Some(Effect::HandOff { agent: Box::new(agent.clone()), handoff: Box::new(handoff) })
    }

    /// What an agent is told of the issue.
    pub(super) fn handoff(&self, agent: &Agent, key: String) -> Handoff {
        let callback = self.rules.public_url.as_deref();
        Handoff {
            callback_url: callback.map(|base| format!("{base}/dispatches/{key}")),
            dispatch_id: key,
            at: self.s.at.clone(),
            title: self.s.issue.title.clone(),
            description: self.s.issue.body.clone(),
            text_digest: self.s.issue.text().to_string(),
            acceptance_criteria: self.rules.triage.criteria(self.s.issue),
            agent: agent.id.clone(),
            task_type: self.e.task_type(),
            follow_up: None,
        }
    }
}

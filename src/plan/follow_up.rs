//! What another turn of an agent needs: the agent is told, and the people at its pull request are told once, by a comment
//! that is brought up to date. Pure.

use super::{Effect, PlanInput, code, fence};
use crate::dispatch::run::RunOutcome;
use crate::dispatch::{Agent, FollowUp, RunSoFar};
use crate::issue::IssueRef;
use crate::reason::Cause;
use crate::triage::Marker;

/// How much of what an agent said is told, in characters.
const LONGEST_WORDS: usize = 2000;

/// What is said, and by what it is known to be said already.
struct Said {
    digest: String,
    text: String,
}

impl PlanInput<'_> {
    /// The comment first, so that nobody sees commits without a reason.
    pub(super) fn follow_up(&self) -> Vec<Effect> {
        let Some(dispatch) = self.s.record.custody.dispatch() else { return Vec::new() };
        let Some(agent) = self.rules.agent(&dispatch.agent) else { return Vec::new() };
        let begun = self.e.follow_up.as_ref().filter(|_| self.e.custody.dispatch().is_some());
        let hand_off = begun.map(|begun| {
            let mut handoff = self.handoff(agent, dispatch.key.clone());
            handoff.follow_up = Some(Box::new(begun.clone()));
            Effect::HandOff { agent: Box::new(agent.clone()), handoff: Box::new(handoff) }
        });
        self.pull_comment(agent, begun).into_iter().chain(hand_off).collect()
    }

    /// What people at the pull request are told. The first turn that follows writes the comment, later ones change it;
    /// one that a person has removed is not written again.
    fn pull_comment(&self, agent: &Agent, begun: Option<&FollowUp>) -> Option<Effect> {
        let record = &self.s.record;
        let (dispatch, run) = (record.custody.dispatch()?, record.run.as_ref()?);
        let on = IssueRef { repo: self.s.at.repo.plain(), number: run.pull_request? };
        let Said { digest, text } = self.said(agent, run, begun)?;
        let marker = Marker::follow_up(dispatch.id, digest);
        let mut oldest = self.s.facts.pull_comments.iter().rev();
        let ours = oldest.find(|one| one.marker.decision == marker.decision);
        let is_first = begun.is_some_and(|begun| begun.turn == 2);
        if ours.map_or(!is_first, |ours| ours.marker == marker) {
            return None;
        }
        let body = format!("{text}\n\n{marker}");
        Some(Effect::PullComment { on, edit: ours.map(|ours| ours.id), marker, body })
    }

    fn said(&self, agent: &Agent, run: &RunSoFar, begun: Option<&FollowUp>) -> Option<Said> {
        let (agent, turn, limit) =
            (code(agent.id.as_str()), run.turn, self.rules.dispatch_attempts);
        if let Some(begun) = begun {
            let FollowUp { turn, limit, .. } = begun;
            let text = format!(
                "**Triage:** agent {agent} works on {} (turn {turn} of {limit}).",
                begun.asked()
            );
            return Some(Said { digest: format!("{turn}-works"), text });
        }
        let cause = self.e.transition.as_ref().map(|to| &to.cause);
        if let Some(Cause::TurnsUsed { limit, asked }) = cause {
            let text = format!(
                "**Triage:** agent {agent} has had all of its {limit} turns; {asked} needs a person."
            );
            return Some(Said { digest: format!("{turn}-used"), text });
        }
        match run.outcome.filter(|_| turn > 1)? {
            RunOutcome::Done => {
                let text = format!(
                    "**Triage:** agent {agent} has worked on what was asked here (turn {turn} of {limit})."
                );
                Some(Said { digest: format!("{turn}-done"), text })
            }
            RunOutcome::NoChange => {
                let words = run.message.as_deref().filter(|words| !words.trim().is_empty());
                let words =
                    words.map(|words| words.chars().take(LONGEST_WORDS).collect::<String>());
                let words = words.map(|words| format!(" In its words:\n\n{}", fence(&words)));
                let text = format!(
                    "**Triage:** agent {agent} found nothing to change (turn {turn} of {limit}); a person is asked to look at it.{}",
                    words.unwrap_or_default()
                );
                Some(Said { digest: format!("{turn}-unchanged"), text })
            }
            _ => None,
        }
    }
}

//! Which agent suits an issue, and whether it is free.

use std::collections::BTreeMap;

use super::policy::{Policy, Route};
use crate::dispatch::pause::Pauses;
use crate::dispatch::{Agent, AgentId, TaskType};
use crate::reason::NoPlace;

/// What the roster has to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// This agent can start.
    Free(AgentId),
    /// This one suits, but has as much as it may have or is paused; so do the others that suit, with their limits.
    Busy { agent: AgentId, place: NoPlace, others: BTreeMap<AgentId, u32> },
    /// No agent suits.
    Nobody,
}

/// The agents there are, and what is known of them for one issue.
pub(super) struct Roster<'a> {
    /// In the order they are tried; where they are not known, those that the policy names are there and free.
    pub(super) agents: Option<&'a [Agent]>,
    /// How many dispatches each has open.
    pub(super) load: &'a BTreeMap<AgentId, u32>,
    /// Which of them get no new work.
    pub(super) pauses: &'a Pauses,
    /// Those whose attempt failed: others come first.
    pub(super) tried: Vec<AgentId>,
}

/// Picks for a kind of task; `research` decides between the two named agents.
pub(super) fn pick(policy: &Policy, roster: Roster<'_>, task: TaskType, research: bool) -> Pick {
    let named = if research { &policy.research_agent } else { &policy.default_agent };
    let Some(agents) = roster.agents else { return Pick::Free(named.clone()) };
    if !roster.tried.is_empty() {
        return roster.after_an_attempt(task);
    }
    let by_name = agents.iter().find(|agent| agent.id == *named);
    match (policy.route, by_name) {
        (Route::Triage, Some(agent)) => roster.offer(agent),
        _ => roster.first_free(|agent| agent.strengths.contains(&task)),
    }
}

impl Roster<'_> {
    /// Another that suits, as long as there is one; else the one that had it last, who may do better with the reason.
    fn after_an_attempt(&self, task: TaskType) -> Pick {
        let is_new = |agent: &Agent| !self.tried.contains(&agent.id);
        match self.first_free(|agent| agent.strengths.contains(&task) && is_new(agent)) {
            Pick::Nobody => self.first_free(|agent| self.tried.last() == Some(&agent.id)),
            pick => pick,
        }
    }

    /// The first that is free, else the first that is not paused, else the first of all.
    fn first_free(&self, suits: impl Fn(&Agent) -> bool) -> Pick {
        let suitable = || self.agents.into_iter().flatten().filter(|agent| suits(agent));
        let free = suitable().find(|agent| matches!(self.offer(agent), Pick::Free(_)));
        let working = || suitable().find(|agent| self.pauses.keep(&agent.id).is_none());
        let first = free.or_else(working).or_else(|| suitable().next());
        let Some(first) = first else { return Pick::Nobody };
        match self.offer(first) {
            Pick::Busy { agent, place, .. } => {
                let others = suitable().filter(|one| one.id != agent);
                let others = others.map(|one| (one.id.clone(), one.max_concurrent)).collect();
                Pick::Busy { agent, place, others }
            }
            pick => pick,
        }
    }

    /// Whether this one is free.
    pub(super) fn offer(&self, agent: &Agent) -> Pick {
        let load = self.load.get(&agent.id).copied().unwrap_or(0);
        let (limit, paused) = (agent.max_concurrent, self.pauses.keep(&agent.id));
        if load < limit && paused.is_none() {
            return Pick::Free(agent.id.clone());
        }
        let place = NoPlace { load, limit, paused };
        Pick::Busy { agent: agent.id.clone(), place, others: BTreeMap::new() }
    }
}

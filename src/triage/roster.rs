//! Which agent suits an issue, and whether it is free.

use super::Standing;
use super::policy::{Policy, Route};
use crate::dispatch::{Agent, AgentId, TaskType};

/// What the roster has to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// This agent can start.
    Free(AgentId),
    /// This one suits, but has as much as it may have.
    Busy { agent: AgentId, load: u32, limit: u32 },
    /// No agent suits.
    Nobody,
}

/// Picks for a kind of task; `research` decides between the two named agents.
pub(super) fn pick(policy: &Policy, standing: &Standing, task: TaskType, research: bool) -> Pick {
    let named = if research { &policy.research_agent } else { &policy.default_agent };
    if standing.agents.is_empty() {
        return Pick::Free(named.clone());
    }
    if !standing.tried.is_empty() {
        return after_a_try(standing, task);
    }
    let by_name = standing.agents.iter().find(|agent| agent.id == *named);
    match (policy.route, by_name) {
        (Route::Triage, Some(agent)) => offer(standing, agent),
        _ => by_strength(standing, task),
    }
}

/// Another that suits, as long as there is one; else the one that had it last, who may do better with the reason.
fn after_a_try(standing: &Standing, task: TaskType) -> Pick {
    let is_new = |agent: &&Agent| !standing.tried.contains(&agent.id);
    match first_free(standing, |agent| agent.strengths.contains(&task) && is_new(&agent)) {
        Pick::Nobody => first_free(standing, |agent| standing.tried.last() == Some(&agent.id)),
        pick => pick,
    }
}

fn by_strength(standing: &Standing, task: TaskType) -> Pick {
    first_free(standing, |agent| agent.strengths.contains(&task))
}

/// The first that is free, else the first of all.
fn first_free(standing: &Standing, suits: impl Fn(&Agent) -> bool) -> Pick {
    let suitable = || standing.agents.iter().filter(|agent| suits(agent));
    let free = suitable().find(|agent| load(standing, agent) < agent.max_concurrent);
    free.or_else(|| suitable().next()).map_or(Pick::Nobody, |agent| offer(standing, agent))
}

/// Whether this one is free.
pub(super) fn offer(standing: &Standing, agent: &Agent) -> Pick {
    let (load, limit) = (load(standing, agent), agent.max_concurrent);
    if load < limit {
        Pick::Free(agent.id.clone())
    } else {
        Pick::Busy { agent: agent.id.clone(), load, limit }
    }
}

fn load(standing: &Standing, agent: &Agent) -> u32 {
    standing.load.get(&agent.id).copied().unwrap_or(0)
}

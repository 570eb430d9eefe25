//! Agents that watch the forge itself: the label and the assignee notify them, and nothing is called.

use futures_util::future::BoxFuture;

use crate::apply::{AgentClient, HandedOver};
use crate::dispatch::{Agent, Handoff};

/// Agents that are notified by a label and an assignment.
pub struct GiteaAgents;

impl AgentClient for GiteaAgents {
    fn hand_off<'a>(&'a self, _: &'a Agent, _: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

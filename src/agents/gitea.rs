//! Agents that work on the forge itself: the label and the assignee are what tells them, and nothing is called.

use futures_util::future::BoxFuture;

use crate::apply::{AgentClient, HandedOver};
use crate::dispatch::{Agent, Handoff};

/// Agents that are told by a label and an assignment.
pub struct GiteaAgents;

impl AgentClient for GiteaAgents {
    fn hand_off<'a>(&'a self, _: &'a Agent, _: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

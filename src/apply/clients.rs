//! How work is handed to an agent: by the client of its interface. The clients themselves are in `agents`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::dispatch::{Agent, Handoff, HandoffError, Interface};

/// What there is to say about a hand-over that an agent accepted, such as `answered 202`.
pub type HandedOver = Result<Option<String>, HandoffError>;

/// Hands work to the agents of one interface.
pub trait AgentClient: Send + Sync {
    /// Hands an issue over. Safe to repeat: the agent sees the same `dispatch_id` each time.
    fn hand_off<'a>(&'a self, agent: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver>;
}

/// An interface that cannot be used answers why.
impl<C: AgentClient> AgentClient for Result<C, HandoffError> {
    fn hand_off<'a>(&'a self, agent: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        match self {
            Ok(client) => client.hand_off(agent, handoff),
            Err(why) => Box::pin(std::future::ready(Err(why.clone()))),
        }
    }
}

/// The client of each interface. Cheap to clone.
#[derive(Clone, Default)]
pub struct AgentClients(BTreeMap<Interface, Arc<dyn AgentClient>>);

impl AgentClients {
    /// The same, with this client for the agents of `interface`.
    #[must_use]
    pub fn with(mut self, interface: Interface, client: impl AgentClient + 'static) -> Self {
        self.0.insert(interface, Arc::new(client));
        self
    }

    /// Hands an issue over to the agent by its interface.
    pub async fn hand_off(&self, agent: &Agent, handoff: &Handoff) -> HandedOver {
        if handoff.title.trim().is_empty() {
            return Err(HandoffError::NoTitle);
        }
        match (self.0.get(&agent.interface), agent.interface) {
            (Some(client), _) => client.hand_off(agent, handoff).await,
            (None, Interface::Local) => Err(HandoffError::NoModel),
            (None, Interface::Runner) => Err(HandoffError::NoRunner),
            (None, _) => Err(HandoffError::NoEndpoint { agent: agent.id.clone() }),
        }
    }
}

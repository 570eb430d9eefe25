//! Agents that are told through an interface of their own: by a POST to their endpoint, or by starting the local one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use secrecy::SecretString;

use super::{Hands, done};
use crate::agents::{HandoffError, HttpAgents};
use crate::dispatch::{Agent, AgentId, Handoff, Interface};
use crate::plan::{EffectOutcome, EffectState};

/// Starts the local agent on an issue.
pub trait LocalRunner: Send + Sync {
    /// Takes the issue and works on it in the background; what comes of it is reported like any agent's. Taking the
    /// same dispatch twice starts it once.
    ///
    /// # Errors
    /// When it cannot be taken, with the reason.
    fn take(&self, handoff: &Handoff) -> Result<(), String>;
}

/// What it takes to call agents directly; swapped whole when the configuration is read again.
#[derive(Clone, Default)]
pub struct Desk {
    /// The client for agents with an endpoint; an error when its settings cannot be used.
    pub http: Option<Result<HttpAgents, HandoffError>>,
    /// The secret of each agent that has one.
    pub secrets: BTreeMap<AgentId, SecretString>,
    /// The agent inside this program.
    pub local: Option<Arc<dyn LocalRunner>>,
}

/// Why an agent could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOffFailed {
    /// Why, for people.
    pub reason: String,
    /// How the agent's answer begins, in its own words; empty when there was none. To be quoted as code.
    pub answer: String,
    /// Whether the same hand-off may well succeed later.
    pub is_transient: bool,
}

impl HandOffFailed {
    /// What a person has to mend before the agent is even called.
    fn for_good(reason: String) -> Self {
        Self { reason, answer: String::new(), is_transient: false }
    }

    /// Why, with the agent's own words.
    pub(super) fn in_full(&self) -> String {
        let Self { reason, answer, .. } = self;
        if answer.is_empty() { reason.clone() } else { format!("{reason}: {answer}") }
    }
}

impl Hands {
    /// Says how agents are called from now on.
    pub fn set_desk(&self, desk: Desk) {
        *self.desk.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(desk);
    }

    /// Tells an agent that is called directly. Safe to repeat: the hand-off carries the same key each time.
    pub(super) async fn hand_off(
        &self,
        agent: &Agent,
        handoff: &Handoff,
    ) -> Result<EffectOutcome, HandOffFailed> {
        if self.forge.is_dry_run() {
            return Ok(EffectOutcome {
                state: EffectState::Withheld,
                forge_id: None,
                detail: None,
            });
        }
        if handoff.title.trim().is_empty() {
            let reason = "`title` is required; give the issue one".to_owned();
            return Err(HandOffFailed::for_good(reason));
        }
        let desk = Arc::clone(&self.desk.read().unwrap_or_else(PoisonError::into_inner));
        match agent.interface {
            Interface::Forge => Ok(done(None)),
            Interface::Http => desk.post(agent, handoff).await,
            Interface::Local => desk.start(handoff),
        }
    }
}

impl Desk {
    async fn post(&self, agent: &Agent, handoff: &Handoff) -> Result<EffectOutcome, HandOffFailed> {
        let refused = |error: &HandoffError| HandOffFailed {
            reason: error.to_string(),
            answer: error.answer().to_owned(),
            is_transient: error.is_transient(),
        };
        let http = match &self.http {
            Some(http) => http.as_ref().map_err(refused)?,
            None => return Err(refused(&HandoffError::NoEndpoint { agent: agent.id.clone() })),
        };
        let told = http.hand_off(agent, self.secrets.get(&agent.id), handoff).await;
        let told = told.map_err(|error| refused(&error))?;
        let detail = Some(format!("answered {}", told.status));
        Ok(EffectOutcome { state: EffectState::Done, forge_id: None, detail })
    }

    fn start(&self, handoff: &Handoff) -> Result<EffectOutcome, HandOffFailed> {
        let Some(local) = &self.local else {
            let reason = "no model is configured for the local agent; add `[local_agent]` with its `url` and `model`";
            return Err(HandOffFailed::for_good(reason.to_owned()));
        };
        local.take(handoff).map(|()| done(None)).map_err(HandOffFailed::for_good)
    }
}

//! From the configuration to the local agent.

use crate::agents::local::{LocalAgent, Settings};
use crate::config::Config;

/// Starts the local agent, if there is one.
///
/// # Errors
/// When a tool cannot be registered, as a [`crate::agents::local::RegistrationError`].
pub async fn local_agent(config: &Config) -> anyhow::Result<Option<LocalAgent>> {
    let Some(local) = config.local_agent.clone() else { return Ok(None) };
    let allow_private = config.agents.allow_private.clone();
    Ok(Some(LocalAgent::start(Settings { allow_private, ..local }).await?))
}

//! From the configuration to the local agent.

use std::time::Duration;

use crate::agents::local::{
    ConsultSettings, InvoiceKind, InvoiceSettings, LocalAgent, McpReach, McpSettings, ModelApi,
    Permission, Settings,
};
use crate::config::{self, Config};

/// How long a server of tools is left alone after its first failure.
const REST: Duration = Duration::from_secs(1);

/// Starts the local agent, if there is one.
///
/// # Errors
/// When a tool cannot be registered, as a [`crate::agents::local::RegistrationError`].
pub async fn local_agent(config: &Config) -> anyhow::Result<Option<LocalAgent>> {
    let Some(local) = &config.local_agent else { return Ok(None) };
    Ok(Some(LocalAgent::start(settings(local, config)).await?))
}

fn settings(local: &config::LocalAgent, config: &Config) -> Settings {
    Settings {
        api: match local.api {
            config::ModelApi::Ollama => ModelApi::Ollama,
            config::ModelApi::OpenAi => ModelApi::OpenAi,
        },
        url: local.url.clone(),
        model: local.model.clone(),
        api_key: local.api_key.clone(),
        timeout: local.timeout,
        temperature: Some(local.temperature),
        context: Some(local.context),
        max_rounds: local.max_rounds,
        tools: local.tools.clone(),
        permission: match local.permission.as_str() {
            "read" => Permission::Read,
            "comment" => Permission::Comment,
            _ => Permission::Write,
        },
        web_hosts: local.web_hosts.clone(),
        allow_private: config.agents.allow_private.clone(),
        mcp: local.mcp.iter().map(server).collect(),
        consult: local.consult.iter().map(consult).collect(),
        dry_run: config.triage.dry_run,
    }
}

fn server(server: &config::McpServer) -> McpSettings {
    McpSettings {
        name: server.name.clone(),
        reach: match &server.reach {
            config::McpReach::Command(command) => McpReach::Command(command.clone()),
            config::McpReach::Url(url) => McpReach::Url(url.clone()),
        },
        tools: server.tools.clone(),
        timeout: server.timeout,
        required: server.required,
        rest: REST,
    }
}

fn consult(consult: &config::Consult) -> ConsultSettings {
    ConsultSettings {
        name: consult.name.clone(),
        url: consult.url.clone(),
        model: consult.model.clone(),
        api_key: consult.api_key.clone(),
        timeout: consult.timeout,
        invoice: consult.invoice.as_ref().map(|invoice| InvoiceSettings {
            kind: match invoice.api {
                config::InvoiceApi::Lnbits => InvoiceKind::Lnbits,
                config::InvoiceApi::Lnd => InvoiceKind::Lnd,
            },
            url: invoice.url.clone(),
            key: invoice.key.clone(),
            sats: invoice.sats,
        }),
    }
}

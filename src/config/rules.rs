//! What has to fit together across keys. Each rule says where, about which key, and what to do.

use secrecy::ExposeSecret as _;

use super::{Config, Dashboard, agents, policy};
use crate::agents::local::{ConsultSettings, InvoiceKind, McpSettings, Settings};

/// A shorter token could be guessed by somebody with patience.
const SHORTEST_TOKEN: usize = 16;

/// A mistake: its place in the source, the key as messages call it, and the message.
pub(super) type Found = (String, String, String);

/// Every mistake that a single value does not show.
pub(super) fn all(config: &Config) -> Vec<Found> {
    let mut all = agents::mistakes(&config.agent);
    all.extend(dashboard(&config.dashboard));
    all.extend(config.local_agent.iter().flat_map(local_agent));
    all.extend(
        policy::mistake(&config.policy).map(|(path, message)| (path.clone(), path, message)),
    );
    all
}

fn dashboard(dashboard: &Dashboard) -> Vec<Found> {
    let short =
        dashboard.token.as_ref().filter(|t| t.expose_secret().chars().count() < SHORTEST_TOKEN);
    let short = short.map(|_| {
        let make = "make one with `openssl rand -hex 32`";
        (
            "token",
            "token",
            format!("`dashboard.token` is shorter than {SHORTEST_TOKEN} characters; {make}"),
        )
    });
    let half = match (&dashboard.client_id, &dashboard.client_secret) {
        (Some(_), None) => Some(("client_id", "client_secret")),
        (None, Some(_)) => Some(("client_secret", "client_id")),
        _ => None,
    };
    let half = half.map(|(is_there, missing)| {
        let message = format!(
            "`dashboard.{missing}` is missing beside `dashboard.{is_there}`; \"Sign in with Gitea\" needs both"
        );
        (is_there, missing, message)
    });
    let found = short.into_iter().chain(half);
    found
        .map(|(at, key, message)| (format!("dashboard.{at}"), format!("dashboard.{key}"), message))
        .collect()
}

fn local_agent(settings: &Settings) -> Vec<Found> {
    let entry = |list: &str, at: usize, name: &str, message: Option<&str>, key: &str| {
        let name = if name.is_empty() { String::new() } else { format!(".{name}") };
        let path = format!("local_agent.{list}{name}{key}");
        let message = format!("`{path}` {}", message?);
        Some((format!("local_agent.{list}.{at}{key}"), path, message))
    };
    let mcp = settings.mcp.iter().enumerate();
    let mcp = mcp.filter_map(|(at, mcp)| entry("mcp", at, &mcp.name, unreachable(mcp), ""));
    let consult = settings.consult.iter().enumerate();
    let consult =
        consult.filter_map(|(at, one)| entry("consult", at, &one.name, unpaid(one), ".invoice"));
    mcp.chain(consult).collect()
}

/// A server of tools is either started or called.
fn unreachable(server: &McpSettings) -> Option<&'static str> {
    let is_one = server.command.is_empty() != server.url.is_none();
    (!is_one).then_some("needs either `command` or `url`; set one")
}

/// An invoice service needs its address and key: without them nothing could ever be asked.
fn unpaid(consult: &ConsultSettings) -> Option<&'static str> {
    let is_whole = consult.invoice_url.is_some() && consult.invoice_key.is_some();
    (consult.invoice != InvoiceKind::None && !is_whole)
        .then_some("needs `invoice_url` and `invoice_key`; set both")
}

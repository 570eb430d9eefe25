//! What has to fit together across keys. Each rule says where, about which key, and what to do.

use secrecy::ExposeSecret as _;

use super::error::Found;
use super::{Config, Dashboard, agents, policy};
use crate::agents::local::{InvoiceKind, Settings};

/// A shorter token could be guessed by somebody with patience.
const SHORTEST_TOKEN: usize = 16;

/// Every mistake that a single value does not show; without one, the configuration is complete then.
pub(super) fn apply(config: &mut Config) -> Vec<Found> {
    let mut all = agents::mistakes(&config.agent);
    all.extend(dashboard(&config.dashboard));
    all.extend(config.local_agent.iter().flat_map(local_agent));
    let policy = policy::complete(config).err();
    all.extend(policy.map(|(path, message)| (path.clone(), path, message)));
    all
}

fn dashboard(dashboard: &Dashboard) -> Vec<Found> {
    let mut all = Vec::new();
    let mut add = |at: &str, key: &str, message| {
        all.push((format!("dashboard.{at}"), format!("dashboard.{key}"), message));
    };
    if dashboard.token.as_ref().is_some_and(|t| t.expose_secret().chars().count() < SHORTEST_TOKEN)
    {
        let make = "make one with `openssl rand -hex 32`";
        let message =
            format!("`dashboard.token` is shorter than {SHORTEST_TOKEN} characters; {make}");
        add("token", "token", message);
    }
    let (id, secret) = (dashboard.client_id.is_some(), dashboard.client_secret.is_some());
    if id != secret {
        let keys = ["client_id", "client_secret"];
        let (is_there, missing) = (keys[usize::from(secret)], keys[usize::from(id)]);
        let message = format!(
            "`dashboard.{missing}` is missing beside `dashboard.{is_there}`; \"Sign in with Gitea\" needs both"
        );
        add(is_there, missing, message);
    }
    all
}

fn local_agent(settings: &Settings) -> Vec<Found> {
    let entry = |list: &str, at: usize, name: &str, key: &str, message: &str| {
        let name = if name.is_empty() { String::new() } else { format!(".{name}") };
        let path = format!("local_agent.{list}{name}{key}");
        let message = format!("`{path}` {message}");
        (format!("local_agent.{list}.{at}{key}"), path, message)
    };
    // A server of tools is either started or called.
    let unreachable = settings
        .mcp
        .iter()
        .enumerate()
        .filter(|(_, mcp)| mcp.command.is_empty() == mcp.url.is_none());
    let unreachable = unreachable.map(|(at, mcp)| {
        entry("mcp", at, &mcp.name, "", "needs either `command` or `url`; set one")
    });
    // An invoice service needs its address and key: without them nothing could ever be asked.
    let unpaid = settings.consult.iter().enumerate().filter(|(_, one)| {
        one.invoice != InvoiceKind::None && (one.invoice_url.is_none() || one.invoice_key.is_none())
    });
    let unpaid = unpaid.map(|(at, one)| {
        let message = "needs `invoice_url` and `invoice_key`; set both";
        entry("consult", at, &one.name, ".invoice", message)
    });
    unreachable.chain(unpaid).collect()
}

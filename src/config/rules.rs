//! What has to fit together across keys. Each rule says where, about which key, and what to do.

use secrecy::{ExposeSecret as _, SecretString};

use super::error::{Found, wrong};
use super::source::Origins;
use super::{Config, Dashboard, agents, policy, rotations, runners};
use crate::agents::local::{InvoiceKind, RegistrationError, Settings, check_tools};
use crate::triage::Authors;

/// A shorter token could be guessed by somebody with patience.
const SHORTEST_TOKEN: usize = 16;

/// A shorter secret is found by trying: whoever has one signature can try as fast as they like.
const SHORTEST_SECRET: usize = 8;

/// Every mistake that a single value does not show; without one, the configuration is complete then.
pub(super) fn apply(config: &mut Config, origins: &Origins) -> Vec<Found> {
    let mut all = agents::mistakes(config);
    all.extend(agents::unknown(config, origins));
    all.extend(rotations::mistakes(config));
    all.extend(runners::mistakes(config));
    all.extend(runners::read_prompt(config, origins));
    all.extend(runners::read_embedded(config, origins));
    all.extend(secrets(config));
    all.extend(addresses(config));
    all.extend(approve_label(config, origins));
    all.extend(dashboard(&config.dashboard));
    all.extend(config.local_agent.iter().flat_map(local_agent));
    all.extend(config.local_agent.as_ref().and_then(|local| tools(local, config)));
    let policy = policy::complete(config).err();
    all.extend(policy.map(|(path, message)| wrong(&path, message)));
    all
}

fn secrets(config: &Config) -> Vec<Found> {
    let hooks = config.webhook.secrets.iter().enumerate().map(|(at, entry)| {
        (format!("webhook.secrets.{at}.secret"), "webhook.secrets.secret".to_owned(), &entry.secret)
    });
    let agents = config.agent.iter().enumerate().filter_map(|(at, agent)| {
        let secret = agent.secret.as_ref().filter(|_| agent.enabled)?;
        Some((format!("agent.{at}.secret"), format!("agent.{}.secret", agent.id), secret))
    });
    let key = "dashboard.client_secret".to_owned();
    let client = config.dashboard.client_secret.iter().map(|one| (key.clone(), key.clone(), one));
    // What is empty was not read, which is reported already.
    let is_short = |secret: &SecretString| {
        (1..SHORTEST_SECRET).contains(&secret.expose_secret().chars().count())
    };
    let short = hooks.chain(agents).chain(client).filter(|(.., secret)| is_short(secret));
    let short = short.map(|(at, key, _)| {
        let make = match key.as_str() {
            "dashboard.client_secret" => "copy the one that the forge shows",
            _ => "make one with `openssl rand -hex 32`",
        };
        let message = format!(
            "`{key}` is shorter than {SHORTEST_SECRET} characters, which can be guessed; {make}"
        );
        (at, key, message)
    });
    let token = config.gitea.token.expose_secret();
    let is_odd = !token.chars().all(|c| c.is_ascii_graphic());
    let odd = is_odd.then(|| {
        let message = "`gitea.token` holds a space or a character that no token has; copy it again";
        wrong("gitea.token", message.to_owned())
    });
    short.chain(odd).collect()
}

/// One label must not mean two things: what the service or an agent puts on would be taken for an approval, or call an
/// agent. Where nobody approves anything, only a label that somebody chose is looked at.
fn approve_label(config: &Config, origins: &Origins) -> Option<Found> {
    let Config { triage, agent, .. } = config;
    let key = "triage.approve_label";
    let matters = triage.authors != Authors::Anyone || origins.has(key);
    let label = triage.approve_label.as_deref().filter(|_| matters)?;
    let others = [
        ("triage.needs_info_label", &triage.needs_info_label),
        ("triage.question_label", &triage.question_label),
        ("triage.flag_label", &triage.flag_label),
    ];
    let others = others.into_iter().map(|(of, name)| (format!("`{of}`"), name));
    let agents = agent
        .iter()
        .filter(|one| one.enabled)
        .map(|one| (format!("agent `{}`", one.id), &one.label));
    let is_it = |name: &&str| name.eq_ignore_ascii_case(label);
    let (of, _) = others.chain(agents).find(|(_, name)| name.as_deref().filter(is_it).is_some())?;
    let message = format!(
        "`{key}` is `{label}`, which is the label of {of} too; give one of the two another name"
    );
    Some(wrong(key, message))
}

/// Addresses to which the service adds its own paths.
fn addresses(config: &Config) -> Vec<Found> {
    let ends = |url: &str, end: &[&str]| url.rsplit('/').take(end.len()).collect::<Vec<_>>() == end;
    let public = config.server.public_url.as_deref().unwrap_or_default();
    let all = [
        ("gitea.url", "API", ends(&config.gitea.url, &["v1", "api"])),
        ("server.public_url", "webhook", ends(public, &["webhook"])),
    ];
    let wrong = all.into_iter().filter(|(.., is_wrong)| *is_wrong).map(|(key, of, _)| {
        let message =
            format!("`{key}` is the address of the {of}; leave its path out, it is added");
        self::wrong(key, message)
    });
    wrong.collect()
}

/// The first tool of the local agent that cannot be registered; those of other servers show only when they are asked.
fn tools(local: &Settings, config: &Config) -> Option<Found> {
    let allow_private = config.agents.allow_private.clone();
    let error = check_tools(&Settings { allow_private, ..local.clone() }).err()?;
    let key = match &error {
        RegistrationError::Tool(name, _) if name.starts_with("consult_") => "local_agent.consult",
        _ => "local_agent.tools",
    };
    Some(wrong(key, error.to_string()))
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
            "`dashboard.{missing}` is missing beside `dashboard.{is_there}`; signing in with accounts of the forge needs both"
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
    let twice = [
        ("mcp", settings.mcp.iter().map(|mcp| mcp.name.as_str()).collect::<Vec<_>>()),
        ("consult", settings.consult.iter().map(|one| one.name.as_str()).collect()),
    ];
    let twice = twice.iter().flat_map(|(list, names)| {
        let again = names
            .iter()
            .enumerate()
            .filter(|(at, name)| !name.is_empty() && names[..*at].contains(name));
        again.map(|(at, name)| entry(list, at, name, "", "is there twice; give each its own name"))
    });
    unreachable.chain(unpaid).chain(twice).collect()
}

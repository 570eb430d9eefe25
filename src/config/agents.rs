//! The agents: the built-in ones, and what `[[agent]]` changes, adds and takes away.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml::{Table, Value};

use super::AgentEntry;
use super::error::Mistakes;
use super::error::Origin;
use super::keys::nearest_of;
use super::source::Source;
use crate::dispatch::{Agent, AgentId, Interface};

/// The agents that are there without any configuration, in the order they are shown.
const BUILT_IN: &str = r#"
[[agent]]
id = "claude"
interface = "gitea"
label = "claude-ready"
login = "claude"
strengths = ["architecture", "refactoring", "complex_reasoning", "code_review"]
[[agent]]
id = "kimi"
interface = "gitea"
label = "kimi-ready"
strengths = ["parallel_implementation", "routine_coding", "fast_iteration"]
[[agent]]
id = "api"
interface = "http"
strengths = ["research", "analysis", "specialized"]
max_concurrent = 5
[[agent]]
id = "local"
interface = "local"
strengths = ["triage", "planning", "creative", "orchestration"]
"#;

fn built_in() -> Vec<Value> {
    let root: Table = toml::from_str(BUILT_IN).unwrap_or_default();
    root.get("agent").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Lays the entries of the file over the built-in agents, and those it adds behind them.
pub(super) fn over_built_in(source: &mut Source, mistakes: &mut Mistakes) {
    let entries = match source.root.remove("agent") {
        Some(Value::Array(entries)) => entries,
        None => Vec::new(),
        // Of the wrong shape, which is reported when it is read.
        Some(other) => return drop(source.root.insert("agent".to_owned(), other)),
    };
    let origins: Vec<_> =
        (0..entries.len()).map(|at| source.origins.take(&format!("agent.{at}"))).collect();
    let mut all = built_in();
    let mut is_laid_over = vec![false; all.len()];
    for (entry, origins) in entries.into_iter().zip(origins) {
        let id = id(&entry);
        let same = |built: &Value| !id.is_empty() && self::id(built).eq_ignore_ascii_case(&id);
        let at = match all.iter().position(same) {
            Some(at) if is_laid_over[at] => {
                let message = format!("agent `{id}` is there twice; merge the two entries");
                let origin = origins.first().map(|(_, origin)| origin.clone());
                mistakes.add(&origin.unwrap_or(Origin::Default), &format!("agent.{id}"), message);
                continue;
            }
            Some(at) => at,
            None => {
                all.push(Value::Table(Table::new()));
                is_laid_over.push(false);
                all.len() - 1
            }
        };
        is_laid_over[at] = true;
        match (&mut all[at], entry) {
            (Value::Table(table), Value::Table(entry)) => table.extend(entry),
            (place, entry) => *place = entry,
        }
        let moved = origins.into_iter().map(|(rest, origin)| (format!("agent.{at}{rest}"), origin));
        source.origins.0.extend(moved);
    }
    source.root.insert("agent".to_owned(), Value::Array(all));
}

fn id(entry: &Value) -> String {
    entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What makes an agent unable to work: the place of the entry, the key and the message.
pub(super) fn mistakes(agents: &[AgentEntry]) -> Vec<(String, String, String)> {
    let unable = agents.iter().enumerate().filter_map(|(at, agent)| {
        Some((format!("agent.{at}"), format!("agent.{}.interface", agent.id), unable(agent)?))
    });
    unable.chain(unclear(agents)).collect()
}

fn unable(agent: &AgentEntry) -> Option<String> {
    let label = format!("agent.{}", agent.id);
    let is_unreachable = agent.label.is_none() && agent.login.is_none() && agent.enabled;
    match agent.interface {
        _ if agent.id.is_empty() => None,
        None => {
            let built_in: Vec<_> = built_in().iter().map(id).collect();
            let names: Vec<_> = built_in.iter().map(String::as_str).collect();
            let hint = nearest_of(&agent.id, &names)
                .map(|near| format!(" (or did you mean the built-in `{near}`?)"))
                .unwrap_or_default();
            Some(format!(
                "`{label}.interface` is missing; say how the new agent is told: `gitea`, `http` or `local`{hint}"
            ))
        }
        Some(Interface::Forge) if is_unreachable => Some(format!(
            "`{label}` has neither `label` nor `login`, so nothing would tell it; add one"
        )),
        Some(_) => None,
    }
}

/// A label that a person puts on has to name one agent.
fn unclear(agents: &[AgentEntry]) -> Vec<(String, String, String)> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut all = Vec::new();
    for (at, agent) in agents.iter().enumerate().filter(|(_, agent)| agent.enabled) {
        let (Some(label), id) = (agent.label.as_deref(), agent.id.as_str()) else { continue };
        if let Some(other) = seen.insert(label, id) {
            let message =
                format!("label `{label}` calls both `{other}` and `{id}`; give each its own");
            all.push((format!("agent.{at}.label"), format!("agent.{id}.label"), message));
        }
    }
    all
}

/// The agents that are there without any configuration.
pub fn built_in_agents() -> Vec<Agent> {
    let entries: Vec<AgentEntry> = Value::Array(built_in()).try_into().unwrap_or_default();
    enabled(&entries).collect()
}

/// Those that are enabled.
pub(super) fn enabled(entries: &[AgentEntry]) -> impl Iterator<Item = Agent> {
    entries.iter().filter(|entry| entry.enabled).map(|entry| Agent {
        id: AgentId::new(&entry.id),
        interface: entry.interface.unwrap_or(Interface::Forge),
        label: entry.label.clone(),
        login: entry.login.clone(),
        strengths: entry.strengths.clone(),
        max_concurrent: entry.max_concurrent,
        timeout: entry.timeout,
        endpoint: entry.endpoint.clone(),
    })
}

/// The secret of each agent that has one.
pub(super) fn secrets(entries: &[AgentEntry]) -> BTreeMap<AgentId, SecretString> {
    let enabled = entries.iter().filter(|entry| entry.enabled);
    enabled.filter_map(|entry| Some((AgentId::new(&entry.id), entry.secret.clone()?))).collect()
}

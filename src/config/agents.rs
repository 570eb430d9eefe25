//! The agents: the built-in ones, and what `[[agent]]` changes, adds and takes away.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use toml::{Table, Value};

use super::error::{Found, Origin};
use super::source::Source;
use super::{AgentEntry, keys};
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

impl Source {
    /// Lays the entries of the file over the built-in agents, and those it adds behind them.
    pub fn lay_over_built_in(&mut self) {
        let entries = match self.root.remove("agent") {
            Some(Value::Array(entries)) => entries,
            None => Vec::new(),
            // Of the wrong shape, which is reported when it is read.
            Some(other) => return drop(self.root.insert("agent".to_owned(), other)),
        };
        let origins: Vec<_> =
            (0..entries.len()).map(|at| self.origins.take(&format!("agent.{at}"))).collect();
        let (mut all, mut seen) = (built_in(), BTreeSet::new());
        for (entry, origins) in entries.into_iter().zip(origins) {
            let id = id(&entry);
            let same = |other: &Value| !id.is_empty() && self::id(other).eq_ignore_ascii_case(id);
            let at = all.iter().position(same).unwrap_or(all.len());
            if !seen.insert(at) {
                let message = format!("agent `{id}` is there twice; merge the two entries");
                let origin = origins.first().map_or(Origin::Default, |(_, origin)| origin.clone());
                self.mistakes.add(origin, &format!("agent.{id}"), message);
                continue;
            }
            match (all.get_mut(at), entry) {
                (Some(Value::Table(table)), Value::Table(entry)) => table.extend(entry),
                (_, entry) => all.push(entry),
            }
            let moved = origins.into_iter();
            let moved = moved.map(|(rest, origin)| (format!("agent.{at}{rest}"), origin));
            self.origins.0.extend(moved);
        }
        self.root.insert("agent".to_owned(), Value::Array(all));
    }
}

fn id(entry: &Value) -> &str {
    entry.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// What makes an agent unable to work. A label that a person puts on has to name one agent.
pub(super) fn mistakes(agents: &[AgentEntry]) -> Vec<Found> {
    let (mut labels, mut all) = (BTreeMap::new(), Vec::new());
    for (at, agent) in agents.iter().enumerate() {
        let id = agent.id.as_str();
        if let Some(message) = unable(agent).filter(|_| !id.is_empty()) {
            all.push((format!("agent.{at}"), format!("agent.{id}.interface"), message));
        }
        let Some(label) = agent.label.as_deref().filter(|_| agent.enabled) else { continue };
        if let Some(other) = labels.insert(label, id) {
            let message =
                format!("label `{label}` calls both `{other}` and `{id}`; give each its own");
            all.push((format!("agent.{at}.label"), format!("agent.{id}.label"), message));
        }
    }
    all
}

fn unable(agent: &AgentEntry) -> Option<String> {
    let id = &agent.id;
    match agent.interface {
        None => {
            let hint = keys::nearest(id, built_in().iter().map(self::id))
                .map(|near| format!(" (or did you mean the built-in `{near}`?)"))
                .unwrap_or_default();
            Some(format!(
                "`agent.{id}.interface` is missing; say how the new agent is told: `gitea`, `http` or `local`{hint}"
            ))
        }
        Some(Interface::Forge)
            if agent.label.is_none() && agent.login.is_none() && agent.enabled =>
        {
            Some(format!(
                "`agent.{id}` has neither `label` nor `login`, so nothing would tell it; add one"
            ))
        }
        Some(_) => None,
    }
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

//! The agents: the built-in ones, and what `[[agent]]` changes, adds and takes away.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use toml::{Table, Value};

use super::error::{self, Found, Origin};
use super::source::{Origins, Source};
use super::{AgentEntry, Config, keys};
use crate::agents::check_endpoint;
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

/// What makes an agent unable to work. A label that a person puts on has to name one agent. A built-in agent that
/// nobody speaks of may stay as it is.
pub(super) fn mistakes(config: &Config) -> Vec<Found> {
    let (mut labels, mut all) = (BTreeMap::new(), Vec::new());
    for (at, agent) in config.agent.iter().enumerate().filter(|(_, agent)| agent.enabled) {
        let id = agent.id.as_str();
        let mut add = |key: &str, message| {
            all.push((format!("agent.{at}.{key}"), format!("agent.{id}.{key}"), message));
        };
        if !id.is_empty() && !is_built_in(agent) {
            unable(agent, config).into_iter().for_each(|(key, message)| add(key, message));
        }
        let Some(label) = agent.label.as_deref() else { continue };
        let ignored = &config.triage.ignore_labels;
        if let Some(other) = labels.insert(label, id) {
            let message =
                format!("label `{label}` calls both `{other}` and `{id}`; give each its own");
            add("label", message);
        } else if ignored.iter().any(|one| one == label) {
            let why = "so that an issue is left alone as soon as the agent has it";
            add(
                "label",
                format!(
                    "label `{label}` calls `{id}` and is in `triage.ignore_labels`, {why}; take it out of one"
                ),
            );
        } else if config.triage.flag_label.as_deref() == Some(label) {
            add(
                "label",
                format!(
                    "label `{label}` calls `{id}` and is `triage.flag_label`; give each its own"
                ),
            );
        }
    }
    all
}

/// Whether it is as nobody has configured it. Then it may fail for what it lacks, as the original did.
fn is_built_in(agent: &AgentEntry) -> bool {
    let shown = |agent: &AgentEntry| serde_json::to_value(agent).ok();
    let all: Vec<AgentEntry> = Value::Array(built_in()).try_into().unwrap_or_default();
    all.iter().any(|one| one.id == agent.id && shown(one) == shown(agent))
}

/// The key on which an agent's work fails, and why.
fn unable(agent: &AgentEntry, config: &Config) -> Option<(&'static str, String)> {
    let id = &agent.id;
    let Some(interface) = agent.interface else {
        let hint = keys::nearest(id, built_in().iter().map(self::id))
            .map(|near| format!(" (or did you mean the built-in `{near}`?)"))
            .unwrap_or_default();
        let ways = "say how the new agent is told: `gitea`, `http`, `local` or `runner`";
        return Some(("interface", format!("`agent.{id}.interface` is missing; {ways}{hint}")));
    };
    let message = match (interface, &agent.endpoint) {
        (Interface::Forge, _) if agent.label.is_none() && agent.login.is_none() => {
            return Some((
                "interface",
                format!(
                    "`agent.{id}` has neither `label` nor `login`, so nothing would tell it; add one"
                ),
            ));
        }
        (Interface::Local, _) if config.local_agent.is_none() => {
            return Some((
                "interface",
                format!(
                    "`agent.{id}` is the local agent, and no model is configured; add `[local_agent]` with `model`, or `enabled = false`"
                ),
            ));
        }
        (Interface::Http, None) => format!(
            "`agent.{id}.endpoint` is missing, so nothing would tell it; add `endpoint = \"https://…\"`, or `enabled = false`"
        ),
        (Interface::Http, Some(endpoint)) => {
            let why = check_endpoint(endpoint, &config.agents.allow_private).err()?;
            format!("`agent.{id}.endpoint` cannot be called: {why}")
        }
        (_, Some(_)) => format!(
            "`agent.{id}.endpoint` is never called, since `interface` is `{interface}`; write `interface = \"http\"`, or take it away"
        ),
        (_, None) => return None,
    };
    Some(("endpoint", message))
}

/// Mistakes of the policy in naming agents. What nobody named falls back to whoever has the strengths.
pub(super) fn unknown(config: &Config, origins: &Origins) -> Vec<Found> {
    let Config { policy, agent: agents, .. } = config;
    let there = || agents.iter().filter(|agent| agent.enabled).map(|agent| agent.id.as_str());
    let named =
        [("default_agent", &policy.default_agent), ("research_agent", &policy.research_agent)];
    let wrong = named.into_iter().filter(|(key, name)| {
        origins.has(&format!("policy.{key}")) && !there().any(|id| id == name.as_str())
    });
    let told = wrong.map(|(key, name)| {
        let path = format!("policy.{key}");
        let hint = match keys::nearest(name.as_str(), there()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "there are {}",
                there().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
            ),
        };
        error::wrong(
            &path,
            format!("`{path}` is `{name}`, which is no agent that is enabled; {hint}"),
        )
    });
    told.collect()
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

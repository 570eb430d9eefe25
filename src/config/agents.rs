//! The agents: the built-in ones, and what `[[agent]]` changes, adds and takes away.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::error::{Mistakes, nearest_of};
use super::kind::Value;
use super::resolve::complete;
use super::row::Row;
use super::tree::Origin;
use crate::dispatch::{Agent, AgentId, Interface};

/// id, interface, label, login, strengths, how many at once.
type BuiltIn =
    (&'static str, &'static str, &'static str, &'static str, &'static [&'static str], u64);

/// The agents that are there without any configuration, in the order they are shown.
const BUILT_IN: &[BuiltIn] = &[
    (
        "claude",
        "gitea",
        "claude-ready",
        "claude",
        &["architecture", "refactoring", "complex_reasoning", "code_review"],
        1,
    ),
    (
        "kimi",
        "gitea",
        "kimi-ready",
        "",
        &["parallel_implementation", "routine_coding", "fast_iteration"],
        1,
    ),
    ("api", "http", "", "", &["research", "analysis", "specialized"], 5),
    ("local", "local", "", "", &["triage", "planning", "creative", "orchestration"], 1),
];

fn built_in((id, interface, label, login, strengths, at_once): &BuiltIn) -> Row {
    let mut row = Row::default();
    let strengths = strengths.iter().map(ToString::to_string).collect();
    let text = |t: &str| Value::Text(t.to_owned());
    for (name, value) in [
        ("id", text(id)),
        ("interface", text(interface)),
        ("label", text(label)),
        ("login", text(login)),
        ("strengths", Value::List(strengths)),
        ("max_concurrent", Value::Count(*at_once)),
    ] {
        row.set(name, value, Origin::Default);
    }
    row
}

/// The built-in agents with `entries` laid over them, then the added ones; complete, without those
/// that are not enabled.
pub(super) fn merge(entries: Vec<(Origin, Row)>, mistakes: &mut Mistakes) -> Vec<Row> {
    let mut agents: Vec<(Origin, Row)> =
        BUILT_IN.iter().map(|b| (Origin::Default, built_in(b))).collect();
    for (origin, entry) in entries {
        let id = entry.text("id");
        let same = |row: &Row| !id.is_empty() && row.text("id").eq_ignore_ascii_case(&id);
        match agents.iter_mut().find(|(_, row)| same(row)) {
            Some((seen, _)) if *seen != Origin::Default => {
                let message = format!("agent `{id}` is there twice; merge the two entries");
                mistakes.add(&origin, &format!("agent.{id}"), message);
            }
            Some((seen, row)) => {
                *seen = origin;
                row.extend(entry);
            }
            None => agents.push((origin, entry)),
        }
    }
    for (origin, row) in &mut agents {
        check(origin, row, mistakes);
    }
    labels_are_told_apart(&agents, mistakes);
    agents.into_iter().map(|(_, row)| row).filter(|r| r.bool("enabled")).collect()
}

fn check(origin: &Origin, row: &mut Row, mistakes: &mut Mistakes) {
    let id = row.text("id");
    let label = if id.is_empty() { "agent".to_owned() } else { format!("agent.{id}") };
    complete("agent[]", &label, origin, row, mistakes);
    let interface = row.some_text("interface");
    let unreachable = row.some_text("label").is_none() && row.some_text("login").is_none();
    let message = match interface.as_deref() {
        _ if id.is_empty() || row.is_bad("interface") => return,
        None => {
            let names: Vec<_> = BUILT_IN.iter().map(|b| b.0).collect();
            let hint = nearest_of(&id, &names)
                .map(|near| format!(" (or did you mean the built-in `{near}`?)"))
                .unwrap_or_default();
            format!(
                "`{label}.interface` is missing; say how the new agent is told: `gitea`, `http` or `local`{hint}"
            )
        }
        Some("gitea") if unreachable && row.bool("enabled") => {
            format!("`{label}` has neither `label` nor `login`, so nothing would tell it; add one")
        }
        Some(_) => return,
    };
    mistakes.add(origin, &format!("{label}.interface"), message);
}

/// A label that a person puts on has to name one agent.
fn labels_are_told_apart(agents: &[(Origin, Row)], mistakes: &mut Mistakes) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (origin, row) in agents.iter().filter(|(_, row)| row.bool("enabled")) {
        let (Some(label), id) = (row.some_text("label"), row.text("id")) else { continue };
        if let Some(other) = seen.insert(label.clone(), id.clone()) {
            let message =
                format!("label `{label}` calls both `{other}` and `{id}`; give each its own");
            mistakes.add(origin, &format!("agent.{id}.label"), message);
        }
    }
}

/// The agents that are there without any configuration.
pub fn built_in_agents() -> Vec<Agent> {
    merge(Vec::new(), &mut Mistakes::new(None)).iter().map(agent).collect()
}

/// The agent that `row` describes.
pub(super) fn agent(row: &Row) -> Agent {
    Agent {
        id: AgentId::new(row.text("id")),
        interface: match row.text("interface").as_str() {
            "http" => Interface::Http,
            "local" => Interface::Local,
            _ => Interface::Forge,
        },
        label: row.some_text("label"),
        login: row.some_text("login"),
        strengths: row.list("strengths").iter().filter_map(|s| s.parse().ok()).collect(),
        max_concurrent: row.count_u32("max_concurrent"),
        timeout: row.duration("timeout"),
        endpoint: row.some_text("endpoint"),
    }
}

/// The secret of each agent that has one.
pub(super) fn secrets(rows: &[Row]) -> BTreeMap<AgentId, SecretString> {
    let pair = |row: &Row| Some((AgentId::new(row.text("id")), row.secret("secret")?));
    rows.iter().filter_map(pair).collect()
}

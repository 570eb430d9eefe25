//! From the tree to values: each key checked against the table, secrets read from their files, defaults
//! filled in. Goes on after a mistake, so that all of them are told at once.

use std::collections::BTreeMap;

use super::agents;
use super::dashboard;
use super::env;
use super::error::{Mistakes, nearest_key, nearest_section};
use super::keys::{self, Key, Presence, SECTIONS};
use super::kind::{Kind, Value};
use super::row::Row;
use super::secret_file;
use super::tree::{Node, Origin, Spot, Table};

/// Every value of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The values of each single section.
    pub sections: BTreeMap<&'static str, Row>,
    /// The agents, built-in ones first; those taken away are left out.
    pub agents: Vec<Row>,
    /// The policy, as it stands.
    pub policy: toml::Table,
    /// Whether there is a section for the local agent.
    pub has_local_agent: bool,
    /// Where each key of the policy came from.
    pub policy_origins: BTreeMap<String, Origin>,
}

/// Reads all sections of `root`.
pub(super) fn resolve(root: &Table, mistakes: &mut Mistakes) -> Resolved {
    unknown_sections(root, mistakes);
    let mut sections = BTreeMap::new();
    let has_local_agent = root.contains_key("local_agent");
    for section in SECTIONS.iter().filter(|s| !s.is_list()) {
        let mut row = match root.get(section.name) {
            Some(spot) => single(section.name, spot, mistakes),
            None => Row::default(),
        };
        if section.name != "local_agent" || has_local_agent {
            complete(section.name, section.name, &Origin::Default, &mut row, mistakes);
        }
        if section.name == "dashboard" {
            dashboard::check(&row, mistakes);
        }
        sections.insert(section.name, row);
    }
    let entries = root.get("agent").map(|s| rows("agent[]", None, "agent", s, mistakes));
    let agents = agents::merge(entries.unwrap_or_default(), mistakes);
    let (policy, policy_origins) = policy(root, mistakes);
    Resolved { sections, agents, policy, has_local_agent, policy_origins }
}

fn unknown_sections(root: &Table, mistakes: &mut Mistakes) {
    for (name, spot) in root {
        let known = SECTIONS.iter().any(|s| s.name.trim_end_matches("[]") == name);
        if known || name == "policy" {
            continue;
        }
        let hint = match (nearest_section(name), nearest_key("", name)) {
            (_, Some((section, key))) if key == name => format!("did you mean `{section}.{key}`?"),
            (Some(near), _) if near.ends_with("[]") => {
                format!("did you mean `[[{}]]`?", near.trim_end_matches("[]"))
            }
            (Some(near), _) => format!("did you mean `[{near}]`?"),
            (None, _) => format!("known are {}", section_names()),
        };
        mistakes.add(&spot.origin, name, format!("unknown key `{name}`; {hint}"));
    }
}

fn section_names() -> String {
    let names = SECTIONS.iter().map(|s| s.name).chain(["policy"]);
    let names =
        names.filter(|n| !n.contains('.')).map(|n| format!("`{}`", n.trim_end_matches("[]")));
    names.collect::<Vec<_>>().join(", ")
}

fn single(section: &'static str, spot: &Spot, mistakes: &mut Mistakes) -> Row {
    match spot.table() {
        Some(table) => row(section, section, table, mistakes),
        None => {
            let message = format!("`{section}` is {}; write it as `[{section}]`", spot.node.kind());
            mistakes.add(&spot.origin, section, message);
            Row::default()
        }
    }
}

/// The values that `table` sets; `label` is what the section is called in messages.
fn row(section: &'static str, label: &str, table: &Table, mistakes: &mut Mistakes) -> Row {
    let mut row = Row::default();
    for (name, spot) in table {
        match keys::find(section, name) {
            Some(key) => read(key, label, spot, &mut row, mistakes),
            None => unknown_key(section, label, name, spot, mistakes),
        }
    }
    for key in keys::of(section).filter(|k| k.kind == Kind::SecretFile) {
        secret_file::read(key, label, &mut row, mistakes);
    }
    row
}

fn unknown_key(section: &str, label: &str, name: &str, spot: &Spot, mistakes: &mut Mistakes) {
    let hint = match nearest_key(section, name) {
        Some((near, key)) if near == section => format!("did you mean `{label}.{key}`?"),
        Some((near, key)) => format!("did you mean `{near}.{key}`?"),
        None => {
            let names = keys::of(section).map(|k| format!("`{}`", k.name));
            format!("known there are {}", names.collect::<Vec<_>>().join(", "))
        }
    };
    let path = format!("{label}.{name}");
    mistakes.add(&spot.origin, &path, format!("unknown key `{path}`; {hint}"));
}

fn read(key: &'static Key, label: &str, spot: &Spot, row: &mut Row, mistakes: &mut Mistakes) {
    let value = match key.kind {
        Kind::Entries { section, short } => {
            let path = format!("{label}.{}", key.name);
            Some(Value::Rows(complete_rows(section, short, &path, spot, mistakes)))
        }
        kind => kind.read(spot),
    };
    match value {
        Some(value) => row.set(key.name, value, spot.origin.clone()),
        None => {
            let path = format!("{label}.{}", key.name);
            let message = format!(
                "`{path}` is {}; it wants {}",
                found(key.kind, &spot.node),
                key.kind.wants()
            );
            mistakes.add(&spot.origin, &path, message);
            row.set_bad(key.name);
        }
    }
}

/// What stands there, as far as it may be repeated: short, and never where a secret belongs.
fn found(kind: Kind, node: &Node) -> String {
    match node {
        Node::Text(text) if text.is_empty() => "empty".to_owned(),
        Node::Text(text) if !kind.is_private() && text.chars().count() <= 30 => format!("`{text}`"),
        Node::Int(number) if !kind.is_private() => format!("`{number}`"),
        Node::Text(_) if kind.is_private() => "unusable".to_owned(),
        Node::List(items) if !kind.is_private() => found_in_list(kind, items),
        other => other.kind().to_owned(),
    }
}

/// The first item that is not wanted, when it is short enough to show.
fn found_in_list(kind: Kind, items: &[Spot]) -> String {
    let alone = |item: &Spot| {
        let node = Node::List(vec![item.clone()]);
        kind.read(&Spot { node, origin: Origin::Default }).is_none()
    };
    match items.iter().find(|i| alone(i)) {
        Some(bad) => format!("a list with {} in it", found(kind, &bad.node)),
        None => "a list".to_owned(),
    }
}

/// The tables of a list; `short` names the key that a bare text stands for.
fn rows(
    section: &'static str,
    short: Option<&'static str>,
    label: &str,
    spot: &Spot,
    mistakes: &mut Mistakes,
) -> Vec<(Origin, Row)> {
    let one = [spot.clone()];
    let items = match &spot.node {
        Node::List(items) => items.as_slice(),
        _ => &one,
    };
    let mut rows = Vec::new();
    for item in items {
        match (&item.node, short.and_then(|s| keys::find(section, s))) {
            (Node::Table(_), _) if !matches!(spot.node, Node::List(_)) => {
                let message = format!("`{label}` is a single table; write it as `[[{label}]]`");
                mistakes.add(&item.origin, label, message);
            }
            (Node::Table(table), _) => {
                let label = entry_label(label, table);
                rows.push((item.origin.clone(), row(section, &label, table, mistakes)));
            }
            (_, Some(key)) => {
                let mut row = Row::default();
                read(key, label, item, &mut row, mistakes);
                rows.push((item.origin.clone(), row));
            }
            (node, None) => {
                let message =
                    format!("`{label}` holds {}; write each as `[[{label}]]`", node.kind());
                mistakes.add(&item.origin, label, message);
            }
        }
    }
    rows
}

/// `agent.claude` for the entry with that id, so that a message says which one.
fn entry_label(label: &str, table: &Table) -> String {
    let name = table.get("id").or_else(|| table.get("name")).and_then(Spot::text);
    match name.filter(|n| super::checks::is_name(n)) {
        Some(name) => format!("{label}.{name}"),
        None => label.to_owned(),
    }
}

fn complete_rows(
    section: &'static str,
    short: Option<&'static str>,
    label: &str,
    spot: &Spot,
    mistakes: &mut Mistakes,
) -> Vec<Row> {
    let found = rows(section, short, label, spot, mistakes);
    let finish = |(origin, mut row): (Origin, Row)| {
        complete(section, label, &origin, &mut row, mistakes);
        match section {
            "local_agent.mcp[]" => one_way_to_reach(label, &origin, &row, mistakes),
            "local_agent.consult[]" => whole_invoice(label, &origin, &row, mistakes),
            _ => {}
        }
        row
    };
    found.into_iter().map(finish).collect()
}

/// A server of tools is either started or called.
fn one_way_to_reach(label: &str, origin: &Origin, row: &Row, mistakes: &mut Mistakes) {
    let command = !row.list("command").is_empty();
    if command == row.some_text("url").is_some() {
        let name = row.some_text("name").map(|n| format!(".{n}")).unwrap_or_default();
        let message = format!("`{label}{name}` needs either `command` or `url`; set one");
        mistakes.add(origin, label, message);
    }
}

/// An invoice service needs its address and key: without them nothing could ever be asked.
fn whole_invoice(label: &str, origin: &Origin, row: &Row, mistakes: &mut Mistakes) {
    let is_wanted = matches!(row.text("invoice").as_str(), "lnbits" | "lnd");
    let is_whole = row.some_text("invoice_url").is_some() && row.secret("invoice_key").is_some();
    let is_told = ["invoice_url", "invoice_key", "invoice_key_file"].iter().any(|k| row.is_bad(k));
    if is_wanted && !is_whole && !is_told {
        let name = row.some_text("name").map(|n| format!(".{n}")).unwrap_or_default();
        let message =
            format!("`{label}{name}.invoice` needs `invoice_url` and `invoice_key`; set both");
        mistakes.add(origin, label, message);
    }
}

/// Fills in defaults and reports what is missing.
pub(super) fn complete(
    section: &str,
    label: &str,
    origin: &Origin,
    row: &mut Row,
    mistakes: &mut Mistakes,
) {
    for key in keys::of(section) {
        match key.presence {
            Presence::Default(text) if !row.has(key.name) => {
                let value = key.kind.read(&env::typed(key.kind, "default", text));
                if let Some(value) = value {
                    row.set(key.name, value, Origin::Default);
                }
            }
            Presence::Required(example) if is_missing(key, row) => {
                missing(key, label, origin, example, mistakes);
            }
            _ => {}
        }
    }
}

/// An empty list or text is as good as none; what was there but wrong has been reported already.
fn is_missing(key: &Key, row: &Row) -> bool {
    match row.get(key.name) {
        None => !row.is_bad(key.name) && !row.is_bad(&format!("{}_file", key.name)),
        Some(Value::Text(text)) => text.is_empty(),
        Some(Value::Repos(repos)) => repos.is_empty(),
        Some(Value::Rows(rows)) => rows.is_empty(),
        Some(_) => false,
    }
}

fn missing(key: &Key, label: &str, origin: &Origin, example: &str, mistakes: &mut Mistakes) {
    let path = format!("{label}.{}", key.name);
    let message = if key.section.ends_with("[]") {
        format!("`{path}` is missing; add `{example}`")
    } else {
        let variable = env::variable(&key.path());
        let refuses =
            if key.section == "webhook" { "; the service refuses to start without" } else { "" };
        format!("`{path}` is missing{refuses}; add `{example}` to `[{label}]` or set `{variable}`")
    };
    mistakes.add(origin, &path, message);
}

fn policy(root: &Table, mistakes: &mut Mistakes) -> (toml::Table, BTreeMap<String, Origin>) {
    let mut origins = BTreeMap::new();
    let Some(spot) = root.get("policy") else { return Default::default() };
    match spot.table() {
        Some(table) => {
            note_origins("policy", table, &mut origins);
            (super::tree::to_toml(table), origins)
        }
        None => {
            let message = format!("`policy` is {}; write it as `[policy]`", spot.node.kind());
            mistakes.add(&spot.origin, "policy", message);
            Default::default()
        }
    }
}

fn note_origins(path: &str, table: &Table, origins: &mut BTreeMap<String, Origin>) {
    for (name, spot) in table {
        let path = format!("{path}.{name}");
        if let Some(inner) = spot.table() {
            note_origins(&path, inner, origins);
        }
        origins.insert(path, spot.origin.clone());
    }
}

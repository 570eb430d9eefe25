//! Environment variables laid over the file: `GITEA_TRIAGE__SECTION__KEY`.
//! A variable with that prefix and no key behind it is a mistake, as an unknown key of the file is.

use super::error::{Mistakes, nearest_key, nearest_section};
use super::keys::{self, Key};
use super::kind::Kind;
use super::tree::{Node, Origin, Spot, Table, parse_value};

const PREFIX: &str = "GITEA_TRIAGE__";

/// The variable that sets `path`, such as `gitea.url`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

/// Lays the variables over `root`, in the order of their names.
pub(super) fn overlay(
    root: &mut Table,
    vars: impl Iterator<Item = (String, String)>,
    mistakes: &mut Mistakes,
) {
    let mut ours: Vec<(String, String)> = vars.filter(|(name, _)| is_ours(name)).collect();
    ours.sort();
    for (name, value) in ours {
        let path = name[PREFIX.len()..].to_lowercase();
        let parts: Vec<&str> = path.split("__").collect();
        match parts.as_slice() {
            ["policy", path @ ..] if !path.is_empty() => set_policy(root, path, &name, &value),
            ["agent", id, key] if !id.is_empty() => {
                let Some(key) = known("agent[]", key, &name, mistakes) else { continue };
                if let Some(agent) = agent(root, id, &name) {
                    set(agent, key, &name, &value);
                }
            }
            [section, key] => {
                let Some(key) = known(section, key, &name, mistakes) else { continue };
                if let Some(table) = table(root, section, &name) {
                    set(table, key, &name, &value);
                }
            }
            _ => unknown_section(&parts, &name, mistakes),
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn known(section: &str, key: &str, name: &str, mistakes: &mut Mistakes) -> Option<&'static Key> {
    let found = keys::find(section, key);
    if found.is_none() {
        let path = format!("{}.{key}", section.trim_end_matches("[]"));
        let hint = match nearest_key(section, key) {
            Some((near, key)) if near == section || !near.ends_with("[]") => {
                format!("did you mean `{}`?", near_variable(near, key, name))
            }
            _ => section_hint(section),
        };
        let origin = Origin::Variable(name.to_owned());
        mistakes.add(&origin, &path, format!("unknown key `{path}`; {hint}"));
    }
    found
}

/// The nearest key's variable; within an agent the id stays as it was written.
fn near_variable(section: &str, key: &str, name: &str) -> String {
    match (section, name.rsplit_once("__")) {
        ("agent[]", Some((agent, _))) => format!("{agent}__{}", key.to_uppercase()),
        _ => variable(&format!("{section}.{key}")),
    }
}

fn section_hint(section: &str) -> String {
    match nearest_section(section) {
        Some(near) if near.trim_end_matches("[]") != section => {
            format!("did you mean `{}…`?", variable(&format!("{}.", near.trim_end_matches("[]"))))
        }
        _ => "`gitea-triage config schema` lists all keys".to_owned(),
    }
}

fn unknown_section(parts: &[&str], name: &str, mistakes: &mut Mistakes) {
    let path = parts.join(".");
    let hint = match nearest_key("", &path) {
        Some((section, key)) => {
            format!("did you mean `{}`?", variable(&format!("{section}.{key}")))
        }
        None => format!("write `{PREFIX}SECTION__KEY` or `{PREFIX}AGENT__ID__KEY`"),
    };
    let message = format!("unknown key `{path}`; {hint}");
    mistakes.add(&Origin::Variable(name.to_owned()), &path, message);
}

/// The table `name` of `root`, made when missing; `None` when the file has something else there,
/// which is reported when the file is read.
fn table<'a>(root: &'a mut Table, name: &str, variable: &str) -> Option<&'a mut Table> {
    let origin = Origin::Variable(variable.to_owned());
    let spot = root
        .entry(name.to_owned())
        .or_insert_with(|| Spot { node: Node::Table(Table::new()), origin });
    match &mut spot.node {
        Node::Table(table) => Some(table),
        _ => None,
    }
}

/// The entry of `[[agent]]` with this id, made when missing; `None` as for [`table`].
fn agent<'a>(root: &'a mut Table, id: &str, variable: &str) -> Option<&'a mut Table> {
    let origin = || Origin::Variable(variable.to_owned());
    let spot = root
        .entry("agent".to_owned())
        .or_insert_with(|| Spot { node: Node::List(Vec::new()), origin: origin() });
    let Node::List(entries) = &mut spot.node else { return None };
    let at = entries.iter().position(|entry| has_id(entry, id)).unwrap_or_else(|| {
        let id = Spot { node: Node::Text(id.to_owned()), origin: origin() };
        let table = Table::from([("id".to_owned(), id)]);
        entries.push(Spot { node: Node::Table(table), origin: origin() });
        entries.len() - 1
    });
    match &mut entries.get_mut(at)?.node {
        Node::Table(table) => Some(table),
        _ => None,
    }
}

/// Shells allow no `-` in a variable's name, and it is written in capitals: neither tells two agents apart.
fn has_id(entry: &Spot, id: &str) -> bool {
    let alike = |text: &str| text.to_lowercase().replace('-', "_");
    let own = entry.table().and_then(|t| t.get("id")?.text());
    own.is_some_and(|own| alike(own) == alike(id))
}

fn set(table: &mut Table, key: &Key, variable: &str, text: &str) {
    // A secret given in the environment replaces the file's, however that one was given.
    let other = match key.name.strip_suffix("_file") {
        Some(base) => base.to_owned(),
        None => format!("{}_file", key.name),
    };
    if table.get(&other).is_some_and(|o| matches!(o.origin, Origin::Line(_))) {
        table.remove(&other);
    }
    table.insert(key.name.to_owned(), typed(key.kind, variable, text));
}

/// The text of a variable as the value the key wants; what does not fit stays a text and is reported
/// like one in the file.
pub(super) fn typed(kind: Kind, variable: &str, text: &str) -> Spot {
    let origin = Origin::Variable(variable.to_owned());
    let node = match kind {
        Kind::Bool => text.trim().to_lowercase().parse().ok().map(Node::Bool),
        Kind::Count { .. } => text.trim().parse().ok().map(Node::Int),
        Kind::Fraction { .. } => text.trim().parse().ok().map(Node::Float),
        _ if kind.is_list() && text.trim_start().starts_with('[') => {
            parse_value(text.trim(), variable).map(|s| s.node)
        }
        _ if kind.is_list() => Some(Node::List(comma_separated(text, &origin))),
        _ => None,
    };
    Spot { node: node.unwrap_or_else(|| Node::Text(text.to_owned())), origin }
}

fn comma_separated(text: &str, origin: &Origin) -> Vec<Spot> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    parts.map(|p| Spot { node: Node::Text(p.to_owned()), origin: origin.clone() }).collect()
}

fn set_policy(root: &mut Table, path: &[&str], variable: &str, text: &str) {
    let origin = Origin::Variable(variable.to_owned());
    let value = parse_value(text, variable)
        .unwrap_or_else(|| Spot { node: Node::Text(text.to_owned()), origin });
    let Some((last, above)) = path.split_last() else { return };
    let mut at = table(root, "policy", variable);
    for name in above {
        at = at.and_then(|t| table(t, name, variable));
    }
    if let Some(at) = at {
        at.insert((*last).to_owned(), value);
    }
}

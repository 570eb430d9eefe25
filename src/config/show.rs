//! A configuration as people may see it: every value in force, where it came from, no secret.

use std::fmt::Write;

use chrono::SecondsFormat;
use serde_json::{Map, Value as Json, json};

use super::Config;
use super::keys::{self, SECTIONS};
use super::kind::{Kind, Value, fraction};
use super::row::Row;
use super::tree::Origin;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

impl Config {
    /// Every value in force, much as it would stand in the file, with where it came from behind it.
    pub fn show(&self) -> String {
        let mut out = String::new();
        if let Some(file) = &self.file {
            let _ = writeln!(out, "# {file}");
        }
        for (name, row) in self.shown_sections() {
            let title = match name.strip_suffix("[]") {
                Some(list) => format!("[[{list}]]"),
                None => format!("[{name}]"),
            };
            let _ = writeln!(out, "\n{title}");
            for (key, value) in shown(name, row) {
                let _ = writeln!(out, "{key} = {}{}", inline(&value), behind(row.origin(key)));
            }
        }
        if !self.policy.is_empty() {
            let policy =
                toml::Table::from_iter([("policy".to_owned(), self.policy.clone().into())]);
            let _ = write!(out, "\n{policy}");
        }
        out
    }

    /// The same for programs: `values` by section and key, `from` with where each one that is not a
    /// default came from.
    pub fn to_json(&self) -> Json {
        let (mut values, mut from) = (Map::new(), Map::new());
        for (name, row) in self.shown_sections() {
            let bare = name.trim_end_matches("[]");
            let section: Map<String, Json> =
                shown(name, row).map(|(key, value)| (key.to_owned(), value)).collect();
            let path = match name.ends_with("[]") {
                true => format!("{bare}.{}", row.text("id")),
                false => bare.to_owned(),
            };
            for key in keys::of(name).filter(|k| *row.origin(k.name) != Origin::Default) {
                from.insert(format!("{path}.{}", key.name), place(row.origin(key.name)).into());
            }
            match name.ends_with("[]") {
                false => drop(values.insert(bare.to_owned(), section.into())),
                true => {
                    let list = values.entry(bare).or_insert_with(|| json!([]));
                    list.as_array_mut().into_iter().for_each(|l| l.push(section.clone().into()));
                }
            }
        }
        let policy = serde_json::to_value(&self.policy).unwrap_or_default();
        values.insert("policy".to_owned(), policy);
        for (path, origin) in &self.resolved.policy_origins {
            from.insert(path.clone(), place(origin).into());
        }
        json!({ "file": self.file, "values": values, "from": from })
    }

    /// The sections in their documented order, one for each agent.
    fn shown_sections(&self) -> Vec<(&'static str, &Row)> {
        let mut all = Vec::new();
        for section in SECTIONS {
            match section.name {
                "agent[]" => all.extend(self.resolved.agents.iter().map(|row| ("agent[]", row))),
                "local_agent" if self.local_agent.is_none() => {}
                name => all.extend(self.resolved.sections.get(name).map(|row| (name, row))),
            }
        }
        all
    }
}

/// The keys of `row` that have a value, in their documented order.
fn shown<'a>(section: &'a str, row: &'a Row) -> impl Iterator<Item = (&'static str, Json)> + 'a {
    keys::of(section).filter_map(|key| Some((key.name, json(key.kind, row.get(key.name)?))))
}

fn json(kind: Kind, value: &Value) -> Json {
    match value {
        Value::Secret(_) => HIDDEN.into(),
        Value::Text(text) if kind == Kind::Endpoint => without_query(text).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Count(number) if matches!(kind, Kind::Fraction { .. }) => fraction(*number).into(),
        Value::Count(number) => (*number).into(),
        Value::Duration(span) => {
            humantime::format_duration(*span).to_string().replace(' ', "").into()
        }
        Value::List(items) => items.clone().into(),
        Value::Repos(repos) => repos.texts().collect::<Vec<_>>().into(),
        Value::ClockTime(time) => time.format("%H:%M").to_string().into(),
        Value::Zone(zone) => zone.name().into(),
        Value::Moment(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
        Value::Rows(rows) => entries(kind, rows),
    }
}

fn entries(kind: Kind, rows: &[Row]) -> Json {
    let Kind::Entries { section, .. } = kind else { return Json::Null };
    let entry = |row| Json::Object(shown(section, row).map(|(k, v)| (k.to_owned(), v)).collect());
    rows.iter().map(entry).collect()
}

/// Services hand out addresses with a key in their query.
fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((start, _)) => format!("{start}?{HIDDEN}"),
        None => url.to_owned(),
    }
}

/// As it would stand in the file, on one line.
fn inline(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Json::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

fn behind(origin: &Origin) -> String {
    match origin {
        Origin::Default => String::new(),
        set => format!("  # {}", place(set)),
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Line(line) => format!("line {line}"),
        Origin::Variable(name) => name.clone(),
    }
}

//! A configuration as people may see it: every value in force, where it came from, no secret.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::Config;
use super::error::Origin;
use super::keys::{SECTIONS, Section, Shape};

/// One table as it is shown.
struct Shown {
    section: &'static Section,
    /// Its path in the source, with the place of an entry.
    at: String,
    /// Keys that have a value, in their documented order.
    values: Vec<(String, Json)>,
}

impl Config {
    /// Every value in force, much as it would stand in the file, with where it came from behind it.
    pub fn show(&self) -> String {
        let mut out = String::new();
        if let Some(file) = &self.file {
            let _ = writeln!(out, "# {file}");
        }
        for table in self.shown() {
            let _ = writeln!(out, "\n{}", table.section.heading());
            for (key, value) in &table.values {
                let from = place(&self.origins.of(&format!("{}.{key}", table.at)));
                let behind = from.map(|from| format!("  # {from}")).unwrap_or_default();
                let _ = writeln!(out, "{key} = {}{behind}", inline(value));
            }
        }
        out
    }

    /// The same for programs: `values` by section and key, `from` with where each one that is not a
    /// default came from.
    pub fn to_json(&self) -> Json {
        let (mut values, mut from) = (json!({}), Map::new());
        for table in self.shown() {
            let section: Json = table.values.iter().cloned().collect::<Map<_, _>>().into();
            let mut name = table.section.path.clone();
            if table.section.is_list {
                let own = section["id"].as_str().or(section["name"].as_str());
                name = format!("{name}.{}", own.unwrap_or_default());
            }
            for (key, _) in &table.values {
                let origin = place(&self.origins.of(&format!("{}.{key}", table.at)));
                from.extend(origin.map(|origin| (format!("{name}.{key}"), origin.into())));
            }
            let path = table.section.path.split('.');
            match path.fold(&mut values, |place, name| &mut place[name]) {
                Json::Array(list) => list.push(section),
                place if table.section.is_list => *place = json!([section]),
                place => *place = section,
            }
        }
        json!({ "file": self.file, "values": values, "from": from })
    }

    /// The sections in their documented order, one for each agent and each rotation. Tables within a section's lists are values of
    /// that list; of the policy only what was set is shown.
    fn shown(&self) -> Vec<Shown> {
        let all = serde_json::to_value(self).unwrap_or_default();
        let mut shown = Vec::new();
        for section in SECTIONS.iter().skip(1).filter(|s| !s.is_list || !s.path.contains('.')) {
            let value = all.pointer(&format!("/{}", section.path.replace('.', "/")));
            match value {
                Some(Json::Array(entries)) => {
                    let entries = entries.iter().enumerate();
                    shown.extend(entries.map(|(at, entry)| {
                        self.table(section, format!("{}.{at}", section.path), entry)
                    }));
                }
                Some(table @ Json::Object(_)) => {
                    shown.push(self.table(section, section.path.clone(), table))
                }
                _ => {}
            }
        }
        shown.retain(|table| !table.values.is_empty() || !table.section.is_policy());
        shown
    }

    fn table(&self, section: &'static Section, at: String, values: &Json) -> Shown {
        let is_shown = |key: &str| {
            !section.is_policy() || self.origins.of(&format!("{at}.{key}")) != Origin::Default
        };
        let keys =
            section.keys.iter().filter(|key| key.shape != Shape::Table && is_shown(&key.name));
        let value = |name: &str| match name
            .strip_suffix("_file")
            .filter(|_| values.get(name).is_none())
        {
            Some(base) => self.files.get(&format!("{at}.{base}")).map(|path| path.as_str().into()),
            None => values.get(name).filter(|value| !value.is_null()).cloned(),
        };
        let values = keys.filter_map(|key| Some((key.name.clone(), value(&key.name)?))).collect();
        Shown { section, at, values }
    }
}

/// As it would stand in the file, on one line.
fn inline(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let map = map.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<_> = map.map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Json::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

fn place(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Default => None,
        Origin::Line(line) => Some(format!("line {line}")),
        Origin::Variable(name) => Some(name.clone()),
    }
}

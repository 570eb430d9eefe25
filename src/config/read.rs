//! Checks each value of the file on its own against its key, and takes out what cannot be used, so that all mistakes
//! are reported at once and the rest can still be read.

use std::path::Path;

use toml::{Table, Value};

use super::error::Origin;
use super::keys::{self, Key, Section, Shape};
use super::policy::ELSEWHERE;
use super::source::{Source, variable};
use crate::setting::is_name;

/// Where a value stands: in the source, and as messages call it.
#[derive(Clone, Default)]
pub(super) struct Spot {
    at: String,
    label: String,
}

impl Spot {
    fn below(&self, name: &str) -> Self {
        let join =
            |path: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        Self { at: join(&self.at), label: join(&self.label) }
    }

    /// The entry `at` of a list; one with a name is called by it.
    fn entry(&self, at: usize, entry: &Value) -> Self {
        let name = entry.get("id").or_else(|| entry.get("name")).and_then(Value::as_str);
        let label = match name.filter(|name| is_name(name)) {
            Some(name) => format!("{}.{name}", self.label),
            None => self.label.clone(),
        };
        Self { at: format!("{}.{at}", self.at), label }
    }
}

impl Source {
    /// What can be used of `table`.
    pub fn table(&mut self, section: &Section, mut table: Table, spot: &Spot) -> Table {
        let mut clean = Table::new();
        for key in &section.keys {
            let value = table.remove(&key.name);
            let here = spot.below(&key.name);
            match (value, key.shape, key.inner()) {
                (Some(value), Shape::Entries, Some(inner)) => {
                    clean.insert(key.name.clone(), self.entries(key, inner, value, &here));
                }
                (value, Shape::Table, Some(inner))
                    if value.is_some() || !key.default().is_null() =>
                {
                    let value = value.unwrap_or_else(|| Table::new().into());
                    clean.insert(key.name.clone(), self.inner(inner, value, &here).into());
                }
                (Some(value), Shape::Value | Shape::File, _)
                    if self.is_usable(key, &value, &here) =>
                {
                    clean.insert(key.name.clone(), value);
                }
                _ => {}
            }
            if key.shape == Shape::File {
                self.secret_file(key, &mut clean, spot);
            }
        }
        table.keys().for_each(|name| self.unknown(section, name, &spot.below(name)));
        self.missing(section, &clean, spot);
        clean
    }

    fn inner(&mut self, section: &Section, value: Value, here: &Spot) -> Table {
        let table = match value {
            Value::Table(table) => table,
            other => {
                let label = &here.label;
                self.wrong(here, format!("`{label}` is {}; write it as `[{label}]`", kind(&other)));
                Table::new()
            }
        };
        self.table(section, table, here)
    }

    /// The usable entries of a list of tables.
    fn entries(&mut self, key: &Key, section: &Section, value: Value, here: &Spot) -> Value {
        let label = &here.label;
        let items = match value {
            Value::Array(items) => items,
            Value::Table(_) => {
                self.wrong(here, format!("`{label}` is a single table; write it as `[[{label}]]`"));
                return Value::Array(Vec::new());
            }
            other => vec![other],
        };
        let mut clean = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let spot = here.entry(at, &item);
            match (item, key.short()) {
                (Value::Table(table), _) => clean.push(self.table(section, table, &spot).into()),
                (text, Some(short)) => {
                    let table = Table::from_iter([(short.to_owned(), text)]);
                    clean.push(self.table(section, table, &spot).into());
                }
                (other, None) => {
                    let message =
                        format!("`{label}` holds {}; write each as `[[{label}]]`", kind(&other));
                    self.wrong(&spot, message);
                    clean.push(Table::new().into());
                }
            }
        }
        Value::Array(clean)
    }

    fn is_usable(&mut self, key: &Key, value: &Value, here: &Spot) -> bool {
        // What has to be there and is empty is missing.
        if key.example().is_some() && is_empty(value) && !key.is_secret() {
            return false;
        }
        let fits = key.fits(&here.at, value);
        if !fits {
            let message = format!(
                "`{}` is {}; it wants {}",
                here.label,
                found(key, value, here),
                key.wants()
            );
            self.wrong(here, message);
        }
        fits
    }

    fn wrong(&mut self, here: &Spot, message: String) {
        self.bad.insert(here.at.clone());
        self.mistakes.add(self.origins.near(&here.at), &here.label, message);
    }

    fn unknown(&mut self, section: &Section, name: &str, here: &Spot) {
        let path = &here.label;
        let message =
            match ELSEWHERE.iter().find(|(key, _)| section.path == "policy" && *key == name) {
                Some((_, at)) => format!("`{path}` has a place of its own; write `{at}`"),
                None if section.path.is_empty() => {
                    format!("unknown key `{path}`; {}", section_hint(name))
                }
                None => format!("unknown key `{path}`; {}", key_hint(section, name, here)),
            };
        self.mistakes.add(self.origins.near(&here.at), path, message);
    }

    /// Puts the secret that a file holds in its key's place.
    fn secret_file(&mut self, key: &Key, table: &mut Table, spot: &Spot) {
        let base = key.name.trim_end_matches("_file");
        let here = spot.below(&key.name);
        let Some(Value::String(path)) = table.remove(&key.name) else {
            if self.bad.contains(&here.at) {
                self.bad.insert(spot.below(base).at);
            }
            return;
        };
        if table.contains_key(base) {
            let message = format!(
                "`{}` and `{}` are both set; keep one of them",
                spot.below(base).label,
                here.label
            );
            return self.wrong(&here, message);
        }
        let file = self.origins.resolved(&here.at, self.mistakes.file.as_deref(), &path);
        match contents(&file) {
            Ok(text) => {
                table.insert(base.to_owned(), text.into());
                self.files.insert(spot.below(base).at, path);
            }
            Err(why) => {
                self.bad.insert(spot.below(base).at);
                self.wrong(&here, format!("`{}` names `{path}`, which {why}", here.label));
            }
        }
    }

    /// An empty list or text is as good as none; what was there but wrong has been reported already.
    fn missing(&mut self, section: &Section, table: &Table, spot: &Spot) {
        for key in &section.keys {
            let (Some(example), here) = (key.example(), spot.below(&key.name)) else { continue };
            if table.get(&key.name).is_some_and(|value| !is_empty(value))
                || self.bad.contains(&here.at)
            {
                continue;
            }
            let path = &here.label;
            let message = if section.is_list {
                format!("`{path}` is missing; add `{example}`")
            } else {
                let refuses = if section.path == "webhook" {
                    "; the service refuses to start without"
                } else {
                    ""
                };
                let (heading, variable) = (section.heading(), variable(&key.path()));
                format!(
                    "`{path}` is missing{refuses}; add `{example}` to `{heading}` or set `{variable}`"
                )
            };
            let origin =
                if section.is_list { self.origins.near(&spot.at) } else { Origin::Default };
            self.mistakes.add(origin, path, message);
        }
    }
}

fn section_hint(name: &str) -> String {
    let near = keys::nearest(name, keys::root().names());
    match (near.and_then(keys::section), keys::nearest_key("", name)) {
        (_, Some(key)) if key.name == name => format!("did you mean `{}`?", key.path()),
        (Some(near), _) => format!("did you mean `{}`?", near.heading()),
        (None, _) => format!("known are {}", names(keys::root())),
    }
}

fn key_hint(section: &Section, name: &str, here: &Spot) -> String {
    match keys::nearest_key(&section.path, name) {
        Some(near) if near.section == section.path => {
            let label = here.label.strip_suffix(name).unwrap_or_default();
            format!("did you mean `{label}{}`?", near.name)
        }
        Some(near) => format!("did you mean `{}`?", near.path()),
        None => format!("known there are {}", names(section)),
    }
}

fn names(section: &Section) -> String {
    section.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// What stands there, as far as it may be repeated: short, and never where a secret belongs.
fn found(key: &Key, value: &Value, here: &Spot) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(_) if key.is_private() => "unusable".to_owned(),
        Value::String(text) if text.chars().count() <= 30 => format!("`{text}`"),
        Value::Integer(number) if !key.is_private() => format!("`{number}`"),
        Value::Array(items) if !key.is_private() => {
            let alone = |item: &&Value| !key.fits(&here.at, &Value::Array(vec![(*item).clone()]));
            match items.iter().find(alone) {
                Some(bad) => format!("a list with {} in it", found(key, bad, here)),
                None => "a list".to_owned(),
            }
        }
        other => kind(other).to_owned(),
    }
}

/// What kind of value it is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn contents(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "is not there; create it or correct the path".to_owned(),
        std::io::ErrorKind::InvalidData => "is not a text".to_owned(),
        _ => format!("cannot be read: {e}; let the service's user read it"),
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err("is empty; write the secret into it".to_owned());
    }
    Ok(text.to_owned())
}

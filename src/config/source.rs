//! The file and the environment as one table of values, and where each of them came from. It holds secrets, so it is
//! not `Debug`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::error::{ConfigError, Origin};
use super::keys::{self, Key, Shape};

/// Where each value came from, by its path; a number in it is a place in a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(pub BTreeMap<String, Origin>);

impl Origins {
    /// Where the value at exactly this path came from.
    pub fn of(&self, at: &str) -> Origin {
        self.0.get(at).cloned().unwrap_or(Origin::Default)
    }

    /// Where it came from, or else what it stands in.
    pub fn near(&self, at: &str) -> Origin {
        match (self.0.get(at), at.rsplit_once('.')) {
            (Some(origin), _) => origin.clone(),
            (None, Some((above, _))) => self.near(above),
            (None, None) => Origin::Default,
        }
    }

    /// Whether the file or the environment says anything there or below.
    pub fn has(&self, at: &str) -> bool {
        let below = format!("{at}.");
        self.0.keys().any(|path| path == at || path.starts_with(&below))
    }

    /// The file that `path`, the value at `at`, names: what a file says is relative to the folder of that `file`.
    pub fn resolved(&self, at: &str, file: Option<&str>, path: &str) -> PathBuf {
        let folder = file.and_then(|file| Path::new(file).parent());
        match (self.near(at), folder) {
            (Origin::Line(_), Some(folder)) => folder.join(path),
            _ => PathBuf::from(path),
        }
    }

    /// Forgets what stands at `at` and below, and gives it back by the path from there.
    pub fn take(&mut self, at: &str) -> Vec<(String, Origin)> {
        let below = |path: &str| {
            path.strip_prefix(at)
                .filter(|rest| rest.is_empty() || rest.starts_with('.'))
                .map(str::to_owned)
        };
        let taken = self
            .0
            .iter()
            .filter_map(|(path, origin)| Some((below(path)?, origin.clone())))
            .collect();
        self.0.retain(|path, _| below(path).is_none());
        taken
    }
}

/// Values and where they came from, and what is wrong with them.
pub(super) struct Source {
    pub root: Table,
    pub origins: Origins,
    pub mistakes: ConfigError,
    /// The paths of what could not be read, and was reported.
    pub bad: BTreeSet<String>,
    /// The file that each secret was read from.
    pub files: BTreeMap<String, String>,
}

impl Source {
    /// The file's text, or what is wrong with it line by line.
    pub fn parse(file: Option<&str>, text: &str) -> Result<Self, ConfigError> {
        let mut mistakes = ConfigError { file: file.map(str::to_owned), problems: Vec::new() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let (line, column) = place(text, error.span().map_or(0, |span| span.start));
            let origin = Origin::Line(line);
            // One slip often breaks the rest of its line; the first word on it is the useful one.
            if mistakes.problems.last().is_none_or(|last| last.origin != origin) {
                let message = format!("this is not TOML (column {column}): {}", error.message());
                mistakes.add(origin, "", message);
            }
        }
        mistakes.clone().check()?;
        let mut origins = Origins::default();
        let root = table(root.get_ref(), "", &mut |path, at| {
            origins.0.insert(path, Origin::Line(place(text, at).0));
        });
        Ok(Self { root, origins, mistakes, bad: BTreeSet::new(), files: BTreeMap::new() })
    }

    /// Lays the variables over the file, in the order of their names. One with our prefix and no key behind it is a
    /// mistake, as an unknown key of the file is.
    pub fn overlay(&mut self, vars: impl Iterator<Item = (String, String)>) {
        let mut ours: Vec<_> = vars.filter(|(name, _)| is_ours(name)).collect();
        ours.sort();
        for (name, text) in ours {
            let path = name[PREFIX.len()..].to_lowercase();
            let parts: Vec<&str> = path.split("__").collect();
            let (section, agent) = match parts.as_slice() {
                ["agent", id, _] if !id.is_empty() => ("agent".to_owned(), Some(*id)),
                [above @ .., _] => (above.join("."), None),
                [] => continue,
            };
            let known = keys::section(&section).filter(|s| s.is_list == agent.is_some());
            let last = parts.last().copied().unwrap_or_default();
            let key = known.and_then(|s| s.keys.iter().find(|key| key.name == last));
            let known = known.filter(|s| !s.path.is_empty());
            // A list of the file itself as a whole, but for the agents, each of which has variables of its own.
            let key = key.filter(|key| known.is_some() || key.is_list_of_its_own());
            match key.filter(|key| key.shape != Shape::Table) {
                Some(key) => self.set(key, agent, (&name, &text)),
                None => self.unknown_variable(&section, last, known.is_some(), &name),
            }
        }
    }

    /// Sets `key` to what the variable holds, unless something else than a table stands above it: that is reported
    /// when the file is read.
    fn set(&mut self, key: &Key, agent: Option<&str>, (variable, text): (&str, &str)) {
        let origin = Origin::Variable(variable.to_owned());
        let at = match agent.map(|id| self.agent(id, &origin)) {
            Some(None) => return,
            Some(Some(at)) => format!("agent.{at}"),
            None => key.section.clone(),
        };
        let Some(table) = self.table_at(&at) else { return };
        // A secret given in the environment replaces the file's, however that one was given.
        let other = match key.name.strip_suffix("_file") {
            Some(base) => base.to_owned(),
            None => format!("{}_file", key.name),
        };
        table.insert(key.name.clone(), typed(key, text));
        let other_at = format!("{at}.{other}");
        if matches!(self.origins.of(&other_at), Origin::Line(_)) {
            self.table_at(&at).map(|table| table.remove(&other));
        }
        let at = if at.is_empty() { key.name.clone() } else { format!("{at}.{}", key.name) };
        self.origins.take(&at);
        self.origins.0.insert(at, origin);
    }

    fn unknown_variable(&mut self, section: &str, name: &str, is_section: bool, variable: &str) {
        let start = variable.rsplit_once("__").map_or(variable, |(start, _)| start);
        let near = keys::nearest_key(section, name).filter(|key| key.shape != Shape::Table);
        let hint = match (near, keys::nearest(section, keys::root().names())) {
            (Some(near), _) if section == "agent" && near.section == section => {
                format!("did you mean `{start}__{}`?", near.name.to_uppercase())
            }
            (Some(near), _) => format!("did you mean `{}`?", self::variable(&near.path())),
            _ if section.is_empty() => {
                format!("write `{PREFIX}SECTION__KEY` or `{PREFIX}AGENT__ID__KEY`")
            }
            (None, Some(near)) if !is_section => {
                format!("did you mean `{}…`?", self::variable(&format!("{near}.")))
            }
            _ => "`gitea-triage config schema` lists all keys".to_owned(),
        };
        let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        let message = format!("unknown key `{path}`; {hint}");
        self.mistakes.add(Origin::Variable(variable.to_owned()), &path, message);
    }

    /// The place of the agent with this id, made when missing.
    fn agent(&mut self, id: &str, origin: &Origin) -> Option<usize> {
        let entries =
            self.root.entry("agent").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
        if let Some(at) = entries.iter().position(|entry| has_id(entry, id)) {
            return Some(at);
        }
        entries.push(Value::Table(Table::from_iter([("id".to_owned(), id.into())])));
        let at = entries.len() - 1;
        for path in [format!("agent.{at}"), format!("agent.{at}.id")] {
            self.origins.0.insert(path, origin.clone());
        }
        Some(at)
    }

    /// The table at `at`, made when missing; `None` when something else stands there.
    fn table_at(&mut self, at: &str) -> Option<&mut Table> {
        let mut table = &mut self.root;
        let mut parts = at.split('.').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = parts.next() {
            let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            let place = parts.next_if(|next| next.parse::<usize>().is_ok());
            table = match place.and_then(|place| place.parse::<usize>().ok()) {
                Some(place) => inner.as_array_mut()?.get_mut(place)?.as_table_mut()?,
                None => inner.as_table_mut()?,
            };
        }
        Some(table)
    }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn table(from: &DeTable<'_>, path: &str, note: &mut dyn FnMut(String, usize)) -> Table {
    let mut into = Table::new();
    for (key, value) in from {
        let name = key.get_ref().to_string();
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        note(path.clone(), key.span().start);
        into.insert(name, plain(value.get_ref(), &path, note));
    }
    into
}

/// A number past what fits becomes the largest: every key with a number has an upper limit, its type's if no other.
fn plain(value: &DeValue<'_>, path: &str, note: &mut dyn FnMut(String, usize)) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(n) => {
            Value::Integer(i64::from_str_radix(n.as_str(), n.radix()).unwrap_or(i64::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Table(inner) => Value::Table(table(inner, path, note)),
        DeValue::Array(items) => {
            let item = |(at, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                let path = format!("{path}.{at}");
                note(path.clone(), item.span().start);
                plain(item.get_ref(), &path, note)
            };
            Value::Array(items.iter().enumerate().map(item).collect())
        }
    }
}

const PREFIX: &str = "GITEA_TRIAGE__";

/// The variable that sets `path`, such as `gitea.url`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Shells allow no `-` in a variable's name, and it is written in capitals: neither tells two agents apart.
fn has_id(entry: &Value, id: &str) -> bool {
    let alike = |text: &str| text.to_lowercase().replace('-', "_");
    entry.get("id").and_then(Value::as_str).is_some_and(|own| alike(own) == alike(id))
}

/// The text of a variable as the value the key wants; what does not fit stays a text and is reported like one in the
/// file.
fn typed(key: &Key, text: &str) -> Value {
    let trimmed = text.trim();
    let toml =
        || DeValue::parse(trimmed).ok().map(|value| plain(value.get_ref(), "", &mut |_, _| {}));
    let value = match key.kind() {
        "boolean" => trimmed.to_lowercase().parse().ok().map(Value::Boolean),
        "integer" => trimmed.parse().ok().map(Value::Integer),
        "number" => trimmed.parse().ok().map(Value::Float),
        "array" if trimmed.starts_with('[') => toml(),
        "array" => {
            let parts = trimmed.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(Value::Array(parts.map(Value::from).collect()))
        }
        _ => None,
    };
    value.unwrap_or_else(|| text.into())
}

//! What differs between two configurations, key by key. Values are compared by marks, so that secrets are not kept twice.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::Config;
use super::keys::{Key, SECTIONS, Section, Shape};

/// Another key for each process: a mark says nothing about what it stands for.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Every key that holds a value or a list of tables; keys within such a list count as the list.
fn keys() -> impl Iterator<Item = &'static Key> {
    let tables = SECTIONS.iter().filter(|section| !section.is_list);
    let is_value = |key: &&Key| matches!(key.shape, Shape::Value | Shape::Entries);
    tables.flat_map(|section| &section.keys).filter(is_value)
}

/// A mark for each value that was set and is not shown as it stands: a secret, or a list with some in it.
pub(super) fn marks(root: &Table) -> BTreeMap<String, u64> {
    let mark = |key: &Key| {
        let path = key.path();
        let (first, rest) = path.split_once('.').unwrap_or((&path, ""));
        let rest = rest.split('.').filter(|name| !name.is_empty());
        let value = rest.fold(root.get(first), |value, name| value?.get(name))?;
        let hidden: Vec<String> = match key.inner() {
            Some(section) => {
                value.as_array()?.iter().flat_map(|entry| hidden(section, entry)).collect()
            }
            None => vec![value.to_string()],
        };
        Some((path, HASHER.hash_one(hidden)))
    };
    keys().filter(|key| key.is_private()).filter_map(mark).collect()
}

fn hidden<'a>(section: &'a Section, entry: &'a Value) -> impl Iterator<Item = String> + 'a {
    let private = section.keys.iter().filter(|key| key.is_private());
    private.map(|key| entry.get(&key.name).map(Value::to_string).unwrap_or_default())
}

impl Config {
    /// The keys whose values are others in `new`.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let [old_values, new_values] =
            [self, new].map(|config| serde_json::to_value(config).unwrap_or_default());
        let differs = |key: &&Key| {
            let at = format!("/{}", key.path().replace('.', "/"));
            let shown = |values: &Json| values.pointer(&at).filter(|v| !v.is_null()).cloned();
            // What is not shown, as secrets are, differs by what was set.
            let marks = self.marks.get(&key.path()).zip(new.marks.get(&key.path()));
            shown(&old_values) != shown(&new_values) || marks.is_some_and(|(old, new)| old != new)
        };
        keys().filter(differs).map(Key::path).collect()
    }
}

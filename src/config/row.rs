//! The values of one table once they are read, each with where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;

use super::kind::Value;
use super::tree::Origin;
use crate::issue::RepoPatterns;

/// The values of one table. The getters answer for keys that [`super::keys`] has and that were read:
/// what could not be read is a mistake, and then no configuration is made of the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    values: BTreeMap<&'static str, (Value, Origin)>,
    bad: BTreeSet<&'static str>,
}

impl Row {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).map(|(value, _)| value)
    }

    pub fn origin(&self, name: &str) -> &Origin {
        self.values.get(name).map_or(&Origin::Default, |(_, origin)| origin)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn set(&mut self, name: &'static str, value: Value, origin: Origin) {
        self.values.insert(name, (value, origin));
    }

    /// Notes that what was there could not be read, and that this has been told.
    pub fn set_bad(&mut self, name: &'static str) {
        self.bad.insert(name);
    }

    /// Whether something was there that could not be read.
    pub fn is_bad(&self, name: &str) -> bool {
        self.bad.contains(name)
    }

    /// Takes over every value of `other`.
    pub fn extend(&mut self, other: Row) {
        self.values.extend(other.values);
        self.bad.extend(other.bad);
    }

    /// The text; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        self.some_text(name).unwrap_or_default()
    }

    /// The text, unless there is none or it is empty.
    pub fn some_text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    pub fn count(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Count(n)) => *n,
            _ => 0,
        }
    }

    /// The count, if there is one.
    pub fn some_count(&self, name: &str) -> Option<u64> {
        self.has(name).then(|| self.count(name))
    }

    /// The span, if there is one.
    pub fn some_duration(&self, name: &str) -> Option<Duration> {
        self.has(name).then(|| self.duration(name))
    }

    /// The count as what it is kept in; the table's limits make it fit.
    pub fn count_u32(&self, name: &str) -> u32 {
        u32::try_from(self.count(name)).unwrap_or(u32::MAX)
    }

    /// As [`Row::count_u32`].
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.count(name)).unwrap_or(usize::MAX)
    }

    pub fn duration(&self, name: &str) -> Duration {
        match self.get(name) {
            Some(Value::Duration(span)) => *span,
            _ => Duration::ZERO,
        }
    }

    pub fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }

    pub fn secret(&self, name: &str) -> Option<SecretString> {
        match self.get(name) {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            _ => None,
        }
    }

    pub fn repos(&self, name: &str) -> Option<RepoPatterns> {
        match self.get(name) {
            Some(Value::Repos(repos)) => Some(repos.clone()),
            _ => None,
        }
    }

    pub fn rows(&self, name: &str) -> &[Row] {
        match self.get(name) {
            Some(Value::Rows(rows)) => rows,
            _ => &[],
        }
    }
}

//! The section `[policy]`: a [`Policy`], but for four keys that stand in other sections.

use toml::{Table, Value};

use super::Config;
use crate::triage::{Policy, Triage};

/// Keys of a policy that have a place of their own in the configuration.
pub(super) const ELSEWHERE: [(&str, &str); 4] = [
    ("ready_at", "triage.ready_at"),
    ("ignore_labels", "triage.ignore_labels"),
    ("ignore_authors", "triage.ignore_authors"),
    ("route", "dispatch.route"),
];

/// Puts the four keys into the policy.
pub(super) fn complete(mut config: Config) -> Config {
    config.policy.ready_at = config.triage.ready_at;
    config.policy.ignore_labels.clone_from(&config.triage.ignore_labels);
    config.policy.ignore_authors.clone_from(&config.triage.ignore_authors);
    config.policy.route = config.dispatch.route;
    config
}

/// What makes the policy unusable as a whole: the key and the message.
pub(super) fn mistake(policy: &Policy) -> Option<(String, String)> {
    let error = Triage::new(policy.clone()).err()?;
    let Some(key) = error.key() else { return Some(("policy".to_owned(), error.to_string())) };
    let path = path(key);
    // As it is called here, not in a policy of its own.
    let message = error.to_string().replacen(&format!("`{key}`"), &format!("`{path}`"), 1);
    Some((path, message))
}

fn path(key: &str) -> String {
    match ELSEWHERE.iter().find(|(name, _)| *name == key) {
        Some((_, at)) => (*at).to_owned(),
        None => format!("policy.{key}"),
    }
}

/// A policy as the section `[policy]` takes it.
///
/// # Errors
/// Never: a policy can always be written.
pub fn as_section(policy: &Policy) -> Result<Table, toml::ser::Error> {
    let mut table = Table::try_from(policy)?;
    ELSEWHERE.iter().for_each(|(name, _)| drop(table.remove(*name)));
    Ok(Table::from_iter([("policy".to_owned(), Value::Table(table))]))
}

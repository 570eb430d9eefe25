//! The section `[policy]`: a [`Policy`], but for eight keys that stand in other sections.

use toml::{Table, Value};

use super::Config;
use crate::triage::{Policy, Triage};

/// Keys of a policy that have a place of their own in the configuration.
pub(super) const ELSEWHERE: [(&str, &str); 8] = [
    ("ready_at", "triage.ready_at"),
    ("ignore_labels", "triage.ignore_labels"),
    ("ignore_authors", "triage.ignore_authors"),
    ("route", "dispatch.route"),
    ("answers", "triage.answers"),
    ("duplicates", "triage.duplicates"),
    ("authors", "triage.authors"),
    ("ready_labels", "triage.ready_labels"),
];

/// Puts the eight keys into the policy, and compiles it; or says by which key it cannot be used, and why.
pub(super) fn complete(config: &mut Config) -> Result<(), (String, String)> {
    let Config { policy, triage, dispatch, .. } = config;
    policy.ready_at = triage.ready_at;
    policy.ignore_labels.clone_from(&triage.ignore_labels);
    policy.ignore_authors.clone_from(&triage.ignore_authors);
    policy.route = dispatch.route;
    policy.answers = triage.answers;
    policy.duplicates = triage.duplicates;
    policy.authors = triage.authors;
    policy.ready_labels.clone_from(&triage.ready_labels);
    let error = match Triage::new(policy.clone()) {
        Ok(compiled) => {
            config.compiled = Some(compiled);
            return Ok(());
        }
        Err(error) => error,
    };
    let Some(key) = error.key() else { return Err(("policy".to_owned(), error.to_string())) };
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == key);
    let path = elsewhere.map_or_else(|| format!("policy.{key}"), |(_, at)| (*at).to_owned());
    // As it is called here, not in a policy of its own.
    let message = error.to_string().replacen(&format!("`{key}`"), &format!("`{path}`"), 1);
    Err((path, message))
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

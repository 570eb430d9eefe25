//! From the configuration to the rules that the worker decides by, with the mistakes that only the triage room can see.
//! It starts nothing and keeps nothing.

use toml::{Table, Value};

use crate::config::{self, Config, ConfigError, Problem};
use crate::triage::{Policy, Route, Triage};
use crate::worker::{self, Rules};

/// Keys of a policy that have a place of their own in the configuration.
const ELSEWHERE: [(&str, &str); 4] = [
    ("ready_at", "triage.ready_at"),
    ("ignore_labels", "triage.ignore_labels"),
    ("ignore_authors", "triage.ignore_authors"),
    ("route", "dispatch.route"),
];
/// How alike a name has to be to be offered for an unknown one, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The rules in a configuration.
///
/// # Errors
/// When the policy cannot be used; names each key with its line.
pub fn rules(config: &Config) -> Result<Rules, ConfigError> {
    Ok(Rules {
        triage: triage(config)?,
        agents: config.agents.list.clone(),
        repos: config.gitea.repos.clone(),
        owner: config.triage.owner.clone(),
        flag_label: config.triage.flag_label.clone(),
        max_attempts: config.worker.max_attempts,
        write_limit: config.worker.fuse,
        dispatch_attempts: config.dispatch.max_attempts,
        review: config.review.require.iter().map(|check| review(*check)).collect(),
        public_url: config.server.public_url.clone(),
        pages: pages(config),
    })
}

/// How a configuration scores and decides.
///
/// # Errors
/// When the policy cannot be used; names each key with its line.
pub fn triage(config: &Config) -> Result<Triage, ConfigError> {
    Triage::new(policy(config)?).map_err(|error| {
        let Some(key) = error.key() else { return config.problem("policy", error).into() };
        let path = match ELSEWHERE.iter().find(|(name, _)| *name == key) {
            Some((_, at)) => (*at).to_owned(),
            None => format!("policy.{key}"),
        };
        // As it is called here, not in a policy of its own.
        let text = error.to_string().replacen(&format!("`{key}`"), &format!("`{path}`"), 1);
        config.problem(&path, text).into()
    })
}

/// The policy in a configuration: the `[policy]` section, and the keys of `[triage]` and `[dispatch]` beside it.
///
/// # Errors
/// When a key of `[policy]` is unknown, of the wrong kind or stands elsewhere.
pub fn policy(config: &Config) -> Result<Policy, ConfigError> {
    let mistakes = mistakes(config);
    if !mistakes.is_empty() {
        return Err(ConfigError::new(mistakes));
    }
    let policy: Policy = Value::Table(config.policy.clone())
        .try_into()
        .map_err(|error: toml::de::Error| config.problem("policy", error.message()))?;
    Ok(Policy {
        ready_at: config.triage.ready_at,
        ignore_labels: config.triage.ignore_labels.clone(),
        ignore_authors: config.triage.ignore_authors.clone(),
        route: match config.dispatch.route {
            config::Route::Triage => Route::Triage,
            config::Route::TaskType => Route::TaskType,
        },
        ..policy
    })
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

/// What is wrong with each key of `[policy]` on its own.
fn mistakes(config: &Config) -> Vec<Problem> {
    let known = Table::try_from(Policy::default()).unwrap_or_default();
    let known: Vec<_> = leaves(&known, "policy").into_iter().map(|(path, _)| path).collect();
    let mistake = |(path, value): (String, &Value)| {
        let name = path.strip_prefix("policy.").unwrap_or(&path);
        let message = match ELSEWHERE.iter().find(|(key, _)| *key == name) {
            Some((_, at)) => format!("`{path}` has a place of its own; write `{at}`"),
            None => unfit(&path, value, &known)?,
        };
        Some(config.problem(&path, message))
    };
    let mut all: Vec<_> =
        leaves(&config.policy, "policy").into_iter().filter_map(mistake).collect();
    all.sort_by_key(|problem| problem.line);
    all
}

fn unfit(path: &str, value: &Value, known: &[String]) -> Option<String> {
    let is_section = known.iter().any(|key| key.starts_with(&format!("{path}.")));
    if !is_section && !known.iter().any(|key| key == path) {
        let alike = |key: &&String| strsim::normalized_damerau_levenshtein(key, path);
        let near = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let hint = match near.filter(|key| alike(key) >= ALIKE) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "see `gitea-triage config policy`".to_owned(),
        };
        return Some(format!("unknown key `{path}`; {hint}"));
    }
    let wrap = |inner, name: &str| Value::Table(Table::from_iter([(name.to_owned(), inner)]));
    let alone = path.split('.').skip(1).collect::<Vec<_>>();
    let alone = alone.into_iter().rev().fold(value.clone(), wrap);
    let error = alone.try_into::<Policy>().err()?;
    Some(format!("`{path}` cannot be used: {}", error.message()))
}

/// Every key that holds no table, by its path.
fn leaves<'a>(table: &'a Table, path: &str) -> Vec<(String, &'a Value)> {
    let each = table.iter().flat_map(|(name, value)| {
        let path = format!("{path}.{name}");
        match value {
            Value::Table(inner) => leaves(inner, &path),
            leaf => vec![(path, leaf)],
        }
    });
    each.collect()
}

/// Where the dashboard is, when it shows anything.
fn pages(config: &Config) -> Option<String> {
    let is_on = config.dashboard.token.is_some() || config.dashboard.oauth.is_some();
    config.server.public_url.clone().filter(|_| is_on)
}

fn review(check: config::ReviewCheck) -> worker::Check {
    match check {
        config::ReviewCheck::Tasks => worker::Check::Tasks,
        config::ReviewCheck::PullRequest => worker::Check::PullRequest,
        config::ReviewCheck::Status => worker::Check::Status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_key_of_the_policy_and_no_other() {
        let reference = config::reference();
        let (_, told) = reference.split_once("### `[policy]`").unwrap();
        let rows = told.lines().filter(|line| line.starts_with("| `[")).map(|line| {
            let (section, keys) = line.trim_matches([' ', '|']).split_once(" | ").unwrap();
            let section = section.trim_matches(['`', '[', ']']);
            (section, keys.split(", ").map(|key| key.trim_matches('`')).collect::<Vec<_>>())
        });
        let mut told: Vec<_> =
            rows.flat_map(|(s, keys)| keys.into_iter().map(move |k| format!("{s}.{k}"))).collect();
        told.sort();
        let section = as_section(&Policy::default()).unwrap();
        let mut known: Vec<_> = leaves(&section, "").into_iter().map(|(path, _)| path).collect();
        known.retain(|path| path != ".policy.task_types");
        known.extend(["task", "words"].map(|key| format!(".policy.task_types.{key}")));
        let mut known: Vec<_> = known.iter().map(|path| path[1..].to_owned()).collect();
        known.sort();
        assert_eq!(told, known);
    }
}

//! What is wrong with a configuration: every mistake, where it is, and what to do. Never a secret.

use std::fmt;

use serde::Serialize;

use super::keys::{self, KEYS, SECTIONS};
use super::tree::Origin;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// An error of these mistakes.
    pub fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Each mistake, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, unless the mistake is in the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The environment variable it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The key it is about, such as `triage.ready_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, &self.file, self.line) {
            (Some(variable), ..) => write!(f, "environment variable `{variable}`: ")?,
            (None, Some(file), Some(line)) => write!(f, "config `{file}` line {line}: ")?,
            (None, Some(file), None) => write!(f, "config `{file}`: ")?,
            (None, None, _) => write!(f, "configuration: ")?,
        }
        f.write_str(&self.message)
    }
}

/// Collects mistakes while one file is read.
pub(super) struct Mistakes {
    file: Option<String>,
    found: Vec<Problem>,
}

impl Mistakes {
    pub fn new(file: Option<&str>) -> Self {
        Self { file: file.map(str::to_owned), found: Vec::new() }
    }

    /// Notes one mistake.
    pub fn add(&mut self, origin: &Origin, key: &str, message: String) {
        self.found.push(problem(self.file.as_deref(), origin, key, message));
    }

    /// The mistakes in the order of the file, then those without a line, then the variables'.
    pub fn into_error(mut self) -> Option<ConfigError> {
        self.found.sort_by_key(|p| (p.variable.is_some(), p.line.unwrap_or(usize::MAX)));
        (!self.found.is_empty()).then(|| ConfigError::new(self.found))
    }
}

/// One mistake at `origin`.
pub(super) fn problem(file: Option<&str>, origin: &Origin, key: &str, message: String) -> Problem {
    let (line, variable) = match origin {
        Origin::Default => (None, None),
        Origin::Line(line) => (Some(*line), None),
        Origin::Variable(name) => (None, Some(name.clone())),
    };
    let file = file.filter(|_| variable.is_none()).map(str::to_owned);
    let key = Some(key.to_owned()).filter(|k| !k.is_empty());
    Problem { file, line, variable, key, message }
}

/// Below this, a guess would only confuse.
const ALIKE: f64 = 0.4;

/// The key of `section` most like `name`, or the same name elsewhere, as section and name.
pub(super) fn nearest_key(section: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let likeness = |k: &keys::Key| match (k.section == section, k.name == name) {
        (true, _) => strsim::normalized_damerau_levenshtein(k.name, name),
        (false, true) if !k.section.ends_with("[]") => 0.6,
        _ => 0.0,
    };
    best(KEYS.iter().map(|k| ((k.section, k.name), likeness(k))))
}

/// The section most like `name`.
pub(super) fn nearest_section(name: &str) -> Option<&'static str> {
    let names = SECTIONS.iter().map(|s| s.name).chain(["policy"]).filter(|s| !s.contains('.'));
    best(names.map(|s| (s, strsim::normalized_damerau_levenshtein(s.trim_end_matches("[]"), name))))
}

/// The one of `all` most like `name`.
pub(super) fn nearest_of<'a>(name: &str, all: &[&'a str]) -> Option<&'a str> {
    best(all.iter().map(|s| (*s, strsim::normalized_damerau_levenshtein(s, name))))
}

fn best<T>(scored: impl Iterator<Item = (T, f64)>) -> Option<T> {
    let alike = scored.filter(|(_, s)| *s >= ALIKE);
    // Of equals the first: a `token` without a section is more likely Gitea's than one that was added later.
    alike.reduce(|best, one| if one.1 > best.1 { one } else { best }).map(|(t, _)| t)
}

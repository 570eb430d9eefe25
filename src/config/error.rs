//! What is wrong with a configuration: every mistake, where it is, and what to do. Never a secret.

use std::fmt;

use serde::Serialize;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Each mistake, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
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

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Variable(String),
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
        (!self.found.is_empty()).then_some(ConfigError { problems: self.found })
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

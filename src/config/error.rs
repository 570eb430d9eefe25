//! What is wrong with a configuration: every mistake, where it is, and what to do. Never a secret.

use std::fmt;

use serde::Serialize;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// The file that was read.
    pub(super) file: Option<String>,
    /// Each mistake: in the order of the file, then those without a line, then the variables'.
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, unless the mistake is in the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, or the variable.
    #[serde(flatten, skip_serializing_if = "Origin::is_default")]
    pub origin: Origin,
    /// The key it is about, such as `triage.ready_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.file) {
            (Origin::Variable(variable), _) => write!(f, "environment variable `{variable}`: ")?,
            (Origin::Line(line), Some(file)) => write!(f, "config `{file}` line {line}: ")?,
            (Origin::Default, Some(file)) => write!(f, "config `{file}`: ")?,
            (_, None) => write!(f, "configuration: ")?,
        }
        f.write_str(&self.message)
    }
}

/// A mistake in what was read: its place in the source, the key as messages call it, and the message.
pub(super) type Found = (String, String, String);

/// A mistake in a key that messages call by its place: one that is in no list.
pub(super) fn wrong(key: &str, message: String) -> Found {
    (key.to_owned(), key.to_owned(), message)
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Variable(String),
}

impl Origin {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl ConfigError {
    /// One mistake, about the whole of a file.
    pub(super) fn of(file: Option<String>, message: String) -> Self {
        Self {
            file: file.clone(),
            problems: vec![Problem { file, origin: Origin::Default, key: None, message }],
        }
    }

    /// Notes one mistake.
    pub(super) fn add(&mut self, origin: Origin, key: &str, message: String) {
        let file = self.file.clone().filter(|_| !matches!(origin, Origin::Variable(_)));
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        self.problems.push(Problem { file, origin, key, message });
    }

    /// The error, if anything is wrong.
    pub(super) fn check(mut self) -> Result<(), Self> {
        self.problems.sort_by_key(|problem| match problem.origin {
            Origin::Line(line) => (0, line),
            Origin::Default => (1, 0),
            Origin::Variable(_) => (2, 0),
        });
        if self.problems.is_empty() { Ok(()) } else { Err(self) }
    }
}

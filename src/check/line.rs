//! One thing that was looked at.

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Green,
    /// It works, but not for good, or it could not be seen.
    Yellow,
    /// It does not work.
    Red,
}

impl Level {
    /// The level as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// One thing that was looked at, how it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What kind of thing it is, the same in every release.
    pub check: &'static str,
    /// Which one.
    pub about: String,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub said: String,
    /// What to do, unless it is green.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Line {
    fn new(check: &'static str, about: impl ToString, level: Level, said: impl ToString) -> Self {
        Self { check, about: about.to_string(), level, said: said.to_string(), cure: None }
    }

    /// As it should be.
    pub fn green(check: &'static str, about: impl ToString, said: impl ToString) -> Self {
        Self::new(check, about, Level::Green, said)
    }

    /// It works, but.
    pub fn yellow(check: &'static str, about: impl ToString, said: impl ToString) -> Self {
        Self::new(check, about, Level::Yellow, said)
    }

    /// It does not work.
    pub fn red(check: &'static str, about: impl ToString, said: impl ToString) -> Self {
        Self::new(check, about, Level::Red, said)
    }

    /// The same with what to do.
    pub fn cure(self, cure: impl ToString) -> Self {
        Self { cure: Some(cure.to_string()), ..self }
    }
}

//! One thing that was looked at.

use serde::Serialize;

use crate::reason::or_none;

named_enum! {
    /// How it is.
    Level {
        /// As it should be.
        Green = "green",
        /// It works, but not for good, or it could not be seen.
        Yellow = "yellow",
        /// It does not work.
        Red = "red",
    }
}

/// One thing that was looked at, how it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What kind of thing it is, the same in every release.
    pub check: &'static str,
    /// Which one; nothing where there is only one.
    #[serde(serialize_with = "or_none")]
    pub about: String,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub said: String,
    /// What to do, unless it is green.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// What a line is about: the kind of thing, and which one.
pub(super) struct Subject {
    check: &'static str,
    about: String,
}

impl Subject {
    pub fn new(check: &'static str, about: impl ToString) -> Self {
        Self { check, about: about.to_string() }
    }

    /// As it should be.
    pub fn green(&self, said: impl ToString) -> Line {
        self.line(Level::Green, said)
    }

    /// It works, but.
    pub fn yellow(&self, said: impl ToString) -> Line {
        self.line(Level::Yellow, said)
    }

    /// It does not work.
    pub fn red(&self, said: impl ToString) -> Line {
        self.line(Level::Red, said)
    }

    fn line(&self, level: Level, said: impl ToString) -> Line {
        let (check, about) = (self.check, self.about.clone());
        Line { check, about, level, said: said.to_string(), cure: None }
    }
}

impl Line {
    /// The same with what to do.
    pub fn cure(self, cure: impl ToString) -> Self {
        Self { cure: Some(cure.to_string()), ..self }
    }
}

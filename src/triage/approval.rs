//! That a person who may write approved the text of an issue.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::issue::TextDigest;
use crate::reason::{TextChange, or_none};

named_enum! {
    /// How a person approves the text of an issue.
    Way {
        /// By `/triage approve`.
        Command = "command",
        /// By the label for it.
        Label = "label",
        /// By giving the issue to an agent.
        Choice = "choice",
    }
}

/// That a person who may write approved the text of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// Who, by their login.
    pub by: String,
    /// When; of a label, when it was put on.
    pub at: Timestamp,
    /// How.
    pub way: Way,
    /// The digest of the text; empty where nobody knows which text they had before them.
    #[serde(serialize_with = "or_none")]
    pub digest: String,
    /// Who changed the text since without being allowed to, where that is known.
    pub edited_by: Option<String>,
}

impl Approval {
    /// Whether it is one of this text.
    pub fn is_of(&self, text: TextDigest) -> bool {
        self.digest == text.to_string()
    }

    /// What there is to say of it where the text is another one by now.
    pub fn change(&self) -> TextChange {
        TextChange { approved_by: self.by.clone(), by: self.edited_by.clone() }
    }
}

//! Why an issue is out of automatic hands: what the ledger keeps, and the words for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an issue is to be left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hold {
    /// It is kept in the words it was told in.
    Earlier {
        /// The words.
        text: String,
    },
    /// Its dispatch timed out while it could not be evaluated.
    TimedOutUnseen,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Earlier { text } => text,
            Self::TimedOutUnseen => {
                "timed out, and could not be looked at; `/triage retry` hands it over again"
            }
        })
    }
}

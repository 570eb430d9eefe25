//! An evaluation and its plan, as they go to the ledger and to whoever carries them out.

use super::Plan;
use crate::clock::Timestamp;
use crate::triage::{Decision, Evaluation, Record};

/// What was concluded, and what it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What was concluded.
    pub evaluation: Evaluation,
    /// What is missing for it to be true.
    pub plan: Plan,
}

impl Decided {
    /// A decision that writes and changes nothing.
    pub fn only(at: Timestamp, decision: Decision, record: &Record) -> Self {
        Self { evaluation: Evaluation::of(at, decision, record), plan: Plan::default() }
    }
}

//! What people are told where an issue is not given to anybody.

use super::Decision;
use crate::reason::Reason;

named_enum! {
    /// What people are told where an issue is not given to anybody.
    Answer {
        /// What is missing for somebody to work on it.
        NeedsInfo = "needs-info",
        /// That it is a question or a discussion, for people.
        Question = "question",
        /// That an older issue says the same.
        Duplicate = "duplicate",
        /// That a person has to approve it first.
        Approval = "approval",
    }
}

impl Answer {
    /// The answer that belongs to a decision.
    pub(super) fn to(decision: &Decision) -> Option<Self> {
        match decision {
            Decision::Skip { reason: Reason::NotReady { .. } } => Some(Self::NeedsInfo),
            Decision::Skip { reason: Reason::Philosophy } => Some(Self::Question),
            Decision::Skip { reason: Reason::Duplicate { .. } } => Some(Self::Duplicate),
            Decision::Skip { reason: Reason::AwaitsApproval { .. } } => Some(Self::Approval),
            _ => None,
        }
    }
}

//! What the forge's timeline says of an issue, as far as triage cares.

use super::{Account, IssueRef};
use crate::clock::Timestamp;

/// One entry of an issue's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// Whose change it was, when the forge says.
    pub by: Option<Account>,
    /// When.
    pub at: Option<Timestamp>,
    /// What changed.
    pub change: Change,
}

/// What can change on an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody commented.
    Commented,
    /// A label was put on, or taken off.
    Labelled {
        /// Its name.
        name: String,
        /// False when it was taken off.
        on: bool,
    },
    /// Somebody was assigned, or no longer is.
    Assigned {
        /// Whom it was about.
        login: String,
        /// False when they were taken off.
        on: bool,
    },
    /// A pull request, or a comment on one, names the issue.
    Linked {
        /// The pull request.
        pull: IssueRef,
        /// Whether it is merged by now.
        is_merged: bool,
        /// Whether merging it closes the issue.
        closes: bool,
        /// When it was merged.
        merged_at: Option<Timestamp>,
    },
    /// The issue was closed.
    Closed,
    /// It was opened again, or its title or milestone was changed.
    Changed,
    /// Anything else.
    Other,
}

//! gitea-triage: a delivery says which issue to look at; the decision is made from the issue as it is now.

pub mod clock;
pub mod delivery;
pub mod dispatch;
pub mod issue;
pub mod triage;

//! What stands in the ledger of an evaluation before any request leaves.

/// An intent that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub(super) lane: i64,
    /// The ledger's number of the evaluation.
    pub evaluation: i64,
    /// The dispatch the effects belong to.
    pub dispatch: Option<i64>,
    /// The ledger's numbers of the effects, in their order.
    pub effects: Vec<i64>,
}

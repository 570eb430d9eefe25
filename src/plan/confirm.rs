//! What became of writes that were meant and never heard of again, because a crash or an error came between. The issue
//! has been read since, so what is not meant again was found on it. Pure.

use super::{Effect, EffectKind, Recovery};
use crate::triage::{MarkedComment, Record, Snapshot, Unconfirmed, UnconfirmedWrite};

/// What is known now of a write that was meant earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The ledger's number of the effect.
    pub effect: i64,
    /// What is known of it.
    pub recovery: Recovery,
    /// The comment that was found, as it is on the issue.
    pub found: Option<MarkedComment>,
}

/// Whether a comment was meant and nobody knows whether it was written.
pub(super) fn is_comment_unconfirmed(record: &Record) -> bool {
    let is_comment = |one: &Unconfirmed| matches!(one.write, UnconfirmedWrite::Comment { .. });
    record.unconfirmed.iter().any(is_comment)
}

/// What became of each; `effects` are meant now, `said` are our comments on the issue, newest first.
pub(super) fn confirm(
    s: &Snapshot<'_>,
    effects: &[Effect],
    said: &[MarkedComment],
) -> Vec<Confirmation> {
    s.record.unconfirmed.iter().map(|one| confirmation(one, effects, said)).collect()
}

fn confirmation(one: &Unconfirmed, effects: &[Effect], said: &[MarkedComment]) -> Confirmation {
    let found = found(one, said);
    let key = one.write.key();
    let is_comment = key.0 == EffectKind::Comment;
    let is_meant = effects.iter().any(|effect| (effect.kind(), effect.value()) == key);
    let recovery = if is_meant || (is_comment && found.is_none()) {
        Recovery::NotWritten
    } else if one.is_agents && !is_comment {
        Recovery::Unknown
    } else {
        Recovery::Found
    };
    Confirmation { effect: one.effect, recovery, found }
}

/// Of two comments about the same the newer one stands first; what the local agent says differs only by its digest.
fn found(one: &Unconfirmed, said: &[MarkedComment]) -> Option<MarkedComment> {
    let UnconfirmedWrite::Comment { marker, .. } = &one.write else { return None };
    let is_it = |found: &&MarkedComment| {
        found.marker.decision == marker.decision
            && (!one.is_agents || found.marker.digest == marker.digest)
    };
    said.iter().find(is_it).cloned()
}

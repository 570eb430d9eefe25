//! What became of writes that were meant and never heard of again, because a crash or an error came between. The issue
//! has been read since, so what is not meant again was found on it. Pure.

use super::{Effect, EffectKind, EffectState};
use crate::triage::{MarkedComment, Snapshot, Unconfirmed, UnconfirmedWrite};

named_enum! {
    /// Who asked for a write.
    WriteOrigin {
        /// The plan of an evaluation.
        Plan = "plan",
        /// The local agent.
        Agent = "agent",
    }
}

named_enum! {
    /// How a write was settled that an interruption had left open.
    Recovery {
        /// It was found on the issue.
        Found = "found",
        /// It was not there.
        NotWritten = "not_written",
        /// Nobody can tell.
        Unknown = "unknown",
    }
}

impl Recovery {
    /// The state it comes to.
    pub fn state(self) -> EffectState {
        match self {
            Self::Found => EffectState::Done,
            Self::NotWritten | Self::Unknown => EffectState::Failed,
        }
    }

    /// The words for it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Found => "found on the issue after an interruption",
            Self::NotWritten => "interrupted before it was written",
            Self::Unknown => "interrupted; not known whether it was written",
        }
    }
}

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

/// What became of each; `effects` are meant now, `said` are our comments on the issue, newest first.
pub(super) fn confirm(
    s: &Snapshot<'_>,
    effects: &[Effect],
    said: &[MarkedComment],
) -> Vec<Confirmation> {
    let confirmation = |one: &Unconfirmed| {
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
    };
    s.record.unconfirmed.iter().map(confirmation).collect()
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

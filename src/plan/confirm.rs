//! What became of writes that were meant and never heard of again, because a crash or an error came between. The issue
//! has been read since, so what is not meant again was found on it. Pure.

use super::{Effect, EffectKind, EffectState};
use crate::issue::IssueState;
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
            Self::NotWritten => "interrupted; it is not on the issue",
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
        let found = found(one, said, &s.facts.pull_comments);
        let key = one.write.key();
        let is_meant = effects.iter().any(|effect| (effect.kind(), effect.value()) == key);
        let recovery = match is_there(s, &one.write, found.is_some()) {
            Some(true) => Recovery::Found,
            Some(false) => Recovery::NotWritten,
            None if is_meant => Recovery::NotWritten,
            None => Recovery::Unknown,
        };
        Confirmation { effect: one.effect, recovery, found }
    };
    s.record.unconfirmed.iter().map(confirmation).collect()
}

/// Whether what was to be written is on the issue; `None` where that does not show.
fn is_there(s: &Snapshot<'_>, write: &UnconfirmedWrite, is_found: bool) -> Option<bool> {
    let is_on = |kind: &EffectKind, value: &String| match kind {
        EffectKind::Label => Some(s.issue.has_label(value)),
        EffectKind::Unlabel => Some(!s.issue.has_label(value)),
        EffectKind::Assignee => Some(s.issue.is_assigned_to(value)),
        EffectKind::Unassign => Some(!s.issue.is_assigned_to(value)),
        _ => None,
    };
    match write {
        UnconfirmedWrite::Comment { .. } => Some(is_found),
        UnconfirmedWrite::Reopen => Some(s.issue.state == IssueState::Open),
        UnconfirmedWrite::Reaction { .. } => None,
        UnconfirmedWrite::Other { kind, value } => is_on(kind, value),
    }
}

/// Of two comments about the same the newer one stands first; what the local agent says differs only by its digest.
fn found(
    one: &Unconfirmed,
    said: &[MarkedComment],
    pull: &[MarkedComment],
) -> Option<MarkedComment> {
    let UnconfirmedWrite::Comment { marker, .. } = &one.write else { return None };
    let is_it = |found: &&MarkedComment| {
        found.marker.decision == marker.decision
            && (!one.is_agents || found.marker.digest == marker.digest)
    };
    said.iter().chain(pull).find(is_it).cloned()
}

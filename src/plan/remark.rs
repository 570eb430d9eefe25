//! What the ledger knows of a write beside its state, and the words for it.

use super::EffectState;

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
}

/// What is known of a write beside its state.
#[derive(Clone, Debug)]
pub struct Remark {
    /// Who asked for it.
    pub origin: WriteOrigin,
    /// How it was settled after an interruption.
    pub recovery: Option<Recovery>,
    /// How it ended, in words.
    pub note: Option<String>,
    /// The text of a comment that may not be on the forge.
    pub body: Option<String>,
}

impl Remark {
    /// What there is to say about it, for people.
    pub fn into_text(self) -> Option<String> {
        let by_agent = (self.origin == WriteOrigin::Agent).then(|| "by the local agent".to_owned());
        let recovery = self.recovery.map(|recovery| match recovery {
            Recovery::Found => "found on the issue after an interruption".to_owned(),
            Recovery::NotWritten => "interrupted before it was written".to_owned(),
            Recovery::Unknown => "interrupted; not known whether it was written".to_owned(),
        });
        recovery.or(self.note).or(self.body).or(by_agent)
    }
}

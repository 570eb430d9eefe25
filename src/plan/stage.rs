//! How far a dispatch has come, as its audit comment shows it. Pure.

use crate::clock::Timestamp;
use crate::dispatch::{Agent, DispatchState};
use crate::triage::code;

/// How far the latest dispatch of ours has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage<'a> {
    /// Who has it, or had it.
    pub agent: &'a Agent,
    /// Which try it is, from 1.
    pub number: usize,
    /// Its state.
    pub state: DispatchState,
    /// When it times out.
    pub deadline_at: Timestamp,
    /// Why it was given the issue.
    pub reason: &'a str,
    /// What its state comes from, where that says more than the decision.
    pub cause: Option<&'a str>,
    /// What the try before it failed on.
    pub before: Option<&'a str>,
}

impl Stage<'_> {
    /// What the marker of its audit comment says: another comment for each try, so that somebody is told of it.
    pub fn decision(&self) -> String {
        match self.number {
            0 | 1 => format!("dispatch:{}", self.agent.id),
            number => format!("dispatch:{}:{number}", self.agent.id),
        }
    }

    /// `**State:** assigned, until 2026-03-23 14:00 UTC`.
    pub(super) fn line(&self) -> String {
        let cause = self.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        let until =
            self.state.is_open().then(|| self.deadline_at.format(", until %Y-%m-%d %H:%M UTC"));
        let until = until.map(|until| until.to_string()).unwrap_or_default();
        format!("**State:** {}{cause}{until}", code(self.state.as_str()))
    }

    /// What has to change for the comment to be brought up to date. Of a dispatch that has ended only its end counts:
    /// what becomes of the text after that is no news.
    pub(super) fn digest(&self) -> Vec<u8> {
        let deadline = self.state.is_open().then_some(self.deadline_at.timestamp());
        format!("{} {:?} {deadline:?}", self.state, self.cause).into_bytes()
    }
}

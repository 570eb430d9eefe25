//! The result of a run, whatever happened. The names of its fields are a contract.

use serde::Serialize;
use serde_json::Value;

use super::Message;
use crate::store::Spending;

/// One tool call that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// The answer of the model it came in, from 1.
    pub round: u32,
    /// The tool, as the model named it.
    pub tool: String,
    /// The arguments, as the model gave them.
    pub arguments: Value,
    /// How the result begins: 500 characters at most. The model was given all of it.
    pub result: String,
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// What the model said at last; text of somebody else, to be quoted.
    pub content: String,
    /// The tool calls, in the order they were answered.
    pub tool_calls: Vec<CallRecord>,
    /// How many answers the model gave.
    pub rounds: u32,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// The model's name.
    pub model: String,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// How many tokens the model counted, as far as it says.
    #[serde(skip)]
    pub tokens: u64,
    /// Everything that was said, in order.
    #[serde(skip)]
    pub messages: Vec<Message>,
}

impl Run {
    /// What it has spent.
    pub(super) fn spent(&self) -> Spending {
        Spending { rounds: self.rounds.into(), tokens: self.tokens, ms: self.latency_ms }
    }

    /// Whether something went wrong.
    pub fn is_failed(&self) -> bool {
        !self.error.is_empty()
    }
}

//! The result of a run, whatever happened. The names of its fields are a contract.

use serde::Serialize;
use serde_json::Value;

use super::Message;

/// How much of a tool's result the record keeps, in characters; the model was given all of it.
const RECORDED: usize = 500;

/// One tool call that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// The answer of the model it came in, from 1.
    pub round: u32,
    /// The tool, as the model named it.
    pub tool: String,
    /// The arguments, as the model gave them.
    pub arguments: Value,
    /// How the result begins: 500 characters at most.
    pub result: String,
}

impl CallRecord {
    pub(super) fn new(round: u32, call: &super::ToolCall, result: &str) -> Self {
        Self {
            round,
            tool: call.name.clone(),
            arguments: call.arguments.clone(),
            result: result.chars().take(RECORDED).collect(),
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// A run that was not begun, and why.
    pub fn not_started(model: &str, error: String) -> Self {
        Self {
            content: String::new(),
            tool_calls: Vec::new(),
            rounds: 0,
            latency_ms: 0,
            model: model.to_owned(),
            error,
            tokens: 0,
            messages: Vec::new(),
        }
    }

    /// Whether something went wrong.
    pub fn is_failed(&self) -> bool {
        !self.error.is_empty()
    }
}

//! A message of the conversation with the model, in no API's terms.

use serde_json::Value;

use super::super::settings::ModelApi;

/// A call the model asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The API's name for this call, or a number where it gives none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it is called with.
    pub arguments: Value,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The rules of the conversation.
    System(String),
    /// What is asked for.
    User(String),
    /// What the model answered.
    Assistant {
        /// What it said.
        content: String,
        /// What it wants called.
        calls: Vec<ToolCall>,
        /// The message as it came, to be given back unchanged.
        raw: Value,
    },
    /// What a tool gave.
    Tool {
        /// The call it answers.
        call: ToolCall,
        /// The result.
        content: String,
    },
}

impl Message {
    /// What a model answered, in the body of its API's answer, or what is wrong with that.
    pub fn answer(api: ModelApi, body: &[u8]) -> Result<Self, String> {
        let body = serde_json::from_slice(body);
        Ok(api.read(body.map_err(|e| format!("the answer is no JSON: {e}"))?)?.message)
    }

    /// Who speaks, as every API calls it.
    pub fn role(&self) -> &'static str {
        match self {
            Self::System(_) => "system",
            Self::User(_) => "user",
            Self::Assistant { .. } => "assistant",
            Self::Tool { .. } => "tool",
        }
    }

    /// What is said, without the calls.
    pub fn content(&self) -> &str {
        match self {
            Self::System(text) | Self::User(text) => text,
            Self::Assistant { content, .. } | Self::Tool { content, .. } => content,
        }
    }

    /// The calls in it.
    pub fn calls(&self) -> &[ToolCall] {
        match self {
            Self::Assistant { calls, .. } => calls,
            _ => &[],
        }
    }
}

//! Ollama's `/api/chat` (docs/api.md of ollama/ollama).

use serde_json::{Value, json};

use super::message::{Message, ToolCall};
use super::{Api, ModelSettings, arguments};

pub(super) struct Ollama;

impl Api for Ollama {
    fn name(&self) -> &'static str {
        "Ollama"
    }

    fn path(&self, _: &str) -> &'static [&'static str] {
        &["api", "chat"]
    }

    fn message(&self, message: &Message) -> Value {
        match message {
            Message::Assistant { raw, .. } => raw.clone(),
            Message::Tool { call, content } => {
                json!({"role": "tool", "tool_name": call.name, "content": content})
            }
            other => json!({"role": other.role(), "content": other.content()}),
        }
    }

    fn set_options(&self, request: &mut Value, settings: &ModelSettings) {
        if let Some(temperature) = settings.temperature {
            request["options"]["temperature"] = temperature.into();
        }
        if let Some(context) = settings.context {
            request["options"]["num_ctx"] = context.into();
        }
    }

    fn message_at(&self) -> (&'static str, &'static str) {
        ("/message", "message")
    }

    fn tokens(&self, answer: &Value) -> u64 {
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        count("prompt_eval_count") + count("eval_count")
    }

    /// As in the program this replaces, a call without a name is one of `unknown`.
    fn call(&self, _: usize, call: &Value) -> ToolCall {
        let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or("unknown");
        ToolCall {
            id: None,
            name: name.to_owned(),
            arguments: arguments(call.pointer("/function/arguments")),
        }
    }
}

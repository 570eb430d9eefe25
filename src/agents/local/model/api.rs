//! What differs between Ollama's `/api/chat` (docs/api.md of ollama/ollama) and the chat completions that OpenAI made
//! and others copy.

use serde_json::{Value, json};

use super::Reply;
use super::message::{Message, ToolCall};
use crate::agents::local::settings::{ModelApi, Settings};

impl ModelApi {
    /// Its name in messages.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::OpenAi => "OpenAI API",
        }
    }

    /// Where questions go, below the address `base`; one with and one without `/v1` mean the same.
    pub(super) fn path(self, base: &str) -> &'static [&'static str] {
        match self {
            Self::Ollama => &["api", "chat"],
            Self::OpenAi if base.ends_with("/v1") => &["chat", "completions"],
            Self::OpenAi => &["v1", "chat", "completions"],
        }
    }

    /// A message of the conversation. OpenAI's API is given back only what it defines: strict servers refuse what they
    /// have themselves added.
    pub(super) fn message(self, message: &Message) -> Value {
        match (self, message) {
            (Self::Ollama, Message::Assistant { raw, .. }) => raw.clone(),
            (Self::Ollama, Message::Tool { call, content }) => {
                json!({"role": "tool", "tool_name": call.name, "content": content})
            }
            (Self::OpenAi, Message::Assistant { content, calls, .. }) if !calls.is_empty() => {
                let calls: Vec<_> = calls.iter().map(asked).collect();
                json!({"role": "assistant", "content": content, "tool_calls": calls})
            }
            (Self::OpenAi, Message::Tool { call, content }) => {
                json!({"role": "tool", "tool_call_id": call.id, "content": content})
            }
            _ => json!({"role": message.role(), "content": message.content()}),
        }
    }

    /// Says in the request how the model is to answer.
    pub(super) fn set_options(self, request: &mut Value, settings: &Settings) {
        if let Some(hundredths) = settings.temperature {
            let temperature = (f64::from(hundredths) / 100.0).into();
            match self {
                Self::Ollama => request["options"]["temperature"] = temperature,
                Self::OpenAi => request["temperature"] = temperature,
            }
        }
        if let (Self::Ollama, Some(context)) = (self, settings.context) {
            request["options"]["num_ctx"] = context.into();
        }
    }

    /// The answer in a body, or what is wrong with it.
    pub(super) fn read(self, mut body: Value) -> Result<Reply, String> {
        let (pointer, place, counts): (_, _, &[&str]) = match self {
            Self::Ollama => ("/message", "message", &["/prompt_eval_count", "/eval_count"]),
            Self::OpenAi => ("/choices/0/message", "choices[0].message", &["/usage/total_tokens"]),
        };
        let tokens = counts.iter().filter_map(|at| body.pointer(at)?.as_u64()).sum();
        let raw = body.pointer_mut(pointer).map(Value::take).filter(Value::is_object);
        let raw = raw.ok_or_else(|| format!("the answer has no `{place}`"))?;
        let content = raw.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        let calls = match raw.get("tool_calls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => {
                calls.iter().enumerate().map(|(at, one)| call(at, one)).collect()
            }
            Some(_) => return Err("`tool_calls` is no list".to_owned()),
        };
        Ok(Reply { message: Message::Assistant { content, calls, raw }, tokens })
    }
}

fn asked(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let function = json!({"name": call.name, "arguments": arguments});
    json!({"id": call.id, "type": "function", "function": function})
}

fn call(at: usize, call: &Value) -> ToolCall {
    let text = |path: &str| call.pointer(path).and_then(Value::as_str).map(str::to_owned);
    ToolCall {
        // A copy of OpenAI's API that leaves it out still wants one back.
        id: text("/id").unwrap_or_else(|| format!("call_{at}")),
        // As in the program this replaces.
        name: text("/function/name").unwrap_or_else(|| "unknown".to_owned()),
        arguments: arguments(call.pointer("/function/arguments")),
    }
}

/// What a call was given, as an API wrote it: an object, or its text.
fn arguments(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => json!({}),
        Some(Value::String(text)) if text.trim().is_empty() => json!({}),
        Some(Value::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        Some(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::local::json_client::join;

    #[test]
    fn both_addresses_lead_to_one_endpoint() {
        for base in ["http://h:1", "http://h:1/v1"] {
            let url = join(base, ModelApi::OpenAi.path(base)).unwrap();
            assert_eq!(url.as_str(), "http://h:1/v1/chat/completions");
        }
        let base = "https://h/proxy/v1";
        let url = join(base, ModelApi::OpenAi.path(base)).unwrap();
        assert_eq!(url.as_str(), "https://h/proxy/v1/chat/completions");
    }

    #[test]
    fn arguments_are_an_object_however_they_are_written() {
        assert_eq!(arguments(None), json!({}));
        assert_eq!(arguments(Some(&json!(""))), json!({}));
        assert_eq!(arguments(Some(&json!("{\"a\": 1}"))), json!({"a": 1}));
        assert_eq!(arguments(Some(&json!("{a"))), json!("{a"));
    }
}

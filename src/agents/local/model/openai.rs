//! The chat completions that OpenAI made and others copy.

use serde_json::{Value, json};

use super::message::{Message, ToolCall};
use super::{Api, ModelSettings, arguments};

pub(super) struct OpenAi;

impl Api for OpenAi {
    fn name(&self) -> &'static str {
        "OpenAI API"
    }

    /// An address with and one without `/v1` mean the same.
    fn path(&self, base: &str) -> &'static [&'static str] {
        if base.ends_with("/v1") {
            &["chat", "completions"]
        } else {
            &["v1", "chat", "completions"]
        }
    }

    /// Only what the API defines is given back: strict servers refuse what they have themselves added.
    fn message(&self, message: &Message) -> Value {
        match message {
            Message::Assistant { content, calls, .. } if calls.is_empty() => {
                json!({"role": "assistant", "content": content})
            }
            Message::Assistant { content, calls, .. } => {
                let calls: Vec<_> =
                    calls.iter().enumerate().map(|(at, call)| asked(at, call)).collect();
                json!({"role": "assistant", "content": content, "tool_calls": calls})
            }
            Message::Tool { call, content } => {
                json!({"role": "tool", "tool_call_id": id(0, call), "content": content})
            }
            other => json!({"role": other.role(), "content": other.content()}),
        }
    }

    fn set_options(&self, request: &mut Value, settings: &ModelSettings) {
        if let Some(temperature) = settings.temperature {
            request["temperature"] = temperature.into();
        }
    }

    fn message_at(&self) -> (&'static str, &'static str) {
        ("/choices/0/message", "choices[0].message")
    }

    fn tokens(&self, answer: &Value) -> u64 {
        answer.pointer("/usage/total_tokens").and_then(Value::as_u64).unwrap_or(0)
    }

    fn call(&self, at: usize, call: &Value) -> ToolCall {
        let text = |path: &str| call.pointer(path).and_then(Value::as_str).map(str::to_owned);
        ToolCall {
            // A copy of the API that leaves the name out still wants one back.
            id: Some(text("/id").unwrap_or_else(|| format!("call_{at}"))),
            name: text("/function/name").unwrap_or_else(|| "unknown".to_owned()),
            arguments: arguments(call.pointer("/function/arguments")),
        }
    }
}

fn asked(at: usize, call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({
        "id": id(at, call), "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

fn id(at: usize, call: &ToolCall) -> String {
    call.id.clone().unwrap_or_else(|| format!("call_{at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::local::json_client::join;

    #[test]
    fn both_addresses_lead_to_one_endpoint() {
        for base in ["http://h:1", "http://h:1/v1"] {
            let url = join(base, OpenAi.path(base)).unwrap();
            assert_eq!(url.as_str(), "http://h:1/v1/chat/completions");
        }
        let base = "https://h/proxy/v1";
        let url = join(base, OpenAi.path(base)).unwrap();
        assert_eq!(url.as_str(), "https://h/proxy/v1/chat/completions");
    }
}

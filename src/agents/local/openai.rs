//! The chat completions that OpenAI made and others copy, in both directions.

use reqwest::Url;
use serde_json::{Value, json};

use super::caller::below;
use super::chat::{Options, Reply, arguments};
use super::message::{Message, ToolCall};

/// Where questions go; an address with and one without `/v1` mean the same.
pub(super) fn endpoint(base: &str) -> Result<Url, String> {
    let base = base.trim_end_matches('/');
    match base.ends_with("/v1") {
        true => below(base, &["chat", "completions"]),
        false => below(base, &["v1", "chat", "completions"]),
    }
}

/// The body of a question.
pub(super) fn request(
    model: &str,
    messages: &[Message],
    tools: &[Value],
    options: Options,
) -> Value {
    let messages: Vec<_> = messages.iter().map(message).collect();
    let mut body = json!({"model": model, "messages": messages, "stream": false});
    if !tools.is_empty() {
        body["tools"] = tools.into();
    }
    if let Some(temperature) = options.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

/// Only what the API defines is given back: strict servers refuse what they have themselves added.
fn message(message: &Message) -> Value {
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

/// The answer in a body, or what is wrong with it.
pub(super) fn reply(mut body: Value) -> Result<Reply, String> {
    let tokens = body.pointer("/usage/total_tokens").and_then(Value::as_u64).unwrap_or(0);
    let raw = body.pointer_mut("/choices/0/message").map(Value::take).filter(Value::is_object);
    let raw = raw.ok_or("the answer has no `choices[0].message`")?;
    let content = raw.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    let calls = match raw.get("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => calls.iter().enumerate().map(call).collect(),
        Some(_) => return Err("`tool_calls` is no list".to_owned()),
    };
    Ok(Reply { content, calls, raw, tokens })
}

fn call((at, call): (usize, &Value)) -> ToolCall {
    let text = |path: &str| call.pointer(path).and_then(Value::as_str).map(str::to_owned);
    ToolCall {
        // A copy of the API that leaves the name out still wants one back.
        id: Some(text("/id").unwrap_or_else(|| format!("call_{at}"))),
        name: text("/function/name").unwrap_or_else(|| "unknown".to_owned()),
        arguments: arguments(call.pointer("/function/arguments")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_lead_to_one_endpoint() {
        for base in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(endpoint(base).unwrap().as_str(), "http://h:1/v1/chat/completions");
        }
        assert_eq!(
            endpoint("https://h/proxy/v1").unwrap().as_str(),
            "https://h/proxy/v1/chat/completions"
        );
    }
}

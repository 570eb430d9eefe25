//! Ollama's `/api/chat`, in both directions (docs/api.md of ollama/ollama).

use reqwest::Url;
use serde_json::{Value, json};

use super::caller::below;
use super::chat::{Options, Reply, arguments};
use super::message::{Message, ToolCall};

/// Where questions go.
pub(super) fn endpoint(base: &str) -> Result<Url, String> {
    below(base, &["api", "chat"])
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
        body["options"]["temperature"] = temperature.into();
    }
    if let Some(context) = options.context {
        body["options"]["num_ctx"] = context.into();
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::Assistant { raw, .. } => raw.clone(),
        Message::Tool { call, content } => {
            json!({"role": "tool", "tool_name": call.name, "content": content})
        }
        other => json!({"role": other.role(), "content": other.content()}),
    }
}

/// The answer in a body, or what is wrong with it.
pub(super) fn reply(mut body: Value) -> Result<Reply, String> {
    let count = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or(0);
    let tokens = count("prompt_eval_count") + count("eval_count");
    let raw = body.get_mut("message").map(Value::take).filter(Value::is_object);
    let raw = raw.ok_or("the answer has no `message`")?;
    let content = raw.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    let calls = match raw.get("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => calls.iter().map(call).collect(),
        Some(_) => return Err("`tool_calls` is no list".to_owned()),
    };
    Ok(Reply { content, calls, raw, tokens })
}

/// As in the program this replaces, a call without a name is one of `unknown`.
fn call(call: &Value) -> ToolCall {
    let function = call.get("function");
    let name = function.and_then(|f| f.get("name")).and_then(Value::as_str).unwrap_or("unknown");
    ToolCall {
        id: None,
        name: name.to_owned(),
        arguments: arguments(function.and_then(|f| f.get("arguments"))),
    }
}

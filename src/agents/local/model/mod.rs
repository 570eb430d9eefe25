//! One question to a model and its answer, whichever API it has. Nothing is kept between two questions.

pub(super) mod message;
mod ollama;
mod openai;

use std::time::Duration;

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use secrecy::SecretString;
use serde_json::{Value, json};

use self::message::{Message, ToolCall};
use self::ollama::Ollama;
use self::openai::OpenAi;
use super::json_client::{CallError, JsonClient, Post, join, key_header};
use super::settings::ModelApi;

/// The longest answer that is read, in bytes: more than any context holds.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Characters in a token, roughly; models count by their own tables.
const CHARS_PER_TOKEN: usize = 4;

/// What the model answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub message: Message,
    /// How many tokens question and answer were, as far as the server says.
    pub tokens: u64,
}

/// Where a model is, and how it is to answer.
pub(super) struct ModelSettings {
    pub api: ModelApi,
    /// Address of the API.
    pub url: String,
    pub name: String,
    pub key: Option<SecretString>,
    /// For one answer, to its last byte.
    pub timeout: Duration,
    pub temperature: Option<f64>,
    /// In tokens.
    pub context: Option<u32>,
}

/// What differs between the APIs.
trait Api: Send + Sync {
    /// Its name in messages.
    fn name(&self) -> &'static str;
    /// Where questions go, below the address `base`.
    fn path(&self, base: &str) -> &'static [&'static str];
    /// A message of the conversation.
    fn message(&self, message: &Message) -> Value;
    /// Says in the request how the model is to answer.
    fn set_options(&self, request: &mut Value, settings: &ModelSettings);
    /// Where the message is in an answer: as a JSON pointer, and for people.
    fn message_at(&self) -> (&'static str, &'static str);
    /// How many tokens an answer says it took.
    fn tokens(&self, answer: &Value) -> u64;
    /// A call in the message, the `at`th.
    fn call(&self, at: usize, call: &Value) -> ToolCall;
}

impl ModelApi {
    fn api(self) -> &'static dyn Api {
        match self {
            Self::Ollama => &Ollama,
            Self::OpenAi => &OpenAi,
        }
    }
}

/// A model behind its API.
pub(super) struct Model {
    client: JsonClient,
    url: Url,
    settings: ModelSettings,
}

impl Model {
    pub fn new(settings: ModelSettings) -> Result<Self, String> {
        let base = settings.url.trim_end_matches('/');
        let url = join(base, settings.api.api().path(base))?;
        Ok(Self { client: JsonClient::new()?, url, settings })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Asks once. `within` is what is left of a budget of time.
    pub async fn ask(
        &self,
        messages: &[Message],
        tools: &[Value],
        within: Option<Duration>,
    ) -> Result<Reply, CallError> {
        let key = self.settings.key.as_ref().and_then(|key| key_header("Bearer ", key));
        let timeout = self.settings.timeout;
        let post = Post {
            url: self.url.clone(),
            headers: key.into_iter().map(|key| (AUTHORIZATION, key)).collect(),
            body: &self.request(messages, tools),
            timeout: within.map_or(timeout, |left| left.min(timeout)),
            limit: MAX_ANSWER,
        };
        let answer = self.client.post(post).await?;
        reply(self.settings.api, answer).map_err(CallError::Protocol)
    }

    fn request(&self, messages: &[Message], tools: &[Value]) -> Value {
        let api = self.settings.api.api();
        let messages = fit(messages, self.settings.context);
        let messages: Vec<_> = messages.iter().map(|message| api.message(message)).collect();
        let mut body = json!({"model": self.name(), "messages": messages, "stream": false});
        if !tools.is_empty() {
            body["tools"] = tools.into();
        }
        api.set_options(&mut body, &self.settings);
        body
    }

    /// Why the model gave no answer. The texts begin as in the program this replaces.
    pub fn explain(&self, error: CallError) -> String {
        let api = self.settings.api.api().name();
        match error {
            CallError::Connection(reason) => format!("{api} connection failed: {reason}"),
            CallError::Status(status) => format!("{api} HTTP error: {status}"),
            CallError::Slow(after) => format!(
                "{api} timed out: no whole answer within {}; raise `local_agent.timeout` or take a smaller model",
                humantime::format_duration(after)
            ),
            CallError::Protocol(reason) => format!(
                "{api} protocol error: {reason}; see that `local_agent.url` and `local_agent.api` belong together"
            ),
        }
    }
}

/// The answer in a body, or what is wrong with it.
fn reply(api: ModelApi, mut body: Value) -> Result<Reply, String> {
    let api = api.api();
    let tokens = api.tokens(&body);
    let (pointer, place) = api.message_at();
    let raw = body.pointer_mut(pointer).map(Value::take).filter(Value::is_object);
    let raw = raw.ok_or_else(|| format!("the answer has no `{place}`"))?;
    let content = raw.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    let calls = match raw.get("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => {
            calls.iter().enumerate().map(|(at, call)| api.call(at, call)).collect()
        }
        Some(_) => return Err("`tool_calls` is no list".to_owned()),
    };
    Ok(Reply { message: Message::Assistant { content, calls, raw }, tokens })
}

/// What the calls were given, as an API wrote it: an object, or its text.
fn arguments(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Value::Object(serde_json::Map::new())
        }
        Some(Value::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        Some(value) => value.clone(),
    }
}

/// The messages with the oldest results of tools left out, until they fit: rules, request and what was said last stay.
fn fit(messages: &[Message], context: Option<u32>) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let Some(context) = context else { return messages };
    let most = (context as usize).saturating_mul(CHARS_PER_TOKEN);
    let mut size: usize = messages.iter().map(|m| m.content().len()).sum();
    let last = messages.len().saturating_sub(1);
    for message in &mut messages[..last] {
        if size <= most {
            break;
        }
        if let Message::Tool { content, .. } = message {
            let short = "(left out to make room; call the tool again if it is needed)".to_owned();
            size = size.saturating_sub(content.len().saturating_sub(short.len()));
            *content = short;
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(text: &str) -> Message {
        let call = message::ToolCall { id: None, name: "t".into(), arguments: json!({}) };
        Message::Tool { call, content: text.into() }
    }

    #[test]
    fn the_oldest_results_make_room() {
        let user = || Message::User("u".repeat(40));
        let messages = [user(), tool(&"a".repeat(400)), tool(&"b".repeat(400))];
        let fitted = fit(&messages, Some(200));
        assert_eq!(fitted[0], messages[0]);
        assert!(fitted[1].content().starts_with("(left out"), "{:?}", fitted[1]);
        assert_eq!(fitted[2], messages[2]);
        assert_eq!(fit(&messages, None), messages);
    }

    #[test]
    fn arguments_are_an_object_however_they_are_written() {
        assert_eq!(arguments(None), json!({}));
        assert_eq!(arguments(Some(&json!(""))), json!({}));
        assert_eq!(arguments(Some(&json!("{\"a\": 1}"))), json!({"a": 1}));
        assert_eq!(arguments(Some(&json!("{a"))), json!("{a"));
    }
}

//! One question to the model and its answer, whichever API it has. It keeps nothing between two questions.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::SecretString;
use serde_json::Value;

use super::caller::{Broken, Caller, Post, key_header};
use super::message::{Message, ToolCall};
use super::settings::{ModelApi, Settings};
use super::{ollama, openai};

/// The longest answer that is read, in bytes: more than any context holds.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Characters in a token, roughly; models count by their own tables.
const CHARS_PER_TOKEN: usize = 4;

/// What the model answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub content: String,
    pub calls: Vec<ToolCall>,
    /// The message as it came.
    pub raw: Value,
    /// How many tokens question and answer were, as far as the server says.
    pub tokens: u64,
}

/// Why the model gave no answer. The texts begin as in the program this replaces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// No connection, or one that broke off.
    #[error("{api} connection failed: {reason}")]
    Connection {
        /// The API's name.
        api: &'static str,
        /// What happened.
        reason: String,
    },
    /// An answer whose status says no.
    #[error("{api} HTTP error: {status}")]
    Http {
        /// The API's name.
        api: &'static str,
        /// The status.
        status: u16,
    },
    /// No whole answer in time.
    #[error("{api} timed out: no whole answer within {}; raise `local_agent.timeout` or take a smaller model", humantime::format_duration(*.after))]
    Slow {
        /// The API's name.
        api: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// An answer that is not one of this API.
    #[error(
        "{api} protocol error: {reason}; see that `local_agent.url` and `local_agent.api` belong together"
    )]
    Protocol {
        /// The API's name.
        api: &'static str,
        /// What did not fit.
        reason: String,
    },
}

/// A model behind its API.
pub(super) struct Model {
    caller: Caller,
    api: ModelApi,
    url: Url,
    name: String,
    key: Option<SecretString>,
    timeout: Duration,
    pub(super) options: Options,
}

/// How the model is to answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub temperature: Option<f64>,
    /// In tokens.
    pub context: Option<u32>,
}

impl Model {
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let url = match settings.api {
            ModelApi::Ollama => ollama::endpoint(&settings.url)?,
            ModelApi::OpenAi => openai::endpoint(&settings.url)?,
        };
        let options = Options {
            temperature: settings.temperature.map(|hundredths| f64::from(hundredths) / 100.0),
            context: settings.context,
        };
        Ok(Self {
            caller: Caller::new()?,
            api: settings.api,
            url,
            name: settings.model.clone(),
            key: settings.api_key.clone(),
            timeout: settings.timeout,
            options,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks once. `within` is what is left of a budget of time.
    pub async fn ask(
        &self,
        messages: &[Message],
        tools: &[Value],
        within: Option<Duration>,
    ) -> Result<Reply, ChatError> {
        let messages = fit(messages, self.options.context);
        let body = match self.api {
            ModelApi::Ollama => ollama::request(&self.name, &messages, tools, self.options),
            ModelApi::OpenAi => openai::request(&self.name, &messages, tools, self.options),
        };
        let timeout = within.map_or(self.timeout, |left| left.min(self.timeout));
        let post = Post {
            url: self.url.clone(),
            headers: bearer(self.key.as_ref()),
            body: &body,
            timeout,
            limit: MAX_ANSWER,
        };
        let answer = self.caller.post(post).await.map_err(|broken| self.error(broken))?;
        reply(self.api, answer).map_err(|reason| self.error(Broken::Protocol(reason)))
    }

    fn error(&self, broken: Broken) -> ChatError {
        let api = match self.api {
            ModelApi::Ollama => "Ollama",
            ModelApi::OpenAi => "OpenAI API",
        };
        match broken {
            Broken::Connection(reason) => ChatError::Connection { api, reason },
            Broken::Status(status) => ChatError::Http { api, status },
            Broken::Slow(after) => ChatError::Slow { api, after },
            Broken::Protocol(reason) => ChatError::Protocol { api, reason },
        }
    }
}

/// The answer in a body, or what is wrong with it.
pub(super) fn reply(api: ModelApi, body: Value) -> Result<Reply, String> {
    match api {
        ModelApi::Ollama => ollama::reply(body),
        ModelApi::OpenAi => openai::reply(body),
    }
}

/// The header that carries a key.
pub(super) fn bearer(key: Option<&SecretString>) -> HeaderMap {
    let value = key.and_then(|key| key_header("Bearer ", key));
    value.into_iter().map(|value| (AUTHORIZATION, value)).collect()
}

/// What the calls were given, as an API wrote it: an object, or its text.
pub(super) fn arguments(value: Option<&Value>) -> Value {
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
        let call = ToolCall { id: None, name: "t".into(), arguments: json!({}) };
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

//! One question to a model and its answer, whichever API it has. Nothing is kept between two questions.

mod api;
pub(super) mod message;

use std::time::Duration;

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use self::message::Message;
use super::json_client::{CallError, Post, client, join, key_header};
use super::settings::Settings;

/// The longest answer that is read, in bytes: more than any context holds.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Characters in a token, roughly; models count by their own tables.
const CHARS_PER_TOKEN: usize = 4;
/// What stands in place of a result that was too long ago.
const LEFT_OUT: &str = "(left out to make room; call the tool again if it is needed)";

/// What the model answered.
pub(super) struct Reply {
    pub message: Message,
    /// How many tokens question and answer were, as far as the server says.
    pub tokens: u64,
}

/// A model behind its API.
pub(super) struct Model {
    pub http: reqwest::Client,
    url: Url,
    pub settings: Settings,
}

impl Model {
    pub fn new(settings: Settings) -> Result<Self, String> {
        let base = settings.url.trim_end_matches('/');
        let url = join(base, settings.api.path(base))?;
        Ok(Self { http: client()?, url, settings })
    }

    /// Asks once. `within` is what is left of a budget of time.
    pub async fn ask(
        &self,
        messages: &[Message],
        tools: &[Value],
        within: Option<Duration>,
    ) -> Result<Reply, CallError> {
        let Settings { api, api_key, timeout, .. } = &self.settings;
        let key = api_key.as_ref().and_then(|key| key_header("Bearer ", key));
        let post = Post {
            url: self.url.clone(),
            headers: key.into_iter().map(|key| (AUTHORIZATION, key)).collect(),
            body: &self.request(messages, tools),
            timeout: within.map_or(*timeout, |left| left.min(*timeout)),
            limit: MAX_ANSWER,
        };
        api.read(post.send(&self.http).await?).map_err(CallError::Protocol)
    }

    fn request(&self, messages: &[Message], tools: &[Value]) -> Value {
        let Settings { api, model, context, .. } = &self.settings;
        let messages = fit(messages, *context);
        let messages: Vec<_> = messages.iter().map(|message| api.message(message)).collect();
        let mut body = json!({"model": model, "messages": messages, "stream": false});
        if !tools.is_empty() {
            body["tools"] = tools.into();
        }
        api.set_options(&mut body, &self.settings);
        body
    }

    /// Why the model gave no answer. The texts begin as in the program this replaces.
    pub fn explain(&self, error: CallError) -> String {
        let api = self.settings.api.title();
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

/// The messages with the oldest results of tools left out, until they fit: rules, request and what was said last stay.
fn fit(messages: &[Message], context: Option<u32>) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let most = context.map_or(usize::MAX, |c| (c as usize).saturating_mul(CHARS_PER_TOKEN));
    let mut size: usize = messages.iter().map(|m| m.content().len()).sum();
    let last = messages.len().saturating_sub(1);
    for message in &mut messages[..last] {
        if size <= most {
            break;
        }
        if let Message::Tool { content, .. } = message {
            size = size.saturating_sub(content.len().saturating_sub(LEFT_OUT.len()));
            *content = LEFT_OUT.to_owned();
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(text: &str) -> Message {
        let (id, name) = ("1".into(), "t".into());
        let call = message::ToolCall { id, name, arguments: json!({}) };
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
}

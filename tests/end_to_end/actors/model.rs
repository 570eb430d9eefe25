//! A model behind the usual API for chat completions, streamed as server-sent events. It corrects a greeting: it reads
//! the file that the prompt names, edits it with the agent's own tools, and says so.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use chrono::{DateTime, Utc};
use futures_util::stream;
use regex::Regex;
use serde_json::{Value, json};

/// Its name, as a provider's list of models has it.
pub const NAME: &str = "scripted";
/// The key that is asked for.
pub const KEY: &str = "key-of-the-model-0123";

/// When it was asked, and what it answered.
pub type Asked = (DateTime<Utc>, String);

/// A running model.
pub struct Model {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: ServerHandle,
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Model {
    pub fn start() -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let shared = web::Data::from(Arc::clone(&asked));
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(16 << 20))
                .route("/v1/chat/completions", web::post().to(complete))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        drop(tokio::spawn(server));
        Self { address, asked, server: handle }
    }

    /// Where its API begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every question so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn complete(
    request: actix_web::HttpRequest,
    body: web::Bytes,
    asked: web::Data<Mutex<Vec<Asked>>>,
) -> HttpResponse {
    let key = request.headers().get("Authorization").map(|value| value.as_bytes());
    if key != Some(format!("Bearer {KEY}").as_bytes()) {
        return HttpResponse::Unauthorized().json(json!({"error": {"message": "a wrong key"}}));
    }
    let question: Value = serde_json::from_slice(&body).unwrap();
    let (what, delta, reason) = answer(&question);
    asked.lock().unwrap().push((Utc::now(), what));
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": NAME,
            "choices": choices, "usage": usage,
        })
    };
    let choice = |delta: &Value, reason: Value| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020});
    let chunks = [
        chunk(choice(&delta, Value::Null), Value::Null).to_string(),
        chunk(choice(&json!({}), reason.into()), Value::Null).to_string(),
        chunk(json!([]), usage).to_string(),
        "[DONE]".to_owned(),
    ];
    let events = chunks.map(|chunk| Ok::<_, Infallible>(Bytes::from(format!("data: {chunk}\n\n"))));
    HttpResponse::Ok().content_type("text/event-stream").streaming(stream::iter(events))
}

/// What is answered in short, the message, and why it ends.
fn answer(question: &Value) -> (String, Value, &'static str) {
    let says = |what: &str, text: &str| {
        (what.to_owned(), json!({"role": "assistant", "content": text}), "stop")
    };
    // An agent asks for a title without offering tools.
    if question["tools"].as_array().is_none_or(Vec::is_empty) {
        return says("a title", "A greeting");
    }
    let messages = question["messages"].as_array().unwrap();
    // A session that goes on shows what was done in the turn before.
    let last = messages.iter().rposition(|message| message["role"] == "user").unwrap();
    let turn = &messages[last..];
    let results = turn.iter().filter(|message| message["role"] == "tool").count();
    let [old, new] = match turn[0]["content"].to_string().contains(STYLE) {
        true => ["hello", "hello!"],
        false => ["helo", "hello"],
    };
    let file = format!("{}/{}", found(messages, "system", FOLDER), found(messages, "user", FILE));
    let calls = |tool: &str, arguments: Value| {
        let has_it = |one: &&Value| one["function"]["name"] == tool;
        assert!(question["tools"].as_array().unwrap().iter().any(|one| has_it(&one)), "{question}");
        let function = json!({"name": tool, "arguments": arguments.to_string()});
        let call = json!([{"index": 0, "id": format!("call{results}"), "type": "function", "function": function}]);
        let message = json!({"role": "assistant", "content": null, "tool_calls": call});
        (format!("the call of the tool `{tool}`"), message, "tool_calls")
    };
    match results {
        0 => calls("read", json!({"filePath": file})),
        1 => calls("edit", json!({"filePath": file, "oldString": old, "newString": new})),
        _ => says("its last words", "I corrected the greeting."),
    }
}

/// The check that wants more of the greeting.
pub const STYLE: &str = "ci/style";
/// How an agent tells its model where it works.
const FOLDER: &str = r"Working directory: ([^\s<]+)";
const FILE: &str = r"(src/[a-z]+\.txt)";

fn found(messages: &[Value], role: &str, pattern: &str) -> String {
    let text = |message: &Value| match message["content"].as_str() {
        Some(text) => text.to_owned(),
        None => {
            let parts = message["content"].as_array().cloned().unwrap_or_default();
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
    };
    let of_role = messages.iter().filter(|message| message["role"] == role);
    let all = of_role.map(text).collect::<Vec<_>>().join("\n");
    let hit = Regex::new(pattern).unwrap().captures(&all).map(|hit| hit[1].to_owned());
    hit.unwrap_or_else(|| panic!("`{pattern}` is not in {all}"))
}

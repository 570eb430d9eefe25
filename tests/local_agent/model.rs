//! A model that says what a story tells it to, in order, over real HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};

use gitea_triage::agents::local::{LocalAgent, ModelApi, Settings};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub struct Model {
    pub server: MockServer,
}

struct Script {
    lines: Vec<ResponseTemplate>,
    next: AtomicUsize,
}

impl Respond for Script {
    /// The last line is said again and again.
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let at = self.next.fetch_add(1, Ordering::SeqCst);
        self.lines[at.min(self.lines.len() - 1)].clone()
    }
}

impl Model {
    pub async fn says(lines: Vec<ResponseTemplate>) -> Self {
        // Fails when another story has chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        let script = Script { lines, next: AtomicUsize::new(0) };
        Mock::given(any()).respond_with(script).mount(&server).await;
        Self { server }
    }

    pub fn settings(&self, tools: &[&str]) -> Settings {
        settings(&self.server.uri(), tools)
    }

    pub async fn agent(&self, tools: &[&str]) -> LocalAgent {
        LocalAgent::start(self.settings(tools)).await.unwrap()
    }

    /// The bodies of the questions it was asked.
    pub async fn asked(&self) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect()
    }
}

pub fn settings(url: &str, tools: &[&str]) -> Settings {
    let mut settings = Settings::new(ModelApi::Ollama, url, "llama3.1");
    settings.tools = tools.iter().map(ToString::to_string).collect();
    settings
}

fn answer(message: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "model": "llama3.1", "message": message, "done": true,
        "prompt_eval_count": 20, "eval_count": 5,
    }))
}

/// An answer without a call.
pub fn text(said: &str) -> ResponseTemplate {
    answer(json!({"role": "assistant", "content": said}))
}

/// An answer that calls tools.
pub fn calls(calls: &[(&str, Value)]) -> ResponseTemplate {
    let calls: Vec<_> = calls
        .iter()
        .map(|(name, arguments)| json!({"function": {"name": name, "arguments": arguments}}))
        .collect();
    answer(json!({"role": "assistant", "content": "", "tool_calls": calls}))
}

pub fn call(name: &str, arguments: Value) -> ResponseTemplate {
    calls(&[(name, arguments)])
}

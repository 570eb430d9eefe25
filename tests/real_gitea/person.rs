//! Somebody with a token: what people do through the API, the same words for a real Gitea and for the fake.

use reqwest::{Client, Method, Response};
use serde_json::Value;

/// An account that acts through the API.
pub struct Person {
    client: Client,
    base: String,
    token: String,
}

/// A client that sees answers as they come: no redirect is followed for it, no proxy is asked.
pub fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder().user_agent("story").no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Person {
    /// The account behind `token` on the server at `url`.
    pub fn new(url: &str, token: &str) -> Self {
        Self { client: client(), base: format!("{url}/api/v1"), token: token.to_owned() }
    }

    /// Sends, whatever is answered.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header("Authorization", format!("token {}", self.token));
        match body {
            Some(body) => request.json(&body).send().await.unwrap(),
            None => request.send().await.unwrap(),
        }
    }

    /// What is there, or `None` when it is not.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let answer = self.send(Method::GET, path, None).await;
        if answer.status().as_u16() == 404 { None } else { Some(good(path, answer).await) }
    }

    /// What is there.
    pub async fn get(&self, path: &str) -> Value {
        good(path, self.send(Method::GET, path, None).await).await
    }

    /// Makes something.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        good(path, self.send(Method::POST, path, Some(body)).await).await
    }

    /// Sets something.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        good(path, self.send(Method::PUT, path, Some(body)).await).await
    }

    /// Changes something.
    pub async fn patch(&self, path: &str, body: Value) -> Value {
        good(path, self.send(Method::PATCH, path, Some(body)).await).await
    }

    /// Takes something away.
    pub async fn delete(&self, path: &str) {
        good(path, self.send(Method::DELETE, path, None).await).await;
    }
}

/// The JSON of an answer that must be a good one; `null` when it has none.
pub async fn good(path: &str, answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "`{path}` was answered {status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

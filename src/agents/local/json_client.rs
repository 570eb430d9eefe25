//! One POST of JSON and its answer, bounded in size and time. It knows no API; every error is one of four kinds,
//! because they mean different things to whoever reads them.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::agents::outbound::{self, End};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// No connection, or one that broke off.
    Connection(String),
    /// An answer whose status says no.
    Status(u16),
    /// No whole answer in time.
    Slow(Duration),
    /// A whole answer that is not what was asked for; without a word of it.
    Protocol(String),
}

/// A call about to be made.
pub(super) struct Post<'a> {
    pub url: Url,
    pub headers: HeaderMap,
    pub body: &'a Value,
    /// For all of it, to the last byte of the answer.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub limit: usize,
}

/// The client for what the owner named: no proxy, no redirect.
#[derive(Clone)]
pub(super) struct JsonClient {
    http: reqwest::Client,
}

impl JsonClient {
    pub fn new() -> Result<Self, String> {
        let (http, _) = outbound::client(CONNECT_TIMEOUT, None)?;
        Ok(Self { http })
    }

    /// The client itself, for what speaks a protocol of its own.
    pub fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Posts, and reads the answer as JSON.
    pub async fn post(&self, post: Post<'_>) -> Result<Value, CallError> {
        let Post { url, headers, body, timeout, limit } = post;
        let host = host(&url);
        let request = self.http.post(url).headers(headers).json(body).timeout(timeout);
        let broken = |error: &reqwest::Error| broken(error, &host, timeout);
        let response = request.send().await.map_err(|e| broken(&e))?;
        if !response.status().is_success() {
            return Err(CallError::Status(response.status().as_u16()));
        }
        let body = match outbound::read(response, limit).await {
            (body, End::Whole) => body,
            (_, End::TooLarge) => {
                let why = format!("the answer is larger than {limit} bytes");
                return Err(CallError::Protocol(why));
            }
            (_, End::Broken(error)) => return Err(broken(&error)),
        };
        serde_json::from_slice(&body).map_err(|e| {
            // The error's own text may quote the answer, so only its place is kept.
            CallError::Protocol(format!(
                "the answer is not JSON (line {}, column {})",
                e.line(),
                e.column()
            ))
        })
    }
}

/// `host:port`; paths and queries may hold keys.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn broken(error: &reqwest::Error, host: &str, timeout: Duration) -> CallError {
    if error.is_connect() {
        let why = if error.is_timeout() { "did not answer" } else { "refused the connection" };
        return CallError::Connection(format!(
            "`{host}` {why}; see that it runs and the address is right"
        ));
    }
    if error.is_timeout() {
        return CallError::Slow(timeout);
    }
    CallError::Connection(format!(
        "the connection to `{host}` broke off before the whole answer came"
    ))
}

/// A header that carries a key, marked so that no log shows it.
pub(super) fn key_header(text: &str, key: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{text}{}", key.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `base` with these segments after its path.
pub(super) fn join(base: &str, segments: &[&str]) -> Result<Url, String> {
    let mut url = Url::parse(base).map_err(|_| format!("`{base}` is no address"))?;
    url.path_segments_mut()
        .map_err(|()| format!("`{base}` is no address with a path"))?
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

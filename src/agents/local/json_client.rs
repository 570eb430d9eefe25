//! One POST of JSON and its answer, bounded in size and time. It knows no API; every error is one of four kinds,
//! because they mean different things to whoever reads them.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::agents::outbound::{self, End};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No connection, or one that broke off.
    #[error("{0}")]
    Connection(String),
    /// An answer whose status says no.
    #[error("the service answered {0}")]
    Status(u16),
    /// No whole answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Slow(Duration),
    /// A whole answer that is not what was asked for; without a word of it.
    #[error("{0}")]
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
pub(super) fn client() -> Result<reqwest::Client, String> {
    Ok(outbound::client(CONNECT_TIMEOUT, None)?.0)
}

impl Post<'_> {
    /// Posts, and reads the answer as JSON.
    pub async fn send(self, http: &reqwest::Client) -> Result<Value, CallError> {
        let Self { url, headers, body, timeout, limit } = self;
        let host = host(&url);
        let broken = |error: &reqwest::Error| broken(error, &host, timeout);
        let request = http.post(url).headers(headers).json(body).timeout(timeout);
        let response = request.send().await.map_err(|e| broken(&e))?;
        if !response.status().is_success() {
            return Err(CallError::Status(response.status().as_u16()));
        }
        let (body, end) = outbound::read(response, limit).await;
        match end {
            End::Whole => serde_json::from_slice(&body).map_err(|e| {
                // The error's own text may quote the answer, so only its place is kept.
                let (line, column) = (e.line(), e.column());
                format!("the answer is not JSON (line {line}, column {column})")
            }),
            End::TooLarge => Err(format!("the answer is larger than {limit} bytes")),
            End::Broken(error) => return Err(broken(&error)),
        }
        .map_err(CallError::Protocol)
    }
}

/// `host:port`; paths and queries may hold keys.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn broken(error: &reqwest::Error, host: &str, timeout: Duration) -> CallError {
    CallError::Connection(match (error.is_connect(), error.is_timeout()) {
        (false, true) => return CallError::Slow(timeout),
        (true, true) => {
            format!("`{host}` did not answer; see that it runs and the address is right")
        }
        (true, false) => {
            format!("`{host}` refused the connection; see that it runs and the address is right")
        }
        (false, false) => {
            format!("the connection to `{host}` broke off before the whole answer came")
        }
    })
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
    let path = url.path_segments_mut().map_err(|()| format!("`{base}` is no address with a path"));
    path?.pop_if_empty().extend(segments);
    Ok(url)
}

//! One POST of JSON and its answer, bounded in size and time. It knows no API; every error is one of four kinds,
//! because they mean different things to whoever reads them.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
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
pub(super) struct Caller {
    http: reqwest::Client,
}

impl Caller {
    pub fn new() -> Result<Self, String> {
        // Fails only when the program has chosen a provider already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("gitea-triage/", env!("CARGO_PKG_VERSION")))
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(0)
        };
        // A bare container has no CA certificates, and a model on plain `http://` must not fail for want of them.
        let http = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let http = http.map_err(|_| "the HTTP client could not be built".to_owned())?;
        Ok(Self { http })
    }

    /// The client itself, for what speaks a protocol of its own.
    pub fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Posts, and reads the answer as JSON.
    pub async fn post(&self, post: Post<'_>) -> Result<Value, Broken> {
        let Post { url, headers, body, timeout, limit } = post;
        let host = host(&url);
        let request = self.http.post(url).headers(headers).json(body).timeout(timeout);
        let broken = |error: &reqwest::Error| broken(error, &host, timeout);
        let response = request.send().await.map_err(|e| broken(&e))?;
        if !response.status().is_success() {
            return Err(Broken::Status(response.status().as_u16()));
        }
        let body = read(response, limit, broken).await?;
        serde_json::from_slice(&body).map_err(|e| {
            // The error's own text may quote the answer, so only its place is kept.
            Broken::Protocol(format!(
                "the answer is not JSON (line {}, column {})",
                e.line(),
                e.column()
            ))
        })
    }
}

async fn read(
    mut response: Response,
    limit: usize,
    broken: impl Fn(&reqwest::Error) -> Broken,
) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        if body.len() + chunk.len() > limit {
            return Err(Broken::Protocol(format!("the answer is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `host:port`; paths and queries may hold keys.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn broken(error: &reqwest::Error, host: &str, timeout: Duration) -> Broken {
    if error.is_connect() {
        let why = if error.is_timeout() { "did not answer" } else { "refused the connection" };
        return Broken::Connection(format!(
            "`{host}` {why}; see that it runs and the address is right"
        ));
    }
    if error.is_timeout() {
        return Broken::Slow(timeout);
    }
    Broken::Connection(format!("the connection to `{host}` broke off before the whole answer came"))
}

/// A header that carries a key, marked so that no log shows it.
pub(super) fn key_header(text: &str, key: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{text}{}", key.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `base` with these segments after its path.
pub(super) fn below(base: &str, segments: &[&str]) -> Result<Url, String> {
    let mut url = Url::parse(base).map_err(|_| format!("`{base}` is no address"))?;
    url.path_segments_mut()
        .map_err(|()| format!("`{base}` is no address with a path"))?
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

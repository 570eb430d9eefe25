//! The calls of a runner to the service. Each is safe to repeat, and is repeated while the service is away; what the
//! service refuses for good is said as it is.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::dispatch::run::{
    Assignment, Dispatches, Finish, Heartbeat, Lease, LogChunk, MAX_CALL, Push, Refusal, Refused,
    Register, Registered, Take,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer may take, beyond what was asked to wait.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: an assignment holds a prompt.
const MAX_ANSWER: usize = 8 * MAX_CALL;
/// The first pause between two tries, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Why a call to the service gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service answered, and said why not.
    #[error("the service refused: {}", .0.error)]
    Refused(Refused),
    /// It did not answer, or not now.
    #[error("the service is not reachable: {0}")]
    Away(String),
    /// What answered is not the service, or cannot be understood.
    #[error("{0}")]
    Unusable(String),
}

impl CallError {
    /// Whether the run is somebody else's now, or over: nothing may be written any more.
    pub fn is_over(&self) -> bool {
        let refusal = match self {
            Self::Refused(refused) => refused.refusal,
            _ => return false,
        };
        matches!(refusal, Refusal::Fenced | Refusal::Unknown)
    }

    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.refusal == Refusal::Later,
            Self::Away(_) => true,
            Self::Unusable(_) => false,
        }
    }
}

/// The service, as a runner with its token sees it.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    http: reqwest::Client,
    base: Url,
}

impl ServiceClient {
    /// A client for the service at `url`; nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the address or the token.
    pub fn new(url: &str, token: &SecretString) -> Result<Self, String> {
        let base = Url::parse(url).map_err(|_| format!("`server` is no address: `{url}`"))?;
        let header = format!("Bearer {}", token.expose_secret());
        let mut header = HeaderValue::try_from(header)
            .map_err(|_| "the token holds bytes that no header can; copy it again".to_owned())?;
        header.set_sensitive(true);
        // Fails only when the program has chosen a provider already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("gitea-triage-runner/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, header)]))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            // Below the 60 s after which proxies drop an idle connection.
            .pool_idle_timeout(Duration::from_secs(30));
        if base.scheme() == "http" {
            // A bare container has no CA certificates, and plain `http://` must not fail for want of them.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| {
            "no CA certificates were found for TLS; install `ca-certificates`".to_owned()
        })?;
        Ok(Self { http, base })
    }

    /// Says that the runner is there.
    pub async fn register(&self, register: &Register) -> Result<Registered, CallError> {
        self.call(&["register"], register, TIMEOUT).await?.ok_or_else(empty)
    }

    /// Asks for one run; `None` when there is none yet.
    pub async fn take(&self, take: &Take) -> Result<Option<Assignment>, CallError> {
        let wait = Duration::from_secs(take.wait_s) + TIMEOUT;
        self.call(&["take"], take, wait).await
    }

    /// Which of these dispatches have ended.
    pub async fn over(&self, asked: &Dispatches) -> Result<Dispatches, CallError> {
        self.call(&["over"], asked, TIMEOUT).await?.ok_or_else(empty)
    }

    /// Says that the work on a run goes on.
    pub async fn heartbeat(&self, run: i64, beat: &Heartbeat) -> Result<Lease, CallError> {
        self.of_run(run, "heartbeat", beat).await
    }

    /// Sends a piece of the log.
    pub async fn log(&self, run: i64, chunk: &LogChunk) -> Result<Lease, CallError> {
        self.of_run(run, "log", chunk).await
    }

    /// Asks whether the branch may be written, for as long as `patience` where the service is away.
    pub async fn push(
        &self,
        run: i64,
        push: &Push,
        patience: Duration,
    ) -> Result<Lease, CallError> {
        patiently(patience, || self.of_run(run, "push", push)).await
    }

    /// Says that a run has ended, for as long as `patience` where the service is away.
    pub async fn finish(
        &self,
        run: i64,
        finish: &Finish,
        patience: Duration,
    ) -> Result<Lease, CallError> {
        patiently(patience, || self.of_run(run, "finish", finish)).await
    }

    async fn of_run(
        &self,
        run: i64,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<Lease, CallError> {
        let run = run.to_string();
        self.call(&["runs", &run, verb], body, TIMEOUT).await?.ok_or_else(empty)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<Option<T>, CallError> {
        let mut url = self.base.clone();
        // Fails only for addresses without a host, which no setting holds.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["runner", "v1"]).extend(path);
        }
        let request = self.http.post(url).json(body).timeout(timeout);
        // The error's own text names the address only, which is no secret.
        let response = request.send().await.map_err(|e| CallError::Away(said(&e)))?;
        let status = response.status();
        let body = read(response).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(None),
            status if status.is_success() => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|e| CallError::Unusable(format!("the service's answer is unknown: {e}"))),
            status => Err(refusal(status, &body)),
        }
    }
}

/// Repeats a call while the service is away.
async fn patiently<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let (until, mut pause) = (Instant::now() + patience, Pause::default());
    loop {
        match call().await {
            Err(error) if error.is_passing() && Instant::now() < until => pause.wait().await,
            answer => return answer,
        }
    }
}

/// The pauses between tries: each twice as long as the one before.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSES[0])
    }
}

impl Pause {
    /// Waits before the next try.
    pub async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSES[1]);
    }
}

fn empty() -> CallError {
    CallError::Unusable("the service gave an empty answer".to_owned())
}

fn said(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection; see that `server` is right and the service is up"
    } else {
        "the connection broke"
    };
    kind.to_owned()
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| CallError::Away(said(&e)))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(CallError::Unusable(format!("an answer is over {MAX_ANSWER} bytes")));
        }
    }
    Ok(body)
}

/// What a status that is no success means: the service says it itself; anything else comes from a proxy in between.
fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    if let Ok(refused) = serde_json::from_slice(body) {
        return CallError::Refused(refused);
    }
    match status.as_u16() {
        408 | 425 | 429 | 500.. => CallError::Away(format!("it answered {status}")),
        code => CallError::Unusable(format!(
            "`server` answered {code}, which is not the service's own answer; see that it leads to the service itself"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_to_repeat_to_drop_or_to_give_up() {
        let of = |name: &str| {
            refusal(
                StatusCode::CONFLICT,
                format!(r#"{{"refusal":"{name}","error":"why"}}"#).as_bytes(),
            )
        };
        assert!(of("fenced").is_over() && of("unknown").is_over());
        assert!(of("later").is_passing() && !of("token").is_passing() && !of("token").is_over());
        assert!(refusal(StatusCode::BAD_GATEWAY, b"<html>").is_passing());
        assert!(!refusal(StatusCode::NOT_FOUND, b"<html>").is_passing());
    }
}

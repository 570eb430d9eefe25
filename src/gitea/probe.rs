//! Questions that change nothing: may we write, does a change make a delivery, does a receiver know a secret.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use super::transport::{Request, issue_path, repo_path};
use super::{Client, Error, Recording};
use crate::issue::{IssueRef, RepoName};

/// How long a receiver may take to answer; Gitea's own patience (`[webhook] DELIVER_TIMEOUT`).
const KNOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What a receiver said to a signed request that is no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It knows the secret.
    Known,
    /// It does not know the secret.
    Unknown,
    /// It said something that no receiver of ours says.
    Stranger(u16),
}

impl Client {
    /// Asks whether labels may be made, and so whether issues may be written, with a label that has no name: 422 is
    /// only answered to who may (the order of the checks in routers/api/v1/api.go).
    pub async fn may_write(&self, repo: &RepoName) -> Result<(), Error> {
        let request =
            Request::new(Method::POST, format_args!("{repo} labels"), repo_path(repo, &["labels"]));
        match self.send(request.json(json!({}))).await {
            Err(Error::Status { status: 422, .. }) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// Adds no label to an issue. Nothing changes, not even when it was updated, and yet every webhook of the
    /// repository that hears labels gets a delivery (services/issue/label.go tells of it unconditionally). The test
    /// call of the API will not do: before 1.27 it answers 204 and sends nothing to a hook without `push`.
    pub async fn nudge(&self, at: &IssueRef) -> Result<(), Error> {
        let request =
            Request::new(Method::POST, format_args!("{at} labels"), issue_path(at, &["labels"]));
        self.send(request.json(json!({"labels": []}))).await.map(|_| ())
    }
}

/// Asks the receiver at `url` whether it knows `secret`, with a signed request that has no delivery id: the signature
/// is judged first, so that 400 is only answered to who has a secret. Nothing is stored. `None` when nobody can sign
/// with it.
///
/// # Errors
/// When no answer comes.
pub async fn knock(url: &str, secret: &SecretString) -> Result<Option<Knock>, reqwest::Error> {
    let body = Bytes::from_static(b"{}");
    let Some(recording) = Recording::signed("-", "ping", body, secret) else { return Ok(None) };
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let builder = match url.starts_with("http://") {
        // A bare container has no CA certificates, and plain `http://` must not fail for want of them.
        true => builder.tls_certs_only([]),
        false => builder,
    };
    let mut request = builder.timeout(KNOCK_TIMEOUT).build()?.post(url).body(recording.body);
    for (name, value) in recording.headers.iter().filter(|(name, _)| !name.contains("Delivery")) {
        request = request.header(name, value);
    }
    Ok(Some(match request.send().await?.status().as_u16() {
        400 => Knock::Known,
        401 => Knock::Unknown,
        status => Knock::Stranger(status),
    }))
}

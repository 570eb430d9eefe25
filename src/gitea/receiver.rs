//! Requests to a receiver of webhooks: a recorded delivery as Gitea sent it, or one that only asks about a secret.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, redirect};
use secrecy::SecretString;

use super::Recording;
use super::signature::PROBE;

/// What belongs to the connection it was recorded on, and is made anew on ours.
const OF_THE_CONNECTION: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];
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

/// Posts the recording to `url`; the status and the text of the answer. Redirects are not followed.
pub async fn post(url: &str, recording: &Recording) -> Result<(u16, String), reqwest::Error> {
    let answer = send(reqwest::Client::builder(), url, recording).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}

/// Asks the receiver at `url` whether it knows `secret`, with a signed request that has no delivery id: the signature
/// is judged first, so that 400 is only answered to who has a secret. Nothing is stored. With a secret that nobody can
/// sign with, nothing is asked.
pub async fn knock(url: &str, secret: &SecretString) -> Result<Knock, reqwest::Error> {
    let signed = Recording::signed("-", "ping", Bytes::from_static(b"{}"), secret);
    let Some(mut recording) = signed else { return Ok(Knock::Unknown) };
    recording.headers.retain(|(name, _)| !name.contains("Delivery"));
    recording.headers.push((PROBE.to_owned(), "1".to_owned()));
    let patient = reqwest::Client::builder().timeout(KNOCK_TIMEOUT);
    Ok(match send(patient, url, &recording).await?.status().as_u16() {
        400 => Knock::Known,
        401 => Knock::Unknown,
        status => Knock::Stranger(status),
    })
}

async fn send(
    http: reqwest::ClientBuilder,
    url: &str,
    recording: &Recording,
) -> Result<Response, reqwest::Error> {
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A bare container has no CA certificates, and plain `http://` must not fail for want of them.
    let http = if url.starts_with("http://") { http.tls_certs_only([]) } else { http };
    let http = http.redirect(redirect::Policy::none()).build()?;
    let mut request = http.post(url).body(recording.body.clone());
    for (name, value) in &recording.headers {
        if !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    request.send().await
}

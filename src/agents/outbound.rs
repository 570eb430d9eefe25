//! Calls to addresses that the owner, or a text of somebody else, chose: no proxy, no redirect, no kept connection, and
//! no answer past a limit. Where a call may lead to is judged by [`Allowed`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, Url};

use super::reach::{Allowed, CheckedResolver};

/// A client, and whether it can speak TLS: a bare container has no CA certificates, and what listens on plain `http://`
/// must not fail for want of them. With `allowed`, names lead only to addresses that it lets pass.
pub(super) fn client(
    connect_timeout: Duration,
    allowed: Option<&Arc<Allowed>>,
) -> Result<(reqwest::Client, bool), &'static str> {
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("gitea-triage/", env!("CARGO_PKG_VERSION")))
            // A proxy would resolve the name itself, and reach what we must not.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            // Calls are rare, and a kept connection that has died makes the outcome of one unknown.
            .pool_max_idle_per_host(0);
        match allowed {
            Some(allowed) => builder.dns_resolver(CheckedResolver(Arc::clone(allowed))),
            None => builder,
        }
    };
    if let Ok(client) = builder().build() {
        return Ok((client, true));
    }
    let without = builder().tls_certs_only([]).build();
    without.map(|client| (client, false)).map_err(|_| "the HTTP client could not be built")
}

/// An `http` or `https` address without credentials, or what is wrong with it.
pub(super) fn parse_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is not `http://` or `https://` and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("is not `http://` or `https://` and a host without a user name");
    }
    Ok(url)
}

/// How reading an answer ended.
pub(super) enum End {
    Whole,
    TooLarge,
    Broken(reqwest::Error),
}

/// What there is of the answer, up to `limit` bytes.
pub(super) async fn read(mut response: Response, limit: usize) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return (body, End::Whole),
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                body.extend_from_slice(&chunk[..limit - body.len()]);
                return (body, End::TooLarge);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return (body, End::Broken(error)),
        }
    }
}

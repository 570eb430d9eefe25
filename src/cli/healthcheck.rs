//! `healthcheck`: asks the service beside it whether it is alive, for containers that have no `curl`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{Failure, block_on, load, print};

/// Shorter than the patience of those who ask: Docker's default is 30 s, ours in the image 3 s.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Ask a running service whether it is alive, on the address in its configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage healthcheck\n  gitea-triage healthcheck --ready\n\nExit code 0 when it is, 1 when not."
)]
pub(super) struct Healthcheck {
    /// Ask whether store and forge can be reached, too
    #[arg(long)]
    ready: bool,
}

impl Healthcheck {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(path)?;
        let page = if self.ready { "readyz" } else { "healthz" };
        let url = format!("http://{}/{page}", reachable(&config.server.listen));
        block_on(ask(&url))??;
        print("ok")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where a service that listens on `listen` is reached from the same machine: an address that means all of them is
/// none to connect to.
fn reachable(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(all)) if all.ip().is_unspecified() => format!("127.0.0.1:{}", all.port()),
        Ok(SocketAddr::V6(all)) if all.ip().is_unspecified() => format!("[::1]:{}", all.port()),
        _ => listen.to_owned(),
    }
}

async fn ask(url: &str) -> anyhow::Result<()> {
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).tls_certs_only([]).build()?;
    let answer = http.get(url).send().await;
    let answer = answer.with_context(|| format!("`{url}` does not answer; is `serve` running?"))?;
    let status = answer.status();
    if !status.is_success() {
        let text = answer.text().await.unwrap_or_default();
        bail!("`{url}` answered {}: {}", status.as_u16(), text.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8484"), "127.0.0.1:8484");
        assert_eq!(reachable("[::]:8484"), "[::1]:8484");
        assert_eq!(reachable("10.0.0.7:80"), "10.0.0.7:80");
        assert_eq!(reachable("localhost:80"), "localhost:80");
    }
}

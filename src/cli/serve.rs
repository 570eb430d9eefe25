//! `serve`: runs the service until SIGTERM or SIGINT; SIGHUP reloads the configuration.

use std::path::Path;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, block_on, load};
use crate::clock::Clock;
use crate::config::Config;
use crate::service::{Reloaded, Service};
use crate::store;

/// Run the service: accept deliveries and process them until it is stopped
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage serve\n  gitea-triage serve --config /etc/gitea-triage/gitea-triage.toml\n\nSIGTERM and SIGINT finish the work in progress and stop. SIGHUP reloads the configuration."
)]
pub(super) struct Serve {}

impl Serve {
    pub(super) fn run(self, path: Option<&Path>) -> Result<(), Failure> {
        let config = load(path)?;
        block_on(serve(&config, path))
    }
}

async fn serve(config: &Config, path: Option<&Path>) -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let service = Service::start(config, Clock::System).await?;
    let store = service.parts().store.clone();
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = hangup.recv() => reload(&service, path),
            () = store.outdated() => {
                service.stop().await;
                return Err(store::Error::TooNew(store.place().to_string()).into());
            }
        }
    }
    service.stop().await;
    Ok(())
}

/// Reloads the configuration; an invalid one is logged, and the last valid one stays in use.
fn reload(service: &Service, path: Option<&Path>) {
    let reloaded = load(path).map_err(Into::into).and_then(|new| service.parts().reload(&new));
    match reloaded {
        Ok(Reloaded { changed, restart }) => {
            let now = if changed.is_empty() { "nothing".to_owned() } else { listed(&changed) };
            tracing::info!("the configuration was reloaded; changed: {now}");
            if !restart.is_empty() {
                tracing::warn!(
                    "needs a restart: {}; until then the value of the start stays in use",
                    listed(&restart)
                );
            }
        }
        Err(error) => tracing::error!(
            "the configuration was not reloaded, the last valid one stays in use: {error:#}"
        ),
    }
}

fn listed(keys: &[String]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

//! `serve`: runs the service until SIGTERM or SIGINT; SIGHUP reads the configuration again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, block_on, load, read_config};
use crate::clock::Clock;
use crate::config::Config;
use crate::service::Service;

/// Take deliveries and work them off until told to stop
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage serve\n  gitea-triage serve --config /etc/gitea-triage/gitea-triage.toml\n\nSIGTERM and SIGINT drain and stop, SIGHUP reads the configuration again."
)]
pub(super) struct Serve {}

impl Serve {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(path.clone())?;
        block_on(serve(config, path))?
    }
}

async fn serve(config: Config, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let service = Service::start(&config, Clock::System).await?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            () = next(&mut hangup) => reload(&service, path.as_deref()),
        }
    }
    service.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn next(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// A bad file keeps the last good configuration, and says so.
fn reload(service: &Service, path: Option<&Path>) {
    match read_config(path)
        .map_err(anyhow::Error::from)
        .and_then(|config| service.parts().reload(&config))
    {
        Ok(()) => tracing::info!("the configuration was read again"),
        Err(error) => {
            tracing::error!(
                "the configuration was not taken over, the last good one stays: {error:#}"
            );
        }
    }
}

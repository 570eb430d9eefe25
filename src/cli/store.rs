//! `store`: a copy of the store while the service runs, and a copy put back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, block_on, load, open_store, print, print_json};
use crate::service;
use crate::store::{Copied, Store};

/// Copy the store while the service runs, and put a copy back
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage store backup /var/backups/triage-$(date +%F).db\n  gitea-triage store restore /var/backups/triage-2026-03-23.db\n\nA copy is one file, whole or not there at all. After a restore the sweep finds what changed since the copy was made, and nothing is written twice: what is on the forge is looked at first."
)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the store to a file, beside a service that may be running
    Backup {
        /// The file
        file: PathBuf,
        /// Replace the file when it is there
        #[arg(long)]
        force: bool,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put a copy in the place of the store; the service has to be stopped
    Restore {
        /// The copy
        file: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl StoreCommand {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(path)?;
        match self.verb {
            Verb::Backup { file, force, .. } if file.exists() && !force => {
                Err(Failure::Usage(format!(
                    "`{}` is there already; name another file, or say `--force`",
                    file.display()
                )))
            }
            Verb::Backup { file, json, .. } => {
                let store = open_store(&config)?;
                let copied = block_on(store.backup(file.clone()))??;
                tell(&file, &copied, ("copied to", json))
            }
            Verb::Restore { file, json } => {
                let database = service::database(&config)?;
                let copied = Store::restore(&file, &database)?;
                tell(&file, &copied, ("restored from", json))
            }
        }
    }
}

fn tell(
    file: &std::path::Path,
    copied: &Copied,
    (done, json): (&str, bool),
) -> Result<ExitCode, Failure> {
    let Copied { bytes, deliveries } = copied;
    if json {
        print_json(&json!({ "file": file, "bytes": bytes, "deliveries": deliveries }))?;
    } else {
        print(&format!(
            "{done} `{}`: {deliveries} deliveries, {bytes} bytes, sound",
            file.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

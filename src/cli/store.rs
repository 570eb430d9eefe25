//! `store`: backs up the store while the service runs, and restores a backup.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, open_store, show};
use crate::config::Config;
use crate::service;
use crate::store::{self, Copied, Store};

/// Back up the store while the service runs, and restore a backup
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage store backup /var/backups/triage-$(date +%F).db\n  gitea-triage store restore /var/backups/triage-2026-03-23.db\n\nA backup is one complete file. After a restore the sweep finds what changed since the backup, and nothing is written twice: the service checks what is on the forge first."
)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the store to a file; the service may be running
    Backup {
        /// The file
        file: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Replace the store by a backup; the service must be stopped
    Restore {
        /// The backup
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl StoreCommand {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        match self.verb {
            Verb::Backup { file, force, .. } if file.exists() && !force => Err(Failure::Usage(
                format!("`{}` exists already; name another file, or use `--force`", file.display()),
            )),
            Verb::Backup { file, json, .. } => {
                let copied = open_store(config)?.backup(file.clone()).await?;
                report(json, "backed up to", &file, &copied)
            }
            Verb::Restore { file, json } => {
                let database = service::database(config)?;
                let database = database.file().ok_or(store::Error::Elsewhere)?;
                let copied = Store::restore(&file, database)?;
                report(json, "restored from", &file, &copied)
            }
        }
    }
}

fn report(json: bool, done: &str, file: &Path, copied: &Copied) -> Result<(), Failure> {
    let Copied { bytes, deliveries } = copied;
    let value = json!({ "file": file, "bytes": bytes, "deliveries": deliveries });
    let file = file.display();
    show(
        json,
        &value,
        &format!("{done} `{file}`: {deliveries} deliveries, {bytes} bytes, verified"),
    )
}

//! `store`: backs up the store while the service runs, restores a backup, and copies the store to another place.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, load, open_store, secret, show, terminal};
use crate::service;
use crate::store::{self, Copied, CopiedTable, CopyProgress, CopyStep, OpenMode, Place, Store};

/// Back up the store while the service runs, restore a backup, and move the store between SQLite and PostgreSQL
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage store backup /var/backups/triage-$(date +%F).db\n  gitea-triage store restore /var/backups/triage-2026-03-23.db\n  gitea-triage store copy --from sqlite:triage.db \\\n      --to postgres://triage@db/triage\n\nA backup is one complete file. After a restore the sweep finds what changed since the backup, and nothing is written twice: the service checks what is on the forge first."
)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the store to a file; the service may be running
    #[command(
        after_help = "Examples:\n  gitea-triage store backup /var/backups/triage-$(date +%F).db\n  gitea-triage store backup --force latest.db"
    )]
    Backup {
        /// The file
        file: PathBuf,
        /// Overwrite an existing file
        #[arg(short, long)]
        force: bool,
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    /// Replace the store by a backup; the service must be stopped
    #[command(
        after_help = "Examples:\n  systemctl stop gitea-triage\n  gitea-triage store restore /var/backups/triage-2026-03-23.db\n\nThe store that was there is kept beside it, with `.before-restore` at the end of its name."
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    Copy(CopyArguments),
    /// Bring the store to the schema of this version; `serve` does it at its start, too
    #[command(
        after_help = "Examples:\n  gitea-triage store migrate\n\nFor an upgrade of several replicas: those of an earlier version stop before they would write into the new schema."
    )]
    Migrate {
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
}

/// Copy the store to another place, such as from SQLite to PostgreSQL; the service must be stopped
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage store copy --from sqlite:triage.db \\\n      --to postgres://triage@db/triage --to-password-file password\n  gitea-triage store copy --from postgres://triage@db/triage \\\n      --from-password-file password --to sqlite:triage.db\n\nBoth places are written as in `store.url`; no configuration is read. The target must be empty. A copy that was broken off goes on when the same command runs again. At the end every table is read at both places, and the number of its rows and a digest of them are compared; exit code 1 when they differ. The source keeps its rows."
)]
struct CopyArguments {
    /// The store: `sqlite:` and the path of a file, or `postgres://user@host/database`
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty place, written in the same way
    #[arg(long, value_name = "URL")]
    to: String,
    /// The file with the password of the user in `--from`
    #[arg(long, value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// The file with the password of the user in `--to`
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(short, long)]
    json: bool,
}

impl StoreCommand {
    pub(super) async fn run(self, config: Option<&Path>) -> Result<(), Failure> {
        match self.verb {
            Verb::Backup { file, force, .. } if file.exists() && !force => Err(Failure::Usage(
                format!("`{}` exists already; name another file, or use `--force`", file.display()),
            )),
            Verb::Backup { file, json, .. } => {
                let copied = open_store(&load(config)?)?.backup(file.clone()).await?;
                report(json, "backed up to", &file, &copied)
            }
            Verb::Restore { file, json } => {
                let database = service::database(&load(config)?)?;
                let database = database.file().ok_or(store::Error::Elsewhere)?;
                let copied = Store::restore(&file, database)?;
                report(json, "restored from", &file, &copied)
            }
            Verb::Copy(copy) => copy.run().await,
            Verb::Migrate { json } => {
                let config = load(config)?;
                let place = service::database(&config)?;
                let how = match place.file() {
                    Some(_) => OpenMode::Shared,
                    None => OpenMode::Service,
                };
                let place = Store::open(place, config.webhook.queue, how)?.place().to_string();
                let (store, version) = (&place, store::SCHEMA_VERSION);
                let value = json!({ "store": store, "schema": version });
                show(json, &value, &format!("`{store}` has the schema of this version, {version}"))
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

impl CopyArguments {
    async fn run(self) -> Result<(), Failure> {
        let from = place("--from", &self.from, self.from_password_file.as_deref())?;
        let to = place("--to", &self.to, self.to_password_file.as_deref())?;
        let copied = store::copy(&from, &to, |progress| {
            terminal::progress(&line(progress));
            ControlFlow::Continue(())
        });
        let copied = copied.await;
        terminal::clear_progress();
        let copied = copied.map_err(|error| match error {
            store::Error::SamePlace(_) => Failure::Usage(error.to_string()),
            error => error.into(),
        })?;
        let differing: Vec<_> = copied.iter().filter(|table| !table.is_equal()).collect();
        let value = json!({
            "from": from.to_string(), "to": to.to_string(), "tables": copied, "is_equal": differing.is_empty(),
        });
        show(self.json, &value, &compared(&copied))?;
        if differing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = differing.iter().map(|one| format!("`{}`", one.table)).collect();
        let names = names.join(", ");
        Err(anyhow!("the copy differs in {names}: `{from}` was changed since the copy began, or something else wrote into `{to}`; empty `{to}` and copy again").into())
    }
}

fn place(option: &str, url: &str, password: Option<&Path>) -> Result<Place, Failure> {
    let wrong = |why: String| Failure::Usage(format!("`{option}`: {why}"));
    let place = Place::parse(url, None).map_err(wrong)?;
    let Some(password) = password else { return Ok(place) };
    if place.file().is_some() {
        return Err(wrong(format!("a file has no password; leave out `{option}-password-file`")));
    }
    Place::parse(url, Some(&secret(password, "password")?)).map_err(wrong)
}

fn line(CopyProgress { step, table, rows, of }: &CopyProgress) -> String {
    let step = match step {
        CopyStep::Copying => "copying",
        CopyStep::Checking => "checking",
    };
    format!("{step} {table}: {rows} of {of}")
}

/// A line for each table, with the digests of both ends, and one for all.
fn compared(copied: &[CopiedTable]) -> String {
    let mut lines: Vec<_> = copied
        .iter()
        .map(|one| {
            let CopiedTable { table, from, to } = one;
            let sign = if one.is_equal() { "=" } else { "≠" };
            format!(
                "{table}: {} rows {} {sign} {} rows {}",
                from.rows, from.digest, to.rows, to.digest
            )
        })
        .collect();
    if copied.iter().all(CopiedTable::is_equal) {
        let rows: u64 = copied.iter().map(|one| one.to.rows).sum();
        lines.push(format!(
            "copied {rows} rows of {} tables; both ends hold the same",
            copied.len()
        ));
    }
    lines.join("\n")
}

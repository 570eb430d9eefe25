//! `config`: check it, show what is in force, describe its form.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, load, print, print_json, read_config};
use crate::config::{self, Config, ConfigError};
use crate::service;
use crate::triage::Policy;

/// Check, show or describe the configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage config check\n  gitea-triage config show --json\n  gitea-triage config policy\n  gitea-triage config schema > gitea-triage.schema.json"
)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Say what is wrong with it, every mistake with its line
    Check {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Every value in force and where it comes from; secrets are not shown
    Show {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The policy in force as TOML, as the section `[policy]` takes it; the built-in one where there is no configuration
    Policy {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Every key with its default and what it is, as Markdown
    Reference,
    /// The form of the file as a JSON Schema
    Schema {
        /// The schema is JSON in any case
        #[arg(long)]
        json: bool,
    },
}

impl ConfigCommand {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        match self.command {
            ConfigVerb::Check { json } => check(path, json),
            ConfigVerb::Show { json: true } => {
                print_json(&load(path)?.to_json()).map(|()| ExitCode::SUCCESS)
            }
            ConfigVerb::Show { json: false } => {
                print(load(path)?.show().trim_end()).map(|()| ExitCode::SUCCESS)
            }
            ConfigVerb::Policy { json } => policy(path, json),
            ConfigVerb::Reference => {
                print(config::reference().trim_end()).map(|()| ExitCode::SUCCESS)
            }
            ConfigVerb::Schema { .. } => {
                print(&serde_json::to_string_pretty(&config::schema())?).map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

fn policy(path: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    let policy = match config::find(path.as_deref())? {
        Some(file) => service::policy(&load(Some(file))?)?,
        None => Policy::default(),
    };
    let section = service::as_section(&policy)?;
    if json {
        print_json(&section)?
    } else {
        print(toml::to_string(&section)?.trim_end())?
    }
    Ok(ExitCode::SUCCESS)
}

fn check(path: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    let checked = load_all(path);
    if !json {
        let config = checked?;
        let file = config.file().unwrap_or("the environment");
        return print(&format!("`{file}` is fine")).map(|()| ExitCode::SUCCESS);
    }
    match checked {
        Ok(config) => {
            print_json(&json!({ "ok": true, "file": config.file(), "problems": [] }))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let problems = match error.downcast_ref::<ConfigError>() {
                Some(config) => json!(config.problems()),
                None => json!([{ "message": format!("{error:#}") }]),
            };
            print_json(&json!({ "ok": false, "problems": problems }))?;
            Ok(ExitCode::from(2))
        }
    }
}

/// The configuration with what only other rooms can check: the policy and the database's place.
fn load_all(path: Option<PathBuf>) -> anyhow::Result<Config> {
    let config = read_config(path.as_deref())?;
    service::rules(&config)?;
    service::database(&config)?;
    Ok(config)
}

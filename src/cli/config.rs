//! `config`: check the configuration, show the values in force, describe the keys.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, load, one_of, print, print_json, show};
use crate::config;
use crate::triage::{Policy, Preset};

/// Check, show or describe the configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage config check\n  gitea-triage config show --json\n  gitea-triage config policy --preset practical\n  gitea-triage config schema > gitea-triage.schema.json"
)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Report every mistake with its line
    #[command(
        after_help = "Examples:\n  gitea-triage config check\n  gitea-triage config check --json --config new.toml | jq .problems\n\nExit code 2 when there is a mistake."
    )]
    Check {
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    /// Print every value in force and where it comes from, without secrets
    #[command(
        after_help = "Examples:\n  gitea-triage config show\n  GITEA_TRIAGE__TRIAGE__DRY_RUN=true gitea-triage config show | grep dry_run"
    )]
    Show {
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    /// Print the policy in force as the section `[policy]`; without a configuration, the built-in policy
    #[command(
        after_help = "Examples:\n  gitea-triage config policy --preset practical\n  gitea-triage config policy >> gitea-triage.toml"
    )]
    Policy {
        /// Print this built-in policy instead
        #[arg(long, value_name = "NAME", value_parser = one_of::<Preset>(Preset::NAMES))]
        preset: Option<Preset>,
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    /// Print every key with its default and meaning, as Markdown
    #[command(after_help = "Examples:\n  gitea-triage config reference | less")]
    Reference,
    /// Print the JSON Schema of the file
    #[command(after_help = "Examples:\n  gitea-triage config schema > gitea-triage.schema.json")]
    Schema {
        /// No effect; the schema is always JSON
        #[arg(short, long)]
        json: bool,
    },
}

impl ConfigCommand {
    pub(super) fn run(self, path: Option<&Path>) -> Result<(), Failure> {
        match self.command {
            ConfigVerb::Check { json } => check(path, json),
            ConfigVerb::Show { json: true } => print_json(&load(path)?.to_json()),
            ConfigVerb::Show { json: false } => print(load(path)?.show().trim_end()),
            ConfigVerb::Policy { json, preset: Some(preset) } => policy(&Policy::of(preset), json),
            ConfigVerb::Policy { json, preset: None } => policy(&super::policy(path)?, json),
            ConfigVerb::Reference => print(config::reference().trim_end()),
            ConfigVerb::Schema { .. } => print(&serde_json::to_string_pretty(&config::schema())?),
        }
    }
}

fn policy(policy: &Policy, json: bool) -> Result<(), Failure> {
    let section = config::as_section(policy)?;
    show(json, &section, toml::to_string(&section)?.trim_end())
}

fn check(path: Option<&Path>, json: bool) -> Result<(), Failure> {
    let checked = load(path);
    if !json {
        let config = checked?;
        let file = config.file().unwrap_or("the environment");
        return print(&format!("`{file}` is valid"));
    }
    match checked {
        Ok(config) => print_json(&json!({ "ok": true, "file": config.file(), "problems": [] })),
        Err(error) => {
            print_json(&json!({ "ok": false, "problems": error.problems }))?;
            Err(Failure::Reported(2))
        }
    }
}

//! `init`: asks for what a first configuration needs, tries each answer at once, and writes the files. What is tried is
//! what `check` looks at; nothing is written to the forge.

mod ask;
mod draft;
mod files;
mod steps;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use self::ask::Questions;
use self::draft::Draft;
use self::files::Files;
use self::steps::Steps;
use super::{Failure, load, one_of, print, print_json};
use crate::config::PLACES;
use crate::triage::Preset;

/// Write a first configuration: asks, and tries each answer at once
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage init\n  gitea-triage init --config /etc/gitea-triage/gitea-triage.toml\n  gitea-triage init --yes --url https://gitea.example.com \\\n      --token-file gitea-token --repo acme/widgets --owner alice\n\nWrites the configuration and, beside it, `webhook-secret` and, unless `--token-file` names one, `gitea-token`, for the user alone (mode 0600). At /etc/gitea-triage/gitea-triage.toml, where the installed service reads it, the configuration is for everybody (0644), the store is the one of the service, and the example of a package is replaced. A file that exists is not overwritten without `--force`. With `--yes`, the first answer that does not work ends it, and nothing is written."
)]
pub(super) struct Init {
    /// Ask nothing: take the flags, and defaults for the rest
    #[arg(short, long)]
    yes: bool,
    /// Address of the forge
    #[arg(short, long, value_name = "URL")]
    url: Option<String>,
    /// A file with the token of the service's account; of a pipe the token is copied to a file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A repository to look after; may be given several times, and `*` stands for any part of a name
    #[arg(short, long = "repo", value_name = "OWNER/NAME", value_delimiter = ',')]
    repos: Vec<String>,
    /// Who is asked where an issue needs a person [default: the owner of the repository]
    #[arg(long, value_name = "LOGIN")]
    owner: Option<String>,
    /// An agent that gets issues by its label, or `none`; may be given several times [default: none]
    #[arg(short, long = "agent", value_name = "ID", value_delimiter = ',')]
    agents: Vec<String>,
    /// The built-in policy to start from [default: practical]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Preset>(Preset::NAMES))]
    preset: Option<Preset>,
    /// Write to issues from the start, instead of only recording what would be written
    #[arg(long)]
    no_dry_run: bool,
    /// Address and port of the service [default: 127.0.0.1:8484]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Address under which the forge reaches the service [default: http:// and the address of --listen]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The store [default: a file beside the configuration, or that of the installed service]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Try nothing on the forge
    #[arg(long)]
    offline: bool,
    /// Overwrite files that exist
    #[arg(short, long)]
    force: bool,
    /// Print JSON: a line for each thing that was tried, and one with the files; needs `--yes`
    #[arg(short, long, requires = "yes")]
    json: bool,
}

impl Init {
    pub(super) async fn run(self, config: Option<&Path>) -> Result<(), Failure> {
        let files = Files::new(config.unwrap_or(Path::new(PLACES[0])), self.token_file.clone())?;
        files.may_be_written(self.force)?;
        let questions = Questions::new(self.yes)?;
        let (json, force) = (self.json, self.force);
        let draft = Steps::new(self, &files, questions).all().await?;
        files.write(&draft, force)?;
        // What was written is read as `serve` reads it, the environment over it.
        load(Some(&files.config))?;
        if json {
            return print_json(&json!({
                "config": files.config, "written": files.written(), "next": next(&files, &draft),
            }));
        }
        let written: Vec<_> = files.written().iter().map(|file| format!("  {file}")).collect();
        let whose = if files.are_of_service() { "the secrets " } else { "" };
        print(&format!("\nWritten, {whose}for this user alone:\n{}\n\nNext:", written.join("\n")))?;
        for (at, step) in next(&files, &draft).iter().enumerate() {
            print(&format!("  {}. {step}", at + 1))?;
        }
        Ok(())
    }
}

/// What there is to do now.
fn next(files: &Files, draft: &Draft) -> Vec<String> {
    let config = files.config.display();
    let named = match files.config == Path::new(PLACES[0]) {
        true => String::new(),
        false => format!(" --config {config}"),
    };
    let mut next = match files.are_of_service() && is_unit_there() {
        true => vec!["systemctl enable --now gitea-triage".to_owned()],
        false => vec![format!("gitea-triage serve{named}")],
    };
    let dry = if draft.dry_run { "GITEA_TRIAGE__TRIAGE__DRY_RUN=false " } else { "" };
    next.push(format!(
        "{dry}gitea-triage hook install{named}\n     creates the webhook; an account that may not administer the repository needs\n     `--hook-token-file FILE` with a token of somebody who may (repository: Read and Write)"
    ));
    next.push(format!("gitea-triage check{named}"));
    if draft.dry_run {
        next.push(format!(
            "open an issue, look at the decision with `gitea-triage explain{named} OWNER/NAME#N`,\n     and take `dry_run = true` out of {config} when decisions look right"
        ));
    }
    next
}

/// Whether systemd knows the service, from a package or as `deploy/install.md` has it.
fn is_unit_there() -> bool {
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|folder| Path::new(folder).join("gitea-triage.service").exists())
}

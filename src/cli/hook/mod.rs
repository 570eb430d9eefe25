//! `hook`: our webhooks on the forge. What is done to them is the `hooks` room's; here it is asked and printed.

mod manage;
mod prove;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::{Failure, block_on, load, print_json, say};
use crate::config::Config;
use crate::gitea::HookPlace;
use crate::hooks::{Keeper, repositories};
use crate::issue::RepoName;
use crate::service;

/// Make, look at, replace and prove the webhooks that bring deliveries here
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage hook install\n  gitea-triage hook install acme/widgets --hook-token-file admin-token\n  gitea-triage hook list --json\n  gitea-triage hook rotate --org acme --dry-run\n  gitea-triage hook test acme/widgets\n\nWithout a place: every repository of `gitea.repos`. A webhook is ours when it sends to `server.public_url` + `/webhook`; no other is touched. Each command can be broken off and repeated."
)]
pub(super) struct Hook {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make it where it is missing, and bring the one there is in order
    Install(Writing),
    /// What is there, and what of it is not in order
    List(Common),
    /// Bring those that are there in order; make none
    Sync {
        /// Lead those that send to this address to ours, after `server.public_url` has changed
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        #[command(flatten)]
        writing: Writing,
    },
    /// Replace it by one with the first of `webhook.secrets`
    #[command(
        after_help = "The steps, each of which can be repeated:\n  1. openssl rand -hex 32 > /run/secrets/webhook-2026\n  2. Put it first in `webhook.secrets`, and give the old one an end:\n       secrets = [\n         { secret_file = \"/run/secrets/webhook-2026\" },\n         { secret_file = \"/run/secrets/webhook\", expires = \"2026-12-31T00:00:00Z\" },\n       ]\n  3. systemctl reload gitea-triage    (or kill -HUP): from now on both are valid\n  4. gitea-triage hook rotate\n  5. When it has expired, take the old entry out.\n\nExamples:\n  gitea-triage hook rotate --dry-run\n  gitea-triage hook rotate acme/widgets"
    )]
    Rotate(Writing),
    /// Prove that a change on the forge arrives here, by one that changes nothing
    Test(Common),
    /// Take it away
    Remove(Writing),
}

#[derive(Debug, Args)]
struct Common {
    /// One repository
    #[arg(value_name = "OWNER/NAME", conflicts_with = "org")]
    repo: Option<RepoName>,
    /// The webhook of an organisation, which tells of all its repositories
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// A file with the token of somebody who may manage webhooks, when the service's own account may not
    #[arg(long, value_name = "FILE", env = "GITEA_TRIAGE_HOOK_TOKEN_FILE")]
    hook_token_file: Option<PathBuf>,
    /// One line of JSON for each place
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Writing {
    #[command(flatten)]
    common: Common,
    /// Show what would be done; nothing is sent but GET
    #[arg(long)]
    dry_run: bool,
    /// Go on where something cannot be known: an `Authorization` header, a service that cannot be reached from here
    #[arg(long)]
    force: bool,
}

/// What one of the verbs does to a place.
enum Deed {
    Install,
    Sync { from: Option<String> },
    Rotate,
    Remove,
    Look,
}

impl Hook {
    pub(super) fn run(self, path: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(path)?;
        block_on(async {
            match self.verb {
                Verb::Install(writing) => manage::write(&config, writing, Deed::Install).await,
                Verb::Sync { from, writing } => {
                    manage::write(&config, writing, Deed::Sync { from }).await
                }
                Verb::Rotate(writing) => manage::write(&config, writing, Deed::Rotate).await,
                Verb::Remove(writing) => manage::write(&config, writing, Deed::Remove).await,
                Verb::List(common) => {
                    let writing = Writing { common, dry_run: true, force: false };
                    manage::write(&config, writing, Deed::Look).await
                }
                Verb::Test(common) => prove::test(&config, &common).await,
            }
        })?
    }
}

/// The token in the file, or the service's own.
pub(in crate::cli) fn hook_token(
    config: &Config,
    file: Option<&PathBuf>,
) -> Result<SecretString, Failure> {
    let Some(file) = file else { return Ok(config.gitea.token.clone()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("`{}` cannot be read: {error}", file.display())))?;
    match text.trim() {
        "" => {
            Err(Failure::Usage(format!("`{}` is empty; write the token into it", file.display())))
        }
        token => Ok(token.to_owned().into()),
    }
}

async fn keeper(config: &Config, writing: &Writing) -> Result<Keeper, Failure> {
    let token = hook_token(config, writing.common.hook_token_file.as_ref())?;
    let dry_run = writing.dry_run || config.triage.dry_run;
    let forge = service::forge_as(config, &token, dry_run)?;
    let wanted = service::wanted_hook(config).ok_or_else(|| {
        let text = "`server.public_url` is missing; it is where the forge sends deliveries, as in \
                    `public_url = \"https://triage.example.com\"`";
        Failure::Usage(text.to_owned())
    })?;
    let server = forge.server().await?;
    Ok(Keeper { forge, server, wanted, is_forced: writing.force })
}

/// The places that are meant. Those the service would ignore are refused, but for taking a webhook away.
async fn places(config: &Config, common: &Common, any: bool) -> Result<Vec<HookPlace>, Failure> {
    let repos = &config.gitea.repos;
    let foreign = |what: &str| {
        Failure::Usage(format!(
            "`{what}` is not among `gitea.repos`, so its deliveries would be ignored; add it there"
        ))
    };
    match (&common.repo, &common.org) {
        (Some(repo), _) if any || repos.allows(repo) => Ok(vec![HookPlace::Repo(repo.clone())]),
        (Some(repo), _) => Err(foreign(&repo.to_string())),
        (None, Some(org)) if any || is_named(config, org) => Ok(vec![HookPlace::Org(org.clone())]),
        (None, Some(org)) => Err(foreign(org)),
        (None, None) => {
            let repos = repositories(&service::forge(config)?, repos).await?;
            Ok(repos.into_iter().map(HookPlace::Repo).collect())
        }
    }
}

fn is_named(config: &Config, org: &str) -> bool {
    let owner = |text: String| text.split('/').next().unwrap_or_default().to_lowercase();
    let fits = |owner: String| owner.contains('*') || owner == org.to_lowercase();
    config.gitea.repos.texts().map(owner).any(fits)
}

/// One place that failed; the others still get their turn.
fn tell_failure(place: &HookPlace, error: anyhow::Error, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let error = format!("{error:#}");
        print_json(&json!({ "place": place, "status": "failed", "error": error }))?;
    }
    Ok(say(&format!("{error:#}"), 1))
}

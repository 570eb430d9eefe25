//! `hook`: the webhooks on the forge. The work is done by the `hooks` room; here it is requested and printed.

mod manage;
mod prove;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::{Failure, complain, print_json};
use crate::config::Config;
use crate::gitea::HookPlace;
use crate::hooks::{Keeper, repositories};
use crate::issue::RepoName;
use crate::service;

/// Install, list, rotate, test and remove the webhooks of this service
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage hook install\n  gitea-triage hook install acme/widgets --hook-token-file admin-token\n  gitea-triage hook list --json\n  gitea-triage hook rotate --org acme --dry-run\n  gitea-triage hook test acme/widgets\n\nWithout a repository or `--org`: every repository of `gitea.repos`. Only webhooks that send to `server.public_url` + `/webhook` are managed; all others stay unchanged. Each command can be interrupted and repeated."
)]
pub(super) struct Hook {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create missing webhooks, and repair existing ones
    Install(Writing),
    /// List the webhooks, and what is wrong with each
    List(Common),
    /// Repair existing webhooks; create none
    Sync {
        /// Change webhooks that send to this old address, after `server.public_url` has changed
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        #[command(flatten)]
        writing: Writing,
    },
    /// Replace each webhook with one that uses the newest secret
    #[command(
        after_help = "The newest secret is the first entry of `webhook.secrets`. The steps, each of which can be repeated:\n  1. openssl rand -hex 32 > /run/secrets/webhook-2026\n  2. Put it first in `webhook.secrets`, and give the old one an expiry date:\n       secrets = [\n         { secret_file = \"/run/secrets/webhook-2026\" },\n         { secret_file = \"/run/secrets/webhook\", expires = \"2026-12-31T00:00:00Z\" },\n       ]\n  3. systemctl reload gitea-triage    (or kill -HUP): both are valid now\n  4. gitea-triage hook rotate\n  5. When the old secret has expired, remove its entry.\n\nExamples:\n  gitea-triage hook rotate --dry-run\n  gitea-triage hook rotate acme/widgets"
    )]
    Rotate(Writing),
    /// Test that deliveries arrive, with a change on the forge that has no effect
    Test(Common),
    /// Remove the webhooks
    Remove(Writing),
}

#[derive(Debug, Args)]
struct Common {
    /// One repository
    #[arg(value_name = "OWNER/NAME", conflicts_with = "org")]
    repo: Option<RepoName>,
    /// The webhook of an organisation, which covers all its repositories
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// A file with a token that may manage webhooks, when the service's own account may not
    #[arg(long, value_name = "FILE", env = "GITEA_TRIAGE_HOOK_TOKEN_FILE")]
    hook_token_file: Option<PathBuf>,
    /// Print one line of JSON for each repository or organisation
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Writing {
    #[command(flatten)]
    common: Common,
    /// Show what would be done; send only GET requests
    #[arg(long)]
    dry_run: bool,
    /// Continue although something cannot be checked: an `Authorization` header, or a service that is not reachable from here
    #[arg(long)]
    force: bool,
}

/// What a command does to the webhook of each place.
enum Operation {
    Install,
    Sync { from: Option<String> },
    Rotate,
    Remove,
    List,
}

impl Hook {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let (writing, operation) = match self.verb {
            Verb::Install(writing) => (writing, Operation::Install),
            Verb::Sync { from, writing } => (writing, Operation::Sync { from }),
            Verb::Rotate(writing) => (writing, Operation::Rotate),
            Verb::Remove(writing) => (writing, Operation::Remove),
            Verb::List(common) => {
                (Writing { common, dry_run: true, force: false }, Operation::List)
            }
            Verb::Test(common) => return prove::test(config, &common).await,
        };
        manage::write(config, writing, operation).await
    }
}

/// The token in the file, or the service's own token.
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
        let text = "`server.public_url` is missing; Gitea sends deliveries to it, as in \
                    `public_url = \"https://triage.example.com\"`";
        Failure::Usage(text.to_owned())
    })?;
    let server = forge.server().await?;
    Ok(Keeper { forge, server, wanted, is_forced: writing.force })
}

/// The chosen repositories or organisation. Places whose deliveries would be ignored are refused, except for `remove`.
async fn places(config: &Config, common: &Common, any: bool) -> Result<Vec<HookPlace>, Failure> {
    let repos = &config.gitea.repos;
    let unknown = |what: &str| {
        Failure::Usage(format!(
            "`{what}` is not among `gitea.repos`, so its deliveries would be ignored; add it there"
        ))
    };
    match (&common.repo, &common.org) {
        (Some(repo), _) if any || repos.allows(repo) => Ok(vec![HookPlace::Repo(repo.clone())]),
        (Some(repo), _) => Err(unknown(&repo.to_string())),
        (None, Some(org)) if any || is_named(config, org) => Ok(vec![HookPlace::Org(org.clone())]),
        (None, Some(org)) => Err(unknown(org)),
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

/// Reports one place that failed; the others are still processed.
fn report_failure(place: &HookPlace, error: anyhow::Error, json: bool) -> Result<(), Failure> {
    let error = format!("{error:#}");
    complain(&error);
    if json {
        print_json(&json!({ "place": place, "status": "failed", "error": error }))?;
    }
    Ok(())
}

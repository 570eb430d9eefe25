//! `hook`: the webhooks on the forge. The work is done by the `hooks` room; here it is requested and printed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::hook_report::{report_failure, show_report};
use super::{Failure, fail_unless, hook_list, open_store, secret, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::gitea::HookPlace;
use crate::hooks::{
    Error, Keeper, Proof, Proven, Receiver, Report, Status, Target, advice, repositories,
};
use crate::issue::RepoName;
use crate::service;

/// How long to wait for the delivery; Gitea polls an idle queue every two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Install, list, rotate, test and remove the webhooks of this service
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage hook install\n  gitea-triage hook install acme/widgets --hook-token-file admin-token\n  gitea-triage hook list\n  gitea-triage hook rotate --org acme --dry-run\n  gitea-triage hook test acme/widgets\n\nWithout a repository or `--org`: every repository of `gitea.repos`. Only webhooks that send to `server.public_url` + `/webhook` are managed; all others stay unchanged. Each command can be interrupted and repeated."
)]
pub(super) struct Hook {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create missing webhooks, and repair existing ones
    #[command(
        after_help = "Examples:\n  gitea-triage hook install\n  gitea-triage hook install acme/widgets --hook-token-file admin-token\n  gitea-triage hook install --org acme --dry-run"
    )]
    Install(Writing),
    /// List every webhook, which are ours, and what is wrong with those
    #[command(
        after_help = "Examples:\n  gitea-triage hook list\n  gitea-triage hook list --json | jq '.hooks[] | select(.is_ours)'\n\nThe API of Gitea and of Forgejo does not tell when a webhook last sent something. Of ours, LAST is the newest delivery about an issue among the last 1000 that arrived here; of others it is not known. Of the address of a webhook that is not ours, what may be a password is left out."
    )]
    List(Common),
    /// Repair existing webhooks; create none
    #[command(
        after_help = "Examples:\n  gitea-triage hook sync --dry-run\n  gitea-triage hook sync --from https://old.example.com/webhook"
    )]
    Sync {
        /// Change webhooks that send to this old address, after `server.public_url` has changed
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        #[command(flatten)]
        writing: Writing,
    },
    /// Replace each webhook with one that uses the newest secret
    #[command(
        after_help = "Examples:\n  gitea-triage hook rotate --dry-run\n  gitea-triage hook rotate acme/widgets\n\nThe newest secret is the first entry of `webhook.secrets`. The steps, each of which can be repeated:\n  1. openssl rand -hex 32 > /run/secrets/webhook-2026\n  2. Put it first in `webhook.secrets`, and give the old one an expiry date:\n       secrets = [\n         { secret_file = \"/run/secrets/webhook-2026\" },\n         { secret_file = \"/run/secrets/webhook\",\n           expires = \"2026-12-31T00:00:00Z\" },\n       ]\n  3. systemctl reload gitea-triage   (or kill -HUP): both are valid now\n  4. gitea-triage hook rotate\n  5. When the old secret has expired, remove its entry."
    )]
    Rotate(Writing),
    /// Test that deliveries arrive, with a change on the forge that has no effect
    #[command(
        after_help = "Examples:\n  gitea-triage hook test\n  gitea-triage hook test acme/widgets --json\n\nSends an empty list of labels to an issue, for which the forge sends a delivery without changing the issue."
    )]
    Test(Common),
    /// Remove the webhooks
    #[command(
        after_help = "Examples:\n  gitea-triage hook remove acme/widgets --dry-run\n  gitea-triage hook remove --org acme"
    )]
    Remove(Writing),
}

#[derive(Debug, Args)]
struct Common {
    /// One repository
    #[arg(value_name = "OWNER/NAME", conflicts_with = "org")]
    repo: Option<RepoName>,
    /// The webhook of an organisation, which covers all its repositories
    #[arg(short, long, value_name = "NAME")]
    org: Option<String>,
    /// A file with a token that may manage webhooks, when the service's own account may not
    #[arg(long, value_name = "FILE", env = "GITEA_TRIAGE_HOOK_TOKEN_FILE")]
    hook_token_file: Option<PathBuf>,
    /// Print one line of JSON for each repository or organisation
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Writing {
    #[command(flatten)]
    common: Common,
    /// Show what would be done; send only GET requests
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Continue although something cannot be checked: an `Authorization` header, or a service that is not reachable from here
    #[arg(short, long)]
    force: bool,
}

impl Hook {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let (common, is_dry_run, is_forced) = match &self.verb {
            Verb::Test(common) => return test(config, common).await,
            Verb::List(common) => (common, true, false),
            Verb::Install(writing)
            | Verb::Sync { writing, .. }
            | Verb::Rotate(writing)
            | Verb::Remove(writing) => (&writing.common, writing.dry_run, writing.force),
        };
        let places = places(config, common, matches!(self.verb, Verb::Remove(_))).await?;
        let token = hook_token(config, common.hook_token_file.as_ref())?;
        let forge = service::forge_as(config, &token, is_dry_run || config.triage.dry_run)?;
        let wanted = service::wanted_hook(config).ok_or_else(|| {
            let text = "`server.public_url` is missing; the forge sends deliveries to it, as in \
                        `public_url = \"https://triage.example.com\"`";
            Failure::Usage(text.to_owned())
        })?;
        let memory = open_store(config).ok();
        let keeper = Keeper { server: forge.server().await?, forge, wanted, is_forced, memory };
        if matches!(self.verb, Verb::List(_)) {
            return hook_list::list(&keeper, &places, common.json).await;
        }
        let (mut is_fine, mut is_withheld) = (true, false);
        for place in &places {
            match self.verb.act(&keeper, place).await {
                Ok(report) => {
                    is_withheld |= report.dry_run;
                    is_fine &= report.status != Status::Blocked;
                    show_report(&report, common.json)?;
                }
                Err(error) => {
                    is_fine = false;
                    report_failure(place, error.into(), common.json)?;
                }
            }
        }
        if is_withheld && !is_dry_run {
            return Err(anyhow!(
                "nothing was written: `triage.dry_run` is on; turn it off, or for this command only use \
                 `GITEA_TRIAGE__TRIAGE__DRY_RUN=false gitea-triage hook …`"
            )
            .into());
        }
        fail_unless(is_fine)
    }
}

impl Verb {
    async fn act(&self, keeper: &Keeper, place: &HookPlace) -> Result<Report, Error> {
        let now = Clock::System.now();
        match self {
            Self::Install(_) => keeper.install(place, now).await,
            Self::Sync { from, .. } => keeper.sync(place, from.as_deref()).await,
            Self::Rotate(_) => keeper.rotate(place, now).await,
            Self::Remove(_) => keeper.remove(place).await,
            // Both were told apart before.
            Self::List(_) | Self::Test(_) => keeper.inspect(place).await,
        }
    }
}

/// The token in the file, or the service's own token.
pub(super) fn hook_token(config: &Config, file: Option<&PathBuf>) -> Result<SecretString, Failure> {
    let Some(file) = file else { return Ok(config.gitea.token.clone()) };
    secret(file, "token")
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

/// `hook test`: makes a change without effect on the forge, and waits for its delivery.
async fn test(config: &Config, common: &Common) -> Result<(), Failure> {
    let forge = service::forge(config)?;
    let url = service::wanted_hook(config).map(|w| w.url).unwrap_or_default();
    let (target, server) = (Target::of(&url).await, forge.server().await?);
    let proof = Proof {
        forge: forge.clone(),
        store: open_store(config)?,
        receiver: Receiver::new(&config.server.listen)?,
        patience: PATIENCE,
    };
    let answer = proof.receiver.get("healthz").await;
    answer.with_context(|| {
        format!("no service answers at `{}`; start `gitea-triage serve`", proof.receiver.address)
    })?;
    let mut is_fine = true;
    for place in places(config, common, false).await? {
        let repos = match &place {
            HookPlace::Repo(repo) => vec![repo.clone()],
            HookPlace::Org(org) => {
                let mut repos = repositories(&forge, &config.gitea.repos).await?;
                repos.retain(|repo| repo.owner().eq_ignore_ascii_case(org));
                repos
            }
        };
        match prove(&proof, &repos).await {
            Ok(proven) => {
                let advice = advice(&proven, &place, &target, &server);
                is_fine &= advice.is_none();
                show_proven(&place, &proven, advice, common.json)?;
            }
            Err(error) => {
                is_fine = false;
                report_failure(&place, error, common.json)?;
            }
        }
    }
    fail_unless(is_fine)
}

/// The result of the first repository that has an issue.
async fn prove(proof: &Proof, repos: &[RepoName]) -> anyhow::Result<Proven> {
    for repo in repos {
        match proof.of(repo).await? {
            Proven::NoIssue => {}
            proven => return Ok(proven),
        }
    }
    Ok(Proven::NoIssue)
}

fn show_proven(
    place: &HookPlace,
    proven: &Proven,
    advice: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let (mut arrived, seconds) = (None, PATIENCE.as_secs());
    let (result, said) = match proven {
        Proven::Arrived { issue, ms } => {
            arrived = Some((issue, ms));
            ("arrived".to_owned(), format!("arrived after {ms} ms ({issue})"))
        }
        Proven::NoIssue => ("no_issue".to_owned(), "has no issue to test with".to_owned()),
        Proven::Refused { why } => (format!("refused: {why}"), format!("was refused: {why}")),
        Proven::Nothing => {
            ("nothing".to_owned(), format!("no delivery arrived within {seconds} s"))
        }
        Proven::DryRun => ("dry_run".to_owned(), "was not tested".to_owned()),
    };
    let value = json!({
        "place": place, "result": result, "issue": arrived.map(|(issue, _)| issue),
        "ms": arrived.map(|(_, ms)| ms), "advice": advice,
    });
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    show(json, &value, &format!("{:<32} {said}{advice}", place.to_string()))
}

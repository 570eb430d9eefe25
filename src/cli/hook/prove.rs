//! `hook test`: makes a change without effect on the forge, and waits for its delivery.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::{Common, places, report_failure};
use crate::cli::{Failure, fail_unless, open_store, print, print_json};
use crate::config::Config;
use crate::gitea::{self as forge, HookPlace};
use crate::hooks::{Proof, Proven, Receiver, Target, advice, repositories};
use crate::issue::RepoName;
use crate::service;

/// How long to wait for the delivery; Gitea polls an idle queue every two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn test(config: &Config, common: &Common) -> Result<(), Failure> {
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
    for (place, repos) in trials(config, common, &forge).await? {
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

/// Each place with the repositories in which it can be tested.
async fn trials(
    config: &Config,
    common: &Common,
    forge: &forge::Client,
) -> Result<Vec<(HookPlace, Vec<RepoName>)>, Failure> {
    let mut trials = Vec::new();
    for place in places(config, common, false).await? {
        let repos = match &place {
            HookPlace::Repo(repo) => vec![repo.clone()],
            HookPlace::Org(org) => {
                let mut repos = repositories(forge, &config.gitea.repos).await?;
                repos.retain(|repo| repo.owner().eq_ignore_ascii_case(org));
                repos
            }
        };
        trials.push((place, repos));
    }
    Ok(trials)
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
    if json {
        let (result, issue, ms) = match proven {
            Proven::Arrived { issue, ms } => ("arrived".to_owned(), Some(issue), Some(ms)),
            Proven::NoIssue => ("no_issue".to_owned(), None, None),
            Proven::Refused { why } => (format!("refused: {why}"), None, None),
            Proven::Nothing => ("nothing".to_owned(), None, None),
            Proven::DryRun => ("dry_run".to_owned(), None, None),
        };
        return print_json(&json!({
            "place": place, "result": result, "issue": issue, "ms": ms, "advice": advice,
        }));
    }
    let said = match proven {
        Proven::Arrived { issue, ms } => format!("arrived after {ms} ms ({issue})"),
        Proven::NoIssue => "has no issue to test with".to_owned(),
        Proven::Refused { why } => format!("was refused: {why}"),
        Proven::Nothing => format!("no delivery arrived within {} s", PATIENCE.as_secs()),
        Proven::DryRun => "was not tested".to_owned(),
    };
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    print(&format!("{:<32} {said}{advice}", place.to_string()))
}

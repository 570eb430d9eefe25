//! `hook test`: a change that changes nothing, and the wait for its delivery.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::{Common, places, tell_failure};
use crate::cli::{Failure, open_store, print, print_json};
use crate::config::Config;
use crate::gitea::{self as forge, HookPlace};
use crate::hooks::{Proof, Proven, Receiver, Target, advice, repositories};
use crate::issue::RepoName;
use crate::service;

/// How long a delivery may take; Gitea looks at an idle queue every two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn test(config: &Config, common: &Common) -> Result<ExitCode, Failure> {
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
        format!("no service answers at `{}`; start `gitea-triage serve`", proof.receiver.address())
    })?;
    let mut code = ExitCode::SUCCESS;
    for (place, repos) in trials(config, common, &forge).await? {
        match prove(&proof, &repos).await {
            Ok(proven) => {
                let advice = advice(&proven, &place, &target, &server);
                if advice.is_some() {
                    code = ExitCode::FAILURE;
                }
                show_proven(&place, &proven, advice, common.json)?;
            }
            Err(error) => code = tell_failure(&place, error, common.json)?,
        }
    }
    Ok(code)
}

/// Each place with the repositories that can speak for it.
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

/// The first answer of a repository that has an issue.
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
        Proven::NoIssue => "has no issue that could tell of itself".to_owned(),
        Proven::Refused { why } => format!("was refused: {why}"),
        Proven::Nothing => format!("nothing came within {} s", PATIENCE.as_secs()),
        Proven::DryRun => "was not tried".to_owned(),
    };
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    print(&format!("{:<32} {said}{advice}", place.to_string()))
}

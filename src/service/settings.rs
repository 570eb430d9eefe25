//! From the configuration to the settings of each part.

use std::sync::Arc;

use anyhow::anyhow;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::agents::local::{LocalRules, SubIssues};
use crate::apply::LabelRules;
use crate::config::{Config, RunnerEntry};
use crate::dispatch::AgentId;
use crate::dispatch::run::Terms;
use crate::gitea as forge;
use crate::hooks::{Wanted, local_address};
use crate::receive::{KnownRunner, Links, RunRules};
use crate::store::Place;
use crate::triage::Authors;
use crate::{dashboard, summary, sweep};

/// Where `store.url` says that the store is.
///
/// # Errors
/// When it says something else.
pub fn database(config: &Config) -> anyhow::Result<Place> {
    let place = Place::parse(&config.store.url, config.store.password.as_ref());
    place.map_err(|error| anyhow!("`store.url` cannot be used: {error}"))
}

/// A client for the forge in a configuration.
///
/// # Errors
/// When its address or token cannot be used.
pub fn forge(config: &Config) -> anyhow::Result<forge::Client> {
    forge_as(config, &config.gitea.token, config.triage.dry_run)
}

/// A client for the same forge with another token, or another answer to whether it may write.
///
/// # Errors
/// When its address or token cannot be used.
pub fn forge_as(
    config: &Config,
    token: &SecretString,
    dry_run: bool,
) -> anyhow::Result<forge::Client> {
    let token = token.expose_secret();
    let settings = forge_settings(config);
    Ok(forge::Client::new(forge::Settings { dry_run, token: token.into(), ..settings })?)
}

pub(super) fn forge_settings(config: &Config) -> forge::Settings {
    forge::Settings {
        dry_run: config.triage.dry_run,
        account: config.gitea.account.clone(),
        connect_timeout: config.gitea.connect_timeout,
        timeout: config.gitea.timeout,
        ..forge::Settings::new(config.gitea.url.clone(), config.gitea.token.expose_secret())
    }
}

pub(super) fn labels(config: &Config) -> LabelRules {
    LabelRules { create: config.labels.create, color: config.labels.color.clone() }
}

/// What the local agent has to respect.
pub(super) fn local_rules(config: &Config) -> LocalRules {
    let Config { agents, triage, local_agent, .. } = config;
    let labels = agents.list.iter().filter_map(|agent| agent.label.clone());
    let labels = labels.chain(triage.ignore_labels.iter().cloned());
    LocalRules {
        agents: agents.list.clone(),
        reserved_labels: labels
            .chain(triage.flag_label.clone())
            .chain(triage.approve_label.clone().filter(|_| triage.authors != Authors::Anyone))
            .collect(),
        owner: triage.owner.clone(),
        asks_first: local_agent.as_ref().is_none_or(|l| l.sub_issues == SubIssues::Ask),
        budgets: local_agent.as_ref().map(|l| l.budgets.clone()).unwrap_or_default(),
    }
}

pub(super) fn summary(config: &Config) -> summary::Settings {
    let schedule = summary::Schedule { at: config.summary.at, timezone: config.summary.timezone };
    summary::Settings {
        enabled: config.summary.enabled,
        schedule,
        close_previous: config.summary.close_previous,
        repos: config.gitea.repos.clone(),
        owner: config.triage.owner.clone(),
        timeout: config.gitea.timeout,
    }
}

pub(super) fn secrets(config: &Config) -> Vec<forge::Secret> {
    let secrets = config.webhook.secrets.iter().map(|entry| forge::Secret {
        key: entry.secret.clone(),
        expires: entry.expires,
        repos: entry.repos.as_ref().map(|p| p.texts().collect()),
    });
    secrets.collect()
}

/// What webhooks of this configuration have to be; `None` without a `server.public_url`.
pub fn wanted_hook(config: &Config) -> Option<Wanted> {
    let url = format!("{}/webhook", config.server.public_url.as_ref()?);
    Some(Wanted { url, secrets: secrets(config) })
}

/// Who may take runs, and what they are told.
pub(super) fn runs(config: &Config) -> RunRules {
    let known = |entry: &RunnerEntry| KnownRunner {
        name: entry.name.clone(),
        // What is no digest was refused before; it is nobody's.
        digest: hex::decode(&entry.token_sha256).unwrap_or_default(),
        agents: entry.agents.iter().map(AgentId::new).collect(),
    };
    let runs = &config.runs;
    RunRules {
        runners: config.runner.iter().map(known).collect(),
        lease: runs.lease,
        terms: Terms {
            lease_s: runs.lease.as_secs(),
            stall_s: runs.stall_timeout.as_secs(),
            max_tokens: runs.max_tokens,
            is_draft: runs.draft,
            turns: if runs.follow_up { config.dispatch.max_attempts } else { 1 },
        },
        budgets: Arc::new(super::rules::budgets(config)),
        log_limit: runs.log_limit,
        is_dry_run: config.triage.dry_run,
    }
}

/// The addresses in answers to deliveries. Without a dashboard, deliveries have no pages.
pub(super) fn links(config: &Config) -> Links {
    let url = public_url(config);
    let deliveries = config.dashboard.is_on().then(|| format!("{url}/deliveries/"));
    Links { webhook: format!("{url}/webhook"), deliveries }
}

pub(super) fn sweep(config: &Config) -> sweep::Settings {
    sweep::Settings {
        repos: config.gitea.repos.clone(),
        every: config.sweep.every,
        full_every: config.sweep.full_every,
        rules: rules_digest(config),
    }
}

/// What changes when an issue may be decided differently than before. Of a secret it knows only that there is one.
fn rules_digest(config: &Config) -> String {
    let rules = (&config.policy, &config.triage, &config.dispatch, &config.review);
    let text = format!("{rules:?} {:?}", config.agents.list);
    hex::encode(&Sha256::digest(text)[..8])
}

/// The address under which people reach the pages.
pub(super) fn public_url(config: &Config) -> String {
    let listens = || format!("http://{}", local_address(&config.server.listen));
    config.server.public_url.clone().unwrap_or_else(listens)
}

/// The dashboard's settings.
pub(super) fn dashboard(config: &Config) -> anyhow::Result<dashboard::Settings> {
    let admins = config.dashboard.admins.clone();
    let owner = config.triage.owner.clone();
    Ok(dashboard::Settings {
        public_url: public_url(config),
        token: config.dashboard.token.clone(),
        sign_in: sign_in(config)?,
        admins: if admins.is_empty() { owner.clone().into_iter().collect() } else { admins },
        open_to_readers: config.dashboard.open_to_readers,
        repos: config.gitea.repos.clone(),
        owner,
        timezone: config.summary.timezone,
        agents: config.agents.list.clone(),
        budgets: Arc::new(super::rules::budgets(config)),
        dry_run: config.triage.dry_run,
    })
}

fn sign_in(config: &Config) -> anyhow::Result<Option<forge::SignIn>> {
    let dashboard = &config.dashboard;
    let oauth = dashboard.client_id.clone().zip(dashboard.client_secret.clone());
    let Some((client_id, client_secret)) = oauth else { return Ok(None) };
    let sign_in = forge::SignIn::new(forge::Application {
        url: config.gitea.url.clone(),
        browser_url: dashboard.gitea_url.clone().unwrap_or_else(|| config.gitea.url.clone()),
        client_id,
        client_secret,
        redirect_uri: format!("{}/sign-in/callback", public_url(config)),
        connect_timeout: config.gitea.connect_timeout,
        timeout: config.gitea.timeout,
    });
    Ok(Some(sign_in?))
}

//! From the configuration to the settings of each part.

use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Config;
use crate::gitea as forge;
use crate::hooks::Wanted;
use crate::{dashboard, summary, sweep};

/// The database file that `store.url` names.
///
/// # Errors
/// When it names something else.
pub fn database(config: &Config) -> anyhow::Result<PathBuf> {
    let path = config.store.url.strip_prefix("sqlite:");
    let path = path.with_context(|| {
        format!("`store.url` is `{}`; write `sqlite:` and the path of a file", config.store.url)
    })?;
    Ok(PathBuf::from(path.strip_prefix("//").filter(|p| p.starts_with('/')).unwrap_or(path)))
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
    let settings = forge::Settings {
        dry_run,
        account: config.gitea.account.clone(),
        connect_timeout: config.gitea.connect_timeout,
        timeout: config.gitea.timeout,
        ..forge::Settings::new(config.gitea.url.clone(), token.expose_secret())
    };
    Ok(forge::Client::new(settings)?)
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

pub(super) fn verifier(config: &Config) -> forge::Verifier {
    forge::Verifier::new(secrets(config))
}

fn secrets(config: &Config) -> Vec<forge::Secret> {
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

pub(super) fn sweep(config: &Config) -> sweep::Settings {
    sweep::Settings {
        repos: config.gitea.repos.clone(),
        every: config.sweep.every,
        full_every: config.sweep.full_every,
    }
}

/// The address under which people reach the pages.
pub(super) fn public_url(config: &Config) -> String {
    let listens = || format!("http://{}", config.server.listen);
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
        repos: config.gitea.repos.clone(),
        owner,
        agents: config.agents.list.clone(),
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

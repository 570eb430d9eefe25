//! The dashboard's part of the wiring: what it is told and what it is made from.

use std::sync::Arc;

use actix_web::web::Data;
use tokio::sync::Notify;

use crate::config::Config;
use crate::dashboard::{self, Dashboard};
use crate::gitea as forge;
use crate::store::Store;
use crate::worker::Worker;

/// The name under which the store keeps what the dashboard's cookies are sealed with.
const COOKIE_SALT: &str = "cookie_salt";

/// The address under which people reach the pages.
pub(super) fn public_url(config: &Config) -> String {
    let listens = || format!("http://{}", config.server.listen);
    config.server.public_url.clone().unwrap_or_else(listens)
}

/// A dashboard over these parts.
pub(super) async fn dashboard(
    config: &Config,
    parts: dashboard::Parts,
) -> anyhow::Result<Data<Dashboard>> {
    let salt = cookie_salt(&parts.store).await?;
    Ok(Data::new(Dashboard::new(parts, settings(config)?, &salt)))
}

/// What a configuration tells the dashboard.
pub(super) fn settings(config: &Config) -> anyhow::Result<dashboard::Settings> {
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
    let Some(oauth) = &config.dashboard.oauth else { return Ok(None) };
    let sign_in = forge::SignIn::new(forge::Application {
        url: config.gitea.url.clone(),
        browser_url: oauth.url.clone().unwrap_or_else(|| config.gitea.url.clone()),
        client_id: oauth.client_id.clone(),
        client_secret: oauth.client_secret.clone(),
        redirect_uri: format!("{}/sign-in/callback", public_url(config)),
        patience: forge::Patience {
            connect: config.gitea.connect_timeout,
            answer: config.gitea.timeout,
        },
    });
    Ok(Some(sign_in?))
}

/// What makes the dashboard's cookies differ from any other's: made once, and kept in the store.
async fn cookie_salt(store: &Store) -> anyhow::Result<String> {
    if let Some(salt) = store.fact(COOKIE_SALT).await? {
        return Ok(salt);
    }
    let salt = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    store.remember(COOKIE_SALT, salt.clone()).await?;
    Ok(salt)
}

/// Tells the worker that something may be waiting, read or not.
pub(super) fn wake(worker: &Worker, arrived: &Arc<Notify>) -> Box<dyn Fn() + Send + Sync> {
    let (worker, arrived) = (worker.clone(), Arc::clone(arrived));
    Box::new(move || {
        arrived.notify_one();
        worker.wake();
    })
}

//! The people whom the configuration names: found out which accounts they are, and what those are called by now.

use std::time::Duration;

use super::Parts;
use crate::config::Config;
use crate::gitea as forge;
use crate::issue::NamedPeople;
use crate::store::Store;

/// How often the forge is asked, and how often again when it did not answer.
const EVERY: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(60));
/// The name under which the store keeps which accounts they are.
const PEOPLE: &str = "people";

/// All logins that the configuration gives something to.
fn logins(config: &Config) -> Vec<String> {
    let owner = config.triage.owner.iter();
    let members = config.rotation.iter().flat_map(|rotation| &rotation.members);
    let all = config.dashboard.admins.iter().chain(&config.triage.commanders).chain(owner);
    let all = all.chain(members.map(|member| &member.login));
    all.cloned().collect()
}

/// What was known of them before the start.
pub(super) async fn recall(store: &Store, config: &Config) -> anyhow::Result<NamedPeople> {
    let text = store.fact(PEOPLE).await?.unwrap_or_default();
    let people = NamedPeople::recall(&text);
    take(&people, config);
    Ok(people)
}

/// Takes over whom a configuration names.
pub(super) fn take(people: &NamedPeople, config: &Config) {
    people.keep_only(&logins(config));
    people.set_commanders(config.triage.commanders.clone());
}

/// Asks again and again who they are, and has the owner called by the present name.
pub(super) async fn know(parts: Parts) {
    let (late, soon) = EVERY;
    let mut kept = parts.named.text();
    loop {
        let config = parts.config.load_full();
        let mut is_complete = true;
        let mut has_news = false;
        for login in logins(&config) {
            match ask(&parts, &login).await {
                Ok(is_news) => has_news |= is_news,
                Err(error) => {
                    tracing::debug!(%error, login, "it could not be asked whose login this is");
                    is_complete = false;
                }
            }
        }
        if has_news && let Err(error) = parts.follow_owner() {
            tracing::warn!(%error, "the owner's new name could not be taken over");
        }
        let text = parts.named.text();
        if text != kept && parts.store.remember(PEOPLE, text.clone()).await.is_ok() {
            kept = text;
        }
        let pause = if is_complete { late } else { soon };
        let _ = tokio::time::timeout(pause, parts.reloaded.notified()).await;
    }
}

/// Finds out which account has the login, and what the account is called that it stands for; whether that is news.
async fn ask(parts: &Parts, login: &str) -> Result<bool, forge::Error> {
    let named = &parts.named;
    let found = match parts.forge.account(login).await {
        Ok(found) => found,
        // The login leads to the account that had it.
        Err(forge::Error::Renamed { to, .. }) => parts.forge.account(&to).await?,
        Err(error) => return Err(error),
    };
    let known = named.id(login);
    let now = match (known, found) {
        (None, None) => return Ok(false),
        (None, Some(account)) => {
            named.is(login, &account);
            return Ok(named.is_now_called(login, Some(&account.login)));
        }
        (Some(id), Some(account)) if account.id == id => Some(account.login),
        (Some(id), _) => parts.forge.login_of(id).await?,
    };
    let is_news = named.is_now_called(login, now.as_deref());
    if is_news {
        let now = now.as_deref().unwrap_or("nobody");
        tracing::warn!(
            login,
            now,
            "a login in the configuration is no longer that of the account it was given to; correct it"
        );
    }
    Ok(is_news)
}

//! Sessions: an encrypted cookie with the visitor, the CSRF token, and the state of a sign-in in progress. Nothing is
//! stored on the server.

use std::marker::PhantomData;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::SameSite;
use actix_web::web::Data;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Dashboard;
use super::settings::Settings;
use crate::clock::{Timestamp, from_millis};
use crate::gitea::Flow;
use crate::issue::Account;

/// How long somebody stays signed in, in seconds.
const LIFETIME_S: i64 = 12 * 3_600;
/// How long permissions are trusted before they are checked again, in seconds.
const RECHECK_S: i64 = 5 * 60;

/// A value of a session, by its name and type.
pub(super) struct Key<T>(&'static str, PhantomData<T>);

/// Who signed in.
pub(super) const VISITOR: Key<Visitor> = Key("visitor", PhantomData);
/// The sign-in in progress; it is taken once.
pub(super) const SIGN_IN: Key<PendingSignIn> = Key("sign_in", PhantomData);
/// The mark of what they signed in with; another token or application ends the session.
pub(super) const SIGNED_WITH: Key<String> = Key("signed_with", PhantomData);
/// A message for the next page.
pub(super) const NOTICE: Key<String> = Key("notice", PhantomData);
const CSRF: Key<String> = Key("csrf", PhantomData);

/// Encrypts and decrypts the cookies of this dashboard.
pub(super) fn middleware(dashboard: &Data<Dashboard>) -> SessionMiddleware<CookieSessionStore> {
    let settings = dashboard.settings();
    SessionMiddleware::builder(CookieSessionStore::default(), dashboard.key.clone())
        .cookie_name("gitea_triage_session".to_owned())
        .cookie_path(format!("{}/", settings.base()))
        .cookie_secure(settings.is_secure())
        .cookie_http_only(true)
        // Lax, not Strict: the redirect from the forge and links in comments come from another site.
        .cookie_same_site(SameSite::Lax)
        .cookie_content_security(CookieContentSecurity::Private)
        .build()
}

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    who: Who,
    since: i64,
    checked: i64,
}

/// How they signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Who {
    /// With the dashboard's own token.
    Token,
    /// With an account of the forge.
    Account(Account),
}

impl Who {
    /// The mark of what they sign in with now; `None` when that way is closed.
    pub fn mark(&self, settings: &Settings) -> Option<String> {
        match self {
            Self::Token => settings.token_mark(),
            Self::Account(_) => settings.application_mark(),
        }
    }
}

impl Visitor {
    /// Somebody who signs in now.
    pub fn new(who: Who, now: Timestamp) -> Self {
        Self { who, since: now.timestamp(), checked: now.timestamp() }
    }

    /// How they signed in.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Their name, as shown and as the author of commands.
    pub fn name(&self) -> &str {
        match &self.who {
            Who::Token => "the dashboard's token",
            Who::Account(account) => &account.login,
        }
    }

    /// Whether they are an admin.
    pub fn is_admin(&self, settings: &Settings) -> bool {
        match &self.who {
            Who::Token => settings.token.is_some(),
            Who::Account(account) => settings.is_admin(&account.login),
        }
    }

    /// Whether the session has expired.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now - from_millis(self.since * 1_000) > chrono::TimeDelta::seconds(LIFETIME_S)
    }

    /// Whether their permissions have to be checked again.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now - from_millis(self.checked * 1_000) > chrono::TimeDelta::seconds(RECHECK_S)
    }

    /// The same person after a check, under their current login.
    pub fn checked(self, login: &str, now: Timestamp) -> Self {
        let who = match self.who {
            Who::Account(Account { id, .. }) => {
                Who::Account(Account { id, login: login.to_owned() })
            }
            Who::Token => Who::Token,
        };
        Self { who, checked: now.timestamp(), ..self }
    }
}

/// A sign-in through the forge that is in progress.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PendingSignIn {
    /// The OAuth2 state.
    pub flow: Flow,
    /// The page to show after the sign-in.
    pub next: String,
}

/// The contents of a session; a value that cannot be read counts as absent.
pub(super) trait SessionExt {
    fn read<T: DeserializeOwned>(&self, key: &Key<T>) -> Option<T>;
    fn keep<T: Serialize>(&self, key: &Key<T>, value: &T);
    /// Reads a value and removes it.
    fn take<T: DeserializeOwned>(&self, key: &Key<T>) -> Option<T>;

    /// Shows a message on the next page.
    fn notify(&self, text: &str) {
        self.keep(&NOTICE, &text.to_owned());
    }

    /// The CSRF token; created when there is none yet.
    fn csrf(&self) -> String {
        self.read(&CSRF).unwrap_or_else(|| {
            let half = || uuid::Uuid::new_v4().simple().to_string();
            let token = half() + &half();
            self.keep(&CSRF, &token);
            token
        })
    }

    fn is_csrf(&self, given: &str) -> bool {
        let kept = self.read(&CSRF);
        kept.is_some_and(|kept| Sha256::digest(kept) == Sha256::digest(given))
    }
}

impl SessionExt for Session {
    fn read<T: DeserializeOwned>(&self, key: &Key<T>) -> Option<T> {
        self.get(key.0).ok().flatten()
    }

    fn keep<T: Serialize>(&self, key: &Key<T>, value: &T) {
        if let Err(error) = self.insert(key.0, value) {
            tracing::warn!(%error, "a session could not be stored");
        }
    }

    fn take<T: DeserializeOwned>(&self, key: &Key<T>) -> Option<T> {
        // Removing nothing would still write the cookie anew.
        self.read(key).inspect(|_| drop(self.remove(key.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::settings;

    #[test]
    fn a_session_expires_and_permissions_are_checked_again() {
        let start = from_millis(1_774_267_200_000);
        let account = Account { id: 5, login: "bob".into() };
        let visitor = Visitor::new(Who::Account(account), start);
        let later = |seconds| start + chrono::TimeDelta::seconds(seconds);
        assert!(!visitor.is_over(later(LIFETIME_S)) && visitor.is_over(later(LIFETIME_S + 1)));
        assert!(!visitor.is_stale(later(RECHECK_S)) && visitor.is_stale(later(RECHECK_S + 1)));
        let renamed = visitor.checked("robert", later(400));
        assert_eq!(renamed.name(), "robert");
        assert!(!renamed.is_stale(later(500)) && renamed.is_over(later(LIFETIME_S + 1)));
    }

    #[test]
    fn the_token_is_an_admin_and_of_the_people_only_those_listed() {
        let now = from_millis(0);
        let person =
            |login: &str| Visitor::new(Who::Account(Account { id: 5, login: login.into() }), now);
        let mut settings = settings::at("http://x.example");
        assert!(Visitor::new(Who::Token, now).is_admin(&settings));
        assert!(person("Alice").is_admin(&settings) && !person("bob").is_admin(&settings));
        settings.token = None;
        assert!(!Visitor::new(Who::Token, now).is_admin(&settings), "a token that was removed");
    }
}

//! Sessions: an encrypted cookie with the visitor, the CSRF token, and the state of a sign-in in progress. Nothing is
//! stored on the server.

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

const VISITOR: &str = "visitor";
const CSRF: &str = "csrf";
const SIGN_IN: &str = "sign_in";
const NOTICE: &str = "notice";

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
    fn visitor(&self) -> Option<Visitor>;
    fn keep_visitor(&self, visitor: &Visitor);
    /// The CSRF token; created when there is none yet.
    fn csrf(&self) -> String;
    fn is_csrf(&self, given: &str) -> bool;
    fn keep_sign_in(&self, pending: &PendingSignIn);
    /// Removes it: it is valid once.
    fn take_sign_in(&self) -> Option<PendingSignIn>;
    /// Shows a message on the next page.
    fn notify(&self, text: &str);
    fn take_notice(&self) -> Option<String>;
}

fn get<T: DeserializeOwned>(session: &Session, name: &str) -> Option<T> {
    session.get(name).ok().flatten()
}

fn put<T: Serialize>(session: &Session, name: &str, value: &T) {
    if let Err(error) = session.insert(name, value) {
        tracing::warn!(%error, "a session could not be stored");
    }
}

impl SessionExt for Session {
    fn visitor(&self) -> Option<Visitor> {
        get(self, VISITOR)
    }

    fn keep_visitor(&self, visitor: &Visitor) {
        put(self, VISITOR, visitor);
    }

    fn csrf(&self) -> String {
        get(self, CSRF).unwrap_or_else(|| {
            let token =
                format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            put(self, CSRF, &token);
            token
        })
    }

    fn is_csrf(&self, given: &str) -> bool {
        let kept: Option<String> = get(self, CSRF);
        kept.is_some_and(|kept| Sha256::digest(kept) == Sha256::digest(given))
    }

    fn keep_sign_in(&self, pending: &PendingSignIn) {
        put(self, SIGN_IN, pending);
    }

    fn take_sign_in(&self) -> Option<PendingSignIn> {
        let pending = get(self, SIGN_IN);
        self.remove(SIGN_IN);
        pending
    }

    fn notify(&self, text: &str) {
        put(self, NOTICE, &text);
    }

    fn take_notice(&self) -> Option<String> {
        let notice = get(self, NOTICE);
        if notice.is_some() {
            self.remove(NOTICE);
        }
        notice
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

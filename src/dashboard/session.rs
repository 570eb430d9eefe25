//! The encrypted cookie: the CSRF token, the state of a sign-in in progress, and what stands for a session. The session
//! itself is in the store, where it can be ended.

use std::marker::PhantomData;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{self, Cookie, CookieJar, SameSite};
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Dashboard;
use crate::gitea::Flow;
use crate::store::{self, Sight};

/// How long somebody stays signed in.
pub(super) const LIFETIME: TimeDelta = TimeDelta::hours(12);
/// The name of the cookie.
const COOKIE: &str = "gitea_triage_session";

/// A value of a cookie, by its name and type.
pub(super) struct Key<T>(&'static str, PhantomData<T>);

/// The session in the store, by what nobody can guess.
pub(super) const SESSION: Key<String> = Key("session", PhantomData);
/// The sign-in in progress; it is taken once.
pub(super) const SIGN_IN: Key<PendingSignIn> = Key("sign_in", PhantomData);
/// A message for the next page.
pub(super) const NOTICE: Key<String> = Key("notice", PhantomData);
const CSRF: Key<String> = Key("csrf", PhantomData);

/// Encrypts and decrypts the cookies of this dashboard.
pub(super) fn middleware(dashboard: &Data<Dashboard>) -> SessionMiddleware<CookieSessionStore> {
    let settings = dashboard.settings();
    SessionMiddleware::builder(CookieSessionStore::default(), dashboard.key.clone())
        .cookie_name(COOKIE.to_owned())
        .cookie_path(format!("{}/", settings.base()))
        .cookie_secure(settings.is_secure())
        .cookie_http_only(true)
        // Lax, not Strict: the redirect from the forge and links in comments come from another site.
        .cookie_same_site(SameSite::Lax)
        .cookie_content_security(CookieContentSecurity::Private)
        .build()
}

/// Whether a request brings no cookie of ours, or one that we sealed.
pub(super) fn is_sealed_by(key: &cookie::Key, headers: &HeaderMap) -> bool {
    // As they are read elsewhere: a line that is no UTF-8 brings no cookie.
    let lines = headers.get_all(header::COOKIE);
    let lines = lines.filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    let all = lines.flat_map(|line| line.split(';'));
    let all = all.filter_map(|one| Cookie::parse_encoded(one.trim().to_owned()).ok());
    let mut ours = all.filter(|cookie| cookie.name() == COOKIE);
    ours.all(|cookie| {
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        jar.private(key).get(COOKIE).is_some()
    })
}

/// Words that only this dashboard can read again.
pub(super) fn seal(key: &cookie::Key, words: &SecretString) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(key).add(Cookie::new(COOKIE, words.expose_secret().to_owned()));
    jar.get(COOKIE).map(|cookie| cookie.value().to_owned()).unwrap_or_default()
}

/// The words of [`seal`].
pub(super) fn unseal(key: &cookie::Key, sealed: &str) -> Option<SecretString> {
    let mut jar = CookieJar::new();
    jar.add_original(Cookie::new(COOKIE, sealed.to_owned()));
    jar.private(key).get(COOKIE).map(|cookie| cookie.value().into())
}

/// What nobody can guess: the value of a cookie that stands for a session.
pub(super) fn secret() -> String {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    half() + &half()
}

/// How the store knows the session of a cookie: a copy of the store opens none.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Their session.
    pub session: store::Session,
    /// What they see.
    pub sees: Sight,
    /// Where they may act, when they are an admin.
    pub writes: Sight,
    /// Whether they are an admin.
    pub is_admin: bool,
}

impl Visitor {
    /// Whoever has the dashboard's own token: they see and do everything.
    pub fn of_token(session: store::Session) -> Self {
        Self { session, sees: Sight::All, writes: Sight::All, is_admin: true }
    }

    /// Their name, as shown and as the author of commands.
    pub fn name(&self) -> &str {
        self.session.account.as_ref().map_or("the dashboard's token", |account| &account.login)
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

    /// A CSRF token: another text each time, so that the size of a compressed page tells nothing of it. What it stands
    /// for is created when there is none yet.
    fn csrf(&self) -> String {
        let kept = self.read(&CSRF).unwrap_or_else(|| {
            let kept = secret();
            self.keep(&CSRF, &kept);
            kept
        });
        token(&uuid::Uuid::new_v4().simple().to_string(), &kept)
    }

    fn is_csrf(&self, given: &str) -> bool {
        let salt = given.split('.').next().unwrap_or_default();
        let is = |kept: String| Sha256::digest(token(salt, &kept)) == Sha256::digest(given);
        self.read(&CSRF).is_some_and(is)
    }
}

fn token(salt: &str, kept: &str) -> String {
    format!("{salt}.{}", digest(&format!("{salt}.{kept}")))
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

    #[test]
    fn what_is_sealed_is_read_again_with_the_same_key_alone() {
        let (key, other) = (cookie::Key::from(&[7; 64]), cookie::Key::from(&[8; 64]));
        let sealed = seal(&key, &"a token".into());
        assert!(!sealed.contains("token"));
        assert_eq!(unseal(&key, &sealed).unwrap().expose_secret(), "a token");
        assert!(unseal(&other, &sealed).is_none() && unseal(&key, "x").is_none());
    }

    #[test]
    fn a_cookie_that_we_did_not_seal_is_known() {
        let key = cookie::Key::from(&[7; 64]);
        let is_ours = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, line.parse().unwrap());
            is_sealed_by(&key, &headers)
        };
        let sealed = seal(&key, &"a state".into());
        assert!(is_ours("other=1") && is_ours(&format!("a=b; {COOKIE}={sealed}")));
        assert!(!is_ours(&format!("{COOKIE}=nonsense; a=b")) && !is_ours(&format!("{COOKIE}=")));
        assert!(is_sealed_by(&key, &HeaderMap::new()));
    }

    #[test]
    fn a_secret_is_another_each_time_and_is_not_in_its_digest() {
        let (one, other) = (secret(), secret());
        assert_ne!(one, other);
        assert!(one.len() == 64 && !digest(&one).contains(&one));
    }
}

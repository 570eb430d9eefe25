//! The settings of the dashboard: its address, who may sign in and how, who may act.

use std::sync::Arc;

use actix_web::cookie::Key;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha512};
use url::Url;

use crate::dispatch::Agent;
use crate::dispatch::budget::Budgets;
use crate::gitea as forge;
use crate::issue::RepoPatterns;

/// The settings of the dashboard.
#[derive(Debug)]
pub struct Settings {
    /// The public address, without a trailing slash.
    pub public_url: String,
    /// The token that signs in as an admin.
    pub token: Option<SecretString>,
    /// Sign-in with an account on the forge.
    pub sign_in: Option<forge::SignIn>,
    /// The logins that may act.
    pub admins: Vec<String>,
    /// Whether people see also the repositories that they may only see on the forge.
    pub open_to_readers: bool,
    /// The configured repositories.
    pub repos: RepoPatterns,
    /// `triage.owner`; the repository's owner when `None`.
    pub owner: Option<String>,
    /// The time zone of the summaries' days.
    pub timezone: chrono_tz::Tz,
    /// The configured agents.
    pub agents: Vec<Agent>,
    /// What runs may use.
    pub budgets: Arc<Budgets>,
    /// Whether nothing is written to the forge.
    pub dry_run: bool,
}

impl Settings {
    /// Whether a sign-in method is configured.
    pub(super) fn is_on(&self) -> bool {
        self.token.is_some() || self.sign_in.is_some()
    }

    /// The path of the pages, without a trailing slash; empty at the root.
    pub(super) fn base(&self) -> String {
        let path = self.url().map(|url| url.path().trim_end_matches('/').to_owned());
        path.unwrap_or_default()
    }

    /// Scheme, host and port, as a browser writes them into `Origin`.
    pub(super) fn origin(&self) -> Option<String> {
        self.url().map(|url| url.origin().ascii_serialization())
    }

    /// Whether browsers use https.
    pub(super) fn is_secure(&self) -> bool {
        self.url().is_some_and(|url| url.scheme() == "https")
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.public_url).ok()
    }

    /// Whether `given` is the token, compared in constant time.
    pub(super) fn is_token(&self, given: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text);
        self.token.as_ref().is_some_and(|token| digest(token.expose_secret()) == digest(given))
    }

    /// Tells what lets people in now from any other token or application; `None` when that way is closed.
    pub(super) fn mark(&self, salt: &str, with_account: bool) -> Option<String> {
        let digest: [u8; 32] = match with_account {
            true => self.sign_in.as_ref()?.fingerprint(),
            false => Sha256::digest(self.token.as_ref()?.expose_secret()).into(),
        };
        let mark = Sha256::new().chain_update(salt).chain_update(digest).finalize();
        Some(hex::encode(&mark[..16]))
    }

    /// The key that encrypts the cookies. A new token or client secret ends every session; the secret salt keeps a
    /// cookie from revealing anything about the token.
    pub(super) fn cookie_key(&self, salt: &str) -> Key {
        let token = self.token.as_ref().map_or("", |token| token.expose_secret());
        let mut digest = Sha512::new();
        for part in [salt, token] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        if let Some(sign_in) = &self.sign_in {
            digest.update(sign_in.fingerprint());
        }
        Key::from(&digest.finalize())
    }
}

/// Settings for the tests of this room.
#[cfg(test)]
pub(super) fn at(public_url: &str) -> Settings {
    Settings {
        public_url: public_url.to_owned(),
        token: Some("a-token-of-the-tests".into()),
        sign_in: None,
        admins: vec!["alice".to_owned()],
        open_to_readers: false,
        repos: RepoPatterns::new(["acme/*"]).unwrap(),
        owner: None,
        timezone: chrono_tz::UTC,
        agents: Vec::new(),
        budgets: Arc::default(),
        dry_run: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_origin_and_a_path() {
        let settings = at("https://git.example.com/triage");
        assert_eq!(settings.base(), "/triage");
        assert_eq!(settings.origin().unwrap(), "https://git.example.com");
        assert!(settings.is_secure());
        let settings = at("http://127.0.0.1:8484");
        assert_eq!((settings.base().as_str(), settings.is_secure()), ("", false));
        assert_eq!(settings.origin().unwrap(), "http://127.0.0.1:8484");
    }

    #[test]
    fn another_token_is_another_mark_which_does_not_tell_it() {
        let one = at("http://x.example");
        let mut other = at("http://x.example");
        assert_eq!(one.mark("s", false), other.mark("s", false));
        assert_ne!(one.mark("s", false), one.mark("t", false));
        other.token = Some("another-token-of-the-tests".into());
        assert_ne!(one.mark("s", false), other.mark("s", false));
        other.token = None;
        assert_eq!((other.mark("s", false), one.mark("s", true)), (None, None));
    }

    #[test]
    fn another_token_or_salt_is_another_cookie_key() {
        let one = at("http://x.example");
        let mut other = at("http://x.example");
        assert_eq!(one.cookie_key("s").master(), other.cookie_key("s").master());
        assert_ne!(one.cookie_key("s").master(), one.cookie_key("t").master());
        other.token = Some("another-token-of-the-tests".into());
        assert_ne!(one.cookie_key("s").master(), other.cookie_key("s").master());
        assert!(one.is_token("a-token-of-the-tests") && !one.is_token("a-token-of-the-test"));
    }
}

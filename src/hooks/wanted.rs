//! What a webhook of ours has to be. Pure.

use secrecy::SecretString;
use url::Url;

use crate::clock::Timestamp;
use crate::gitea::{Hook, HookPlace, Secret};
use crate::issue::RepoPatterns;

/// Where our webhooks send to, and what they may sign with.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// `server.public_url` and `/webhook`.
    pub url: String,
    /// The secrets in the order of the configuration.
    pub secrets: Vec<Secret>,
}

impl Wanted {
    /// The secret for a webhook that is made now: the first that is valid and speaks for the place.
    pub fn secret_for(&self, place: &HookPlace, now: Timestamp) -> Option<&SecretString> {
        let fits = |s: &&Secret| s.is_valid(now) && covers(s, place);
        self.secrets.iter().find(fits).map(|s| &s.key)
    }
}

/// Whether a webhook sends what we read to this address.
pub(super) fn is_sent_to(hook: &Hook, url: &str) -> bool {
    hook.is_readable() && is_same_address(hook.url(), url)
}

fn covers(secret: &Secret, place: &HookPlace) -> bool {
    let Some(patterns) = &secret.repos else { return true };
    match place {
        HookPlace::Repo(repo) => RepoPatterns::new(patterns.iter().map(String::as_str))
            .is_ok_and(|patterns| patterns.allows(repo)),
        HookPlace::Org(org) => {
            patterns.iter().any(|p| p == "*/*" || p.eq_ignore_ascii_case(&format!("{org}/*")))
        }
    }
}

/// Whether two addresses lead to the same place; they may be written in more than one way.
fn is_same_address(a: &str, b: &str) -> bool {
    let normal = |text: &str| match Url::parse(text.trim()) {
        Ok(url) => url.as_str().trim_end_matches('/').to_owned(),
        Err(_) => text.trim().to_owned(),
    };
    normal(a) == normal(b)
}

/// What of a webhook of ours is not as it has to be; empty when nothing.
pub(super) fn differences(hook: &Hook) -> Vec<String> {
    let mut found = Vec::new();
    if !hook.is_active {
        found.push("it is switched off".to_owned());
    }
    let lacks = hook.lacks();
    if !lacks.is_empty() {
        found.push(format!("it does not hear {}", lacks.join(", ")));
    }
    if !hook.is_json() {
        found.push("it sends forms, not JSON".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(key: &str, expires: Option<&str>, repos: Option<&[&str]>) -> Secret {
        Secret {
            key: key.into(),
            expires: expires.map(|t| t.parse().unwrap()),
            repos: repos.map(|r| r.iter().map(|p| (*p).to_owned()).collect()),
        }
    }

    #[track_caller]
    fn chosen(secrets: Vec<Secret>, place: &HookPlace, expected: Option<&str>) {
        use secrecy::ExposeSecret as _;
        let wanted = Wanted { url: String::new(), secrets };
        let now = "2026-03-23T12:00:00Z".parse().unwrap();
        assert_eq!(wanted.secret_for(place, now).map(|s| s.expose_secret()), expected);
    }

    #[test]
    fn the_first_valid_secret_that_speaks_for_the_place_is_taken() {
        let repo = HookPlace::Repo("acme/widgets".parse().unwrap());
        let org = HookPlace::Org("acme".into());
        let gone = || secret("gone", Some("2026-01-01T00:00:00Z"), None);
        let soon = || secret("soon", Some("2026-12-31T00:00:00Z"), None);
        chosen(vec![gone(), soon(), secret("new", None, None)], &repo, Some("soon"));
        chosen(vec![gone()], &repo, None);
        let narrow = || secret("narrow", None, Some(&["acme/widgets"]));
        chosen(vec![narrow(), soon()], &repo, Some("narrow"));
        chosen(vec![narrow(), soon()], &org, Some("soon"));
        chosen(vec![secret("org", None, Some(&["Acme/*"]))], &org, Some("org"));
        chosen(vec![secret("other", None, Some(&["other/*"]))], &repo, None);
    }

    #[test]
    fn an_address_may_be_written_in_more_than_one_way() {
        let ours = "https://triage.example.com/webhook";
        for same in [
            ours,
            "https://TRIAGE.example.com:443/webhook",
            " https://triage.example.com/webhook/ ",
        ] {
            assert!(is_same_address(same, ours), "{same}");
        }
        for other in [
            "http://triage.example.com/webhook",
            "https://triage.example.com/webhook2",
            "https://triage.example.com/triage/webhook",
            "",
        ] {
            assert!(!is_same_address(other, ours), "{other}");
        }
    }
}

//! What must be neither shown nor pushed: the runner's own secrets, and texts that look like somebody's.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::{Regex, RegexSet};
use secrecy::{ExposeSecret, SecretString};

/// Shorter ones would hide words.
const SHORTEST: usize = 8;
const HIDDEN: &str = "***";

/// What secrets of well-known kinds look like, with the name of each kind.
const KINDS: &[(&str, &str)] = &[
    ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("a token of GitHub", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("a token of GitHub", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    ("a token of GitLab", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("an access key of AWS", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a token of Slack", r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    ("a key of Anthropic", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("a key of OpenAI", r"\bsk-(?:proj-)?[A-Za-z0-9_-]{40,}"),
    ("a key of Google", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a key of Stripe", r"\b[rs]k_live_[A-Za-z0-9]{24,}"),
    ("a token of npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
];

#[expect(clippy::expect_used, reason = "fixed patterns, compiled by every test")]
static LOOKS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(KINDS.iter().map(|(_, pattern)| pattern)).expect("valid patterns")
});

#[expect(clippy::expect_used, reason = "fixed patterns, compiled by every test")]
static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    KINDS.iter().map(|(_, pattern)| Regex::new(pattern).expect("a valid pattern")).collect()
});

/// The runner's own secrets, in the forms that they are likely to be seen in.
#[derive(Default)]
pub(super) struct Secrets {
    known: Vec<String>,
}

impl Secrets {
    /// These, as they are and as Base64 and hexadecimal digits.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let values = values.into_iter().map(ExposeSecret::expose_secret);
        let long = values.filter(|value| value.len() >= SHORTEST);
        let mut known: Vec<String> = long
            .flat_map(|value| [value.to_owned(), STANDARD_NO_PAD.encode(value), hex::encode(value)])
            .collect();
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { known }
    }

    /// The text without any secret.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for known in self.known.iter().filter(|known| !known.is_empty()) {
            if text.contains(known) {
                text = text.replace(known, HIDDEN);
            }
        }
        for kind in LOOKS.matches(&text).into_iter().collect::<Vec<_>>() {
            text = EACH[kind].replace_all(&text, HIDDEN).into_owned();
        }
        text
    }

    /// What kind of secret the text holds.
    pub fn find(&self, text: &str) -> Option<&'static str> {
        if self.known.iter().any(|known| text.contains(known)) {
            return Some("a secret of the runner");
        }
        LOOKS.matches(text).into_iter().next().map(|kind| KINDS[kind].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_found_in_every_form_and_hidden() {
        let token = SecretString::from("s3cret-token-of-the-runner");
        let secrets = Secrets::new([&token]);
        let encoded = STANDARD_NO_PAD.encode(token.expose_secret());
        for text in [token.expose_secret(), &encoded, &hex::encode(token.expose_secret())] {
            let line = format!("x={text};");
            assert_eq!(secrets.find(&line), Some("a secret of the runner"));
            assert!(!secrets.redact(&line).contains(text));
        }
        assert_eq!(secrets.find("nothing here"), None);
    }

    #[test]
    fn each_kind_is_known_by_its_looks_and_ordinary_text_is_none() {
        let secrets = Secrets::default();
        let a = "a".repeat(40);
        for (text, kind) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(), "a private key"),
            ("-----BEGIN PRIVATE KEY-----".to_owned(), "a private key"),
            (format!("token: ghp_{a}"), "a token of GitHub"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "an access key of AWS"),
            (format!("\"sk-ant-{a}\""), "a key of Anthropic"),
        ] {
            assert_eq!(secrets.find(&text), Some(kind), "{text}");
            assert_eq!(secrets.find(&secrets.redact(&text)), None, "{text}");
        }
        for text in ["BEGIN PUBLIC KEY", "ghp_short", "task-list", "let akia = 1;"] {
            assert_eq!(secrets.find(text), None, "{text}");
        }
    }
}

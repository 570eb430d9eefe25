//! The beginning of an agent's answer, fit for a message: short, one line, without what must not be shown.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// As in the dispatcher this replaces.
const LENGTH: usize = 200;
/// Shorter pieces of an address are words, not tokens.
const SHORTEST_TOKEN: usize = 4;

/// What of a request nobody but the agent may see.
pub(super) struct Private<'a> {
    /// Where it went.
    pub url: &'a Url,
    /// What it was signed with.
    pub secret: Option<&'a SecretString>,
    /// The key of the dispatch: whoever has it may report about it.
    pub key: &'a str,
}

/// How the answer begins. Error pages like to repeat the address they were asked for, which may hold a token, or all of
/// what they were sent.
pub(super) fn excerpt(answer: &[u8], private: &Private<'_>) -> String {
    let mut text = String::from_utf8_lossy(answer).into_owned();
    for hidden in hidden(private) {
        text = text.replace(&hidden, "…");
    }
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    // The signature of what it was sent, which some repeat with the rest of the request.
    let words = words.map(|word| if word.contains("sha256=") { "…" } else { word });
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LENGTH).collect()
}

/// The secret, the key and every part of the address beyond its host, as sent and as meant, the longest first.
fn hidden(Private { url, secret, key }: &Private<'_>) -> Vec<String> {
    let mut texts: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    texts.extend(url.query().map(str::to_owned));
    texts.extend(url.path().split('/').map(str::to_owned));
    texts.retain(|text| text.len() >= SHORTEST_TOKEN);
    texts.extend(Some((*key).to_owned()).filter(|key| !key.is_empty()));
    texts.extend(secret.map(|s| s.expose_secret().to_owned()).filter(|s| !s.is_empty()));
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(answer: &[u8], expected: &str) {
        let url = Url::parse("https://agents.example.com/T0123/run?token=a%2Fbcd&n=1").unwrap();
        let secret = "hunter2".into();
        let private = Private { url: &url, secret: Some(&secret), key: "the-key-of-it" };
        assert_eq!(excerpt(answer, &private), expected);
    }

    #[test]
    fn an_excerpt_is_one_clean_line() {
        shows(b"\x1b[31m bad\r\n\trequest\0 \xff\n", "[31m bad request \u{fffd}");
        shows("é".repeat(500).as_bytes(), &"é".repeat(200));
        shows(b"", "");
    }

    #[test]
    fn secrets_are_left_out() {
        shows(b"key hunter2 wrong", "key … wrong");
        shows(b"Cannot POST /T0123/run?token=a%2Fbcd&n=1", "Cannot POST /…/run?…");
        shows(b"no a/bcd", "no …");
        shows(br#"{"dispatch_id":"the-key-of-it"}"#, r#"{"dispatch_id":"…"}"#);
        shows(b"https://x.example/dispatches/the-key-of-it", "https://x.example/dispatches/…");
        shows(b"X-Triage-Signature: sha256=00ff\nbad", "X-Triage-Signature: … bad");
    }
}

//! Words that must not turn up, and the ways in which they can be written.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Words that must not turn up, as they are, in hexadecimal, or anywhere in something encoded as base64.
pub(super) struct Canaries(regex::bytes::Regex);

impl Canaries {
    /// `derived` are looked for as they are.
    pub(super) fn of(words: &[String], derived: impl Iterator<Item = String>) -> Self {
        let forms: BTreeSet<String> =
            words.iter().flat_map(|word| forms(word)).chain(derived).collect();
        let forms: Vec<String> = forms.iter().map(|form| regex::escape(form)).collect();
        let forms = regex::bytes::RegexBuilder::new(&forms.join("|")).size_limit(1 << 26).build();
        Self(forms.unwrap())
    }

    pub(super) fn find<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.0.find(bytes).map(|hit| hit.as_bytes())
    }

    #[track_caller]
    pub(super) fn are_not_in(&self, place: &str, bytes: &[u8]) {
        if let Some(found) = self.find(bytes) {
            panic!("a secret is in {place}: {}", String::from_utf8_lossy(found));
        }
    }
}

fn forms(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned(), hex::encode(word), hex::encode_upper(word)];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        // Three letters become four; the word may begin at any of them, and its neighbours show in its ends.
        for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
            let text = engine.encode(format!("{}{word}", "x".repeat(before)));
            forms.push(text[shared..text.len() - 1].to_owned());
        }
    }
    forms
}

#[test]
fn a_word_is_found_however_it_is_written() {
    let canaries = Canaries::of(&["0123456789abcdef".into()], std::iter::empty());
    for user in ["", "a", "ab", "abc"] {
        let login = format!("{user}0123456789abcdef:x");
        for text in [login.clone(), hex::encode(&login), STANDARD_NO_PAD.encode(&login)] {
            assert!(canaries.find(format!("a {text} b").as_bytes()).is_some(), "{text}");
        }
    }
    assert_eq!(canaries.find(b"0123456789abcde-MDEyMzQ1Njc4"), None);
}

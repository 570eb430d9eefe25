//! The text of an issue in a few bytes: what was approved, and what is worked on.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// What title and body say. Shown as the SHA-256 of the SHA-256 digests of the two, all in hexadecimal.
///
/// Line ends alone make no difference: a browser sends `\r\n` where the API sent `\n`. All else does, invisible characters
/// too, since a model reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextDigest {
    title: Part,
    body: Part,
}

type Part = [u8; 32];

/// A change of title, body or both, and the text it led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextEdit {
    after: TextDigest,
    title: Option<Part>,
    body: Option<Part>,
}

impl TextDigest {
    /// The digest of this text.
    pub fn of(title: &str, body: &str) -> Self {
        Self { title: part(title), body: part(body) }
    }

    /// The text before an edit that led to this one; `None` where the edit led to another.
    pub fn before(self, edit: &TextEdit) -> Option<Self> {
        let is_it = |former: Option<Part>, now: Part, after: Part| former.is_none() || now == after;
        let led_here = is_it(edit.title, self.title, edit.after.title)
            && is_it(edit.body, self.body, edit.after.body);
        let (title, body) = (edit.title.unwrap_or(self.title), edit.body.unwrap_or(self.body));
        led_here.then_some(Self { title, body })
    }
}

impl TextEdit {
    /// An edit that led to `after`, and what stood in title and body before, as far as they were changed.
    pub fn new(after: TextDigest, title: Option<&str>, body: Option<&str>) -> Self {
        Self { after, title: title.map(part), body: body.map(part) }
    }
}

fn part(text: &str) -> Part {
    let text = match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n")),
        false => Cow::Borrowed(text),
    };
    Sha256::digest(text.as_bytes()).into()
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = format!("{}{}", hex::encode(self.title), hex::encode(self.body));
        f.write_str(&hex::encode(Sha256::digest(parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_make_no_difference_and_all_else_does() {
        let text = TextDigest::of("a", "one\ntwo");
        assert_eq!(text, TextDigest::of("a", "one\r\ntwo"));
        let others =
            [("a", "one\ntwo "), ("a", "one\ntwo\u{200b}"), ("a\none", "two"), ("a", "one two")];
        for (title, body) in others {
            assert_ne!(text.to_string(), TextDigest::of(title, body).to_string(), "{title} {body}");
        }
    }

    #[test]
    fn anybody_can_compute_it() {
        // printf a | sha256sum, and so on.
        let expected = "62af5c3cb8da3e4f25061e829ebeea5c7513c54949115b1acc225930a90154da";
        assert_eq!(TextDigest::of("a", "b").to_string(), expected);
    }

    #[test]
    fn an_edit_is_undone_only_where_it_led_to_this_text() {
        let (old, new) = (TextDigest::of("a", "b"), TextDigest::of("a", "c"));
        let edit = TextEdit::new(new, None, Some("b"));
        assert_eq!(new.before(&edit), Some(old));
        assert_eq!(old.before(&edit), None);
        // What a delivery shows of the other part may be old.
        let shown = TextDigest::of("old", "c");
        assert_eq!(new.before(&TextEdit::new(shown, None, Some("b"))), Some(old));
        let both = TextEdit::new(new, Some("x"), Some("y"));
        assert_eq!(new.before(&both), Some(TextDigest::of("x", "y")));
        assert_eq!(shown.before(&both), None);
    }
}

//! Text as the original scoring saw it: what is a letter, a space, the same letter in another case.
//! The rules are Python's (`\w`, `\s`, `IGNORECASE`, `str.strip`), because the scores must stay the same.
//! The tables are those of today's Unicode; a character younger than the Python at hand may be seen otherwise.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// The four characters beyond ASCII that Python's `IGNORECASE` takes for an ASCII letter.
pub(super) const FOLDS_ONTO_ASCII: [char; 4] = ['ſ', '\u{212a}', 'İ', 'ı'];

// Rust's `char::is_alphanumeric` and regex's `\w` also hold marks and circled letters; Python's `\w` does not.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static LETTER_OR_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}]$").expect("a valid pattern"));

/// Whether `c` is part of a word: a letter, a number or `_`.
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    c.is_alphanumeric() && LETTER_OR_NUMBER.is_match(c.encode_utf8(&mut [0; 4]))
}

/// Whether `c` is white space; unlike Unicode, Python counts the four information separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// The text without white space at its ends.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A tag or label as it is compared: lower-cased first, then stripped.
pub(super) fn normal(tag: &str) -> String {
    strip(&tag.to_lowercase()).to_owned()
}

/// Whether a tag or label is one of these, which are as they are compared.
pub(super) fn is_among(tag: &str, normal: &[String]) -> bool {
    if !tag.is_ascii() {
        return normal.contains(&self::normal(tag));
    }
    let tag = strip(tag);
    normal.iter().any(|one| tag.eq_ignore_ascii_case(one))
}

/// The text with one lower-case character for each character, so that places in both can be matched up.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(fold_char).collect()
}

/// The text in lower case with every letter at its place: one whose lower case is of another length stays.
pub(super) fn fold_in_place(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = |c: char| Some(fold_char(c)).filter(|f| f.len_utf8() == c.len_utf8()).unwrap_or(c);
    text.chars().map(folded).collect()
}

fn fold_char(c: char) -> char {
    match c {
        'ſ' => 's',
        'İ' | 'ı' => 'i',
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// The place in `original` that `range` has in its [`fold`]ed copy.
pub(super) fn unfold(original: &str, folded: &str, range: &Range<usize>) -> Range<usize> {
    let start = skip_chars(original, folded[..range.start].chars().count());
    start..start + skip_chars(&original[start..], folded[range.clone()].chars().count())
}

fn skip_chars(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_circled_letters_are_no_part_of_a_word() {
        assert!(['a', '_', '7', 'é', 'ß', '漢', '²', 'Ⅷ'].into_iter().all(is_word));
        assert!(!['\u{301}', 'Ⓐ', '-', ' ', '\u{200d}', '😀'].into_iter().any(is_word));
    }

    #[test]
    fn the_information_separators_are_white_space() {
        assert_eq!(strip("\x1c \u{a0}x\x1f\u{3000}"), "x");
        assert!(!is_space('\u{200b}'));
    }

    #[test]
    fn a_tag_is_lowered_before_it_is_stripped() {
        assert_eq!(normal("\x1f BUG "), "bug");
        assert_eq!(normal("İ"), "i\u{307}");
        assert_eq!(normal("ΟΔΟΣ"), "οδος");
    }

    #[test]
    fn folding_keeps_places() {
        let original = "a ſhould \u{212a}";
        let folded = fold(original);
        assert_eq!(folded, "a should k");
        assert_eq!(&original[unfold(original, &folded, &(2..8))], "ſhould");
        assert_eq!(&original[unfold(original, &folded, &(9..10))], "\u{212a}");
    }
}

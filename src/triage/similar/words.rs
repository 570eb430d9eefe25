//! The words of an issue that are worth comparing: those of its title, of what its writer states, and of the errors in
//! what they pasted. Each is kept as a number, so that a text cannot be read back.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::triage::markdown::Kind;
use crate::triage::phrases::is_unspaced;
use crate::triage::statements::{Forms, Passage, Statements};

/// How many different words are read: of the title, of it and the text, and with the errors.
const MOST: [usize; 3] = [32, 96, 128];
/// A longer word, in bytes, is data.
const LONGEST: usize = 60;
/// The shortest hexadecimal number that is taken for a digest.
const DIGEST: usize = 7;
/// How many letters of a word count once its ending is off, and how many an ending leaves.
const STEM: usize = 7;
const LEAST_STEM: usize = 4;

/// Endings of English, German, Spanish and French, the longer ones first.
const ENDINGS: [&str; 14] =
    ["ings", "ing", "ied", "ies", "ed", "es", "en", "er", "em", "ée", "é", "e", "s", "n"];
/// What stands in the line of a log or a trace that says what went wrong.
const TROUBLE: [&str; 12] = [
    "error",
    "exception",
    "panic",
    "fatal",
    "fail",
    "cannot",
    "denied",
    "refused",
    "bounds",
    "abort",
    "segfault",
    "fehler",
];

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| list(include_str!("stop.txt")).collect());
static COMMON: LazyLock<HashSet<String>> =
    LazyLock::new(|| list(include_str!("common.txt")).map(stem).collect());

fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// How much a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Many issues have it.
    Common = 0,
    /// Two letters of a script without spaces: a part of a word.
    Letters = 1,
    /// Any other.
    Ordinary = 2,
    /// A file, a function, an error, an abbreviation, or a number in a title.
    Name = 3,
}

/// One word of an issue, as a number: 29 bits of a digest, two that say how much it tells, and one that says whether it
/// stands in the title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(u32);

impl Word {
    fn new(text: &str, sort: Sort, in_title: bool) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(text));
        let key = u32::from_be_bytes([a, b, c, d]) >> 3;
        Self(key << 3 | (sort as u32) << 1 | u32::from(in_title))
    }

    /// As [`Word::bits`] gave it.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The whole number, to be kept.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The digest: the same wherever the word stands.
    pub fn key(self) -> u32 {
        self.0 >> 3
    }

    pub(super) fn in_title(self) -> bool {
        self.0 & 1 == 1
    }

    /// How much it tells wherever it stands, where an ordinary word tells 1.
    pub(super) fn worth(self) -> f64 {
        [0.3, 0.5, 1.0, 1.5][(self.0 >> 1 & 3) as usize]
    }
}

/// The words of an issue, and how each is written.
#[derive(Debug, Default)]
pub(super) struct Wording {
    pub(super) words: Vec<Word>,
    pub(super) shown: Vec<String>,
    known: BTreeSet<u32>,
    /// How many there may be, with those of what is read now.
    most: usize,
}

impl Wording {
    /// Reads an issue.
    pub(super) fn of(forms: &Forms, title: &str, body: &str) -> Self {
        let said = Statements::of(forms, title, body);
        let mut wording = Self::default();
        wording.read(title, MOST[0], true);
        let is_said = |one: &&Passage| one.counts && one.kind != Kind::Item { ticked: Some(true) };
        for passage in said.body().iter().filter(is_said) {
            wording.read(said.says(passage), MOST[1], false);
        }
        let is_pasted = |one: &&Passage| !one.counts && one.kind != Kind::Heading;
        for passage in said.body().iter().filter(is_pasted) {
            for line in said.says(passage).lines().filter(|line| tells_trouble(line)) {
                wording.read(line, MOST[2], false);
            }
        }
        wording
    }

    fn read(&mut self, text: &str, most: usize, in_title: bool) {
        self.most = most;
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
            if self.is_full() {
                return;
            }
            rest = &rest[start..];
            let is_letter = rest.starts_with(is_unspaced);
            let is_other = |c: char| is_unspaced(c) != is_letter || !(is_letter || is_part(c));
            let end = rest.find(is_other).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            if is_letter {
                self.letters(run, in_title)
            } else {
                self.token(run, in_title)
            }
            rest = after;
        }
    }

    fn is_full(&self) -> bool {
        self.words.len() >= self.most
    }

    /// Each two letters of a script without spaces.
    fn letters(&mut self, run: &str, in_title: bool) {
        let starts = run.char_indices().zip(run.char_indices().skip(1));
        for ((from, _), (second, c)) in starts {
            if self.is_full() {
                return;
            }
            self.add(&run[from..second + c.len_utf8()], Sort::Letters, in_title);
        }
    }

    /// A word, a path or a name with parts.
    fn token(&mut self, token: &str, in_title: bool) {
        let is_time = token.starts_with(|c: char| c.is_ascii_digit()) && token.contains(':');
        if is_time {
            return;
        }
        for part in token.split(['/', '\\', ':']) {
            if self.is_full() {
                return;
            }
            let part = part.trim_matches(['.', '_', '-']);
            if !part.is_empty() && part.len() <= LONGEST {
                self.part(part, in_title);
            }
        }
    }

    fn part(&mut self, part: &str, in_title: bool) {
        let lower = part.to_lowercase();
        let number = lower.strip_prefix('v').unwrap_or(&lower);
        let is_number = number.starts_with(|c: char| c.is_ascii_digit());
        if is_number && number.chars().all(|c| c.is_ascii_digit() || ".-".contains(c)) {
            let sort = if in_title { Sort::Name } else { Sort::Common };
            self.add_as(number, part, sort, in_title);
        } else if is_digest(&lower) || (is_number && lower.contains('-')) {
            // A commit, an id or a time.
        } else if is_number {
            self.add_as(&lower, part, Sort::Common, in_title);
        } else if is_name(part) && !STOP.contains(&*lower) && !COMMON.contains(&stem(&lower)) {
            self.add_as(&lower, part, Sort::Name, in_title);
        } else {
            for word in part.split(['-', '.', '_']) {
                self.word(word, in_title);
            }
        }
    }

    fn word(&mut self, word: &str, in_title: bool) {
        let lower = word.to_lowercase();
        let is_long = lower.chars().nth(1).is_some();
        if !is_long || STOP.contains(&*lower) || lower.bytes().all(|b| b.is_ascii_digit()) {
            return;
        }
        let stem = stem(&lower);
        let sort = if COMMON.contains(&stem) { Sort::Common } else { Sort::Ordinary };
        self.add_as(&stem, word, sort, in_title);
    }

    fn add(&mut self, word: &str, sort: Sort, in_title: bool) {
        self.add_as(word, word, sort, in_title);
    }

    fn add_as(&mut self, word: &str, shown: &str, sort: Sort, in_title: bool) {
        if self.is_full() {
            return;
        }
        let word = Word::new(word, sort, in_title);
        if self.known.insert(word.key()) {
            self.words.push(word);
            self.shown.push(shown.to_owned());
        }
    }
}

/// Whether a letter or mark is part of a word, a path or a name.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || "_./\\:-".contains(c)
}

/// Whether this is hexadecimal and too long for a number of people.
fn is_digest(text: &str) -> bool {
    text.len() >= DIGEST
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && text.bytes().any(|b| b.is_ascii_digit())
}

/// Whether a word is a name that somebody gave in a program: it has parts, a capital or a digit within, or is an
/// abbreviation.
fn is_name(part: &str) -> bool {
    let has_parts = part.contains(['_', '.']) && part.split(['_', '.']).any(|one| one.len() > 2);
    let pairs = || part.chars().zip(part.chars().skip(1));
    let has_hump = || pairs().any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    let has_digit = || pairs().any(|(a, b)| a.is_ascii_alphabetic() && b.is_ascii_digit());
    let is_short = (2..=5).contains(&part.len());
    let is_abbreviation = is_short && part.bytes().all(|b| b.is_ascii_uppercase());
    has_parts || is_abbreviation || has_hump() || has_digit()
}

/// Whether a line of a log or a trace says what went wrong, rather than where.
fn tells_trouble(line: &str) -> bool {
    let line = line.trim_start();
    let is_frame = line.starts_with("at ") || line.starts_with("File \"");
    let lower = line.to_lowercase();
    !is_frame && TROUBLE.iter().any(|word| lower.contains(word))
}

/// A word without its endings, as far as languages agree on them.
fn stem(word: &str) -> String {
    let mut stem = word;
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| {
        stem.strip_suffix(ending).filter(|rest| rest.chars().count() >= LEAST_STEM)
    }) {
        stem = shorter;
    }
    stem.chars().take(STEM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::{Policy, Preset};

    #[track_caller]
    fn reads(title: &str, body: &str, expected: &[&str]) {
        let forms = Forms::new(&Policy::of(Preset::Practical).fields);
        let read = Wording::of(&forms, title, body);
        let mark = |(word, shown): (&Word, &String)| {
            let mark = ["~", "", "", "!"][(word.0 >> 1 & 3) as usize];
            format!("{mark}{shown}")
        };
        let read: Vec<_> = read.words.iter().zip(&read.shown).map(mark).collect();
        assert_eq!(read, expected, "{title:?} {body:?}");
    }

    #[test]
    fn names_tell_much_and_words_of_every_issue_nothing() {
        reads("[Bug]: The login crashes", "", &["login", "~crashes"]);
        reads(
            "`parse_config()` raises KeyError in src/app/main.rs",
            "",
            &["!parse_config", "~raises", "!KeyError", "src", "~app", "!main.rs"],
        );
        reads("Export as CSV", "it is not e.g. a PDF.", &["Export", "!CSV", "!PDF"]);
        reads(
            "Update serde to v1.0.2",
            "from 1.0.1 of 2026-03-01T10:00:00Z",
            &["~Update", "serde", "!v1.0.2", "~1.0.1"],
        );
        reads("Since f9f274b", "or 0123456789abcdef: 3GB", &["~3GB"]);
    }

    #[test]
    fn the_same_word_has_one_key_whatever_its_ending() {
        let keys = |text: &str| {
            let read = Wording::of(&Forms::new(&Policy::default().fields), text, "");
            read.words.iter().map(|word| word.key()).collect::<Vec<_>>()
        };
        for same in [
            "crash crashes Crashed CRASHING",
            "server servers",
            "Bild Bilder Bildern",
            "csv CSV",
            "großen großer",
        ] {
            assert_eq!(keys(same).len(), 1, "{same}");
        }
        assert_eq!(keys("password passport passage").len(), 3);
        assert_eq!(keys("登录页面").len(), 3);
    }

    #[test]
    fn forms_and_programs_are_not_heard_but_errors_are() {
        reads(
            "It",
            "<!-- say all -->\n### Steps to reproduce\n\n_No response_\n\n- [x] I searched the tracker\n\n\
             ### Environment\n\nFreeBSD\n\n### Actual behavior\n\nthe gears jam\n\n> quoted",
            &["gears", "jam"],
        );
        reads(
            "It",
            "Jam:\n\n```\n  File \"/usr/lib/error.py\", line 3, in inner\n    respond(gears)\nValueError: jam is empty\n```",
            &["Jam", "!ValueError", "~empty"],
        );
    }

    #[test]
    fn no_text_is_read_for_long_or_into_more_words_than_are_kept() {
        let forms = Forms::new(&Policy::default().fields);
        let many = |between: &str| (0..100_000).map(|n| format!("w{n}x{between}")).collect();
        let apart: [String; 6] = [" ", "/", "\\", ":", ".", "-"].map(many);
        let long = ["登录页面密码".repeat(60_000), "a/".repeat(500_000), "é".repeat(500_000)];
        for text in apart.into_iter().chain(long) {
            let read = Wording::of(&forms, &text, &text).words.len();
            assert!(read <= MOST[2], "{read} words of {}", &text[..18]);
            let titled = Wording::of(&forms, &text, "").words.len();
            assert!(titled <= MOST[0], "{titled} words of {}", &text[..18]);
        }
    }
}

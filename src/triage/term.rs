//! One term of the policy: its notation, and the check around a place where its longest text was found.
//! [`Policy`](super::Policy) documents the notation for those who write it.

use std::ops::Range;

use super::text::{self, is_space, is_word};

/// A step of a term.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Word,
    Space,
    Spaces,
    Any,
    Edge,
}

/// A compiled term: its longest text, and what must stand before and after it, nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    before: Vec<Piece>,
    /// The text to look for; where it is found, [`Term::extent`] decides.
    pub(super) anchor: String,
    after: Vec<Piece>,
}

/// What is wrong with a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermProblem {
    /// It has no character.
    #[error("is empty; remove it")]
    Empty,
    /// It has a mark that does not exist.
    #[error(
        "has an unknown mark `{{{0}}}`; write `{{word}}`, `{{space}}`, `{{spaces}}`, `{{any}}` or `{{edge}}`, and `{{{{` for a brace"
    )]
    UnknownMark(String),
    /// A mark has no end.
    #[error("has a `{{` without `}}`; write `{{{{` for a brace")]
    Unclosed,
    /// It has marks only.
    #[error("has no plain text; every term needs some")]
    NoText,
    /// A repeating mark would take the next part too.
    #[error("has a `{{{0}}}` that swallows the part next to it")]
    Swallows(&'static str),
}

impl Term {
    /// Reads the notation.
    pub(super) fn parse(text: &str) -> Result<Self, TermProblem> {
        let mut before = pieces(text)?;
        let anchor = longest_text(&before).ok_or(TermProblem::NoText)?;
        let mut after = before.split_off(anchor);
        let Piece::Text(anchor) = after.remove(0) else { return Err(TermProblem::NoText) };
        before.reverse();
        no_swallowing(&before, |text| text.chars().next_back())?;
        no_swallowing(&after, |text| text.chars().next())?;
        Ok(Self { before, anchor, after })
    }

    /// How far the term reaches around its anchor found at `hit`, if the rest of it is there too.
    pub(super) fn extent(
        &self,
        text: &str,
        hit: Range<usize>,
        runs: &mut Runs,
    ) -> Option<Range<usize>> {
        let mut back = self.before.iter();
        let start = back.try_fold(hit.start, |at, piece| piece.pass(text, at, false, runs))?;
        let mut forth = self.after.iter();
        let end = forth.try_fold(hit.end, |at, piece| piece.pass(text, at, true, runs))?;
        Some(start..end)
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TermProblem> {
    if text.is_empty() {
        return Err(TermProblem::Empty);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        push_text(&mut pieces, &rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            push_text(&mut pieces, "{");
            rest = after;
        } else {
            let (mark, after) = rest.split_once('}').ok_or(TermProblem::Unclosed)?;
            pieces.push(marked(mark)?);
            rest = after;
        }
    }
    push_text(&mut pieces, rest);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(last)) => last.push_str(&text::fold(text)),
        _ => pieces.push(Piece::Text(text::fold(text))),
    }
}

fn marked(mark: &str) -> Result<Piece, TermProblem> {
    match mark {
        "word" => Ok(Piece::Word),
        "space" => Ok(Piece::Space),
        "spaces" => Ok(Piece::Spaces),
        "any" => Ok(Piece::Any),
        "edge" => Ok(Piece::Edge),
        _ => Err(TermProblem::UnknownMark(mark.to_owned())),
    }
}

fn longest_text(pieces: &[Piece]) -> Option<usize> {
    let texts = pieces.iter().enumerate().filter_map(|(at, piece)| match piece {
        Piece::Text(text) => Some((text.len(), at)),
        _ => None,
    });
    texts.max().map(|(_, at)| at)
}

/// Refuses what would need more than one try, so that the time for a text grows with its length only.
fn no_swallowing(outward: &[Piece], facing: fn(&str) -> Option<char>) -> Result<(), TermProblem> {
    for pair in outward.windows(2) {
        let takes = |alike: &[Piece], is_alike: fn(char) -> bool| match &pair[1] {
            Piece::Text(text) => facing(text).is_some_and(is_alike),
            next => *next == Piece::Any || alike.contains(next),
        };
        match &pair[0] {
            Piece::Word if takes(&[Piece::Word], is_word) => {
                return Err(TermProblem::Swallows("word"));
            }
            Piece::Spaces if takes(&[Piece::Space, Piece::Spaces], is_space) => {
                return Err(TermProblem::Swallows("spaces"));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Piece {
    /// Where this piece ends if it begins at `at`; or, read backwards, where it begins if it ends there.
    fn pass(&self, text: &str, at: usize, ahead: bool, runs: &mut Runs) -> Option<usize> {
        let (before, after) = text.split_at(at);
        let next = if ahead { after.chars().next() } else { before.chars().next_back() };
        let moved = |by: usize| if ahead { at + by } else { at - by };
        let one = |fits: fn(char) -> bool| next.filter(|c| fits(*c)).map(|c| moved(c.len_utf8()));
        match self {
            Self::Text(want) => {
                let start = if ahead { 0 } else { at.checked_sub(want.len())? };
                let found = if ahead { after } else { before }.get(start..start + want.len())?;
                found.eq_ignore_ascii_case(want).then(|| moved(want.len()))
            }
            Self::Word => Some(runs.words.pass(text, at, ahead)).filter(|end| *end != at),
            Self::Spaces => Some(runs.spaces.pass(text, at, ahead)),
            Self::Space => one(is_space),
            Self::Any => one(|c| c != '\n'),
            Self::Edge => is_edge(text, at).then_some(at),
        }
    }
}

fn is_edge(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back().is_some_and(is_word);
    let after = text[at..].chars().next().is_some_and(is_word);
    before != after
}

/// Remembers the last run of words and spaces, so that no text, however repetitive, is walked twice.
pub(super) struct Runs {
    words: Run,
    spaces: Run,
}

impl Runs {
    /// Nothing walked yet; good for one text only.
    pub(super) fn new() -> Self {
        Self { words: Run::new(is_word), spaces: Run::new(is_space) }
    }
}

struct Run {
    class: fn(char) -> bool,
    ahead: Range<usize>,
    behind: Range<usize>,
}

impl Run {
    fn new(class: fn(char) -> bool) -> Self {
        Self { class, ahead: 0..0, behind: 0..0 }
    }

    /// Where the run that begins at `at` ends; or, read backwards, where the one begins that ends there.
    fn pass(&mut self, text: &str, at: usize, ahead: bool) -> usize {
        if ahead { self.end(text, at) } else { self.start(text, at) }
    }

    fn end(&mut self, text: &str, at: usize) -> usize {
        if !self.ahead.contains(&at) {
            let rest = &text[at..];
            self.ahead = at..at + rest.find(|c| !(self.class)(c)).unwrap_or(rest.len());
        }
        self.ahead.end
    }

    fn start(&mut self, text: &str, at: usize) -> usize {
        let known = self.behind.end <= at;
        let floor = if known { self.behind.end } else { 0 };
        let fresh = text[floor..at].trim_end_matches(self.class).len();
        let start = if fresh == 0 && known { self.behind.start } else { floor + fresh };
        self.behind = start..at;
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(term: &str, text: &str, expected: &[&str]) {
        let term = Term::parse(term).expect("a valid term");
        let mut runs = Runs::new();
        let folded = text.to_ascii_lowercase();
        let found: Vec<_> = folded
            .match_indices(&term.anchor)
            .filter_map(|(at, hit)| term.extent(text, at..at + hit.len(), &mut runs))
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, expected, "{term:?}");
    }

    #[test]
    fn plain_text_is_found_in_any_case() {
        finds(".py", "a.py b.PY", &[".py", ".PY"]);
        finds("{{x", "{x", &["{x"]);
    }

    #[test]
    fn marks_stand_for_classes() {
        finds("`{word}()`", "`()` `naïve()` é()` `a b()`", &["`naïve()`"]);
        finds("test_{word}", "test_ test_a test_-", &["test_a"]);
        finds("assert{space}", "assert asserts assert\x1c", &["assert ", "assert\x1c"]);
        finds(
            "##{spaces}problem",
            "##problem ## \n Problem #problem",
            &["##problem", "## \n Problem"],
        );
        finds(
            "test{any}case",
            "test-case testcase test\ncase tesT\rcase",
            &["test-case", "tesT\rcase"],
        );
        finds(
            "{edge}blocks{edge}",
            "blocks unblocks blocks_ éblocks blocks\u{301}",
            &["blocks", "blocks"],
        );
    }

    #[test]
    fn runs_that_touch_are_remembered_rightly() {
        finds("test{word}", "testtesttest x test y", &["testtesttest", "testtest"]);
        finds("{word}test", "testtesttest x test ytest", &["testtest", "testtesttest", "ytest"]);
    }

    #[track_caller]
    fn refuses(term: &str, problem: TermProblem) {
        assert_eq!(Term::parse(term), Err(problem), "{term}");
    }

    #[test]
    fn a_bad_term_is_refused() {
        refuses("", TermProblem::Empty);
        refuses("{word}{edge}", TermProblem::NoText);
        refuses("a{wrod}", TermProblem::UnknownMark("wrod".to_owned()));
        refuses("a{word", TermProblem::Unclosed);
        refuses("test_{word}case", TermProblem::Swallows("word"));
        refuses("x{word}_test", TermProblem::Swallows("word"));
        refuses("##{spaces}{space}x", TermProblem::Swallows("spaces"));
    }
}

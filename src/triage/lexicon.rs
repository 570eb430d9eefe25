//! All terms and words of a policy as one automaton, so that a text is read once, however many there are.
//! Finds; what a find is worth is not known here.

use std::ops::Range;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::{self, DFA};
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, BuildError, MatchError, StartKind};

use super::cues::{self, Cue};
use super::kinds::Kind;
use super::policy::{Policy, PolicyError};
use super::term::Term;
use super::text;

/// In how many parts a text is read at once.
const PARTS: usize = 4;

/// What was found at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// The anchor of a term; [`Term::extent`] tells whether the term is there.
    Term(usize),
    /// A word of the task type with this place in the policy's list.
    Task(usize),
    /// A phrase with this place in [`Lexicon::cues`].
    Cue(usize),
    /// One of the characters for which the text has to be read in another way.
    Rare,
}

/// The compiled terms and words.
pub(super) struct Lexicon {
    /// For every text; where some of what it looks for is not ASCII, in the compact form: a table would be of megabytes.
    automaton: AhoCorasick,
    /// For texts in ASCII, where the other one looks for more; it looks for the first of the same texts.
    ascii: Option<DFA>,
    /// What each text stands for that the automaton looks for.
    finds: Vec<Find>,
    /// The terms, and what each shows.
    pub(super) terms: Vec<(Kind, Term)>,
    /// The phrases.
    pub(super) cues: Vec<Cue>,
    /// The length of the longest text, in bytes.
    pub(super) longest: usize,
    is_ascii: bool,
}

impl Lexicon {
    /// Compiles all terms and words of the policy.
    pub(super) fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let terms = terms(policy)?;
        let anchors = terms.iter().map(|(_, term)| term.anchor.clone()).enumerate();
        let anchors = anchors.map(|(place, anchor)| (anchor, Find::Term(place)));
        let (mut texts, mut finds): (Vec<_>, Vec<_>) = anchors.chain(words(policy)?).unzip();
        let cues = cues::all(policy);
        for (place, cue) in cues.iter().enumerate() {
            texts.push(cue.text.clone());
            finds.push(Find::Cue(place));
        }
        // A stable sort: what is in ASCII keeps its order.
        let mut all: Vec<_> = texts.into_iter().zip(finds).collect();
        all.sort_by_key(|(text, _)| !text.is_ascii());
        let (mut texts, mut finds): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let ascii = texts.partition_point(|text| text.is_ascii());
        let is_ascii = ascii == texts.len();
        texts.extend(text::FOLDS_ONTO_ASCII.map(String::from));
        finds.resize(texts.len(), Find::Rare);
        let kind = if is_ascii { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = automaton(&texts, kind)?;
        let ascii = match is_ascii {
            true => None,
            false => Some(table(&texts[..ascii])?),
        };
        let longest = texts.iter().map(String::len).max().unwrap_or(0);
        Ok(Self { automaton, ascii, finds, terms, cues, longest, is_ascii })
    }

    /// Whether the text can only be read right in its folded form, as far as can be told without reading it.
    pub(super) fn needs_folding(&self, text: &str) -> bool {
        !self.is_ascii && !text.is_ascii()
    }

    /// Reads the text once: every find with its place, by where it ends.
    pub(super) fn finds(
        &self,
        text: &(impl AsRef<[u8]> + ?Sized),
    ) -> impl Iterator<Item = (Find, Range<usize>)> {
        let found = self.automaton.find_overlapping_iter(text);
        found.map(|one| (self.finds[one.pattern().as_usize()], one.range()))
    }

    /// The same, at once.
    pub(super) fn all_finds(&self, text: &str) -> Vec<(Find, Range<usize>)> {
        let table = self.ascii.as_ref().filter(|_| text.is_ascii());
        let found = table.and_then(|table| self.in_parts(table, text.as_bytes()).ok());
        found.unwrap_or_else(|| self.finds(text).collect())
    }

    /// Reads a text in parts at once: each step waits for the memory of the one before it, so that several parts take
    /// little longer than one.
    fn in_parts(&self, table: &DFA, text: &[u8]) -> Result<Vec<(Find, Range<usize>)>, MatchError> {
        let length = text.len() / PARTS;
        let parts: [_; PARTS] = std::array::from_fn(|part| &text[part * length..][..length]);
        let next = |state: StateID, byte: u8| table.next_state(Anchored::No, state, byte);
        let is_find = |state: StateID| table.is_special(state) && table.is_match(state);
        let start = table.start_state(Anchored::No)?;
        // What ends in a part may begin in one before it.
        let mut states: [_; PARTS] = std::array::from_fn(|part| {
            let before = &text[(part * length).saturating_sub(self.longest)..part * length];
            before.iter().fold(start, |state, byte| next(state, *byte))
        });
        let mut found: [_; PARTS] = std::array::from_fn(|_| Vec::with_capacity(length / 16));
        #[expect(clippy::needless_range_loop, reason = "one place in all parts")]
        for at in 0..length {
            states = std::array::from_fn(|part| next(states[part], parts[part][at]));
            if states.iter().any(|state| table.is_special(*state)) {
                let here = states.iter().zip(&mut found).enumerate();
                for (part, (state, found)) in here.filter(|(_, (state, _))| is_find(**state)) {
                    found.push((*state, part * length + at + 1));
                }
            }
        }
        let (mut state, mut end) = (states[PARTS - 1], PARTS * length);
        for byte in &text[end..] {
            (state, end) = (next(state, *byte), end + 1);
            found[PARTS - 1].extend(is_find(state).then_some((state, end)));
        }
        let mut all = Vec::with_capacity(2 * found.iter().map(Vec::len).sum::<usize>());
        for (state, end) in found.into_iter().flatten() {
            for pattern in (0..table.match_len(state)).map(|one| table.match_pattern(state, one)) {
                let start = end - table.pattern_len(pattern);
                all.push((self.finds[pattern.as_usize()], start..end));
            }
        }
        Ok(all)
    }
}

fn automaton(texts: &[String], kind: AhoCorasickKind) -> Result<AhoCorasick, PolicyError> {
    AhoCorasick::builder()
        .kind(Some(kind))
        .ascii_case_insensitive(true)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(texts)
        .map_err(too_large)
}

fn table(texts: &[String]) -> Result<DFA, PolicyError> {
    dfa::Builder::new()
        .ascii_case_insensitive(true)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(texts)
        .map_err(too_large)
}

fn too_large(error: BuildError) -> PolicyError {
    PolicyError::TooLarge(error.to_string())
}

fn terms(policy: &Policy) -> Result<Vec<(Kind, Term)>, PolicyError> {
    let all = Kind::ALL.into_iter().flat_map(|kind| {
        let (key, terms) = kind.terms(policy);
        terms.iter().map(move |term| match Term::parse(term) {
            Ok(parsed) => Ok((kind, parsed)),
            Err(problem) => Err(PolicyError::Term { key, term: term.clone(), problem }),
        })
    });
    all.collect()
}

fn words(policy: &Policy) -> Result<Vec<(String, Find)>, PolicyError> {
    let all = policy.task_types.iter().enumerate().flat_map(|(place, entry)| {
        entry.words.iter().map(move |word| match word.to_lowercase() {
            word if word.is_empty() => Err(PolicyError::EmptyWord { task: entry.task }),
            word => Ok((word, Find::Task(place))),
        })
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::triage::Preset;

    proptest! {
        /// In parts a text shows the same as from its beginning to its end, whatever lies across two of them.
        #[test]
        fn a_text_is_read_alike_in_parts(words in prop::collection::vec(0_usize..2_000, 0..60), cut in 0_usize..40) {
            let lexicon = Lexicon::new(&Policy::of(Preset::Practical)).unwrap();
            let known: Vec<_> = lexicon.cues.iter().map(|cue| cue.text.as_str()).collect();
            let words: Vec<_> = words.iter().map(|at| known.get(*at).copied().unwrap_or("x ")).collect();
            let text: String = words.join(" ").chars().filter(char::is_ascii).skip(cut).collect();
            let whole: Vec<_> = lexicon.finds(&text).collect();
            prop_assert_eq!(lexicon.all_finds(&text), whole);
        }
    }
}

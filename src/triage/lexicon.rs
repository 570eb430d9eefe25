//! All terms and words of a policy as one automaton, so that a text is read once, however many there are.
//! Finds; what a find is worth is not known here.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, StartKind};

use super::cues::{self, Cue};
use super::kinds::Kind;
use super::policy::{Policy, PolicyError};
use super::term::Term;
use super::text;

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
    ascii: Option<AhoCorasick>,
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
            false => Some(self::automaton(&texts[..ascii], AhoCorasickKind::DFA)?),
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
        let ascii = self.ascii.as_ref().filter(|_| text.as_ref().is_ascii());
        let found = ascii.unwrap_or(&self.automaton).find_overlapping_iter(text);
        found.map(|one| (self.finds[one.pattern().as_usize()], one.range()))
    }
}

fn automaton(texts: &[String], kind: AhoCorasickKind) -> Result<AhoCorasick, PolicyError> {
    AhoCorasick::builder()
        .kind(Some(kind))
        .ascii_case_insensitive(true)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(texts)
        .map_err(|error| PolicyError::TooLarge(error.to_string()))
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

//! All terms and words of a policy as one automaton, so that a text is read once, however many there are.
//! Finds; what a find is worth is not known here.

use std::ops::{ControlFlow, Range};

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, StartKind};

use super::kinds::{Kind, TermList};
use super::policy::{Policy, PolicyError};
use super::term::{Runs, Term};
use super::text;

/// What was found at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// One of the characters for which the text has to be read in another way.
    Rare,
    /// The anchor of a term; [`Lexicon::extent`] tells whether the term is there.
    Term(usize),
    /// A word of the task type with this place in the policy's list.
    Task(usize),
}

/// The compiled terms and words.
pub(super) struct Lexicon {
    automaton: DFA,
    needles: Vec<Needle>,
    terms: Vec<(Kind, Term)>,
    joined: Vec<Joined>,
    ascii: bool,
}

/// A text the automaton looks for, and all that it stands for.
struct Needle {
    text: String,
    finds: Vec<Find>,
}

/// A task word with a space in it, split there: title and body are joined by a space for task types,
/// so the word may begin in one and end in the other.
struct Joined {
    task: usize,
    left: String,
    right: String,
}

impl Lexicon {
    /// Compiles all terms and words of the policy.
    pub(super) fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let terms = terms(policy)?;
        let words = words(policy)?;
        let mut needles = Vec::new();
        for rare in text::FOLDS_ONTO_ASCII {
            add(&mut needles, &rare.to_string(), Find::Rare);
        }
        for (place, (_, term)) in terms.iter().enumerate() {
            add(&mut needles, term.anchor(), Find::Term(place));
        }
        for (task, word) in &words {
            add(&mut needles, word, Find::Task(*task));
        }
        Ok(Self {
            automaton: automaton(&needles)?,
            ascii: needles[text::FOLDS_ONTO_ASCII.len()..].iter().all(|n| n.text.is_ascii()),
            needles,
            terms,
            joined: words.iter().flat_map(|(task, word)| splits(*task, word)).collect(),
        })
    }

    /// Whether the text can only be read right in its folded form, as far as can be told without reading it.
    pub(super) fn needs_folding(&self, text: &str) -> bool {
        !self.ascii && !text.is_ascii()
    }

    /// Reads the text once and reports every find with its place, by where it ends.
    pub(super) fn scan(
        &self,
        text: &str,
        mut report: impl FnMut(Find, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Ok(mut state) = self.automaton.start_state(Anchored::No) else {
            return ControlFlow::Continue(());
        };
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            state = self.automaton.next_state(Anchored::No, state, byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                for place in 0..self.automaton.match_len(state) {
                    let needle =
                        &self.needles[self.automaton.match_pattern(state, place).as_usize()];
                    let range = at + 1 - needle.text.len()..at + 1;
                    needle.finds.iter().try_for_each(|find| report(*find, range.clone()))?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// What the term shows.
    pub(super) fn kind(&self, term: usize) -> Kind {
        self.terms[term].0
    }

    /// How far the term reaches around its anchor, if all of it is there.
    pub(super) fn extent(
        &self,
        term: usize,
        text: &str,
        anchor: Range<usize>,
        runs: &mut Runs,
    ) -> Option<Range<usize>> {
        self.terms[term].1.extent(text, anchor, runs)
    }

    /// The first task type with a word that begins at the end of the title and ends in the body.
    pub(super) fn task_across(&self, title: &str, body: &str) -> Option<usize> {
        let spans = |word: &&Joined| {
            text::ends_with(title, &word.left) && text::starts_with(body, &word.right)
        };
        self.joined.iter().filter(spans).map(|word| word.task).min()
    }
}

fn terms(policy: &Policy) -> Result<Vec<(Kind, Term)>, PolicyError> {
    let all = Kind::ALL.into_iter().flat_map(|kind| {
        let TermList { key, terms, .. } = kind.list(policy);
        terms.iter().map(move |term| match Term::parse(term) {
            Ok(parsed) => Ok((kind, parsed)),
            Err(problem) => Err(PolicyError::Term { key, term: term.clone(), problem }),
        })
    });
    all.collect()
}

fn words(policy: &Policy) -> Result<Vec<(usize, String)>, PolicyError> {
    let all = policy.task_types.iter().enumerate().flat_map(|(place, entry)| {
        entry.words.iter().map(move |word| match word.to_lowercase() {
            word if word.is_empty() => Err(PolicyError::EmptyWord { task: entry.task }),
            word => Ok((place, word)),
        })
    });
    all.collect()
}

fn add(needles: &mut Vec<Needle>, text: &str, find: Find) {
    match needles.iter_mut().find(|needle| needle.text == text) {
        Some(needle) => needle.finds.push(find),
        None => needles.push(Needle { text: text.to_owned(), finds: vec![find] }),
    }
}

fn splits(task: usize, word: &str) -> impl Iterator<Item = Joined> {
    word.match_indices(' ').map(move |(at, _)| Joined {
        task,
        left: word[..at].to_owned(),
        right: word[at + 1..].to_owned(),
    })
}

fn automaton(needles: &[Needle]) -> Result<DFA, PolicyError> {
    aho_corasick::dfa::Builder::new()
        .ascii_case_insensitive(true)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(needles.iter().map(|needle| &needle.text))
        .map_err(|error| PolicyError::TooLarge(error.to_string()))
}

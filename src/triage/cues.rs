//! The phrases of a policy that are found in what a text states, as whole words, and what each says.

use std::ops::Range;

use super::phrases::is_unspaced;
use super::policy::Policy;
use super::text::{self, is_word};
use crate::issue::ending;

/// What a phrase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It speaks for the type with this place in the policy.
    Type {
        of: usize,
        is_strong: bool,
    },
    Urgent,
    /// The name of an issue behind it is that of a blocker.
    BlockedBy,
}

/// A phrase made ready for use.
#[derive(Clone, Debug)]
pub(super) struct Cue {
    pub(super) meaning: Meaning,
    /// What is looked for, in folded form.
    pub(super) text: String,
    /// Whether it may go on with other letters.
    is_open: bool,
}

/// All phrases of a policy.
pub(super) fn all(policy: &Policy) -> Vec<Cue> {
    let cue = |meaning: Meaning| {
        move |phrase: &String| {
            let open = phrase.strip_suffix('*');
            let text = text::fold(open.unwrap_or(phrase));
            Cue { meaning, text, is_open: open.is_some() }
        }
    };
    let types = policy.types.iter().enumerate().flat_map(|(of, words)| {
        let strong = words.strong.iter().map(cue(Meaning::Type { of, is_strong: true }));
        strong.chain(words.cues.iter().map(cue(Meaning::Type { of, is_strong: false })))
    });
    let urgent = policy.urgent_phrases.iter().map(cue(Meaning::Urgent));
    let blocked = policy.blocked_by.iter().map(cue(Meaning::BlockedBy));
    let all = types.chain(urgent).chain(blocked);
    all.filter(|cue| !cue.text.is_empty()).collect()
}

impl Cue {
    /// Whether the phrase stands there as words of its own.
    pub(super) fn stands(&self, text: &str, at: &Range<usize>) -> bool {
        is_whole(text, at, self.is_open)
    }
}

/// Whether a word begins and ends at these places; letters of scripts without spaces begin and end anywhere.
pub(super) fn is_whole(text: &str, at: &Range<usize>, is_open: bool) -> bool {
    let joins = |one: Option<char>, other: Option<char>| {
        let in_word = |c: Option<char>| c.is_some_and(|c| is_word(c) && !is_unspaced(c));
        in_word(one) && in_word(other)
    };
    let (Some(before), Some(inside), Some(after)) =
        (text.get(..at.start), text.get(at.clone()), text.get(at.end..))
    else {
        return false;
    };
    let starts = !joins(before.chars().next_back(), inside.chars().next());
    let ends = is_open || !joins(inside.chars().next_back(), after.chars().next());
    starts && ends
}

/// Whether one of the last words before this place, in its own clause, turns what follows into its opposite.
pub(super) fn is_negated(text: &str, at: usize, negations: &[String]) -> bool {
    /// Further back it turns something else.
    const NEAR: usize = 40;
    let before = ending(&text[..at], NEAR);
    let clause =
        before.rsplit(['.', ';', ',', '!', '?', '\n', '。', '，']).next().unwrap_or(before);
    if clause.trim_end().ends_with("~~") {
        return true;
    }
    let words = clause.split(|c: char| !is_word(c) && c != '\'').filter(|word| !word.is_empty());
    let last: Vec<_> = words.rev().take(3).collect();
    let is_turned = |negation: &String| match negation.chars().all(is_unspaced) {
        true => clause.trim_end().ends_with(negation.as_str()),
        false => last.iter().any(|word| word.eq_ignore_ascii_case(negation)),
    };
    negations.iter().any(is_turned)
}

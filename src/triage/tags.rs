//! Tags: `[bracketed]` words of a title and label names, and the classes the policy puts them in.

use std::collections::BTreeSet;

use super::IssueType;
use super::policy::Policy;
use super::text;
use crate::issue::Issue;

/// The bracket tags of a title, as typed.
pub(super) fn bracketed(title: &str) -> impl Iterator<Item = &str> {
    Brackets { rest: title }.map(|(_, tag)| tag)
}

/// The title without its bracket tags.
pub(super) fn without_brackets(title: &str) -> String {
    let mut brackets = Brackets { rest: title };
    let mut clean = String::with_capacity(title.len());
    clean.extend(brackets.by_ref().map(|(before, _)| before));
    clean.push_str(brackets.rest);
    text::strip(&clean).to_owned()
}

/// All tags of an issue, lower-cased.
pub(super) fn of(issue: &Issue) -> BTreeSet<String> {
    among(&issue.title, &issue.labels)
}

/// All tags in a title and among labels, lower-cased.
pub(super) fn among(title: &str, labels: &[String]) -> BTreeSet<String> {
    typed(title, labels).map(text::normal).collect()
}

/// All tags of an issue as they stand there, brackets first.
pub(super) fn as_typed(issue: &Issue) -> impl Iterator<Item = &str> {
    typed(&issue.title, &issue.labels)
}

fn typed<'a>(title: &'a str, labels: &'a [String]) -> impl Iterator<Item = &'a str> {
    bracketed(title).chain(labels.iter().map(String::as_str))
}

/// Walks over `[…]`, giving the text before each and what is inside.
struct Brackets<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Brackets<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest;
        let mut from = 0;
        loop {
            let open = from + text[from..].find('[')?;
            let close = open + text[open..].find(']')?;
            if close > open + 1 {
                self.rest = &text[close + 1..];
                return Some((&text[..open], &text[open + 1..close]));
            }
            from = open + 1; // `[]` holds nothing, and its `]` closes no earlier bracket
        }
    }
}

/// Which of the policy's classes an issue's tags fall into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Classes {
    pub(super) bug: bool,
    pub(super) feature: bool,
    pub(super) refactor: bool,
    pub(super) meta: bool,
    pub(super) p0: bool,
    pub(super) research: bool,
    pub(super) from_loop: bool,
}

impl Classes {
    pub(super) fn new(policy: &Policy, tags: &BTreeSet<String>) -> Self {
        let any = |set: &[String]| set.iter().any(|tag| tags.contains(tag));
        let sets = &policy.tags;
        Self {
            bug: any(&sets.bug),
            feature: any(&sets.feature),
            refactor: any(&sets.refactor),
            meta: any(&sets.meta),
            p0: any(&sets.p0),
            research: any(&sets.research),
            from_loop: any(&sets.from_loop),
        }
    }

    /// Whether such an issue goes before others.
    pub(super) fn is_urgent(&self) -> bool {
        self.p0 || self.bug
    }

    pub(super) fn issue_type(&self) -> IssueType {
        match self {
            Self { bug: true, .. } => IssueType::Bug,
            Self { research: true, .. } => IssueType::Research,
            Self { feature: true, .. } => IssueType::Feature,
            Self { refactor: true, .. } => IssueType::Refactor,
            Self { meta: true, .. } => IssueType::Philosophy,
            _ => IssueType::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(title: &str, tags: &[&str], clean: &str) {
        assert_eq!(bracketed(title).collect::<Vec<_>>(), tags);
        assert_eq!(without_brackets(title), clean);
    }

    #[test]
    fn bracket_tags_are_split_off_the_title() {
        splits("[Bug][P0] crash", &["Bug", "P0"], "crash");
        splits("crash [ bug ] here", &[" bug "], "crash  here");
        splits("no tags", &[], "no tags");
    }

    #[test]
    fn broken_brackets_stay_in_the_title() {
        splits("[fix it", &[], "[fix it");
        splits("[]x] y", &[], "[]x] y");
        splits("[][a] y", &["a"], "[] y");
        splits("[[a] y", &["[a"], "y");
        splits("] [a\nb] [c", &["a\nb"], "]  [c");
    }
}

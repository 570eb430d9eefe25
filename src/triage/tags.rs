//! Tags: `[bracketed]` words of a title and label names, and the classes the policy puts them in.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::IssueType;
use super::policy::Policy;
use super::text;

/// `[]` holds nothing, and its `]` closes no earlier bracket.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static BRACKETS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[[^\]]+\]").expect("a valid pattern"));

/// The title without its bracket tags.
pub(super) fn without_brackets(title: &str) -> String {
    text::strip(&BRACKETS.replace_all(title, "")).to_owned()
}

/// The bracket tags of a title and the labels, as they stand there.
pub(super) fn typed<'a>(title: &'a str, labels: &'a [String]) -> impl Iterator<Item = &'a str> {
    let inside = move |tag: regex::Match<'a>| &title[tag.start() + 1..tag.end() - 1];
    BRACKETS.find_iter(title).map(inside).chain(labels.iter().map(String::as_str))
}

/// All tags in a title and among labels, lower-cased.
pub(super) fn among(title: &str, labels: &[String]) -> BTreeSet<String> {
    typed(title, labels).map(text::normal).collect()
}

/// Which of the policy's classes an issue's tags fall into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) bug: bool,
    pub(super) feature: bool,
    pub(super) refactor: bool,
    pub(super) meta: bool,
    pub(super) p0: bool,
    pub(super) research: bool,
    pub(super) from_loop: bool,
    pub(super) docs: bool,
    pub(super) chore: bool,
    /// Whether bugs go before others.
    pub(super) bugs_first: bool,
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
            bugs_first: true,
            ..Self::default()
        }
    }

    /// Those of an issue whose type was told.
    pub(super) fn told(issue_type: IssueType) -> Self {
        let mut classes = Self::default();
        match issue_type {
            IssueType::Bug => classes.bug = true,
            IssueType::Research => classes.research = true,
            IssueType::Feature => classes.feature = true,
            IssueType::Refactor => classes.refactor = true,
            IssueType::Philosophy => classes.meta = true,
            IssueType::Docs => classes.docs = true,
            IssueType::Chore => classes.chore = true,
            IssueType::Unknown => {}
        }
        classes
    }

    /// Whether such an issue goes before others.
    pub(super) fn is_urgent(&self) -> bool {
        self.p0 || (self.bug && self.bugs_first)
    }

    /// Whether it is known what is wanted.
    pub(super) fn is_work(&self) -> bool {
        self.bug
            || self.feature
            || self.refactor
            || self.docs
            || self.chore
            || (self.research && !self.bugs_first)
    }

    pub(super) fn issue_type(&self) -> IssueType {
        match self {
            Self { bug: true, .. } => IssueType::Bug,
            Self { research: true, .. } => IssueType::Research,
            Self { feature: true, .. } => IssueType::Feature,
            Self { refactor: true, .. } => IssueType::Refactor,
            Self { docs: true, .. } => IssueType::Docs,
            Self { chore: true, .. } => IssueType::Chore,
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
        assert_eq!(typed(title, &[]).collect::<Vec<_>>(), tags);
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

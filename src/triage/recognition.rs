//! What type of issue it is: by a label, else by the title, else by the fields of a form, else by words of the text, and by
//! nothing where those say too little.

use std::collections::{BTreeMap, HashSet};

use super::phrases::{Phrases, Words, words};
use super::policy::Policy;
use super::{tags, text};
use crate::issue::IssueType;

/// More headings than a form has.
const MOST_HEADINGS: usize = 100;

/// How a type was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum By {
    Label,
    Title,
    Form,
    Words,
    /// Nothing says enough.
    #[default]
    Nothing,
}

impl By {
    /// How it was told, to follow the type.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Label => ", by its label",
            Self::Title => ", by its title",
            Self::Form => ", by the fields of its form",
            Self::Words => ", by its words",
            Self::Nothing => "",
        }
    }
}

/// The type of an issue, how it was told, and by which words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Its place in the policy.
    pub(super) of: Option<usize>,
    pub(super) by: By,
    pub(super) words: Vec<String>,
}

impl Told {
    pub(super) fn new(of: usize, by: By, words: Vec<String>) -> Self {
        Self { of: Some(of), by, words }
    }

    /// The type.
    pub(super) fn issue_type(&self, policy: &Policy) -> IssueType {
        self.of.map_or(IssueType::Unknown, |of| policy.types[of].issue_type)
    }
}

/// What a label may be called in a list, the first that is there counts.
pub(super) struct LabelNames {
    words: Words,
    /// With which word each name begins; all go on to the last.
    starts: [Option<usize>; 3],
}

impl LabelNames {
    /// What a list says of it.
    fn in_list<T: Copy>(&self, list: &Phrases<T>) -> Option<T> {
        let starts = self.starts.iter().flatten();
        starts.into_iter().find_map(|from| list.get_part(&self.words, *from..self.words.len()))
    }
}

/// The labels, titles and headings of a policy, made ready for use.
pub(super) struct Recognition {
    labels: Phrases<usize>,
    titles: Phrases<usize>,
    fields: Phrases<usize>,
    openers: Phrases<usize>,
    /// The types whose openers order work.
    ordering: HashSet<usize>,
    scopes: Phrases<()>,
    modifiers: HashSet<String>,
    urgent: Phrases<()>,
    blocked: Phrases<()>,
    ignored: Phrases<()>,
    ignored_labels: Vec<String>,
}

impl Recognition {
    pub(super) fn new(policy: &Policy) -> Self {
        let types = || policy.types.iter().enumerate();
        let plain = |list: &[String]| Phrases::new(list.iter().map(|text| (text, ())));
        Self {
            labels: Phrases::new(types().flat_map(|(of, t)| t.labels.iter().map(move |l| (l, of)))),
            titles: Phrases::new(types().flat_map(|(of, t)| t.titles.iter().map(move |l| (l, of)))),
            fields: Phrases::new(types().flat_map(|(of, t)| t.fields.iter().map(move |l| (l, of)))),
            openers: Phrases::new(
                types().flat_map(|(of, t)| t.openers.iter().map(move |l| (l, of))),
            ),
            ordering: types()
                .filter(|(_, t)| t.issue_type != IssueType::Philosophy)
                .map(|(of, _)| of)
                .collect(),
            scopes: plain(&policy.labels.scopes),
            modifiers: policy.labels.modifiers.iter().cloned().collect(),
            urgent: plain(&policy.tags.p0),
            blocked: plain(&policy.labels.blocked),
            ignored: plain(&policy.ignore_labels),
            ignored_labels: policy.ignore_labels.clone(),
        }
    }

    /// What a label may be called in a list: as it stands there, without its scope, and without words that change nothing.
    /// A scope that is none of the known ones says something else.
    pub(super) fn label(&self, label: &str) -> LabelNames {
        let label = label.split('(').next().unwrap_or(label);
        let parts = label.rsplit_once(['/', ':', '：']).map(|(scope, value)| (scope, words(value)));
        let words = match parts.filter(|(_, value)| !value.is_empty()) {
            Some((scope, value)) => {
                let last = words(scope.rsplit(['/', ':', '：']).next().unwrap_or(scope));
                if !last.is_empty() && self.scopes.get(&last).is_none() {
                    return LabelNames { words: words(label), starts: [Some(0), None, None] };
                }
                value
            }
            None => words(label),
        };
        let has_scope = words.len() > 1 && self.scopes.get_part(&words, 0..1).is_some();
        let modifiers = words.iter().take_while(|word| self.modifiers.contains(*word)).count();
        let starts = [Some(0), has_scope.then_some(1), (modifiers > 0).then_some(modifiers)];
        LabelNames { words, starts }
    }

    pub(super) fn is_urgent(&self, label: &LabelNames) -> bool {
        label.in_list(&self.urgent).is_some()
    }

    pub(super) fn is_blocking(&self, label: &LabelNames) -> bool {
        label.in_list(&self.blocked).is_some()
    }

    /// Whether an issue with this label, which may be called so, is left alone.
    pub(super) fn is_ignored(&self, label: &str, names: &LabelNames) -> bool {
        text::is_among(label, &self.ignored_labels) || names.in_list(&self.ignored).is_some()
    }

    /// Whether a label is one of these names.
    pub(super) fn is_among(&self, label: &str, names: &[String]) -> bool {
        let names = Phrases::new(names.iter().map(|name| (name, ())));
        self.label(label).in_list(&names).is_some()
    }

    /// The type that comes first in the policy of those that labels name.
    pub(super) fn by_label(&self, labels: &[String], names: &[LabelNames]) -> Option<Told> {
        let named = names
            .iter()
            .zip(labels)
            .filter_map(|(n, label)| Some((n.in_list(&self.labels)?, label)));
        let (of, label) = named.min_by_key(|(of, _)| *of)?;
        Some(Told::new(of, By::Label, vec![label.clone()]))
    }

    /// By what stands in brackets, or before a colon or dash at the start.
    pub(super) fn by_title(&self, title: &str) -> Option<Told> {
        let bracketed = tags::typed(title, &[]).chain(in_wide_brackets(title)).take(4);
        let (_, prefix, _) = prefixed(title);
        let all = bracketed.chain(prefix);
        let mut named = all.filter_map(|part| {
            let words = words(part.split('(').next().unwrap_or(part));
            Some(Told::new(self.titles.get(&words)?, By::Title, vec![part.trim().to_owned()]))
        });
        named.next()
    }

    /// The type that most headings speak for, if no other has as many.
    pub(super) fn by_form<'a>(&self, headings: impl Iterator<Item = &'a str>) -> Option<Told> {
        let mut votes: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for heading in headings.take(MOST_HEADINGS) {
            let words = words(heading);
            let of = self.fields.get(&words).or_else(|| self.fields.within(&words));
            of.into_iter().for_each(|of| votes.entry(of).or_default().push(heading));
        }
        let most = votes.values().map(Vec::len).max()?;
        let mut first = votes.iter().filter(|(_, names)| names.len() == most);
        let (of, names) = first.next()?;
        let words = || names.iter().take(3).map(|name| (*name).to_owned()).collect();
        first.next().is_none().then(|| Told::new(*of, By::Form, words()))
    }

    /// The type that a whole text names: `feature`, below a question for it.
    pub(super) fn named(&self, text: &str) -> Option<usize> {
        self.titles.get(&words(text))
    }

    /// Whether a sentence begins with a word that orders work.
    pub(super) fn orders(&self, sentence: &str) -> bool {
        /// A shorter one is a heading.
        const SHORTEST: usize = 4;
        let words = words(sentence);
        let opener = self.openers.get_part(&words, 0..words.len().min(1));
        words.len() >= SHORTEST && opener.is_some_and(|of| self.ordering.contains(&of))
    }

    /// The type of which a title begins with a word, and that word.
    pub(super) fn opener(&self, title: &str) -> Option<(usize, String)> {
        let words = words(rest_of(title));
        let mut lengths = [2, 1].into_iter().filter(|length| *length <= words.len());
        lengths.find_map(|length| {
            let of = self.openers.get_part(&words, 0..length)?;
            Some((of, words.part(0..length).to_owned()))
        })
    }
}

fn in_wide_brackets(title: &str) -> impl Iterator<Item = &str> {
    title.split('【').skip(1).filter_map(|part| Some(part.split_once('】')?.0))
}

/// A title in its parts: tags before the prefix, the prefix, and the rest.
fn prefixed(title: &str) -> (&str, Option<&str>, &str) {
    /// A longer one is part of the sentence.
    const LONGEST: usize = 60;
    let mut rest = title.trim_start();
    while let Some(inner) = rest.strip_prefix(['[', '【', '(']) {
        let Some((_, after)) = inner.split_once([']', '】', ')']) else { break };
        rest = after.trim_start();
    }
    let tags = &title[..title.len() - rest.len()];
    let colon = rest.find([':', '：']);
    let dash = [" - ", " – ", " — "].into_iter().filter_map(|dash| rest.find(dash)).min();
    let end = [colon, dash].into_iter().flatten().min().filter(|end| *end <= LONGEST);
    let Some(end) = end else { return (tags, None, rest) };
    let after = rest[end..].trim_start_matches([':', '：', '-', '–', '—', ' ']);
    (tags, Some(&rest[..end]), after)
}

/// What a title says without its tags and prefix.
fn rest_of(title: &str) -> &str {
    prefixed(title).2
}

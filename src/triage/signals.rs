//! From the text of an issue to facts: which signals it holds, and where.

use std::collections::BTreeSet;
use std::ops::Range;

use super::kinds::Kind;
use super::lexicon::{Find, Lexicon};
use super::policy::Policy;
use super::recognition::Told;
use super::tags::Classes;
use super::term::Runs;
use super::text;
use crate::dispatch::TaskType;
use crate::issue::Issue;

/// How many places of a kind are quoted: enough to find a few different words among them, and few enough
/// that a text of nothing but terms costs no more than another.
const MOST_QUOTES: usize = 64;

/// What the text of an issue shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    shown: [bool; Kind::ALL.len()],
    /// How many acceptance terms it has, none counted inside another.
    pub(super) acceptance: usize,
    /// The first task type that one of its words tells, by place in the policy.
    pub(super) task: Option<usize>,
    /// The task of its type, where the type tells one.
    pub(super) usual_task: Option<TaskType>,
    /// Its tags, lower-cased.
    pub(super) tags: BTreeSet<String>,
    /// The classes it falls into.
    pub(super) classes: Classes,
    /// How its type was told, where statements are read.
    pub(super) told: Told,
    /// The label that says it is blocked, where statements are read.
    pub(super) blocking_label: Option<String>,
    /// The label for which it is left alone, where statements are read.
    pub(super) ignored_label: Option<String>,
}

impl Facts {
    /// The facts of an issue, as its raw text and its tags say.
    pub(super) fn of(lexicon: &Lexicon, issue: &Issue) -> Self {
        Reading::of(lexicon, &issue.title, &issue.body, false).facts
    }

    /// These facts, with the tags of the issue and what classes they make.
    pub(super) fn with(self, tags: BTreeSet<String>, classes: Classes) -> Self {
        Self { tags, classes, ..self }
    }

    /// A term of the kind is there.
    pub(super) fn show(&mut self, kind: Kind) {
        self.shown[kind as usize] = true;
    }

    /// A term of the kind is there if this holds.
    pub(super) fn show_if(&mut self, kind: Kind, holds: bool) {
        self.shown[kind as usize] |= holds;
    }

    /// Whether a term of the kind is there.
    pub(super) fn shows(&self, kind: Kind) -> bool {
        self.shown[kind as usize]
    }

    /// The first entry of the policy with a word in the issue; everyday coding when there is none.
    pub(super) fn task_type(&self, policy: &Policy) -> TaskType {
        let told = self.task.map(|place| policy.task_types[place].task);
        told.or(self.usual_task).unwrap_or(TaskType::RoutineCoding)
    }
}

/// Whether the text holds a term that says it is blocked.
pub(super) fn says_blocked(lexicon: &Lexicon, text: &str) -> bool {
    Reading::of(lexicon, "", text, false).facts.shows(Kind::Blocked)
}

/// One reading of a text.
pub(super) struct Reading<'a> {
    lexicon: &'a Lexicon,
    runs: Runs,
    facts: Facts,
    /// Acceptance terms, overlapping ones included until they are counted: where one begins, its place in the list
    /// and where it ends, in the order of choice.
    candidates: Vec<(usize, usize, usize)>,
    /// The places of the terms, where they are asked for.
    spans: Option<Vec<(Kind, Range<usize>)>>,
    /// Title and body, which the places point into, or their folded form if there is one.
    text: String,
    folded: Option<String>,
}

impl<'a> Reading<'a> {
    /// Reads an issue, keeping the places of its terms.
    pub(super) fn with_places(lexicon: &'a Lexicon, issue: &Issue) -> Self {
        Self::of(lexicon, &issue.title, &issue.body, true)
    }

    fn of(lexicon: &'a Lexicon, title: &str, body: &str, with_places: bool) -> Self {
        let text = [title, "\n", body].concat();
        let mut reading = Self::new(lexicon, with_places);
        if lexicon.needs_folding(&text) || !reading.read(&text, title.len() + 1) {
            reading = Self::new(lexicon, with_places);
            reading.read_folded(&text, title.len());
        } else {
            // A space joins both for task words, which may begin in one and end in the other.
            let end = &title.as_bytes()[title.len().saturating_sub(lexicon.longest)..];
            let start = &body.as_bytes()[..body.len().min(lexicon.longest)];
            reading.read_tasks(&[end, b" ", start].concat());
        }
        reading.count();
        Self { text, ..reading }
    }

    fn new(lexicon: &'a Lexicon, with_places: bool) -> Self {
        Self {
            lexicon,
            runs: Runs::new(),
            facts: Facts::default(),
            candidates: Vec::new(),
            spans: with_places.then(Vec::new),
            text: String::new(),
            folded: None,
        }
    }

    /// The usual way: everything in one go. Breaks off at a rare character, and says whether there was none.
    fn read(&mut self, text: &str, body_at: usize) -> bool {
        for (find, range) in self.lexicon.finds(text) {
            match find {
                Find::Term(term) => self.see_term(term, text, body_at, range),
                Find::Task(task) => self.see_task(task),
                Find::Rare => return false,
                // A policy that reads the raw text has none.
                Find::Cue(_) => {}
            }
        }
        true
    }

    /// The exact way, in two goes: terms fold `ſ` and the like onto ASCII, task words are looked for in
    /// the lower-cased text, where `ſ` stays what it is.
    fn read_folded(&mut self, text: &str, title: usize) {
        let folded = text::fold(text);
        let body_at = text::fold(&text[..title]).len() + 1;
        for (find, range) in self.lexicon.finds(&folded) {
            if let Find::Term(term) = find {
                self.see_term(term, &folded, body_at, range);
            }
        }
        self.folded = Some(folded);
        let joined = [&text[..title], " ", &text[title + 1..]].concat();
        self.read_tasks(joined.to_lowercase().as_bytes());
    }

    fn read_tasks(&mut self, text: &[u8]) {
        for (find, _) in self.lexicon.finds(text) {
            if let Find::Task(task) = find {
                self.see_task(task);
            }
        }
    }

    fn see_task(&mut self, task: usize) {
        self.facts.task = Some(self.facts.task.map_or(task, |known| known.min(task)));
    }

    fn see_term(&mut self, place: usize, text: &str, body_at: usize, anchor: Range<usize>) {
        let (kind, term) = &self.lexicon.terms[place];
        if self.facts.shows(*kind) && self.spans.is_none() {
            return;
        }
        let Some(span) = term.extent(text, anchor, &mut self.runs) else { return };
        match kind {
            Kind::Acceptance => self.candidates.push((span.start, place, span.end)),
            Kind::Section if span.start < body_at => {}
            kind => self.see(*kind, span),
        }
    }

    fn see(&mut self, kind: Kind, span: Range<usize>) {
        self.facts.show(kind);
        if let Some(spans) = &mut self.spans {
            spans.push((kind, span));
        }
    }

    /// Chooses as a regular expression does that is tried from left to right, its parts in their order.
    fn count(&mut self) {
        self.candidates.sort_unstable();
        let mut end = 0;
        for (start, _, stop) in std::mem::take(&mut self.candidates) {
            if start >= end {
                self.facts.acceptance += 1;
                end = stop;
                self.see(Kind::Acceptance, start..stop);
            }
        }
    }

    /// The first words that show `kind`, as they stand in the issue, in its order.
    pub(super) fn words(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let spans = self.spans.iter().flatten().filter(move |(of, _)| *of == kind);
        spans.take(MOST_QUOTES).map(move |(_, span)| {
            let span = match &self.folded {
                Some(folded) => text::unfold(&self.text, folded, span),
                None => span.clone(),
            };
            &self.text[if kind == Kind::File { whole_path(&self.text, span) } else { span }]
        })
    }
}

/// `src/db.rs` says more than `src/`.
pub(super) fn whole_path(text: &str, part: Range<usize>) -> Range<usize> {
    let in_path = |c: char| text::is_word(c) || matches!(c, '/' | '.' | '-');
    let start = text[..part.start].trim_end_matches(in_path).len();
    let after = &text[part.end..];
    let end = part.end + after.find(|c| !in_path(c)).unwrap_or(after.len());
    start..start + text[start..end].trim_end_matches('.').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::{issue, triage};

    #[track_caller]
    fn counts(text: &str, expected: usize) {
        let triage = triage();
        assert_eq!(Facts::of(&triage.lexicon, &issue("", text)).acceptance, expected, "{text}");
    }

    #[test]
    fn acceptance_terms_count_once_where_they_overlap() {
        counts("should must expect", 3);
        counts("returnshould", 1); // `returns` takes the `s`
        counts("return should", 2);
        counts("expectestcase", 1);
        counts("testtestcase test\ncase test-case", 2);
        counts("passing passes pass failing fails fail", 4);
    }

    #[track_caller]
    fn shows(title: &str, body: &str, expected: &[Kind]) {
        let kinds = [Kind::File, Kind::Function, Kind::Test, Kind::Section, Kind::Blocked];
        let facts = Facts::of(&triage().lexicon, &issue(title, body));
        let shown: Vec<_> = kinds.into_iter().filter(|kind| facts.shows(*kind)).collect();
        assert_eq!(shown, expected, "{title:?} {body:?}");
    }

    #[test]
    fn letters_that_fold_onto_ascii_count_as_such() {
        shows("", "ſrc/ and Claſs x", &[Kind::File, Kind::Function]);
        shows("", ".jſ and bloc\u{212a}ıng", &[Kind::File, Kind::Blocked]);
        counts("ſhould, FAİLS, Faıls", 3);
    }

    #[test]
    fn a_heading_counts_in_the_body_only() {
        shows("## problem", "", &[]);
        shows("##", "problem", &[]);
        shows("", "##problem", &[Kind::Section]);
    }

    #[track_caller]
    fn tells(title: &str, body: &str, expected: Option<usize>) {
        assert_eq!(Facts::of(&triage().lexicon, &issue(title, body)).task, expected);
    }

    #[test]
    fn a_task_word_may_begin_in_the_title_and_end_in_the_body() {
        tells("please CLEAN", "Up", Some(1));
        tells("a hard", "problem", Some(3));
        tells("a hard ", "problem", None);
        tells("ſ a hard", "problem", Some(3));
    }

    #[test]
    fn task_words_are_looked_for_in_lower_case_not_folded() {
        tells("", "quic\u{212a}", Some(11));
        tells("", "ſtory", None);
        tells("", "epİc", None);
    }

    #[track_caller]
    fn quotes(body: &str, kind: Kind, expected: &[&str]) {
        let triage = triage();
        let reading = Reading::with_places(&triage.lexicon, &issue("", body));
        assert_eq!(reading.words(kind).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_are_quoted_as_they_stand_in_the_issue() {
        quotes("see (src/db.py).", Kind::File, &["src/db.py", "src/db.py"]);
        quotes("ı `Näh()` ſHOULD", Kind::Function, &["`Näh()`"]);
        quotes("ı `Näh()` ſHOULD", Kind::Acceptance, &["ſHOULD"]);
    }
}

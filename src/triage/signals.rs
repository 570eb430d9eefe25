//! From the text of an issue to facts: which signals it holds, and where.

use std::ops::{ControlFlow, Range};

use super::kinds::Kind;
use super::lexicon::{Find, Lexicon};
use super::term::Runs;
use super::text;
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
}

impl Facts {
    /// Whether a term of the kind is there.
    pub(super) fn shows(&self, kind: Kind) -> bool {
        self.shown[kind as usize]
    }
}

/// The facts of an issue.
pub(super) fn facts(lexicon: &Lexicon, issue: &Issue) -> Facts {
    Reading::of(lexicon, &issue.title, &issue.body, false).facts
}

/// Whether the text holds a term that says it is blocked.
pub(super) fn says_blocked(lexicon: &Lexicon, text: &str) -> bool {
    Reading::of(lexicon, "", text, false).facts.shows(Kind::Blocked)
}

/// The places of an issue's terms, with the text they point into.
pub(super) struct Quotes {
    text: String,
    folded: Option<String>,
    spans: Vec<(Kind, Range<usize>)>,
}

impl Quotes {
    /// Reads the issue again, keeping the places.
    pub(super) fn of(lexicon: &Lexicon, issue: &Issue) -> Self {
        let reading = Reading::of(lexicon, &issue.title, &issue.body, true);
        let mut spans = reading.spans.unwrap_or_default();
        spans.extend(reading.counted.into_iter().map(|span| (Kind::Acceptance, span)));
        Self { text: join(&issue.title, '\n', &issue.body), folded: reading.folded, spans }
    }

    /// The first words that show `kind`, as they stand in the issue, in its order.
    pub(super) fn words(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let spans = self.spans.iter().filter(move |(of, _)| *of == kind).map(|(_, span)| span);
        spans.take(MOST_QUOTES).map(move |span| {
            let span = match &self.folded {
                Some(folded) => text::unfold(&self.text, folded, span),
                None => span.clone(),
            };
            &self.text[if kind == Kind::File { self.whole_path(span) } else { span }]
        })
    }

    /// `src/db.rs` says more than `src/`.
    fn whole_path(&self, part: Range<usize>) -> Range<usize> {
        let in_path = |c: char| text::is_word(c) || matches!(c, '/' | '.' | '-');
        let start = self.text[..part.start].trim_end_matches(in_path).len();
        let after = &self.text[part.end..];
        let end = part.end + after.find(|c| !in_path(c)).unwrap_or(after.len());
        start..start + self.text[start..end].trim_end_matches('.').len()
    }
}

/// A text to read, and where the body begins in it.
struct Page<'t> {
    text: &'t str,
    body_at: usize,
}

/// One reading of a text.
struct Reading<'a> {
    lexicon: &'a Lexicon,
    runs: Runs,
    facts: Facts,
    /// Acceptance terms, overlapping ones included until they are counted.
    candidates: Vec<Candidate>,
    counted: Vec<Range<usize>>,
    spans: Option<Vec<(Kind, Range<usize>)>>,
    folded: Option<String>,
}

/// Where an acceptance term begins, its place in the list and where it ends, in the order of choice.
type Candidate = (usize, usize, usize);

impl<'a> Reading<'a> {
    fn of(lexicon: &'a Lexicon, title: &str, body: &str, with_spans: bool) -> Self {
        let text = join(title, '\n', body);
        let page = Page { text: &text, body_at: title.len() + 1 };
        let mut reading = Self::new(lexicon, with_spans);
        if lexicon.needs_folding(&text) || reading.read(&page).is_break() {
            reading = Self::new(lexicon, with_spans);
            reading.read_folded(title, body);
        } else if let Some(task) = lexicon.task_across(title, body) {
            reading.see_task(task);
        }
        reading.count();
        reading
    }

    fn new(lexicon: &'a Lexicon, with_spans: bool) -> Self {
        Self {
            lexicon,
            runs: Runs::new(),
            facts: Facts::default(),
            candidates: Vec::new(),
            counted: Vec::new(),
            spans: with_spans.then(Vec::new),
            folded: None,
        }
    }

    /// The usual way: everything in one go. Breaks off at a rare character.
    fn read(&mut self, page: &Page<'_>) -> ControlFlow<()> {
        self.lexicon.scan(page.text, |find, range| {
            match find {
                Find::Rare => return ControlFlow::Break(()),
                Find::Term(term) => self.see_term(term, page, range),
                Find::Task(task) => self.see_task(task),
            }
            ControlFlow::Continue(())
        })
    }

    /// The exact way, in two goes: terms fold `ſ` and the like onto ASCII, task words are looked for in
    /// the lower-cased text, where `ſ` stays what it is.
    fn read_folded(&mut self, title: &str, body: &str) {
        let title_folded = text::fold(title);
        let folded = join(&title_folded, '\n', &text::fold(body));
        let page = Page { text: &folded, body_at: title_folded.len() + 1 };
        let _ = self.lexicon.scan(page.text, |find, range| {
            if let Find::Term(term) = find {
                self.see_term(term, &page, range);
            }
            ControlFlow::Continue(())
        });
        let _ = self.lexicon.scan(&join(title, ' ', body).to_lowercase(), |find, _| {
            if let Find::Task(task) = find {
                self.see_task(task);
            }
            ControlFlow::Continue(())
        });
        self.folded = Some(folded);
    }

    fn see_task(&mut self, task: usize) {
        self.facts.task = Some(self.facts.task.map_or(task, |known| known.min(task)));
    }

    fn see_term(&mut self, term: usize, page: &Page<'_>, anchor: Range<usize>) {
        let kind = self.lexicon.kind(term);
        let settled = self.facts.shows(kind) && self.spans.is_none();
        if settled && kind != Kind::Acceptance {
            return;
        }
        let Some(span) = self.lexicon.extent(term, page.text, anchor, &mut self.runs) else {
            return;
        };
        match kind {
            Kind::Acceptance => self.candidates.push((span.start, term, span.end)),
            Kind::Section if span.start < page.body_at => {}
            _ => self.see(kind, span),
        }
    }

    fn see(&mut self, kind: Kind, span: Range<usize>) {
        self.facts.shown[kind as usize] = true;
        if let Some(spans) = &mut self.spans {
            spans.push((kind, span));
        }
    }

    /// Chooses as a regular expression does that is tried from left to right, its parts in their order.
    fn count(&mut self) {
        self.candidates.sort_unstable();
        let mut end = 0;
        for &(start, _, stop) in &self.candidates {
            if start >= end {
                self.facts.acceptance += 1;
                end = stop;
                if self.spans.is_some() {
                    self.counted.push(start..stop);
                }
            }
        }
    }
}

fn join(title: &str, by: char, body: &str) -> String {
    let mut text = String::with_capacity(title.len() + 1 + body.len());
    text.push_str(title);
    text.push(by);
    text.push_str(body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::{issue, triage};

    #[track_caller]
    fn counts(text: &str, expected: usize) {
        let triage = triage();
        assert_eq!(facts(&triage.lexicon, &issue("", text)).acceptance, expected, "{text}");
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
        let facts = facts(&triage().lexicon, &issue(title, body));
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
        assert_eq!(facts(&triage().lexicon, &issue(title, body)).task, expected);
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
        let quotes = Quotes::of(&triage().lexicon, &issue("", body));
        assert_eq!(quotes.words(kind).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_are_quoted_as_they_stand_in_the_issue() {
        quotes("see (src/db.py).", Kind::File, &["src/db.py", "src/db.py"]);
        quotes("ı `Näh()` ſHOULD", Kind::Function, &["`Näh()`"]);
        quotes("ı `Näh()` ſHOULD", Kind::Acceptance, &["ſHOULD"]);
    }
}

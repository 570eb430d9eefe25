//! From what an issue states to facts: the type it is told to be, and what it names, shows and asks for.

use std::collections::BTreeSet;
use std::ops::Range;

use super::blockers;
use super::criteria;
use super::cues::{self, Meaning};
use super::kinds::Kind;
use super::lexicon::{Find, Lexicon};
use super::markdown;
use super::phrases::is_unspaced;
use super::points::AcceptanceRules;
use super::policy::Policy;
use super::recognition::{By, LabelNames, Recognition, Told};
use super::references;
use super::signals::{Facts, whole_path};
use super::statements::{Forms, Role, Statements};
use super::tags::Classes;
use super::term::Runs;
use super::text;
use crate::issue::{Issue, IssueType};

/// How many words of a kind are kept for people.
const MOST_WORDS: usize = 64;

/// Points for a type by how a title begins and ends, and how the text ends.
const TITLE_BEGINS: i64 = 4;
const TITLE_ENDS: i64 = 3;
const BODY_ENDS: i64 = 2;
/// How many items of a list show something, whatever it is called.
const MANY_ITEMS: usize = 3;

/// What a policy that reads statements is made into.
pub(super) struct Reader {
    pub(super) forms: Forms,
    pub(super) recognition: Recognition,
}

impl Reader {
    pub(super) fn new(policy: &Policy) -> Self {
        Self { forms: Forms::new(&policy.fields), recognition: Recognition::new(policy) }
    }
}

/// The facts of an issue, and the words that show them.
pub(super) struct Evidence<'a> {
    policy: &'a Policy,
    reader: &'a Reader,
    title: &'a str,
    labels: &'a [String],
    said: Statements,
    pub(super) facts: Facts,
    /// Where they stand.
    spans: Vec<(Kind, Range<usize>)>,
    /// Where the last demand ends.
    demanded: usize,
    /// Points for each type, and the phrases that gave them.
    points: Vec<(i64, Vec<Range<usize>>)>,
    /// The task types that a word tells, by place in the policy.
    tasks: Vec<bool>,
    urgent: bool,
    sounds_blocked: bool,
}

impl<'a> Evidence<'a> {
    /// Reads an issue.
    pub(super) fn of(
        lexicon: &Lexicon,
        reader: &'a Reader,
        policy: &'a Policy,
        issue: &'a Issue,
    ) -> Self {
        let said = Statements::of(&reader.forms, &issue.title, &issue.body);
        let mut evidence = Self {
            policy,
            reader,
            title: &issue.title,
            labels: &issue.labels,
            said,
            facts: Facts::default(),
            spans: Vec::new(),
            demanded: 0,
            points: vec![(0, Vec::new()); policy.types.len()],
            tasks: vec![false; policy.task_types.len()],
            urgent: false,
            sounds_blocked: false,
        };
        evidence.find(lexicon);
        evidence.structure();
        evidence.conclude(lexicon);
        evidence
    }

    /// What is found by terms and phrases.
    fn find(&mut self, lexicon: &Lexicon) {
        let said = std::mem::take(&mut self.said);
        // As long as what is said, so that places in both are the same.
        let folded = (!said.text().is_ascii()).then(|| text::fold_in_place(said.text()));
        let text = folded.as_deref().unwrap_or(said.text());
        let (mut runs, mut seen, mut at) = (Runs::new(), vec![0_u8; lexicon.cues.len()], 0);
        let mut code = 0;
        let places = said.telling().flat_map(|part| {
            let found = lexicon.all_finds(&text[part.clone()]).into_iter();
            found.map(move |(find, at)| (find, part.start + at.start..part.start + at.end))
        });
        for (find, range) in places {
            while said.passages.get(at).is_some_and(|one| one.at.end < range.end) {
                at += 1;
            }
            let Some(passage) = said.passages.get(at) else { break };
            let is_said = passage.counts
                && range.start >= passage.at.start
                && !is_code(said.code(), &range, &mut code);
            match find {
                Find::Term(term) => {
                    let (kind, term) = &lexicon.terms[term];
                    let is_place = matches!(kind, Kind::File | Kind::Function);
                    let is_open = is_said || (is_place && passage.role != Role::Details);
                    let span = is_open.then(|| term.extent(text, range, &mut runs)).flatten();
                    span.into_iter().for_each(|span| self.see(*kind, span));
                }
                Find::Task(task) if is_said => {
                    self.tasks[task] |= cues::is_whole(text, &range, false);
                }
                Find::Cue(cue) if seen[cue] & (1 << u8::from(at == 0)) == 0 => {
                    let one = &lexicon.cues[cue];
                    // What it is that blocks is looked for in another way, in headings too.
                    let is_open = is_said || one.meaning == Meaning::BlockedBy;
                    if is_open && one.stands(text, &range) && self.hear(one.meaning, range, text) {
                        seen[cue] |= 1 << u8::from(at == 0);
                    }
                }
                _ => {}
            }
        }
        self.said = said;
    }

    fn see(&mut self, kind: Kind, span: Range<usize>) {
        self.facts.show(kind);
        let is_counted = kind == Kind::Acceptance && span.start >= self.demanded;
        if is_counted {
            self.facts.acceptance += 1;
            self.demanded = span.end;
        }
        if self.spans.len() < MOST_WORDS || is_counted {
            self.spans.push((kind, span));
        }
    }

    /// Whether it needs not be heard again.
    fn hear(&mut self, meaning: Meaning, range: Range<usize>, text: &str) -> bool {
        match meaning {
            Meaning::Type { of, is_strong } => {
                let is_title = range.end <= self.title.len();
                let rest = text[range.end..].find(|c| !text::is_word(c) || is_unspaced(c));
                self.points[of].0 += if is_strong { 3 } else { 1 } + i64::from(is_title);
                self.points[of].1.push(range.start..range.end + rest.unwrap_or(0));
                true
            }
            Meaning::Urgent => {
                self.urgent |= !cues::is_negated(text, range.start, &self.policy.negations);
                self.urgent
            }
            Meaning::BlockedBy => {
                self.sounds_blocked = true;
                true
            }
        }
    }

    /// What is read off the passages.
    fn structure(&mut self) {
        let mut facts = std::mem::take(&mut self.facts);
        let (mut steps, mut words, mut items) = (0, 0, 0);
        // People fill each part of a form with the same sentence, or with the title.
        let mut before = BTreeSet::from([self.title.trim()]);
        for one in self.said.body() {
            let is_code = matches!(one.kind, markdown::Kind::Code { .. });
            facts.show_if(Kind::Example, is_code && one.role != Role::Details);
            let text = &self.said.text()[one.at.clone()];
            if !one.counts || !before.insert(text.trim()) {
                continue;
            }
            let count = count_words(text);
            words += count;
            let is_item = matches!(one.kind, markdown::Kind::Item { .. });
            items += usize::from(is_item);
            match one.role {
                Role::Steps if is_item => steps += 1 + usize::from(count > 9),
                Role::Steps => steps += usize::from(count > 3) + usize::from(count > 7),
                Role::Expected | Role::Solution => facts.show_if(Kind::Expected, count > 2),
                _ => {}
            }
        }
        let has_demand = facts.shows(Kind::Acceptance);
        let AcceptanceRules { detail_words, story_words, .. } = self.policy.acceptance;
        let is_named = self.said.code().iter().any(|code| self.names(code));
        facts.show_if(Kind::Function, is_named);
        facts.show_if(Kind::Steps, steps > 1 || items >= MANY_ITEMS);
        facts.show_if(Kind::Detail, words >= detail_words);
        facts.show_if(Kind::Story, words >= story_words);
        facts.show_if(Kind::Expected, has_demand);
        facts.show_if(Kind::Criteria, criteria::has_list(&self.said));
        self.facts = facts;
    }

    /// Type, task, urgency and blocks.
    fn conclude(&mut self, lexicon: &Lexicon) {
        let names: Vec<_> =
            self.labels.iter().map(|label| self.reader.recognition.label(label)).collect();
        let told = self.told(&names);
        let issue_type = told.issue_type(self.policy);
        let labels = self.labels;
        let recognition = &self.reader.recognition;
        let is_urgent_type = !matches!(
            issue_type,
            IssueType::Feature | IssueType::Docs | IssueType::Refactor | IssueType::Research
        );
        let p0 = names.iter().any(|label| recognition.is_urgent(label))
            || (self.urgent && is_urgent_type);
        let fits = |place: usize| {
            let types = &self.policy.task_types[place].types;
            types.is_empty() || types.contains(&issue_type)
        };
        self.facts.task =
            self.tasks.iter().enumerate().position(|(place, is_told)| *is_told && fits(place));
        self.facts.usual_task = told.of.map(|of| self.policy.types[of].task);
        self.facts.classes = Classes { p0, ..Classes::told(issue_type) };
        let mut named = labels.iter().zip(&names);
        let ignored = named.clone().find(|(label, names)| recognition.is_ignored(label, names));
        self.facts.ignored_label = ignored.map(|(label, _)| label.clone());
        let blocking = named.find(|(_, names)| recognition.is_blocking(names));
        self.facts.blocking_label = blocking.map(|(label, _)| label.clone());
        let names_blocker = self.sounds_blocked && {
            let said = [self.title, "\n", &self.said.prose()].concat();
            references::may_name(&said)
                && blockers::in_context(lexicon, &self.policy.negations, &said).next().is_some()
        };
        if names_blocker || self.facts.blocking_label.is_some() {
            self.facts.show(Kind::Blocked);
        }
        self.facts.told = told;
    }

    fn told(&mut self, names: &[LabelNames]) -> Told {
        let (recognition, title) = (&self.reader.recognition, self.title);
        let by_convention =
            || recognition.by_label(self.labels, names).or_else(|| recognition.by_title(title));
        by_convention().or_else(|| self.by_form()).unwrap_or_else(|| self.by_words())
    }

    fn by_form(&self) -> Option<Told> {
        let recognition = &self.reader.recognition;
        let passages = self.said.body();
        // A form may ask for the type.
        let asked = passages.windows(2).find_map(|pair| {
            let is_answer = pair[0].kind == markdown::Kind::Heading && pair[1].counts;
            let answer = self.said.says(&pair[1]);
            let of = recognition.named(answer).filter(|_| is_answer)?;
            Some(Told::new(of, By::Form, vec![answer.to_owned()]))
        });
        let headings = passages.iter().filter(|one| one.kind == markdown::Kind::Heading);
        asked.or_else(|| recognition.by_form(headings.map(|one| self.said.says(one))))
    }

    fn by_words(&mut self) -> Told {
        let title = self.title.trim_end();
        let last = self.said.body().iter().rfind(|one| one.counts);
        let last = last.map_or("", |one| self.said.says(one));
        for (of, words) in self.policy.types.iter().enumerate() {
            let ends =
                |text: &str| words.endings.iter().any(|ending| text.ends_with(ending.as_str()));
            let ends = [(title, TITLE_ENDS), (last, BODY_ENDS)]
                .map(|(text, points)| if ends(text) { points } else { 0 });
            self.points[of].0 += ends.iter().sum::<i64>();
        }
        let opener = self.reader.recognition.opener(title);
        if let Some((of, _)) = &opener {
            self.points[*of].0 += TITLE_BEGINS;
        }
        let mut ranked: Vec<_> =
            self.points.iter().map(|(points, _)| *points).enumerate().collect();
        ranked.sort_by_key(|(of, points)| (-points, *of));
        let [(of, most), rest @ ..] = &ranked[..] else { return Told::default() };
        let next = rest.first().map_or(0, |(_, points)| *points);
        let margin = i64::from(self.policy.type_margin);
        if *most < margin || most - next < margin {
            return Told::default();
        }
        let text = self.said.text();
        let words = self.points[*of].1.iter().filter_map(|span| text.get(span.clone()));
        let opener = opener.filter(|(opens, _)| opens == of).map(|(_, word)| word);
        Told::new(
            *of,
            By::Words,
            opener.into_iter().chain(words.map(str::to_owned)).take(5).collect(),
        )
    }

    /// The first words that show `kind`.
    pub(super) fn words(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let text = self.said.text();
        let spans = self.spans.iter().filter(move |(of, _)| *of == kind);
        let shown = spans.map(move |(_, span)| match kind {
            Kind::File => whole_path(text, span.clone()),
            _ => span.clone(),
        });
        let code =
            self.said.code().iter().filter(move |code| kind == Kind::Function && self.names(code));
        shown.chain(code.cloned()).filter_map(|span| text.get(span))
    }

    /// Whether a piece of code holds a name.
    fn names(&self, code: &Range<usize>) -> bool {
        const SHORTEST: usize = 3;
        let passages = &self.said.passages;
        let next = passages.partition_point(|one| one.at.end < code.end);
        let is_said = passages
            .get(next)
            .is_some_and(|one| one.counts || matches!(one.kind, markdown::Kind::Code { .. }));
        let mut letters = self.said.text()[code.clone()].chars().filter(|c| c.is_alphabetic());
        is_said && letters.nth(SHORTEST - 1).is_some()
    }

    /// What has to hold when the issue is done.
    pub(super) fn criteria(&self) -> Vec<String> {
        let demands = self.spans.iter().filter(|(kind, _)| *kind == Kind::Acceptance);
        let demands: Vec<_> = demands.map(|(_, span)| span.clone()).collect();
        let demands = |_: &str, at: &Range<usize>| {
            let next = demands.partition_point(|demand| demand.start < at.start);
            demands.get(next).is_some_and(|demand| demand.end <= at.end)
        };
        // In a report, orders are steps.
        let orders = |sentence: &str, _: &Range<usize>| {
            !self.facts.classes.bug && self.reader.recognition.orders(sentence)
        };
        criteria::stated(&self.said, demands, orders)
    }
}

/// Whether some of the code is in a part of the text; `next` is where it was looked for last, near which it is.
fn is_code(code: &[Range<usize>], part: &Range<usize>, next: &mut usize) -> bool {
    while code.get(*next).is_some_and(|code| code.end <= part.start) {
        *next += 1;
    }
    while *next > 0 && code[*next - 1].end > part.start {
        *next -= 1;
    }
    code.get(*next).is_some_and(|code| code.start < part.end)
}

/// Words, where a letter of a script without spaces is half of one.
fn count_words(text: &str) -> usize {
    if text.is_ascii() {
        let (mut count, mut is_word) = (0, false);
        for b in text.bytes().chain([b' ']) {
            let is_end = b.is_ascii_whitespace() || b == b'\x0b';
            count += usize::from(is_word && is_end);
            is_word = !is_end && (is_word || b.is_ascii_alphanumeric());
        }
        return count;
    }
    let spaced = text
        .split(|c: char| c.is_whitespace() || is_unspaced(c))
        .filter(|word| word.contains(char::is_alphanumeric));
    spaced.count() + text.chars().filter(|c| is_unspaced(*c)).count().div_ceil(2)
}

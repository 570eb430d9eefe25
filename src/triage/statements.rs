//! What the writer of an issue states, passage by passage: each with the field of the form it stands in, and without what
//! nobody filled in, logs and checklists. Knows no type, score or decision.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::forms::FieldRules;
use super::markdown::{Block, Document, Kind};
use super::phrases::{Phrases, words};

/// A longer line is no placeholder and no heading.
const LONGEST_PROMPT: usize = 240;
/// How many words a heading on a line of its own has.
const MOST_HEADING_WORDS: usize = 10;

/// What a passage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Expected,
    Actual,
    Steps,
    Done,
    Solution,
    Details,
    Checklist,
    /// None of these.
    Other,
}

/// A heading, or some lines of a block.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) role: Role,
    pub(super) kind: Kind,
    /// Where it stands in the text.
    pub(super) at: Range<usize>,
    /// Whether its writer says something in it.
    pub(super) counts: bool,
    /// The block that it is all of.
    block: Option<usize>,
}

/// What an issue states.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// What its title and its body say.
    document: Document,
    /// The passages, in their order; the title is the first.
    pub(super) passages: Vec<Passage>,
}

/// The headings and placeholders of a policy, made ready for use.
pub(super) struct Forms {
    roles: Phrases<Role>,
    placeholders: HashSet<String>,
    /// How a placeholder begins, by the first byte.
    prompts: HashMap<u8, Vec<String>>,
    /// With which bytes one of both begins.
    first: [bool; 256],
}

impl Forms {
    pub(super) fn new(rules: &FieldRules) -> Self {
        // Of two meanings, the first counts.
        let lists = [
            (Role::Checklist, &rules.checklist),
            (Role::Done, &rules.done),
            (Role::Expected, &rules.expected),
            (Role::Actual, &rules.actual),
            (Role::Steps, &rules.steps),
            (Role::Solution, &rules.solution),
            (Role::Details, &rules.details),
        ];
        let mut prompts: HashMap<_, Vec<_>> = HashMap::new();
        for prompt in rules.prompts.iter().map(|text| plain(text)) {
            if let Some(first) = prompt.bytes().next() {
                prompts.entry(first).or_default().push(prompt);
            }
        }
        let roles = lists.iter().flat_map(|(role, list)| list.iter().map(|text| (text, *role)));
        let placeholders: HashSet<_> = rules.placeholders.iter().map(|text| plain(text)).collect();
        let mut first = [false; 256];
        let firsts = placeholders.iter().filter_map(|text| text.bytes().next());
        firsts.chain(prompts.keys().copied()).for_each(|byte| first[usize::from(byte)] = true);
        Self { roles: Phrases::new(roles), placeholders, prompts, first }
    }

    /// Whether nobody filled this in.
    fn is_placeholder(&self, text: &str) -> bool {
        if text.len() > LONGEST_PROMPT {
            return false;
        }
        let text = without_marks(text);
        if !text.contains(char::is_alphanumeric) {
            return true;
        }
        let first = text.bytes().next().unwrap_or_default().to_ascii_lowercase();
        if first.is_ascii() && !self.first[usize::from(first)] {
            return false;
        }
        let plain = plain(text);
        let prompts = plain.bytes().next().and_then(|first| self.prompts.get(&first));
        let begins = |prompt: &String| plain.starts_with(prompt.as_str());
        self.placeholders.contains(&plain) || prompts.into_iter().flatten().any(begins)
    }

    /// The heading that a line is or begins with, and how much of the line it is.
    fn label<'a>(&self, line: &'a str) -> Option<(&'a str, usize)> {
        let bold =
            ["**", "__"].into_iter().find_map(|mark| line.strip_prefix(mark)?.split_once(mark));
        if let Some((name, rest)) = bold {
            let is_set_off = name.ends_with([':', '：', '?'])
                || rest.trim_start().starts_with([':', '：'])
                || rest.trim().is_empty();
            let is_short = words(name).len() <= MOST_HEADING_WORDS;
            return (is_set_off && is_short).then_some((name, line.len() - rest.len()));
        }
        let line_end = line.trim_end();
        let near = &line_end.as_bytes()[..line_end.len().min(LONGEST_PROMPT)];
        let wide = if near.is_ascii() { None } else { line_end.find('：') };
        let colons = [memchr::memchr(b':', near), wide];
        let first = colons.into_iter().flatten().min().filter(|at| *at < LONGEST_PROMPT);
        let (name, colon) = match first {
            Some(at) => (&line[..at], at + line[at..].chars().next().map_or(0, char::len_utf8)),
            None if line_end.len() < LONGEST_PROMPT => (line_end, line.len()),
            None => return None,
        };
        let is_alone = colon >= line_end.len() && line_end.ends_with([':', '：', '?', '？']);
        // Most lines are sentences.
        if !is_alone && self.roles.is_too_long(name) {
            return None;
        }
        let words = words(name);
        let is_known = self.roles.get(&words).is_some()
            || (is_alone
                && words.len() <= MOST_HEADING_WORDS
                && self.roles.within(&words).is_some());
        is_known.then_some((name, colon))
    }

    fn role(&self, heading: &str) -> Role {
        let words = words(heading);
        self.roles.get(&words).or_else(|| self.roles.within(&words)).unwrap_or(Role::Other)
    }
}

fn without_marks(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "_*`.…:()[]<>\"'-!#".contains(c))
}

/// Lower case, without marks at the ends.
fn plain(text: &str) -> String {
    let text = without_marks(text);
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let space = if plain.is_empty() { "" } else { " " };
        plain.extend([space, word]);
    }
    if plain.is_ascii() {
        plain.make_ascii_lowercase();
        return plain;
    }
    plain.to_lowercase()
}

impl Statements {
    /// Reads an issue.
    pub(super) fn of(forms: &Forms, title: &str, body: &str) -> Self {
        let mut document = Document::below(title, code_of(title), body);
        let is_export = document.part_first_code(reads_as_prose);
        let passages = Vec::with_capacity(document.blocks.len() + 1);
        let mut reader = Reader { forms, role: Role::Other, document: &document, passages };
        reader.add(Kind::Heading, 0..title.len(), true, None);
        for (index, block) in document.blocks.iter().enumerate() {
            match block.kind {
                Kind::Heading => reader.heading(block),
                Kind::Code { .. } if index > 0 || !is_export => {
                    reader.add(block.kind, block.said.clone(), false, None);
                }
                _ => reader.lines(index, block),
            }
        }
        let passages = reader.passages;
        Self { document, passages }
    }

    /// The title, and what the passages say, each on lines of its own or behind a colon.
    pub(super) fn text(&self) -> &str {
        &self.document.said
    }

    /// Where code stands in the text.
    pub(super) fn code(&self) -> &[Range<usize>] {
        &self.document.code
    }

    /// The parts of the text that may tell something: all but logs and the like, which are most of a long report.
    pub(super) fn telling(&self) -> impl Iterator<Item = Range<usize>> {
        let is_log =
            |one: &&Passage| matches!(one.kind, Kind::Code { .. }) && one.role == Role::Details;
        let logs = self.passages.iter().filter(is_log).map(|one| one.at.clone());
        let (mut from, end) = (0, self.text().len());
        logs.chain(std::iter::once(end..end))
            .map(move |log| std::mem::replace(&mut from, log.end)..log.start)
    }

    /// All that its body says, headings and what nobody filled in too.
    pub(super) fn prose(&self) -> String {
        self.document.prose()
    }

    /// What a passage says.
    pub(super) fn says(&self, passage: &Passage) -> &str {
        self.text()[passage.at.clone()].trim()
    }

    /// A passage as it was typed, on one line.
    pub(super) fn typed(&self, passage: &Passage) -> String {
        let block = passage.block.and_then(|block| self.document.blocks.get(block));
        if let Some(block) = block.filter(|block| !matches!(block.kind, Kind::Code { .. })) {
            return self.document.text(block);
        }
        let (text, mut typed, mut at) = (self.text(), String::new(), passage.at.start);
        for code in self.document.code_in(&passage.at) {
            typed.extend([&text[at..code.start], "`", &text[code.clone()], "`"]);
            at = code.end;
        }
        typed.push_str(&text[at..passage.at.end]);
        typed.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The passages below the title.
    pub(super) fn body(&self) -> &[Passage] {
        self.passages.get(1..).unwrap_or_default()
    }
}

/// Where code stands in a title.
fn code_of(title: &str) -> Vec<Range<usize>> {
    let (mut code, mut at) = (Vec::new(), 0);
    for (place, part) in title.split('`').enumerate() {
        // A backtick without another one begins no code.
        let is_code = place % 2 == 1 && at + part.len() < title.len();
        code.extend(is_code.then(|| at..at + part.len()));
        at += part.len() + 1;
    }
    code
}

struct Reader<'a> {
    forms: &'a Forms,
    role: Role,
    document: &'a Document,
    passages: Vec<Passage>,
}

impl<'a> Reader<'a> {
    fn heading(&mut self, block: &Block) {
        self.role = self.forms.role(&self.document.said[block.said.clone()]);
        self.add(Kind::Heading, block.said.clone(), false, None);
    }

    /// A paragraph or an item, each of whose lines, as they were typed, may be or begin with a heading.
    fn lines(&mut self, index: usize, block: &Block) {
        let kind = match block.kind {
            Kind::Code { .. } => Kind::Paragraph,
            kind => kind,
        };
        let typed = self.document.lines(block);
        let said: &'a str = &self.document.said[..block.said.end];
        let ends = memchr::memchr_iter(b'\n', &said.as_bytes()[block.said.start..]).count();
        // A link of several lines may say nothing.
        let is_matched = ends + 1 == typed.len();
        let (first, mut start) = (block.said.start, block.said.start);
        let mut from = first;
        for typed in typed.filter(|_| is_matched) {
            let line = said[start..].split('\n').next().unwrap_or_default();
            let typed = typed.trim_start();
            if let Some((name, taken)) = self.forms.label(typed) {
                self.part(kind, from..start, None);
                let has_more = typed[taken..].contains(char::is_alphanumeric);
                from = start + self::taken(line, name, has_more);
                let heading = said[start..from].trim_end_matches([':', '：', ' ']);
                self.role = self.forms.role(name);
                self.add(Kind::Heading, start..start + heading.len(), false, None);
            }
            start = (start + line.len() + 1).min(said.len());
        }
        self.part(kind, from..said.len(), (from == first).then_some(index));
    }

    fn part(&mut self, kind: Kind, at: Range<usize>, whole: Option<usize>) {
        let part = &self.document.said[at.clone()];
        if part.trim().is_empty() {
            return;
        }
        let counts = !matches!(self.role, Role::Details | Role::Checklist)
            && !self.forms.is_placeholder(part)
            && !reads_as_log(part);
        self.add(kind, at, counts, whole);
    }

    fn add(&mut self, kind: Kind, at: Range<usize>, counts: bool, block: Option<usize>) {
        self.passages.push(Passage { role: self.role, kind, at, counts, block });
    }
}

/// How much of a line that begins with a heading is the heading: all of it, or up to its colon.
fn taken(line: &str, name: &str, has_more: bool) -> usize {
    if !has_more {
        return line.len();
    }
    let named = if line.starts_with(name) { name.len() } else { 0 };
    match line[named..].char_indices().find(|(_, c)| matches!(c, ':' | '：')) {
        Some((at, colon)) if named == 0 || at == 0 => named + at + colon.len_utf8(),
        _ if named > 0 => named,
        _ => line.len(),
    }
}

/// Whether most lines are a program's: a time, a level, a frame of a trace.
fn reads_as_log(text: &str) -> bool {
    let is_log = |line: &str| {
        let line = line.trim_start_matches(['[', ' ', '(']);
        let digits = line.bytes().take_while(|b| b.is_ascii_digit()).count();
        let is_time = matches!(digits, 2 | 4)
            && matches!(line.as_bytes().get(digits), Some(b':' | b'-' | b'/'))
            && line.as_bytes().get(digits + 1).is_some_and(u8::is_ascii_digit);
        let is_frame = line.starts_with("at ") && line.contains([':', '(']);
        is_time
            || is_frame
            || ["ERROR", "WARN", "INFO", "DEBUG"].iter().any(|l| line.starts_with(l))
    };
    let (logs, all) =
        text.lines().fold((0, 0), |(logs, all), line| (logs + usize::from(is_log(line)), all + 1));
    logs * 2 > all
}

/// Whether this is sentences rather than code.
fn reads_as_prose(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphabetic() || c.is_whitespace() || ",.'’\"?!-/".contains(c);
    let (plain, all) =
        text.chars().fold((0, 0), |(plain, all), c| (plain + usize::from(is_plain(c)), all + 1));
    text.split_whitespace().nth(3).is_some() && plain * 100 >= all * 95
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms() -> Forms {
        Forms::new(&super::super::Policy::of(super::super::Preset::Practical).fields)
    }

    /// What is stated below the title, as `role text`.
    #[track_caller]
    fn states(body: &str, expected: &[&str]) {
        let said = Statements::of(&forms(), "t", body);
        let shown = |one: &Passage| format!("{:?} {}", one.role, said.typed(one));
        let found: Vec<_> = said.body().iter().filter(|one| one.counts).map(shown).collect();
        assert_eq!(found, expected, "{body:?}");
    }

    #[test]
    fn fields_are_told_by_headings_and_labels_of_any_kind() {
        states(
            "### Expected behaviour\n\nIt stops.\n\n**Actual behavior**\nIt runs on.\n**Steps to reproduce:** `a`, then b",
            &["Expected It stops.", "Actual It runs on.", "Steps `a`, then b"],
        );
        states(
            "Steps:\n1. open it\n2. close it\n\n## Notes\nc",
            &["Steps open it", "Steps close it", "Other c"],
        );
        states("**Erwartetes Verhalten**: Es hält.", &["Expected Es hält."]);
        states("### 期望行为\n\n应该停止", &["Expected 应该停止"]);
    }

    #[test]
    fn what_nobody_filled_in_states_nothing() {
        states(
            "### Expected behavior\n\n_No response_\n\n### Steps to reproduce\n\n1. Go to '...'\n2. See error",
            &[],
        );
        states("- [x] I have searched the existing issues\n\nIt fails.", &["Other It fails."]);
        states("### Prerequisites\n\n- [x] all of it\n\n### Environment\n\nLinux 6", &[]);
    }

    #[test]
    fn logs_and_code_state_nothing_but_an_exported_text_does() {
        states("2026-01-02 10:00:00 Starting a blocking GC\n\n12:00:01 again", &[]);
        states("text\n\n```\nthis is blocked by that one\n```", &["Other text"]);
        states(
            "```\nThe page shows nothing at all, please look\n```",
            &["Other The page shows nothing at all, please look"],
        );
        states("```rust\nthis is not said by anybody\n```", &[]);
    }
}

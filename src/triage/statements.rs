//! What the writer of an issue states, passage by passage: each with the field of the form it stands in, and without what
//! nobody filled in, logs and checklists. Knows no type, score or decision.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::forms::FieldRules;
use super::markdown::{self, Block, Kind};
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
#[derive(Debug)]
pub(super) struct Statements {
    /// The title, and what the passages say, each on lines of its own.
    pub(super) text: String,
    /// Where code stands in the text.
    pub(super) code: Vec<Range<usize>>,
    /// The passages, in their order; the title is the first.
    pub(super) passages: Vec<Passage>,
    blocks: Vec<Block>,
}

/// The headings and placeholders of a policy, made ready for use.
pub(super) struct Forms {
    roles: Phrases<Role>,
    placeholders: HashSet<String>,
    /// By their first byte.
    prompts: HashMap<u8, Vec<String>>,
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
        Self {
            roles: Phrases::new(roles),
            placeholders: rules.placeholders.iter().map(|text| plain(text)).collect(),
            prompts,
        }
    }

    /// Whether nobody filled this in.
    fn is_placeholder(&self, text: &str) -> bool {
        if text.len() > LONGEST_PROMPT {
            return false;
        }
        let plain = plain(text);
        let says_nothing = !plain.contains(char::is_alphanumeric);
        let prompts = plain.bytes().next().and_then(|first| self.prompts.get(&first));
        let begins = |prompt: &String| plain.starts_with(prompt.as_str());
        says_nothing
            || self.placeholders.contains(&plain)
            || prompts.into_iter().flatten().any(begins)
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

/// Lower case, without marks at the ends.
fn plain(text: &str) -> String {
    let is_mark = |c: char| c.is_whitespace() || "_*`.…:()[]<>\"'-!#".contains(c);
    let text = text.trim_matches(is_mark);
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
        let blocks = markdown::blocks_with_code(body);
        let text = String::with_capacity(title.len() + body.len() + 16);
        let statements = Self {
            text,
            code: Vec::new(),
            passages: Vec::with_capacity(blocks.len() + 1),
            blocks: Vec::new(),
        };
        let mut reader = Reader { forms, role: Role::Other, said: statements };
        reader.title(title);
        for (at, block) in blocks.iter().enumerate() {
            reader.block(at, block);
        }
        Self { blocks, ..reader.said }
    }

    /// All that its body says, headings and what nobody filled in too.
    pub(super) fn prose(&self) -> String {
        markdown::prose_of(&self.blocks)
    }

    /// What a passage says.
    pub(super) fn says(&self, passage: &Passage) -> &str {
        self.text[passage.at.clone()].trim()
    }

    /// A passage as it was typed, on one line.
    pub(super) fn typed(&self, passage: &Passage) -> String {
        let block = passage.block.and_then(|block| self.blocks.get(block));
        if let Some(block) = block.filter(|block| !matches!(block.kind, Kind::Code { .. })) {
            return block.text();
        }
        let (mut typed, mut at) = (String::new(), passage.at.start);
        for code in self.code_in(&passage.at) {
            typed.extend([&self.text[at..code.start], "`", &self.text[code.clone()], "`"]);
            at = code.end;
        }
        typed.push_str(&self.text[at..passage.at.end]);
        typed.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The code in a part of the text.
    pub(super) fn code_in(&self, part: &Range<usize>) -> &[Range<usize>] {
        let from = self.code.partition_point(|code| code.start < part.start);
        let to = self.code.partition_point(|code| code.end <= part.end);
        self.code.get(from..to).unwrap_or_default()
    }

    /// The passages below the title.
    pub(super) fn body(&self) -> &[Passage] {
        self.passages.get(1..).unwrap_or_default()
    }
}

struct Reader<'a> {
    forms: &'a Forms,
    role: Role,
    said: Statements,
}

impl Reader<'_> {
    fn title(&mut self, title: &str) {
        let mut at = 0;
        for (place, part) in title.split('`').enumerate() {
            // A backtick without another one begins no code.
            let is_code = place % 2 == 1 && at + part.len() < title.len();
            self.said.code.extend(is_code.then(|| at..at + part.len()));
            at += part.len() + 1;
        }
        let at = self.say(title);
        self.add(Kind::Heading, at, true, None);
    }

    fn block(&mut self, index: usize, block: &Block) {
        match block.kind {
            Kind::Heading => self.heading(&block.prose),
            Kind::Code { is_named } => {
                // Some trackers export what people wrote as code.
                if index == 0 && !is_named && reads_as_prose(&block.prose) {
                    return self.lines(index, &Block::paragraph(block.prose.trim_end()));
                }
                let at = self.say(&block.prose);
                self.said.code.push(at.clone());
                self.add(block.kind, at, false, None);
            }
            _ => self.lines(index, block),
        }
    }

    fn heading(&mut self, name: &str) {
        self.role = self.forms.role(name);
        let at = self.say(name);
        self.add(Kind::Heading, at, false, None);
    }

    /// A paragraph or an item, each of whose lines may be or begin with a heading.
    fn lines(&mut self, index: usize, block: &Block) {
        let ends = || block.prose.match_indices('\n').map(|(end, _)| end);
        let is_matched = ends().count() + 1 == block.lines.len();
        let starts = std::iter::once(0).chain(ends().map(|end| end + 1));
        let mut from = 0;
        for (typed, start) in block.lines.iter().zip(starts).filter(|_| is_matched) {
            let Some((name, taken)) = self.forms.label(typed.trim_start()) else { continue };
            self.part(block, from..start, None);
            self.heading(name.trim_end_matches([':', '：', ' ']));
            let has_more = typed.trim_start()[taken..].contains(char::is_alphanumeric);
            from = start + self::taken(&block.prose[start..], has_more);
        }
        self.part(block, from..block.prose.len(), (from == 0).then_some(index));
    }

    fn part(&mut self, block: &Block, prose: Range<usize>, whole: Option<usize>) {
        let part = &block.prose[prose.clone()];
        if part.trim().is_empty() {
            return;
        }
        let base = self.said.text.len();
        let inside =
            block.code.iter().filter(|code| prose.start <= code.start && code.end <= prose.end);
        let moved =
            inside.map(|code| base + code.start - prose.start..base + code.end - prose.start);
        self.said.code.extend(moved);
        let is_said = !matches!(self.role, Role::Details | Role::Checklist)
            && !self.forms.is_placeholder(part)
            && !reads_as_log(part);
        let at = self.say(part);
        self.add(block.kind, at, is_said, whole);
    }

    fn say(&mut self, text: &str) -> Range<usize> {
        let from = self.said.text.len();
        self.said.text.push_str(text);
        let to = self.said.text.len();
        self.said.text.push('\n');
        from..to
    }

    fn add(&mut self, kind: Kind, at: Range<usize>, counts: bool, block: Option<usize>) {
        self.said.passages.push(Passage { role: self.role, kind, at, counts, block });
    }
}

/// How much of what begins with a heading is the heading: the first line, or as much of it as its colon ends.
fn taken(prose: &str, has_more: bool) -> usize {
    let line = prose.split('\n').next().unwrap_or_default();
    let colon = line.char_indices().find(|(_, c)| matches!(c, ':' | '：'));
    match colon.filter(|_| has_more) {
        Some((at, colon)) => at + colon.len_utf8(),
        None => line.len(),
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

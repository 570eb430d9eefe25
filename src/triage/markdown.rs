//! The one reader of Markdown: what the writer of a text says in it, block by block. Code, quotations, HTML and comments
//! are not said by the writer. Acceptance criteria, tasks, commands and the issues that a text names are read from here.
//! The score is not: its signals are found in the raw text, as the seed finds them.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::issue::beginning;

/// How many bytes of a text are read. What follows is a pasted log.
const LONGEST: usize = 256 * 1024;
/// How many quotations and lists may stand in one another, and how many bytes of a line may say so.
const DEEPEST: usize = 64;
const LONGEST_PREFIX: usize = 256;
/// What Gitea's renderer understands besides CommonMark, as far as it changes what is a block.
const DIALECT: Options = Options::ENABLE_TASKLISTS
    .union(Options::ENABLE_TABLES)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_GFM);

/// What kind of block it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    Paragraph,
    /// The first text of a list item.
    Item {
        /// Whether it is ticked; `None` when it is no task.
        ticked: Option<bool>,
    },
    /// Code on lines of its own.
    Code {
        /// Whether it says what language it is in.
        is_named: bool,
    },
}

/// A heading, a paragraph, a table cell, the text of a list item or code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// How many lists it is in.
    pub(super) depth: usize,
    /// What it says, in [`Document::said`].
    pub(super) said: Range<usize>,
    /// Its lines, among those of the document.
    lines: Range<usize>,
    /// How many of them were meant for it: an unindented line below a list item is part of it only to Markdown.
    meant: usize,
}

/// What a text says, block by block.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// What the blocks say, each behind a line of its own: no emphasis, and a link to an issue as its address.
    pub(super) said: String,
    /// Where code stands in what they say.
    pub(super) code: Vec<Range<usize>>,
    /// The blocks, in their order.
    pub(super) blocks: Vec<Block>,
    /// Where plain text stands at the start of a line, in bytes of the whole text.
    pub(super) starts: Vec<usize>,
    /// The lines as they were typed, without HTML comments.
    typed: String,
    /// Where each line ends there.
    ends: Vec<usize>,
}

impl Document {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Self {
        Self::default().with(text)
    }

    /// These words and the code in them, before what a text says.
    pub(super) fn below(opening: &str, code: Vec<Range<usize>>, text: &str) -> Self {
        let mut said = String::with_capacity(opening.len() + text.len() + text.len() / 8 + 16);
        said.extend([opening, "\n"]);
        Self { said, code, ..Self::default() }.with(text)
    }

    fn with(mut self, text: &str) -> Self {
        let text = readable(text);
        self.typed.reserve(text.len());
        let mut reader = Reader::new(&text, self);
        for (event, at) in Parser::new_ext(&text, DIALECT).into_offset_iter() {
            reader.read(event, at);
        }
        reader.end();
        reader.document
    }

    /// Parts the text into lines that is first, is code in no language and passes for a text: some trackers export what
    /// people wrote as code. Whether there was one.
    pub(super) fn part_first_code(&mut self, is_text: impl Fn(&str) -> bool) -> bool {
        let Self { said, code, blocks, typed, ends, .. } = self;
        let is_code = |block: &&mut Block| block.kind == Kind::Code { is_named: false };
        let Some(block) = blocks.first_mut().filter(is_code) else { return false };
        let text = &said[block.said.clone()];
        if !is_text(text) {
            return false;
        }
        let text = text.trim_end();
        code.retain(|code| *code != block.said);
        block.said.end = block.said.start + text.len();
        block.lines = ends.len()..ends.len() + text.lines().count();
        for line in text.lines() {
            typed.push_str(line);
            ends.push(typed.len());
        }
        true
    }

    /// The blocks that are no code.
    pub(super) fn said_blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| !matches!(block.kind, Kind::Code { .. }))
    }

    /// The lines of a block as they were typed.
    pub(super) fn lines(&self, block: &Block) -> impl ExactSizeIterator<Item = &str> {
        let start = |line: usize| line.checked_sub(1).map_or(0, |before| self.ends[before]);
        block.lines.clone().map(move |line| &self.typed[start(line)..self.ends[line]])
    }

    /// The text of a block as one line.
    pub(super) fn text(&self, block: &Block) -> String {
        let words = self.lines(block).take(block.meant).flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }

    /// The code in a part of what is said.
    pub(super) fn code_in(&self, part: &Range<usize>) -> &[Range<usize>] {
        let from = self.code.partition_point(|code| code.start < part.start);
        let to = self.code.partition_point(|code| code.end <= part.end);
        self.code.get(from..to).unwrap_or_default()
    }

    /// All that the blocks say in words: each piece of code is a mark.
    pub(super) fn prose(&self) -> String {
        let mut prose = String::with_capacity(self.said.len());
        for block in self.said_blocks() {
            let mut at = block.said.start;
            prose.push_str(if prose.is_empty() { "" } else { "\n\n" });
            for code in self.code_in(&block.said) {
                prose.extend([&self.said[at..code.start], "``"]);
                at = code.end;
            }
            prose.push_str(&self.said[at..block.said.end]);
        }
        prose
    }
}

/// All that a text says.
pub(super) fn prose(text: &str) -> String {
    Document::of(text).prose()
}

/// As much of a text as is read. A line that nests deeper than people write takes a parser for ever; it is read as plain
/// text of the same length.
fn readable(text: &str) -> Cow<'_, str> {
    let text = beginning(text, LONGEST);
    let lines = || {
        let ends = memchr::memchr2_iter(b'\n', b'\r', text.as_bytes()).map(|end| end + 1);
        let mut from = 0;
        ends.chain([text.len()]).map(move |end| &text[std::mem::replace(&mut from, end)..end])
    };
    if !lines().any(nests_too_deep) {
        return Cow::Borrowed(text);
    }
    let plain = |line: &str| match nests_too_deep(line) {
        true => line.replace(|c: char| c.is_ascii_digit() || ">-+*.)".contains(c), "x"),
        false => line.to_owned(),
    };
    Cow::Owned(lines().map(plain).collect())
}

/// Whether a line opens, or goes on with, too many quotations and lists.
fn nests_too_deep(line: &str) -> bool {
    if line.len() <= DEEPEST {
        return false;
    }
    let (mut rest, mut depth) = (line.trim_start(), 0);
    while let Some(inner) = inside(rest) {
        rest = inner.trim_start();
        depth += 1;
    }
    depth > 0 && (depth > DEEPEST || line.len() - rest.len() > LONGEST_PREFIX)
}

/// What a quotation's or a list item's line holds.
fn inside(line: &str) -> Option<&str> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count().min(9);
    let item = match digits {
        0 => line.strip_prefix(['-', '*', '+']),
        _ => line[digits..].strip_prefix(['.', ')']),
    };
    let is_item = |rest: &&str| rest.is_empty() || rest.starts_with(char::is_whitespace);
    line.strip_prefix('>').or_else(|| item.filter(is_item))
}

struct Reader<'a> {
    text: &'a str,
    document: Document,
    open: Option<Block>,
    /// How many lists are open.
    lists: usize,
    /// How many blocks are open that the writer does not say.
    unsaid: usize,
    /// The open links and images, and whether their text is left out of what is said.
    links: Vec<bool>,
    /// How far the line was copied; `None` at its beginning.
    copied: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, document: Document) -> Self {
        Self { text, document, open: None, lists: 0, unsaid: 0, links: Vec::new(), copied: None }
    }

    fn read(&mut self, event: Event<'_>, at: Range<usize>) {
        match event {
            Event::Start(tag) if is_unsaid(&tag) => {
                self.end();
                if let (Tag::CodeBlock(kind), 0) = (&tag, self.unsaid) {
                    let is_named = matches!(kind, CodeBlockKind::Fenced(name) if !name.is_empty());
                    self.begin(Kind::Code { is_named });
                }
                self.unsaid += 1;
            }
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::BlockQuote(None)) => {
                self.unsaid -= 1;
                self.end();
            }
            Event::Text(line) if self.is_in_code() => self.document.said.push_str(&line),
            _ if self.unsaid > 0 => {}
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.finish(tag, at),
            Event::TaskListMarker(ticked) => {
                if let Some(Block { kind: Kind::Item { ticked: mark }, .. }) = &mut self.open {
                    *mark = Some(ticked);
                }
            }
            leaf => self.add(&leaf, at),
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: Range<usize>) {
        let is_bare = |block: &Block| block.kind != Kind::Paragraph && self.is_empty(block);
        let is_bare_item = self.open.as_ref().is_some_and(is_bare);
        match tag {
            // The first paragraph of an item is its text.
            Tag::Paragraph if is_bare_item => {}
            Tag::Paragraph | Tag::TableCell => self.begin(Kind::Paragraph),
            Tag::Heading { .. } => self.begin(Kind::Heading),
            Tag::Item => self.begin(Kind::Item { ticked: None }),
            Tag::List(_) => {
                self.end();
                self.lists += 1;
            }
            Tag::Link { dest_url, .. } => {
                let names_issue = dest_url.starts_with("http")
                    && (dest_url.contains("/issues/") || dest_url.contains("/pulls/"));
                if names_issue {
                    self.say(&dest_url);
                }
                self.links.push(names_issue);
                self.copied.get_or_insert(at.start);
            }
            Tag::Image { .. } => {
                self.links.push(true);
                self.copied.get_or_insert(at.start);
            }
            tag if is_inline(tag.to_end()) => drop(self.copied.get_or_insert(at.start)),
            _ => self.end(),
        }
    }

    fn finish(&mut self, tag: TagEnd, at: Range<usize>) {
        match tag {
            TagEnd::Link | TagEnd::Image => {
                self.links.pop();
                self.copy(at);
            }
            tag if is_inline(tag) => self.copy(at),
            TagEnd::List(_) => {
                self.end();
                self.lists -= 1;
            }
            _ => self.end(),
        }
    }

    /// Adds text to the open block.
    fn add(&mut self, leaf: &Event<'_>, at: Range<usize>) {
        match leaf {
            Event::SoftBreak | Event::HardBreak => {
                self.say("\n");
                let is_lazy = self.lists > 0 && !self.text[at.end..].starts_with([' ', '\t']);
                self.end_line();
                let line = self.document.ends.len();
                let block = self.block();
                if is_lazy {
                    block.meant = block.meant.min(line - block.lines.start);
                }
                self.copied = None;
                return;
            }
            Event::InlineHtml(html) if html.starts_with("<!--") => {
                self.say(" ");
                self.copied = Some(at.end);
                return;
            }
            Event::Text(text) => {
                if self.links.is_empty() && self.begins_line(at.start) {
                    self.document.starts.push(at.start);
                }
                self.say(text);
            }
            Event::Code(code) => {
                self.block();
                let from = self.document.said.len();
                self.say(code);
                let to = self.document.said.len();
                self.document.code.extend((to > from).then_some(from..to));
            }
            _ => self.say(" "),
        }
        self.copy(at);
    }

    fn is_in_code(&self) -> bool {
        self.open.as_ref().is_some_and(|block| matches!(block.kind, Kind::Code { .. }))
    }

    fn block(&mut self) -> &mut Block {
        let Document { said, ends, .. } = &self.document;
        let (said, line, depth) = (said.len(), ends.len(), self.lists);
        self.open.get_or_insert(Block {
            kind: Kind::Paragraph,
            depth,
            said: said..said,
            lines: line..line,
            meant: usize::MAX,
        })
    }

    fn say(&mut self, text: &str) {
        self.block();
        if !self.links.contains(&true) {
            self.document.said.push_str(text);
        }
    }

    /// Copies what was typed up to the end of `at`.
    fn copy(&mut self, at: Range<usize>) {
        let from = self.copied.unwrap_or(at.start).min(at.end);
        self.block();
        self.document.typed.push_str(&self.text[from..at.end]);
        self.copied = Some(at.end);
    }

    fn end_line(&mut self) {
        self.document.ends.push(self.document.typed.len());
    }

    /// Whether only spaces stand between here and the start of the line: three at most, since four make it code to most
    /// readers, and none within a list, where an indented line is the item's.
    fn begins_line(&self, at: usize) -> bool {
        let most = if self.lists > 0 { 0 } else { 3 };
        let before = &self.text.as_bytes()[..at];
        let indent = before.iter().rev().take(most).take_while(|b| **b == b' ').count();
        matches!(before[..at - indent].last(), None | Some(b'\n' | b'\r'))
    }

    fn begin(&mut self, kind: Kind) {
        self.end();
        self.block().kind = kind;
    }

    /// Ends the open block; one that says nothing is left out.
    fn end(&mut self) {
        self.copied = None;
        let Some(mut block) = self.open.take() else { return };
        self.end_line();
        let document = &mut self.document;
        block.lines.end = document.ends.len();
        block.said.end = document.said.len();
        if self.is_empty(&block) {
            self.document.said.truncate(block.said.start);
            return;
        }
        if matches!(block.kind, Kind::Code { .. }) {
            self.document.code.push(block.said.clone());
        }
        self.document.said.push('\n');
        self.document.blocks.push(block);
    }

    /// Whether nothing stands in a block that was begun last.
    fn is_empty(&self, block: &Block) -> bool {
        let Document { said, typed, ends, .. } = &self.document;
        let start = block.lines.start.checked_sub(1).map_or(0, |before| ends[before]);
        let held = match block.kind {
            Kind::Code { .. } => &said[block.said.start..],
            _ => &typed[start..],
        };
        held.trim_start().is_empty()
    }
}

/// Whether what is inside is not said by the writer. A `> [!NOTE]` is no quotation.
fn is_unsaid(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::BlockQuote(None))
}

fn is_inline(tag: TagEnd) -> bool {
    matches!(tag, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each block as `depth kind text`.
    #[track_caller]
    fn reads(text: &str, expected: &[&str]) {
        let document = Document::of(text);
        let shown = |block: &Block| {
            let kind = match block.kind {
                Kind::Heading => "heading",
                Kind::Paragraph => "paragraph",
                Kind::Item { ticked: None } => "item",
                Kind::Item { ticked: Some(true) } => "ticked",
                Kind::Item { ticked: Some(false) } => "task",
                Kind::Code { .. } => "code",
            };
            format!("{} {kind} {}", block.depth, document.text(block))
        };
        let found: Vec<_> = document.said_blocks().map(shown).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn blocks_are_told_apart() {
        reads(
            "# A *b*\ntext\ngoes on\n\n- one\n  more\n- [ ] two\n\n  besides\n  1. [x] three\n",
            &[
                "0 heading A *b*",
                "0 paragraph text goes on",
                "1 item one more",
                "1 task two",
                "1 paragraph besides",
                "2 ticked three",
            ],
        );
        reads("A\r\n---\r\n* [ ] b\r\n", &["0 heading A", "1 task b"]);
        reads(
            "| a | b |\n|---|---|\n| c | d |",
            &["0 paragraph a", "0 paragraph b", "0 paragraph c", "0 paragraph d"],
        );
    }

    #[test]
    fn what_the_writer_does_not_say_is_left_out() {
        reads("````\n- [ ] a\n```\n- [ ] b\n````\n- [ ] c", &["1 task c"]);
        reads("text\n\n    - [ ] a\n\n\t- [ ] b\n", &["0 paragraph text"]);
        reads("<!--\n- [ ] a\n\n- [ ] b\n-->\n\n- [ ] c <!-- d -->", &["1 task c"]);
        reads("> - [ ] a\nlazy\n> > b\n\nc", &["0 paragraph c"]);
        reads("- a\n\n  > b\n\n  c\n- ```\n  d\n  ```", &["1 item a", "1 paragraph c"]);
        reads("[a]: https://example.com \"b\"\n\nc", &["0 paragraph c"]);
        reads("<div>\n- [ ] a\n</div>", &[]);
    }

    #[test]
    fn what_can_be_opened_or_is_set_apart_is_said() {
        reads("<details>\n<summary>a</summary>\n\n- [ ] b\n\n</details>", &["1 task b"]);
        reads("> [!NOTE]\n> a", &["0 paragraph a"]);
        reads("a[^1]\n\n[^1]: b", &["0 paragraph a[^1]", "0 paragraph b"]);
    }

    #[track_caller]
    fn says(text: &str, expected: &str) {
        assert_eq!(prose(text), expected, "{text:?}");
    }

    #[test]
    fn prose_has_no_code_and_no_marks() {
        says("**Blocked** by `#1`,\n*#2* &amp; \\#3 <b>x</b>", "Blocked by ``,\n#2 & #3  x ");
        says("[#9](https://h/a/b/issues/9) and [c](https://h/d)", "https://h/a/b/issues/9 and c");
        says("![#1](x.png) <https://h/a/b/pulls/2>", " https://h/a/b/pulls/2");
    }

    #[test]
    fn a_line_that_nests_too_deep_hides_nothing() {
        reads(
            &format!("{}\n\n- [ ] a", ">".repeat(300)),
            &[&format!("0 paragraph {}", "x".repeat(300)), "1 task a"],
        );
        reads(&format!("```\n{}\n```\n- [ ] a", "> ".repeat(300)), &["1 task a"]);
    }

    #[test]
    fn a_hostile_text_takes_no_time() {
        let timed = |text: &str| {
            let started = std::time::Instant::now();
            Document::of(text);
            let took = started.elapsed();
            assert!(took.as_secs() < 10, "{took:?} for {:?}…", &text[..20]);
        };
        let opens = ["> ", ">", "- ", "1. ", "> - ", "* > "];
        let lines = ["a\n", "\n", "> \n", "- \n", "  - a\n", "\t\n"];
        let deep = |depth: usize, open: &str, line: &str| {
            format!("{}x\n{}", open.repeat(depth), line.repeat(LONGEST / 8 / line.len()))
        };
        for line in lines {
            for open in opens {
                timed(&deep(10_000, open, line));
                timed(&deep(DEEPEST / 2, open, line));
            }
        }
        for part in [
            "[",
            "*a_ ",
            "`",
            "<",
            "<!--",
            "|",
            "[^",
            "- [ ] a\n",
            "|a|\n|-|\n",
            "]: ",
            "![a](",
            "[a]: b\n",
            "<a ",
            "&",
            "\\",
            "~~~\n",
            "# ",
            "  ",
            "\t",
            "[^a]: b\n",
        ] {
            timed(&part.repeat(LONGEST / 2 / part.len()));
        }
        let stairs = |n: usize| format!("{}- {}x\n", " ".repeat(2 * n), "> ".repeat(9));
        timed(&((0..120).map(stairs).collect::<String>() + &"\n".repeat(LONGEST)));
    }
}

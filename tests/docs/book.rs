//! The pages of the book and what stands in them: fenced blocks, inline code, headings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the book's pages.
pub fn folder() -> PathBuf {
    root().join("docs/src")
}

/// Every page with its text, and what stands beside the book: the instructions that one page includes, and the README.
pub fn pages() -> BTreeMap<PathBuf, String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let more = [root().join("deploy/install.md"), root().join("README.md")];
    files.chain(more).map(|path| (path.clone(), read(&path))).collect()
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A page of the book.
pub fn page(name: &str) -> String {
    read(&folder().join(name))
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The line at which it begins.
    pub line: usize,
    /// Its language, and what stands behind it.
    pub language: String,
    pub marks: Vec<String>,
    /// Its lines without the indent of the fence.
    pub text: String,
}

impl Block {
    /// Why it is not run, where it says so.
    pub fn not_run(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| mark.strip_prefix("not-run="))
    }
}

/// The length of the fence that a line begins or ends.
fn fence(line: &str) -> usize {
    let length = line.bytes().take_while(|byte| *byte == b'`').count();
    if length < 3 { 0 } else { length }
}

/// All fenced blocks of a page.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut open): (Vec<Block>, Option<(usize, usize, Block)>) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        match &mut open {
            Some((length, ..)) if fence(bare) >= *length && bare.trim_matches('`').is_empty() => {
                found.extend(open.take().map(|(.., block)| block));
            }
            Some((_, indent, block)) => {
                let rest = line.get(*indent..).filter(|_| line[..*indent].trim().is_empty());
                block.text += &format!("{}\n", rest.unwrap_or(bare));
            }
            None if fence(bare) > 0 => {
                let length = fence(bare);
                let mut words = bare[length..].split([',', ' ']).map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let marks = words.filter(|word| !word.is_empty()).collect();
                let block = Block { line: at + 1, language, marks, text: String::new() };
                open = Some((length, line.len() - bare.len(), block));
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a block does not end: {open:?}");
    found
}

/// The blocks of a language, those with a mark apart: `toml` and `toml,runner` are two.
pub fn plain(text: &str, language: &str, mark: Option<&str>) -> Vec<String> {
    let is = |block: &Block| {
        block.language == language && block.marks.first().map(String::as_str) == mark
    };
    blocks(text).into_iter().filter(is).map(|block| block.text).collect()
}

/// The text without its fenced blocks.
pub fn prose(text: &str) -> String {
    let (mut open, mut kept) = (0, String::new());
    for line in text.lines() {
        let length = fence(line.trim_start());
        match (open, length) {
            (0, 0) => kept += &format!("{line}\n"),
            (0, length) => open = length,
            (length, other) if other >= length => open = 0,
            _ => {}
        }
    }
    kept
}

/// The anchors of a page, as mdbook makes them of its headings: letters, digits, `-` and `_` in lower case, a space as `-`, and
/// a number behind those that were there before.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    for heading in headings {
        let heading = heading.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let name: String =
            kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
        let again = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(again).find(|one| !found.contains(one));
        found.extend(free);
    }
    found
}

//! What the book quotes of the program stands in its source.

use std::path::Path;

use regex::Regex;

use crate::book::{blocks, page, read, root};

/// How much of a quotation has to stand in one piece to be looked for.
const LEAST: usize = 6;

/// All of the source below a folder, as what it prints reads: lines that go on are one, and quotes are quotes.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text += &source(&entry);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            text += &read(&entry);
        }
    }
    Regex::new(r"\\\n\s*").unwrap().replace_all(&text, "").replace("\\\"", "\"")
}

/// The parts of a quotation between what varies.
fn parts(quotation: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c == '`' || c == ' ' || c.is_ascii_punctuation();
    let parts = quotation.split('…').map(move |part| part.trim_matches(ends));
    parts.filter(|part| part.len() >= LEAST)
}

#[test]
fn the_messages_that_the_book_quotes_are_those_of_the_program() {
    let source = source(&root().join("src"));
    let (page, upgrading) = (page("troubleshooting.md"), page("upgrading.md"));
    let texts = blocks(&page).into_iter().chain(blocks(&upgrading));
    let texts = texts.filter(|block| block.language == "text");
    let lines: Vec<String> =
        texts.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let cell = Regex::new(r#"(?m)^\| "([^|]+)" \|"#).unwrap();
    let cells = cell.captures_iter(&page).map(|found| found[1].to_owned());
    let mut seen = 0;
    for quotation in lines.into_iter().chain(cells) {
        let mut parts = parts(&quotation).peekable();
        assert!(parts.peek().is_some(), "nothing of `{quotation}` is fixed");
        for part in parts {
            assert!(source.contains(part), "`{part}` of `{quotation}` is not said by the program");
        }
        seen += 1;
    }
    assert!(seen > 60, "{seen} quotations");
}

#[test]
fn the_files_that_the_book_names_are_there() {
    let name = Regex::new(r"`((?:src|tests|deploy|docs|benches|fixtures)/[a-z0-9_./-]+)`").unwrap();
    let mut seen = 0;
    for page in [
        "extending.md",
        "architecture.md",
        "install.md",
        "scaling.md",
        "operating.md",
        "dashboard.md",
    ] {
        let text = crate::book::page(page);
        for found in name.captures_iter(&text) {
            assert!(root().join(&found[1]).exists(), "{page}: `{}` is not there", &found[1]);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} files");
}

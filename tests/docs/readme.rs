//! The README: short, complete on its first screen, and with figures that stand where they are explained.

use std::collections::BTreeSet;

use regex::Regex;

use crate::book::{blocks, page, read, root};

const MOST_BYTES: usize = 6 * 1024;
const FIRST_SCREEN: usize = 40;

#[test]
fn the_readme_is_short_and_its_first_screen_is_enough() {
    let text = read(&root().join("README.md"));
    assert!(text.len() <= MOST_BYTES, "{} bytes", text.len());
    let screen = text.lines().take(FIRST_SCREEN).collect::<Vec<_>>().join("\n");
    let picture = Regex::new(r"!\[[^\]]+\]\(([^)]+)\)").unwrap();
    let picture = picture.captures(&screen).expect("a picture");
    assert!(root().join(&picture[1]).is_file(), "{}", &picture[1]);
    for part in ["Gitea and Forgejo", "For maintainers", "> **Triage: dispatched", "\n## Install\n"]
    {
        assert!(screen.contains(part), "`{part}` is not on the first screen");
    }
    let commands: Vec<String> = blocks(&screen).into_iter().map(|block| block.text).collect();
    assert_eq!(commands, ["cargo run -- replay fixtures\n", "cargo test\n"]);
}

/// Each stands in one of the two pages at least: what was measured again is not easily left behind.
#[test]
fn each_promise_has_a_figure_that_is_explained_elsewhere() {
    let text = read(&root().join("README.md"));
    let (_, promises) = text.split_once("\n## What it promises\n").unwrap();
    let (promises, _) = promises.split_once("\n[Benchmarks](").unwrap();
    let code = Regex::new("`[^`]*`").unwrap();
    let figure = Regex::new(r"\d[\d,.]*\d|\d").unwrap();
    let figures = |text: &str| -> BTreeSet<String> {
        figure.find_iter(text).map(|found| found.as_str().to_owned()).collect()
    };
    let explained = figures(&(page("benchmarks.md") + &page("deciding.md")));
    let promises: Vec<&str> = promises.split("\n- ").skip(1).collect();
    assert_eq!(promises.len(), 5);
    for promise in promises {
        // Code is an example, not a figure; the table has a share as a part of 1.
        let promised = figures(&code.replace_all(promise, "").replace("89 %", "0.89"));
        assert!(!promised.is_empty(), "{promise}");
        let missing: Vec<_> = promised.difference(&explained).collect();
        assert!(missing.is_empty(), "{missing:?} are explained nowhere: {promise}");
    }
}

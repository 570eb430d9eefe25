//! Configurations of the book, and what its policies make of the issues beside them.

use std::process::Command;

use gitea_triage::config::Config;
use regex::Regex;

use crate::book::{Block, blocks, page, pages, plain};

/// What every configuration needs, as far as the block does not say it.
pub fn complete(block: &str) -> String {
    let files = Regex::new(r#"(token|secret|password)_file = "[^"]*""#).unwrap();
    let mut text = files.replace_all(block, "$1 = \"sixteen-letters-or-more\"").into_owned();
    for (section, keys) in [
        ("[gitea]", "url = 'https://gitea.example.com'\ntoken = 'x'\nrepos = ['acme/widgets']"),
        ("[webhook]", "secrets = ['a-secret-of-the-book']"),
    ] {
        if !text.lines().any(|line| line == section) {
            text = format!("{section}\n{keys}\n{text}");
        }
    }
    text
}

#[test]
fn every_configuration_in_the_book_can_be_read() {
    let mut seen = 0;
    let runners =
        pages().into_values().flat_map(|text| plain(&text, "toml", Some("runner"))).next();
    let folder = tempfile::tempdir().unwrap();
    let runner = folder.path().join("runner.toml");
    std::fs::write(&runner, runners.unwrap()).unwrap();
    let embedded = format!("embedded = {:?}", runner.display().to_string());
    for (page, text) in pages() {
        for block in plain(&text, "toml", None) {
            let block = block.replace("embedded = \"gitea-triage-runner.toml\"", &embedded);
            let read = Config::from_toml("the block", &complete(&block), std::iter::empty());
            assert!(read.is_ok(), "{}: {}\n{block}", page.display(), read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} blocks");
}

/// A policy, an issue, and what `score` prints of it.
struct Recipe<'a> {
    config: &'a str,
    issue: &'a str,
    printed: &'a str,
}

fn recipes(blocks: &[Block]) -> Vec<Recipe<'_>> {
    let three = blocks.windows(3).filter(|three| {
        let languages: Vec<_> = three.iter().map(|block| block.language.as_str()).collect();
        languages == ["toml", "json", "text"]
    });
    let texts = three.map(|three| [0, 1, 2].map(|at| three[at].text.as_str()));
    texts.map(|[config, issue, printed]| Recipe { config, issue, printed }).collect()
}

/// What `score` prints of an issue with a configuration.
fn scored(config: &str, issue: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gitea-triage.toml"), complete(config)).unwrap();
    std::fs::write(folder.path().join("issue.json"), issue).unwrap();
    let mut score = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    let score = score.env_clear().current_dir(&folder).args(["score", "issue.json"]);
    let output = score.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn what_the_cookbook_says_of_an_issue_is_what_score_prints() {
    let page = blocks(&page("policy-cookbook.md"));
    let recipes = recipes(&page);
    let issues = page.iter().filter(|block| block.language == "json").count();
    assert!(recipes.len() == issues && issues >= 10, "{} of {issues}", recipes.len());
    for Recipe { config, issue, printed } in recipes {
        assert_eq!(scored(config, issue), printed.trim_end(), "{config}");
        let preset = config.lines().find(|line| line.starts_with("preset")).unwrap_or_default();
        let without = scored(&format!("[policy]\n{preset}\n"), issue);
        assert_ne!(without, printed.trim_end(), "without the recipe it is the same: {config}");
    }
}

//! Links of the book: in the sources, where a page stands beside the files of the repository, and in what mdbook makes of
//! them, where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::book::{anchors, folder, pages, prose, read, root};

/// The folder that mdbook wrote to.
const BUILT: &str = "GITEA_TRIAGE_BOOK";

/// The targets of the Markdown links of a page; what stands in code is none.
fn targets(text: &str) -> Vec<String> {
    let code = Regex::new(r"`[^`]*`").unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let text = prose(text);
    let text = code.replace_all(&text, "code");
    link.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

fn is_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The text of a page with what it includes.
fn whole(path: &Path, text: &str) -> String {
    let include = Regex::new(r"\{\{#include ([^}]+)\}\}").unwrap();
    let included = |found: &regex::Captures<'_>| read(&path.parent().unwrap().join(&found[1]));
    include.replace_all(text, included).into_owned()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading_that_are_there() {
    let mut seen = 0;
    for (page, text) in pages() {
        let text = whole(&page, &text);
        for target in targets(&text).into_iter().filter(|target| !is_outside(target)) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path =
                if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(path.exists(), "{}: `{target}` is not there", page.display());
            let has = || anchors(&whole(&path, &read(&path))).contains(anchor);
            assert!(anchor.is_empty() || has(), "{}: no heading `{target}`", page.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} links");
}

/// The built book holds its own pages only: a link to any other file of the repository would be dead there.
#[test]
fn no_page_of_the_book_links_out_of_it() {
    for (path, text) in pages().into_iter().filter(|(path, _)| path.starts_with(folder())) {
        for target in targets(&whole(&path, &text)).iter().filter(|target| !is_outside(target)) {
            assert!(!target.contains('/'), "{}: `{target}` is not in the book", path.display());
        }
    }
}

#[test]
fn every_page_is_in_the_summary_once() {
    let summary = read(&folder().join("SUMMARY.md"));
    for path in pages().into_keys().filter(|path| path.starts_with(folder())) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let times = summary.matches(&format!("({name})")).count();
        assert!(name == "SUMMARY.md" || times == 1, "`{name}` is {times} times in the summary");
    }
    assert!(root().join("docs/book.toml").exists());
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Each link of the built pages, whoever wrote it: text, navigation, scripts and pictures.
#[test]
#[ignore = "needs the built book: `mdbook build docs --dest-dir FOLDER`, and the folder in GITEA_TRIAGE_BOOK"]
fn no_link_of_the_built_book_is_dead() {
    let folder = std::env::var_os(BUILT).map(PathBuf::from).expect(BUILT);
    let html: Vec<_> =
        files(&folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "html")).collect();
    let (id, link) = (
        Regex::new(r#"\s(?:id|name)="([^"]+)""#).unwrap(),
        Regex::new(r#"\s(?:href|src)="([^"]+)""#).unwrap(),
    );
    let ids = |text: &str| id.captures_iter(text).map(|found| found[1].to_owned()).collect();
    let texts: BTreeMap<PathBuf, String> =
        html.iter().map(|path| (path.clone(), read(path))).collect();
    let known: BTreeMap<&PathBuf, BTreeSet<String>> =
        texts.iter().map(|(path, text)| (path, ids(text))).collect();
    let (mut seen, mut dead) = (0, Vec::new());
    for (page, text) in &texts {
        for target in link.captures_iter(text).map(|found| found[1].replace("&amp;", "&")) {
            if is_outside(&target)
                || target.starts_with("data:")
                || target.starts_with("javascript:")
            {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            // The page for what is not there is shown at any address.
            let base = page.parent().unwrap();
            let path = if path.is_empty() { page.clone() } else { tidy(&base.join(path)) };
            let has = || known.get(&path).is_none_or(|ids| ids.contains(anchor));
            if !path.exists() || !anchor.is_empty() && !has() {
                dead.push(format!("{}: {target}", page.display()));
            }
            seen += 1;
        }
    }
    assert!(dead.is_empty(), "{} dead links:\n{}", dead.len(), dead.join("\n"));
    assert!(texts.len() > 30 && seen > 1000, "{seen} links on {} pages", texts.len());
    println!("{seen} links on {} pages lead somewhere", texts.len());
}

/// A path without `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(tidy.pop()),
            std::path::Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}

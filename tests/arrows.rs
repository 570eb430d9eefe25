//! Who may use whom. An arrow that is not drawn here is a design question; answer it in `src/lib.rs` first.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const NOUNS: [&str; 5] = ["clock", "delivery", "dispatch", "issue", "meters"];

/// Room → the rooms it may use beyond the nouns.
const ARROWS: &[(&str, &[&str])] = &[
    ("failpoint", &[]),
    ("triage", &[]),
    ("plan", &["triage"]),
    ("gitea", &[]),
    ("agents", &["gitea"]),
    ("fake_gitea", &[]),
    ("apply", &["plan", "gitea", "agents"]),
    ("store", &["plan", "triage"]),
    ("worker", &["store", "gitea", "triage", "plan", "apply"]),
    ("receive", &["gitea", "store", "agents"]),
    ("sweep", &["gitea", "store"]),
    ("metrics", &["store"]),
    ("health", &["gitea", "store"]),
    ("hooks", &["gitea", "store"]),
    ("check", &["config", "hooks", "gitea", "store"]),
    ("dashboard", &["gitea", "store", "health"]),
    ("summary", &["gitea", "store", "plan", "triage"]),
    ("config", &["triage"]),
];
/// These wire the others and may use all of them.
const WIRING: [&str; 5] = ["cli", "demo", "lib", "main", "service"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn room_of(path: &Path) -> String {
    let first = path.strip_prefix(root()).unwrap().components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&root()).iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        let uses = found.entry(room_of(path)).or_default();
        for (at, _) in code(path).match_indices("crate::") {
            let rest = &code(path)[at + "crate::".len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            uses.insert(name);
        }
    }
    found
}

#[test]
fn no_room_uses_one_that_it_may_not() {
    for (room, uses) in arrows() {
        if WIRING.contains(&room.as_str()) {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == room).map(|(_, rooms)| *rooms);
        let is_noun = NOUNS.contains(&room.as_str());
        assert!(allowed.is_some() || is_noun, "room `{room}` is not drawn in ARROWS");
        for used in uses {
            let fine = used == room
                || NOUNS.contains(&used.as_str())
                || allowed.unwrap_or(&[]).contains(&used.as_str());
            assert!(fine, "`{room}` uses `{used}`, which is not drawn in ARROWS");
        }
    }
}

#[test]
fn sql_stays_in_the_store() {
    for path in sources(&root()) {
        let has_sql = code(&path).contains("rusqlite") || code(&path).contains("SELECT ");
        assert!(!has_sql || room_of(&path) == "store", "{} speaks SQL", path.display());
    }
}

#[test]
fn words_of_the_forge_stay_in_its_rooms() {
    for path in sources(&root()) {
        let code = code(&path).to_lowercase();
        let speaks =
            ["x-gitea-", "x-hub-signature", "api/v1"].iter().any(|word| code.contains(word));
        let room = room_of(&path);
        // The help of a command may show how to call the API by hand.
        let may = ["gitea", "fake_gitea", "cli"].contains(&room.as_str());
        assert!(!speaks || may, "{} speaks Gitea", path.display());
    }
}

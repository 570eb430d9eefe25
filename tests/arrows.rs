//! Who may use whom. An arrow that is not drawn here is a design question; answer it in `src/lib.rs` first. That no
//! files of a room use each other in a circle is checked by `tests/structure.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses its part")]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{File, Paths};
use syn::visit::{self, Visit};

const NOUNS: [&str; 8] =
    ["clock", "delivery", "dispatch", "issue", "memory", "meters", "reason", "setting"];

/// Room → the rooms it may use beyond the nouns, and does.
const ARROWS: &[(&str, &[&str])] = &[
    ("failpoint", &[]),
    ("named", &[]),
    ("triage", &[]),
    ("plan", &["triage"]),
    ("gitea", &[]),
    ("agents", &["apply", "gitea", "plan", "store"]),
    ("fake_gitea", &[]),
    ("apply", &["plan", "gitea"]),
    ("store", &["plan", "triage"]),
    ("worker", &["store", "gitea", "triage", "plan", "apply"]),
    ("connections", &[]),
    ("receive", &["connections", "gitea", "store", "agents"]),
    ("sweep", &["gitea", "store"]),
    ("metrics", &["store"]),
    ("health", &["gitea", "store"]),
    ("hooks", &["gitea", "store"]),
    ("check", &["config", "hooks", "gitea", "store", "triage"]),
    ("dashboard", &["gitea", "store", "health"]),
    ("runner", &["gitea"]),
    ("summary", &["gitea", "store", "plan", "triage"]),
    ("config", &["agents", "runner", "triage"]),
];
/// These wire the others and may use all of them.
const WIRING: [&str; 5] = ["cli", "demo", "lib", "main", "service"];

/// Where the forge is written to.
const WRITERS: [&str; 5] = ["apply", "gitea", "hooks", "runner", "summary"];
/// The requests that find out what the token may do: writes that change nothing.
const PROBES: &str = "gitea/probe.rs";
/// Where methods of the same names are those of the Gitea in memory.
const IN_MEMORY: [&str; 2] = ["demo/world.rs", "fake_gitea/"];

/// Room → the rooms that it uses, each with a file that does.
fn arrows(files: &[File]) -> BTreeMap<&str, BTreeMap<String, &File>> {
    let paths = Paths::of(files);
    let mut found: BTreeMap<&str, BTreeMap<String, &File>> = BTreeMap::new();
    for file in files {
        let uses = found.entry(file.room()).or_default();
        for path in paths.written_by(file) {
            uses.extend(path.into_iter().next().map(|used| (used, file)));
        }
    }
    found
}

#[test]
fn no_room_uses_one_that_it_may_not() {
    for (room, uses) in arrows(&source::files()) {
        if WIRING.contains(&room) {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == room).map(|(_, rooms)| *rooms);
        let is_noun = NOUNS.contains(&room);
        assert!(allowed.is_some() || is_noun, "room `{room}` is not drawn in ARROWS");
        for (used, file) in uses {
            let fine = used == room
                || NOUNS.contains(&used.as_str())
                || allowed.unwrap_or(&[]).contains(&used.as_str());
            assert!(fine, "`{}` uses `{used}`, which is not drawn in ARROWS", file.path);
        }
    }
}

#[test]
fn no_arrow_is_drawn_that_nobody_uses() {
    let files = source::files();
    let found = arrows(&files);
    for (room, allowed) in ARROWS {
        let uses = found.get(room).unwrap_or_else(|| panic!("there is no room `{room}`"));
        for used in *allowed {
            assert!(uses.contains_key(*used), "`{room}` does not use `{used}`");
        }
    }
}

#[test]
fn sql_stays_in_the_store() {
    for file in source::files() {
        let has_sql = file.code().contains("rusqlite") || file.code().contains("SELECT ");
        assert!(!has_sql || file.room() == "store", "{} speaks SQL", file.path);
    }
}

#[test]
fn words_of_the_forge_stay_in_its_rooms() {
    for file in source::files() {
        let code = file.code().to_lowercase();
        let speaks =
            ["x-gitea-", "x-hub-signature", "api/v1"].iter().any(|word| code.contains(word));
        // The help of a command may show how to call the API by hand.
        let may = ["gitea", "fake_gitea", "cli"].contains(&file.room());
        assert!(!speaks || may, "{} speaks Gitea", file.path);
    }
}

#[test]
fn only_four_rooms_write_to_the_forge() {
    let files = source::files();
    let writing = writing_methods(&files);
    for name in
        ["create_hook", "create_issue", "create_pull", "post_comment", "remove_label", "set_state"]
    {
        assert!(writing.contains(name), "`{name}` is not seen to write: {writing:?}");
    }
    for file in files.iter().filter(|file| !WRITERS.contains(&file.room())) {
        let mut calls = Calls::default();
        file.visit(&mut calls);
        let writes: Vec<_> = calls.0.intersection(&writing).collect();
        let is_here = |path: &&str| file.path.starts_with(path);
        if IN_MEMORY.iter().any(is_here) {
            continue;
        }
        assert!(writes.is_empty(), "{} writes to the forge: {writes:?}", file.path);
    }
}

/// The methods of the forge's client that send a request other than a GET, by themselves or through another one.
fn writing_methods(files: &[File]) -> BTreeSet<String> {
    let mut methods = BTreeMap::new();
    for file in files.iter().filter(|file| file.room() == "gitea" && file.path != PROBES) {
        file.items.iter().for_each(|item| match item {
            syn::Item::Impl(block) if is_client(&block.self_ty) => {
                let functions = block.items.iter().filter_map(|item| match item {
                    syn::ImplItem::Fn(function) => Some(function),
                    _ => None,
                });
                methods.extend(functions.map(|f| {
                    let mut calls = Calls::default();
                    calls.visit_block(&f.block);
                    (f.sig.ident.to_string(), calls.0)
                }));
            }
            _ => {}
        });
    }
    let verbs = ["POST", "PUT", "PATCH", "DELETE"].map(str::to_owned);
    let mut writing = BTreeSet::from(verbs.clone());
    while let Some(name) = methods.iter().find_map(|(name, calls)| {
        (!writing.contains(name) && !calls.is_disjoint(&writing)).then(|| name.clone())
    }) {
        writing.insert(name);
    }
    writing.retain(|name| !verbs.contains(name));
    writing
}

fn is_client(of: &syn::Type) -> bool {
    matches!(of, syn::Type::Path(path) if path.path.is_ident("Client"))
}

/// The names of the methods that are called, and the last names of paths.
#[derive(Default)]
struct Calls(BTreeSet<String>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.0.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.0.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
    }
}

//! Counts what the structure of the code is judged by, prints it (`cargo test --test structure -- --nocapture`), and
//! fails beyond the limits. All is counted in the files below `src`, without what is only compiled for tests:
//!
//! - **lines**: comments and blank ones included, up to the tests at the end of a file;
//! - **structs that describe one issue's state**: a struct in [`PATH`] of which a field has one of the types in
//!   [`STATE`], or the type of a struct found so; a struct with a name in [`OLD`] counts whatever its fields are;
//! - **long functions**: more than 60 lines from `fn` to the closing brace;
//! - **arguments**: more than 4 without `self`, or a tuple among them, which hides some;
//! - **cycles**: between files of a room by the paths they use, where a re-export leads to what it exports; a module
//!   may use those it lies in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses its part")]
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use source::{File, Module, Paths};
use syn::visit::{self, Visit};

const LINES: usize = 69_990;
const STRUCTS: usize = 12;
const LONG: usize = 0;
const ARGUMENTS: usize = 2;
const CYCLES: usize = 0;

const PATH: [&str; 5] = ["apply", "plan", "store", "triage", "worker"];
/// These are shown to people, not decided from.
const READ_MODELS: [&str; 2] = ["store/history.rs", "store/pages/"];
/// The types that say what an issue is, who has it, and what is done about it. Results of writing are none.
const STATE: &[&str] = &[
    "Command",
    "Custody",
    "Decision",
    "Dispatch",
    "Effect",
    "EffectKind",
    "Hold",
    "Issue",
    "Notice",
    "Report",
    "Source",
    "Verdict",
];
/// The structs of the decision path before it was one evaluation.
const OLD: &[&str] = &[
    "Look",
    "Read",
    "View",
    "Work",
    "TakenOff",
    "Signs",
    "Course",
    "Case",
    "Obeyed",
    "Wishes",
    "Standing",
    "Given",
    "Moves",
    "Limits",
    "Scene",
    "Opening",
    "Intent",
    "Past",
    "PastComment",
    "OurComment",
];

struct Found {
    at: String,
    what: String,
}

impl Found {
    fn new(file: &File, what: String) -> Self {
        Self { at: file.path.clone(), what }
    }
}

/// A figure with what it counts.
struct Figure {
    name: &'static str,
    count: usize,
    limit: usize,
    found: Vec<Found>,
}

impl Figure {
    fn of(name: &'static str, limit: usize, found: Vec<Found>) -> Self {
        Self { name, count: found.len(), limit, found }
    }
}

#[test]
fn the_structure_stays_within_its_limits() {
    let files = source::files();
    let lines = files.iter().map(|file| file.text.lines().count()).sum();
    let (long, arguments) = functions(&files);
    let figures = [
        Figure { name: "production lines", count: lines, limit: LINES, found: Vec::new() },
        Figure::of("structs that describe one issue's state", STRUCTS, state(&files)),
        Figure::of("functions over 60 lines", LONG, long),
        Figure::of("functions with more than 4 arguments or a tuple", ARGUMENTS, arguments),
        Figure::of("cycles between files of a room", CYCLES, cycles(&files)),
    ];
    for Figure { name, count, limit, found } in &figures {
        println!("{count:>6} of at most {limit:>6}  {name}");
        found.iter().for_each(|Found { at, what }| println!("{:25}{at}: {what}", ""));
    }
    for Figure { name, count, limit, .. } in figures {
        assert!(count <= limit, "{name}: {count}, at most {limit} (`--nocapture` lists them)");
    }
}

#[test]
fn the_old_decision_path_is_gone() {
    let files = source::files();
    let old = structs(&files).into_iter().filter(|(_, one)| OLD.iter().any(|o| one.ident == o));
    let old: Vec<_> = old.map(|(file, one)| format!("{}: {}", file.path, one.ident)).collect();
    assert!(old.is_empty(), "{old:?}");
}

/// The structs on the path.
fn structs(files: &[File]) -> Vec<(&File, &syn::ItemStruct)> {
    let is_on_path = |file: &&File| {
        PATH.contains(&file.room()) && !READ_MODELS.iter().any(|model| file.path.starts_with(model))
    };
    let items =
        files.iter().filter(is_on_path).flat_map(|file| file.items.iter().map(move |i| (file, i)));
    let structs = items.filter_map(|(file, item)| match item {
        syn::Item::Struct(item) => Some((file, item)),
        _ => None,
    });
    structs.collect()
}

fn state(files: &[File]) -> Vec<Found> {
    type Type = (Module, String);
    let paths = Paths::of(files);
    let types = |file: &File, item: &syn::ItemStruct| -> BTreeSet<Type> {
        let mut types = Types::default();
        item.fields.iter().for_each(|field| types.visit_type(&field.ty));
        let home =
            |path: &Module| paths.home(&file.module, path).unwrap_or_else(|| file.module.clone());
        types.0.iter().map(|path| (home(path), path.last().unwrap().clone())).collect()
    };
    let all = structs(files);
    let mut found: BTreeMap<Type, Found> = BTreeMap::new();
    loop {
        let before = found.len();
        for (file, item) in &all {
            let name = item.ident.to_string();
            let why = types(file, item)
                .into_iter()
                .find(|one| STATE.contains(&one.1.as_str()) || found.contains_key(one));
            let why = why
                .map(|(_, name)| name)
                .or_else(|| OLD.contains(&name.as_str()).then(|| "its name".to_owned()));
            let id = (file.module.clone(), name);
            if let Some(why) = why
                && !found.contains_key(&id)
            {
                let what = format!("{} ({why})", id.1);
                found.insert(id, Found::new(file, what));
            }
        }
        if found.len() == before {
            return found.into_values().collect();
        }
    }
}

/// The paths that a type mentions.
#[derive(Default)]
struct Types(Vec<Module>);

impl<'ast> Visit<'ast> for Types {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The functions that are too long, and those with too many arguments.
fn functions(files: &[File]) -> (Vec<Found>, Vec<Found>) {
    let (mut long, mut arguments) = (Vec::new(), Vec::new());
    for file in files {
        let mut functions = Functions::default();
        file.visit(&mut functions);
        for Function { name, lines, inputs, hides } in functions.0 {
            if lines > 60 {
                long.push(Found::new(file, format!("{name} ({lines})")));
            }
            if inputs > 4 || hides {
                let hidden = if hides { ", a tuple" } else { "" };
                arguments.push(Found::new(file, format!("{name} ({inputs}{hidden})")));
            }
        }
    }
    (long, arguments)
}

struct Function {
    name: String,
    lines: usize,
    inputs: usize,
    hides: bool,
}

#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, end: proc_macro2::Span) {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Receiver(_) => None,
            syn::FnArg::Typed(typed) => Some(typed),
        });
        let hides = typed.clone().any(|one| {
            matches!(*one.pat, syn::Pat::Tuple(_)) || matches!(*one.ty, syn::Type::Tuple(_))
        });
        let lines = end.end().line + 1 - signature.fn_token.span.start().line;
        self.0.push(Function {
            name: signature.ident.to_string(),
            lines,
            inputs: typed.count(),
            hides,
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, function.block.brace_token.span.close());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, function.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        let braces = function.default.as_ref().map(|block| block.brace_token.span);
        let end = braces.unwrap_or(function.sig.paren_token.span).close();
        self.add(&function.sig, end);
        visit::visit_trait_item_fn(self, function);
    }
}

type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// For each use that is part of a cycle, the shortest cycle it is part of.
fn cycles(files: &[File]) -> Vec<Found> {
    let paths = Paths::of(files);
    let inside = |file: &File| -> BTreeSet<Module> {
        let is_sibling =
            |used: &Module| used.first() == file.module.first() && !file.module.starts_with(used);
        paths.used_by(file).into_iter().filter(is_sibling).collect()
    };
    let arrows: Arrows = files.iter().map(|file| (file.module.clone(), inside(file))).collect();
    let mut found = BTreeSet::new();
    for (from, uses) in &arrows {
        for used in uses {
            found.extend(way(&arrows, used, from).map(normal));
        }
    }
    let shown = found.into_iter().map(|cycle| {
        let names: Vec<_> =
            cycle.iter().chain(cycle.first()).map(|module| module[1..].join("::")).collect();
        Found { at: cycle[0][0].clone(), what: names.join(" → ") }
    });
    shown.collect()
}

/// The shortest way from one module to another.
fn way(arrows: &Arrows, from: &Module, to: &Module) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<&Module, Option<&Module>> = BTreeMap::from([(from, None)]);
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        if at == to {
            let back = std::iter::successors(Some(at), |at| came_from[at]);
            return Some(back.cloned().collect());
        }
        for used in arrows.get(at).into_iter().flatten() {
            came_from.entry(used).or_insert_with(|| {
                next.push_back(used);
                Some(at)
            });
        }
    }
    None
}

/// The same cycle in the order in which it is used, beginning with the module that is the first by name.
fn normal(mut cycle: Vec<Module>) -> Vec<Module> {
    cycle.reverse();
    let first = cycle.iter().enumerate().min_by_key(|(_, module)| *module).map_or(0, |(at, _)| at);
    cycle.rotate_left(first);
    cycle
}

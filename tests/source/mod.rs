//! The source of the crate as the tests about its structure read it: each file is parsed once, and what is only
//! compiled for tests is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// One file, which is one module.
pub struct File {
    /// Below `src`, with `/`.
    pub path: String,
    /// The path of the module: empty for `lib.rs`, `store::pages::issue` for `store/pages/issue.rs`.
    pub module: Module,
    /// Up to the first item with a body that is only compiled for tests.
    pub text: String,
    /// Without what is only compiled for tests.
    pub items: Vec<Item>,
}

/// The segments of a module's path.
pub type Module = Vec<String>;

impl File {
    /// The room: the first segment of the module.
    pub fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// The text without its comments.
    pub fn code(&self) -> String {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        self.text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
    }

    pub fn visit(&self, visitor: &mut impl for<'ast> Visit<'ast>) {
        self.items.iter().for_each(|item| visitor.visit_item(item));
    }
}

/// All files below `src`, ordered by path.
pub fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = below(&root).iter().map(|path| file(path, &root)).collect();
    let only_tests: BTreeSet<Module> = files.iter().flat_map(|(_, tests)| tests.clone()).collect();
    files.retain(|(file, _)| !only_tests.contains(&file.module));
    files.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    files.into_iter().map(|(file, _)| file).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] });
    all.filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs")).collect()
}

/// A file, and the modules it declares for tests only.
fn file(path: &Path, root: &Path) -> (File, Vec<Module>) {
    let whole = std::fs::read_to_string(path).unwrap();
    let declared = Regex::new(r"#\[cfg\(test\)\]\nmod \w+;\n").unwrap();
    let text = declared.replace_all(&whole, "");
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    let path = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Module = module.split('/').filter(|s| *s != "lib").map(str::to_owned).collect();
    let mut items = syn::parse_file(&whole).unwrap_or_else(|e| panic!("{path}: {e}")).items;
    let tests = items.iter().filter(|item| is_for_tests(attributes(item)));
    let tests = tests.filter_map(|item| match item {
        Item::Mod(child) => Some([&module[..], &[child.ident.to_string()]].concat()),
        _ => None,
    });
    let tests = tests.collect();
    strip(&mut items);
    (File { path, module, text, items }, tests)
}

fn strip(items: &mut Vec<Item>) {
    items.retain(|item| !is_for_tests(attributes(item)));
    for item in items {
        if let Item::Impl(item) = item {
            item.items.retain(|item| match item {
                syn::ImplItem::Fn(function) => !is_for_tests(&function.attrs),
                _ => true,
            });
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|what| what.is_ident("test"))
    })
}

/// Which module each name leads to, whatever re-exports it.
pub struct Paths<'a> {
    modules: BTreeMap<&'a [String], Names>,
}

/// What the names in a module stand for.
#[derive(Default)]
struct Names {
    /// The items that the module defines itself.
    defined: BTreeSet<String>,
    /// Name → full path, for what `use` brings in.
    imported: BTreeMap<String, Module>,
    /// The modules of which all names are brought in.
    globs: Vec<Module>,
}

/// A path as it is written in a file.
struct Written {
    path: Module,
    /// It is re-exported, not used.
    is_export: bool,
}

impl<'a> Paths<'a> {
    pub fn of(files: &'a [File]) -> Self {
        let known: BTreeSet<&[String]> = files.iter().map(|f| f.module.as_slice()).collect();
        let names = files.iter().map(|file| (file.module.as_slice(), names(file, &known)));
        Self { modules: names.collect() }
    }

    /// The full paths that a file uses, as they are written.
    pub fn written_by(&self, file: &File) -> BTreeSet<Module> {
        let mut reader = Reader::default();
        file.visit(&mut reader);
        let used = reader.written.iter().filter(|written| !written.is_export);
        used.filter_map(|written| self.full(&file.module, &written.path)).collect()
    }

    /// The modules in which that is defined which a file uses.
    pub fn used_by(&self, file: &File) -> BTreeSet<Module> {
        self.written_by(file).iter().map(|full| self.resolve(full, 0)).collect()
    }

    /// The module in which the item is defined that `path` names in `module`; none for a path out of the crate, or for
    /// a name of the module itself.
    pub fn home(&self, module: &[String], path: &[String]) -> Option<Module> {
        self.full(module, path).map(|full| self.resolve(&full, 0))
    }

    fn full(&self, module: &[String], path: &[String]) -> Option<Module> {
        absolute(module, path).or_else(|| {
            let (first, rest) = path.split_first()?;
            let child = [module, std::slice::from_ref(first)].concat();
            let import = self.modules[module].imported.get(first);
            let is_child = self.modules.contains_key(child.as_slice());
            let start = import.cloned().or_else(|| is_child.then_some(child));
            start.map(|start| [&start, rest].concat())
        })
    }

    fn resolve(&self, full: &[String], depth: usize) -> Module {
        let mut at = 0;
        while at < full.len() && self.modules.contains_key(&full[..=at]) {
            at += 1;
        }
        let (module, rest) = full.split_at(at);
        let Some(name) = rest.first().filter(|_| depth < 8) else { return module.to_vec() };
        let names = &self.modules[module];
        if names.defined.contains(name) {
            return module.to_vec();
        }
        if let Some(import) = names.imported.get(name) {
            return self.resolve(import, depth + 1);
        }
        let from = |glob: &&Module| {
            self.modules.get(glob.as_slice()).is_some_and(|names| names.defined.contains(name))
        };
        names.globs.iter().find(from).cloned().unwrap_or_else(|| module.to_vec())
    }
}

fn names(file: &File, known: &BTreeSet<&[String]>) -> Names {
    let defined = file.items.iter().filter_map(identifier).map(ToString::to_string).collect();
    let mut names = Names { defined, ..Names::default() };
    let mut bring_in = |path: &[String], name: Option<&str>| {
        let child = [&file.module[..], path].concat();
        let is_child = known.contains(&child[..child.len().min(file.module.len() + 1)]);
        let full = absolute(&file.module, path).or(is_child.then_some(child));
        match (full, name) {
            (Some(full), Some(name)) => _ = names.imported.insert(name.to_owned(), full),
            (Some(full), None) => names.globs.push(full),
            (None, _) => {}
        }
    };
    for item in &file.items {
        if let Item::Use(item) = item {
            import(&item.tree, &mut Vec::new(), &mut bring_in);
        }
    }
    names
}

fn identifier(item: &Item) -> Option<&syn::Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        _ => None,
    }
}

/// The path from the root of the crate, where it is written from `crate`, `self` or `super`.
fn absolute(module: &[String], path: &[String]) -> Option<Module> {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path.first().map(String::as_str) {
        Some("crate") => Some(path[1..].to_vec()),
        Some("self") => Some([module, &path[1..]].concat()),
        Some("super") if supers <= module.len() => {
            Some([&module[..module.len() - supers], &path[supers..]].concat())
        }
        _ => None,
    }
}

/// Each path that a `use` names, with the name it gets; none for all names of a module.
fn import(
    tree: &UseTree,
    before: &mut Vec<String>,
    found: &mut impl FnMut(&[String], Option<&str>),
) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            import(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found(before, before.last().map(String::as_str));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            found(&[before.as_slice(), std::slice::from_ref(&name)].concat(), Some(&name));
        }
        UseTree::Rename(rename) => {
            let path = [before.as_slice(), &[rename.ident.to_string()]].concat();
            found(&path, Some(&rename.rename.to_string()));
        }
        UseTree::Glob(_) => found(before, None),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| import(tree, before, found));
        }
    }
}

/// Collects the paths of a file, those in macros too.
#[derive(Default)]
struct Reader {
    written: Vec<Written>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, syn::Visibility::Inherited);
        import(&item.tree, &mut Vec::new(), &mut |path, _| {
            self.written.push(Written { path: path.to_vec(), is_export });
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.written.push(Written { path: segments, is_export: false });
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        self.visit_path(&found.path);
        self.read(found.tokens.clone());
    }
}

impl Reader {
    fn read(&mut self, tokens: TokenStream) {
        let (mut path, mut colons): (Module, u8) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) if colons == 2 || path.is_empty() => {
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.end(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Group(group) => self.read(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Module) {
        if !path.is_empty() {
            self.written.push(Written { path: std::mem::take(path), is_export: false });
        }
    }
}

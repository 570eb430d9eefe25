//! The crates that a program is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, MetadataCommand, Package, PackageId, TargetKind};

use crate::project::Target;

/// A crate, and what it is to the program.
pub struct Part {
    /// What the registry says of it.
    pub package: Package,
    /// Whether it is in the program, and not only run to build it.
    pub is_linked: bool,
    /// The crates that it needs.
    pub needs: Vec<PackageId>,
    /// The digest of its archive in the registry; the program itself has none.
    pub digest: Option<String>,
}

/// The crates of the program on a platform, itself among them. Features are those of a build with the tests, which are
/// at most more.
pub fn parts(root: &Path, target: &Target) -> anyhow::Result<BTreeMap<PackageId, Part>> {
    let options = ["--locked", "--filter-platform", &target.0].map(str::to_owned).to_vec();
    let mut asked = MetadataCommand::new();
    let asked = asked.manifest_path(root.join("Cargo.toml")).other_options(options).exec()?;
    let resolve = asked.resolve.context("cargo resolved nothing")?;
    let program = resolve.root.context("there is no program")?;
    let packages: HashMap<_, _> = asked.packages.into_iter().map(|p| (p.id.clone(), p)).collect();
    let nodes: HashMap<_, _> = resolve.nodes.into_iter().map(|n| (n.id.clone(), n)).collect();
    let needs = |id: &PackageId, kinds: &[DependencyKind]| -> Vec<PackageId> {
        let all = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let needed = all.filter(|one| one.dep_kinds.iter().any(|kind| kinds.contains(&kind.kind)));
        needed.map(|one| one.pkg.clone()).collect()
    };
    let runs = |id: &PackageId| {
        let package = packages.get(id);
        !package.is_some_and(|p| p.targets.iter().any(|t| t.is_kind(TargetKind::ProcMacro)))
    };
    let linked = reached(&program, |id| {
        let needed = needs(id, &[DependencyKind::Normal]);
        needed.into_iter().filter(runs).collect()
    });
    let all = |id: &PackageId| needs(id, &[DependencyKind::Normal, DependencyKind::Build]);
    let digests = digests(root)?;
    let part = |id: PackageId| {
        let package = packages.get(&id).context("a crate without a name")?.clone();
        let named = (package.name.to_string(), package.version.to_string());
        let digest = digests.get(&named).cloned();
        let (is_linked, needs) = (linked.contains(&id), all(&id));
        Ok((id, Part { package, is_linked, needs, digest }))
    };
    reached(&program, all).into_iter().map(part).collect()
}

/// What is reached from there, itself among them.
fn reached(from: &PackageId, next: impl Fn(&PackageId) -> Vec<PackageId>) -> BTreeSet<PackageId> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(next(&id));
        }
    }
    found
}

/// The digests in the lock file, by name and version.
fn digests(root: &Path) -> anyhow::Result<HashMap<(String, String), String>> {
    let lock: toml::Table = std::fs::read_to_string(root.join("Cargo.lock"))?.parse()?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let read = |package: &toml::Value| {
        let value = |key| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    Ok(packages.context("no crates in `Cargo.lock`")?.iter().filter_map(read).collect())
}

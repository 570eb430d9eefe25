//! `cargo xtask version`: the version and the address of the source stand in `Cargo.toml`; every other place has to say the
//! same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use regex::Regex;

use crate::project::{NAME, Project};

/// Say where another version or address stands than in `Cargo.toml`
#[derive(Debug, Args)]
pub struct Version {
    /// Write what has to stand there
    #[arg(long)]
    write: bool,
    /// The `SHA256SUMS` of a release, whose digests the Homebrew formula and the PKGBUILD have to name
    #[arg(long, value_name = "FILE")]
    sums: Option<PathBuf>,
    /// The tag of a release, as `v0.2.0`: it has to be this version, and CHANGELOG.md has to have a section for it
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

/// A place in a file, and what has to stand there.
struct Place {
    file: &'static str,
    /// With one group: the value.
    pattern: String,
    value: String,
}

const FORMULA: &str = "deploy/homebrew/gitea-triage.rb";
const PKGBUILD: &str = "deploy/aur/PKGBUILD";
const INSTALL: &str = "deploy/install.md";

impl Version {
    /// Looks at every place.
    pub fn run(self) -> anyhow::Result<()> {
        let project = Project::read()?;
        if let Some(tag) = &self.tag {
            is_released(&project, tag)?;
        }
        let mut places = places(&project);
        if let Some(sums) = &self.sums {
            places.extend(digests(&project, sums)?);
        }
        let mut wrong = String::new();
        for Place { file, pattern, value } in &places {
            let path = project.root.join(file);
            let text = std::fs::read_to_string(&path).with_context(|| (*file).to_owned())?;
            let (new, found) = replaced(&text, &Regex::new(pattern)?, value);
            if found == 0 {
                bail!("{file} has no place for `{pattern}`");
            }
            match (new == text, self.write) {
                (true, _) => {}
                (false, true) => std::fs::write(&path, new)?,
                (false, false) => writeln!(wrong, "{file} does not say `{value}`")?,
            }
        }
        if !wrong.is_empty() {
            bail!("{wrong}`cargo xtask version --write` writes what has to stand there");
        }
        println!("{} places say {} and {}", places.len(), project.version, project.repository);
        Ok(())
    }
}

fn places(project: &Project) -> Vec<Place> {
    let number = r"(\d+\.\d+\.\d+[-.\w]*)";
    let versions = [
        (INSTALL, format!(r"{NAME}:{number}")),
        (INSTALL, r"VERSION=(\S+)".to_owned()),
        ("deploy/kubernetes/gitea-triage.yaml", format!("image: {NAME}:{number}")),
        ("deploy/kubernetes/replicas.yaml", format!("image: {NAME}:{number}")),
        (FORMULA, r#"version "([^"]+)""#.to_owned()),
        (PKGBUILD, r"(?m)^pkgver=(.+)$".to_owned()),
    ];
    let addresses = [
        (FORMULA, r#"homepage "([^"]+)""#.to_owned()),
        (PKGBUILD, r"(?m)^url='([^']+)'$".to_owned()),
        (INSTALL, r"SOURCE=(\S+)".to_owned()),
    ];
    let place = |value: &str| {
        let value = value.to_owned();
        move |(file, pattern)| Place { file, pattern, value: value.clone() }
    };
    let versions = versions.into_iter().map(place(&project.version));
    versions.chain(addresses.into_iter().map(place(&project.repository))).collect()
}

/// The digests of the archives, where a line ends with the name of their platform.
fn digests(project: &Project, sums: &Path) -> anyhow::Result<Vec<Place>> {
    let sums = std::fs::read_to_string(sums).with_context(|| format!("`{}`", sums.display()))?;
    let mut places = Vec::new();
    for platform in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
        let name = format!("  {NAME}-{}-{platform}.tar.gz", project.version);
        let value = sums.lines().find_map(|line| line.strip_suffix(&name));
        let value = value.with_context(|| format!("no digest of{name}"))?;
        let pattern = format!(r#"(?m)["']([0-9a-f]{{64}})["'].*# {platform}$"#);
        for file in [FORMULA, PKGBUILD] {
            places.push(Place { file, pattern: pattern.clone(), value: value.to_owned() });
        }
    }
    Ok(places)
}

/// The text with the value in every place, and how many those are.
fn replaced(text: &str, pattern: &Regex, value: &str) -> (String, usize) {
    let (mut new, mut end, mut found) = (String::new(), 0, 0);
    for group in pattern.captures_iter(text).filter_map(|captures| captures.get(1)) {
        new += &text[end..group.start()];
        new += value;
        (end, found) = (group.end(), found + 1);
    }
    (new + &text[end..], found)
}

fn is_released(project: &Project, tag: &str) -> anyhow::Result<()> {
    let version = &project.version;
    if tag != format!("v{version}") {
        bail!("the tag is `{tag}`, and `Cargo.toml` says `{version}`");
    }
    let changes = std::fs::read_to_string(project.root.join("CHANGELOG.md"))?;
    if !changes.lines().any(|line| line.starts_with(&format!("## [{version}]"))) {
        bail!("CHANGELOG.md has no section `## [{version}]`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_says_what_cargo_says() {
        Version { write: false, sums: None, tag: None }.run().unwrap();
    }

    #[test]
    fn a_value_is_replaced_wherever_it_stands() {
        let pattern = Regex::new(r"image: (\S+)").unwrap();
        let (new, found) = replaced("image: a\nother: a\nimage: b", &pattern, "c");
        assert_eq!((new.as_str(), found), ("image: c\nother: a\nimage: c", 2));
    }

    #[test]
    fn digests_are_written_where_their_platform_is_named() {
        let project = Project::read().unwrap();
        let sums = tempfile::NamedTempFile::new().unwrap();
        let line = |platform, digit: &str| {
            format!("{}  {NAME}-{}-{platform}.tar.gz\n", digit.repeat(64), project.version)
        };
        let lines =
            line("x86_64-unknown-linux-musl", "a") + &line("aarch64-unknown-linux-musl", "b");
        std::fs::write(sums.path(), lines).unwrap();
        for Place { file, pattern, value } in digests(&project, sums.path()).unwrap() {
            let text = std::fs::read_to_string(project.root.join(file)).unwrap();
            let (new, found) = replaced(&text, &Regex::new(&pattern).unwrap(), &value);
            assert!(found == 1 && new.contains(&value), "{file}: {pattern}");
        }
    }

    #[test]
    fn only_a_tag_of_this_version_is_released() {
        let project = Project::read().unwrap();
        assert!(is_released(&project, "v99.0.0").is_err());
    }
}

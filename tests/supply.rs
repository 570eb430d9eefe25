//! What the dependencies are checked against: the copy of the advisories is whole, and too old after 60 days.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::{Days, NaiveDate};
use sha2::{Digest as _, Sha256};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn advisories(script: &Path, arguments: &[&str]) -> Output {
    Command::new("bash").arg(script).args(arguments).output().unwrap()
}

fn value(source: &str, key: &str) -> String {
    let start = format!("{key} = ");
    source.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

#[test]
fn the_copy_of_the_advisories_is_the_one_that_its_source_names() {
    let folder = root().join(".ci/advisory-db");
    let source = std::fs::read_to_string(folder.join("SOURCE")).unwrap();
    let copy = std::fs::read(folder.join("advisory-db.tar.gz")).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&copy)), value(&source, "sha256"));
    let [committed, fetched] =
        ["committed", "fetched"].map(|key| value(&source, key).parse::<NaiveDate>().unwrap());
    assert!(committed <= fetched);
}

#[test]
fn the_copy_is_too_old_after_sixty_days() {
    let script = root().join(".ci/advisories");
    let source = std::fs::read_to_string(root().join(".ci/advisory-db/SOURCE")).unwrap();
    let fetched: NaiveDate = value(&source, "fetched").parse().unwrap();
    for (days, is_fine) in [(0, true), (60, true), (61, false)] {
        let day = (fetched + Days::new(days)).to_string();
        let output = advisories(&script, &["age", &day]);
        assert_eq!(output.status.success(), is_fine, "{days}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains(".ci/advisories refresh"), !is_fine, "{said}");
    }
}

#[test]
fn unmaintained_crates_count_wherever_they_come_from() {
    let deny: toml::Table =
        std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let advisories = deny["advisories"].as_table().unwrap();
    assert_eq!(advisories["unmaintained"].as_str(), Some("all"));
    assert_eq!(advisories["maximum-db-staleness"].as_str(), Some("P60D"));
}

/// On a database of its own, so that nothing is fetched.
#[test]
fn a_refresh_makes_a_copy_of_what_it_fetched_and_says_what_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let (database, tree) = (folder.path().join("database"), folder.path().join("tree"));
    for path in [
        "crates/left-pad/RUSTSEC-2026-0001.md",
        "LICENSES/CC0-1.0.txt",
        "LICENSE.txt",
        "support.toml",
    ] {
        let path = database.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "text").unwrap();
    }
    git(&database, &["init", "-q"]);
    git(&database, &["add", "-A"]);
    git(
        &database,
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@a",
            "-c",
            "commit.gpgsign=false",
            "commit",
            "-qm",
            "a",
        ],
    );
    let script: PathBuf = tree.join(".ci/advisories");
    std::fs::create_dir_all(tree.join(".ci/advisory-db")).unwrap();
    std::fs::copy(root().join(".ci/advisories"), &script).unwrap();
    let output = advisories(&script, &["refresh", &format!("file://{}", database.display())]);
    assert!(output.status.success(), "{output:?}");
    let source = std::fs::read_to_string(tree.join(".ci/advisory-db/SOURCE")).unwrap();
    assert_eq!(value(&source, "commit"), git(&database, &["rev-parse", "HEAD"]));
    let copy = std::fs::read(tree.join(".ci/advisory-db/advisory-db.tar.gz")).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&copy)), value(&source, "sha256"));
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

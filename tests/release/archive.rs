//! What is packed.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::dist::{Dist, run};

/// Each file but the list itself is in it, with its digest.
pub fn has_sums(dist: &Dist) {
    let sums = std::fs::read_to_string(dist.0.join("SHA256SUMS")).unwrap();
    let mut listed = 0;
    for file in dist.files() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "SHA256SUMS" {
            let sum = hex::encode(Sha256::digest(std::fs::read(&file).unwrap()));
            assert!(sums.lines().any(|line| line == format!("{sum}  {name}")), "{name}: {sum}");
            listed += 1;
        }
    }
    assert_eq!(listed, sums.lines().count(), "{sums}");
}

/// One folder, with the program, its manual, its completions, the licences and the examples; it runs.
pub fn is_whole(dist: &Dist) {
    let archive = dist.file(".tar.gz");
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["tar", "xzf", archive.to_str().unwrap()]);
    let name = archive.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap();
    let root = folder.path().join(name);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for file in [
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "THIRD-PARTY-LICENSES.txt",
        "man/man1/gitea-triage.1",
        "man/man1/gitea-triage-hook-install.1",
        "man/man5/gitea-triage.toml.5",
        "completions/gitea-triage",
        "completions/_gitea-triage",
        "completions/gitea-triage.fish",
        "deploy/install.md",
        "deploy/gitea-triage.toml",
        "deploy/systemd/gitea-triage.service",
        "deploy/nginx/gitea-triage.conf",
    ] {
        assert!(root.join(file).metadata().is_ok_and(|file| file.len() > 200), "{file}");
    }
    let program = root.join("gitea-triage");
    let said = run(&root, &[program.to_str().unwrap(), "--version"]);
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    let notices = std::fs::read_to_string(root.join("THIRD-PARTY-LICENSES.txt")).unwrap();
    assert!(notices.contains("rusqlite") && notices.contains("MIT License"));
}

/// The crates that it names are those of the lock file, with their digests.
pub fn has_its_bill(dist: &Dist) {
    let bill = std::fs::read(dist.file(".cdx.json")).unwrap();
    let bill: Value = serde_json::from_slice(&bill).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "gitea-triage");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(lock).unwrap().parse().unwrap();
    let locked = lock["package"].as_array().unwrap();
    let components = bill["components"].as_array().unwrap();
    for component in components {
        let same = |package: &&toml::Value| {
            package["name"].as_str() == component["name"].as_str()
                && package["version"].as_str() == component["version"].as_str()
        };
        let package = locked.iter().find(same);
        let digest = package.and_then(|package| package["checksum"].as_str());
        assert_eq!(digest, component["hashes"][0]["content"].as_str(), "{component}");
    }
    let scope = |name: &str| {
        let found = components.iter().find(|component| component["name"] == name);
        found.and_then(|component| component["scope"].as_str())
    };
    // Linked, run to build, and only for tests.
    assert_eq!(
        [scope("rusqlite"), scope("cc"), scope("insta")],
        [Some("required"), Some("excluded"), None]
    );
}

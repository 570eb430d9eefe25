//! The Debian package: what lintian says of it, and how it comes and goes. A layer over the root of this machine takes
//! every change, so that all of them are seen and none of them stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dist::{Dist, run};

/// What dpkg and its triggers keep for themselves, and what the story itself puts there.
const NOT_OURS: [&str; 10] = [
    "etc/ld.so.cache",
    "tmp/",
    "usr/bin/systemctl",
    "usr/sbin/policy-rc.d",
    "var/cache/",
    "var/lib/dpkg/",
    "var/lib/private",
    "var/lib/systemd/deb-systemd-helper-",
    "var/log/",
    "root/",
];

/// No error; a warning is a line in the output.
pub fn is_clean(dist: &Dist) {
    let package = dist.file(".deb");
    let package = package.to_str().unwrap();
    let words = ["lintian", "--allow-root", "--fail-on", "error", package];
    println!("{}", run(&dist.0, &words));
}

/// Installed, configured, upgraded, removed, purged.
pub fn comes_and_goes(dist: &Dist) {
    let folder = tempfile::tempdir().unwrap();
    let old = dist.file(".deb");
    let new = newer(&old, folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/release/package.sh");
    let layer = folder.path().join("layer");
    std::fs::create_dir(&layer).unwrap();
    let paths = [&script, &layer, &old, &new].map(|path| path.to_str().unwrap().to_owned());
    let mut words = vec!["unshare", "--mount", "--propagation", "private", "sh"];
    words.extend(paths.iter().map(String::as_str));
    let said = run(folder.path(), &words);
    println!("{said}");
    let phases = phases(&said);
    let units = "gitea-triage.service gitea-triage-runner.service";
    let installed = &phases["install"];
    for file in [
        "etc/gitea-triage/gitea-triage.toml",
        "usr/bin/gitea-triage",
        "usr/lib/systemd/system/gitea-triage.service",
        "usr/share/man/man5/gitea-triage.toml.5.gz",
    ] {
        assert!(installed.files.contains(&file), "{file}: {:?}", installed.files);
    }
    // It waits for its configuration.
    assert_eq!(installed.calls, ["--system daemon-reload"]);
    let is_said = |line: &&str| phases["configure"].said.iter().any(|said| said.starts_with(line));
    let wanted = [
        // The service may read the configuration, and only root the secrets.
        "mode: 644 /etc/gitea-triage/gitea-triage.toml",
        "mode: 600 /etc/gitea-triage/gitea-token",
        "mode: 600 /etc/gitea-triage/webhook-secret",
        "said:   1. systemctl enable --now gitea-triage",
        // It has what was written, and root's commands have its store.
        "shown: repos = [\"acme/widgets\"]",
        "shown: url = \"sqlite:/var/lib/gitea-triage/gitea-triage.db\"",
    ];
    for line in wanted {
        assert!(is_said(&line), "`{line}` was not said");
    }
    let restarted = ["--system daemon-reload".to_owned(), format!("try-restart {units}")];
    assert_eq!(phases["upgrade"].calls, restarted);
    let kept = |phase: &str, file: &str| phases[phase].files.contains(&file);
    assert!(kept("upgrade", "etc/gitea-triage/gitea-token"));
    assert_eq!(phases["remove"].calls[0], format!("stop {units}"));
    // The program is gone; what somebody made stays until a purge.
    for (file, is_kept) in [
        ("usr/bin/gitea-triage", false),
        ("etc/gitea-triage/gitea-token", true),
        ("var/lib/private/gitea-triage/gitea-triage.db", true),
    ] {
        assert_eq!(kept("remove", file), is_kept, "{file}");
    }
    let left = &phases["purge"].files;
    let ours = left.iter().filter(|file| !NOT_OURS.iter().any(|one| file.starts_with(one)));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(!left.iter().any(|file| file.contains("gitea-triage")), "{left:?}");
}

/// What was called, what is there and what was printed after a phase.
#[derive(Debug, Default)]
struct Phase<'a> {
    said: Vec<&'a str>,
    calls: Vec<&'a str>,
    files: Vec<&'a str>,
}

fn phases(said: &str) -> BTreeMap<&str, Phase<'_>> {
    let (mut phases, mut name) = (BTreeMap::<_, Phase<'_>>::new(), "");
    for line in said.lines() {
        if let Some(next) = line.strip_prefix("== ") {
            name = next;
        } else if let Some(call) = line.strip_prefix("systemctl ") {
            phases.entry(name).or_default().calls.push(call);
        } else if let Some(file) = line.strip_prefix("there: ./") {
            phases.entry(name).or_default().files.push(file);
        } else {
            phases.entry(name).or_default().said.push(line);
        }
    }
    phases
}

/// The same package with a later version.
fn newer(package: &Path, folder: &Path) -> PathBuf {
    let (tree, new) = (folder.join("tree"), folder.join("newer.deb"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    run(folder, &["dpkg-deb", "-R", &text(package), &text(&tree)]);
    let control = tree.join("DEBIAN/control");
    let old = std::fs::read_to_string(&control).unwrap();
    let version = old.lines().find(|line| line.starts_with("Version: ")).unwrap();
    std::fs::write(&control, old.replace(version, "Version: 999.0.0-1")).unwrap();
    run(folder, &["dpkg-deb", "--root-owner-group", "-Znone", "-b", &text(&tree), &text(&new)]);
    new
}

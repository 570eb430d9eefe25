//! The folder with the files of a release.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why nothing was tried.
pub const NEEDS_DIST: &str =
    "set GITEA_TRIAGE_DIST to the folder that `cargo xtask dist` filled to run this";

/// The folder.
pub struct Dist(pub PathBuf);

impl Dist {
    /// The one that the environment names.
    pub fn named() -> Option<Self> {
        let named = std::env::var_os("GITEA_TRIAGE_DIST").filter(|folder| !folder.is_empty())?;
        Some(Self(std::path::absolute(named).unwrap()))
    }

    /// Its files.
    #[allow(dead_code, reason = "each test uses its part")]
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        entries.collect()
    }

    /// The file for this machine whose name ends so.
    #[track_caller]
    pub fn file(&self, ending: &str) -> PathBuf {
        let names = [ARCH, if ARCH == "aarch64" { "arm64" } else { "amd64" }];
        let mut files = self.files();
        files.sort();
        let is_it = |file: &PathBuf| {
            let name = file.file_name().unwrap().to_str().unwrap();
            name.ends_with(ending) && names.iter().any(|one| name.contains(one))
        };
        files.into_iter().rfind(is_it).unwrap_or_else(|| panic!("no `{ending}` in {:?}", self.0))
    }
}

/// Whether a shell command ends well.
pub fn works(command: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// Runs a program in a folder; what it printed. A failure is the test's.
#[allow(dead_code, reason = "each test uses its part")]
#[track_caller]
pub fn run(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}{complaint}");
    said
}

//! The manual pages, read by a real formatter.

use std::path::{Path, PathBuf};
use std::process::Command;

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    assert!(
        command.env_clear().arg("man").arg(folder.join("man1")).output().unwrap().status.success()
    );
    let below =
        |name| std::fs::read_dir(folder.join(name)).unwrap().map(|file| file.unwrap().path());
    below("man1").chain(below("man5")).collect()
}

/// Not even a remark about style.
pub fn is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages(folder.path());
    assert!(pages.len() >= 40, "{pages:?}");
    let lint = Command::new("mandoc").args(["-Tlint", "-Wall"]).args(&pages).output().unwrap();
    let said = String::from_utf8_lossy(&lint.stdout).into_owned();
    assert!(lint.status.success() && said.is_empty(), "{said}");
}

/// What people look for in a manual page.
pub fn has_its_sections() {
    let folder = tempfile::tempdir().unwrap();
    // A formatter prints bold as a letter over itself.
    let doubled = regex::Regex::new(".\u{8}").unwrap();
    for page in pages(folder.path()) {
        let shown =
            Command::new("mandoc").args(["-Tutf8", "-Owidth=80"]).arg(&page).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let text = doubled.replace_all(&shown, "").into_owned();
        let is_file = page.ends_with("man5/gitea-triage.toml.5");
        let wanted: &[&str] = match is_file {
            true => &["\nKEYS\n", "\nFILES\n", "[gitea]\n", "public_url"],
            false => &[
                "\nNAME\n",
                "\nSYNOPSIS\n",
                "\nFILES\n",
                "\nENVIRONMENT\n",
                "\nEXIT STATUS\n",
                "GITEA_TRIAGE_LOG",
                "\nSEE ALSO\n",
            ],
        };
        for part in wanted {
            assert!(text.contains(part), "`{part}` is not in {}:\n{text}", page.display());
        }
    }
}

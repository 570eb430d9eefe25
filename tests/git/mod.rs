//! Repositories on this disk, as somebody works with them who is no runner: with git itself, and nothing of the
//! configuration of this machine.

use std::path::Path;
use std::process::Command;

/// Lets git do something in a folder, which has to succeed; what it says.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    let somebody = ["-c", "user.name=somebody", "-c", "user.email=s@example.com"];
    command.current_dir(folder).args(somebody).args(arguments);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let done = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {complaint}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Makes a bare repository with these files on its main branch.
pub fn make_bare(bare: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(bare).unwrap();
    git(bare, &["init", "--quiet", "--bare", "--initial-branch=main", "."]);
    push(bare, "main", files);
}

/// Pushes a commit with these files to a branch, which may be new; the commit.
pub fn push(bare: &Path, branch: &str, files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    git(work, &["clone", "--quiet", &bare.display().to_string(), "."]);
    let there = format!("refs/remotes/origin/{branch}");
    match git(work, &["for-each-ref", "--format=%(refname)", &there]).is_empty() {
        true => git(work, &["checkout", "--quiet", "-B", branch]),
        false => git(work, &["checkout", "--quiet", "-B", branch, &there]),
    };
    for (name, text) in files {
        let file = work.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    git(work, &["add", "."]);
    git(work, &["commit", "--quiet", "-m", "By somebody"]);
    git(work, &["push", "--quiet", "origin", branch]);
    git(work, &["rev-parse", "HEAD"])
}

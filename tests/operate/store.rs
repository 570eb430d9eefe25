//! `store`: a backup of a running service is complete, and after a restore the service continues from it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use gitea_triage::store::{Filter, OpenMode, Store};

use crate::stage::{Stage, repo};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_store_is_complete_and_can_be_restored() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    let at = stage.issue();
    stage.run(&["hook", "install"]).ended(0);
    stage.run(&["hook", "test"]).ended(0);
    let copied = stage.run(&["store", "backup", "copy.db", "--json"]).ended(0).json();
    assert_eq!(copied[0]["deliveries"], 1);
    stage.gitea.comment(&at, "alice", "after the copy");
    stage.gitea.delivered().await;
    let running = stage.run(&["store", "restore", "copy.db"]).ended(1);
    assert!(running.err.contains("in use by another `gitea-triage serve`"), "{running:?}");
    stage.halt().await;
    let path = stage.folder.path().join("triage.db");
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    // Who may not give files away restores only what is theirs already.
    let is_given = chown(&path, Some(10_484), Some(10_484)).is_ok();
    stage.run(&["store", "restore", "copy.db"]).ended(0);
    for name in ["triage.db", "triage.db.lock"] {
        let restored = stage.folder.path().join(name).metadata().unwrap();
        assert_eq!(restored.mode() & 0o777, 0o640, "{name}");
        assert!(!is_given || restored.uid() == 10_484, "{name} belongs to {}", restored.uid());
    }
    let count = async |name: &str| {
        let store = Store::open(&stage.folder.path().join(name), 1, OpenMode::Shared).unwrap();
        store.deliveries(Filter { state: None, limit: 100 }).await.unwrap().len()
    };
    assert_eq!(count("triage.db").await, 1);
    assert!(count("triage.db.before-restore").await > 1, "what was there is kept");
    assert!(path.exists());
    // The service goes on with it, and the sweep finds what the copy did not know.
    let found = stage.run(&["sweep", "--once", "--full", "--json"]).ended(0).json();
    assert!(found.iter().any(|l| l["issue"] == format!("{}#{}", repo(), at.number)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_is_not_restored_and_a_backup_is_not_overwritten() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.halt().await;
    let file = |name: &str| stage.folder.path().join(name);
    std::fs::write(file("broken.db"), b"SQLite format 3\0 and nothing of it").unwrap();
    std::fs::write(file("empty.db"), b"").unwrap();
    for name in ["broken.db", "empty.db", "missing.db"] {
        let refused = stage.run(&["store", "restore", name]).ended(1);
        assert!(refused.err.contains(name), "{refused:?}");
    }
    assert!(!file("triage.db.before-restore").exists(), "what is there was not touched");
    stage.run(&["store", "backup", "copy.db"]).ended(0);
    let there = stage.run(&["store", "backup", "copy.db"]).ended(2);
    assert!(there.err.contains("exists already"), "{there:?}");
    stage.run(&["store", "backup", "copy.db", "--force"]).ended(0);
    // Cut off in the middle, as a full disk leaves it.
    let whole = std::fs::read(file("copy.db")).unwrap();
    std::fs::write(file("cut.db"), &whole[..whole.len() / 2]).unwrap();
    stage.run(&["store", "restore", "cut.db"]).ended(1);
    assert!(!file("triage.db.before-restore").exists(), "what is there was not touched");
}

#[test]
fn completions_and_manual_pages_cover_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let program = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
        command.env_clear().current_dir(folder.path());
        command
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("hook"), "{shell}");
    }
    assert!(program().args(["man", "pages/man1"]).output().unwrap().status.success());
    for page in ["gitea-triage.1", "gitea-triage-check.1", "gitea-triage-hook-rotate.1"] {
        let text = std::fs::read_to_string(folder.path().join("pages/man1").join(page)).unwrap();
        assert!(text.starts_with(".ie") || text.contains(".TH "), "{page}: {text}");
    }
}

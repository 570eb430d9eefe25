//! `demo`: everything in one command, with nothing left behind.

use std::process::Command;

use serde_json::Value;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.env_clear();
    command
}

#[test]
fn it_shows_every_recorded_delivery_and_leaves_nothing_behind() {
    let lines = shown(&[]);
    assert_eq!(lines.len(), 62);
    let bug = &lines[1];
    assert_eq!(bug["verdict"]["decision"]["agent"], "claude");
    assert_eq!(bug["effects"][0]["value"], "dispatch:claude");
}

#[test]
fn it_shows_what_a_forgejo_sends_as_well() {
    let lines = shown(&["--forgejo"]);
    assert_eq!(lines.len(), 47);
    assert_eq!(lines[1]["issue"], "harbor/lantern#1");
    assert_eq!(lines[1]["effects"][0]["value"], "dispatch:claude");
}

fn shown(more: &[&str]) -> Vec<Value> {
    // From a folder that knows nothing of the source, with a place of its own for what is temporary.
    let (here, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut demo = program();
    demo.current_dir(here.path()).env("TMPDIR", temporary.path());
    let output = demo.args(["demo", "--exit", "--json"]).args(more).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    let lines: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    // Claude has that one: the next ready issue waits, as on a real server.
    assert!(lines.iter().any(|l| l["verdict"]["decision"]["action"] == "wait"), "{lines:#?}");
    assert!(lines.iter().any(|l| l["status"] == "rejected"));
    assert!(lines.iter().all(|l| l["status"] != "dead"), "{lines:#?}");
    for folder in [here, temporary] {
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    lines
}

//! Told to read its configuration again: what changed counts from then on, and a bad file changes nothing.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::program::{PATIENCE, Program, SECRET, Stage, delivery_with, until};

/// Whether a delivery with this secret is taken.
async fn is_taken(program: &Program, secret: &str) -> bool {
    let http = reqwest::Client::new();
    let answer = delivery_with(&http, &program.url("/webhook"), secret, b"{}".to_vec());
    answer.send().await.unwrap().status() == 202
}

/// In a folder with the file that is found without being named, as the README starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_found_is_found_again_and_a_bad_one_changes_nothing() {
    let stage = Stage::new().await;
    stage.command();
    let found = stage.path("gitea-triage.toml");
    std::fs::rename(stage.path("config.toml"), &found).unwrap();
    let text = std::fs::read_to_string(&found).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.current_dir(stage.folder.path()).arg("serve");
    // Some environments hold what is no text.
    command.env("NO_TEXT", std::ffi::OsStr::from_bytes(b"\xff"));
    let mut program = Program::start(command);
    assert!(is_taken(&program, SECRET).await);
    assert!(!is_taken(&program, "the-next-one").await);

    let old = format!("secrets = [\"{SECRET}\"]");
    std::fs::write(&found, text.replace(&old, "secrets = [\"the-next-one\"]")).unwrap();
    program.signal("HUP");
    until("the new secret", PATIENCE, async || is_taken(&program, "the-next-one").await).await;
    assert!(!is_taken(&program, SECRET).await);

    std::fs::write(&found, text.replace(&old, "secrets = []")).unwrap();
    program.signal("HUP");
    // Answered after the signal was; signals of a kind can become one.
    let complains = |line: &String| line.contains("the last valid one stays");
    until("the complaint", PATIENCE, async || program.log().iter().any(complains)).await;
    assert!(is_taken(&program, "the-next-one").await);
    std::fs::write(&found, text.replace(&old, "secrets = [\"the-last-one\"]")).unwrap();
    program.signal("HUP");
    until("the last secret", PATIENCE, async || is_taken(&program, "the-last-one").await).await;
    assert!(program.ended().is_none());
}

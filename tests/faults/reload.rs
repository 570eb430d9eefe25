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

/// Reads the file again and gives what the program says about it.
async fn reloaded(program: &Program, file: &std::path::Path, text: &str) -> Vec<String> {
    std::fs::write(file, text).unwrap();
    let before = program.log().len();
    program.signal("HUP");
    let said = |line: &String| line.contains("the configuration was");
    until("the reload", PATIENCE, async || program.log()[before..].iter().any(said)).await;
    program.log().split_off(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_token_and_a_dry_run_count_from_the_reload_on() {
    let stage = Stage::new().await;
    let program = stage.start();
    let file = stage.path("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let first = stage.open(1);
    stage.processed().await;
    stage.assert_with_claude(&first);

    // Nothing is written any more.
    let dry = format!("{text}[triage]\ndry_run = true\n");
    let log = reloaded(&program, &file, &dry).await;
    assert!(log.iter().any(|line| line.contains("changed: `triage.dry_run`")), "{log:?}");
    stage.gitea.clear_requests();
    let withheld = stage.open(2);
    stage.processed().await;
    assert_eq!(stage.gitea.writes(), []);
    assert!(stage.gitea.issue(&withheld).unwrap().labels.is_empty());

    // The old token is void; the new one is asked with.
    let old = stage.gitea.token().to_owned();
    let new = stage.gitea.token_with_scopes(
        &stage.gitea.bot().login,
        &["write:issue", "read:repository", "read:user"],
    );
    stage.gitea.revoke_token(&old);
    let log = reloaded(&program, &file, &text.replace(&old, &new)).await;
    let said = |line: &String| line.contains("`gitea.token`") && line.contains("`triage.dry_run`");
    assert!(log.iter().any(said), "{log:?}");
    assert!(!log.iter().any(|line| line.contains(&new)), "{log:?}");
    let third = stage.open(3);
    stage.processed().await;
    let labels = stage.gitea.issue(&third).unwrap().labels;
    assert_eq!(labels, ["claude-ready"], "{:?}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_named_and_the_rest_counts_at_once() {
    let stage = Stage::new().await;
    let program = stage.start();
    let file = stage.path("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text
        .replace("[worker]\n", "[worker]\nconcurrency = 2\n")
        .replace("127.0.0.1:0", "127.0.0.1:1")
        .replace(SECRET, "the-next-one");
    let log = reloaded(&program, &file, &changed).await;
    until("the names", PATIENCE, async || {
        program
            .log()
            .iter()
            .any(|line| line.contains("needs a restart: `server.listen`, `worker.concurrency`"))
    })
    .await;
    assert!(log.iter().any(|line| line.contains("changed: `webhook.secrets`")), "{log:?}");
    assert!(is_taken(&program, "the-next-one").await);
    let log = reloaded(&program, &file, &text).await;
    assert!(!log.iter().any(|line| line.contains("needs a restart")), "{log:?}");
}

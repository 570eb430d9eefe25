//! Crashes and database errors exactly at the boundaries of the walk. The real program ends at each of them, is
//! started again over its store, and leaves one comment, one label and one assignee.
//!
//! Needs the feature `failpoints`: `cargo test --features failpoints --test failpoints`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "faults/program.rs"]
mod program;

use program::{PATIENCE, Stage, delivery, until};

/// Every boundary, and how often it has to be passed before the program ends there.
const BOUNDARIES: &[(&str, u32)] = &[
    ("accept::inserted", 0),
    ("accept::stored", 0),
    ("sort::read", 0),
    ("sort::placed", 0),
    ("sort::done", 0),
    ("claim::marked", 0),
    ("claim::taken", 0),
    ("walk::concluded", 0),
    ("intend::inserted", 0),
    ("walk::intended", 0),
    // Comment, label, assignee.
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::label_made", 0),
    ("apply::after", 1),
    ("apply::before", 2),
    ("apply::after", 2),
    ("walk::applied", 0),
    ("settle::noted", 0),
    ("walk::settled", 0),
];

/// Lets the program end at a boundary, and gives what it left to a whole one.
async fn ends_once_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::new().await;
    let place = format!("{boundary}={passed}*off->return");
    let mut program = stage.start_with(|c| drop(c.env("FAILPOINTS", &place)));
    let issue = stage.open(1);
    until(&format!("the crash at {place}"), PATIENCE, async || program.ended().is_some()).await;
    drop(program);
    stage.check_database();
    let program = stage.start();
    stage.gitea.delivered().await;
    // Gitea never retries, so what was not answered is sent again by a person.
    let unanswered = stage.gitea.deliveries().into_iter().filter(|d| d.status.is_none());
    let unanswered: Vec<_> = unanswered.collect();
    assert!(!boundary.starts_with("accept") || !unanswered.is_empty(), "{place}");
    let http = reqwest::Client::new();
    for lost in unanswered {
        let again = delivery(&http, &program.url("/webhook"), lost.body.to_vec());
        assert_eq!(again.send().await.unwrap().status(), 202);
    }
    stage.worked_off().await;
    stage.assert_with_claude(&issue);
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), 1, "dispatches after {place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    drop(program);
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_boundary_leaves_one_comment_one_label_and_one_assignee() {
    for (boundary, passed) in BOUNDARIES {
        println!("{boundary} after {passed}");
        ends_once_after_a_crash_at(boundary, *passed).await;
    }
}

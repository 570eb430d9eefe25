//! A crash at each boundary of posting the daily summary: there is one on the forge, and the same one is adopted.

use std::process::Output;

use crate::program::Stage;

/// From the turn that is taken on the disk to the summary that is known there.
const BOUNDARIES: [&str; 4] =
    ["summary::claimed", "summary::before", "summary::after", "summary::noted"];

/// Of a fixed day, since midnight may pass between two commands.
fn post(stage: &Stage, place: &str) -> Output {
    let mut command = stage.command();
    let of_a_day = ["summary", "--post", "--json", "--date", "2026-03-23"];
    command.env("FAILPOINTS", place).args(of_a_day).output().unwrap()
}

/// The issues that are there, and where the ledger says that the summary is.
fn posted(stage: &Stage) -> (Vec<u64>, i64) {
    let issues = stage.gitea.issues(&stage.repo);
    let known = stage.count("SELECT coalesce(max(number), 0) FROM summary WHERE state = 'posted'");
    (issues.into_iter().map(|(at, _)| at.number).collect(), known)
}

async fn is_posted_once_after_a_crash_at(place: &str) {
    let stage = Stage::new().await;
    // The store is made by the service.
    drop(stage.start());
    let crashed = post(&stage, &format!("{place}=return"));
    assert_eq!(crashed.status.code(), None, "{place}: {crashed:?}");
    let before = posted(&stage).0;
    assert_eq!(
        before.len(),
        usize::from(!["summary::claimed", "summary::before"].contains(&place))
    );
    if place != "summary::noted" {
        let early = post(&stage, "");
        assert_eq!(early.status.code(), Some(1), "{place}: the turn is still taken: {early:?}");
        // As if the time had passed in which the request may still be on its way.
        stage.one("UPDATE summary SET again_at = 0");
    }
    for _ in 0..2 {
        let again = post(&stage, "");
        assert_eq!(again.status.code(), Some(0), "{place}: {again:?}");
        assert_eq!(posted(&stage), (vec![1], 1), "{place}");
    }
    assert!(before.is_empty() || before == [1], "{place}: the same one");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_a_summary_is_posted_leaves_one() {
    for place in BOUNDARIES {
        println!("{place}");
        is_posted_once_after_a_crash_at(place).await;
    }
}

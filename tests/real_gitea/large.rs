//! Large issues that name another one: the forge shows all of them in its timeline, and nothing is switched off by that.

use std::time::Duration;

use serde_json::{Value, json};

use crate::forge::{REPO, Which};
use crate::wait::until;
use crate::world::{World, names};

/// About what a forge takes by default.
const LARGE: usize = 18 * 1024 * 1024;
/// How long an unoptimised build may take over all of it.
const SOON: Duration = Duration::from_secs(90);

/// Plays it; a panic says what did not come about.
pub async fn play(which: Which) {
    let world = World::start(which, "").await;
    let bug = json!({"title": "[bug] Login crashes", "body": "`login()` in src/auth/login.py should return 400, verify it.\n\npytest passes"});
    let (number, _) = world.open_and_watch(bug, ("claude-ready", Some("claude"))).await;
    let large = [open_large(&world, number).await, open_large(&world, number).await];
    let alice = world.forge.person("alice");
    let timeline = format!("{REPO}/issues/{number}/timeline");
    let shown = alice.get(&timeline).await;
    let refer = shown.as_array().unwrap().iter().filter(|one| one["type"] == "issue_ref");
    let length = |one: &Value| one["ref_issue"]["body"].as_str().unwrap().len();
    assert_eq!(refer.map(length).filter(|length| *length > LARGE / 2).count(), large.len());

    let comments = format!("{REPO}/issues/{number}/comments");
    let hold = alice.post(&comments, json!({"body": "/triage hold"})).await["id"].clone();
    let reactions = format!("{REPO}/issues/comments/{hold}/reactions");
    until(SOON, async || {
        let given = names(&alice.get(&reactions).await, "content");
        if given == ["+1"] { Ok(()) } else { Err(format!("{given:?}: {}", world.triage.log())) }
    })
    .await;

    let swept = world.triage.run(&["sweep", "--once", "--full", "--json"]);
    let report: Value = serde_json::from_str(swept.lines().last().unwrap()).unwrap();
    assert_eq!((&report["failed"], &report["unread"]), (&json!([]), &json!([])), "{swept}");
    until(SOON, async || {
        let inbox = world.triage.inbox();
        let is_seen = |n: &u64| inbox.iter().any(|d| d.is_about(*n) && d.state == "done");
        if large.iter().all(is_seen) { Ok(()) } else { Err(format!("{inbox:?}")) }
    })
    .await;
    let dead: Vec<_> = world.triage.inbox().into_iter().filter(|d| d.state == "dead").collect();
    assert!(dead.is_empty(), "{dead:?}");
}

async fn open_large(world: &World, names: u64) -> u64 {
    let body = format!("See #{names}.\n\n{}", "x".repeat(LARGE));
    world.open("bob", json!({"title": "Everything that I know", "body": body})).await
}

//! A maintainer's day, on a real Gitea and on the fake: people assign themselves in the same second, an outsider floods
//! an issue with commands, orders are given while the service is down, and its token is revoked and replaced.

use std::time::Duration;

use serde_json::{Value, json};

use crate::forge::{BOT, Forge, REPO, Which};
use crate::wait::until;
use crate::world::{World, names};

const MANY: &str = "[[agent]]\nid = \"claude\"\nmax_concurrent = 100\n";
const SOON: Duration = Duration::from_secs(20);
/// What the token needs; one more than the first has, so that it has another name.
const SCOPES: [&str; 5] =
    ["write:issue", "read:repository", "read:user", "read:organization", "read:misc"];

fn bug(title: &str) -> Value {
    let body = "## Problem\nThe handler `login()` in src/auth/login.py should return 400, verify it.\n\npytest passes";
    json!({"title": title, "body": body})
}

/// Plays the day; a panic says what did not come about.
pub async fn play(which: Which) {
    let mut world = World::start(which, MANY).await;
    for moment in 0..6 {
        somebody_assigns_themselves(&world, Duration::from_millis(15 * moment)).await;
    }
    an_outsider_floods_an_issue(&world).await;
    orders_are_given_while_the_service_is_down(&mut world).await;
    the_token_is_revoked_and_replaced(&mut world).await;
}

/// So long after our comment can be seen.
async fn somebody_assigns_themselves(world: &World, after: Duration) {
    let number = world.open("bob", bug("[bug] Login crashes")).await;
    let alice = world.forge.person("alice");
    let issue = format!("{REPO}/issues/{number}");
    until(SOON, async || {
        let comments = alice.get(&format!("{issue}/comments")).await;
        if comments[0].is_object() { Ok(()) } else { Err("no comment of ours".to_owned()) }
    })
    .await;
    tokio::time::sleep(after).await;
    let mut assignees = names(&alice.get(&issue).await["assignees"], "login");
    assignees.push("alice".to_owned());
    alice.patch(&issue, json!({"assignees": assignees})).await;
    world.rest().await;
    let assignees = names(&alice.get(&issue).await["assignees"], "login");
    assert!(assignees.contains(&"alice".to_owned()), "{after:?}: {assignees:?}");
}

async fn an_outsider_floods_an_issue(world: &World) {
    let number = world.open("bob", bug("[bug] Logout crashes")).await;
    world.rest().await;
    for _ in 0..12 {
        say(&world.forge, "bob", number, "/triage hold").await;
    }
    let order = say(&world.forge, "alice", number, "/triage hold").await;
    is_answered(&world.forge, order, "+1").await;
    world.rest().await;
    let comments =
        world.forge.person("alice").get(&format!("{REPO}/issues/{number}/comments")).await;
    let ours = comments.as_array().unwrap().iter().filter(|one| one["user"]["login"] == BOT);
    let refusals = ours.filter(|one| one["body"].as_str().unwrap().contains("was not carried out"));
    assert!(refusals.count() <= 2, "{comments}");
}

async fn orders_are_given_while_the_service_is_down(world: &mut World) {
    let number = world.open("bob", bug("[bug] Signup crashes")).await;
    world.rest().await;
    world.triage.halt().await;
    let hold = say(&world.forge, "alice", number, "/triage hold").await;
    let edited = say(&world.forge, "alice", number, "what about this?").await;
    let comment = format!("{REPO}/issues/comments/{edited}");
    world.forge.person("alice").patch(&comment, json!({"body": "/triage explain"})).await;
    world.triage.go_on(&world.forge, &[("at_start = false", "at_start = true")]).await;
    is_answered(&world.forge, hold, "+1").await;
    is_answered(&world.forge, edited, "+1").await;
}

async fn the_token_is_revoked_and_replaced(world: &mut World) {
    let old = world.forge.token(BOT);
    let new = world.forge.token_with_scopes(BOT, &SCOPES).await;
    world.forge.revoke(BOT, &old).await;
    world.open("bob", bug("[bug] Search crashes")).await;
    until(SOON, async || {
        let is_refused = world.triage.log().contains("401");
        if is_refused { Ok(()) } else { Err("the old token still works".to_owned()) }
    })
    .await;
    world.triage.write("token", &new);
    world.triage.hang_up();
    let later = world.open("bob", bug("[bug] Export crashes")).await;
    until(SOON, async || {
        let issue = world.forge.person("alice").get(&format!("{REPO}/issues/{later}")).await;
        let is_done = names(&issue["labels"], "name") == ["claude-ready"];
        if is_done { Ok(()) } else { Err(format!("{issue}\n{}", world.triage.log())) }
    })
    .await;
}

/// Comments; gives the comment's id.
async fn say(forge: &Forge, by: &str, number: u64, text: &str) -> i64 {
    let path = format!("{REPO}/issues/{number}/comments");
    forge.person(by).post(&path, json!({"body": text})).await["id"].as_i64().unwrap()
}

async fn is_answered(forge: &Forge, comment: i64, content: &str) {
    let path = format!("{REPO}/issues/comments/{comment}/reactions");
    until(SOON, async || {
        let reactions = forge.person("alice").get(&path).await;
        let all = reactions.as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = all.iter().filter(|one| one["user"]["login"] == BOT);
        let given: Vec<_> = ours.map(|one| one["content"].as_str().unwrap_or_default()).collect();
        if given == [content] { Ok(()) } else { Err(format!("comment {comment} has {reactions}")) }
    })
    .await;
}

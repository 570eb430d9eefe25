//! One story, played on a real Gitea and on the fake: people open, label, comment, close and delete, and the program
//! does its part. What is kept of it is only data, so that nothing runs on after it.

use std::collections::BTreeSet;
use std::time::Instant;

use gitea_triage::worker::PACE;
use reqwest::Method;
use serde_json::{Value, json};

use crate::forge::{ADMIN, Asked, BOT, REPO, Which};
use crate::transcript::transcript;
use crate::triage::Delivery;
use crate::world::{Times, World, names, recorded};

/// Claude takes all there is, kimi one thing at a time.
const AGENTS: &str = "[[agent]]\nid = \"claude\"\nmax_concurrent = 20\n";
/// How many labels a burst puts on.
pub const BURST: u64 = 10;

/// What is kept of a story.
pub struct Story {
    pub transcript: String,
    /// Of a bug for claude, and of research for kimi.
    pub times: [Times; 2],
    /// The ready bug that saw further events, and how many writes there were before and after them.
    pub second_look: (u64, usize, usize),
    /// The issue that was labelled in a burst, and our comments on it.
    pub burst: (u64, usize),
    /// How often that issue was looked at until then, and how often it may have been.
    pub burst_evaluations: (usize, usize),
    pub inbox: Vec<Delivery>,
    pub asked: Vec<Asked>,
    /// The names of the repository's labels.
    pub labels: Vec<String>,
    /// The issue that was deleted.
    pub deleted: u64,
    pub complaints: Vec<String>,
    pub ended_well: bool,
}

impl Story {
    /// Our writes to one issue, in their order.
    pub fn writes_to(&self, number: u64) -> Vec<String> {
        let prefix = format!("{REPO}/issues/{number}");
        let here = self.asked.iter().filter(|r| r.method != "GET" && r.path.starts_with(&prefix));
        here.map(|r| format!("{}{}", r.method, &r.path[prefix.len()..])).collect()
    }
}

/// Plays the story from its first to its last line.
pub async fn play(which: Which) -> Story {
    let world = World::start(which, AGENTS).await;
    let areas = areas(&world).await;
    let claude = ("claude-ready", Some("claude"));
    let (bug, for_claude) =
        world.open_and_watch(recorded("02-issues-opened-bug.http"), claude).await;
    world.open("bob", recorded("04-issues-opened-research.http")).await;
    let philosophy = world.open("bob", recorded("05-issues-opened-philosophy.http")).await;
    world.open("bob", recorded("06-issues-opened-blocked.http")).await;
    world.rest().await;
    let research = recorded("62-issues-opened-research-ready.http");
    let (first, for_kimi) = world.open_and_watch(research.clone(), ("kimi-ready", None)).await;
    open_with_company(&world, &areas).await;
    world.rest().await;
    let (burst, comments, burst_evaluations) = label_in_a_burst(&world, &areas).await;
    let second_look = look_again(&world, bug).await;
    take_turns(&world, first, research).await;
    let last = change_hands(&world, burst).await;
    world.forge.person("alice").patch(&issue(bug), json!({"state": "closed"})).await;
    world.forge.person(ADMIN).delete(&issue(philosophy)).await;
    let inbox = world.rest().await;
    let labels = world.forge.person("alice").get(&format!("{REPO}/labels?limit=50")).await;
    Story {
        transcript: transcript(&world, &inbox, last).await,
        times: [for_claude, for_kimi],
        second_look,
        burst: (burst, comments),
        burst_evaluations,
        inbox,
        asked: world.forge.asked_by(BOT).await,
        labels: names(&labels, "name"),
        deleted: philosophy,
        complaints: world.triage.complaints(),
        ended_well: world.triage.stop().await.success(),
    }
}

fn issue(number: u64) -> String {
    format!("{REPO}/issues/{number}")
}

/// Labels without a meaning to the policy.
async fn areas(world: &World) -> Vec<Value> {
    let alice = world.forge.person("alice");
    let mut ids = Vec::new();
    for area in 0..BURST {
        let new = json!({"name": format!("area/{area}"), "color": "#00aabb"});
        ids.push(alice.post(&format!("{REPO}/labels"), new).await["id"].clone());
    }
    ids
}

/// An issue that is somebody's from its first moment makes several deliveries.
async fn open_with_company(world: &World, areas: &[Value]) {
    let mut issue = recorded("02-issues-opened-bug.http");
    issue["labels"] = json!(areas[..2]);
    issue["assignees"] = json!(["kimi", "alice"]);
    world.open("alice", issue).await;
}

/// Opens a ready bug and puts ten labels on it, one after the other; gives its number, how many comments it has then, and how
/// often it was looked at.
///
/// It may be looked at when it is opened and after the burst; once more after each quarter of a second in which nothing
/// came, and every two seconds: a slow machine makes several bursts of one.
async fn label_in_a_burst(world: &World, areas: &[Value]) -> (u64, usize, (usize, usize)) {
    let number = world.open("bob", recorded("02-issues-opened-bug.http")).await;
    let alice = world.forge.person("alice");
    let (began, mut most) = (Instant::now(), 2);
    for area in areas {
        let since = Instant::now();
        alice.post(&format!("{}/labels", issue(number)), json!({"labels": [area]})).await;
        most += usize::from(since.elapsed() >= PACE.quiet);
    }
    most += (began.elapsed().as_secs_f64() / PACE.longest.as_secs_f64()) as usize;
    let inbox = world.rest().await;
    let looks: BTreeSet<_> =
        inbox.iter().filter(|d| d.is_about(number)).filter_map(|d| d.evaluation).collect();
    let comments = alice.get(&format!("{}/comments", issue(number))).await;
    (number, comments.as_array().unwrap().len(), (looks.len(), most))
}

/// A comment, an edit that changes nothing, and the first delivery once more, on an issue that has all it needs.
async fn look_again(world: &World, number: u64) -> (u64, usize, usize) {
    let before = writes(world).await;
    let (alice, bob) = (world.forge.person("alice"), world.forge.person("bob"));
    bob.post(&format!("{}/comments", issue(number)), json!({"body": "Any news?"})).await;
    let body = alice.get(&issue(number)).await["body"].clone();
    alice.patch(&issue(number), json!({"body": body})).await;
    let inbox = world.rest().await;
    let first = inbox.iter().find(|d| d.is_about(number)).unwrap();
    world.forge.redeliver(&world.hook, &first.id).await;
    world.rest().await;
    (number, before, writes(world).await)
}

async fn writes(world: &World) -> usize {
    world.forge.asked_by(BOT).await.iter().filter(|r| r.method != "GET").count()
}

/// While kimi has one issue the next waits, and gets its turn when that one is closed. Then a person takes its label
/// off again.
async fn take_turns(world: &World, first: u64, research: Value) {
    let alice = world.forge.person("alice");
    let second = world.open("bob", research).await;
    world.rest().await;
    alice.patch(&issue(first), json!({"state": "closed"})).await;
    world.rest().await;
    alice.delete(&format!("{}/labels", issue(second))).await;
    world.rest().await;
}

/// A person gives an issue to somebody else, and replaces the labels of another; gives the last issue's number.
async fn change_hands(world: &World, from_claude: u64) -> u64 {
    let alice = world.forge.person("alice");
    // One only: Gitea adds several in the order of a Go map (services/issue/assignee.go).
    alice.patch(&issue(from_claude), json!({"assignees": ["kimi"]})).await;
    let last = world.open("bob", recorded("03-issues-opened-feature.http")).await;
    world.rest().await;
    let path = format!("{}/labels", issue(last));
    let one = Some(json!({"labels": ["area/3"]}));
    assert!(alice.send(Method::PUT, &path, one).await.status().is_success());
    world.rest().await;
    last
}

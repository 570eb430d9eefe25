//! Crashes and database errors exactly at the boundaries of the walk. The real program ends at each of them, is
//! started again over its store, and leaves one comment, one label and one assignee.
//!
//! Needs the feature `failpoints`: `cargo test --features failpoints --test failpoints`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod agents;
#[path = "../database/mod.rs"]
mod database;
mod panicking;
#[path = "../flow/panics.rs"]
mod panics;
#[path = "../faults/program.rs"]
mod program;
mod summary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;
use gitea_triage::service::Service;
use panics::Panics;
use program::{
    PATIENCE, Program, SECRET, Stage, bug, delivery, is_full_scale, push_payload, until,
};

/// Every boundary, and how often it has to be passed before the program ends there.
const BOUNDARIES: &[(&str, u32)] = &[
    ("accept::inserted", 0),
    ("accept::stored", 0),
    ("classify::read", 0),
    ("classify::placed", 0),
    ("classify::done", 0),
    ("claim::marked", 0),
    ("claim::taken", 0),
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    // Comment, label, assignee.
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::label_made", 0),
    ("apply::after", 1),
    ("apply::before", 2),
    ("apply::after", 2),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

/// Lets the program end at a boundary, and gives what it left to a whole one.
async fn ends_once_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::new().await;
    let place = format!("{boundary}={passed}*off->return");
    let mut program = stage.start_with(|c| {
        c.env("FAILPOINTS", &place);
    });
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
    stage.processed().await;
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

/// Lets the program end at a place of the walk that `act` leads to, and a whole one work off what it left.
async fn crashes_at(stage: &Stage, place: &str, act: impl FnOnce()) -> Program {
    let mut program = stage.start_with(|c| {
        c.env("FAILPOINTS", place);
    });
    act();
    until(&format!("the crash at {place}"), PATIENCE, async || program.ended().is_some()).await;
    drop(program);
    let program = stage.start();
    stage.gitea.delivered().await;
    stage.processed().await;
    program
}

/// The boundaries of the walk that opens a closed issue again and gives it to the next agent: the ended comment, the
/// new one, opening, label and assignee off, label on.
const AGAIN: &[(&str, u32)] = &[
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::after", 1),
    ("apply::before", 2),
    ("apply::after", 2),
    ("apply::after", 3),
    ("apply::after", 4),
    ("apply::label_made", 0),
    ("apply::after", 5),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

async fn is_given_on_once_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::with("[worker]\nfuse = 1000\n[review]\nrequire = [\"tasks\"]\n").await;
    let program = stage.start();
    let issue = stage.open(1);
    stage.processed().await;
    drop(program);
    let place = format!("{boundary}={passed}*off->return");
    let _program = crashes_at(&stage, &place, || stage.gitea.close(&issue, "claude")).await;
    let shown = stage.gitea.issue(&issue).unwrap();
    let ours = shown.comments.iter().filter(|c| c.author == stage.gitea.bot().login);
    let ours: Vec<_> = ours.map(|c| c.body.as_str()).collect();
    assert_eq!(ours.len(), 2, "{place}: {ours:#?}");
    assert!(
        ours[0].contains("**State:** `failed`: the review was not passed"),
        "{place}: {}",
        ours[0]
    );
    assert!(ours[1].starts_with("**Triage: dispatched to `kimi`"), "{place}: {}", ours[1]);
    assert_eq!(shown.labels, ["kimi-ready"], "{place}");
    assert!(shown.assignees.is_empty() && shown.closed_at.is_none(), "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), 2, "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_an_issue_is_given_on_leaves_it_with_the_next_agent_once() {
    for (boundary, passed) in AGAIN {
        println!("{boundary} after {passed}");
        is_given_on_once_after_a_crash_at(boundary, *passed).await;
    }
}

/// The boundaries of the walk that answers a command: a reaction and a comment.
const ANSWERED: &[(&str, u32)] = &[
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::after", 1),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

async fn is_answered_once_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::new().await;
    let program = stage.start();
    let issue = stage.open(1);
    stage.gitea.add_collaborator(&issue.repo, "alice", "write");
    stage.processed().await;
    drop(program);
    let place = format!("{boundary}={passed}*off->return");
    let mut asked = 0;
    let asks = || asked = stage.gitea.comment(&issue, "alice", "/triage explain");
    let _program = crashes_at(&stage, &place, asks).await;
    let comments = stage.gitea.issue(&issue).unwrap().comments;
    let ours = comments.iter().filter(|c| c.author == stage.gitea.bot().login);
    assert_eq!(ours.count(), 2, "{place}: {comments:#?}");
    let asked = comments.iter().find(|c| c.id == asked).unwrap();
    assert_eq!(asked.reactions.len(), 1, "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_a_command_is_answered_leaves_one_answer() {
    for (boundary, passed) in ANSWERED {
        println!("{boundary} after {passed}");
        is_answered_once_after_a_crash_at(boundary, *passed).await;
    }
}

/// The boundaries of the walk that hands an issue to the same agent again: the comment, label off and on, assignee off
/// and on, the reaction.
const TOLD_AGAIN: &[(&str, u32)] = &[
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::after", 0),
    ("apply::after", 1),
    ("apply::after", 2),
    ("apply::after", 3),
    ("apply::after", 4),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

async fn is_told_again_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::new().await;
    let program = stage.start();
    let issue = stage.open(1);
    stage.gitea.add_collaborator(&issue.repo, "alice", "write");
    stage.processed().await;
    drop(program);
    let place = format!("{boundary}={passed}*off->return");
    let before = stage.gitea.deliveries().len();
    let retries = || {
        stage.gitea.comment(&issue, "alice", "/triage retry");
    };
    let _program = crashes_at(&stage, &place, retries).await;
    stage.assert_with_claude(&issue);
    let deliveries = stage.gitea.deliveries();
    let told = deliveries[before..].iter().filter(|d| d.action == "assigned").count();
    assert!((1..=2).contains(&told), "told {told} times, twice only where nobody knows: {place}");
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), 2, "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_an_agent_is_told_again_leaves_it_told() {
    for (boundary, passed) in TOLD_AGAIN {
        println!("{boundary} after {passed}");
        is_told_again_after_a_crash_at(boundary, *passed).await;
    }
}

/// The boundaries of the walk that carries out a claim: the assignment and the reaction.
const CLAIMED: &[(&str, u32)] = &[
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::before", 0),
    ("apply::assigned", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::after", 1),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

async fn is_claimed_once_after_a_crash_at(boundary: &str, passed: u32) {
    let stage = Stage::new().await;
    let program = stage.start();
    let poor = NewIssue { title: "It is slow".into(), author: "bob".into(), ..NewIssue::default() };
    let issue = stage.gitea.open_issue(&stage.repo, poor);
    stage.gitea.add_collaborator(&issue.repo, "dora", "read");
    stage.processed().await;
    drop(program);
    let place = format!("{boundary}={passed}*off->return");
    let mut asked = 0;
    let claims = || asked = stage.gitea.comment(&issue, "dora", "/triage claim");
    let _program = crashes_at(&stage, &place, claims).await;
    let shown = stage.gitea.issue(&issue).unwrap();
    assert_eq!(shown.assignees, ["dora"], "{place}");
    let asked = shown.comments.iter().find(|c| c.id == asked).unwrap();
    assert_eq!(asked.reactions.len(), 1, "{place}: {:?}", asked.reactions);
    let assigned = stage.gitea.deliveries().into_iter().filter(|d| d.action == "assigned");
    assert_eq!(assigned.count(), 1, "{place}");
    let open = "SELECT count(*) FROM person_claim WHERE ended_at IS NULL";
    assert_eq!(stage.count(open), 1, "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_an_issue_is_claimed_leaves_one_claim() {
    for (boundary, passed) in CLAIMED {
        println!("{boundary} after {passed}");
        is_claimed_once_after_a_crash_at(boundary, *passed).await;
    }
}

/// The boundaries of the walk that asks the next of a rotation: the comment and the assignment.
const ASKED: &[(&str, u32)] = &[
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::assigned", 0),
    ("apply::after", 1),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];

async fn one_is_asked_after_a_crash_at(boundary: &str, passed: u32) {
    let rotation = "[[rotation]]\nname = \"backend\"\nmembers = [\"anna\", \"ben\"]\n";
    let stage = Stage::with(rotation).await;
    for login in ["anna", "ben"] {
        stage.gitea.add_collaborator(&stage.repo, login, "write");
    }
    let place = format!("{boundary}={passed}*off->return");
    let mut blocked = bug(1);
    blocked.body += "\nBlocked until the schema is settled.";
    let mut issue = None;
    let opens = || issue = Some(stage.gitea.open_issue(&stage.repo, blocked));
    let _program = crashes_at(&stage, &place, opens).await;
    let shown = stage.gitea.issue(&issue.unwrap()).unwrap();
    assert_eq!(shown.assignees, ["anna"], "{place}");
    assert_eq!(shown.comments.len(), 1, "{place}: {:#?}", shown.comments);
    assert!(shown.comments[0].body.starts_with("**Triage: @anna, this needs you**"), "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM duty"), 1, "{place}");
    assert_eq!(stage.count("SELECT sum(abs(credit)) FROM duty_share"), 2, "counted once: {place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_somebody_is_asked_in_turn_asks_nobody_else() {
    for (boundary, passed) in ASKED {
        println!("{boundary} after {passed}");
        one_is_asked_after_a_crash_at(boundary, *passed).await;
    }
}

/// A service in this process whose work is led by hand, so that each operation of the database is counted.
struct Led {
    stage: Stage,
    service: Service,
}

impl Led {
    async fn start() -> Self {
        let stage = Stage::with("[worker]\nconcurrency = 0\n").await;
        stage.command();
        let config = Config::load(Some(&stage.path("config.toml")), std::iter::empty()).unwrap();
        let clock = Clock::manual(Clock::System.now());
        let service = Service::start(&config, clock).await.unwrap();
        service.parts().worker.set_account(stage.gitea.bot());
        stage.gitea.set_hook(&format!("http://{}/webhook", service.address()), SECRET);
        Self { stage, service }
    }

    async fn ready(&self) -> u16 {
        let url = format!("http://{}/readyz", self.service.address());
        reqwest::get(url).await.unwrap().status().as_u16()
    }

    /// From an issue being opened to its end. What the store refused is sent or worked on again.
    async fn bug_comes_to_its_end(&self) -> IssueRef {
        let issue = self.stage.open(1);
        let http = reqwest::Client::new();
        for _ in 0..20 {
            self.stage.gitea.delivered().await;
            let refused = self.refused();
            for body in &refused {
                let url = format!("http://{}/webhook", self.service.address());
                let answer = delivery(&http, &url, body.clone()).send().await.unwrap();
                assert!([202, 503].contains(&answer.status().as_u16()), "{}", answer.status());
            }
            let worked = self.service.parts().worker.settle(PATIENCE).await;
            self.stage.gitea.delivered().await;
            let open = "SELECT count(*) FROM delivery WHERE settled_at IS NULL";
            if worked.is_ok() && self.stage.count(open) == 0 {
                return issue;
            }
        }
        panic!("the work did not come to its end");
    }

    /// The bodies of deliveries that were answered 503 and are not in the inbox.
    fn refused(&self) -> Vec<Vec<u8>> {
        let all = self.stage.gitea.deliveries().into_iter();
        let refused: Vec<_> = all.filter(|d| d.status == Some(503)).collect();
        for one in &refused {
            let id = one.uuid.replace('-', "");
            let column = database::hex(&self.stage.path("fault.db"), "id");
            let sql = format!("SELECT count(*) FROM delivery WHERE {column} = '{id}'");
            assert_eq!(self.stage.count(&sql), 0, "refused and yet half-stored");
        }
        refused.into_iter().map(|d| d.body.to_vec()).collect()
    }
}

/// Lets operation number `number` fail in one way; how many operations the work then took.
async fn ends_once_although(number: u32, kind: &str) -> u32 {
    let led = Led::start().await;
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    fail::cfg("database", &format!("{number}*off->1*return({kind})->off")).unwrap();
    fail::cfg_callback("database::operation", move || {
        counter.fetch_add(1, SeqCst);
    })
    .unwrap();
    let issue = led.bug_comes_to_its_end().await;
    fail::remove("database::operation");
    fail::remove("database");
    led.stage.assert_with_claude(&issue);
    assert_eq!(led.stage.count("SELECT count(*) FROM dispatch"), 1, "{kind} at {number}");
    let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
    assert_eq!(led.stage.count(dead), 0, "{kind} at {number}");
    led.stage.check_database();
    count.load(SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_operation_of_the_database_fails_the_work_comes_to_the_same_end() {
    let panics = Panics::watch();
    let _scenario = fail::FailScenario::setup();
    let kinds = ["busy", "ioerr", "full"];
    let mut number = 0;
    let mut is_clean = false;
    while !is_clean {
        // In a usual run each operation fails in one of the three ways.
        let one = usize::try_from(number).unwrap() % kinds.len();
        let ways = if is_full_scale() { &kinds[..] } else { &kinds[one..=one] };
        for kind in ways {
            // Clean when it ended before it came to the one that was to fail.
            is_clean = ends_once_although(number, kind).await <= number;
        }
        number += 1;
    }
    println!("each of {number} operations failed once");
    assert!(number > 20, "only {number} operations were counted");
    panics.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_red_while_the_database_fails_and_green_by_itself_after() {
    let panics = Panics::watch();
    let _scenario = fail::FailScenario::setup();
    let led = Led::start().await;
    assert_eq!(led.ready().await, 200);
    for kind in ["busy", "ioerr", "full"] {
        fail::cfg("database", &format!("return({kind})")).unwrap();
        // An answer is given again for a moment before the store is asked anew.
        until(&format!("red by {kind}"), PATIENCE, async || led.ready().await == 503).await;
        let url = format!("http://{}/webhook", led.service.address());
        let answer = delivery(&reqwest::Client::new(), &url, push_payload(1, 100)).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        fail::remove("database");
        until(&format!("green after {kind}"), PATIENCE, async || led.ready().await == 200).await;
    }
    assert_eq!(led.stage.count("SELECT count(*) FROM delivery"), 0);
    panics.assert_none();
}

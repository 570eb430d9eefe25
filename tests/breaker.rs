//! A Gitea that is out, asks to be left alone, or refuses; and an issue that is written to too often.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;
mod service;

use std::sync::Arc;
use std::time::Duration;

use gitea_triage::fake_gitea::FaultKind;
use gitea_triage::issue::IssueRef;
use tokio::sync::watch;
use tokio::task::JoinSet;

use service::{World, bug, repo};

const OPENINGS: &str = "gitea_triage_breaker_openings_total";
const CONCURRENCY: usize = 4;

/// How many deliveries wait through the outage: 200, or what `reliability.md` asks for when told so.
fn waiting() -> usize {
    match std::env::var("GITEA_TRIAGE_TEST_SCALE").as_deref() {
        Ok("full") => 2_000,
        _ => 200,
    }
}

/// As many workers as a service has.
struct Workers {
    workers: JoinSet<()>,
    classifying: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Workers {
    fn start(world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        let stopped = Arc::new(stopped);
        let mut workers = JoinSet::new();
        for _ in 0..CONCURRENCY {
            workers.spawn(world.worker().clone().work_until(Arc::clone(&stopped)));
        }
        let classifying = tokio::spawn(world.worker().clone().classify_forever());
        Self { workers, classifying, stop }
    }

    /// Waits until nothing is left. Time passes `seconds` at each look.
    async fn work_off(&self, world: &World, seconds: i64) {
        let done = async {
            while world.backlog().await > 0 {
                world.advance(seconds);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), done).await.expect("it is worked off");
    }

    async fn stop(mut self) {
        self.stop.send(true).unwrap();
        while self.workers.join_next().await.is_some() {}
        self.classifying.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_workers_take_up_together_what_comes_together() {
    let world = World::start().await;
    let mut workers = Workers::start(&world);
    world.open("acme/widgets");
    world.gitea.delivered().await;
    workers.work_off(&world, 1).await;
    // All of them rest now, for longer than all of this takes; what comes is sorted in one go.
    workers.classifying.abort();
    world.gitea.set_delay("GET", Duration::from_secs(2));
    for _ in 0..2 * CONCURRENCY {
        world.open("acme/widgets");
    }
    world.gitea.delivered().await;
    workers.classifying = tokio::spawn(world.worker().clone().classify_forever());
    workers.work_off(&world, 1).await;
    workers.stop().await;
    // Of each two things are asked at once.
    assert!(world.gitea.most_at_once() > CONCURRENCY, "{}", world.gitea.most_at_once());
}

fn issue_calls(world: &World) -> usize {
    world.gitea.requests().iter().filter(|r| r.path.contains("/issues/")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_gitea_costs_nothing_but_time() {
    let world = World::start().await;
    for _ in 0..waiting() {
        world.open("acme/widgets");
    }
    world.gitea.delivered().await;
    world.fail("", FaultKind::ResetBefore);
    let outage_over = world.worker().after_outage();
    for _ in 0..120 {
        world.settle(5).await;
        world.advance(30);
    }
    // Of the first it was asked at once what it waits for; the others were read alone.
    assert_eq!(issue_calls(&world), 6, "what opened the breaker");
    let probes = world.gitea.requests().iter().filter(|r| r.path.ends_with("/version")).count();
    assert!((100..=130).contains(&probes), "{probes} probes in an hour");
    assert_eq!(world.figure("gitea_triage_breaker_open").await, 1.0);
    let (status, _, report) = world.get("/readyz", "*/*").await;
    assert!(status == 503 && report.contains(r#""gitea":"it is unreachable"#), "{report}");

    // Deliveries are accepted as before.
    world.open("acme/gadgets");
    world.gitea.delivered().await;
    assert_eq!(world.gitea.deliveries().last().unwrap().status, Some(202));

    world.gitea.clear_faults();
    world.gitea.clear_requests();
    world.advance(60);
    let workers = Workers::start(&world);
    workers.work_off(&world, 0).await;
    workers.stop().await;
    assert_eq!(world.dead().await, [""; 0]);
    assert!(world.gitea.most_at_once() <= CONCURRENCY, "{}", world.gitea.most_at_once());
    let probes = world.gitea.requests().iter().filter(|r| r.path.ends_with("/version")).count();
    assert_eq!(probes, 1);
    assert_eq!(world.figure(OPENINGS).await, 1.0);
    assert_eq!(world.figure("gitea_triage_breaker_open").await, 0.0);
    let notified = tokio::time::timeout(Duration::from_secs(1), outage_over.notified());
    notified.await.expect("whoever looks for lost events is notified");
}

#[tokio::test]
async fn no_attempt_is_spent_on_an_outage() {
    let world = World::with("max_attempts = 1\n").await;
    let at = world.open("acme/widgets");
    world.fail("", FaultKind::Status(502));
    for _ in 0..40 {
        world.settle(5).await;
        world.advance(30);
    }
    world.gitea.clear_faults();
    world.settle(60).await;
    assert_eq!(world.gitea.issue(&at).unwrap().labels, ["claude-ready"]);
    assert_eq!(world.dead().await, [""; 0]);
}

#[tokio::test]
async fn a_rate_limit_is_kept_by_every_issue() {
    let world = World::start().await;
    for _ in 0..3 {
        world.open("acme/widgets");
    }
    world.gitea.delivered().await;
    world.fail("", FaultKind::StatusRetryAfter(429, 120));
    world.settle(60).await;
    let asked = world.gitea.requests().len();
    assert_eq!(asked, 2, "an issue and what it waits for; the others were not even tried");
    world.gitea.clear_faults();
    world.advance(119);
    // A new delivery is no reason to come earlier.
    world.open("acme/gadgets");
    world.settle(0).await;
    assert_eq!(world.gitea.requests().len(), asked);
    world.advance(1);
    world.settle(60).await;
    assert!(world.gitea.requests().len() > 4);
    assert_eq!((world.backlog().await, world.figure(OPENINGS).await), (0, 0.0));
}

#[tokio::test]
async fn an_open_breaker_asks_no_earlier_than_it_was_told() {
    let world = World::start().await;
    for _ in 0..8 {
        world.open("acme/widgets");
    }
    world.gitea.delivered().await;
    // Four issues, and what the first of them waits for.
    for _ in 0..5 {
        let kind = FaultKind::Status(503);
        world.gitea.fail(gitea_triage::fake_gitea::Fault {
            method: None,
            path_contains: String::new(),
            times: 1,
            kind,
        });
    }
    world.fail("", FaultKind::StatusRetryAfter(503, 300));
    world.settle(20).await;
    assert_eq!(world.gitea.requests().len(), 6);
    world.advance(299);
    world.settle(0).await;
    assert_eq!(world.gitea.requests().len(), 6);
    world.gitea.clear_faults();
    world.advance(1);
    world.settle(300).await;
    assert_eq!(world.gitea.requests()[6].path, "/api/v1/version");
    assert_eq!((world.backlog().await, world.figure(OPENINGS).await), (0, 1.0));
}

#[tokio::test]
async fn a_refusal_is_a_dead_letter_that_says_what_to_do() {
    for (status, advice) in [
        (401, "gitea.token_file"),
        (403, "permissions"),
        (404, "give the account access"),
        (423, "archived"),
    ] {
        let world = World::start().await;
        world.fail("acme/widgets", FaultKind::Status(status));
        world.fail("/repositories/", FaultKind::Status(status));
        world.open("acme/widgets");
        let other = world.open("acme/gadgets");
        world.settle(600).await;
        let calls = world.gitea.requests();
        let calls = calls.iter().filter(|r| r.path.contains("acme/widgets")).count();
        assert!(calls <= 3, "{status}: {calls} calls");
        let [reason] = &world.dead().await[..] else { panic!("{status}: not one dead letter") };
        assert!(reason.contains(advice), "{status}: {reason}");
        assert_eq!(world.gitea.issue(&other).unwrap().labels, ["claude-ready"], "{status}");
        assert_eq!(world.figure(OPENINGS).await, 0.0);
    }
}

/// What was asked of a repository, in order, and how it was answered.
fn calls(world: &World, repository: &str) -> Vec<(String, u16)> {
    let root = format!("/api/v1/repos/{repository}");
    let call = |r: gitea_triage::fake_gitea::Request| {
        Some((format!("{} {}", r.method, r.path.strip_prefix(&root)?), r.status))
    };
    world.gitea.requests().into_iter().filter_map(call).collect()
}

#[tokio::test]
async fn an_issue_of_a_removed_repository_is_looked_for_once() {
    let world = World::start().await;
    world.open("acme/widgets");
    let other = world.open("acme/gadgets");
    world.gitea.delivered().await;
    world.gitea.delete_repo(&repo("acme/widgets"));
    world.settle(600).await;
    world.advance(3_600);
    world.settle(600).await;
    // The two are sent together; the last tells a removed issue, which is an end, from a repository that is not there.
    let mut asked = calls(&world, "acme/widgets");
    asked.sort();
    let expected = ["GET /issues/1", "GET /issues/1/dependencies"];
    assert_eq!(asked, expected.map(|call| (call.to_owned(), 404)));
    let by_id = world.gitea.requests().into_iter();
    let by_id: Vec<_> = by_id.filter(|r| r.path.contains("/repositories/")).collect();
    assert_eq!(by_id.iter().map(|r| r.status).collect::<Vec<_>>(), [404]);
    let [reason] = &world.dead().await[..] else { panic!("not one dead letter") };
    assert!(reason.contains("acme/widgets") && reason.contains("does not exist"), "{reason}");
    assert!(reason.contains("give the account access to it"), "{reason}");
    assert_eq!(world.gitea.issue(&other).unwrap().labels, ["claude-ready"]);
    assert_eq!((world.backlog().await, world.figure(OPENINGS).await), (0, 0.0));
}

/// An issue that waits for us when its repository is archived, and one in another repository.
async fn archived_meanwhile(world: &World) -> (IssueRef, IssueRef) {
    let issues = (world.open("acme/widgets"), world.open("acme/gadgets"));
    world.gitea.delivered().await;
    world.gitea.set_archived(&repo("acme/widgets"), true);
    world.settle(600).await;
    issues
}

#[tokio::test]
async fn an_archived_repository_is_written_to_once() {
    let world = World::with("[[agent]]\nid = 'claude'\nmax_concurrent = 2\n").await;
    let (at, other) = archived_meanwhile(&world).await;
    let asked = calls(&world, "acme/widgets");
    assert!(asked.len() <= 4, "{asked:#?}");
    let writes: Vec<_> = asked.iter().filter(|(call, _)| !call.starts_with("GET")).collect();
    assert_eq!(writes, [&("POST /issues/1/comments".to_owned(), 423)]);
    let [reason] = &world.dead().await[..] else { panic!("not one dead letter") };
    let advice = "the repository is archived: take it out of `gitea.repos` or unarchive it";
    assert!(reason.contains("acme/widgets#1") && reason.contains(advice), "{reason}");
    assert_eq!(world.gitea.issue(&other).unwrap().labels, ["claude-ready"]);
    assert_eq!((world.backlog().await, world.figure(OPENINGS).await), (0, 0.0));
    world.advance(3_600);
    world.settle(600).await;
    assert_eq!(calls(&world, "acme/widgets"), asked, "it is not tried again");
    let left = world.gitea.issue(&at).unwrap();
    assert_eq!((left.comments.len(), left.labels.len(), left.assignees.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_refused_write_does_not_keep_its_agent_from_other_repositories() {
    // An agent has one place when nothing else is said.
    let world = World::start().await;
    let (_, other) = archived_meanwhile(&world).await;
    assert_eq!(world.dead().await.len(), 1);
    assert_eq!(world.gitea.issue(&other).unwrap().labels, ["claude-ready"]);
}

#[tokio::test]
async fn a_refused_write_is_not_sent_again_by_itself() {
    let world = World::with("[[agent]]\nid = 'claude'\nmax_concurrent = 2\ntimeout = '2h'\n").await;
    archived_meanwhile(&world).await;
    for _ in 0..12 {
        world.advance(3_600);
        world.settle(600).await;
    }
    let asked = calls(&world, "acme/widgets");
    let writes = asked.iter().filter(|(call, _)| !call.starts_with("GET")).count();
    assert_eq!((writes, world.dead().await.len()), (1, 1), "{asked:#?}");
}

/// Rewrites the issue so that our comment on it has to be brought up to date.
async fn rewrite(world: &World, at: &IssueRef, round: u32) {
    let body = format!("{}\n- [ ] criterion {round} holds", bug().body);
    world.gitea.edit_issue(at, "alice", None, Some(&body));
    world.settle(10).await;
    world.advance(10);
}

async fn done(world: &World, at: &IssueRef) -> usize {
    let history = world.service.parts().store.history(at.clone()).await.unwrap().unwrap();
    let effects = history.evaluations.iter().flat_map(|e| &e.effects);
    effects.filter(|e| e.state == "done").count()
}

#[tokio::test]
async fn the_write_limit_holds_writes_back_and_lets_them_go_an_hour_later() {
    let world = World::start().await;
    let at = world.open("acme/widgets");
    world.settle(10).await;
    for round in 0..30 {
        rewrite(&world, &at, round).await;
    }
    assert_eq!(done(&world, &at).await, 20);
    let comments = world.gitea.issue(&at).unwrap().comments;
    assert!(!comments[0].body.contains("criterion 29"), "{}", comments[0].body);
    assert_eq!(world.figure("gitea_triage_fuse_trips_total").await, 1.0);
    let store = &world.service.parts().store;
    let last = store.history(at.clone()).await.unwrap().unwrap().evaluations.pop().unwrap();
    assert!(last.reason.starts_with("the limit of 20 writes to one issue"), "{}", last.reason);
    assert_eq!(last.effects[0].detail.as_deref(), Some("held back by the write limit"));
    assert_eq!(world.dead().await, [""; 0]);
    assert!(world.backlog().await > 0, "what is held back is not done");

    // Another issue has a limit of its own.
    let other = world.gitea.open_issue(&repo("acme/gadgets"), bug());
    world.settle(10).await;
    assert!(store.history(other).await.unwrap().is_some());

    world.advance(3_600);
    world.settle(10).await;
    let comments = world.gitea.issue(&at).unwrap().comments;
    assert!(comments[0].body.contains("criterion 29"), "nothing is lost: {}", comments[0].body);
    let last = store.history(at).await.unwrap().unwrap().evaluations.pop().unwrap();
    assert_eq!(last.deliveries[0].action, "issues/edited");
    assert_eq!(world.backlog().await, 0);
}

#[tokio::test]
async fn what_a_person_orders_goes_through_while_the_fuse_holds_writes_back() {
    let world = World::with("[triage]\nowner = 'alice'\n").await;
    world.gitea.add_collaborator(&repo("acme/widgets"), "alice", "write");
    let at = world.open("acme/widgets");
    world.settle(10).await;
    for round in 0..20 {
        rewrite(&world, &at, round).await;
    }
    world.gitea.comment(&at, "alice", "/triage assign kimi");
    world.settle(10).await;
    let issue = world.gitea.issue(&at).unwrap();
    assert_eq!((&issue.labels[..], issue.assignees.len()), (&["kimi-ready".to_owned()][..], 0));
    world.advance(3_600);
    world.settle(10).await;
    let told: Vec<_> =
        issue.comments.iter().filter(|c| c.body.contains("dispatched to `kimi`")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(world.backlog().await, 0);
}

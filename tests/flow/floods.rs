//! Outsiders cannot use up what others need: who floods an issue or a repository with commands is answered twice an hour,
//! and a person who may command is heard at once all the while.

use std::time::{Duration, Instant};

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

/// How soon a person's command is answered, on the clock in hand and, by a release, in the time of the test.
const SOON: Duration = Duration::from_secs(2);
/// The same for a build without optimisation on a machine that does other things as well.
const SOON_UNOPTIMISED: Duration = Duration::from_secs(20);
/// How many requests may be sent before it is answered: those of its own issue, and none for others that wait.
const REQUESTS: usize = 24;

/// A dispatched bug.
async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

/// Comments of a hostile outsider, each with something that asks for an answer.
fn hostile(n: usize) -> &'static str {
    ["/triage assign kimi", "/triage explain", "/triage help", "/triage frobnicate"][n % 4]
}

/// An issue that is not ready, and so gets no comment of ours by itself.
fn quiet(world: &World, n: usize) -> IssueRef {
    let title = format!("Something is odd ({n})");
    world.open_issue(NewIssue { title, author: "bob".into(), ..NewIssue::default() })
}

fn flood(world: &World, at: &IssueRef, comments: usize) {
    for n in 0..comments {
        world.gitea.comment(at, &format!("stranger-{n}"), hostile(n));
    }
}

fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let issue = world.issue(at);
    let comment = issue.comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().map(|(_, what)| what).collect()
}

/// The answers of ours on the issue: comments, and reactions beside them.
fn answers(world: &World, at: &IssueRef) -> (usize, usize) {
    let comments =
        world.comments(at).into_iter().filter(|c| c.contains("decision=answer:")).count();
    let issue = world.issue(at);
    (comments, issue.comments.iter().map(|c| c.reactions.len()).sum())
}

#[tokio::test]
async fn ten_refused_commands_do_not_silence_the_owner() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    for n in 0..10 {
        world.gitea.comment(&issue, "bob", hostile(n));
        world.settle_within(SOON).await;
    }
    // One refusal and one explanation in words; each of the other refusals costs a reaction.
    assert_eq!(answers(&world, &issue), (2, 2 + 4));
    let before = world.clock.now();
    let hold = world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle_within(SOON).await;
    assert_eq!(reactions(&world, &issue, hold), ["+1"]);
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle_within(SOON).await;
    world.order(&issue, "operator", "assign kimi").await;
    world.settle_within(SOON).await;
    assert!(world.labels(&issue).contains(&"kimi-ready".to_owned()));
    world.gitea.close(&issue, "alice");
    world.settle_within(SOON).await;
    let history = world.history(&issue).await;
    assert!(history.dispatches.iter().all(|d| !d.state.is_open()), "{:?}", history.dispatches);
    assert!(world.clock.now() - before < chrono::TimeDelta::seconds(10));
    world.comments(&issue);
}

#[tokio::test]
async fn a_write_limit_that_is_reached_holds_back_no_command_no_close_and_no_order() {
    let mut world = World::start().await;
    world.configure(|toml| toml.replace("concurrency = 0", "concurrency = 0\nfuse = 3"));
    world.restart().await;
    let issue = dispatched(&world).await;
    // Its author edits it again and again: our comment on it is not brought up to date any more.
    world.gitea.edit_issue(
        &issue,
        "bob",
        Some("[refactor] Login crashes on an empty password"),
        None,
    );
    world.settle_within(SOON).await;
    let last = world.history(&issue).await.evaluations.last().unwrap().reason.clone();
    assert!(last.contains("`worker.fuse`"), "{last}");
    world.order(&issue, "operator", "assign kimi").await;
    world.settle_within(SOON).await;
    assert!(world.labels(&issue).contains(&"kimi-ready".to_owned()), "{:?}", world.labels(&issue));
    let refused = world.gitea.comment(&issue, "alice", "/triage frobnicate");
    world.settle_within(SOON).await;
    assert_eq!(reactions(&world, &issue, refused), ["confused"]);
    world.gitea.close(&issue, "alice");
    world.settle_within(SOON).await;
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches.last().unwrap().state, DispatchState::Completed);
    world.comments(&issue);
}

#[tokio::test]
async fn outsiders_are_heard_again_an_hour_later() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    for (hour, expected) in [(0, 2), (1, 4)] {
        flood(&world, &issue, 5);
        world.settle_within(SOON).await;
        assert_eq!(answers(&world, &issue).0, expected, "in hour {hour}");
        world.clock.advance(chrono::TimeDelta::minutes(61));
    }
}

#[tokio::test]
async fn a_refusal_is_said_once_an_hour_on_an_issue_and_costs_a_reaction_after() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let mut refused = Vec::new();
    for n in 0..5 {
        refused.push(world.gitea.comment(&issue, &format!("stranger-{n}"), "/triage hold"));
        world.settle_within(SOON).await;
    }
    assert_eq!(answers(&world, &issue).0, 1);
    for comment in refused {
        assert_eq!(reactions(&world, &issue, comment), ["confused"]);
    }
    // Whoever asks for what is for everybody is answered all the same.
    world.gitea.comment(&issue, "stranger-9", "/triage explain");
    world.settle_within(SOON).await;
    assert_eq!(answers(&world, &issue).0, 2);
    world.clock.advance(chrono::TimeDelta::minutes(61));
    world.gitea.comment(&issue, "stranger-9", "/triage hold");
    world.settle_within(SOON).await;
    assert_eq!(answers(&world, &issue).0, 3);
}

#[tokio::test]
async fn a_refusal_is_said_once_a_day_to_its_author_wherever_they_try() {
    let mut world = World::start().await;
    let issues: Vec<_> = (0..4).map(|n| quiet(&world, n)).collect();
    world.settle().await;
    let said = |world: &World| -> Vec<usize> {
        issues.iter().map(|issue| answers(world, issue).0).collect()
    };
    for (n, issue) in issues.iter().enumerate() {
        let comment = world.gitea.comment(issue, "stranger", "/triage hold");
        world.settle_within(SOON).await;
        assert_eq!(reactions(&world, issue, comment), ["confused"]);
        // What was said is known after a restart.
        if n == 1 {
            world.restart().await;
        }
    }
    assert_eq!(said(&world), [1, 0, 0, 0]);
    world.gitea.comment(&issues[1], "another", "/triage hold");
    world.settle_within(SOON).await;
    assert_eq!(said(&world), [1, 1, 0, 0]);
    world.clock.advance(chrono::TimeDelta::hours(25));
    world.gitea.comment(&issues[2], "stranger", "/triage assign kimi");
    world.settle_within(SOON).await;
    assert_eq!(said(&world), [1, 1, 1, 0]);
}

#[tokio::test]
async fn a_hundred_hostile_comments_on_an_issue_get_two_answers_and_delay_nobody() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let mut commanded = Vec::new();
    for _ in 0..10 {
        flood(&world, &issue, 10);
        commanded.push(world.gitea.comment(&issue, "alice", "/triage explain"));
        let (began, at) = (Instant::now(), world.clock.now());
        world.gitea.delivered().await;
        let before = world.gitea.requests().len();
        while reactions(&world, &issue, *commanded.last().unwrap()).is_empty() {
            world.work_within(Duration::from_millis(100)).await;
            assert!(world.clock.now() - at < chrono::TimeDelta::seconds(2));
            let limit = if cfg!(debug_assertions) { SOON_UNOPTIMISED } else { SOON };
            assert!(began.elapsed() < limit, "{:?}", began.elapsed());
        }
        let sent = world.gitea.requests().len() - before;
        println!("answered after {sent} requests in {:?}", began.elapsed());
        assert!(sent <= REQUESTS, "{sent} requests before a command was answered");
    }
    world.settle_within(SOON).await;
    assert_eq!(answers(&world, &issue).0, 10 + 2);
}

#[tokio::test]
async fn a_thousand_hostile_comments_on_a_repository_delay_no_command() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let others: Vec<_> = (0..50).map(|n| quiet(&world, n)).collect();
    world.settle().await;
    world.gitea.pause_deliveries();
    for n in 0..1_000 {
        world.gitea.comment(&others[n % 50], &format!("stranger-{}", n % 200), hostile(n));
    }
    let command = world.gitea.comment(&issue, "alice", "/triage explain");
    world.gitea.resume();
    world.gitea.delivered().await;
    world.gitea.clear_requests();
    let began = Instant::now();
    world.settle_within(SOON).await;
    let first = world.gitea.writes().remove(0).path;
    assert!(first.ends_with(&format!("/comments/{command}/reactions")), "answered first: {first}");
    let asked = world.gitea.requests().iter().filter(|r| r.path.ends_with("/assignees")).count();
    // Who is a stranger is read anew every five seconds.
    let most = 10 + began.elapsed().as_secs() as usize / 5;
    assert!(asked <= most, "{asked} questions about who may write, for 200 accounts");
    for other in &others {
        assert!(answers(&world, other).0 <= 2);
    }
    world.comments(&issue);
}

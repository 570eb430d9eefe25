//! Large issues and comments switch nothing off: orders are obeyed, deadlines kept, the sweep goes on, and what cannot be
//! read is said.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;
use gitea_triage::store::DeliveryState;
use gitea_triage::sweep::How;

use crate::world::{World, bug};

/// About what a forge takes by default.
const LARGE: usize = 18 * 1024 * 1024;
const FULL: How = How { full: true, look_only: false, at_once: true };

/// An issue by a stranger that names `at` and is as large as can be. Each makes the forge show all of it on `at`.
fn large(world: &World, at: &IssueRef) -> IssueRef {
    let body = format!("See #{}. {}", at.number, "x".repeat(LARGE));
    let title = "Everything that I know".to_owned();
    world.open_issue(NewIssue { title, body, author: "stranger".into(), ..NewIssue::default() })
}

async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches[0].state
}

#[tokio::test]
async fn two_large_issues_do_not_switch_off_the_owners_commands() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    for _ in 0..2 {
        large(&world, &issue);
    }
    let hold = world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle().await;
    let said = world.issue(&issue).comments.into_iter().find(|c| c.id == hold).unwrap();
    assert_eq!(said.reactions.iter().map(|(_, what)| what).collect::<Vec<_>>(), ["+1"]);
    assert_eq!(state(&world, &issue).await, DispatchState::Failed);
    world.comments(&issue);
    assert!(world.dead().await.is_empty());
}

#[tokio::test]
async fn two_large_issues_do_not_switch_off_the_sweep() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let large = [large(&world, &issue), large(&world, &issue)];
    world.settle().await;
    // The deliveries of the large ones were refused for their length, and those of this one are lost.
    world.gitea.drop_next_deliveries(10);
    world.gitea.close(&issue, "alice");
    let missed = world.open_issue(bug());
    world.clock.advance(chrono::TimeDelta::minutes(5));
    let report = world.service().parts().sweeper.round(FULL, &|_, _, _| {}).await.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Completed);
    world.assert_with_claude(&missed);
    for at in large {
        assert_eq!(world.evaluations(&at).await, 1);
    }
    world.comments(&issue);
    assert_eq!(ready(&world).await, (200, "ready".into(), "ok".into()));
}

#[tokio::test]
async fn large_comments_hide_no_command_and_no_comment_of_ours() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue {
        title: "[bug] Blocked by vendor: login crashes".into(),
        body: "## Problem\n`login()` in src/auth/login.py should return 400. Blocked by #99."
            .into(),
        author: "bob".into(),
        ..NewIssue::default()
    });
    world.settle().await;
    for n in 0..2 {
        world.gitea.comment(&issue, "stranger", &format!("{n} {}", "x".repeat(LARGE)));
    }
    world.settle().await;
    world.gitea.drop_next_deliveries(1);
    world.gitea.comment(&issue, "alice", "/triage assign claude");
    world.clock.advance(chrono::TimeDelta::minutes(5));
    world.sweep(FULL).await;
    world.settle().await;
    assert_eq!(world.labels(&issue).iter().filter(|l| *l == "claude-ready").count(), 1);
    world.comments(&issue);
    let refused = world.deliveries().await.into_iter().filter(|d| d.state == DeliveryState::Dead);
    assert_eq!(refused.count(), 0);
}

/// What `/readyz` answers: the status, and what it says as a whole and of the sweep.
async fn ready(world: &World) -> (u16, String, String) {
    let answer = world.http.get(world.url("/readyz")).send().await.unwrap();
    let status = answer.status().as_u16();
    let report: serde_json::Value = answer.json().await.unwrap();
    let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    (status, text("status"), text("sweep"))
}

#[tokio::test]
async fn what_cannot_be_swept_is_said_where_people_look() {
    let mut world = World::start().await;
    world.configure(|config| config.replace("[\"acme/*\"]", "[\"acme/widgets\", \"acme/gone\"]"));
    world.restart().await;
    assert_eq!(ready(&world).await, (200, "ready".into(), "ok".into()));
    world.sweep(FULL).await;
    // It is asked once a second at most.
    let (status, whole, sweep) = loop {
        let now = ready(&world).await;
        if now.1 != "ready" {
            break now;
        }
    };
    // Deliveries are still taken: nothing is to be taken out of service for it.
    assert_eq!((status, whole.as_str()), (200, "degraded"));
    assert!(sweep.starts_with("`acme/gone` cannot be swept: "), "{sweep}");
}

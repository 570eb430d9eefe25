//! Whoever is given an issue hears of it each time: a second hand-over to the same agent fires an event of the forge, and
//! whoever is called is somebody whom a mention reaches.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::issue::IssueRef;
use serde_json::Value;

use crate::world::{World, bug};

/// An agent that is told by its label alone.
const BY_LABEL: &str = "[[agent]]\nid = \"claude\"\nlabel = \"claude-ready\"\nlogin = \"\"\n";

/// How often the forge said since the delivery of this number that the agent was called by its label or its account.
fn heard(world: &World, since: usize) -> (usize, usize) {
    let (mut had_label, mut labelled, mut assigned) = (true, 0, 0);
    for delivery in &world.gitea.deliveries()[since..] {
        let payload: Value = serde_json::from_slice(&delivery.body).unwrap();
        if delivery.action == "assigned" {
            assigned += 1;
        }
        if delivery.action == "label_updated" {
            let labels = payload["issue"]["labels"].as_array().unwrap();
            let has_label = labels.iter().any(|label| label["name"] == "claude-ready");
            labelled += usize::from(has_label && !had_label);
            had_label = has_label;
        }
    }
    (labelled, assigned)
}

async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    issue
}

/// Lets `again` lead to a second hand-over to the same agent, and finds that the agent was told once more.
async fn is_heard_after(world: &World, again: impl AsyncFnOnce(&World, &IssueRef)) {
    let issue = dispatched(world).await;
    let before = world.gitea.deliveries().len();
    again(world, &issue).await;
    world.settle().await;
    let history = world.history(&issue).await;
    assert!(history.dispatches.len() > 1, "{:?}", history.dispatches);
    assert_eq!(history.dispatches.last().unwrap().state, DispatchState::Assigned);
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    let by_account = usize::from(world.assignees(&issue) == ["claude"]);
    assert_eq!(heard(world, before), (1, by_account), "label and account");
    world.comments(&issue);
}

async fn command(world: &World, at: &IssueRef, text: &str) {
    world.gitea.comment(at, "alice", text);
    world.settle().await;
}

#[tokio::test]
async fn a_retry_is_heard_by_an_agent_that_is_told_by_label_or_assignment() {
    is_heard_after(&World::start().await, async |world, at| {
        command(world, at, "/triage retry").await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_is_heard_by_an_agent_that_has_only_a_label() {
    is_heard_after(&World::with(BY_LABEL).await, async |world, at| {
        command(world, at, "/triage retry").await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_after_the_agents_time_was_over_is_heard() {
    is_heard_after(&World::start().await, async |world, at| {
        world.clock.advance(TimeDelta::hours(3));
        world.settle().await;
        command(world, at, "/triage retry").await;
    })
    .await;
}

#[tokio::test]
async fn what_goes_on_after_a_hold_or_done_is_heard() {
    is_heard_after(&World::start().await, async |world, at| {
        command(world, at, "/triage done").await;
        command(world, at, "/triage resume").await;
    })
    .await;
}

#[tokio::test]
async fn an_issue_that_a_person_opens_again_is_heard_of() {
    is_heard_after(&World::start().await, async |world, at| {
        world.gitea.close(at, "claude");
        world.settle().await;
        world.gitea.reopen(at, "alice");
    })
    .await;
}

#[tokio::test]
async fn what_a_person_took_off_is_not_put_back_to_be_heard() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.settle().await;
    world.gitea.close(&issue, "alice");
    world.gitea.reopen(&issue, "alice");
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    world.comments(&issue);
}

#[tokio::test]
async fn a_flag_calls_the_owners_of_an_organisation_and_a_person_by_name() {
    let world = World::start().await;
    let blocker = world.open_issue(bug());
    world.settle().await;
    let blocked = |repo: &str| {
        let body = format!("{}\n\nblocked by #{}", bug().body, blocker.number);
        let repo = repo.parse().unwrap();
        world.gitea.open_issue(&repo, gitea_triage::fake_gitea::NewIssue { body, ..bug() })
    };
    let of_organisation = blocked("acme/widgets");
    world.settle().await;
    let comment = world.comment(&of_organisation);
    assert!(comment.contains("@acme/owners, this needs you"), "{comment}");
    world.comments(&blocker);
}

fn data_loss() -> gitea_triage::fake_gitea::NewIssue {
    gitea_triage::fake_gitea::NewIssue {
        title: "[P0] data loss".into(),
        author: "bob".into(),
        ..gitea_triage::fake_gitea::NewIssue::default()
    }
}

#[tokio::test]
async fn an_urgent_issue_that_is_not_ready_is_named_in_the_summary_and_on_the_dashboard() {
    let world = World::start().await;
    let issue = world.open_issue(data_loss());
    let dull = world.open_issue(gitea_triage::fake_gitea::NewIssue {
        title: "Something is odd".into(),
        ..data_loss()
    });
    world.settle().await;
    assert!(world.comments(&issue).is_empty(), "the built-in policy stays as it is");
    let store = &world.service().parts().store;
    let urgent = store.overview(gitea_triage::store::Sight::All).await.unwrap().urgent.newest;
    assert_eq!(urgent.iter().map(|i| i.number).collect::<Vec<_>>(), [issue.number]);
    let now = world.clock.now() + TimeDelta::seconds(1);
    let period = gitea_triage::store::Period { from: now - TimeDelta::days(1), until: now };
    let open = store.digest(&world.repo, period).await.unwrap().open;
    let urgent: Vec<_> = open.iter().filter(|i| i.is_urgent).map(|i| i.number).collect();
    assert_eq!(urgent, [issue.number], "and not {dull}");
}

#[tokio::test]
async fn an_urgent_issue_that_is_not_ready_calls_the_owner_where_the_policy_says() {
    let world = World::with("[triage]\nowner = \"alice\"\n[policy]\nflag_urgent = true\n").await;
    let issue = world.open_issue(data_loss());
    world.settle().await;
    let comment = world.comment(&issue);
    assert!(comment.contains("@alice, this needs you"), "{comment}");
    assert!(comment.contains("urgent, but score"), "{comment}");
}

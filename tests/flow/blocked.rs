//! Blocked issues call their owner, and are looked at again when what they wait for is closed.

use gitea_triage::fake_gitea::NewIssue;

use crate::world::{World, bug};

const PLACES: &str =
    "[triage]\nowner = \"alice\"\n[[agent]]\nid = \"claude\"\nmax_concurrent = 3\n";

#[tokio::test]
async fn an_issue_blocked_by_its_text_goes_on_when_the_blocker_closes() {
    let world = World::with(PLACES).await;
    let blocker = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    let mut blocked = bug();
    blocked.body.push_str(&format!("\n\nBlocked by #{}", blocker.number));
    let blocked = world.open_issue(blocked);
    world.settle().await;
    assert!(world.comment(&blocked).starts_with("**Triage: @alice, this needs you**"));
    world.gitea.close(&blocker, "alice");
    world.settle().await;
    let comments = world.comments(&blocked);
    assert!(comments[1].starts_with("**Triage: dispatched to `claude`"), "{comments:#?}");
    let history = world.history(&blocked).await;
    assert_eq!(history.evaluations[1].deliveries[0].action, "wake/what it waited for is closed");
}

#[tokio::test]
async fn an_issue_that_depends_on_another_goes_on_when_that_is_closed() {
    let world = World::with(PLACES).await;
    let other = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.add_dependency(&issue, &other);
    world.gitea.resume();
    world.settle().await;
    assert!(world.comment(&issue).contains("it depends on `acme/widgets#1`, still open"));
    world.gitea.close(&other, "alice");
    world.settle().await;
    assert!(world.comments(&issue)[1].starts_with("**Triage: dispatched to `claude`"));
}

#[tokio::test]
async fn one_of_two_blockers_is_not_enough() {
    let world = World::with(PLACES).await;
    let slow = || NewIssue { title: "It is slow".into(), ..NewIssue::default() };
    let (one, two) = (world.open_issue(slow()), world.open_issue(slow()));
    let mut blocked = bug();
    blocked.body.push_str(&format!("\n\nBlocked by #{}, #{}", one.number, two.number));
    let blocked = world.open_issue(blocked);
    world.settle().await;
    world.gitea.close(&one, "alice");
    world.settle().await;
    assert!(world.labels(&blocked).is_empty());
    world.gitea.close(&two, "alice");
    world.settle().await;
    assert_eq!(world.labels(&blocked), ["claude-ready"]);
    assert_eq!(world.comments(&blocked).len(), 2);
}

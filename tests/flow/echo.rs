//! Our own changes come back as deliveries, and end without one call to the forge.

use crate::world::{World, bug};
use gitea_triage::store::DeliveryState;

#[tokio::test]
async fn our_own_comment_label_and_assignment_are_ignored_without_a_call() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.gitea.delivered().await;
    world.work().await;
    world.assert_with_claude(&issue);
    world.gitea.delivered().await;
    world.gitea.clear_requests();
    world.work().await;
    assert!(world.gitea.requests().is_empty(), "{:?}", world.gitea.requests());
    let deliveries = world.deliveries().await;
    let own: Vec<_> =
        deliveries.iter().filter(|d| d.reason.as_deref() == Some("our own change")).collect();
    assert_eq!(own.len(), 3, "{deliveries:#?}");
    assert!(
        own.iter().all(|d| d.state == DeliveryState::Ignored && d.issue == Some(issue.to_string()))
    );
    assert_eq!(world.evaluations(&issue).await, 1);
}

#[tokio::test]
async fn an_issue_opened_with_our_own_account_is_still_triaged() {
    let world = World::start().await;
    let mut ours = bug();
    ours.author = world.gitea.bot().login;
    let issue = world.open_issue(ours);
    world.settle().await;
    world.assert_with_claude(&issue);
}

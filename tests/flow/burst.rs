//! Many deliveries about one issue are one look at it.

use gitea_triage::fake_gitea::NewIssue;

use crate::world::{World, bug};

#[tokio::test]
async fn the_deliveries_of_one_new_issue_lead_to_one_evaluation() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue { labels: vec!["bug".into(), "P0".into()], ..bug() });
    world.settle().await;
    world.assert_with_claude(&issue);
    assert_eq!(world.evaluations(&issue).await, 1);
    assert_eq!(world.history(&issue).await.evaluations[0].deliveries.len(), 2);
}

#[tokio::test]
async fn ten_label_edits_in_a_burst_are_at_most_two_evaluations_and_one_comment() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    for round in 0..10 {
        world.gitea.add_label(&issue, "alice", &format!("area-{round}"));
        world.gitea.delivered().await;
        // Looked at in between, as a running worker would; only what is due is done.
        world.service().parts().worker.settle(std::time::Duration::ZERO).await.unwrap();
    }
    world.settle().await;
    assert!(world.evaluations(&issue).await <= 3, "one for the opening, two for the burst");
    world.assert_with_claude(&issue);
}

//! Two instances with stores of their own look after one repository with one account.

use gitea_triage::fake_gitea::DeliveryView;

use crate::redelivery::sign;
use crate::world::{SECRET, World, bug};

impl World {
    /// Hands every delivery of the forge that it has not seen yet to this instance, too.
    async fn overhear(&self, heard: &mut usize) {
        let all: Vec<DeliveryView> = self.gitea.deliveries();
        for delivery in &all[*heard..] {
            // A second hook sends the same bytes under an id of its own.
            let id = uuid::Uuid::new_v4().to_string();
            let request = self
                .http
                .post(self.url("/webhook"))
                .header("Content-Type", "application/json")
                .header("X-Gitea-Delivery", id)
                .header("X-Gitea-Signature", sign(SECRET, &delivery.body));
            let answer = request.body(delivery.body.to_vec()).send().await.unwrap();
            assert_eq!(answer.status(), 202);
        }
        *heard = all.len();
    }
}

/// Lets both instances work until neither has anything to do; the number of rounds it took.
async fn settle_both(one: &World, other: &World, heard: &mut usize) -> usize {
    for round in 1..20 {
        one.settle().await;
        other.overhear(heard).await;
        other.work().await;
        one.gitea.delivered().await;
        if one.gitea.deliveries().len() == *heard {
            return round;
        }
    }
    panic!("the two instances answer each other without an end");
}

#[tokio::test]
async fn one_after_the_other_two_instances_leave_one_comment() {
    let one = World::start().await;
    let other = one.beside().await;
    let issue = one.open_issue(bug());
    let mut heard = 0;
    settle_both(&one, &other, &mut heard).await;
    one.assert_with_claude(&issue);
    other.comments(&issue);
    one.gitea.edit_issue(&issue, "bob", Some("[bug] Login still crashes"), None);
    settle_both(&one, &other, &mut heard).await;
    one.assert_with_claude(&issue);
}

#[tokio::test]
async fn at_the_very_same_moment_two_instances_leave_one_comment_each_and_then_are_silent() {
    let one = World::start().await;
    let other = one.beside().await;
    let issue = one.open_issue(bug());
    let mut heard = 0;
    one.gitea.delivered().await;
    other.overhear(&mut heard).await;
    // Slow enough that both have read the issue before either has written.
    one.gitea.set_delay("POST", std::time::Duration::from_millis(150));
    tokio::join!(one.work(), other.work());
    one.gitea.set_delay("POST", std::time::Duration::ZERO);
    let rounds = settle_both(&one, &other, &mut heard).await;
    assert!(rounds < 5, "{rounds} rounds");
    let comments = one.comments(&issue).len();
    other.comments(&issue);
    assert!((1..=2).contains(&comments), "{comments} comments by two instances");
    assert_eq!(one.assignees(&issue), ["claude"]);
    one.gitea.clear_requests();
    one.gitea.comment(&issue, "bob", "any news?");
    settle_both(&one, &other, &mut heard).await;
    assert!(one.gitea.writes().is_empty(), "{:?}", one.gitea.writes());
}

#[tokio::test]
async fn our_account_answering_itself_comes_to_an_end() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let bot = world.gitea.bot().login;
    // A person with our token, or another program of ours: it must not make us answer for ever.
    world.gitea.clear_requests();
    for round in 0..5 {
        world.gitea.comment(&issue, &bot, &format!("working on it ({round})"));
        world.gitea.add_label(&issue, &bot, &format!("ours/{round}"));
        world.settle().await;
    }
    assert!(world.gitea.writes().is_empty(), "{:?}", world.gitea.writes());
    assert_eq!(world.comments(&issue).len(), 6);
}

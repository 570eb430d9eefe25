//! Deliveries in any order: the end is the same as in order, because the issue as it is now decides.

use std::collections::BTreeSet;

use gitea_triage::fake_gitea::{DeliveryView, IssueView};
use gitea_triage::issue::IssueRef;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{World, bug};

const EVENTS: usize = 30;

/// What a person finds on the issue in the end.
#[derive(Debug, PartialEq)]
struct End {
    labels: Vec<String>,
    assignees: Vec<String>,
    comments: Vec<String>,
}

/// What happened to one issue while nobody listened: thirty changes and more.
fn history(world: &World) -> IssueRef {
    let gitea = &world.gitea;
    let at = world.open_issue(bug());
    let title = |round: usize| format!("[bug] Login crashes on an empty password ({round})");
    for round in 0..3 {
        gitea.edit_issue(&at, "bob", Some(&title(round)), None);
        gitea.add_label(&at, "alice", &format!("area/{round}"));
        let comment = gitea.comment(&at, "bob", "any news?");
        gitea.edit_comment(&at, "bob", comment, "any news at all?");
        gitea.assign(&at, "alice", "alice");
        gitea.unassign(&at, "alice", "alice");
        gitea.close(&at, "alice");
        gitea.reopen(&at, "bob");
        gitea.remove_label(&at, "alice", &format!("area/{round}"));
        gitea.add_label(&at, "alice", "seen");
    }
    at
}

/// Lets the deliveries come in this order, with a look at the issue after those where `looks` says so.
async fn end_of(order: &[usize], looks: &[bool]) -> (End, usize) {
    let world = World::start().await;
    world.gitea.pause_deliveries();
    let at = history(&world);
    let told: Vec<DeliveryView> = world.gitea.deliveries();
    for (place, look) in order.iter().zip(looks) {
        let delivery = &told[place % told.len()];
        let (status, _) = world.post(&delivery.uuid, &delivery.body).await;
        assert!(matches!(status, 200 | 202), "{status}");
        if *look {
            world.work().await;
        }
    }
    world.work().await;
    // Whatever was not among them comes in the end, as do our own changes.
    world.gitea.resume();
    world.settle().await;
    let issue: IssueView = world.issue(&at);
    let end =
        End { labels: issue.labels, assignees: issue.assignees, comments: world.comments(&at) };
    (end, told.len())
}

#[test]
fn any_order_of_a_history_comes_to_the_same_end_as_the_order_itself() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let in_order: Vec<usize> = (0..EVENTS).collect();
    let (expected, events) = runtime.block_on(end_of(&in_order, &[true; EVENTS]));
    assert!(events >= EVENTS, "the history has only {events} events");
    assert_eq!(expected.assignees, ["claude"]);
    assert_eq!(expected.comments.len(), 1);
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let cases = if full { 200 } else { 24 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let orders = (Just(in_order).prop_shuffle(), prop::collection::vec(any::<bool>(), EVENTS));
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let result = TestRunner::new(config).run(&orders, |(order, looks)| {
        let (end, _) = runtime.block_on(end_of(&order, &looks));
        seen.borrow_mut().insert(order);
        prop_assert_eq!(&end, &expected);
        Ok(())
    });
    result.unwrap();
    println!("{} orders of {events} events", seen.borrow().len());
}

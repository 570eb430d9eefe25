//! An agent's place is held by one issue at a time, and never by one that nobody was told of; who waits for it is not
//! forgotten.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches.last().unwrap().state
}

/// Three bugs: one with `claude`, two that wait.
async fn one_at_work(world: &World) -> [IssueRef; 3] {
    let issues = [1, 2, 3].map(|_| world.open_issue(bug()));
    world.settle().await;
    world.assert_with_claude(&issues[0]);
    issues
}

/// A bug that Alice has given to `claude` by its label before anybody looked at it, and by more.
async fn given_by_alice(world: &World, more: impl FnOnce(&IssueRef)) -> IssueRef {
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.add_label(&issue, "alice", "claude-ready");
    more(&issue);
    world.gitea.resume();
    world.settle().await;
    issue
}

#[tokio::test]
async fn a_dispatch_that_could_not_be_told_frees_its_place() {
    let world = World::start().await;
    let no_labels = |times| Fault {
        method: Some("POST".into()),
        path_contains: "/issues/1/labels".into(),
        times,
        kind: FaultKind::Status(404),
    };
    world.gitea.fail(no_labels(1));
    let first = world.open_issue(bug());
    world.settle().await;
    assert_eq!(world.dead().await.len(), 1);
    assert_eq!(state(&world, &first).await, DispatchState::Failed);
    let second = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&second);
    // What was written for the first is no person's choice: it waits for its turn like any other.
    world.gitea.comment(&first, "bob", "any news?");
    world.settle().await;
    assert_eq!(world.history(&first).await.dispatches.len(), 1);
    world.gitea.close(&second, "alice");
    world.settle().await;
    world.assert_with_claude(&first);
}

#[tokio::test]
async fn a_place_that_the_next_does_not_take_goes_to_the_one_after() {
    let world = World::start().await;
    let [first, second, third] = one_at_work(&world).await;
    let blocker =
        world.open_issue(NewIssue { title: "Something vague".into(), ..NewIssue::default() });
    world.gitea.add_dependency(&second, &blocker);
    world.gitea.close(&first, "alice");
    world.settle().await;
    assert_eq!(world.history(&second).await.dispatches.len(), 0);
    assert!(world.comment(&second).contains("depends on"));
    world.assert_with_claude(&third);
}

#[tokio::test]
async fn a_place_goes_to_the_one_after_when_the_next_cannot_be_read() {
    let world = World::start().await;
    let [first, second, third] = one_at_work(&world).await;
    world.gitea.fail(Fault {
        method: Some("GET".into()),
        path_contains: format!("/issues/{}", second.number),
        times: 1,
        kind: FaultKind::Status(403),
    });
    world.gitea.close(&first, "alice");
    world.settle().await;
    assert_eq!(world.dead().await.len(), 1);
    world.assert_with_claude(&third);
}

#[tokio::test]
async fn more_places_are_given_to_those_who_wait() {
    let mut world = World::with("[[agent]]\nid = \"claude\"\nmax_concurrent = 1\n").await;
    let [_, second, third] = one_at_work(&world).await;
    world.configure(|text| text.replace("max_concurrent = 1", "max_concurrent = 3"));
    world.restart().await;
    world.settle().await;
    world.assert_with_claude(&second);
    world.assert_with_claude(&third);
}

#[tokio::test]
async fn a_place_is_not_held_for_good_by_an_issue_that_is_not_to_be_told_any_more() {
    let world = World::with("[triage]\nignore_labels = [\"wontfix\"]\n").await;
    let first = world.open_issue(bug());
    // The label never gets through, and is not refused for good either.
    world.gitea.fail(Fault {
        method: Some("POST".into()),
        path_contains: "/issues/1/labels".into(),
        times: 1,
        kind: FaultKind::Status(500),
    });
    world.settle_within(std::time::Duration::ZERO).await;
    assert_eq!(state(&world, &first).await, DispatchState::Pending);
    world.gitea.add_label(&first, "alice", "wontfix");
    world.settle().await;
    world.clock.advance(TimeDelta::minutes(100));
    world.settle().await;
    let looks = world.evaluations(&first).await;
    world.clock.advance(TimeDelta::minutes(30));
    world.settle().await;
    assert_eq!(state(&world, &first).await, DispatchState::TimedOut);
    assert!(world.evaluations(&first).await <= looks + 2, "it is not looked at without end");
    assert!(world.comments(&first).iter().any(|text| text.contains("could not be called in time")));
}

#[tokio::test]
async fn an_order_to_go_on_is_kept_while_the_agent_is_busy() {
    let world = World::start().await;
    let [first, second, third] = one_at_work(&world).await;
    world.gitea.close(&third, "alice");
    world.settle().await;
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    assert_eq!(state(&world, &first).await, DispatchState::TimedOut);
    world.assert_with_claude(&second);
    world.gitea.comment(&first, "alice", "/triage retry");
    world.settle().await;
    world.gitea.comment(&first, "bob", "any news?");
    world.settle().await;
    assert_eq!(world.history(&first).await.dispatches.len(), 1, "it waits");
    world.gitea.close(&second, "alice");
    world.settle().await;
    let dispatches = world.history(&first).await.dispatches;
    let last = dispatches.last().unwrap();
    assert_eq!((dispatches.len(), last.state), (2, DispatchState::Assigned));
    assert!(!last.by_person);
    assert!(world.comments(&first)[0].contains("**State:** `assigned`"));
}

#[tokio::test]
async fn a_label_that_a_person_put_on_and_took_off_is_not_put_back() {
    let world = World::start().await;
    let issue = given_by_alice(&world, |_| {}).await;
    world.gitea.comment(&issue, "bob", "any news?");
    world.settle().await;
    assert!(world.assignees(&issue).is_empty(), "nobody asked for more than the label");
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.settle().await;
    world.gitea.comment(&issue, "bob", "and now?");
    world.settle().await;
    assert!(world.labels(&issue).is_empty() && world.assignees(&issue).is_empty());
    assert_eq!(state(&world, &issue).await, DispatchState::Failed);
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn an_agent_that_takes_off_the_label_a_person_gave_it_has_begun() {
    let world = World::start().await;
    let issue = given_by_alice(&world, |_| {}).await;
    world.gitea.remove_label(&issue, "claude", "claude-ready");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::InProgress);
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn two_places_that_come_free_at_once_go_to_two() {
    let world = World::with("[[agent]]\nid = \"claude\"\nmax_concurrent = 2\n").await;
    let issues = [1, 2, 3, 4].map(|_| world.open_issue(bug()));
    world.settle().await;
    world.gitea.close(&issues[0], "alice");
    world.gitea.close(&issues[1], "alice");
    world.settle().await;
    issues.iter().for_each(|issue| world.assert_with_claude(issue));
}

#[tokio::test]
async fn a_label_that_a_person_puts_on_again_is_theirs() {
    let world = World::start().await;
    let [issue, second, _] = one_at_work(&world).await;
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.gitea.unassign(&issue, "alice", "claude");
    world.gitea.edit_issue(&issue, "bob", Some("It is slow"), Some("somehow"));
    world.settle().await;
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches.len(), 1, "it is not ready any more");
    world.gitea.add_label(&issue, "alice", "claude-ready");
    world.settle().await;
    let last = world.history(&issue).await.dispatches.pop().unwrap();
    assert!(last.by_person && last.state.is_open());
    world.comments(&issue);
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn a_label_that_we_took_off_and_a_person_puts_on_is_theirs() {
    let world = World::with("[review]\nrequire = [\"tasks\"]\n").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.close(&issue, "claude");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["kimi-ready"], "what claude did was not enough");
    world.gitea.add_label(&issue, "alice", "claude-ready");
    world.settle().await;
    assert!(world.labels(&issue).contains(&"claude-ready".to_owned()));
    world.comments(&issue);
}

#[tokio::test]
async fn an_agent_that_has_an_issue_again_is_not_called_again_when_it_begins() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.close(&issue, "claude");
    world.settle().await;
    world.gitea.reopen(&issue, "alice");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Assigned);
    world.gitea.remove_label(&issue, "claude", "claude-ready");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::InProgress);
    assert!(world.labels(&issue).is_empty());
    world.comment(&issue);
}

#[tokio::test]
async fn a_person_who_takes_back_what_they_gave_ends_it_although_the_agent_has_begun() {
    let world = World::start().await;
    let assign = |issue: &IssueRef| world.gitea.assign(issue, "alice", "claude");
    let issue = given_by_alice(&world, assign).await;
    world.gitea.remove_label(&issue, "claude", "claude-ready");
    world.settle().await;
    world.gitea.unassign(&issue, "alice", "claude");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Failed);
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn whoever_suits_and_gets_free_first_has_the_issue_that_waits() {
    let two = "[dispatch]\nroute = \"task-type\"\n\
        [[agent]]\nid = \"claude\"\nlogin = \"claude\"\nstrengths = [\"routine_coding\"]\nmax_concurrent = 1\n\
        [[agent]]\nid = \"kimi\"\nlogin = \"kimi\"\nstrengths = [\"routine_coding\"]\nmax_concurrent = 1\n";
    let world = World::with(two).await;
    world.gitea.add_collaborator(&world.repo, "kimi", "write");
    let [first, second, third] = [1, 2, 3].map(|_| world.open_issue(bug()));
    world.settle().await;
    assert_eq!([&first, &second].map(|at| world.assignees(at)), [["claude"], ["kimi"]]);
    let waits = world.history(&third).await.evaluations.pop().unwrap().reason;
    assert!(waits.contains("waits for `claude`"), "{waits}");
    world.gitea.close(&second, "alice");
    world.settle().await;
    assert_eq!(world.assignees(&third), ["kimi"]);
    for at in [first, second, third] {
        world.comment(&at);
    }
}

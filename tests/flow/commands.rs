//! People command in comments: writers are obeyed, once for each comment, and everybody is told why when not.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

/// A dispatched bug.
async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

/// The reactions of ours on the comment.
fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let bot = world.gitea.bot().login;
    let issue = world.issue(at);
    let comment = issue.comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().filter(|(by, _)| *by == bot).map(|(_, what)| what).collect()
}

#[tokio::test]
async fn a_hold_ends_our_part_until_resume_puts_back_what_is_missing() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let hold = world.gitea.comment(&issue, "alice", "/triage hold until the release");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, hold), ["+1"]);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Failed);
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.gitea.edit_issue(&issue, "bob", Some("[bug] It crashes again"), None);
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    assert_eq!(world.assignees(&issue), ["claude"]);
    assert_eq!(world.comments(&issue).len(), 1, "a reaction says enough");
    assert_eq!(world.history(&issue).await.dispatches[1].state, DispatchState::Assigned);
}

#[tokio::test]
async fn a_reader_is_refused_with_the_reason_and_a_writer_is_obeyed() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let refused = world.gitea.comment(&issue, "bob", "/triage assign kimi");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, refused), ["confused"]);
    let answers = world.comments(&issue);
    assert!(answers[1].contains("`bob` has no write access to this repository"), "{}", answers[1]);
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    world.gitea.comment(&issue, "alice", "/triage assign kimi");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["kimi-ready"], "the first agent is not left believing");
    assert!(world.assignees(&issue).is_empty(), "{:?}", world.assignees(&issue));
    let comments = world.comments(&issue);
    assert!(comments[2].contains("dispatched to `kimi`"), "{}", comments[2]);
}

#[tokio::test]
async fn a_comment_is_obeyed_once_however_often_it_comes() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    let help = world.gitea.comment(&issue, "bob", "/triage help");
    world.settle().await;
    assert_eq!(world.comments(&issue).len(), 2);
    let delivery = world
        .gitea
        .deliveries()
        .into_iter()
        .rfind(|d| d.event == "issue_comment" && d.action == "created");
    let told = world.gitea.deliveries().into_iter().find(|d| {
        d.event == "issue_comment" && String::from_utf8_lossy(&d.body).contains("/triage help")
    });
    assert!(delivery.is_some());
    world.gitea.redeliver(&told.unwrap().uuid).unwrap();
    world.gitea.edit_comment(&issue, "bob", help, "/triage help please");
    world.restart().await;
    world.settle().await;
    assert_eq!(world.comments(&issue).len(), 2);
    assert_eq!(reactions(&world, &issue, help), ["+1"]);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_given_twice() {
    use gitea_triage::fake_gitea::{Fault, FaultKind};
    let world = World::start().await;
    let issue = dispatched(&world).await;
    for kind in [FaultKind::AnswerLost, FaultKind::Status(500)] {
        let before = world.comments(&issue).len();
        let fault = Fault {
            method: Some("POST".into()),
            path_contains: "/comments".into(),
            times: 1,
            kind,
        };
        world
            .gitea
            .fail(Fault { path_contains: format!("/issues/{}/comments", issue.number), ..fault });
        world.gitea.comment(&issue, "alice", "/triage explain");
        world.settle().await;
        let after = world.comments(&issue);
        assert_eq!(after.len(), before + 1);
        assert!(after.last().unwrap().contains("score 9"), "{after:?}");
    }
}

#[tokio::test]
async fn done_ends_the_dispatch_and_retry_hands_over_once_more() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.comment(&issue, "alice", "/triage done");
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
    world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches[1].state, DispatchState::Assigned);
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn an_issue_can_be_given_to_a_person_but_not_to_nobody() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.comment(&issue, "alice", "/triage assign @alice");
    world.settle().await;
    assert!(world.assignees(&issue).contains(&"alice".to_owned()));
    world.gitea.comment(&issue, "alice", "/triage assign @nobody");
    world.gitea.comment(&issue, "alice", "/triage frobnicate");
    world.settle().await;
    let answers = world.comments(&issue);
    let refused = "the account `nobody` does not exist or cannot be assigned here";
    assert!(answers.iter().any(|a| a.contains(refused)), "{answers:#?}");
    assert!(answers.iter().any(|a| a.contains("`/triage frobnicate`")), "{answers:#?}");
}

#[tokio::test]
async fn giving_an_issue_to_nobody_takes_it_from_nobody() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.comment(&issue, "alice", "/triage assign @nobody");
    world.settle().await;
    assert!(world.comments(&issue)[1].contains("the account `nobody` does not exist"));
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches[0].state, DispatchState::Assigned);
    assert_eq!(world.assignees(&issue), ["claude"]);
}

#[tokio::test]
async fn a_label_of_an_agent_put_on_by_a_person_is_followed_without_a_comment() {
    let world = World::start().await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.add_label(&issue, "alice", "kimi-ready");
    world.gitea.resume();
    world.settle().await;
    assert!(world.comments(&issue).is_empty());
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches.len(), 1);
    assert_eq!(history.dispatches[0].agent.as_str(), "kimi");
    world.gitea.close(&issue, "alice");
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
}

#[tokio::test]
async fn an_order_given_by_hand_is_obeyed_once_and_answered_nowhere() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    world.order(&issue, "operator", "hold until noon").await;
    world.settle().await;
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches[0].state, DispatchState::Failed);
    assert!(history.evaluations[1].reason.starts_with("held by `operator`: `until noon`"));
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle().await;
    world.restart().await;
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches[1].state, DispatchState::Assigned);
    assert_eq!(world.comments(&issue).len(), 1);
}

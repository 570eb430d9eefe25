//! A closed issue is reviewed by what the owner requires; what is not met goes to the next agent, and in the end to a
//! person.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, IssueState};

use crate::world::{World, bug};

/// Too short for what is asked for again in minutes.
const MOMENT: Duration = Duration::from_secs(60);

fn requiring(checks: &str) -> String {
    format!("[triage]\nowner = \"alice\"\n[review]\nrequire = [{checks}]\n")
}

async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

fn pull_for(world: &World, issue: &IssueRef) -> IssueRef {
    world.open_issue(NewIssue {
        title: "Mend the login".into(),
        body: format!("Closes #{}", issue.number),
        author: "claude".into(),
        is_pull_request: true,
        ..NewIssue::default()
    })
}

#[tokio::test]
async fn an_open_task_sends_the_issue_to_the_next_agent_with_the_reason() {
    let world = World::with(&requiring("\"tasks\"")).await;
    let issue = dispatched(&world).await;
    world.gitea.close(&issue, "claude");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Open);
    assert_eq!(world.labels(&issue), ["kimi-ready"], "the first agent's label is gone");
    assert!(world.assignees(&issue).is_empty(), "and its assignment");
    let comments = world.comments(&issue);
    assert_eq!(comments.len(), 2, "{comments:#?}");
    assert!(comments[0].contains(
        "**State:** `failed`: the review was not passed: 1 task in its list is not ticked"
    ));
    assert!(comments[1].starts_with("**Triage: dispatched to `kimi` (label `kimi-ready`)**"));
    assert!(
        comments[1]
            .contains("**Before:** the review was not passed: 1 task in its list is not ticked.")
    );
    let history = world.history(&issue).await;
    let states: Vec<_> = history.dispatches.iter().map(|d| (d.agent.as_str(), d.state)).collect();
    assert_eq!(states, [("claude", DispatchState::Failed), ("kimi", DispatchState::Assigned)]);
}

#[tokio::test]
async fn after_the_last_try_a_person_is_asked() {
    let mut world = World::with(&requiring("\"tasks\"")).await;
    let issue = dispatched(&world).await;
    world.gitea.close(&issue, "claude");
    world.settle().await;
    world.restart().await;
    world.gitea.close(&issue, "kimi");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Open);
    let comments = world.comments(&issue);
    assert_eq!(comments.len(), 3, "{comments:#?}");
    let cause = "the review was not passed: 1 task in its list is not ticked";
    assert!(comments[2].starts_with(&format!(
        "**Triage: escalated**\n\n@alice, this needs a person. What was tried:\n\n- `claude`: {cause}\n- `kimi`: {cause}\n"
    )), "{}", comments[2]);
    assert_eq!(world.history(&issue).await.dispatches[1].state, DispatchState::Escalated);
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches.len(), 2, "nothing more happens by itself");
    world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches.len(), 3, "until a person says so");
    world.comments(&issue);
}

#[tokio::test]
async fn what_is_ticked_is_completed() {
    let world = World::with(&requiring("\"tasks\"")).await;
    let issue = dispatched(&world).await;
    let done = bug().body.replace("- [ ]", "- [x]");
    world.gitea.edit_issue(&issue, "claude", None, Some(&done));
    world.gitea.close(&issue, "claude");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Closed);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
    world.comments(&issue);
}

#[tokio::test]
async fn a_merged_pull_request_with_green_checks_completes() {
    let world = World::with(&requiring("\"pull_request\", \"status\"")).await;
    let issue = dispatched(&world).await;
    let pull = pull_for(&world, &issue);
    world.gitea.set_commit_status(&pull, "success");
    world.gitea.merge(&pull, "alice");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Closed);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
    world.comments(&issue);
}

#[tokio::test]
async fn checks_that_still_run_when_a_pull_request_is_merged_are_waited_for() {
    for (status, state) in
        [("success", DispatchState::Completed), ("failure", DispatchState::Failed)]
    {
        let world = World::with(&requiring("\"pull_request\", \"status\"")).await;
        let issue = dispatched(&world).await;
        let pull = pull_for(&world, &issue);
        world.gitea.set_commit_status(&pull, "pending");
        world.gitea.merge(&pull, "alice");
        world.settle_within(MOMENT).await;
        let history = world.history(&issue).await;
        assert!(history.dispatches[0].state.is_open(), "{:?}", history.dispatches[0]);
        let reason = &history.evaluations.last().unwrap().reason;
        assert_eq!(reason, "closed; the checks of `acme/widgets#2` still run");
        assert_eq!(world.issue(&issue).state, IssueState::Closed);
        world.gitea.set_commit_status(&pull, status);
        world.clock.advance(TimeDelta::minutes(5));
        world.settle_within(MOMENT).await;
        assert_eq!(world.history(&issue).await.dispatches[0].state, state);
        world.comments(&issue);
    }
}

#[tokio::test]
async fn checks_that_run_for_ever_keep_no_place_beyond_the_deadline() {
    let world = World::with(&requiring("\"pull_request\", \"status\"")).await;
    let issue = dispatched(&world).await;
    let pull = pull_for(&world, &issue);
    world.gitea.set_commit_status(&pull, "pending");
    world.gitea.merge(&pull, "alice");
    world.settle().await;
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Failed);
    assert!(world.comments(&issue)[0].contains("the checks of `acme/widgets#2` say `pending`"));
}

#[tokio::test]
async fn red_checks_and_no_pull_request_are_named() {
    let world = World::with(&requiring("\"pull_request\", \"status\"")).await;
    let issue = dispatched(&world).await;
    let pull = pull_for(&world, &issue);
    world.gitea.set_commit_status(&pull, "failure");
    world.gitea.merge(&pull, "alice");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Open);
    assert!(world.comments(&issue)[1].contains("the checks of `acme/widgets#2` say `failure`"));
    let other = world
        .open_issue(NewIssue { title: "[bug] Crash in src/b.py, must return".into(), ..bug() });
    world.settle().await;
    world.gitea.close(&other, "claude");
    world.settle().await;
    let comments = world.comments(&other);
    assert!(
        comments.iter().any(|c| c.contains("no merged pull request is linked to it")),
        "{comments:#?}"
    );
}

#[tokio::test]
async fn done_ends_the_dispatch_without_a_review() {
    let world = World::with(&requiring("\"tasks\"")).await;
    let issue = dispatched(&world).await;
    world.gitea.comment(&issue, "alice", "/triage done");
    world.settle().await;
    world.gitea.close(&issue, "alice");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Closed);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
    world.comments(&issue);
}

#[tokio::test]
async fn a_lost_answer_to_the_reopening_ends_the_same() {
    use gitea_triage::fake_gitea::{Fault, FaultKind};
    for kind in [FaultKind::AnswerLost, FaultKind::ResetBefore, FaultKind::Status(500)] {
        for path in ["/comments", "/issues/1", "/labels"] {
            let world = World::with(&requiring("\"tasks\"")).await;
            let issue = dispatched(&world).await;
            world.gitea.close(&issue, "claude");
            world.gitea.delivered().await;
            world.gitea.fail(Fault {
                method: None,
                path_contains: path.into(),
                times: 3,
                kind: kind.clone(),
            });
            world.settle().await;
            let comments = world.comments(&issue);
            assert_eq!(comments.len(), 2, "{kind:?} {path}: {comments:#?}");
            assert_eq!(world.labels(&issue), ["kimi-ready"], "{kind:?} {path}");
            assert!(world.assignees(&issue).is_empty(), "{kind:?} {path}");
            assert_eq!(world.issue(&issue).state, IssueState::Open, "{kind:?} {path}");
        }
    }
}

#[tokio::test]
async fn what_a_person_closes_stays_closed() {
    let world = World::with(&requiring("\"tasks\", \"pull_request\"")).await;
    let issue = dispatched(&world).await;
    world.gitea.close(&issue, "alice");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Closed);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Completed);
    world.comments(&issue);
}

#[tokio::test]
async fn what_a_label_settles_stays_closed_whoever_closed_it() {
    for more in ["", "reopen = \"always\"\n"] {
        let world = World::with(&format!("{}{more}", requiring("\"tasks\""))).await;
        for (number, label) in
            ["duplicate", "Status: Won't fix", "resolution/INVALID 🚫"].into_iter().enumerate()
        {
            let title = format!("[bug] Login crashes in src/auth/{number}.py and must return 400");
            let issue = world.open_issue(NewIssue { title, ..bug() });
            world.settle().await;
            world.gitea.add_label(&issue, "alice", label);
            world.gitea.close(&issue, "claude");
            world.settle().await;
            assert_eq!(world.issue(&issue).state, IssueState::Closed, "{label}");
            world.comments(&issue);
        }
    }
}

#[tokio::test]
async fn a_persons_closing_is_undone_only_where_the_owner_wants_it() {
    let world = World::with(&format!("{}reopen = \"always\"\n", requiring("\"tasks\""))).await;
    let issue = dispatched(&world).await;
    world.gitea.close(&issue, "alice");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Open);
    assert_eq!(world.history(&issue).await.dispatches[0].state, DispatchState::Failed);
    world.comments(&issue);
}

#[tokio::test]
async fn a_merge_is_the_work_and_a_person_long_after_it_is_not() {
    let world = World::with(&requiring("\"tasks\"")).await;
    let issue = dispatched(&world).await;
    let pull = pull_for(&world, &issue);
    world.gitea.merge(&pull, "alice");
    world.settle().await;
    assert_eq!(
        world.issue(&issue).state,
        IssueState::Open,
        "the merge closed it, with an open task"
    );
    world.comments(&issue);
}

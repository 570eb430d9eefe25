//! What our comments say is so: what was refused is said, and what no longer holds says that at its top.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

const OWNER: &str = "[triage]\nowner = \"alice\"\n";
const OVER: &str = "**Nobody has to act on this any more:**";

/// From now on the forge answers so to every such request.
fn refuse(world: &World, method: &str, path: &str, status: u16) {
    let (method, path_contains) = (Some(method.into()), path.into());
    let kind = FaultKind::Status(status);
    world.gitea.fail(Fault { method, path_contains, times: 1_000, kind });
}

async fn last_state(world: &World, issue: &IssueRef) -> DispatchState {
    world.history(issue).await.dispatches.last().expect("a dispatch").state
}

#[tokio::test]
async fn a_label_that_the_forge_refuses_is_said_in_the_comment_and_the_rest_is_done() {
    let world = World::start().await;
    refuse(&world, "POST", "/issues/1/labels", 403);
    let issue = world.open_issue(bug());
    world.settle().await;
    let comment = world.comment(&issue);
    let expected = "dispatched to `claude` (without the label `claude-ready`: `POST acme/widgets#1 labels`: the forge answered 403";
    assert!(comment.contains(expected), "{comment}");
    assert!(comment.contains("assigned `claude`"), "{comment}");
    assert_eq!(world.assignees(&issue), ["claude"]);
    assert_eq!(last_state(&world, &issue).await, DispatchState::Assigned);
    let tried = world.gitea.writes();
    let tried = tried.iter().filter(|w| w.method == "POST" && w.path.ends_with("/issues/1/labels"));
    assert_eq!(tried.count(), 1, "what was refused is not asked for again and again");
}

#[tokio::test]
async fn a_dispatch_of_which_nobody_could_be_told_goes_to_a_person() {
    let world = World::with(OWNER).await;
    refuse(&world, "POST", "/issues/1/labels", 403);
    refuse(&world, "PATCH", "/issues/1", 403);
    let issue = world.open_issue(bug());
    world.settle().await;
    let comments = world.comments(&issue);
    assert!(comments[0].contains("without the label") || comments[0].contains("`escalated`"));
    assert!(!comments[0].contains("`assigned`"), "{}", comments[0]);
    assert!(comments[1].starts_with("**Triage: escalated**\n\n@alice"), "{}", comments[1]);
    assert!(comments[1].contains("answered 403"), "{}", comments[1]);
    assert_eq!(last_state(&world, &issue).await, DispatchState::Escalated);
    world.gitea.clear_faults();
    let next = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&next);
}

#[tokio::test]
async fn an_agent_that_nothing_can_call_here_gets_nothing() {
    let world = World::with(&format!(
        "{OWNER}[[agent]]\nid = \"claude\"\nlabel = \"\"\nlogin = \"stranger\"\n"
    ))
    .await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let comments = world.comments(&issue);
    assert!(
        comments[1].contains("the account `stranger` cannot be assigned here"),
        "{comments:#?}"
    );
    assert_eq!(last_state(&world, &issue).await, DispatchState::Escalated);
}

#[tokio::test]
async fn a_comment_written_before_all_was_given_up_says_what_is_missing() {
    for (method, path) in [("POST", "/issues/1/labels"), ("PATCH", "/issues/1"), ("GET", "/labels")]
    {
        let world = World::start().await;
        refuse(&world, method, path, 404);
        let issue = world.open_issue(bug());
        world.settle().await;
        let comment = world.comment(&issue);
        assert!(comment.starts_with("**Not all of this was done:**"), "{method} {path}: {comment}");
        assert!(comment.contains("assignee `claude`"), "{method} {path}: {comment}");
        assert_eq!(world.dead().await.len(), 1);
        let history = world.history(&issue).await;
        let last = history.evaluations.last().expect("an evaluation");
        assert!(last.effects.iter().any(|effect| effect.kind == "edit"), "{last:#?}");
        // Once the forge takes it, the same comment tells the truth again.
        world.gitea.clear_faults();
        world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
        world.settle().await;
        assert!(!world.comments(&issue)[0].contains("Not all"), "{:#?}", world.comments(&issue));
        assert_eq!(world.assignees(&issue), ["claude"]);
    }
}

#[tokio::test]
async fn a_comment_of_an_attempt_before_the_last_is_corrected_as_well() {
    let world = World::start().await;
    refuse(&world, "POST", "/issues/1/labels", 500);
    let issue = world.open_issue(bug());
    world.settle().await;
    let comment = world.comment(&issue);
    assert!(comment.starts_with("**Not all of this was done:**"), "{comment}");
    assert_eq!(world.dead().await.len(), 1);
}

#[tokio::test]
async fn a_call_for_a_person_says_when_it_is_over() {
    let world = World::with(OWNER).await;
    let blocker = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    let mut blocked = bug();
    blocked.body.push_str(&format!("\n\nBlocked by #{}", blocker.number));
    let blocked = world.open_issue(blocked);
    world.settle().await;
    world.gitea.close(&blocker, "alice");
    world.settle().await;
    let comments = world.comments(&blocked);
    assert!(comments[0].starts_with(OVER), "{}", comments[0]);
    assert!(comments[0].contains("@alice, this needs you"), "what it said can still be read");
    assert!(comments[1].starts_with("**Triage: dispatched to `claude`"), "{comments:#?}");
    // Called anew, they hear of it: an edit notifies nobody.
    world.gitea.comment(&blocked, "alice", "/triage hold");
    world.gitea.edit_issue(
        &blocked,
        "bob",
        None,
        Some("src/db.py must return 400. Blocked by #77"),
    );
    world.settle().await;
    world.gitea.comment(&blocked, "alice", "/triage resume");
    world.settle().await;
    let comments = world.comments(&blocked);
    assert!(
        comments.last().unwrap().starts_with("**Triage: @alice, this needs you**"),
        "{comments:#?}"
    );
}

#[tokio::test]
async fn a_time_out_says_when_it_is_over() {
    let ends: [fn(&World, &IssueRef); 2] = [
        |world, issue| world.gitea.close(issue, "alice"),
        |world, issue| _ = world.gitea.comment(issue, "alice", "/triage retry"),
    ];
    for end in ends {
        let world = World::with(OWNER).await;
        let issue = world.open_issue(bug());
        world.settle().await;
        world.clock.advance(TimeDelta::hours(3));
        world.settle().await;
        let comments = world.comments(&issue);
        let told = comments.iter().position(|c| c.starts_with("**Triage: timed out**"));
        end(&world, &issue);
        world.settle().await;
        let comments = world.comments(&issue);
        assert!(comments[told.unwrap()].starts_with(OVER), "{comments:#?}");
    }
}

#[tokio::test]
async fn an_open_pull_request_that_closes_the_issue_puts_the_deadline_off() {
    let world = World::with(OWNER).await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let pull = world.open_issue(NewIssue {
        title: "Mend the login".into(),
        body: format!("Closes #{}", issue.number),
        author: "claude".into(),
        is_pull_request: true,
        ..NewIssue::default()
    });
    for _ in 0..6 {
        world.clock.advance(TimeDelta::hours(1));
        world.settle().await;
    }
    let comments = world.comments(&issue);
    assert!(comments[1].starts_with("**Triage: reminder**"), "{comments:#?}");
    assert!(comments[1].contains("As long as `acme/widgets#2` is open"), "{}", comments[1]);
    assert_eq!(comments.len(), 2, "{comments:#?}");
    assert!(last_state(&world, &issue).await.is_open());
    world.gitea.close(&pull, "alice");
    for _ in 0..3 {
        world.clock.advance(TimeDelta::hours(1));
        world.settle().await;
    }
    assert_eq!(last_state(&world, &issue).await, DispatchState::TimedOut);
    world.comments(&issue);
}

#[tokio::test]
async fn what_a_person_took_over_did_not_fail() {
    let takes: [fn(&World, &IssueRef); 3] = [
        |world, issue| {
            world.gitea.unassign(issue, "alice", "claude");
            world.gitea.assign(issue, "alice", "alice");
        },
        |world, issue| _ = world.gitea.comment(issue, "alice", "/triage assign @alice"),
        |world, issue| _ = world.gitea.comment(issue, "alice", "/triage hold"),
    ];
    for take in takes {
        let world = World::start().await;
        let issue = world.open_issue(bug());
        world.settle().await;
        take(&world, &issue);
        world.settle().await;
        let comment = world.comment(&issue);
        assert!(comment.contains("**State:** `ended`: "), "{comment}");
        let history = world.history(&issue).await;
        let last = history.transitions.last().and_then(|all| all.last()).expect("a change");
        assert_eq!(last.state, "ended");
    }
}

#[tokio::test]
async fn an_assignment_that_is_not_there_is_not_said_to_be_found() {
    let world = World::start().await;
    let kind = FaultKind::ResetBefore;
    let (method, path_contains) = (Some("PATCH".into()), "/issues/1".into());
    world.gitea.fail(Fault { method, path_contains, times: 1, kind });
    let issue = world.open_issue(bug());
    world.settle_within(Duration::from_millis(500)).await;
    world.gitea.assign(&issue, "alice", "alice");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["alice"]);
    let effects = world.history(&issue).await.evaluations.into_iter().flat_map(|e| e.effects);
    let assigned: Vec<_> = effects.filter(|e| e.kind == "assignee").collect();
    let [assigned] = &assigned[..] else { panic!("{assigned:#?}") };
    assert_eq!(assigned.state, "failed", "{assigned:#?}");
    world.comments(&issue);
}

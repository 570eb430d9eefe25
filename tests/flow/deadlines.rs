//! A dispatch is followed to its end: begun, reminded, timed out, with the clock in hand.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

const OWNER: &str = "[triage]\nowner = \"alice\"\n";

async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

async fn states(world: &World, at: &IssueRef) -> Vec<String> {
    let history = world.history(at).await;
    let transitions = history.transitions.last().unwrap();
    transitions.iter().map(|one| one.state.clone()).collect()
}

/// What the audit comment says about the state.
fn state_line(world: &World, at: &IssueRef) -> String {
    let comments = world.comments(at);
    let line = comments[0].lines().find(|line| line.starts_with("**State:**"));
    line.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_audit_comment_always_shows_the_state_and_the_deadline() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    assert_eq!(state_line(&world, &issue), "**State:** `assigned`, until 2026-03-23 14:00 UTC");
    world.gitea.comment(&issue, "claude", "on it");
    world.settle().await;
    assert_eq!(
        state_line(&world, &issue),
        "**State:** `in_progress`: `claude` commented, until 2026-03-23 14:00 UTC"
    );
    world.gitea.close(&issue, "claude");
    world.settle().await;
    assert_eq!(state_line(&world, &issue), "**State:** `completed`: the issue is closed");
    assert_eq!(states(&world, &issue).await, ["pending", "assigned", "in_progress", "completed"]);
    assert_eq!(world.comments(&issue).len(), 1, "the comment is edited, nobody is told anew");
}

#[tokio::test]
async fn somebody_elses_comment_is_no_sign_of_work() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.comment(&issue, "bob", "any news?");
    world.settle().await;
    assert_eq!(states(&world, &issue).await, ["pending", "assigned"]);
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn a_pull_request_about_the_issue_is_a_sign_of_work() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.open_issue(NewIssue {
        title: "Mend the login".into(),
        body: format!("Closes #{}", issue.number),
        author: "claude".into(),
        is_pull_request: true,
        ..NewIssue::default()
    });
    world.gitea.comment(&issue, "bob", "I see a pull request");
    world.settle().await;
    let line = state_line(&world, &issue);
    assert!(line.starts_with("**State:** `in_progress`: `acme/widgets#2` is about it"), "{line}");
}

#[tokio::test]
async fn an_agent_is_reminded_once_before_its_deadline() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    world.clock.advance(TimeDelta::minutes(89));
    world.work_within(std::time::Duration::ZERO).await;
    assert_eq!(world.comments(&issue).len(), 1);
    world.clock.advance(TimeDelta::minutes(1));
    world.work_within(std::time::Duration::ZERO).await;
    let comments = world.comments(&issue);
    assert!(
        comments[1]
            .starts_with("**Triage: reminder**\n\n@claude: this is due at 2026-03-23 14:00 UTC.")
    );
    world.restart().await;
    world.clock.advance(TimeDelta::minutes(10));
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
    world.settle_within(std::time::Duration::from_secs(5)).await;
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn a_deadline_that_passes_calls_the_owner_and_frees_the_agent() {
    let mut world = World::with(OWNER).await;
    let first = dispatched(&world).await;
    let second = world.open_issue(bug());
    world.settle().await;
    assert!(world.labels(&second).is_empty(), "the second waits");
    world.restart().await;
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    let comments = world.comments(&first);
    assert!(comments[1].starts_with(
        "**Triage: timed out**\n\n@alice: `claude` has had this for 2 h, and it is not closed."
    ));
    assert_eq!(
        state_line(&world, &first),
        "**State:** `timed_out`: `claude` did not finish it in time"
    );
    assert_eq!(states(&world, &first).await, ["pending", "assigned", "timed_out"]);
    assert_eq!(world.history(&second).await.dispatches[0].state, DispatchState::Assigned);
    world.comments(&second);
    // What is left is left, and nothing more happens by itself.
    assert_eq!(world.labels(&first), ["claude-ready"]);
    world.gitea.edit_issue(&first, "bob", Some("[bug] Login crashes, still"), None);
    world.settle().await;
    assert_eq!(world.history(&first).await.dispatches.len(), 1);
    assert_eq!(world.comments(&first).len(), 2);
}

#[tokio::test]
async fn retry_after_a_time_out_hands_the_issue_over_once_more() {
    let world = World::with(OWNER).await;
    let issue = dispatched(&world).await;
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    let history = world.history(&issue).await;
    let states: Vec<_> = history.dispatches.iter().map(|d| d.state).collect();
    assert_eq!(states, [DispatchState::TimedOut, DispatchState::Assigned]);
    assert_eq!(world.assignees(&issue), ["claude"]);
    world.comments(&issue);
}

#[tokio::test]
async fn a_dispatch_by_a_person_times_out_without_a_comment() {
    let world = World::with(OWNER).await;
    let issue = world.open_issue(NewIssue {
        title: "It is slow".into(),
        labels: vec!["kimi-ready".into()],
        ..bug()
    });
    world.settle().await;
    assert!(world.comments(&issue).is_empty());
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    assert_eq!(states(&world, &issue).await, ["assigned", "timed_out"]);
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn a_label_that_the_agent_took_off_itself_is_a_sign_of_work() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.remove_label(&issue, "claude", "claude-ready");
    world.settle().await;
    assert!(world.labels(&issue).is_empty(), "it is not put back");
    let line = state_line(&world, &issue);
    assert!(
        line.starts_with("**State:** `in_progress`: `claude` took `claude-ready` off"),
        "{line}"
    );
    world.gitea.unassign(&issue, "alice", "claude");
    world.settle().await;
    assert_eq!(states(&world, &issue).await, ["pending", "assigned", "in_progress", "ended"]);
}

#[tokio::test]
async fn a_lost_answer_to_a_reminder_leaves_one() {
    use gitea_triage::fake_gitea::{Fault, FaultKind};
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.fail(Fault {
        method: Some("POST".into()),
        path_contains: "/comments".into(),
        times: 1,
        kind: FaultKind::AnswerLost,
    });
    world.clock.advance(TimeDelta::minutes(90));
    world.settle_within(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.comments(&issue).len(), 2);
}

/// A whole course, with whatever `between` does between two of its steps; how it ended.
async fn course(
    mut between: impl AsyncFnMut(&mut World),
) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut world =
        World::with("[triage]\nowner = \"alice\"\n[review]\nrequire = [\"tasks\"]\n").await;
    let issue = world.open_issue(bug());
    let steps: [fn(&World, &IssueRef); 7] = [
        |_, _| {},
        |world, issue| _ = world.gitea.comment(issue, "claude", "on it"),
        |world, issue| world.gitea.close(issue, "claude"),
        |world, _| world.clock.advance(TimeDelta::minutes(95)),
        |world, _| world.clock.advance(TimeDelta::minutes(30)),
        |world, issue| _ = world.gitea.comment(issue, "alice", "/triage assign kimi"),
        |world, issue| _ = world.gitea.comment(issue, "alice", "/triage done"),
    ];
    for step in steps {
        step(&world, &issue);
        world.settle_within(std::time::Duration::from_secs(5)).await;
        between(&mut world).await;
    }
    let history = world.history(&issue).await;
    let states = history.transitions.concat().into_iter().map(|one| one.state).collect();
    let comments = world.comments(&issue);
    let headlines = comments.iter().filter_map(|c| c.lines().next().map(str::to_owned)).collect();
    (states, headlines, world.labels(&issue))
}

#[tokio::test]
async fn a_restart_at_every_transition_ends_the_same() {
    let whole = course(async |_| {}).await;
    assert_eq!(
        whole.0,
        [
            "pending",
            "assigned",
            "in_progress",
            "failed",
            "pending",
            "assigned",
            "timed_out",
            "pending",
            "assigned",
            "completed"
        ]
    );
    assert_eq!(whole.1.len(), 5, "{:?}", whole.1);
    let restarted = course(async |world| {
        world.restart().await;
        world.settle_within(std::time::Duration::from_secs(5)).await;
    })
    .await;
    assert_eq!(restarted, whole);
}

#[tokio::test]
async fn a_store_put_back_from_a_copy_tells_nobody_twice() {
    let mut world = World::on_file(OWNER).await;
    let issue = dispatched(&world).await;
    let copy = world.store_path().with_file_name("copy.db");
    world.service().parts().store.backup(copy.clone()).await.unwrap();
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    let told = world.comments(&issue);
    assert_eq!(told.len(), 2, "the dispatch and its time-out: {told:#?}");

    world.go_back(&copy).await;
    world.settle().await;
    let now = world.comments(&issue);
    assert_eq!(now.len(), told.len(), "nothing is told again: {now:#?}");
    assert_eq!(states(&world, &issue).await, ["pending", "assigned", "timed_out"]);
}

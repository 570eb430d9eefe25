//! What a delivery leads to: dispatch, flag, skip, wait, finish.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, Flavour, NewIssue};
use gitea_triage::issue::IssueRef;
use gitea_triage::sweep::How;

use crate::world::{self, World, bug};

#[tokio::test]
async fn a_ready_bug_goes_to_claude() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches.len(), 1);
    assert_eq!(history.dispatches[0].state, DispatchState::Assigned);
}

#[tokio::test]
async fn ready_research_goes_to_kimi_by_label_alone() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue {
        title: "[research] Which queue keeps order per issue?".into(),
        body: "Compare the queues in src/queue.py. The report must name two, should say why and verify it.\n\n## Expected\n`run()` returns.".into(),
        ..NewIssue::default()
    });
    world.settle().await;
    assert!(
        world.comment(&issue).starts_with("**Triage: dispatched to `kimi` (label `kimi-ready`)**")
    );
    assert_eq!(world.labels(&issue), ["kimi-ready"]);
    assert!(world.assignees(&issue).is_empty());
}

#[tokio::test]
async fn a_vague_issue_is_left_alone_and_the_ledger_says_what_is_missing() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    assert!(world.gitea.writes().is_empty());
    let history = world.history(&issue).await;
    assert_eq!(history.evaluations[0].action, "skip");
    assert!(history.evaluations[0].reason.contains("below the threshold"));
}

#[tokio::test]
async fn a_blocked_issue_calls_its_owner_once() {
    let world = World::with("[triage]\nowner = \"alice\"").await;
    let mut blocked = bug();
    blocked.body.push_str("\n\nThis is blocked by the schema change.");
    let issue = world.open_issue(blocked);
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    assert!(world.comment(&issue).starts_with("**Triage: @alice, this needs you**"));
    assert!(world.assignees(&issue).is_empty());
}

#[tokio::test]
async fn an_open_dependency_blocks_and_a_closed_one_does_not() {
    let world = World::start().await;
    let first = world.open_issue(NewIssue { title: "first".into(), ..NewIssue::default() });
    let second = world.open_issue(bug());
    world.gitea.add_dependency(&second, &first);
    world.settle().await;
    assert!(world.comment(&second).contains("@acme/owners, this needs you"));
    world.gitea.close(&first, "alice");
    world.gitea.edit_issue(&second, "bob", Some("[bug] Login still crashes"), None);
    world.settle().await;
    assert_eq!(world.assignees(&second), ["claude"]);
    assert_eq!(world.comments(&second).len(), 2);
}

#[tokio::test]
async fn a_blocker_that_is_closed_by_now_blocks_no_more() {
    let world = World::start().await;
    let first = world.open_issue(NewIssue { title: "first".into(), ..NewIssue::default() });
    world.gitea.close(&first, "alice");
    let mut waiting = bug();
    waiting.body.push_str(&format!("\n\nBlocked by #{}.", first.number));
    let second = world.open_issue(waiting);
    world.settle().await;
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn a_busy_agent_makes_the_next_issue_wait_and_its_end_wakes_it() {
    let world = World::start().await;
    let first = world.open_issue(bug());
    world.settle().await;
    let second = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&first);
    assert_eq!(last_action(&world, &second).await, "wait");
    assert!(world.assignees(&second).is_empty(), "waiting writes nothing");
    world.gitea.close(&first, "alice");
    world.settle().await;
    world.assert_with_claude(&second);
    assert_eq!(last_action(&world, &first).await, "finish");
    assert_eq!(world.history(&first).await.dispatches[0].state, DispatchState::Completed);
}

#[tokio::test]
async fn a_deleted_issue_ends_what_was_open_for_it() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    world.gitea.delete_issue(&issue);
    if world::flavour() == Flavour::Forgejo {
        // It tells nobody of that; the sweep finds it.
        world.sweep(How { full: true, ..How::default() }).await;
    }
    world.settle().await;
    let history = world.history(&issue).await;
    assert_eq!(history.dispatches[0].state, DispatchState::Completed);
    assert_eq!(history.evaluations.last().unwrap().action, "finish");
}

#[tokio::test]
async fn an_agent_without_an_account_is_called_by_its_label_and_the_comment_says_so() {
    let world = World::start().await;
    world.gitea.remove_user("claude");
    let issue = world.open_issue(bug());
    world.settle().await;
    assert!(
        world.comment(&issue).contains("not assigned, because the account `claude` does not exist")
    );
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    assert!(world.assignees(&issue).is_empty());
}

#[tokio::test]
async fn a_label_of_the_organisation_is_used_before_one_is_made() {
    let world = World::start().await;
    world.gitea.create_org_label("acme", "claude-ready");
    let issue = world.open_issue(bug());
    world.settle().await;
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    assert!(world.gitea.labels(&world.repo).is_empty());
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn without_leave_to_make_labels_the_ledger_says_which_one_is_missing() {
    let world = World::with("[labels]\ncreate = false").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    assert_eq!(world.comments(&issue).len(), 1);
    assert!(world.labels(&issue).is_empty());
    let history = world.history(&issue).await;
    let label = history.evaluations[0].effects.iter().find(|e| e.kind == "label").unwrap();
    assert_eq!(label.state, "failed");
    assert!(label.detail.as_ref().unwrap().contains("labels.create"));
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_keeps_what_it_would_have_written() {
    let world = World::with("[triage]\ndry_run = true").await;
    let issue = world.open_issue(bug());
    let other = world.open_issue(bug());
    world.settle().await;
    assert!(world.gitea.writes().is_empty());
    for at in [issue, other] {
        let history = world.history(&at).await;
        let kinds: Vec<_> =
            history.evaluations[0].effects.iter().map(|e| e.kind.as_str()).collect();
        assert_eq!(kinds, ["comment", "label", "assignee"]);
        assert!(history.evaluations[0].effects.iter().all(|e| e.state == "withheld"));
        assert!(history.dispatches.is_empty(), "a dry run takes nobody's place");
    }
}

async fn last_action(world: &World, at: &IssueRef) -> String {
    world.history(at).await.evaluations.last().unwrap().action.clone()
}

/// The calls that read an issue and what it waits for, without the host's path.
fn reads(world: &World) -> Vec<String> {
    let reads = world.gitea.requests().into_iter().filter(|r| r.method == "GET");
    let paths = reads.filter_map(|r| Some(r.path.split_once("/widgets/")?.1.to_owned()));
    paths.filter(|path| path.starts_with("issues/")).collect()
}

#[tokio::test]
async fn of_a_new_issue_it_is_asked_at_once_what_it_waits_for() {
    let world = World::start().await;
    let vague = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    assert_eq!(reads(&world).len(), 2, "both, although the first alone decides it");
    assert!(reads(&world).contains(&"issues/1/dependencies".to_owned()));
    world.gitea.edit_issue(&vague, "alice", Some("It is still slow"), None);
    world.settle().await;
    assert_eq!(reads(&world).split_off(2), ["issues/1"], "and later only what is needed");
}

#[tokio::test]
async fn what_a_new_issue_waits_for_may_be_secret_where_it_does_not_matter() {
    let world = World::start().await;
    let (method, path_contains) = (None, "/dependencies".to_owned());
    let fault = Fault { method, path_contains, times: u32::MAX, kind: FaultKind::Status(403) };
    world.gitea.fail(fault);
    let issue = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    assert_eq!(world.history(&issue).await.evaluations[0].action, "skip");
}

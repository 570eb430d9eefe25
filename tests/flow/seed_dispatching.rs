//! The original's own tests for its dispatcher, asked of this implementation. The original called functions with
//! mocks; here each case is a story over HTTP, or stands where the table says.
//!
//! | original | here |
//! |---|---|
//! | `TestAgentRegistry` (5 cases) | `agent_registry` |
//! | `TestSelectAgent` (8 cases) | `select_agent` |
//! | `TestInferTaskType` (9 cases) | `infer_task_type` in `tests/seed_scoring.rs` |
//! | `TestDispatchResult` (4 cases) | the exit codes in `tests/cli.rs`, `an_issue_is_given_to_an_agent_by_hand` |
//! | `TestDispatchLocal::test_returns_assigned`, `test_infers_task_type` | `dispatch_local_*` |
//! | `TestDispatchLocal::test_no_issue_number` | none: each dispatch is about an issue |
//! | `TestDispatchViaApi::test_no_endpoint_returns_failed` | `http_agents::what_a_person_has_to_mend_is_not_tried_again` |
//! | `TestDispatchViaApi::test_successful_api_call` | `http_agents::an_issue_is_handed_over_and_its_result_becomes_a_comment` |
//! | `TestDispatchViaApi::test_api_error_returns_failed` | `http_agents::a_hand_off_that_fails_is_tried_again_with_the_same_id` |
//! | `TestDispatchViaGitea::test_successful_gitea_dispatch` | `dispatch_via_gitea` |
//! | `TestDispatchViaGitea::test_no_gitea_token_returns_failed` | `without_a_token_nothing_starts` |
//! | `TestDispatchViaGitea::test_gitea_disabled_returns_failed` | `an_agent_that_is_not_enabled_gets_nothing` |
//! | `TestDispatchViaGitea::test_existing_label_reused` | `an_existing_label_is_used_again` |
//! | `TestDispatchTask::test_empty_title_returns_failed` | `a_blank_title_is_handed_to_nobody` |
//! | `TestDispatchTask::test_local_dispatch_for_timmy_task` | `dispatch_local_takes_a_triage_task` |
//! | `TestDispatchTask::test_explicit_agent_override` | `an_agent_named_by_hand_gets_the_issue_whatever_its_task` |
//! | `TestDispatchTask::test_gitea_dispatch_when_issue_provided` | `dispatch_via_gitea` |
//! | `TestDispatchTask::test_escalation_after_max_retries` | `http_agents::after_the_last_hand_off_a_person_is_asked` |
//! | `TestDispatchTask::test_no_retry_on_success` | `http_agents::an_issue_is_handed_over_and_its_result_becomes_a_comment` |
//! | `TestWaitForCompletion::test_returns_completed_when_issue_closed` | `deadlines::the_audit_comment_always_shows_the_state_and_the_deadline` |
//! | `TestWaitForCompletion::test_returns_timed_out_when_still_open` | `deadlines::a_deadline_that_passes_calls_the_owner_and_frees_the_agent` |

use gitea_triage::config::{Config, built_in_agents};
use gitea_triage::dispatch::{DispatchState, Interface, TaskType};
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::gitea::issue_from_json;
use gitea_triage::issue::IssueRef;
use gitea_triage::triage::{Policy, Triage};
use serde_json::json;

use crate::world::{World, bug};

#[test]
fn agent_registry() {
    let agents = built_in_agents();
    let ids: Vec<_> = agents.iter().map(|agent| agent.id.as_str()).collect();
    assert_eq!(ids, ["claude", "kimi", "api", "local"]);
    for agent in &agents {
        assert!(!agent.id.as_str().is_empty());
        assert_eq!(agent.label.is_some(), agent.interface == Interface::Forge, "{}", agent.id);
        assert!(agent.max_concurrent >= 1);
        assert!(!agent.strengths.is_empty());
    }
}

#[test]
fn select_agent() {
    let triage = Triage::new(Policy::default()).unwrap();
    let issue = issue_from_json(&json!({"number": 1, "title": "Do the thing"})).unwrap();
    for (task, expected) in [
        (TaskType::Architecture, "claude"),
        (TaskType::Refactoring, "claude"),
        (TaskType::CodeReview, "claude"),
        (TaskType::RoutineCoding, "kimi"),
        (TaskType::FastIteration, "kimi"),
        (TaskType::Research, "api"),
        (TaskType::Triage, "local"),
        (TaskType::Planning, "local"),
    ] {
        let agent = triage.suitable(&issue, &built_in_agents(), Some(task)).unwrap();
        assert_eq!(agent.as_str(), expected, "{task}");
    }
}

fn architecture() -> NewIssue {
    NewIssue {
        title: "[feature] Design the router".into(),
        body: "## Problem\nWe need a cascade router in src/router.py: `route()` must return, verify it.\n\n## Acceptance criteria\n- Failover works\n".into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

async fn last(world: &World, at: &IssueRef) -> (String, TaskType, DispatchState) {
    let history = world.history(at).await;
    let dispatch = history.dispatches.last().unwrap();
    (dispatch.agent.to_string(), dispatch.task_type, dispatch.state)
}

#[tokio::test]
async fn dispatch_via_gitea() {
    let world = World::start().await;
    let issue = world.open_issue(architecture());
    world.settle().await;
    let expected = ("claude".to_owned(), TaskType::Architecture, DispatchState::Assigned);
    assert_eq!(last(&world, &issue).await, expected);
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    assert!(world.comment(&issue).contains("```text\nFailover works\n```"));
}

#[tokio::test]
async fn an_existing_label_is_used_again() {
    let world = World::start().await;
    world.gitea.create_repo_label(&world.repo, "claude-ready");
    let issue = world.open_issue(architecture());
    world.settle().await;
    world.assert_with_claude(&issue);
    let made =
        world.gitea.writes().into_iter().filter(|w| w.path.ends_with("/acme/widgets/labels"));
    assert_eq!(made.count(), 0);
}

#[test]
fn without_a_token_nothing_starts() {
    let text = "[gitea]\nurl = \"http://x\"\nrepos = [\"a/b\"]\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n";
    let error = Config::from_toml("t.toml", text, std::iter::empty()).unwrap_err().to_string();
    assert!(error.contains("`gitea.token`"), "{error}");
}

#[tokio::test]
async fn an_agent_that_is_not_enabled_gets_nothing() {
    let world = World::with("[[agent]]\nid = \"claude\"\nenabled = false\n").await;
    let issue = world.open_issue(architecture());
    world.settle().await;
    assert!(world.history(&issue).await.dispatches.is_empty());
    assert!(world.comment(&issue).contains("no agent is configured for it"));
}

#[tokio::test]
async fn without_any_agent_a_ready_issue_goes_to_people() {
    let none = ["claude", "kimi", "api", "local"]
        .map(|id| format!("[[agent]]\nid = \"{id}\"\nenabled = false\n"))
        .concat();
    let world = World::with(&format!("[triage]\nowner = \"alice\"\n{none}")).await;
    let issue = world.open_issue(architecture());
    world.settle().await;
    assert!(world.history(&issue).await.dispatches.is_empty());
    let comment = world.comment(&issue);
    assert!(comment.contains("@alice, this needs you"), "{comment}");
    assert!(comment.contains("no agent is configured for it"), "{comment}");
}

#[tokio::test]
async fn an_agent_named_by_hand_gets_the_issue_whatever_its_task() {
    let world = World::start().await;
    let issue = world
        .open_issue(NewIssue { title: "Triage the open issues".into(), ..NewIssue::default() });
    world.settle().await;
    world.order(&issue, "ops", "assign kimi").await;
    world.settle().await;
    let expected = ("kimi".to_owned(), TaskType::Triage, DispatchState::Assigned);
    assert_eq!(last(&world, &issue).await, expected);
    assert_eq!(world.labels(&issue), ["kimi-ready"]);
    world.comment(&issue);
}

#[tokio::test]
async fn a_blank_title_is_handed_to_nobody() {
    let endpoint = "[agents]\nallow_private = [\"127.0.0.1\"]\n[[agent]]\nid = \"api\"\nendpoint = \"http://127.0.0.1:9/\"\n";
    let world = World::with(endpoint).await;
    let issue = world.open_issue(NewIssue { title: " ".into(), ..bug() });
    world.settle().await;
    world.order(&issue, "ops", "assign api").await;
    world.settle().await;
    assert_eq!(last(&world, &issue).await.2, DispatchState::Escalated);
    assert!(world.comments(&issue).last().unwrap().contains("`title` is required"));
}

//! Agents with an endpoint of their own: told by a POST, heard by a signed callback, escalated when they cannot be told.

use chrono::TimeDelta;
use gitea_triage::agents::{SIGNATURE_HEADER, verify_callback};
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, IssueState, TextDigest};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::World;

const SECRET: &str = "agent-secret";

fn config(endpoint: &str) -> String {
    format!(
        "[triage]\nowner = \"alice\"\n[agents]\nallow_private = [\"127.0.0.1\"]\n[dispatch]\nroute = \"task-type\"\n\
         [[agent]]\nid = \"api\"\nendpoint = \"{endpoint}\"\nsecret = \"{SECRET}\"\n"
    )
}

fn research() -> NewIssue {
    NewIssue {
        title: "[feature] Survey the queues".into(),
        body: "## Problem\nWhich queue in src/queue.py keeps order? The report must name two and verify it.\n\n## Acceptance criteria\n- two are named\n".into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

/// An agent that gives these statuses in turn, the last one for good.
async fn agent(statuses: &[u16]) -> MockServer {
    let server = MockServer::start().await;
    for (place, status) in statuses.iter().enumerate() {
        let answer = Mock::given(any()).respond_with(ResponseTemplate::new(*status));
        let answer = if place + 1 < statuses.len() { answer.up_to_n_times(1) } else { answer };
        answer.mount(&server).await;
    }
    server
}

async fn told(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    for request in &requests {
        let signature = request.headers.get(SIGNATURE_HEADER).map(|value| value.as_bytes());
        assert!(verify_callback(&SecretString::from(SECRET), signature, &request.body));
    }
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches.last().unwrap().state
}

async fn causes(world: &World, at: &IssueRef) -> Vec<(String, String)> {
    let history = world.history(at).await;
    history.transitions[0].iter().map(|one| (one.state.clone(), one.cause.clone())).collect()
}

fn sign(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
}

async fn report(world: &World, key: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let signature = sign(body.as_bytes());
    post(world, key, body, Some(signature)).await
}

async fn post(world: &World, key: &str, body: String, signature: Option<String>) -> (u16, Value) {
    let mut request = world.http.post(world.url(&format!("/dispatches/{key}"))).body(body);
    if let Some(signature) = signature {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn an_issue_is_handed_over_and_its_result_becomes_a_comment() {
    let server = agent(&[202]).await;
    let world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle().await;
    let told = told(&server).await;
    assert_eq!(told.len(), 1);
    let key = told[0]["dispatch_id"].as_str().unwrap().to_owned();
    let expected = json!({
        "title": "[feature] Survey the queues", "description": research().body,
        "text_digest": TextDigest::of("[feature] Survey the queues", &research().body).to_string(),
        "acceptance_criteria": ["two are named"], "issue_number": 1, "repository": "acme/widgets",
        "agent": "api", "task_type": "research", "dispatch_id": key,
        "callback_url": format!("https://triage.example.com/dispatches/{key}"),
    });
    assert_eq!(told[0], expected);
    assert_eq!(state(&world, &issue).await, DispatchState::Assigned);

    let begun = report(&world, &key, &json!({"state": "in_progress"})).await;
    assert_eq!(begun, (202, json!({"status": "accepted", "dispatch": key})));
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::InProgress);

    let result = json!({"state": "completed", "message": "Two keep it, see #7 @bob", "url": "https://example.com/r"});
    assert_eq!(report(&world, &key, &result).await.0, 202);
    world.settle().await;
    assert_eq!(report(&world, &key, &result).await.0, 200, "a repeated report is no mistake");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Completed);
    let comments = world.comments(&issue);
    assert_eq!(comments.len(), 2, "{comments:#?}");
    assert!(comments[0].contains("**State:** `completed`: `api` reported that it is done"));
    assert!(comments[1].starts_with(
        "**Triage: `api` reports that it is done**\n\n```text\nTwo keep it, see #7 @bob\n```"
    ));
    assert_eq!(world.issue(&issue).state, IssueState::Open, "a person closes it");
}

#[tokio::test]
async fn a_hand_off_that_fails_is_tried_again_with_the_same_id() {
    let server = agent(&[500, 202]).await;
    let world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle_within(std::time::Duration::ZERO).await;
    assert_eq!(state(&world, &issue).await, DispatchState::Pending);
    world.clock.advance(TimeDelta::seconds(1));
    world.settle_within(std::time::Duration::ZERO).await;
    assert_eq!(state(&world, &issue).await, DispatchState::Assigned);
    let told = told(&server).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1]);
    let causes = causes(&world, &issue).await;
    assert_eq!(
        causes[1],
        ("failed".to_owned(), "hand-off 1 of 2 failed: API agent `api` returned 500".to_owned())
    );
    world.comment(&issue);
}

#[tokio::test]
async fn after_the_last_hand_off_a_person_is_asked() {
    let server = agent(&[503]).await;
    let world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle().await;
    assert_eq!(told(&server).await.len(), 2);
    assert_eq!(state(&world, &issue).await, DispatchState::Escalated);
    let comments = world.comments(&issue);
    assert_eq!(comments.len(), 2, "{comments:#?}");
    assert!(comments[1].starts_with(
        "**Triage: escalated**\n\n@alice, this needs a person. What was tried:\n\n- `api`: hand-off 2 of 2 failed: API agent `api` returned 503"
    ), "{}", comments[1]);
}

#[tokio::test]
async fn what_an_agent_answers_is_quoted_and_calls_nobody() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(422).set_body_string("no: `@bob`, closes #1 @alice");
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle().await;
    let comments = world.comments(&issue);
    let quoted = "returned 422: ``no: `@bob`, closes #1 @alice``";
    assert!(comments[1].contains(quoted), "{}", comments[1]);
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_not_tried_again() {
    // As nobody has configured it, and at a name whose address only shows when it is called.
    let bare = config("").split("[[agent]]").next().unwrap().to_owned();
    let private = config("http://localhost:9/run").replace("[\"127.0.0.1\"]", "[]");
    for (config, says) in [
        (bare, "No API endpoint configured for agent `api`"),
        (private, "`localhost` leads to the private address `"),
    ] {
        let world = World::with(&config).await;
        let issue = world.open_issue(research());
        world.settle().await;
        assert_eq!(state(&world, &issue).await, DispatchState::Escalated);
        assert!(world.comments(&issue)[1].contains(says), "{config}");
        let causes = causes(&world, &issue).await;
        let states: Vec<_> = causes.iter().map(|(state, _)| state.as_str()).collect();
        assert_eq!(states, ["pending", "failed", "escalated"]);
    }
}

#[tokio::test]
async fn a_failure_that_the_agent_reports_goes_to_a_person_when_nobody_else_suits() {
    let server = agent(&[202]).await;
    let config = format!("{}[dispatch]\n", config(&server.uri()));
    let config = config.replace("[dispatch]\nroute", "[dispatch]\nmax_attempts = 1\nroute");
    let world = World::with(config.trim_end_matches("[dispatch]\n")).await;
    let issue = world.open_issue(research());
    world.settle().await;
    let key = told(&server).await[0]["dispatch_id"].as_str().unwrap().to_owned();
    let failed = json!({"state": "failed", "message": "no access to `src` @bob"});
    assert_eq!(report(&world, &key, &failed).await.0, 202);
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Escalated);
    let comments = world.comments(&issue);
    assert!(
        comments[1]
            .contains("- `api`: the agent reported that it failed: ``no access to `src` @bob``"),
        "{}",
        comments[1]
    );
}

#[tokio::test]
async fn a_report_that_is_not_the_agents_changes_nothing() {
    let server = agent(&[202]).await;
    let world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle().await;
    let key = told(&server).await[0]["dispatch_id"].as_str().unwrap().to_owned();
    let done = json!({"state": "completed"}).to_string();
    assert_eq!(post(&world, &key, done.clone(), None).await.0, 401);
    assert_eq!(post(&world, &key, done.clone(), Some(sign(b"other"))).await.0, 401);
    assert_eq!(post(&world, "0b8f7c1e", done.clone(), Some(sign(done.as_bytes()))).await.0, 404);
    let wrong = json!({"state": "finished"}).to_string();
    let (status, answer) = post(&world, &key, wrong.clone(), Some(sign(wrong.as_bytes()))).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("`finished`"), "{answer}");
    let long = format!("{{\"state\":\"completed\",\"message\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(post(&world, &key, long.clone(), Some(sign(long.as_bytes()))).await.0, 413);
    let get = world.http.get(world.url(&format!("/dispatches/{key}"))).send().await.unwrap();
    assert_eq!(get.status(), 405);
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Assigned);
    world.comment(&issue);
}

#[tokio::test]
async fn a_restart_between_two_hand_offs_ends_the_same() {
    let server = agent(&[500, 202]).await;
    let mut world = World::with(&config(&server.uri())).await;
    let issue = world.open_issue(research());
    world.settle_within(std::time::Duration::ZERO).await;
    world.restart().await;
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Assigned);
    let told = told(&server).await;
    assert_eq!(told[0]["dispatch_id"], told[1]["dispatch_id"]);
    world.comment(&issue);
}

#[tokio::test]
async fn a_dry_run_calls_no_agent() {
    let server = agent(&[202]).await;
    let config = config(&server.uri()).replace("owner =", "dry_run = true\nowner =");
    let world = World::with(&config).await;
    let issue = world.open_issue(research());
    world.settle().await;
    assert!(told(&server).await.is_empty());
    let history = world.history(&issue).await;
    let kinds: Vec<_> = history.evaluations[0]
        .effects
        .iter()
        .map(|e| (e.kind.as_str(), e.state.as_str()))
        .collect();
    assert_eq!(kinds, [("comment", "withheld"), ("hand_off", "withheld")]);
}

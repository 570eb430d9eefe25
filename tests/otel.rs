//! Spans of the real program, as an OpenTelemetry collector gets them over HTTP.
//!
//! Needs the feature `otel`: `cargo test --features otel --test otel`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;
#[path = "faults/program.rs"]
mod program;

use std::net::TcpListener;
use std::time::Duration;

use program::{PATIENCE, Program, SECRET, Stage, sign, until};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// What may take longer than the five seconds that the last spans get.
const STOPPED: Duration = Duration::from_secs(30);

async fn collector() -> MockServer {
    let collector = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .and(header("content-type", "application/x-protobuf"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&collector)
        .await;
    collector
}

/// The program, told of a collector at this address.
fn start(stage: &Stage, endpoint: &str) -> Program {
    stage.start_with(|command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    })
}

/// Tells the program to stop, and waits until it has ended well.
async fn stop(mut program: Program) -> Duration {
    program.terminate();
    let took = until("the end", STOPPED, async || program.ended().is_some()).await;
    assert!(program.ended().unwrap().success());
    took
}

/// All that the collector was sent, headers and bodies. Protobuf holds texts as they are.
async fn received(collector: &MockServer) -> Vec<u8> {
    let mut all = Vec::new();
    for request in collector.received_requests().await.unwrap() {
        assert_eq!(request.url.path(), "/v1/traces");
        all.extend(format!("{:?}", request.headers).into_bytes());
        all.extend(request.body);
    }
    all
}

fn has(sent: &[u8], text: &str) -> bool {
    sent.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_its_issue_and_the_calls_for_it_are_exported_by_the_end_and_nothing_secret_is() {
    let stage = Stage::new().await;
    let collector = collector().await;
    let program = start(&stage, &collector.uri());
    let issue = stage.open(1);
    stage.processed().await;
    stage.assert_with_claude(&issue);
    stop(program).await;
    let sent = received(&collector).await;
    let at = issue.to_string();
    let told = ["gitea-triage", "take_delivery", "work_issue", "call_forge", &at, "dispatch"];
    let deliveries = stage.gitea.deliveries();
    let ids: Vec<String> = deliveries.iter().map(|d| d.uuid.clone()).collect();
    for text in told.into_iter().chain(ids.iter().map(String::as_str)) {
        assert!(has(&sent, text), "`{text}` was not exported");
    }
    let signatures: Vec<String> = deliveries.iter().map(|d| sign(SECRET, &d.body)).collect();
    let secret = [SECRET, stage.gitea.token(), "Login crashes", "login.py", "pytest"];
    for text in secret.into_iter().chain(signatures.iter().map(String::as_str)) {
        assert!(!has(&sent, text), "`{text}` was exported");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_neither_the_work_nor_the_stop() {
    let stage = Stage::new().await;
    // It takes connections, and nobody reads from them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = start(&stage, &format!("http://{}", deaf.local_addr().unwrap()));
    let issue = stage.open(1);
    stage.processed().await;
    stage.assert_with_claude(&issue);
    println!("stopped after {:?}", stop(program).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_none_is_told_in_the_log_and_the_service_runs() {
    let stage = Stage::new().await;
    let program = start(&stage, "no address");
    let told = program.log().iter().any(|line| line.contains("spans are not exported"));
    assert!(told, "{:#?}", program.log());
    let issue = stage.open(1);
    until("the decision", PATIENCE, async || {
        stage.gitea.issue(&issue).unwrap().labels == ["claude-ready"]
    })
    .await;
    stop(program).await;
}

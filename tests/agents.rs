//! Telling agents over HTTP: what they are sent, what they may answer, and where they must not be.

// A panic in a helper is the failure message, as it is in the test itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use gitea_triage::agents::{HttpAgents, SIGNATURE_HEADER, verify_callback};
use gitea_triage::apply::{AgentClient, HandedOver};
use gitea_triage::dispatch::{Agent, AgentId, Handoff, HandoffError, Interface, TaskType, Wrong};
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const SECRET: &str = "canary-5d1c9b7e-secret";
const TOKEN: &str = "canary-77aa01f2-token";

fn agents(secret: Option<&str>) -> HttpAgents {
    let secrets = secret.map(|secret| (AgentId::new("api"), SecretString::from(secret)));
    let secrets = secrets.into_iter().collect();
    HttpAgents::new(vec!["127.0.0.1".into()], secrets).unwrap()
}

fn reaching(listed: &str) -> Result<HttpAgents, HandoffError> {
    HttpAgents::new(vec![listed.into()], BTreeMap::new())
}

fn agent(endpoint: Option<&str>) -> Agent {
    Agent {
        id: AgentId::new("api"),
        interface: Interface::Http,
        label: None,
        login: None,
        strengths: vec![TaskType::Research],
        max_concurrent: 5,
        timeout: Duration::from_secs(7200),
        endpoint: endpoint.map(str::to_owned),
    }
}

fn handoff() -> Handoff {
    Handoff {
        dispatch_id: "0b8f7c1e-1".into(),
        at: "acme/widgets#12".parse().unwrap(),
        title: "  [research] \"Übersicht\"\u{202e} 😀 ".into(),
        description: "Line one\r\n\r\n```\n@alice <b>\n```\n".into(),
        text_digest: "5f70bf18a086007016e948b04aed3b82103a36be".into(),
        acceptance_criteria: vec!["report produced".into()],
        agent: AgentId::new("api"),
        task_type: TaskType::Research,
        callback_url: Some("https://triage.example.com/dispatches/0b8f7c1e-1".into()),
        follow_up: None,
    }
}

async fn hand_off(endpoint: &str) -> HandedOver {
    agents(Some(SECRET)).hand_off(&agent(Some(endpoint)), &handoff()).await
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn told_by(answer: ResponseTemplate) -> HandedOver {
    let server = answering(answer).await;
    hand_off(&format!("{}/run/{TOKEN}?key={TOKEN}", server.uri())).await
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// Neither message holds what must stay secret.
#[track_caller]
fn keeps_secrets(error: &HandoffError) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[track_caller]
fn is_wrong(result: HandedOver, status: u16, wrong: Wrong) -> String {
    let error = result.unwrap_err();
    keeps_secrets(&error);
    match error {
        HandoffError::Answer { status: s, wrong: w, answer, .. } => {
            assert_eq!((s, w), (status, wrong));
            answer
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_agent_is_told_all_of_it_word_for_word() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/run"))
        .and(header("content-type", "application/json"))
        .respond_with(ResponseTemplate::new(202).set_body_json(json!({"ok": true})))
        .mount(&server)
        .await;
    let told = hand_off(&format!("{}/run?key=1", server.uri())).await.unwrap();
    assert_eq!(told.as_deref(), Some("answered 202"));
    let sent = requests(&server).await;
    assert_eq!(sent[0].url.query(), Some("key=1"));
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let handoff = handoff();
    let expected = json!({
        "title": handoff.title,
        "description": handoff.description,
        "text_digest": handoff.text_digest,
        "acceptance_criteria": ["report produced"],
        "issue_number": 12,
        "repository": "acme/widgets",
        "agent": "api",
        "task_type": "research",
        "dispatch_id": "0b8f7c1e-1",
        "callback_url": "https://triage.example.com/dispatches/0b8f7c1e-1",
    });
    assert_eq!(body, expected);
}

#[rstest]
#[case(200, "")]
#[case(201, "{\"id\": 7}")]
#[case(202, "queued")]
#[tokio::test]
async fn three_statuses_say_taken(#[case] status: u16, #[case] body: &str) {
    let told = told_by(ResponseTemplate::new(status).set_body_string(body)).await.unwrap();
    assert_eq!(told, Some(format!("answered {status}")));
}

#[tokio::test]
async fn any_other_status_is_an_error_with_the_beginning_of_the_answer() {
    for status in [204, 400, 401, 404, 422, 429, 500, 503] {
        let answer = ResponseTemplate::new(status).set_body_string("Internal\r\nServer\0 Error");
        let said = is_wrong(told_by(answer).await, status, Wrong::Status);
        // 204 has no body.
        assert!(status == 204 || said == "Internal Server Error", "{said}");
    }
    let long = ResponseTemplate::new(500).set_body_string("é".repeat(1000));
    assert_eq!(is_wrong(told_by(long).await, 500, Wrong::Status), "é".repeat(200));
}

#[tokio::test]
async fn a_page_for_people_is_no_answer_of_an_agent() {
    let page = "<!doctype html><title>Log in</title>";
    let typed = ResponseTemplate::new(200).set_body_raw("Log in", "Text/HTML; charset=utf-8");
    assert_eq!(is_wrong(told_by(typed).await, 200, Wrong::Html), "Log in");
    let untyped = ResponseTemplate::new(200).set_body_string(page);
    assert_eq!(is_wrong(told_by(untyped).await, 200, Wrong::Html), page);
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let huge = || "x".repeat(5 << 20);
    let taken = ResponseTemplate::new(200).set_body_string(huge());
    assert_eq!(is_wrong(told_by(taken).await, 200, Wrong::TooLarge), "x".repeat(200));
    let failed = ResponseTemplate::new(502).set_body_string(huge());
    assert_eq!(is_wrong(told_by(failed).await, 502, Wrong::Status), "x".repeat(200));
}

#[tokio::test]
async fn an_agent_that_hangs_is_given_up() {
    let hang = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
    let server = answering(hang).await;
    let mut agents = agents(None);
    agents.timeout = Duration::from_millis(500);
    let error = agents.hand_off(&agent(Some(&server.uri())), &handoff()).await.unwrap_err();
    assert_eq!(error.to_string(), "agent `api` at `127.0.0.1`: no answer came in time");
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_agent_that_is_away_or_hangs_up_is_asked_later() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hang_up = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").await.unwrap();
    });
    for says in ["the connection broke off", "no connection"] {
        let error = hand_off(&format!("http://{address}/{TOKEN}")).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.is_transient());
        keeps_secrets(&error);
    }
    hang_up.await.unwrap();
}

#[rstest]
#[case(301)]
#[case(302)]
#[case(307)]
#[case(308)]
#[tokio::test]
async fn a_redirect_is_not_followed(#[case] status: u16) {
    let target = answering(ResponseTemplate::new(200)).await;
    let to = ResponseTemplate::new(status).insert_header("location", target.uri().as_str());
    let error = told_by(to).await.unwrap_err();
    assert!(error.to_string().contains("a redirect, which is not followed"), "{error}");
    assert!(!error.is_transient());
    assert_eq!(requests(&target).await.len(), 0);
}

#[tokio::test]
async fn the_bytes_that_are_sent_are_the_bytes_that_are_signed() {
    let server = answering(ResponseTemplate::new(200)).await;
    hand_off(&server.uri()).await.unwrap();
    let sent = &requests(&server).await[0];
    let signature = sent.headers.get(SIGNATURE_HEADER).unwrap().as_bytes();
    assert!(verify_callback(&SECRET.into(), Some(signature), &sent.body));
    assert!(!verify_callback(&"other".into(), Some(signature), &sent.body));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let server = answering(ResponseTemplate::new(200)).await;
    let agent = agent(Some(&server.uri()));
    for secret in [None, Some("")] {
        agents(secret).hand_off(&agent, &handoff()).await.unwrap();
    }
    let sent = requests(&server).await;
    assert!(sent.iter().all(|request| !request.headers.contains_key(SIGNATURE_HEADER)));
}

#[tokio::test]
async fn a_repetition_is_the_same_request() {
    let server = answering(ResponseTemplate::new(500)).await;
    for _ in 0..2 {
        hand_off(&server.uri()).await.unwrap_err();
    }
    let sent = requests(&server).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
}

#[tokio::test]
async fn an_agent_without_an_endpoint_cannot_be_told() {
    for endpoint in [None, Some(" ")] {
        let error = agents(None).hand_off(&agent(endpoint), &handoff()).await.unwrap_err();
        assert!(error.to_string().starts_with("No API endpoint configured for agent `api`"));
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_endpoint_that_is_no_plain_http_address_is_refused() {
    let with_user = format!("http://bob:{TOKEN}@127.0.0.1/");
    for endpoint in ["agents.example.com", "ftp://127.0.0.1/", "file:///etc/passwd", &with_user] {
        let error = hand_off(endpoint).await.unwrap_err();
        assert!(matches!(error, HandoffError::BadEndpoint { .. }), "{error:?}");
        assert!(!error.is_transient());
        keeps_secrets(&error);
    }
}

#[rstest]
#[case("http://127.0.0.1")]
#[case("http://127.1")]
#[case("http://2130706433")]
#[case("http://0x7f000001")]
#[case("http://0177.0.0.1")]
#[case("http://0x7f.0.0x0.1")]
#[case("http://127.0.0.1.")]
#[case("http://１２７.0.0.1")]
#[case("http://%31%32%37.0.0.1")]
#[case("http://[::1]")]
#[case("http://[::ffff:127.0.0.1]")]
#[case("http://[::ffff:7f00:1]")]
#[case("http://[64:ff9b::127.0.0.1]")]
#[case("http://0")]
#[case("http://169.254.169.254")]
#[case("http://10.0.0.1")]
#[case("http://100.64.0.1")]
#[case("http://[fd00::1]")]
#[case("http://[fe80::1]")]
#[case("http://localhost")]
#[case("http://LocalHost")]
#[tokio::test]
async fn a_private_address_is_refused_however_it_is_written(#[case] host: &str) {
    let server = answering(ResponseTemplate::new(200)).await;
    let endpoint = format!("{host}:{}/{TOKEN}", server.address().port());
    let agents = reaching("192.168.7.0/24").unwrap();
    let error = agents.hand_off(&agent(Some(&endpoint)), &handoff()).await.unwrap_err();
    assert!(matches!(error, HandoffError::Private { .. }), "{error:?}");
    assert!(!error.is_transient());
    keeps_secrets(&error);
    assert_eq!(requests(&server).await.len(), 0);
}

#[rstest]
#[case("127.0.0.1", "http://127.0.0.1")]
#[case("127.0.0.0/8", "http://2130706433")]
#[case("localhost", "http://LocalHost")]
#[tokio::test]
async fn what_the_owner_lists_is_reached(#[case] listed: &str, #[case] host: &str) {
    let server = answering(ResponseTemplate::new(200)).await;
    let endpoint = format!("{host}:{}", server.address().port());
    let agents = reaching(listed).unwrap();
    agents.hand_off(&agent(Some(&endpoint)), &handoff()).await.unwrap();
    assert_eq!(requests(&server).await.len(), 1);
}

#[test]
fn a_list_that_cannot_be_read_names_the_entry() {
    let error = reaching("10.0.0.0/99").unwrap_err();
    assert!(error.to_string().starts_with("`agents.allow_private`: `10.0.0.0/99` is not "));
}

#[tokio::test]
async fn an_answer_that_repeats_what_it_was_sent_gives_nothing_away() {
    let echo = format!("Cannot POST /run/{TOKEN}?key={TOKEN}; signed with {SECRET}");
    let said = is_wrong(
        told_by(ResponseTemplate::new(404).set_body_string(&echo)).await,
        404,
        Wrong::Status,
    );
    assert_eq!(said, "Cannot POST /run/…?…; signed with …");
    let told = told_by(ResponseTemplate::new(200).set_body_string(&echo)).await.unwrap();
    assert!(!format!("{told:?}").contains("canary"), "{told:?}");
    assert!(!format!("{:?}", agents(Some(SECRET))).contains("canary"));
}

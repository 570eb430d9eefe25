//! The fake Gitea against what a real one (1.25.4) was recorded to say, its traps, and its faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::{TimeDelta, Utc};
use gitea_triage::clock::Clock;
use gitea_triage::fake_gitea::{FakeGitea, Fault, FaultKind, Flavour, NewIssue};
use gitea_triage::issue::{IssueRef, IssueState, RepoName};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

const SECRET: &str = "fixture-secret";

fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().timeout(Duration::from_secs(5)).build().unwrap()
}

struct World {
    gitea: FakeGitea,
    client: Client,
    at: IssueRef,
}

impl World {
    async fn start() -> Self {
        Self::start_as(Flavour::Gitea).await
    }

    async fn start_as(flavour: Flavour) -> Self {
        let gitea = FakeGitea::start_as(flavour, Clock::System).await.unwrap();
        for login in ["alice", "claude"] {
            gitea.add_collaborator(&repo(), login, "write");
        }
        gitea.add_user("bob");
        let new = NewIssue { title: "one".into(), author: "bob".into(), ..NewIssue::default() };
        let at = gitea.open_issue(&repo(), new);
        Self { gitea, client: client(), at }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        self.try_send(method, path, body).await.unwrap()
    }

    async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let url = format!("{}/api/v1{path}", self.gitea.url());
        let request = self.client.request(method, url).bearer_auth(self.gitea.token());
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.json().await.unwrap()
    }

    /// Sends to the repository; gives the status and the body, `null` when it is no JSON.
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let body = Some(body).filter(|b| !b.is_null());
        let answer = self.send(method, &format!("/repos/acme/widgets{path}"), body).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    fn events(&self) -> Vec<String> {
        let all = self.gitea.deliveries();
        all.iter().map(|d| format!("{}/{}", d.event_type, d.action)).collect()
    }

    /// What the timeline of an issue is about, line by line.
    fn told(&self, at: &IssueRef) -> Vec<String> {
        self.gitea.issue(at).unwrap().timeline.into_iter().map(|line| line.about).collect()
    }

    fn last_payload(&self) -> Value {
        serde_json::from_slice(&self.gitea.deliveries().last().unwrap().body).unwrap()
    }

    /// Hears events without anybody to send them to.
    fn listen(&self) {
        self.gitea.pause_deliveries();
        self.gitea.set_hook("http://127.0.0.1:1/", SECRET);
    }
}

// ---------------------------------------------------------------- shapes

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn api_fixture(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("api").join(name)).unwrap()).unwrap()
}

/// A recorded delivery: header names in lower case, and the payload.
fn delivery_fixture(name: &str) -> (BTreeSet<String>, Value) {
    let text = std::fs::read_to_string(fixtures().join(name)).unwrap().replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap();
    let names = head.lines().skip(1).map(|l| l.split_once(':').unwrap().0.to_lowercase());
    (names.collect(), serde_json::from_str(body).unwrap())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Both have the same keys, all the way down, and the same types where neither is null.
#[track_caller]
fn same_shape(ours: &Value, theirs: &Value, path: &str) {
    if ours.is_null() || theirs.is_null() {
        return;
    }
    assert_eq!(kind(ours), kind(theirs), "{path}");
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys =
                |o: &serde_json::Map<String, Value>| o.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(a), keys(b), "{path}");
            for (key, value) in a {
                same_shape(value, &b[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(a), Some(b)) = (a.first(), b.first()) {
                same_shape(a, b, &format!("{path}[0]"));
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn answers_have_the_recorded_shapes() {
    let world = World::start().await;
    let g = &world.gitea;
    g.add_label(&world.at, "alice", "bug");
    g.assign(&world.at, "alice", "claude");
    g.comment(&world.at, "alice", "hello");
    g.edit_issue(&world.at, "bob", Some("two"), None);
    g.add_collaborator(&repo(), "triage-bot", "admin");
    let hook = json!({"type": "gitea", "active": true, "events": ["issues"],
        "config": {"url": "http://127.0.0.1:1/", "content_type": "json", "secret": "s"}});
    assert_eq!(world.call("POST", "/hooks", hook).await.0, 201);
    for (file, path) in [
        ("version.json", "/version"),
        ("settings.json", "/settings/api"),
        ("user.json", "/user"),
        ("repo.json", "/repos/acme/widgets"),
        ("issue.json", "/repos/acme/widgets/issues/1"),
        ("issues-open.json", "/repos/acme/widgets/issues"),
        ("labels.json", "/repos/acme/widgets/labels"),
        ("assignees.json", "/repos/acme/widgets/assignees"),
        ("comments.json", "/repos/acme/widgets/issues/1/comments"),
        ("timeline.json", "/repos/acme/widgets/issues/1/timeline"),
        ("hook.json", "/repos/acme/widgets/hooks/1"),
        ("permission-write.json", "/repos/acme/widgets/collaborators/alice/permission"),
        ("permission-read.json", "/repos/acme/widgets/collaborators/bob/permission"),
    ] {
        same_shape(&world.get(path).await, &api_fixture(file), file);
    }
    assert_eq!(world.get("/version").await, api_fixture("version.json"));
    assert_eq!(world.get("/settings/api").await, api_fixture("settings.json"));
    assert_eq!(world.get("/user").await["id"], 7);
}

#[tokio::test]
async fn payloads_have_the_recorded_shapes() {
    let world = World::start().await;
    world.listen();
    let g = &world.gitea;
    let at = &world.at;
    let check = |file: &str| {
        let (_, theirs) = delivery_fixture(file);
        let ours = world.last_payload();
        assert_eq!(ours["action"], theirs["action"], "{file}");
        same_shape(&ours, &theirs, file);
    };
    g.edit_issue(at, "bob", Some("two"), None);
    check("24-issues-title-edited.http");
    g.edit_issue(at, "bob", None, Some("body"));
    check("25-issues-body-edited.http");
    g.add_label(at, "alice", "bug");
    check("18-issues-label-added.http");
    g.assign(at, "alice", "claude");
    check("26-issues-assigned.http");
    g.unassign(at, "alice", "claude");
    check("31-issues-unassigned-b.http");
    let id = g.comment(at, "alice", "hello");
    check("34-issue-comment-created.http");
    g.edit_comment(at, "alice", id, "hello again");
    check("35-issue-comment-edited.http");
    g.delete_comment(at, "alice", id);
    check("36-issue-comment-deleted.http");
    assert_eq!(world.last_payload()["issue"]["comments"], 0);
    g.close(at, "alice");
    check("39-issues-closed.http");
    g.reopen(at, "alice");
    check("40-issues-reopened.http");
    g.delete_issue(at);
    check("52-issues-deleted.http");
    g.open_issue(&repo(), NewIssue { title: "three".into(), ..NewIssue::default() });
    check("02-issues-opened-bug.http");
    let pull = NewIssue { title: "pr".into(), is_pull_request: true, ..NewIssue::default() };
    let pull = g.open_issue(&repo(), pull);
    assert_eq!(world.events().last().unwrap(), "pull_request/opened");
    check("44-pull-request-opened.http");
    g.comment(&pull, "alice", "nice");
    check("45-pull-request-comment.http");
    assert_eq!(world.events().last().unwrap(), "pull_request_comment/created");
    assert_eq!(world.last_payload()["is_pull"], true);
}

#[tokio::test]
async fn a_forgejo_has_the_shapes_that_were_recorded_of_one() {
    let world = World::start_as(Flavour::Forgejo).await;
    world.listen();
    let (g, at) = (&world.gitea, &world.at);
    let check = |file: &str| {
        let (_, theirs) = delivery_fixture(&format!("forgejo-15.0.3/{file}"));
        let ours = world.last_payload();
        assert_eq!(ours["action"], theirs["action"], "{file}");
        same_shape(&ours, &theirs, file);
    };
    g.edit_issue(at, "bob", Some("two"), None);
    check("25-issues-title-edited.http");
    g.edit_issue(at, "bob", None, Some("body"));
    check("26-issues-body-edited.http");
    g.add_label(at, "alice", "bug");
    check("19-issues-two-labels-added.http");
    g.assign(at, "alice", "claude");
    check("29-issues-assigned.http");
    let id = g.comment(at, "alice", "hello");
    check("37-issue-comment-created.http");
    g.edit_comment(at, "alice", id, "hello again");
    check("38-issue-comment-edited.http");
    g.delete_comment(at, "alice", id);
    check("40-issue-comment-deleted.http");
    assert_eq!(world.last_payload()["issue"]["comments"], 1, "it is counted once more");
    g.close(at, "alice");
    check("43-issues-closed.http");
    let pull = NewIssue { title: "pr".into(), is_pull_request: true, ..NewIssue::default() };
    let pull = g.open_issue(&repo(), pull);
    g.comment(&pull, "alice", "nice");
    check("49-pull-request-comment.http");
    g.add_label(&pull, "alice", "bug");
    check("50-pull-request-label.http");
    let version = world.get("/version").await;
    assert_eq!(version["version"], "15.0.3+gitea-1.22.0");
}

/// What each of the two answers to the same calls.
async fn answers(flavour: Flavour) -> Vec<(u16, Value)> {
    let world = World::start_as(flavour).await;
    world.listen();
    let mut answers = Vec::new();
    for path in ["/issues/99/comments", "/issues/99/timeline"] {
        answers.push((world.call("GET", path, Value::Null).await.0, json!(path)));
    }
    answers.push(world.call("GET", "/collaborators/nobody/permission", Value::Null).await);
    answers.push(world.call("GET", "/commits/abc/status", Value::Null).await);
    answers.push(world.call("PATCH", "/issues/1", json!({"state": "sideways"})).await);
    let id = world.call("POST", "/issues/1/comments", json!({"body": "x"})).await.1["id"].clone();
    let path = format!("/issues/comments/{id}");
    let (status, saved) = world.call("PATCH", &path, json!({"body": "x"})).await;
    answers.push((status, saved["user"]["login"].clone()));
    world.gitea.delete_issue(&world.at);
    answers.push((0, json!(world.events())));
    answers
}

#[tokio::test]
async fn the_two_forges_differ_where_they_were_seen_to() {
    let (gitea, forgejo) = (answers(Flavour::Gitea).await, answers(Flavour::Forgejo).await);
    let statuses = |all: &[(u16, Value)]| all.iter().map(|(status, _)| *status).collect::<Vec<_>>();
    assert_eq!(statuses(&gitea), [500, 500, 403, 404, 412, 200, 0]);
    assert_eq!(statuses(&forgejo), [404, 404, 404, 200, 201, 200, 0]);
    assert_eq!(forgejo[3].1["statuses"], Value::Null);
    assert_eq!([&gitea[5].1, &forgejo[5].1], [&Value::Null, &json!("triage-bot")]);
    assert_eq!(gitea[6].1, json!(["issue_comment/created", "issues/deleted"]));
    assert_eq!(forgejo[6].1, json!(["issue_comment/created", "issue_comment/edited"]));
}

#[tokio::test]
async fn whom_the_poster_blocks_cannot_comment_but_can_label() {
    for (flavour, message) in [
        (Flavour::Gitea, "user is blocked"),
        (Flavour::Forgejo, "user is blocked by the poster or repository owner"),
    ] {
        let world = World::start_as(flavour).await;
        world.gitea.block("bob", "triage-bot");
        let comment = json!({"body": "hello"});
        let (status, answer) = world.call("POST", "/issues/1/comments", comment).await;
        assert_eq!((status, &answer["message"]), (403, &json!(message)));
        world.gitea.create_repo_label(&repo(), "bug");
        let labels = json!({"labels": ["bug"]});
        assert_eq!(world.call("POST", "/issues/1/labels", labels).await.0, 200);
    }
}

// ---------------------------------------------------------------- deliveries

type Caught = Arc<Mutex<Vec<(Vec<(String, String)>, Vec<u8>)>>>;

/// A receiver that keeps what it gets and answers 202.
async fn receiver() -> (String, Caught) {
    let caught = Caught::default();
    let (tell, told) = tokio::sync::oneshot::channel();
    let kept = caught.clone();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let kept = kept.clone();
                App::new().default_service(web::to(move |r: HttpRequest, body: web::Bytes| {
                    let head = r.headers().iter();
                    let pair = |(k, v): (
                        &actix_web::http::header::HeaderName,
                        &actix_web::http::header::HeaderValue,
                    )| {
                        (k.to_string(), v.to_str().unwrap().to_owned())
                    };
                    kept.lock().unwrap().push((head.map(pair).collect(), body.to_vec()));
                    async { HttpResponse::Accepted().finish() }
                }))
            });
            let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    (format!("http://{}/webhook", told.await.unwrap()), caught)
}

fn header(head: &[(String, String)], name: &str) -> String {
    head.iter().find(|(k, _)| k == name).unwrap().1.clone()
}

#[tokio::test]
async fn deliveries_carry_the_recorded_headers_and_true_signatures() {
    let file = "18-issues-label-added.http";
    carries_the_recorded_headers(Flavour::Gitea, file).await;
    let file = "forgejo-15.0.3/19-issues-two-labels-added.http";
    carries_the_recorded_headers(Flavour::Forgejo, file).await;
}

async fn carries_the_recorded_headers(flavour: Flavour, recorded: &str) {
    let world = World::start_as(flavour).await;
    let (url, caught) = receiver().await;
    world.gitea.set_hook(&url, SECRET);
    world.gitea.add_label(&world.at, "alice", "bug");
    world.gitea.delivered().await;
    let (theirs, _) = delivery_fixture(recorded);
    let (head, body) = caught.lock().unwrap()[0].clone();
    let ours: BTreeSet<_> = head.iter().map(|(k, _)| k.clone()).collect();
    let brand = |names: &BTreeSet<String>| {
        names.iter().filter(|name| name.starts_with("x-")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(brand(&ours), brand(&theirs));
    assert_eq!(header(&head, "x-gitea-event"), "issues");
    assert_eq!(header(&head, "x-gitea-event-type"), "issue_label");
    assert_eq!(header(&head, "user-agent"), "Go-http-client/1.1");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let digest = hex::encode(mac.finalize().into_bytes());
    assert_eq!(header(&head, "x-gitea-signature"), digest);
    assert_eq!(header(&head, "x-hub-signature-256"), format!("sha256={digest}"));
    assert_eq!(world.gitea.deliveries()[0].status, Some(202));
}

#[tokio::test]
async fn deliveries_wait_get_lost_and_come_again() {
    let world = World::start().await;
    let (url, caught) = receiver().await;
    let g = &world.gitea;
    g.set_hook(&url, SECRET);
    g.pause_deliveries();
    g.drop_next_deliveries(1);
    g.close(&world.at, "alice");
    g.reopen(&world.at, "alice");
    assert!(caught.lock().unwrap().is_empty());
    g.resume();
    g.delivered().await;
    let sent = g.deliveries();
    assert_eq!(sent.iter().map(|d| d.status).collect::<Vec<_>>(), [None, Some(202)]);
    let again = g.redeliver(&sent[1].uuid).unwrap();
    g.delivered().await;
    let caught = caught.lock().unwrap();
    assert_eq!(caught.len(), 2);
    assert_eq!(caught[0].1, caught[1].1);
    assert_eq!(header(&caught[1].0, "x-gitea-delivery"), again);
    assert_ne!(again, sent[1].uuid);
}

#[tokio::test]
async fn a_hook_without_a_secret_sends_empty_signatures() {
    let world = World::start().await;
    let (url, caught) = receiver().await;
    world.gitea.set_hook(&url, "");
    world.gitea.close(&world.at, "alice");
    world.gitea.delivered().await;
    let (head, _) = caught.lock().unwrap()[0].clone();
    assert_eq!(header(&head, "x-gitea-signature"), "");
    assert_eq!(header(&head, "x-hub-signature-256"), "sha256=");
}

#[tokio::test]
async fn a_refused_delivery_is_not_tried_again() {
    let world = World::start().await;
    world.gitea.set_hook("http://127.0.0.1:1/", SECRET);
    world.gitea.close(&world.at, "alice");
    world.gitea.delivered().await;
    assert_eq!(world.gitea.deliveries().len(), 1);
    assert_eq!(world.gitea.deliveries()[0].status, None);
}

// ---------------------------------------------------------------- traps

#[tokio::test]
async fn one_new_issue_makes_several_events_the_first_of_1970() {
    let world = World::start().await;
    world.listen();
    let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    world.gitea.open_issue(
        &repo(),
        NewIssue {
            title: "new".into(),
            labels: names(&["bug", "P0"]),
            assignees: names(&["claude", "alice"]),
            ..NewIssue::default()
        },
    );
    assert_eq!(
        world.events(),
        [
            "issue_assign/assigned",
            "issue_assign/assigned",
            "issues/opened",
            "issue_label/label_updated"
        ]
    );
    let first: Value = serde_json::from_slice(&world.gitea.deliveries()[0].body).unwrap();
    assert_eq!(first["issue"]["created_at"], "1970-01-01T00:00:00Z");
    assert_eq!(first["issue"]["assignees"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_new_issue_tells_of_its_labels_before_its_assignees() {
    let world = World::start().await;
    let new = NewIssue {
        title: "new".into(),
        labels: vec!["bug".into()],
        assignees: vec!["claude".into()],
        ..NewIssue::default()
    };
    let at = world.gitea.open_issue(&repo(), new);
    assert_eq!(world.told(&at), ["+bug", "+claude"]);
}

#[tokio::test]
async fn replacing_labels_adds_the_new_before_it_removes_the_old() {
    let world = World::start().await;
    world.gitea.add_label(&world.at, "alice", "old");
    world.gitea.create_repo_label(&repo(), "new");
    world.call("PUT", "/issues/1/labels", json!({"labels": ["new"]})).await;
    assert_eq!(world.told(&world.at), ["+old", "+new", "-old"]);
}

#[tokio::test]
async fn payloads_lie_about_replaced_and_cleared_labels() {
    let world = World::start().await;
    world.gitea.add_label(&world.at, "alice", "bug");
    world.listen();
    let replaced = json!({"labels": ["bug"]});
    let (status, shown) = world.call("PUT", "/issues/1/labels", replaced).await;
    assert_eq!((status, &shown[0]["name"]), (200, &json!("bug")));
    assert_eq!(world.last_payload()["issue"]["labels"], json!([]));
    assert_eq!(world.call("DELETE", "/issues/1/labels", Value::Null).await.0, 204);
    assert_eq!(world.last_payload()["action"], "label_cleared");
    assert_eq!(world.last_payload()["issue"]["labels"][0]["name"], "bug");
    assert!(world.gitea.issue(&world.at).unwrap().labels.is_empty());
}

#[tokio::test]
async fn unknown_labels_are_dropped_without_a_word_but_not_without_an_event() {
    let world = World::start().await;
    world.gitea.create_org_label("acme", "shared");
    world.listen();
    let asked = json!({"labels": ["nope", "shared"]});
    let (status, shown) = world.call("POST", "/issues/1/labels", asked.clone()).await;
    assert_eq!((status, shown.as_array().unwrap().len()), (200, 1));
    assert_eq!(world.call("POST", "/issues/1/labels", asked).await.0, 200);
    assert_eq!(world.events(), ["issue_label/label_updated"; 2]);
    assert_eq!(world.last_payload()["sender"]["id"], 7);
    let mixed = json!({"labels": ["nope", 1]});
    assert_eq!(world.call("POST", "/issues/1/labels", mixed).await.0, 400);
    assert_eq!(world.call("DELETE", "/issues/1/labels/99", Value::Null).await.0, 422);
    assert!(world.gitea.labels(&repo()).is_empty());
    assert_eq!(world.get("/orgs/acme/labels").await[0]["name"], "shared");
}

#[tokio::test]
async fn labels_may_have_equal_names_but_not_any_colour() {
    let world = World::start().await;
    let new = json!({"name": "bug", "color": "#F00"});
    for _ in 0..2 {
        let (status, label) = world.call("POST", "/labels", new.clone()).await;
        assert_eq!((status, &label["color"]), (201, &json!("ff0000")));
    }
    assert_eq!(world.gitea.labels(&repo()), ["bug", "bug"]);
    let bad = json!({"name": "x", "color": "red"});
    assert_eq!(world.call("POST", "/labels", bad).await.0, 422);
    assert_eq!(world.call("POST", "/labels", json!({})).await.0, 422);
    let (_, both) = world.call("POST", "/issues/1/labels", json!({"labels": ["bug"]})).await;
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_exclusive_label_pushes_its_rival_out() {
    let world = World::start().await;
    let g = &world.gitea;
    for name in ["prio/high", "prio/low"] {
        g.create_repo_label(&repo(), name);
        g.set_label_exclusive(&repo(), name);
    }
    g.add_label(&world.at, "alice", "prio/high");
    g.add_label(&world.at, "alice", "prio/low");
    assert_eq!(g.issue(&world.at).unwrap().labels, ["prio/low"]);
}

#[tokio::test]
async fn assignees_are_replaced_and_a_bad_one_is_an_internal_error() {
    let world = World::start().await;
    let g = &world.gitea;
    let assigned = |list: Value| json!({ "assignees": list });
    assert_eq!(world.call("PATCH", "/issues/1", assigned(json!(["alice"]))).await.0, 201);
    let (status, error) = world.call("PATCH", "/issues/1", assigned(json!(["nobody"]))).await;
    assert_eq!((status, &error["message"]), (500, &json!("")));
    assert_eq!(g.issue(&world.at).unwrap().assignees, ["alice"]);
    // Anybody can be assigned in a public repository, nobody without access in a private one.
    assert_eq!(world.call("PATCH", "/issues/1", assigned(json!(["bob"]))).await.0, 201);
    assert_eq!(g.issue(&world.at).unwrap().assignees, ["bob"]);
    g.set_private(&repo(), true);
    g.add_user("carol");
    assert_eq!(world.call("PATCH", "/issues/1", assigned(json!(["carol"]))).await.0, 500);
    assert!(g.issue(&world.at).unwrap().assignees.is_empty());
    assert_eq!(world.get("/repos/acme/widgets/issues/1").await["assignees"], Value::Null);
}

#[tokio::test]
async fn states_change_by_known_words_only_and_not_past_an_open_dependency() {
    let world = World::start().await;
    let g = &world.gitea;
    let state = |word: &str| json!({ "state": word });
    assert_eq!(world.call("PATCH", "/issues/1", state("odd")).await.0, 412);
    let other = g.open_issue(&repo(), NewIssue { title: "b".into(), ..NewIssue::default() });
    let on = json!({"owner": "acme", "repo": "widgets", "index": other.number});
    assert_eq!(world.call("POST", "/issues/1/dependencies", on.clone()).await.0, 201);
    assert_eq!(world.call("POST", "/issues/1/dependencies", on).await.0, 500);
    assert_eq!(world.get("/repos/acme/widgets/issues/1/dependencies").await[0]["number"], 2);
    assert_eq!(world.get("/repos/acme/widgets/issues/2/blocks").await[0]["number"], 1);
    assert_eq!(world.call("PATCH", "/issues/1", state("closed")).await.0, 412);
    g.close(&other, "alice");
    assert_eq!(world.call("PATCH", "/issues/1", state("closed")).await.0, 201);
    assert_eq!(g.issue(&world.at).unwrap().state, IssueState::Closed);
    g.set_dependencies_enabled(&repo(), false);
    assert_eq!(world.call("GET", "/issues/1/dependencies", Value::Null).await.0, 404);
}

#[tokio::test]
async fn comments_meet_their_limits() {
    let world = World::start().await;
    world.listen();
    let text = |body: &str| json!({ "body": body });
    let (status, made) = world.call("POST", "/issues/1/comments", text("hello")).await;
    assert_eq!(status, 201);
    assert_eq!(world.call("POST", "/issues/1/comments", text("")).await.0, 422);
    assert_eq!(world.call("POST", "/issues/99/comments", text("x")).await.0, 500);
    assert_eq!(world.call("GET", "/issues/99/timeline", Value::Null).await.0, 500);
    assert_eq!(world.call("GET", "/issues/99", Value::Null).await.0, 404);
    let path = format!("/issues/comments/{}", made["id"]);
    let (status, same) = world.call("PATCH", &path, text("hello")).await;
    assert_eq!((status, &same["user"]), (200, &Value::Null));
    assert_eq!(world.events(), ["issue_comment/created"]);
    let eyes = json!({"content": "eyes"});
    let reactions = format!("{path}/reactions");
    assert_eq!(world.call("POST", &reactions, eyes.clone()).await.0, 201);
    assert_eq!(world.call("POST", &reactions, eyes).await.0, 200);
    let view = world.gitea.issue(&world.at).unwrap();
    assert_eq!(view.comments[0].reactions, [("triage-bot".to_owned(), "eyes".to_owned())]);
    assert_eq!(world.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(world.call("GET", &path, Value::Null).await.0, 404);
    world.gitea.set_archived(&repo(), true);
    assert_eq!(world.call("POST", "/issues/1/comments", text("x")).await.0, 423);
    assert_eq!(world.call("POST", "/issues/1/labels", json!({"labels": []})).await.0, 200);
}

#[tokio::test]
async fn nobody_gets_in_without_the_right_token() {
    let world = World::start().await;
    let url = format!("{}/api/v1/user", world.gitea.url());
    let status = |r: Response| r.status().as_u16();
    assert_eq!(status(world.client.get(&url).send().await.unwrap()), 401);
    assert_eq!(status(world.client.get(&url).bearer_auth("0").send().await.unwrap()), 401);
    let token = format!("token {}", world.gitea.token());
    assert_eq!(
        status(world.client.get(&url).header("Authorization", token).send().await.unwrap()),
        200
    );
    let bob = world.gitea.token_of("bob");
    let title =
        world.client.patch(format!("{}/api/v1/repos/acme/widgets/labels", world.gitea.url()));
    assert_eq!(status(title.bearer_auth(&bob).json(&json!({})).send().await.unwrap()), 404);
    world.gitea.remove_collaborator(&repo(), "triage-bot");
    assert_eq!(world.call("POST", "/labels", json!({})).await.0, 403);
    world.gitea.set_private(&repo(), true);
    assert_eq!(world.call("GET", "", Value::Null).await.0, 404);
    assert_eq!(world.call("GET", "/nothing", Value::Null).await.0, 404);
}

#[tokio::test]
async fn only_admins_ask_for_permissions_and_everybody_for_assignees() {
    let world = World::start().await;
    assert_eq!(world.call("GET", "/collaborators/bob/permission", Value::Null).await.0, 403);
    let people = world.get("/repos/acme/widgets/assignees").await;
    let logins: Vec<_> = people.as_array().unwrap().iter().map(|u| u["login"].clone()).collect();
    assert_eq!(logins.len(), 3);
    assert!(!logins.contains(&json!("bob")));
    world.gitea.add_collaborator(&repo(), "triage-bot", "admin");
    let (status, found) = world.call("GET", "/collaborators/bob/permission", Value::Null).await;
    assert_eq!((status, &found["permission"]), (200, &json!("read")));
    assert_eq!(world.call("GET", "/collaborators/zz/permission", Value::Null).await.0, 404);
    assert_eq!(world.send(Method::GET, "/users/zz", None).await.status(), 404);
}

#[tokio::test]
async fn lists_are_paged_newest_first_with_unreachable_links() {
    let clock = Clock::manual(Utc::now());
    let gitea = FakeGitea::start_at(clock.clone()).await.unwrap();
    for n in 0..120 {
        let pull = n == 0;
        let title = format!("issue {n}");
        gitea.open_issue(&repo(), NewIssue { title, is_pull_request: pull, ..NewIssue::default() });
        clock.advance(TimeDelta::seconds(1));
    }
    let at = IssueRef { repo: repo(), number: 1 };
    let world = World { gitea, client: client(), at };
    let page = world.send(Method::GET, "/repos/acme/widgets/issues?limit=999&page=2", None).await;
    assert_eq!(page.headers()["X-Total-Count"], "120");
    let link = page.headers()["Link"].to_str().unwrap().to_owned();
    assert!(
        link.starts_with("<https://gitea.example.com/api/v1/repos/acme/widgets/issues?"),
        "{link}"
    );
    let items: Vec<Value> = page.json().await.unwrap();
    assert_eq!((items.len(), &items[0]["number"]), (50, &json!(70)));
    assert_eq!(world.get("/repos/acme/widgets/issues").await.as_array().unwrap().len(), 30);
    let since = world.gitea.issue(&IssueRef { repo: repo(), number: 118 }).unwrap().updated_at;
    let since = since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let recent = world.get(&format!("/repos/acme/widgets/issues?state=all&since={since}")).await;
    assert_eq!(recent.as_array().unwrap().len(), 3);
    let issues = "/repos/acme/widgets/issues?type=issues&limit=1";
    let issues = world.send(Method::GET, issues, None).await;
    assert_eq!(issues.headers()["X-Total-Count"], "119");
}

#[tokio::test]
async fn hooks_keep_their_traps() {
    let world = World::start().await;
    assert_eq!(world.call("GET", "/hooks", Value::Null).await.0, 403);
    world.gitea.add_collaborator(&repo(), "triage-bot", "admin");
    let (url, caught) = receiver().await;
    let config = json!({"url": url, "content_type": "form", "secret": SECRET});
    let (status, hook) = world
        .call(
            "POST",
            "/hooks",
            json!({"type": "gitea", "events": ["issues_only"], "config": config}),
        )
        .await;
    assert_eq!(
        (status, &hook["active"], &hook["events"]),
        (201, &json!(false), &json!(["issues"]))
    );
    assert_eq!(hook["config"].get("secret"), None);
    let path = format!("/hooks/{}", hook["id"]);
    let revived = json!({"active": true, "events": ["issues"], "config": {"secret": "other"}});
    let (_, hook) = world.call("PATCH", &path, revived).await;
    assert_eq!(hook["events"].as_array().unwrap().len(), 5);
    assert_eq!(world.call("POST", &format!("{path}/tests"), Value::Null).await.0, 204);
    world.gitea.close(&world.at, "alice");
    world.gitea.delivered().await;
    let (head, body) = caught.lock().unwrap()[0].clone();
    let payload = form_urlencoded::parse(&body).next().unwrap().1.into_owned();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    assert_eq!(header(&head, "x-gitea-signature"), hex::encode(mac.finalize().into_bytes()));
    let (_, hook) = world.call("PATCH", &path, json!({})).await;
    assert_eq!(hook["events"], json!(["push"]));
    assert_eq!(world.call("POST", &format!("{path}/tests"), Value::Null).await.0, 204);
    world.gitea.delivered().await;
    let (_, theirs) = delivery_fixture("01-test-delivery.http");
    same_shape(&world.last_payload(), &theirs, "test push");
    assert_eq!(world.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(world.call("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn text_that_names_an_issue_marks_and_moves_it() {
    let clock = Clock::manual(Utc::now());
    let gitea = FakeGitea::start_at(clock.clone()).await.unwrap();
    let open = |title: &str| {
        gitea.open_issue(&repo(), NewIssue { title: title.into(), ..NewIssue::default() })
    };
    let (target, other) = (open("one"), open("two"));
    let before = gitea.issue(&target).unwrap().updated_at;
    clock.advance(TimeDelta::minutes(1));
    gitea.comment(&other, "alice", "`#1` https://gitea.example.com/acme/widgets/issues/1/");
    assert_eq!(gitea.issue(&target).unwrap().updated_at, before);
    gitea.comment(&other, "alice", "like #1");
    assert!(gitea.issue(&target).unwrap().updated_at > before);
    let pull = gitea.open_issue(
        &repo(),
        NewIssue {
            title: "pr".into(),
            body: "Closes #1".into(),
            is_pull_request: true,
            ..NewIssue::default()
        },
    );
    gitea.merge(&pull, "alice");
    gitea.set_commit_status(&pull, "success");
    let world = World { gitea: gitea.clone(), client: client(), at: target.clone() };
    let shown = world.get(&format!("/repos/acme/widgets/pulls/{}", pull.number)).await;
    assert_eq!(shown["merged"], true);
    let sha = shown["head"]["sha"].as_str().unwrap();
    let checks = world.get(&format!("/repos/acme/widgets/commits/{sha}/status")).await;
    assert_eq!(checks["state"], "success");
    let view = gitea.issue(&target).unwrap();
    assert_eq!(view.state, IssueState::Closed);
    let kinds: Vec<_> = view.timeline.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["comment_ref", "pull_ref", "close"]);
}

#[tokio::test]
async fn a_recorded_delivery_seeds_its_world() {
    let gitea = FakeGitea::start().await.unwrap();
    let (_, payload) = delivery_fixture("13-issues-opened-labels-assignees-milestone-c.http");
    let at = gitea.put_issue_from_payload(&payload).unwrap();
    let world = World { gitea, client: client(), at };
    let shown = world.get("/repos/acme/widgets/issues/10").await;
    for key in ["id", "number", "title", "body", "milestone", "created_at", "state"] {
        assert_eq!(shown[key], payload["issue"][key], "{key}");
    }
    assert_eq!(shown["assignees"][0]["id"], 4);
    assert_eq!(world.gitea.issue(&world.at).unwrap().labels, ["P0", "bug"]);
    let (_, gone) = delivery_fixture("52-issues-deleted.http");
    let at = world.gitea.put_issue_from_payload(&gone).unwrap();
    assert_eq!(world.gitea.issue(&at), None);
    let (_, push) = delivery_fixture("01-test-delivery.http");
    assert_eq!(world.gitea.put_issue_from_payload(&push), None);
    assert!(world.gitea.deliveries().is_empty());
}

#[tokio::test]
async fn a_removed_account_leaves_a_ghost() {
    let world = World::start().await;
    world.gitea.remove_user("bob");
    assert_eq!(world.get("/repos/acme/widgets/issues/1").await["user"]["login"], "Ghost");
}

// ---------------------------------------------------------------- faults

fn fault(method: &str, kind: FaultKind) -> Fault {
    Fault { method: Some(method.into()), path_contains: "/comments".into(), times: 1, kind }
}

#[tokio::test]
async fn faults_happen_once_and_do_what_they_say() {
    let world = World::start().await;
    let path = "/repos/acme/widgets/issues/1/comments";
    let post = || world.try_send(Method::POST, path, Some(json!({"body": "hello"})));
    let count = || world.gitea.issue(&world.at).unwrap().comments.len();
    for (kind, expected) in [
        (FaultKind::Status(502), 502),
        (FaultKind::StatusRetryAfter(429, 7), 429),
        (FaultKind::Html, 200),
        (FaultKind::WrongJson, 200),
    ] {
        world.gitea.fail(fault("POST", kind));
        let answer = post().await.unwrap();
        assert_eq!(answer.status(), expected);
        assert_eq!(answer.headers().contains_key("Retry-After"), expected == 429);
    }
    world.gitea.fail(fault("POST", FaultKind::ResetBefore));
    assert!(post().await.is_err());
    assert_eq!(count(), 0);
    world.gitea.fail(fault("POST", FaultKind::AnswerLost));
    assert!(post().await.is_err());
    assert_eq!(count(), 1);
    world.gitea.fail(fault("POST", FaultKind::CutBody));
    let cut = post().await.unwrap();
    assert_eq!(cut.status(), 201);
    assert!(cut.bytes().await.is_err());
    assert_eq!(count(), 2);
    world.gitea.fail(fault("POST", FaultKind::Hang(Duration::from_millis(50))));
    assert_eq!(post().await.unwrap().status(), 201);
    assert_eq!(post().await.unwrap().status(), 201);
    assert_eq!(world.gitea.writes().len(), 9);
    assert_eq!(world.gitea.writes()[4].status, 0);
}

#[tokio::test]
async fn it_stops_with_its_last_clone() {
    let gitea = FakeGitea::start().await.unwrap();
    let clone = gitea.clone();
    let url = format!("{}/api/v1/version", clone.url());
    drop(gitea);
    assert!(client().get(&url).send().await.is_ok());
    drop(clone);
    for _ in 0..1000 {
        if client().get(&url).send().await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still answering");
}

// ---------------------------------------------------------------- pull requests of a branch

#[tokio::test]
async fn a_pull_request_of_a_branch_is_opened_once() {
    let world = World::start().await;
    let n = world.at.number;
    let new = json!({"head": "triage/1-one", "base": "main", "title": "one", "body": format!("Closes #{n}")});
    let (status, pull) = world.call("POST", "/pulls", new.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&pull["head"]["ref"], &pull["base"]["ref"]),
        (&json!("triage/1-one"), &json!("main"))
    );
    assert_eq!(pull["head"]["repo_id"], pull["base"]["repo_id"]);
    assert_eq!(pull["draft"], false);
    let (status, refused) = world.call("POST", "/pulls", new.clone()).await;
    assert_eq!(status, 409);
    assert!(refused["message"].as_str().unwrap().starts_with("pull request already exists"));
    let draft = json!({"head": "triage/2-two", "base": "main", "title": "WIP: two"});
    assert_eq!(world.call("POST", "/pulls", draft).await.1["draft"], true);
    // The list knows no filter for the branch.
    let (_, listed) = world.call("GET", "/pulls?state=open&head=triage/1-one", Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let at = IssueRef { repo: repo(), number: pull["number"].as_u64().unwrap() };
    world.gitea.merge(&at, "alice");
    assert_eq!(world.gitea.issue(&world.at).unwrap().state, IssueState::Closed);
    assert_eq!(
        world.call("GET", "/pulls?state=open", Value::Null).await.1.as_array().unwrap().len(),
        1
    );
    assert_eq!(world.call("POST", "/pulls", new).await.0, 201);
    for missing in ["head", "base", "title"] {
        let mut new = json!({"head": "a", "base": "b", "title": "c"});
        new[missing] = Value::Null;
        new.as_object_mut().unwrap().remove(missing);
        assert_eq!(world.call("POST", "/pulls", new).await.0, 422, "{missing}");
    }
}

//! The client against a Gitea that misbehaves: pages, waits, redirects, cut and foreign answers, the dry run.

// A panic in a helper is the failure message, as it is in the test itself.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gitea_triage::gitea::{Client, Error, IssueQuery, Settings, StateFilter};
use gitea_triage::issue::{IssueRef, IssueState, RepoName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::{any, body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// The time limit where the server does not go on.
const SHORT: Duration = Duration::from_millis(500);
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

fn settings(url: &str) -> Settings {
    Settings { page_size: 2, ..Settings::new(url, TOKEN) }
}

fn client(server: &MockServer) -> Client {
    Client::new(settings(&server.uri())).unwrap()
}

fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

fn at() -> IssueRef {
    "acme/widgets#5".parse().unwrap()
}

fn recorded(name: &str) -> Value {
    let path = format!("{}/fixtures/api/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

async fn answers(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb))
        .and(path(format!("/api/v1{at}")))
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn always(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(any()).respond_with(answer).mount(server).await;
}

async fn requests(server: &MockServer) -> Vec<String> {
    let sent = server.received_requests().await.unwrap();
    sent.iter().map(|r| format!("{} {}", r.method, r.url.path())).collect()
}

#[tokio::test]
async fn recorded_answers_become_nouns() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/user", 200, recorded("user")).await;
    answers(&server, "GET", "/version", 200, recorded("version")).await;
    answers(&server, "GET", "/repos/acme/widgets/issues/5", 200, recorded("issue")).await;
    answers(&server, "GET", "/repos/acme/widgets/issues/5/comments", 200, recorded("comments"))
        .await;
    answers(&server, "GET", "/repos/acme/widgets", 200, recorded("repo")).await;
    let client = client(&server);
    assert_eq!(client.whoami().await.unwrap().login, "triage-bot");
    assert_eq!(client.version().await.unwrap(), "1.25.4");
    assert_eq!(client.issue(&at()).await.unwrap().unwrap().labels, ["P0", "bug"]);
    assert_eq!(client.comments_of(&at(), Some).await.unwrap()[0].body, "/triage hold");
    let repository = client.repository(&repo()).await.unwrap();
    assert_eq!((repository.owner_login.as_str(), repository.has_issues), ("acme", true));
    assert_eq!(client.calls(), 5);
}

#[tokio::test]
async fn the_token_travels_in_one_header_and_nowhere_else() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", format!("token {TOKEN}")))
        .and(header("accept", "application/json"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let client = client(&server);
    let error = client.post_comment(&at(), "hello").await.unwrap_err();
    let texts = format!("{error} {error:?} {client:?} {:?}", settings(&server.uri()));
    assert!(!texts.contains(TOKEN), "{texts}");
    assert!(
        error.to_string().starts_with("`POST acme/widgets#5 comments`: the forge answered 403; ")
    );
}

/// Gives `total` labels, never more than `cap` a page, as `[api] MAX_RESPONSE_ITEMS` does.
fn pages(request: &Request, total: usize, cap: usize) -> Value {
    let number = |key: &str| -> usize {
        let mut pairs = request.url.query_pairs();
        pairs.find(|(k, _)| k == key).unwrap().1.parse().unwrap()
    };
    let size = number("limit").min(cap);
    let ids = (1..=total).skip((number("page") - 1) * size).take(size);
    ids.map(|id| json!({"id": id, "name": format!("label {id}"), "color": "ff0000"})).collect()
}

async fn label_names(total: usize, cap: usize, counted: bool) -> (usize, u64) {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/repos/acme/widgets/labels"))
        .respond_with(move |request: &Request| {
            let answer = ResponseTemplate::new(200).set_body_json(pages(request, total, cap));
            if counted { answer.insert_header("x-total-count", total) } else { answer }
        })
        .mount(&server)
        .await;
    let client = client(&server);
    let labels = client.labels(&repo()).await.unwrap();
    assert!(labels.iter().enumerate().all(|(i, l)| l.id == i as i64 + 1 && !l.org));
    // One of the calls asked for the organisation's labels and was answered 404.
    (labels.len(), client.calls() - 1)
}

#[tokio::test]
async fn a_list_is_read_to_its_end_even_if_pages_are_shorter_than_asked_for() {
    assert_eq!(label_names(5, 2, true).await, (5, 3));
    assert_eq!(label_names(5, 1, true).await, (5, 5));
    assert_eq!(label_names(4, 2, false).await, (4, 3));
    assert_eq!(label_names(3, 1, false).await, (3, 4));
    assert_eq!(label_names(0, 2, true).await, (0, 1));
    assert_eq!(label_names(0, 2, false).await, (0, 1));
}

#[tokio::test]
async fn a_server_that_pages_nothing_gives_each_item_once() {
    let server = MockServer::start().await;
    let all = recorded("labels");
    answers(&server, "GET", "/repos/acme/widgets/labels", 200, all.clone()).await;
    answers(&server, "GET", "/orgs/acme/labels", 200, json!(null)).await;
    let labels = client(&server).labels(&repo()).await.unwrap();
    assert_eq!(labels.len(), all.as_array().unwrap().len());
}

#[tokio::test]
async fn organisation_labels_come_after_the_repositorys() {
    let server = MockServer::start().await;
    let one = |id: u64, name: &str| json!([{"id": id, "name": name, "is_archived": id == 2}]);
    answers(&server, "GET", "/repos/acme/widgets/labels", 200, one(1, "bug")).await;
    answers(&server, "GET", "/orgs/acme/labels", 200, one(2, "bug")).await;
    let labels = client(&server).labels(&repo()).await.unwrap();
    let shape: Vec<_> = labels.iter().map(|l| (l.id, l.org, l.archived)).collect();
    assert_eq!(shape, [(1, false, false), (2, true, true)]);
}

#[tokio::test]
async fn a_page_of_issues_asks_for_issues_only_and_tells_the_total() {
    let server = MockServer::start().await;
    let since = "2026-11-22T13:15:04Z".parse().unwrap();
    let answer = ResponseTemplate::new(200)
        .set_body_json(recorded("issues-open"))
        .insert_header("x-total-count", "17");
    Mock::given(path("/api/v1/repos/acme/widgets/issues"))
        .and(query_param("type", "issues"))
        .and(query_param("state", "all"))
        .and(query_param("since", "2026-11-22T13:15:04Z"))
        .and(query_param("page", "3"))
        .and(query_param("limit", "2"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let query = IssueQuery { state: StateFilter::All, since: Some(since) };
    let page = client(&server).issues_page(&repo(), &query, 3).await.unwrap();
    assert_eq!((page.total, page.items[0].number), (Some(17), 15));
}

#[tokio::test]
async fn a_missing_issue_is_told_from_a_repository_out_of_sight() {
    let server = MockServer::start().await;
    let client = client(&server);
    let error = client.issue(&at()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("`GET acme/widgets`: the forge answered 404; "),
        "{error}"
    );
    assert!(!error.is_transient());

    answers(&server, "GET", "/repos/acme/widgets", 200, recorded("repo")).await;
    assert_eq!(client.issue(&at()).await.unwrap(), None);

    server.reset().await;
    let mut off = recorded("repo");
    off["has_issues"] = json!(false);
    answers(&server, "GET", "/repos/acme/widgets", 200, off).await;
    let error = client.issue(&at()).await.unwrap_err();
    assert!(error.to_string().starts_with("`GET acme/widgets issues`: "), "{error}");
}

#[tokio::test]
async fn an_overloaded_gitea_says_when_to_come_back() {
    for status in [429, 503] {
        let server = MockServer::start().await;
        always(&server, ResponseTemplate::new(status).insert_header("retry-after", "7")).await;
        let error = client(&server).version().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert!(error.is_transient() && error.is_outage());
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 307, 308] {
        let server = MockServer::start().await;
        let location = "/api/v1/repos/acme/gadgets/issues/5/comments";
        always(&server, ResponseTemplate::new(status).insert_header("location", location)).await;
        let client = client(&server);
        let error = client.post_comment(&at(), "hello").await.unwrap_err();
        assert!(error.to_string().contains("`acme/gadgets`"), "{error}");
        assert!(!error.is_transient() && !error.may_have_happened());
        assert!(matches!(client.issue(&at()).await, Err(Error::Moved { .. })));
        assert_eq!(requests(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn an_account_that_was_renamed_is_no_wrong_address() {
    for (status, kind) in [(301, "users"), (307, "users"), (301, "orgs")] {
        let server = MockServer::start().await;
        let location = format!("/api/v1/{kind}/carol");
        always(&server, ResponseTemplate::new(status).insert_header("location", location.as_str()))
            .await;
        let error = client(&server).is_account("caroline").await.unwrap_err();
        assert!(matches!(&error, Error::Renamed { to, .. } if to == "carol"), "{error}");
        let said = error.to_string();
        assert!(said.contains("now called `carol`") && !said.contains("gitea.url"), "{said}");
        assert!(!error.is_transient() && !error.is_outage());
    }
}

#[tokio::test]
async fn a_foreign_answer_is_not_taken_for_giteas() {
    for body in ["<html>please log in: hidden</html>", "", "[]", "{\"id\": \"hidden\"}"] {
        let server = MockServer::start().await;
        always(&server, ResponseTemplate::new(200).set_body_raw(body, "text/html")).await;
        let client = client(&server);
        let error = client.post_comment(&at(), "hello").await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.is_transient() && error.may_have_happened());
        assert!(!error.to_string().contains("hidden"), "{error}");
        assert!(client.issue(&at()).await.is_err_and(|e| !e.may_have_happened()));
        assert!(client.repository(&repo()).await.is_err());
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_confirmation_of_an_edit() {
    let server = MockServer::start().await;
    always(&server, ResponseTemplate::new(200).set_body_raw("<html>", "text/html")).await;
    let error = client(&server).edit_comment(&at(), 3, "hello").await.unwrap_err();
    assert!(error.is_transient() && error.may_have_happened());
}

#[tokio::test]
async fn the_all_zero_issue_is_an_answer_to_try_again() {
    let server = MockServer::start().await;
    let zero = json!({"id": 0, "number": 0, "title": "", "labels": null, "assignees": null});
    answers(&server, "GET", "/repos/acme/widgets/issues/5", 200, zero).await;
    let error = client(&server).issue(&at()).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && error.is_transient());
}

#[tokio::test]
async fn an_answer_past_the_limit_is_not_read_on() {
    let server = MockServer::start().await;
    let long = json!({"version": "x".repeat(5000)});
    answers(&server, "GET", "/version", 200, long).await;
    let settings = Settings { max_response: 1000, ..settings(&server.uri()) };
    let error = Client::new(settings).unwrap().version().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1000, .. }), "{error}");
    assert!(!error.is_transient());
}

/// A server that reads a request, writes these bytes and closes (or, with `hold`, says nothing more).
async fn raw(bytes: &'static [u8], hold: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(bytes).await;
            if hold {
                std::future::pending::<()>().await;
            }
        }
    });
    url
}

#[tokio::test]
async fn a_cut_answer_leaves_a_write_in_doubt() {
    let endless = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n{\"id\"";
    for bytes in
        [&b""[..], b"HTTP/1.1 20", b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{", endless]
    {
        for hold in [false, true] {
            let timeout = if hold { SHORT } else { Settings::new("", "").timeout };
            let settings = Settings { timeout, ..settings(&raw(bytes, hold).await) };
            let client = Client::new(settings).unwrap();
            let error = client.post_comment(&at(), "hello").await.unwrap_err();
            assert!(matches!(error, Error::Unreachable { .. }), "{error}");
            assert!(error.is_transient() && error.is_outage() && error.may_have_happened());
        }
    }
}

#[tokio::test]
async fn an_endless_answer_stops_at_the_limit() {
    let chunk =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n";
    let url = raw(chunk, true).await;
    let client = Client::new(Settings { max_response: 9, ..settings(&url) }).unwrap();
    assert!(matches!(client.version().await, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn a_closed_port_is_an_outage_in_which_nothing_happened() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(settings(&url)).unwrap().post_comment(&at(), "x").await.unwrap_err();
    assert!(error.is_outage() && !error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn a_dry_run_reads_and_writes_nothing() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/version", 200, recorded("version")).await;
    let client = Client::new(Settings { dry_run: true, ..settings(&server.uri()) }).unwrap();
    let logins = ["claude".to_owned()];
    let held = [
        client.post_comment(&at(), "x").await.map(|_| ()),
        client.edit_comment(&at(), 1, "x").await,
        client.react(&at(), 1, "eyes").await,
        client.create_label(&repo(), "x", "ff0000", "").await.map(|_| ()),
        client.add_labels(&at(), &[1]).await.map(|_| ()),
        client.remove_label(&at(), 1).await,
        client.set_assignees(&at(), &logins).await.map(|_| ()),
        client.set_state(&at(), IssueState::Closed).await,
        client.create_issue(&repo(), "x", "").await.map(|_| ()),
    ];
    for answer in held {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::DryRun { .. }), "{error}");
        assert!(!error.is_transient() && !error.may_have_happened());
    }
    assert_eq!(client.calls(), 0);
    client.version().await.unwrap();
    assert_eq!(requests(&server).await, ["GET /api/v1/version"]);
}

#[tokio::test]
async fn writes_send_what_gitea_expects_and_tell_what_came_of_it() {
    let server = MockServer::start().await;
    let issue = |assignees: Value| json!({"id": 9, "number": 5, "assignees": assignees});
    let on = |verb: &str, tail: &str, body: Value, status: u16, answer: Value| {
        Mock::given(method(verb))
            .and(path(format!("/api/v1/repos/acme/widgets/{tail}")))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(status).set_body_json(answer))
            .expect(1)
            .mount(&server)
    };
    on(
        "POST",
        "issues/5/labels",
        json!({"labels": [1, 2]}),
        200,
        json!([{"id": 1, "name": "bug"}]),
    )
    .await;
    let assigned = issue(json!([{"id": 4, "login": "claude"}]));
    on("PATCH", "issues/5", json!({"assignees": ["claude"]}), 201, assigned).await;
    on("PATCH", "issues/5", json!({"assignees": []}), 200, issue(json!(null))).await;
    on("PATCH", "issues/5", json!({"state": "closed"}), 201, issue(json!(null))).await;
    on("PATCH", "issues/comments/3", json!({"body": "new"}), 200, json!({"id": 3, "user": null}))
        .await;
    on("POST", "issues/comments/3/reactions", json!({"content": "eyes"}), 201, json!({})).await;
    let color = json!({"name": "a", "color": "#00ff00", "description": "b"});
    on("POST", "labels", color, 201, json!({"id": 3, "name": "a", "color": "00ff00"})).await;
    let client = client(&server);
    assert_eq!(client.add_labels(&at(), &[1, 2]).await.unwrap(), ["bug"]);
    assert_eq!(client.set_assignees(&at(), &["claude".into()]).await.unwrap(), ["claude"]);
    assert!(client.set_assignees(&at(), &[]).await.unwrap().is_empty());
    client.set_state(&at(), IssueState::Closed).await.unwrap();
    client.edit_comment(&at(), 3, "new").await.unwrap();
    client.react(&at(), 3, "eyes").await.unwrap();
    assert_eq!(client.create_label(&repo(), "a", "00ff00", "b").await.unwrap().id, 3);
}

#[tokio::test]
async fn a_label_that_is_no_more_counts_as_taken_off() {
    for (status, issue_status, fine) in
        [(204, 200, true), (422, 200, true), (404, 200, true), (404, 404, false), (403, 200, false)]
    {
        let server = MockServer::start().await;
        answers(&server, "DELETE", "/repos/acme/widgets/issues/5/labels/1", status, json!(null))
            .await;
        answers(&server, "GET", "/repos/acme/widgets/issues/5", issue_status, recorded("issue"))
            .await;
        assert_eq!(client(&server).remove_label(&at(), 1).await.is_ok(), fine, "{status}");
    }
}

#[tokio::test]
async fn who_may_be_assigned_is_known_before_it_is_tried() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/repos/acme/widgets/assignees", 200, recorded("assignees")).await;
    answers(&server, "GET", "/repos/acme/widgets", 200, recorded("repo")).await;
    answers(&server, "GET", "/users/reader", 200, recorded("user")).await;
    answers(&server, "GET", "/users/acme", 200, recorded("user")).await;
    answers(&server, "GET", "/orgs/acme", 200, json!({"id": 8})).await;
    let client = client(&server);
    for (login, expected) in
        [("Claude", true), ("reader", true), ("nobody", false), ("acme", false)]
    {
        assert_eq!(client.assignable(&repo(), login).await.unwrap(), expected, "{login}");
    }
    server.reset().await;
    let mut private = recorded("repo");
    private["private"] = json!(true);
    answers(&server, "GET", "/repos/acme/widgets/assignees", 200, recorded("assignees")).await;
    answers(&server, "GET", "/repos/acme/widgets", 200, private).await;
    answers(&server, "GET", "/users/reader", 200, recorded("user")).await;
    assert!(!client.assignable(&repo(), "reader").await.unwrap());
}

#[tokio::test]
async fn dependencies_may_be_off_elsewhere_or_hidden() {
    let server = MockServer::start().await;
    let client = client(&server);
    assert!(client.dependencies(&at()).await.unwrap().is_empty());
    let list = json!([
        {"id": 1, "number": 2, "state": "open", "repository": {"full_name": "other/place"}},
        {"id": 3, "number": 4, "state": "closed", "repository": null},
        {"id": 0, "number": 0, "title": "HIDDEN", "state": ""}
    ]);
    answers(&server, "GET", "/repos/acme/widgets/issues/5/dependencies", 200, list).await;
    let found = client.dependencies(&at()).await.unwrap();
    let found: Vec<_> = found.iter().map(|(at, state)| (at.to_string(), *state)).collect();
    let expected = [("other/place#2", IssueState::Open), ("acme/widgets#4", IssueState::Closed)];
    assert_eq!(found, expected.map(|(at, state)| (at.to_owned(), state)));
}

#[tokio::test]
async fn a_wildcards_repositories_are_the_ones_that_can_be_worked_on() {
    let server = MockServer::start().await;
    let one = |id: u64, name: &str, archived: bool, has_issues: bool| json!({"id": id, "full_name": name, "archived": archived, "has_issues": has_issues});
    let all = json!([
        one(1, "acme/a", false, true),
        one(2, "acme/b", true, true),
        one(3, "acme/c", false, false)
    ]);
    answers(&server, "GET", "/users/acme/repos", 403, json!(null)).await;
    answers(&server, "GET", "/orgs/acme/repos", 200, all).await;
    let found = client(&server).repositories("acme").await.unwrap();
    assert_eq!(found, ["acme/a".parse().unwrap()]);
}

#[tokio::test]
async fn a_token_that_may_not_read_its_account_is_told_by_the_configuration() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/user", 403, json!(null)).await;
    assert_eq!(client(&server).whoami().await.unwrap_err().status(), Some(403));
    let settings = Settings { account: Some("bot".into()), ..settings(&server.uri()) };
    let account = Client::new(settings).unwrap().whoami().await.unwrap();
    assert_eq!((account.id, account.login.as_str()), (0, "bot"));
}

#[tokio::test]
async fn a_file_is_read_at_a_ref_and_each_part_of_its_path_stays_one() {
    let server = MockServer::start().await;
    let file = ResponseTemplate::new(200).set_body_raw("fn main() {}", "text/plain");
    Mock::given(method("GET"))
        .and(path("/api/v1/repos/acme/widgets/raw/src/a%20b%3F.rs"))
        .and(query_param("ref", "v1/x&y"))
        .respond_with(file)
        .mount(&server)
        .await;
    let client = client(&server);
    let found = client.file(&repo(), "src/a b?.rs", Some("v1/x&y")).await.unwrap();
    assert_eq!(found.as_deref(), Some(b"fn main() {}".as_slice()));
    assert_eq!(client.file(&repo(), "src/gone.rs", None).await.unwrap(), None);
}

/// The issues of a list, newest first, each with a text of this length.
async fn issues_of_lengths(lengths: &[(u64, usize)]) -> (MockServer, Client) {
    let server = MockServer::start().await;
    let lengths = lengths.to_vec();
    let issue = |(number, length): &(u64, usize)| {
        json!({"body": "<".repeat(*length), "id": number, "number": number, "title": "x",
               "ref_issue": {"body": "x".repeat(*length), "number": 3}, "type": "label",
               "label": {"name": format!("label-{number}")}})
    };
    Mock::given(any())
        .respond_with(move |request: &Request| {
            let number = |key: &str| -> Option<usize> {
                let mut pairs = request.url.query_pairs();
                pairs.find(|(k, _)| k == key)?.1.parse().ok()
            };
            if request.url.path().ends_with("/settings/api") {
                return ResponseTemplate::new(200).set_body_json(json!({"max_response_items": 8}));
            }
            let size = number("limit").unwrap_or(usize::MAX).min(8);
            let before = (number("page").unwrap_or(1) - 1) * size;
            let page: Vec<_> = lengths.iter().skip(before).take(size).map(issue).collect();
            ResponseTemplate::new(200)
                .set_body_json(page)
                .insert_header("x-total-count", lengths.len())
        })
        .mount(&server)
        .await;
    let settings = Settings { max_response: 1_000, page_size: 50, ..settings(&server.uri()) };
    let client = Client::new(settings).unwrap();
    (server, client)
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_in_parts_and_one_item_is_skipped_and_named() {
    // Texts come twice, so that 4,000 bytes hold two of the usual ones and not the seventh, eleventh and sixteenth.
    let usual = |n: u64| (n, if [7, 11, 16].contains(&n) { 4_000 } else { 700 });
    let lengths: Vec<_> = (1..=20).map(usual).collect();
    let (_server, client) = issues_of_lengths(&lengths).await;
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for page in 1..=3 {
        let page = client.issues_page(&repo(), &IssueQuery::default(), page).await.unwrap();
        assert_eq!(page.total, Some(20));
        read.extend(page.items.iter().map(|issue| issue.number));
        unread.extend(page.unread);
    }
    let others: Vec<_> = (1..=20).filter(|n| ![7, 11, 16].contains(n)).collect();
    assert_eq!(read, others);
    assert_eq!(unread.iter().map(|one| one.number).collect::<Vec<_>>(), [7, 11, 16].map(Some));
    let said = unread[0].to_string();
    assert_eq!(said, "`acme/widgets#7` is too large to be read; shorten its text");
}

#[tokio::test]
async fn an_item_that_not_even_its_number_can_be_read_of_is_named_by_its_place() {
    let (_server, client) = issues_of_lengths(&[(9, 10), (8, 40_000), (7, 10)]).await;
    let page = client.issues_page(&repo(), &IssueQuery::default(), 1).await.unwrap();
    assert_eq!(page.items.iter().map(|issue| issue.number).collect::<Vec<_>>(), [9, 7]);
    let said = page.unread[0].to_string();
    assert_eq!(said, "issue 2 of `acme/widgets`, newest first, is too large to be read");
}

#[tokio::test]
async fn every_list_is_read_around_what_is_too_large() {
    let lengths: Vec<_> = (1..=10).map(|n| (n, if n == 3 { 40_000 } else { 500 })).collect();
    let (_server, client) = issues_of_lengths(&lengths).await;
    let timeline = client.timeline(&at(), None).await.unwrap();
    assert!(timeline.len() >= 7, "{}", timeline.len());
    assert_eq!(client.labels(&repo()).await.unwrap().len(), 9 * 2);
    assert_eq!(client.dependencies(&at()).await.unwrap().len(), 9);
    assert_eq!(client.search_issues(&repo(), "x").await.unwrap().len(), 7);
}

#[tokio::test]
async fn what_is_not_asked_for_is_dropped_on_the_way() {
    // Three kinds of answer past the length that is kept whole, each short in what is wanted of it.
    let server = MockServer::start().await;
    let long = "x".repeat(3_000);
    let event = json!([{"type": "label", "body": "1", "label": {"name": "bug"}, "ref_issue": {"body": &long}}]);
    answers(&server, "GET", "/repos/acme/widgets/issues/5/timeline", 200, event).await;
    let comments: Vec<_> =
        (1..5).map(|id| json!({"id": id, "body": format!("{long}{id}")})).collect();
    answers(&server, "GET", "/repos/acme/widgets/issues/5/comments", 200, json!(comments)).await;
    let issue = json!({"id": 1, "number": 5, "title": "x", "assignees": [], "repository": {"readme": &long}});
    answers(&server, "PATCH", "/repos/acme/widgets/issues/5", 201, issue.clone()).await;
    answers(&server, "GET", "/repos/acme/widgets/issues/5", 200, issue).await;
    answers(&server, "GET", "/repos/acme/widgets/issues/comments/2", 200, comments[1].clone())
        .await;
    let settings = Settings { max_response: 1_000, page_size: 50, ..settings(&server.uri()) };
    let client = Client::new(settings).unwrap();
    assert_eq!(client.timeline(&at(), None).await.unwrap().len(), 1);
    let last = |one: gitea_triage::gitea::Comment| one.body.ends_with('4').then_some(one.id);
    assert_eq!(client.comments_of(&at(), last).await.unwrap(), [4]);
    assert_eq!(client.comment(&at(), 2).await.unwrap().unwrap().id, 2);
    assert_eq!(client.issue(&at()).await.unwrap().unwrap().number, 5);
    client.set_state(&at(), IssueState::Closed).await.unwrap();
    assert!(client.set_assignees(&at(), &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_large_answer_that_does_not_come_to_its_end_in_time_is_no_outage() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[{\"body\": \"")
                .await;
            let _ = socket.write_all("x".repeat(2 * 1024 * 1024).as_bytes()).await;
            std::future::pending::<()>().await;
        }
    });
    // Long enough for what does come.
    let timeout = Duration::from_secs(5);
    let settings = Settings { max_response: 100_000_000, timeout, ..settings(&url) };
    let client = Client::new(settings).unwrap();
    let error = client.comments_of(&at(), Some).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }) && !error.is_outage(), "{error}");
}

//! A unique word in every secret of the configuration: it turns up nowhere, whatever is logged, stored or shown.

mod canaries;
mod settings;

use std::path::Path;
use std::process::Output;

use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{Fault, FaultKind};
use gitea_triage::issue::IssueRef;
use reqwest::{Client, Response};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use self::canaries::Canaries;
use self::settings::{Secret, Secrets, Way, config, published};
use crate::program::{PATIENCE, Program, SECRET, Stage, delivery, push_payload, sign, until};

/// The beginning of an invoice, as Lightning services write it.
const INVOICE: &str =
    "lnbc1u1p3xnhl2pp5jptserfk3zk4qy42tlucycrfwxhydvlemu9pqr93tuzlv9cc7g3sdqqcqzpg";

/// Everything outside: a model that asks both outside models and then refuses, services that repeat in their errors
/// what they were sent, and an agent that even repeats its secret.
struct Outside {
    agent_secret: String,
}

impl Respond for Outside {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let is_first = !String::from_utf8_lossy(&request.body).contains("\"tool\"");
        if path.starts_with("/model/") && is_first {
            let arguments = "{\"question\": \"Why?\"}";
            let call = |name: &str| json!({"id": name, "type": "function", "function": {"name": name, "arguments": arguments}});
            let calls = [call("consult_big"), call("consult_small")];
            let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
            return ResponseTemplate::new(200)
                .set_body_json(json!({"choices": [{"message": message}]}));
        }
        if path.starts_with("/lnbits/") {
            return ResponseTemplate::new(201).set_body_json(json!({"payment_request": INVOICE}));
        }
        let keys = ["authorization", "x-api-key", "grpc-metadata-macaroon"];
        let keys = keys.iter().filter_map(|name| request.headers.get(*name)?.to_str().ok());
        let keys = keys.collect::<Vec<_>>().join(" ");
        let said = format!("{} {} {keys}", self.agent_secret, request.url);
        ResponseTemplate::new(400).set_body_string(said)
    }
}

/// Everything that was seen, and where.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    fn ran(&mut self, place: &str, output: Output) {
        self.add(format!("stdout of {place}"), output.stdout);
        self.add(format!("stderr of {place}"), output.stderr);
    }

    /// Keeps an answer with its headers; its status and text.
    async fn answer(&mut self, place: &str, answer: Response) -> (u16, String) {
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let text = answer.text().await.unwrap();
        self.add(format!("the answer of {place}"), format!("{headers}\n{text}"));
        (status, text)
    }

    /// Every file below a folder but the configuration; its folder of secrets is not looked into.
    fn files(&mut self, folder: &Path) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_file() && path.extension().is_none_or(|end| end != "toml") {
                self.add(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
}

/// A browser that keeps its cookie and follows nothing by itself.
struct Browser<'a> {
    http: Client,
    root: String,
    cookie: String,
    seen: &'a mut Seen,
}

impl<'a> Browser<'a> {
    fn new(program: &Program, seen: &'a mut Seen) -> Self {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, root: program.url(""), cookie: String::new(), seen }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder, path: &str) -> (u16, String) {
        let request = request.header("Cookie", &self.cookie).header("Origin", &self.root);
        let answer = request.send().await.unwrap();
        if let Some(cookie) = answer.headers().get("set-cookie") {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let place = answer.headers().get("location").map(|v| v.to_str().unwrap().to_owned());
        let (status, text) = self.seen.answer(path, answer).await;
        (status, place.unwrap_or(text))
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        self.send(self.http.get(format!("{}{path}", self.root)), path).await
    }

    /// Signs in with the token, after a wrong one; every page it leads to.
    async fn by_token(&mut self, token: &str) {
        for (token, place) in [(format!("{token}x"), "/sign-in?next="), (token.to_owned(), "/")] {
            let (_, form) = self.get("/sign-in").await;
            let (_, csrf) = form.split_once("name=\"csrf\" value=\"").unwrap();
            let fields = [("token", token.as_str()), ("csrf", csrf.split('"').next().unwrap())];
            let body =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let request = self.http.post(format!("{}/sign-in/token", self.root)).body(body);
            let request = request.header("Content-Type", "application/x-www-form-urlencoded");
            assert_eq!(self.send(request, "/sign-in/token").await, (303, place.to_owned()));
        }
    }

    /// Signs in through the forge; where it ends up.
    async fn by_forge(&mut self, login: &str) -> String {
        let (_, authorize) = self.get("/sign-in/gitea").await;
        let authorize = url::Url::parse(&authorize).unwrap();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(authorize.query_pairs()).append_pair("login", login);
        let grant = authorize.join("/login/oauth/grant").unwrap();
        let grant = self.http.post(grant).body(form.finish());
        let back = grant.header("Content-Type", "application/x-www-form-urlencoded").send().await;
        let back = url::Url::parse(back.unwrap().headers()["location"].to_str().unwrap()).unwrap();
        self.get(&format!("{}?{}", back.path(), back.query().unwrap())).await.1
    }
}

/// Takes the program through refusals, failures and work.
async fn live(stage: &Stage, program: &Program, seen: &mut Seen) {
    let http = Client::new();
    let url = &program.url("/webhook");
    let body = push_payload(1, 300);
    let forged =
        delivery(&http, url, body.clone()).header("X-Gogs-Signature", sign("wrong", &body));
    let report = http.post(program.url("/dispatches/none")).body("{}");
    for (request, status) in [
        (forged, 401),
        (http.post(url).body("{}"), 401),
        (delivery(&http, url, b"<html>".to_vec()), 202),
        (report.header("X-Gitea-Triage-Signature", "sha256=00"), 404),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(seen.answer("a delivery", answer).await.0, status);
    }
    for (times, kind) in [
        (1, FaultKind::Status(401)),
        (2, FaultKind::Status(500)),
        (1, FaultKind::Html),
        (1, FaultKind::CutBody),
        (1, FaultKind::AnswerLost),
    ] {
        stage.gitea.fail(Fault { method: None, path_contains: String::new(), times, kind });
        stage.open(1);
    }
    stage.processed().await;
}

/// Our comments on the issue, one after the other.
fn comments(stage: &Stage, at: &IssueRef) -> String {
    let comments = stage.gitea.issue(at).unwrap().comments;
    comments.into_iter().map(|comment| comment.body).collect()
}

/// Gives issues to the agent that is called and to the model; both fail with what they were sent in their mouths.
async fn fail_agents(stage: &Stage, outside: &MockServer) {
    for (agent, said) in [("api", "returned 400"), ("local", "OpenAI API HTTP error: 400")] {
        let issue = stage.open(2);
        stage.processed().await;
        stage.gitea.comment(&issue, "alice", &format!("/triage assign {agent}"));
        until(&format!("the failure of `{agent}`"), PATIENCE, async || {
            let told = comments(stage, &issue);
            told.contains("**Triage: escalated**") && told.contains(said)
        })
        .await;
    }
    stage.processed().await;
    let asked = outside.received_requests().await.unwrap();
    for path in ["/work", "/model/", "/paid/", "/lnbits/", "/lnd/"] {
        assert!(asked.iter().any(|r| r.url.path().starts_with(path)), "{path} was not asked");
    }
}

/// The pages, for everybody and for those who are signed in.
async fn browse(stage: &Stage, program: &Program, token: &str, seen: &mut Seen) {
    let mut browser = Browser::new(program, seen);
    for path in ["/metrics", "/readyz", "/healthz"] {
        assert_eq!(browser.get(path).await.0, 200, "{path}");
    }
    let fault = |kind| Fault { method: None, path_contains: "access_token".into(), times: 1, kind };
    for kind in [FaultKind::Status(400), FaultKind::Html] {
        stage.gitea.fail(fault(kind));
        assert_eq!(browser.by_forge("alice").await, "/sign-in");
        browser.get("/sign-in").await;
    }
    assert_eq!(browser.by_forge("alice").await, "/");
    browser.get("/").await;
    browser.cookie.clear();
    browser.by_token(token).await;
    let issue = |at: IssueRef| format!("/issues/{}/{}", at.repo, at.number);
    let issues = stage.gitea.issues(&stage.repo).into_iter().map(|(at, _)| issue(at));
    let deliveries =
        stage.gitea.deliveries().into_iter().map(|d| format!("/deliveries/{}", d.uuid));
    let lists = [
        "/",
        "/deliveries",
        "/issues",
        "/agents",
        "/acts",
        "/days",
        "/decisions/1",
        "/search?q=login",
    ];
    for path in lists.map(str::to_owned).into_iter().chain(issues).chain(deliveries.take(5)) {
        assert_eq!(browser.get(&path).await.0, 200, "{path}");
    }
}

/// What people are shown by commands, all of them logging whatever they can.
fn shown(stage: &Stage, program: &Program, seen: &mut Seen) {
    let mut show = |words: &str| {
        let mut command = stage.command();
        command.env("GITEA_TRIAGE_LOG", "trace");
        command.env("GITEA_TRIAGE__SERVER__PUBLIC_URL", program.url(""));
        command.env("GITEA_TRIAGE__SERVER__LISTEN", program.address());
        let output = command.args(words.split(' ')).output().unwrap();
        assert_ne!(output.status.code(), Some(2), "`{words}` is used wrongly: {output:?}");
        seen.ran(words, output);
    };
    for words in [
        "healthcheck --ready",
        "config show",
        "config show --json",
        "config check --json",
        "config policy",
        "inbox list --json",
        "score acme/widgets#1 --explain",
        "summary --print",
        "hook install",
        "hook list --json",
        "hook test",
        "check",
        "check --json",
        "agent run acme/widgets#1 --dry-run",
        "agent run acme/widgets#1 --json",
        "sweep",
    ] {
        show(words);
    }
    for (at, _) in stage.gitea.issues(&stage.repo) {
        show(&format!("explain {at}"));
        show(&format!("explain {at} --json"));
    }
    let database = stage.database();
    let mut ids = database.prepare("SELECT lower(hex(id)) FROM delivery").unwrap();
    for id in ids.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        show(&format!("inbox show {} --json", id.unwrap()));
    }
}

/// What people are told about mistakes in and around the secrets themselves.
fn told(stage: &Stage, secrets: &Secrets, good: &str, seen: &mut Seen) {
    let mut mistakes = Vec::new();
    if secrets.way == Way::Inline {
        mistakes.push(good.replace(&format!("\"{SECRET}\","), &format!("\"{SECRET}\" \"x\",")));
    }
    for Secret { word, line, .. } in secrets.all.iter().filter(|s| good.contains(&s.line)) {
        let (name, value) = line.split_once(" = ").unwrap();
        let end = if good.contains(&format!("{{ {line}")) { ", " } else { "\n" };
        let bare = name.trim_end_matches("_file");
        mistakes.extend(
            [
                format!("x{line}"),
                format!("{name} = [{value}]"),
                format!("{name} = {}", &value[..value.len() - 1]),
                format!("{name} = {word}"),
                format!("{bare} = \"{word}\"{end}{bare}_file = \"/nowhere\""),
            ]
            .map(|wrong| good.replace(line, &wrong)),
        );
    }
    for (number, text) in mistakes.iter().enumerate() {
        std::fs::write(stage.path("config.toml"), text).unwrap();
        for words in [["config", "check", "--json"].as_slice(), &["serve"]] {
            let output = stage.run(words);
            assert!(!output.status.success(), "mistake {number} was not noticed:\n{text}");
            seen.ran(&format!("{words:?} with mistake {number}"), output);
        }
    }
}

/// Everything the program says and keeps when its secrets are given in this way.
async fn is_silent(way: Way) {
    let stage = Stage::new().await;
    stage.gitea.add_collaborator(&stage.repo, "alice", "write");
    stage.gitea.add_collaborator(&stage.repo, &stage.gitea.bot().login, "admin");
    let outside = MockServer::start().await;
    let mut secrets = Secrets::new(way, &stage);
    let address_token = uuid::Uuid::new_v4().simple().to_string();
    let text = config(&stage, &outside.uri(), &address_token, &mut secrets);
    std::fs::write(stage.path("config.toml"), &text).unwrap();
    assert_eq!(
        secrets.keys(),
        published(&stage, way),
        "every secret there is has to be tried here"
    );
    let agent_secret = secrets.last_of("agent.secret");
    Mock::given(any()).respond_with(Outside { agent_secret }).mount(&outside).await;

    let mut seen = Seen::default();
    let program = stage.start_with(|command| {
        command.env("GITEA_TRIAGE_LOG", "trace").env("RUST_BACKTRACE", "full");
    });
    live(&stage, &program, &mut seen).await;
    fail_agents(&stage, &outside).await;
    browse(&stage, &program, &secrets.last_of("dashboard.token"), &mut seen).await;
    shown(&stage, &program, &mut seen);
    stage.processed().await;
    let log = program.log().join("\n");
    assert!(log.contains("\"TRACE\""), "nothing was traced");
    seen.add("the log", log);
    seen.files(stage.folder.path());
    for (at, issue) in stage.gitea.issues(&stage.repo) {
        seen.add(format!("the text of {at}"), format!("{}\n{}", issue.title, issue.body));
        seen.add(format!("a comment on {at}"), comments(&stage, &at));
    }
    told(&stage, &secrets, &text, &mut seen);
    // What a panic could print.
    let config = Config::from_toml("config.toml", &text, std::iter::empty()).unwrap();
    let words = secrets.words();
    let printed = Canaries::of(&words, std::iter::empty());
    printed.are_not_in("the configuration", format!("{config:?}").as_bytes());
    // What is derived from a secret is as good as the secret for one body.
    let bodies = stage.gitea.deliveries().into_iter().map(|d| sign(SECRET, &d.body));
    let canaries = Canaries::of(&[words, vec![address_token]].concat(), bodies);
    for (place, bytes) in &seen.0 {
        canaries.are_not_in(place, bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_stored_written_or_shown() {
    for way in [Way::Inline, Way::InFiles] {
        is_silent(way).await;
    }
}

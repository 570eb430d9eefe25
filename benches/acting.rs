//! What acting on an issue costs beside the forge's own time: the service against a Gitea in memory that answers as
//! slowly as a real one was measured to, beside a bare handler that only writes. Prints one JSON object.
//!
//! A real Gitea has done a write when it answers it; the one in memory does it at once and answers later. So a write
//! counts as visible one delay after it came in.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has nothing to measure"
)]

use std::time::{Duration, Instant};

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::TimeDelta;
use gitea_triage::clock::{Clock, Timestamp};
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{FakeGitea, NewIssue, Request};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::service::Service;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "acting-secret";
const LABEL: &str = "claude-ready";
/// Gitea 1.25.4 on SQLite, the median of a GET of one issue.
const READ: Duration = Duration::from_millis(15);
/// The same of a comment or an assignment; a label takes a little less.
const WRITE: Duration = Duration::from_millis(24);
/// How long all of one step may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let report = runtime.unwrap().block_on(measure(asked.unwrap_or(100)));
    println!("{report}");
}

async fn measure(issues: usize) -> Value {
    let world = World::start(4).await;
    let bare = Bare::start(&world.gitea).await;
    world.act().await;
    bare.act(&world).await;
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..issues {
        bares.push(bare.act(&world).await);
        ours.push(world.act().await);
    }
    let burst = (issues / 2).max(8);
    let abreast = world.burst(burst).await;
    let (deliveries, evaluations) = world.siblings().await;
    world.stop().await;
    let alone = World::start(1).await;
    alone.act().await;
    let in_turn = alone.burst(burst).await;
    alone.stop().await;
    let each = |f: fn(&Acted) -> f64| ours.iter().map(f).collect::<Vec<_>>();
    let over = |f: fn(&(&Acted, &BareActed)) -> f64| {
        ours.iter().zip(&bares).map(|pair| f(&pair)).collect::<Vec<_>>()
    };
    json!({
        "issues": issues,
        "own_share_ms": quantiles(each(|a| a.own_share_ms)),
        "visible_ms": quantiles(each(|a| a.visible_ms)),
        "visible_to_bare_writes": quantiles(over(|(a, b)| a.visible_ms / b.visible_ms)),
        "visible_to_same_calls": quantiles(over(|(a, b)| a.visible_ms / b.visible_after_reads_ms)),
        "wall_to_same_calls": quantiles(over(|(a, b)| a.wall_ms / b.wall_ms)),
        "writes": quantiles(each(|a| a.writes as f64)),
        "reads": quantiles(each(|a| a.reads as f64)),
        "echoes": ours.iter().map(|a| a.echoes).sum::<usize>(),
        "echo_calls": ours.iter().map(|a| a.echo_calls).sum::<usize>(),
        "abreast_to_in_turn": in_turn.as_secs_f64() / abreast.as_secs_f64(),
        "siblings": { "deliveries": deliveries, "evaluations": evaluations },
    })
}

/// The service and its Gitea.
struct World {
    gitea: FakeGitea,
    repo: RepoName,
    service: Service,
    folder: TempDir,
}

/// One issue, acted on.
struct Acted {
    /// From the moment the delivery was taken to the first request.
    own_share_ms: f64,
    /// From the event to label and comment both written.
    visible_ms: f64,
    /// From the first request to the last answer.
    wall_ms: f64,
    reads: usize,
    writes: usize,
    /// Our own changes that came back.
    echoes: usize,
    /// Requests they caused.
    echo_calls: usize,
}

impl World {
    async fn start(concurrency: usize) -> Self {
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "claude", "write");
        gitea.create_repo_label(&repo, LABEL);
        gitea.set_delay("GET", READ);
        for method in ["POST", "PATCH", "PUT", "DELETE"] {
            gitea.set_delay(method, WRITE);
        }
        let folder = tempfile::tempdir().unwrap();
        let text = config(&gitea, &folder, concurrency);
        let config = Config::from_toml("acting.toml", &text, std::iter::empty()).unwrap();
        let service = Service::start(&config, Clock::System).await.unwrap();
        Self { gitea, repo, service, folder }
    }

    async fn stop(self) {
        self.gitea.stop();
        self.service.stop().await;
    }

    fn listen_here(&self) {
        self.gitea.set_hook(&format!("http://{}/webhook", self.service.address()), SECRET);
    }

    fn open(&self, more: NewIssue) -> IssueRef {
        let body = "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes";
        let issue = NewIssue {
            title: "[bug] Login crashes on an empty password".to_owned(),
            body: body.to_owned(),
            author: "bob".to_owned(),
            ..more
        };
        self.gitea.open_issue(&self.repo, issue)
    }

    /// Opens one issue and waits until all that follows has come to its end.
    async fn act(&self) -> Acted {
        self.listen_here();
        self.gitea.clear_requests();
        let before = self.gitea.deliveries().len();
        let opened = Clock::System.now();
        let at = self.open(NewIssue::default());
        self.quiet(|| self.gitea.issue(&at).is_some_and(|i| !i.assignees.is_empty())).await;
        let requests = self.gitea.requests();
        let received = self.received(&at).await;
        let is_write = |request: &&Request| request.method != "GET";
        let writes: Vec<_> = requests.iter().filter(is_write).collect();
        let last_write = writes.last().expect("something was written").at;
        let visible = writes.iter().filter(|r| r.method == "POST").map(|r| r.at).max().unwrap();
        Acted {
            own_share_ms: ms(requests[0].at - received),
            visible_ms: ms(visible - opened) + WRITE.as_secs_f64() * 1e3,
            wall_ms: ms(last_write - requests[0].at) + WRITE.as_secs_f64() * 1e3,
            reads: requests.len() - writes.len(),
            writes: writes.len(),
            echoes: self.gitea.deliveries().len() - before - 1,
            echo_calls: requests.iter().filter(|r| r.at > last_write).count(),
        }
    }

    /// When the delivery about the issue was taken, to the millisecond below.
    async fn received(&self, at: &IssueRef) -> Timestamp {
        let history = self.service.parts().store.history(at.clone()).await.unwrap().unwrap();
        history
            .evaluations
            .iter()
            .flat_map(|e| &e.deliveries)
            .map(|d| d.received_at)
            .min()
            .expect("a delivery")
    }

    /// How long that many issues opened at once take to be all written.
    async fn burst(&self, issues: usize) -> Duration {
        self.listen_here();
        let began = Instant::now();
        let opened: Vec<_> = (0..issues).map(|_| self.open(NewIssue::default())).collect();
        let is_written =
            |at: &IssueRef| self.gitea.issue(at).is_some_and(|issue| !issue.assignees.is_empty());
        wait(|| opened.iter().all(is_written)).await;
        let took = began.elapsed();
        self.quiet(|| true).await;
        took
    }

    /// How many deliveries one new issue with a label and an assignee makes, and to how many evaluations they lead.
    async fn siblings(&self) -> (usize, usize) {
        self.listen_here();
        let before = self.gitea.deliveries().len();
        let issue = NewIssue {
            labels: vec!["bug".to_owned()],
            assignees: vec!["bob".to_owned()],
            ..NewIssue::default()
        };
        let at = self.open(issue);
        self.quiet(|| true).await;
        let history = self.service.parts().store.history(at).await.unwrap().unwrap();
        (self.gitea.deliveries().len() - before, history.evaluations.len())
    }

    /// Waits until `is_done`, everything was delivered, and everything delivered has come to its end.
    async fn quiet(&self, is_done: impl Fn() -> bool) {
        let path = self.folder.path().join("acting.db");
        let database = rusqlite::Connection::open(path).unwrap();
        let open =
            "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
        let is_worked_off =
            || database.query_row(open, [], |row| row.get::<_, i64>(0)).unwrap() == 0;
        wait(is_done).await;
        self.gitea.delivered().await;
        wait(is_worked_off).await;
        self.gitea.delivered().await;
        wait(is_worked_off).await;
    }
}

async fn wait(is_done: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_done() {
        assert!(began.elapsed() < PATIENCE, "it does not come to its end");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn config(gitea: &FakeGitea, folder: &TempDir, concurrency: usize) -> String {
    format!(
        r#"
        [gitea]
        url = "{}"
        token = "{}"
        repos = ["acme/*"]
        [server]
        listen = "127.0.0.1:0"
        [webhook]
        secrets = ["{SECRET}"]
        [store]
        url = "sqlite:{}/acting.db"
        [worker]
        concurrency = {concurrency}
        [sweep]
        at_start = false
        [[agent]]
        id = "claude"
        max_concurrent = 10000
        "#,
        gitea.url(),
        gitea.token(),
        folder.path().display(),
    )
}

/// A handler that knows beforehand what to write, and only writes it.
struct Bare {
    url: String,
    client: Client,
    api: String,
    token: String,
    label: i64,
}

/// One issue, written to by the bare handler.
struct BareActed {
    /// From the event to label and comment both written.
    visible_ms: f64,
    /// The same, had it also read the issue and its dependencies.
    visible_after_reads_ms: f64,
    /// The same reads and writes as the service's, one after the other.
    wall_ms: f64,
}

impl Bare {
    async fn start(gitea: &FakeGitea) -> Data<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let client = Client::builder().no_proxy().build().unwrap();
        let (api, token) = (format!("{}/api/v1", gitea.url()), gitea.token().to_owned());
        let mut bare = Self { url, client, api, token, label: 0 };
        let labels = bare.call(Method::GET, "repos/acme/widgets/labels", Value::Null).await;
        bare.label = labels[0]["id"].as_i64().expect("a label");
        let bare = Data::new(bare);
        let shared = bare.clone();
        let app = move || {
            App::new().app_data(shared.clone()).route("/webhook", web::post().to(Self::hook))
        };
        tokio::spawn(
            HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run(),
        );
        bare
    }

    /// Answers at once, then writes.
    async fn hook(body: Bytes, bare: Data<Self>) -> HttpResponse {
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        if event["action"] == "opened" {
            let number = event["number"].as_u64().unwrap_or_default();
            actix_web::rt::spawn(async move { bare.comment_and_label(number).await });
        }
        HttpResponse::Accepted().finish()
    }

    async fn comment_and_label(&self, number: u64) {
        let at = format!("repos/acme/widgets/issues/{number}");
        let comment = json!({ "body": "triage: ready" });
        self.call(Method::POST, &format!("{at}/comments"), comment).await;
        let labels = json!({ "labels": [self.label] });
        self.call(Method::POST, &format!("{at}/labels"), labels).await;
    }

    /// Opens one issue for the bare handler, and one for the same calls in sequence.
    async fn act(&self, world: &World) -> BareActed {
        world.gitea.set_hook(&self.url, SECRET);
        world.gitea.clear_requests();
        let opened = Clock::System.now();
        let at = world.open(NewIssue::default());
        let labelled =
            || world.gitea.issue(&at).is_some_and(|i| i.labels.contains(&LABEL.to_owned()));
        wait(labelled).await;
        let last_write = world.gitea.writes().last().expect("a write").at;
        tokio::time::sleep(WRITE).await;
        let visible_ms = ms(last_write - opened) + WRITE.as_secs_f64() * 1e3;
        let began = Instant::now();
        let place = format!("repos/acme/widgets/issues/{}", world.open(NewIssue::default()).number);
        self.call(Method::GET, &place, Value::Null).await;
        self.call(Method::GET, &format!("{place}/dependencies"), Value::Null).await;
        let reads_ms = began.elapsed().as_secs_f64() * 1e3;
        let number = place.rsplit('/').next().and_then(|n| n.parse().ok()).expect("a number");
        self.comment_and_label(number).await;
        self.call(Method::PATCH, &place, json!({ "assignees": ["claude"] })).await;
        let wall_ms = began.elapsed().as_secs_f64() * 1e3;
        world.gitea.delivered().await;
        BareActed { visible_ms, visible_after_reads_ms: visible_ms + reads_ms, wall_ms }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.client.request(method, format!("{}/{path}", self.api));
        request = request.header("Authorization", format!("token {}", self.token));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "`{path}` was answered with {}", answer.status());
        answer.json().await.unwrap_or_default()
    }
}

fn ms(time: TimeDelta) -> f64 {
    time.num_microseconds().unwrap_or_default() as f64 / 1e3
}

fn quantiles(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (values.len() as f64 * share).ceil() as usize;
        let value = values.get(place.saturating_sub(1)).copied().unwrap_or_default();
        (value * 100.0).round() / 100.0
    };
    json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
}

//! The real program, killed at chosen moments and started again over its store.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::{FakeGitea, Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};

use crate::database;
use crate::world::bug;

/// How long a step of the story may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Killed {
    gitea: FakeGitea,
    repo: RepoName,
    folder: tempfile::TempDir,
    port: u16,
}

impl Killed {
    async fn new() -> Self {
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "claude", "write");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gitea.set_hook(&format!("http://127.0.0.1:{port}/webhook"), "killed-secret");
        Self { gitea, repo, folder: tempfile::tempdir().unwrap(), port }
    }

    fn write_config(&self, concurrency: u32) -> std::path::PathBuf {
        let path = self.folder.path().join("config.toml");
        let text = format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/widgets\"]\n\
             [server]\nlisten = \"127.0.0.1:{}\"\n[webhook]\nsecrets = [\"killed-secret\"]\n\
             [store]\nurl = \"{}\"\n[worker]\nconcurrency = {concurrency}\n\
             [sweep]\nat_start = false\n",
            self.gitea.url(),
            self.gitea.token(),
            self.port,
            database::url(&self.folder.path().join("killed.db")),
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts the program and waits until it takes deliveries.
    fn start(&self, concurrency: u32) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gitea-triage"))
            .args(["serve", "--config"])
            .arg(self.write_config(concurrency))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = log.find(|line| line.as_ref().is_ok_and(|l| l.contains("taking deliveries")));
        assert!(ready.is_some(), "the program ended before it listened");
        // Read on, so that the program never waits for a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Program(child)
    }

    fn open(&self) -> IssueRef {
        self.gitea.open_issue(&self.repo, NewIssue { author: "bob".into(), ..bug() })
    }

    /// Waits until `done` says so; the fake Gitea is in this process, so a look costs nothing.
    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn has_seen(&self, method: &str, path: &str) -> bool {
        self.gitea.requests().iter().any(|r| r.method == method && r.path.ends_with(path))
    }

    async fn ends_once(&self, at: &IssueRef) {
        let _program = self.start(4);
        let is_done = |w: &Self| {
            let issue = w.gitea.issue(at).unwrap();
            issue.assignees == ["claude"] && issue.labels == ["claude-ready"]
        };
        self.until("the work", is_done).await;
        self.gitea.delivered().await;
        let issue = self.gitea.issue(at).unwrap();
        assert_eq!(issue.comments.len(), 1, "{:#?}", issue.comments);
        assert_eq!(self.gitea.labels(&self.repo), ["claude-ready"]);
        check_database(&self.folder.path().join("killed.db"));
    }
}

/// A running program that does not outlive the test.
struct Program(Child);

impl Program {
    fn kill(mut self) {
        // SIGKILL: nothing of the program runs after this.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check_database(path: &Path) {
    database::check(path);
}

#[tokio::test]
async fn killed_between_accepting_and_looking() {
    let world = Killed::new().await;
    let program = world.start(0);
    let issue = world.open();
    world.gitea.delivered().await;
    assert!(world.gitea.deliveries().iter().all(|d| d.status == Some(202)));
    program.kill();
    world.ends_once(&issue).await;
}

/// Kills the program while the answer to a call is on its way: the fake has done what was asked.
async fn killed_while(method: &str, path: &str, of_path: &str) {
    let world = Killed::new().await;
    let program = world.start(4);
    let hang = FaultKind::Hang(Duration::from_secs(60));
    world.gitea.fail(Fault {
        method: Some(method.into()),
        path_contains: path.into(),
        times: 1,
        kind: hang,
    });
    let issue = world.open();
    world.until("the call", |w| w.has_seen(method, of_path)).await;
    program.kill();
    world.gitea.clear_faults();
    world.ends_once(&issue).await;
}

#[tokio::test]
async fn killed_while_reading_the_issue() {
    killed_while("GET", "/issues/1", "/issues/1").await;
}

#[tokio::test]
async fn killed_between_the_comment_and_its_record() {
    killed_while("POST", "/comments", "/comments").await;
}

#[tokio::test]
async fn killed_between_making_the_label_and_its_record() {
    killed_while("POST", "widgets/labels", "widgets/labels").await;
}

#[tokio::test]
async fn killed_between_the_label_and_its_record() {
    killed_while("POST", "/issues/1/labels", "/issues/1/labels").await;
}

#[tokio::test]
async fn killed_between_the_assignment_and_its_record() {
    killed_while("PATCH", "/issues/1", "/issues/1").await;
}

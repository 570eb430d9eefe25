//! The real program over a real database, beside a fake Gitea in this process.
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};

use crate::database;

pub const SECRET: &str = "fault-secret";
/// How long a step of a story may take before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the sizes of a release are asked for, not those of a usual run.
pub fn is_full_scale() -> bool {
    std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full")
}

/// The full size when it is asked for, the short one otherwise.
pub fn scale(short: usize, full: usize) -> usize {
    if is_full_scale() { full } else { short }
}

/// A limit of time: the goal, which a release keeps, and what a build without optimisation keeps beside whatever else
/// the machine does.
#[derive(Clone, Copy)]
pub struct Limit {
    pub release: Duration,
    pub debug: Duration,
}

impl Limit {
    pub const fn millis(release: u64, debug: u64) -> Self {
        Self { release: Duration::from_millis(release), debug: Duration::from_millis(debug) }
    }

    /// What holds for the program that is tried.
    pub fn here(self) -> Duration {
        if is_release() { self.release } else { self.debug }
    }
}

/// Whether it is a release that is tried, or one is meant to be.
pub fn is_release() -> bool {
    !cfg!(debug_assertions) || is_full_scale() || std::env::var_os(PROGRAM).is_some()
}

/// The program to try in place of the one that was built with the tests.
const PROGRAM: &str = "GITEA_TRIAGE_TEST_PROGRAM";

/// A ready bug, as a person would write it.
pub fn bug(number: usize) -> NewIssue {
    NewIssue {
        title: format!("[bug] Login crashes, case {number}"),
        body: "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes".into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Looks again and again, with a short breath in between, until `done` says so.
pub async fn until(what: &str, limit: Duration, mut done: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < limit, "{what} did not happen within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

pub struct Stage {
    pub gitea: FakeGitea,
    pub repo: RepoName,
    pub folder: tempfile::TempDir,
    /// What stands in the configuration beside the usual.
    pub more: String,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with("[worker]\nfuse = 1000\n[[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n")
            .await
    }

    pub async fn with(more: &str) -> Self {
        // Fails when another story has chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "claude", "write");
        let folder = tempfile::tempdir().unwrap();
        Self { gitea, repo, folder, more: more.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// On a server, a program that is started again is known by where it listens as the one before, whose work it takes at
    /// once: an address of this machine that no other stage has.
    fn listen(&self) -> String {
        if !database::is_on_server() {
            return "127.0.0.1:0".to_owned();
        }
        let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
        format!("127.{}.{}.{}:8484", a.max(1), b, c.clamp(1, 254))
    }

    fn config(&self) -> String {
        format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/widgets\"]\n\
             [server]\nlisten = \"{}\"\n[webhook]\nsecrets = [\"{SECRET}\"]\n\
             [store]\nurl = \"{}\"\n[sweep]\nat_start = false\n[summary]\nenabled = false\n{}",
            self.gitea.url(),
            self.gitea.token(),
            self.listen(),
            database::url(&self.path("fault.db")),
            self.more,
        )
    }

    /// A command of the program with the stage's configuration.
    pub fn command(&self) -> Command {
        if !self.path("config.toml").exists() {
            std::fs::write(self.path("config.toml"), self.config()).unwrap();
        }
        // A release build is measured by a test that need not be one.
        let program = std::env::var_os(PROGRAM);
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_gitea-triage").into());
        let mut command = Command::new(program);
        command.arg("--config").arg(self.path("config.toml"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    pub fn start(&self) -> Program {
        self.start_with(|_| {})
    }

    /// Starts the program, waits until it takes deliveries, and sends the hook there.
    pub fn start_with(&self, change: impl FnOnce(&mut Command)) -> Program {
        let mut command = self.command();
        command.arg("serve");
        change(&mut command);
        let program = Program::start(command);
        self.gitea.set_hook(&program.url("/webhook"), SECRET);
        program
    }

    pub fn open(&self, number: usize) -> IssueRef {
        self.gitea.open_issue(&self.repo, bug(number))
    }

    pub fn database(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(self.path("fault.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database
    }

    pub fn count(&self, sql: &str) -> i64 {
        database::count(&self.path("fault.db"), sql)
    }

    /// The first column of the first row.
    pub fn one(&self, sql: &str) -> Option<String> {
        database::one(&self.path("fault.db"), sql)
    }

    pub fn check_database(&self) {
        database::check(&self.path("fault.db"));
    }

    /// Waits until nothing is on its way and nothing waits in the inbox.
    pub async fn processed(&self) {
        let open =
            "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
        let mut quiet = 0;
        until("the end of the work", PATIENCE, async || {
            self.gitea.delivered().await;
            quiet = if self.count(open) == 0 { quiet + 1 } else { 0 };
            // Our own writes come back as deliveries, so it is looked at twice.
            quiet > 1
        })
        .await;
    }

    /// One comment, one label, one assignee.
    #[track_caller]
    pub fn assert_with_claude(&self, at: &IssueRef) {
        let issue = self.gitea.issue(at).unwrap();
        let bot = self.gitea.bot().login;
        let ours: Vec<_> = issue.comments.iter().filter(|c| c.author == bot).collect();
        assert_eq!(ours.len(), 1, "comments on {at}: {ours:#?}");
        assert_eq!(issue.labels, ["claude-ready"], "labels of {at}");
        assert_eq!(issue.assignees, ["claude"], "assignees of {at}");
        assert_eq!(self.gitea.labels(&at.repo), ["claude-ready"]);
    }
}

/// A running program that does not outlive the test.
pub struct Program {
    child: Child,
    address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it and waits until it takes deliveries.
    pub fn start(command: Command) -> Self {
        let started = Self::try_start(command);
        started.unwrap_or_else(|said| panic!("the program ended before it listened: {said:#?}"))
    }

    /// The same, or what it said before it ended.
    pub fn try_start(mut command: Command) -> Result<Self, Vec<String>> {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        for line in lines.by_ref().map_while(Result::ok) {
            log.lock().unwrap().push(line.clone());
            if !line.contains("taking deliveries") {
                continue;
            }
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            let address = said["address"].as_str().unwrap().to_owned();
            let kept = Arc::clone(&log);
            // Read on, so that the program never waits for a full pipe.
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    kept.lock().unwrap().push(line);
                }
            });
            return Ok(Self { child, address, log });
        }
        child.wait().unwrap();
        Err(log.lock().unwrap().clone())
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// A line of `/proc/<pid>/status` in bytes, such as `VmRSS`.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with(field)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signed delivery that concerns no issue; its size can be chosen.
pub fn push_payload(number: usize, size: usize) -> Vec<u8> {
    let head =
        format!("{{\"ref\": \"refs/heads/main\", \"commits\": [], \"nr\": {number}, \"x\": \"");
    let filler = size.saturating_sub(head.len() + 2);
    [head.as_bytes(), &vec![b'x'; filler], b"\"}"].concat()
}

/// A delivery as Gitea would post it.
pub fn delivery(http: &reqwest::Client, url: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
    delivery_with(http, url, SECRET, body)
}

/// The same, signed with another secret.
pub fn delivery_with(
    http: &reqwest::Client,
    url: &str,
    secret: &str,
    body: Vec<u8>,
) -> reqwest::RequestBuilder {
    http.post(url)
        .header("Content-Type", "application/json")
        .header("X-Gitea-Delivery", uuid::Uuid::new_v4().to_string())
        .header("X-Gitea-Signature", sign(secret, &body))
        .body(body)
}

//! The real program as a service and as runners, beside a fake Gitea in this process and a repository on disk.

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::{FakeGitea, IssueView, NewIssue};
use gitea_triage::issue::{IssueRef, IssueState, RepoName};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};

use crate::git::{git, make_bare};

const SECRET: &str = "kills-secret";
/// How long a runner may be silent, in seconds: the shortest that the service takes.
pub const LEASE_S: u64 = 10;
/// How long nothing may change of what is left to do; none waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The program to try in place of the one that was built with the tests.
const PROGRAM: &str = "GITEA_TRIAGE_TEST_PROGRAM";

pub fn is_full_scale() -> bool {
    std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full")
}

/// The full size when it is asked for, the short one otherwise.
pub fn scale<T>(short: T, full: T) -> T {
    if is_full_scale() { full } else { short }
}

/// Whether the program that is tried was built as for a release.
pub fn is_release() -> bool {
    !cfg!(debug_assertions) || std::env::var_os(PROGRAM).is_some()
}

pub async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

pub struct Stage {
    pub gitea: FakeGitea,
    pub repo: RepoName,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Stage {
    /// A stage with these runners known to the service, and these lines at the end of its configuration.
    pub async fn with(runners: &[String], more: &str) -> Self {
        // Fails when another story has chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "alice", "write");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gitea.set_hook(&format!("http://127.0.0.1:{port}/webhook"), SECRET);
        let stage = Self { gitea, repo, folder: tempfile::tempdir().unwrap(), port };
        let known: String = runners.iter().map(|name| entry(name)).collect();
        fs::write(stage.path("service.toml"), stage.service_config() + &known + more).unwrap();
        fs::write(stage.path("forge-token"), stage.gitea.token()).unwrap();
        make_bare(&stage.path("acme/widgets.git"), &[("src/lib.rs", "pub fn broken() {}\n")]);
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn service_config(&self) -> String {
        let (url, token, port) = (self.gitea.url(), self.gitea.token(), self.port);
        let database = self.path("kills.db");
        format!(
            "[gitea]\nurl = \"{url}\"\ntoken = \"{token}\"\nrepos = [\"acme/*\"]\n\
             [server]\nlisten = \"127.0.0.1:{port}\"\n[webhook]\nsecrets = [\"{SECRET}\"]\n\
             [store]\nurl = \"sqlite:{}\"\n[triage]\nowner = \"alice\"\n[worker]\nfuse = 1000\n\
             [summary]\nenabled = false\n",
            database.display(),
        )
    }

    /// Writes the configuration of a runner that finds the service at this port, and whose agent does this.
    pub fn make_runner(&self, name: &str, port: u16, mode: &str) {
        let root = self.folder.path().display();
        let signs = self.signs(name);
        fs::create_dir_all(&signs).unwrap();
        fs::write(self.path(&format!("token-{name}")), token(name)).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/agent.sh");
        let config = format!(
            "server = \"http://127.0.0.1:{port}\"\ntoken_file = \"{root}/token-{name}\"\nwork = \"{root}/work-{name}\"\n\
             places = 3\ndrain = \"1s\"\n\
             [forge]\nurl = \"{}\"\ntoken_file = \"{root}/forge-token\"\nclone = \"file://{root}/{{owner}}/{{repo}}.git\"\n\
             [[agent]]\nid = \"claude\"\ncommand = [\"/bin/sh\", \"{script}\", \"{mode}\", \"{}\"]\nprotocol = \"acp\"\n",
            self.gitea.url(),
            signs.display(),
        );
        fs::write(self.path(&format!("{name}.toml")), config).unwrap();
    }

    /// Where the agents of a runner leave signs, outside of all workspaces.
    pub fn signs(&self, name: &str) -> PathBuf {
        self.path(&format!("signs-{name}"))
    }

    /// Starts the service and waits until it listens.
    pub async fn serve(&self) -> Program {
        let mut program = self.program("service", "serve");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = program.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{}", self.log("service"));
            pause(5).await;
        }
        program
    }

    /// Starts a runner.
    pub fn run(&self, name: &str) -> Program {
        self.program(name, "runner")
    }

    fn program(&self, name: &str, verb: &str) -> Program {
        let program = std::env::var_os(PROGRAM);
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_gitea-triage").into());
        let log = || -> File {
            let path = self.path(&format!("{name}.log"));
            OpenOptions::new().create(true).append(true).open(path).unwrap()
        };
        let mut command = Command::new(program);
        command.arg(verb).arg("--config").arg(self.path(&format!("{name}.toml")));
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
        Program { name: name.to_owned(), child: command.spawn().unwrap() }
    }

    /// What a program has logged, in all its lives.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    pub fn open_issue(&self, number: usize) -> IssueRef {
        let new = NewIssue {
            title: format!("[bug] Login crashes, case {number}"),
            body: "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes".into(),
            author: "bob".into(),
            ..NewIssue::default()
        };
        self.gitea.open_issue(&self.repo, new)
    }

    /// The pull requests that say that they close an issue.
    pub fn pulls_of(&self, issue: u64) -> Vec<(IssueRef, IssueView)> {
        let says = format!("Closes #{issue}\n");
        let all = self.gitea.issues(&self.repo).into_iter();
        all.filter(|(_, view)| view.body.starts_with(&says)).collect()
    }

    pub fn database(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(self.path("kills.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Rows of a query as text, for a look at what went wrong.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let database = self.database();
        let mut query = database.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Waits until `left` gives nothing more that is left to do, as long as that changes.
    pub async fn wait_for(&self, left: impl Fn() -> Option<String>) {
        let mut last = (Instant::now(), String::new());
        while let Some(left) = left() {
            if left != last.1 {
                last = (Instant::now(), left.clone());
            }
            assert!(last.0.elapsed() < PATIENCE, "{left}\n{}", self.everything());
            pause(20).await;
        }
    }

    /// All that there is to be looked at when something went wrong.
    pub fn everything(&self) -> String {
        let runs = self.rows(
            "SELECT branch || ' ' || run.state || ' ' || coalesce(outcome, '-') || ' epoch ' || epoch || ' leases ' || leases
                 || ' ' || coalesce(runner, '-') || ' ' || pushed || ' ' || coalesce(message, '') || ' | '
                 || dispatch.state || ' ' || coalesce(cause, '') FROM run JOIN dispatch ON dispatch.id = run.dispatch",
        );
        let mut all = format!("{runs:#?}\n");
        for name in ["service", "one", "two"] {
            let log = self.log(name);
            let lines: Vec<_> = log.lines().rev().take(60).collect();
            all += &format!("--- {name}\n");
            lines.iter().rev().for_each(|line| all += &format!("{line}\n"));
        }
        all
    }

    /// What is not over yet: deliveries, dispatches and runs.
    pub fn unfinished(&self) -> Option<String> {
        let deliveries = self.count(
            "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')",
        );
        let load = self.count("SELECT count(*) FROM dispatch WHERE ended_at IS NULL");
        let runs = self.count("SELECT count(*) FROM run WHERE state <> 'ended'");
        let what = format!("{deliveries} deliveries, {load} dispatches, {runs} runs");
        (deliveries + load + runs > 0).then(|| format!("{what} are not over"))
    }

    pub fn is_closed(&self, at: &IssueRef) -> bool {
        self.gitea.issue(at).is_some_and(|issue| issue.state == IssueState::Closed)
    }

    /// What git says of the repository that is pushed to.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.path("acme/widgets.git"), arguments)
    }

    /// The branches beside the main one.
    pub fn branches(&self) -> Vec<String> {
        let all = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/triage"]);
        all.lines().map(str::to_owned).collect()
    }

    /// The titles of the commits of a branch that are not on the main one.
    pub fn commits(&self, branch: &str) -> Vec<String> {
        let all = self.git(&["log", "--format=%s", &format!("main..{branch}")]);
        all.lines().map(str::to_owned).collect()
    }

    /// The names of the workspaces of a runner.
    /// The workspaces that runners keep until they have heard that the dispatch has ended.
    pub fn kept(&self) -> Option<String> {
        let here =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let here: Vec<_> = here.map(|name| name.to_string_lossy().into_owned()).collect();
        let runners = here.iter().filter_map(|name| name.strip_prefix("work-"));
        let kept: Vec<_> = runners.flat_map(|name| self.workspaces(name)).collect();
        (!kept.is_empty()).then(|| format!("{kept:?} are kept"))
    }

    pub fn workspaces(&self, name: &str) -> Vec<String> {
        let found = fs::read_dir(self.path(&format!("work-{name}/runs"))).into_iter().flatten();
        found.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// The processes that work in the folder of a runner, as id and command line.
    pub fn processes(&self, name: &str) -> Vec<(Pid, String)> {
        let work = self.path(&format!("work-{name}")).canonicalize();
        let Ok(work) = work else { return Vec::new() };
        let is_there =
            |pid: &Path| fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&work));
        let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let found = all.filter(|path| is_there(path)).filter_map(|path| {
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let said = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
            Some((Pid::from_raw(pid)?, said.replace('\0', " ")))
        });
        found.collect()
    }
}

/// A program that goes on; it is killed when this is dropped.
pub struct Program {
    pub name: String,
    pub child: Child,
}

impl Program {
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills a runner with all that it started, as the machine's own failure would.
    pub fn kill_whole(&mut self, stage: &Stage) {
        self.kill();
        for (pid, _) in stage.processes(&self.name) {
            // Fails when it has ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} ended with {status}", self.name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The token of a runner.
pub fn token(name: &str) -> String {
    format!("the-token-of-the-runner-{name}")
}

fn entry(name: &str) -> String {
    let digest = hex::encode(Sha256::digest(token(name)));
    format!("[[runner]]\nname = \"{name}\"\ntoken_sha256 = \"{digest}\"\nagents = [\"claude\"]\n")
}

/// An agent that works on runners, and has so many places; a lease holds so many seconds.
pub fn agent(places: usize, lease_s: u64) -> String {
    format!(
        "[runs]\nlease = \"{lease_s}s\"\n[[agent]]\nid = \"claude\"\ninterface = \"runner\"\nlabel = \"\"\nlogin = \"\"\nmax_concurrent = {places}\n"
    )
}

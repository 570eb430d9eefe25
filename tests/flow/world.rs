//! A world for a story: a fake Gitea, a running service, and a clock in hand. It fails on drop when a comment or a
//! dead letter of ours was not asserted.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use gitea_triage::clock::{Clock, Timestamp};
use gitea_triage::config::Config;
use gitea_triage::delivery::DeliveryId;
use gitea_triage::fake_gitea::{FakeGitea, Flavour, IssueView, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::service::Service;
use gitea_triage::store::{DeliveryState, DeliveryView, Filter, History, ManualOrder, Store};
use gitea_triage::sweep::How;
use tempfile::TempDir;

use crate::database;

pub const SECRET: &str = "story-secret";
/// Lines for a world in which no agent runs out of time.
pub const PATIENT: &str = "[[agent]]\nid = \"claude\"\ntimeout = \"30d\"\n";
/// How long a rest or a pause between tries may be for a story to wait it out.
const PATIENCE: Duration = Duration::from_secs(3_600);

pub struct World {
    pub gitea: FakeGitea,
    pub clock: Clock,
    pub repo: RepoName,
    pub http: reqwest::Client,
    /// Whether the service is told whose token it has.
    pub knows_us: bool,
    service: Option<Service>,
    config: String,
    folder: TempDir,
    told: Mutex<BTreeSet<i64>>,
    dead: Mutex<BTreeSet<i64>>,
}

/// Where the stories are told, when it is not the Gitea.
const STORIES_ON: &str = "STORIES_ON";

/// Runs the tests of this program again, but for the one that calls this, with the other forge.
#[allow(dead_code, reason = "not every program tells its stories twice")]
pub fn tell_again_on_a_forgejo(but: &str) {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let told = again.env(STORIES_ON, "forgejo").args(["--skip", but]).output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "on a Forgejo:\n{said}");
}

/// The forge of the stories: Gitea, unless `STORIES_ON` names the other one.
pub fn flavour() -> Flavour {
    match std::env::var(STORIES_ON) {
        Ok(name) if name == "forgejo" => Flavour::Forgejo,
        _ => Flavour::Gitea,
    }
}

/// A ready bug, as a person would write it.
pub fn bug() -> NewIssue {
    NewIssue {
        title: "[bug] Login crashes on an empty password".into(),
        body: "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes".into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

pub fn noon() -> Timestamp {
    "2026-03-23T12:00:00Z".parse().unwrap()
}

impl World {
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// A world whose configuration has these lines at its end.
    pub async fn with(more: &str) -> Self {
        Self::build(&format!("[webhook]\nsecrets = [\"{SECRET}\"]\n{more}"), |_, _, _| {}).await
    }

    /// A world with a `[webhook]` section of its own.
    pub async fn with_secrets(webhook: &str) -> Self {
        Self::build(webhook, |_, _, _| {}).await
    }

    /// A world in which something was there before the service started: on the forge, or as its database.
    pub async fn over(before: impl FnOnce(&FakeGitea, &RepoName, &std::path::Path)) -> Self {
        Self::build(&format!("[webhook]\nsecrets = [\"{SECRET}\"]"), before).await
    }

    /// A world whose store is a file, whatever the other stories are told on.
    #[allow(dead_code, reason = "few stories are about files")]
    pub async fn on_file(more: &str) -> Self {
        let more = format!("[webhook]\nsecrets = [\"{SECRET}\"]\n{more}");
        Self::build(&more, |_, _, path| drop(std::fs::File::create(path).unwrap())).await
    }

    /// A world on one of the two forges, whatever the other stories are told on.
    #[allow(dead_code, reason = "few stories are about one forge")]
    pub async fn on(flavour: Flavour, more: &str) -> Self {
        let more = format!("[webhook]\nsecrets = [\"{SECRET}\"]\n{more}");
        Self::build_on(flavour, &more, |_, _, _| {}).await
    }

    async fn build(
        more: &str,
        before: impl FnOnce(&FakeGitea, &RepoName, &std::path::Path),
    ) -> Self {
        Self::build_on(flavour(), more, before).await
    }

    async fn build_on(
        flavour: Flavour,
        more: &str,
        before: impl FnOnce(&FakeGitea, &RepoName, &std::path::Path),
    ) -> Self {
        // Fails when another story has chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(noon());
        let gitea = FakeGitea::start_as(flavour, clock.clone()).await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        for login in ["claude", "alice", "bob"] {
            gitea.add_collaborator(&repo, login, if login == "bob" { "read" } else { "write" });
        }
        let folder = tempfile::tempdir().unwrap();
        before(&gitea, &repo, &folder.path().join("story.db"));
        let config = config(&gitea, folder.path(), more);
        let mut world = Self {
            gitea,
            clock,
            repo,
            http: reqwest::Client::new(),
            knows_us: true,
            service: None,
            config,
            folder,
            told: Mutex::default(),
            dead: Mutex::default(),
        };
        world.start_service().await;
        world
    }

    /// Another instance on the same forge, with a store of its own. No hook leads to it.
    pub async fn beside(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = database::url(&folder.path().join("story.db"));
        let config = self.config.replace(&database::url(&self.store_path()), &store);
        let mut world = Self {
            gitea: self.gitea.clone(),
            clock: self.clock.clone(),
            repo: self.repo.clone(),
            http: self.http.clone(),
            knows_us: true,
            service: None,
            config,
            folder,
            told: Mutex::default(),
            dead: Mutex::default(),
        };
        world.run_service().await;
        world
    }

    async fn start_service(&mut self) {
        self.run_service().await;
        let url = self.url("/webhook");
        self.gitea.set_hook(&url, SECRET);
    }

    async fn run_service(&mut self) {
        let config = Config::from_toml("story.toml", &self.config, std::iter::empty()).unwrap();
        let service = Service::start(&config, self.clock.clone()).await.unwrap();
        // Without workers of its own the service leaves the work to the story, step by step.
        if self.knows_us {
            service.parts().worker.set_account(self.gitea.bot());
        }
        self.service = Some(service);
    }

    /// Changes the configuration for the next start.
    pub fn configure(&mut self, change: impl FnOnce(&str) -> String) {
        self.config = change(&self.config);
    }

    /// Stops the service and starts it again over the same store.
    pub async fn restart(&mut self) {
        self.service.take().unwrap().stop().await;
        self.start_service().await;
    }

    #[allow(dead_code, reason = "only some stories go back")]
    /// Stops the service and starts it again over a copy of its store.
    pub async fn go_back(&mut self, copy: &std::path::Path) {
        self.service.take().unwrap().stop().await;
        Store::restore(copy, &self.store_path()).unwrap();
        self.start_service().await;
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service().address())
    }

    pub fn store_path(&self) -> std::path::PathBuf {
        self.folder.path().join("story.db")
    }

    #[allow(dead_code, reason = "only some stories run a command")]
    /// The configuration as a file, for a command beside the service.
    pub fn config_file(&self) -> std::path::PathBuf {
        let path = self.folder.path().join("story.toml");
        std::fs::write(&path, &self.config).unwrap();
        path
    }

    #[allow(dead_code, reason = "only some stories give one")]
    /// Gives an order by hand, as the command line does; `command` is what stands behind `/triage` in a comment.
    pub async fn order(&self, at: &IssueRef, by: &str, command: &str) {
        let order = ManualOrder { by: by.into(), command: command.into(), task_type: None };
        let store = &self.service().parts().store;
        store.order(at.clone(), order, self.clock.now()).await.unwrap();
    }

    pub fn open_issue(&self, issue: NewIssue) -> IssueRef {
        self.gitea.open_issue(&self.repo, issue)
    }

    /// Lets everything come to its end: deliveries, work, and the deliveries that work causes.
    pub async fn settle(&self) {
        self.settle_within(PATIENCE).await;
    }

    /// Lets everything come to its end that does so without resting longer than `patience`.
    pub async fn settle_within(&self, patience: Duration) {
        loop {
            self.gitea.delivered().await;
            let before = self.gitea.deliveries().len();
            self.work_within(patience).await;
            self.gitea.delivered().await;
            if self.gitea.deliveries().len() == before {
                return;
            }
        }
    }

    /// Works off what has been delivered so far.
    pub async fn work(&self) {
        self.work_within(PATIENCE).await;
    }

    /// Works off what is due within `patience`.
    pub async fn work_within(&self, patience: Duration) {
        self.service().parts().worker.settle(patience).await.unwrap();
    }

    /// Does something of which no delivery arrives.
    #[allow(dead_code, reason = "not every program loses deliveries")]
    pub async fn unheard<T>(&self, act: impl FnOnce() -> T) -> T {
        self.gitea.delivered().await;
        self.gitea.set_hook("http://127.0.0.1:1/", "nobody");
        let result = act();
        self.gitea.delivered().await;
        self.gitea.set_hook(&self.url("/webhook"), SECRET);
        result
    }

    #[allow(dead_code, reason = "not every program sweeps")]
    /// One round of the sweep, which is switched off otherwise.
    pub async fn sweep(&self, how: How) {
        self.service().parts().sweeper.round(how, &|_, _, _| {}).await.unwrap();
    }

    pub fn issue(&self, at: &IssueRef) -> IssueView {
        self.gitea.issue(at).expect("the issue is there")
    }

    pub fn labels(&self, at: &IssueRef) -> Vec<String> {
        self.issue(at).labels
    }

    pub fn assignees(&self, at: &IssueRef) -> Vec<String> {
        self.issue(at).assignees
    }

    /// Our comments on the issue, which are hereby asserted.
    pub fn comments(&self, at: &IssueRef) -> Vec<String> {
        let bot = self.gitea.bot().login;
        let ours: Vec<_> =
            self.issue(at).comments.into_iter().filter(|c| c.author == bot).collect();
        self.told.lock().unwrap().extend(ours.iter().map(|c| c.id));
        ours.into_iter().map(|c| c.body).collect()
    }

    /// Our only comment on the issue.
    #[track_caller]
    pub fn comment(&self, at: &IssueRef) -> String {
        let mut comments = self.comments(at);
        assert_eq!(comments.len(), 1, "comments on {at}: {comments:#?}");
        comments.remove(0)
    }

    /// Label and assignee and comment of a dispatch to `claude`, each once.
    #[track_caller]
    pub fn assert_with_claude(&self, at: &IssueRef) {
        assert!(self.comment(at).starts_with("**Triage: dispatched to `claude`"));
        assert_eq!(self.labels(at).iter().filter(|l| *l == "claude-ready").count(), 1);
        assert_eq!(self.assignees(at), ["claude"]);
        let labels = self.gitea.labels(&at.repo);
        assert_eq!(labels.iter().filter(|l| *l == "claude-ready").count(), 1, "{labels:?}");
    }

    pub async fn history(&self, at: &IssueRef) -> History {
        let store = &self.service().parts().store;
        store.history(at.clone()).await.unwrap().expect("the issue was looked at")
    }

    pub async fn evaluations(&self, at: &IssueRef) -> usize {
        self.history(at).await.evaluations.len()
    }

    pub async fn deliveries(&self) -> Vec<DeliveryView> {
        let filter = Filter { state: None, limit: 10_000 };
        self.service().parts().store.deliveries(filter).await.unwrap()
    }

    /// The dead letters, which are hereby asserted.
    pub async fn dead(&self) -> Vec<DeliveryView> {
        let mut all = self.deliveries().await;
        all.retain(|d| d.state == DeliveryState::Dead);
        self.dead.lock().unwrap().extend(all.iter().map(|d| d.seq));
        all
    }

    pub async fn delivery(&self, id: &str) -> DeliveryView {
        let id = DeliveryId::parse(id).unwrap();
        self.service().parts().store.delivery(&id).await.unwrap().expect("the delivery is there")
    }

    fn forgotten_comments(&self) -> Vec<String> {
        let (bot, told) = (self.gitea.bot().login, self.told.lock().unwrap());
        let issues = self.gitea.issues(&self.repo).into_iter();
        let comments = issues.flat_map(|(_, issue)| issue.comments);
        comments.filter(|c| c.author == bot && !told.contains(&c.id)).map(|c| c.body).collect()
    }

    fn forgotten_dead(&self) -> Vec<String> {
        let asserted = self.dead.lock().unwrap();
        let dead = "SELECT seq, reason FROM delivery WHERE state = 'dead'";
        let dead = database::rows(&self.store_path(), dead).into_iter();
        let dead =
            dead.filter(|row| !asserted.contains(&row[0].as_ref().unwrap().parse().unwrap()));
        dead.filter_map(|row| row[1].clone()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (comments, dead) = (self.forgotten_comments(), self.forgotten_dead());
        assert!(comments.is_empty(), "comments nobody asserted: {comments:#?}");
        assert!(dead.is_empty(), "dead letters nobody asserted: {dead:#?}");
    }
}

fn config(gitea: &FakeGitea, folder: &std::path::Path, more: &str) -> String {
    format!(
        r#"
        [gitea]
        url = "{url}"
        token = "{token}"
        repos = ["acme/*"]
        [server]
        listen = "127.0.0.1:0"
        public_url = "https://triage.example.com"
        workers = 1
        [store]
        url = "{store}"
        [worker]
        concurrency = 0
        [sweep]
        at_start = false
        {more}
        "#,
        url = gitea.url(),
        token = gitea.token(),
        store = database::url(&folder.join("story.db")),
    )
}

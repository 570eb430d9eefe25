//! What the tests stand on: a service that says what it is told to, a forge, a repository, and a runner among them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use gitea_triage::dispatch::AgentId;
use gitea_triage::dispatch::run::{Assignment, Finish, Permits, Refusal, Refused, RunOutcome};
use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::runner::{Runner, Settings};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::git::{git, make_bare, push};

pub const TOKEN: &str = "the-runners-own-token-0123";
/// Longer than any test takes on a busy machine; none waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

/// What the service has been told, and what it says.
#[derive(Default)]
pub struct Script {
    pub calls: Vec<(String, Value)>,
    assignments: VecDeque<Assignment>,
    /// What calls are refused, by their last word.
    pub refuse: BTreeMap<&'static str, Refusal>,
    /// Told with every lease.
    pub cancel: Option<String>,
    /// The dispatches that have ended.
    pub over: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Service {
    pub script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
}

impl Service {
    async fn start(&self) -> (String, ServerHandle) {
        let service = self.clone();
        let app = move || {
            App::new()
                .app_data(web::Data::new(service.clone()))
                .app_data(web::PayloadConfig::new(1 << 20))
                .default_service(web::to(answer))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        drop(tokio::spawn(server));
        (format!("http://{address}"), handle)
    }

    /// The bodies of the calls so far whose path ends so.
    pub fn calls(&self, verb: &str) -> Vec<Value> {
        let script = self.script.lock().unwrap();
        let of = |(path, _): &&(String, Value)| path.ends_with(verb);
        script.calls.iter().filter(of).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until there are as many such calls.
    pub async fn wait_for(&self, verb: &str, count: usize) -> Vec<Value> {
        self.wait_until(verb, || Some(self.calls(verb)).filter(|calls| calls.len() >= count)).await
    }

    /// Looks again after every call, until there is something.
    async fn wait_until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        let found = timeout(PATIENCE, found).await;
        found
            .unwrap_or_else(|_| panic!("no `{what}` came; {:?}", self.script.lock().unwrap().calls))
    }
}

async fn answer(
    request: actix_web::HttpRequest,
    body: web::Bytes,
    service: web::Data<Service>,
) -> HttpResponse {
    let path = request.path().to_owned();
    let verb = path.rsplit('/').next().unwrap_or_default();
    let refused = |refusal, error: &str| {
        HttpResponse::Conflict().json(Refused { refusal, error: error.to_owned() })
    };
    let authorization = request.headers().get("Authorization").map(|value| value.as_bytes());
    if authorization != Some(format!("Bearer {TOKEN}").as_bytes()) {
        return refused(Refusal::Token, "the token is none of a runner's");
    }
    assert!(path.starts_with("/runner/v1/"), "{path}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (answer, is_idle) = {
        let mut script = service.script.lock().unwrap();
        let answer = match (script.refuse.get(verb).copied(), verb) {
            (Some(refusal), _) => refused(refusal, "as the script says"),
            (None, "register") => HttpResponse::Ok().json(json!({
                "runner": "one", "agents": body["agents"], "lease_s": 3, "wait_s": 1,
            })),
            (None, "take") => match script.assignments.pop_front() {
                Some(assignment) => HttpResponse::Ok().json(assignment),
                None => HttpResponse::NoContent().finish(),
            },
            (None, "over") => HttpResponse::Ok().json(json!({"dispatches": script.over})),
            (None, _) => HttpResponse::Ok().json(json!({"lease_s": 3, "cancel": script.cancel})),
        };
        let is_idle = verb == "take" && answer.status() == 204;
        if !is_idle {
            script.calls.push((path, body));
        }
        (answer, is_idle)
    };
    if is_idle {
        // As a long poll; it ends when there is something.
        let _ = timeout(Duration::from_millis(100), service.changed.notified()).await;
    }
    service.changed.notify_waiters();
    answer
}

/// A world, with a runner that goes on until the world ends.
pub struct World {
    pub service: Service,
    pub gitea: FakeGitea,
    pub issue: IssueRef,
    pub folder: tempfile::TempDir,
    /// Where agents leave signs, outside of all workspaces.
    pub signs: PathBuf,
    pub config: String,
    server: ServerHandle,
    halt: watch::Sender<bool>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.halt.send_replace(true);
        drop(self.server.stop(false));
    }
}

impl World {
    /// A world whose agent does this; the runner is not started yet.
    pub async fn prepare(mode: &str) -> Self {
        Self::prepare_with(mode, "").await
    }

    /// The same with more keys for the agent.
    pub async fn prepare_with(mode: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signs = folder.path().join("signs");
        std::fs::create_dir(&signs).unwrap();
        let gitea = FakeGitea::start().await.unwrap();
        let new = NewIssue { title: "It crashes, fixes #77".into(), ..NewIssue::default() };
        let issue = gitea.open_issue(&repo(), new);
        let service = Service::default();
        let (address, server) = service.start().await;
        let path = folder.path();
        std::fs::write(path.join("token"), TOKEN).unwrap();
        std::fs::write(path.join("forge-token"), gitea.token()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/agent.sh");
        let (root, url, signs_at) = (path.display(), gitea.url(), signs.display());
        let config = format!(
            "server = \"{address}\"\ntoken_file = \"{root}/token\"\nwork = \"{root}/work\"\n\
             [forge]\nurl = \"{url}\"\ntoken_file = \"{root}/forge-token\"\nclone = \"file://{root}/{{owner}}/{{repo}}.git\"\n\
             [git]\nauthor = \"Triage Bot <bot@example.com>\"\n\
             [[agent]]\nid = \"claude\"\ncommand = [\"/bin/sh\", \"{script}\", \"{mode}\", \"{signs_at}\"]\nprotocol = \"acp\"\n{keys}\n"
        );
        let world = Self {
            service,
            gitea,
            issue,
            signs,
            config,
            server,
            halt: watch::channel(false).0,
            folder,
        };
        make_bare(&world.bare(), &[("README.md", "text\n")]);
        world
    }

    /// A world with a runner, and one assignment.
    pub async fn start(mode: &str) -> Self {
        let world = Self::prepare(mode).await;
        world.assign(world.assignment());
        world.run();
        world
    }

    /// Starts the runner.
    pub fn run(&self) {
        let settings = Settings::from_toml("the test", &self.config).unwrap();
        let runner = Runner::open(settings).unwrap();
        let halted = self.halt.subscribe();
        drop(tokio::spawn(async move { runner.run(halted).await.unwrap() }));
    }

    pub fn assignment(&self) -> Assignment {
        Assignment {
            run: 1,
            epoch: 1,
            dispatch: "acme/widgets#1 once".to_owned(),
            agent: AgentId::new("claude"),
            at: self.issue.clone(),
            title: "It crashes, fixes #77".to_owned(),
            text_digest: "d".to_owned(),
            prompt: "Make it work.".to_owned(),
            branch: "triage/1-it-crashes".to_owned(),
            pushed: Vec::new(),
            pull_request: None,
            turn: 1,
            lease_s: 3,
            timeout_s: 100,
            stall_s: 100,
            max_tokens: None,
            is_draft: false,
            may_follow: false,
            permits: Permits::default(),
        }
    }

    pub fn assign(&self, assignment: Assignment) {
        self.service.script.lock().unwrap().assignments.push_back(assignment);
        self.service.changed.notify_waiters();
    }

    /// How the run ended.
    pub async fn ended(&self) -> Finish {
        self.ended_for(1).await
    }

    /// How the run ended that is so many-th.
    pub async fn ended_for(&self, count: usize) -> Finish {
        let ends = self.service.wait_for("finish", count).await;
        serde_json::from_value(ends[count - 1].clone()).unwrap()
    }

    /// How the run ended, which has to be so; its message.
    pub async fn ended_as(&self, outcome: RunOutcome) -> String {
        let ended = self.ended().await;
        assert_eq!(ended.outcome, outcome, "{ended:?}");
        ended.message.unwrap_or_default()
    }

    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("acme/widgets.git")
    }

    /// Somebody pushes a commit to a branch.
    pub fn commit_as_somebody(&self, branch: &str, file: &str) -> String {
        push(&self.bare(), branch, &[(file, "text\n")])
    }

    /// What git says of the repository that is pushed to.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.bare(), arguments)
    }

    /// The commit of a branch there.
    pub fn head(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let found = self.git(&["for-each-ref", "--format=%(objectname)", &name]);
        (!found.is_empty()).then_some(found)
    }

    /// The branches and pull requests that there are, beside the main branch.
    pub fn written(&self) -> (String, usize) {
        let branches = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        let branches =
            branches.lines().filter(|name| *name != "main").collect::<Vec<_>>().join(" ");
        let opened = self.gitea.writes().iter().filter(|r| r.path.ends_with("/pulls")).count();
        (branches, opened)
    }

    /// The checkout of the only workspace.
    pub fn tree(&self) -> PathBuf {
        let names = self.workspaces();
        assert_eq!(names.len(), 1, "{names:?}");
        self.folder.path().join("work/runs").join(&names[0]).join("tree")
    }

    /// Waits until no workspace is left.
    pub async fn cleared(&self) {
        self.service.wait_until("end", || self.workspaces().is_empty().then_some(())).await;
    }

    /// Waits until this holds.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.service.wait_until(what, || holds().then_some(())).await;
    }

    /// The names in the folder of the runs.
    pub fn workspaces(&self) -> Vec<String> {
        names(&self.folder.path().join("work/runs"))
    }

    /// The signs that agents left.
    pub fn signs(&self) -> Vec<String> {
        names(&self.signs)
    }

    /// Whether the processes that the agent noted are gone, or nobody has waited for them yet.
    pub fn are_gone(&self) -> bool {
        let pids = std::fs::read_to_string(self.signs.join("pids")).unwrap();
        assert_eq!(pids.lines().count(), 2);
        pids.lines().all(|pid| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        })
    }

    /// Waits until the log holds this.
    pub async fn logged(&self, text: &str) {
        self.service.wait_until(text, || self.log().contains(text).then_some(())).await;
    }

    /// All that was sent as log.
    pub fn log(&self) -> String {
        let calls = self.service.calls("log");
        calls.iter().filter_map(|chunk| chunk["text"].as_str()).collect()
    }
}

/// How many processes on this machine sleep for so many seconds.
pub fn sleepers(seconds: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let sleeping = format!("sleep\0{seconds}\0");
    lines.filter(|line| *line == sleeping.as_bytes()).count()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

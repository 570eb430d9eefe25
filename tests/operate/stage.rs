//! A fake Gitea, a folder with a configuration, a service when it is wanted, and the program to run beside them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::service::Service;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const SECRET: &str = "a-secret-of-the-operator";
/// The login of somebody who owns the organisation acme.
pub const OWNER: &str = "olivia";

pub struct Stage {
    pub gitea: FakeGitea,
    pub folder: TempDir,
    pub port: u16,
    service: Option<Service>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Each line of output as JSON.
    pub fn json(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        self.out.lines().map(line).collect()
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

pub fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

impl Stage {
    /// A Gitea with the organisation acme and its repository widgets, in which our account is an administrator and
    /// claude may write; no service yet.
    pub async fn new() -> Self {
        Self::at(Clock::System).await
    }

    /// The same with a Gitea whose clock is this one.
    pub async fn at(clock: Clock) -> Self {
        // Fails when another story has chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gitea = FakeGitea::start_at(clock).await.unwrap();
        gitea.add_collaborator(&repo(), &gitea.bot().login, "admin");
        gitea.add_collaborator(&repo(), "claude", "write");
        gitea.add_org_owner("acme", OWNER);
        gitea.add_user("alice");
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let stage = Self { gitea, folder: tempfile::tempdir().unwrap(), port, service: None };
        stage.configure(&[]);
        stage
    }

    /// Writes the configuration with these words in place of others.
    pub fn configure(&self, changes: &[(&str, &str)]) {
        let port = self.port;
        let mut text = format!(
            "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['acme/widgets']\n[server]\nlisten = '127.0.0.1:{port}'\n\
             public_url = 'http://127.0.0.1:{port}'\n[webhook]\nsecrets = ['{SECRET}']\n[store]\n\
             url = 'sqlite:{}'\n[triage]\nowner = 'alice'\ndry_run = false\n[sweep]\nat_start = false\n\
             [summary]\nenabled = false\n",
            self.gitea.url(),
            self.gitea.token(),
            self.folder.path().join("triage.db").display()
        );
        for (from, to) in changes {
            assert!(text.contains(from), "`{from}` is not in {text}");
            text = text.replace(from, to);
        }
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gitea-triage.toml")
    }

    /// Starts the service of the configuration as it stands.
    pub async fn serve(&mut self) {
        let config = Config::load(Some(&self.file()), std::iter::empty()).unwrap();
        self.service = Some(Service::start(&config, Clock::System).await.unwrap());
    }

    /// Lets the running service read the configuration again.
    pub fn reload(&self) {
        let config = Config::load(Some(&self.file()), std::iter::empty()).unwrap();
        self.service.as_ref().unwrap().parts().reload(&config).unwrap();
    }

    /// Stops the service; the stage stays.
    pub async fn halt(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    pub async fn stop(mut self) {
        self.halt().await;
    }

    /// Opens an issue that is left alone, before any webhook hears of it.
    pub fn issue(&self) -> IssueRef {
        let title = "[philosophy] What is a widget?".to_owned();
        self.gitea.open_issue(&repo(), NewIssue { title, ..NewIssue::default() })
    }

    /// The program, ready to be run in the folder.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
        command.env_clear().current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.program(arguments).output().unwrap())
    }

    /// Sends a request to the API as somebody who may; the answer.
    pub async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/api/v1{path}", self.gitea.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), &url);
        let token = format!("token {}", self.gitea.token_of(OWNER));
        let answer = request.header("Authorization", token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    /// The webhooks of the repository, as the API lists them.
    pub async fn hooks(&self) -> Vec<Value> {
        let hooks = self.api("GET", "/repos/acme/widgets/hooks", Value::Null).await;
        hooks.as_array().unwrap().clone()
    }

    /// Makes a webhook by hand, with these changes to what it should be.
    pub async fn hook_by_hand(&self, place: &str, changes: &[(&str, Value)]) -> i64 {
        let url = format!("http://127.0.0.1:{}/webhook", self.port);
        let mut hook = json!({
            "type": "gitea", "active": true, "events": ["issues", "issue_comment", "pull_request_only", "pull_request_comment", "pull_request_review"],
            "config": {"url": url, "content_type": "json", "secret": SECRET},
        });
        for (pointer, value) in changes {
            match hook.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => hook[pointer.trim_start_matches('/')] = value.clone(),
            }
        }
        let made = self.api("POST", &format!("{place}/hooks"), hook).await;
        made["id"].as_i64().unwrap()
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

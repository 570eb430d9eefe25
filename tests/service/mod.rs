//! A service over a fake Gitea, with the clock in hand and the work done step by step.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{FakeGitea, Fault, FaultKind, Flavour, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::service::Service;
use gitea_triage::store::{DeliveryState, Filter};
use gitea_triage::worker::Worker;
use tempfile::TempDir;

const SECRET: &str = "a-secret-of-the-tests";

pub struct World {
    pub gitea: FakeGitea,
    pub clock: Clock,
    pub service: Service,
    pub folder: TempDir,
    config: String,
    http: reqwest::Client,
}

/// The signature of a body, as a webhook of the world would have it.
pub fn sign(body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn read(config: &str) -> Config {
    Config::from_toml("world.toml", config, std::iter::empty()).unwrap()
}

pub fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

/// A ready bug, as a person would write it.
pub fn bug() -> NewIssue {
    NewIssue {
        title: "[bug] Login crashes on an empty password".into(),
        body: "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes".into(),
        author: "alice".into(),
        ..NewIssue::default()
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// A world whose configuration has these lines at its end.
    pub async fn with(more: &str) -> Self {
        Self::with_server("", more).await
    }

    /// The same, with these lines in the section of the server.
    pub async fn with_server(server: &str, more: &str) -> Self {
        Self::on(Flavour::Gitea, server, more).await
    }

    /// The same, on one of the two forges.
    pub async fn on(flavour: Flavour, server: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::database::url(&folder.path().join("world.db"));
        Self::over(folder, &store, flavour, server, more).await
    }

    /// One whose store is a file, whatever the others are on.
    pub async fn on_file(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", folder.path().join("world.db").display());
        Self::over(folder, &store, Flavour::Gitea, "", more).await
    }

    /// One whose store is at an address.
    pub async fn on_store(store: &str) -> Self {
        Self::over(tempfile::tempdir().unwrap(), store, Flavour::Gitea, "", "").await
    }

    async fn over(
        folder: TempDir,
        store: &str,
        flavour: Flavour,
        server: &str,
        more: &str,
    ) -> Self {
        let clock = Clock::manual("2026-03-23T12:00:00Z".parse().unwrap());
        let gitea = FakeGitea::start_as(flavour, clock.clone()).await.unwrap();
        for name in ["acme/widgets", "acme/gadgets"] {
            gitea.add_collaborator(&repo(name), "claude", "write");
            gitea.add_collaborator(&repo(name), &gitea.bot().login, "write");
        }
        let config = format!(
            "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['acme/*']\n[server]\nlisten = '127.0.0.1:0'\n{server}\n\
             [webhook]\nsecrets = ['{SECRET}']\nmax_body = '64KiB'\n[store]\nurl = '{}'\n\
             [worker]\nconcurrency = 0\n{more}",
            gitea.url(),
            gitea.token(),
            store
        );
        let service = Service::start(&read(&config), clock.clone()).await.unwrap();
        service.parts().worker.set_account(gitea.bot());
        gitea.set_hook(&format!("http://{}/webhook", service.address()), SECRET);
        Self { gitea, clock, service, folder, config, http: reqwest::Client::new() }
    }

    /// Has the service read its file again, in which one text stands in place of another.
    pub fn reload(&mut self, (from, to): (&str, &str)) {
        self.config = self.config.replace(from, to);
        self.service.parts().reload(&read(&self.config)).unwrap();
    }

    /// Stops the service and starts it over the same store, with one text of its file in place of another.
    pub async fn restart(&mut self, (from, to): (&str, &str)) {
        self.config = self.config.replace(from, to);
        // A file has one service at a time.
        let [at, aside] = ["world.db", "aside.db"].map(|name| self.folder.path().join(name));
        let [at, aside] = [at, aside].map(|file| crate::database::url(&file));
        let idle = read(&self.config.replace(&at, &aside));
        let idle = Service::start(&idle, self.clock.clone()).await.unwrap();
        std::mem::replace(&mut self.service, idle).stop().await;
        let service = Service::start(&read(&self.config), self.clock.clone()).await.unwrap();
        std::mem::replace(&mut self.service, service).stop().await;
        self.gitea.set_hook(&format!("http://{}/webhook", self.service.address()), SECRET);
    }

    pub fn worker(&self) -> &Worker {
        &self.service.parts().worker
    }

    pub fn open(&self, repository: &str) -> IssueRef {
        self.gitea.open_issue(&repo(repository), bug())
    }

    /// Lets every request that fits meet this fault, until the faults are cleared.
    pub fn fail(&self, path: &str, kind: FaultKind) {
        self.gitea.fail(Fault { method: None, path_contains: path.into(), times: u32::MAX, kind });
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// Works off what has been delivered, what is due within `seconds`, and the deliveries that this causes.
    pub async fn settle(&self, seconds: u64) {
        self.gitea.delivered().await;
        let mut seen = None;
        while seen.replace(self.gitea.deliveries().len()) != Some(self.gitea.deliveries().len()) {
            self.worker().settle(Duration::from_secs(seconds)).await.unwrap();
            self.gitea.delivered().await;
        }
    }

    /// Why each dead letter is one.
    pub async fn dead(&self) -> Vec<String> {
        let filter = Filter { state: Some(DeliveryState::Dead), limit: 10_000 };
        let dead = self.service.parts().store.deliveries(filter).await.unwrap();
        dead.into_iter().map(|d| d.reason.unwrap_or_default()).collect()
    }

    pub async fn backlog(&self) -> u64 {
        self.service.parts().store.backlog().await.unwrap()
    }

    /// Status and text of one of our own pages.
    pub async fn get(&self, path: &str, accept: &str) -> (u16, String, String) {
        let request = self.http.get(format!("http://{}{path}", self.service.address()));
        let answer = request.header("accept", accept).send().await.unwrap();
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (status, kind, answer.text().await.unwrap())
    }

    /// Posts a body to the webhook as it stands; the status.
    pub async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> u16 {
        let mut request = self.http.post(format!("http://{}/webhook", self.service.address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.unwrap().status().as_u16()
    }

    pub async fn metrics(&self) -> String {
        self.get("/metrics", "*/*").await.2
    }

    /// One figure; 0 when it is not there.
    pub async fn figure(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let rest = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
        rest.map_or(0.0, |value| value.parse().unwrap())
    }
}

//! The real program with its dashboard, a fake Gitea to sign in with, and a browser before them.

use std::net::TcpListener;

use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;

use crate::driver::{Browser, Scripts};
use crate::program::{Program, Stage, bug, until};

pub const TOKEN: &str = "the-dashboards-own-token";

pub struct Front {
    pub stage: Stage,
    _service: Program,
    pub browser: Browser,
    pub scripts: Scripts,
    pub root: String,
}

impl Front {
    /// Alice acts, bob writes, eve reads.
    pub async fn start(scripts: Scripts) -> Self {
        let mut stage = Stage::with("").await;
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = format!("http://{listen}");
        let (id, secret) = stage.gitea.add_oauth_application(&format!("{root}/sign-in/callback"));
        for (login, access) in [("alice", "write"), ("bob", "write"), ("eve", "read")] {
            stage.gitea.add_collaborator(&stage.repo, login, access);
        }
        stage.more = format!(
            "[[agent]]\nid = \"claude\"\nmax_concurrent = 2\n[triage]\nowner = \"alice\"\n[dashboard]\ntoken = \"{TOKEN}\"\n\
             client_id = \"{id}\"\nclient_secret = \"{secret}\"\n"
        );
        let service = stage.start_with(|command| {
            command.env("GITEA_TRIAGE__SERVER__LISTEN", listen.to_string());
            command.env("GITEA_TRIAGE__SERVER__PUBLIC_URL", &root);
        });
        let browser = Browser::start(scripts).await;
        Self { stage, _service: service, browser, scripts, root }
    }

    pub async fn goto(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.root)).await;
    }

    /// As a person does it: by the buttons.
    pub async fn sign_in_as(&self, login: &str) {
        self.goto("/").await;
        self.browser.follow("//a[text()='Sign in with Gitea']").await;
        self.browser.sees("Who are you?").await;
        self.browser.follow(&format!("//button[text()='{login}']")).await;
    }

    pub async fn sign_in_with_token(&self, next: &str) {
        self.goto(next).await;
        self.browser.write("#token", TOKEN).await;
        self.browser.follow("//button[text()='Sign in with the token']").await;
    }

    /// Waits until the page shows it: by itself where scripts run, by loading it again where they do not.
    pub async fn sees_in_time(&self, text: &str) {
        match self.scripts {
            Scripts::On => self.browser.sees(text).await,
            Scripts::Off => self.browser.sees_after_loading(text).await,
        }
    }

    /// Opens an issue that cannot be read, and waits until its delivery is dead.
    pub async fn failed_delivery(&self, number: usize) -> IssueRef {
        let kind = FaultKind::Status(403);
        let path_contains = format!("/issues/{number}");
        self.stage.gitea.fail(Fault { method: None, path_contains, times: u32::MAX, kind });
        let at = self.stage.gitea.open_issue(&self.stage.repo, bug(number));
        self.stage.processed().await;
        self.stage.gitea.clear_faults();
        assert!(self.stage.count("SELECT count(*) FROM delivery WHERE state = 'dead'") > 0);
        at
    }

    /// Issues in every state, so that every page has something to show.
    pub async fn fill(&self) {
        let gitea = &self.stage.gitea;
        let open = |title: &str, more: &str| {
            let mut issue = bug(1);
            issue.title = title.to_owned();
            issue.body.push_str(more);
            gitea.open_issue(&self.stage.repo, issue)
        };
        open("[bug] Login crashes on an empty password", "");
        self.stage.processed().await;
        open("[bug] P0: data is lost when two people save at once", "");
        open("[feature] Export the report as CSV", "\nIt must hold every column.");
        open("[bug] Rounding of totals is wrong", "\nBlocked until the schema is settled.");
        gitea.open_issue(
            &self.stage.repo,
            NewIssue { title: "It is slow".into(), ..NewIssue::default() },
        );
        self.stage.processed().await;
        let held = open("[bug] The build fails on Fridays", "");
        self.stage.processed().await;
        gitea.comment(&held, "alice", "/triage hold until the new runner is there");
        self.stage.processed().await;
        self.failed_delivery(7).await;
    }

    /// Waits until the forge shows something.
    pub async fn until(&self, what: &str, done: impl AsyncFnMut() -> bool) {
        until(what, crate::program::PATIENCE, done).await;
    }
}

//! `replay`: processes recorded deliveries, each with a fresh store and an in-memory forge, or posts them to a running
//! receiver.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::score::{Line, decided};
use super::table::Rows;
use super::{Failure, PATIENCE, fail_unless, print, show, terminal};
use crate::apply::{Executor, LabelRules};
use crate::clock::Clock;
use crate::config;
use crate::delivery::Delivery;
use crate::fake_gitea::{FakeGitea, Flavour};
use crate::gitea::{self as forge, Recording, Verifier};
use crate::issue::{IssueRef, RepoPatterns};
use crate::store::{DeliveryView, OpenMode, Store};
use crate::triage::{Policy, Reopen, Triage};
use crate::worker::{self, Rules, Worker};

/// Process recorded deliveries locally, or post them to a running receiver
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage replay fixtures\n  gitea-triage replay fixtures fixtures/forgejo-15.0.3\n  gitea-triage replay --json fixtures/02-issues-opened-bug.http\n  gitea-triage replay --to http://127.0.0.1:8484/webhook fixtures\n\nA file is a request line, headers, an empty line and the exact body. Each delivery is processed with a fresh store and an in-memory forge, a Forgejo where the headers are one's: all agents are free, and nobody has overridden a decision."
)]
pub(super) struct Replay {
    /// `.http` files, or folders that contain them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The secret the deliveries are signed with
    #[arg(long, default_value = "fixture-secret", hide_default_value = true)]
    secret: SecretString,
    /// Post the deliveries unchanged to a running receiver instead
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Print one line of JSON for each delivery
    #[arg(short, long)]
    json: bool,
}

/// The result of one recorded delivery.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replayed {
    file: String,
    delivery: Option<String>,
    event: Option<String>,
    action: Option<String>,
    issue: Option<String>,
    status: String,
    reason: Option<String>,
    verdict: Option<Value>,
    /// The decision; where there is none, the status.
    #[serde(skip)]
    decision: String,
    effects: Vec<EffectLine>,
}

#[derive(Debug, Serialize)]
struct EffectLine {
    kind: String,
    value: String,
}

impl Replay {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let files = files(&self.paths)?;
        match &self.to {
            Some(url) => self.send_all(&files, url).await,
            None => self.replay_all(&files).await,
        }
    }

    async fn replay_all(&self, files: &[PathBuf]) -> Result<(), Failure> {
        let secret = forge::Secret { key: self.secret.clone(), expires: None, repos: None };
        let verifier = Verifier::new(vec![secret]);
        let rules = Arc::new(rules()?);
        if !self.json {
            print(&head())?;
        }
        for (done, file) in files.iter().enumerate() {
            progress(done, files.len());
            let replayed = replay(file, &verifier, &rules).await?;
            show(self.json, &replayed, &replayed.row())?;
        }
        Ok(())
    }

    async fn send_all(&self, files: &[PathBuf], url: &str) -> Result<(), Failure> {
        let mut is_fine = true;
        for file in files {
            let recording = read(file)?;
            let (status, answer) = forge::post(url, &recording).await?;
            is_fine &= status < 500;
            let name = name(file);
            let value = json!({ "file": name, "status": status, "answer": answer });
            show(self.json, &value, &format!("{name:<52} {status}  {answer}"))?;
        }
        fail_unless(is_fine)
    }
}

/// The `.http` files of the paths; those of a folder in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?;
            let mut found =
                entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
            found.retain(|path| path.extension().is_some_and(|e| e == "http"));
            found.sort();
            files.append(&mut found);
        } else if path.exists() {
            files.push(path.clone());
        } else {
            return Err(Failure::Usage(format!(
                "there is no `{}`; give `.http` files or folders that contain them",
                path.display()
            )));
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage("there is no `.http` file in these paths".to_owned()));
    }
    Ok(files)
}

fn read(file: &Path) -> Result<Recording, Failure> {
    let bytes =
        std::fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    Ok(Recording::read(bytes)
        .with_context(|| format!("`{}` is not a recorded delivery", file.display()))?)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn progress(done: usize, all: usize) {
    if std::io::stdout().is_terminal() {
        return;
    }
    terminal::progress(&format!("{done} of {all}"));
    if done + 1 == all {
        terminal::clear_progress();
    }
}

/// The built-in policy and agents, for every repository.
fn rules() -> anyhow::Result<Rules> {
    Ok(Rules {
        triage: Triage::new(Policy::default())?,
        agents: config::built_in_agents(),
        repos: RepoPatterns::new(["*/*"]).map_err(|text| anyhow!("`{text}` is no pattern"))?,
        owner: None,
        flag_label: None,
        needs_info_label: Some("needs-info".to_owned()),
        question_label: Some("question".to_owned()),
        approve_label: Some("approved".to_owned()),
        claim_limit: 3,
        claim_expires: Duration::from_secs(7 * 24 * 3_600),
        rotations: Vec::new(),
        budgets: Arc::default(),
        max_attempts: 3,
        write_limit: u32::MAX,
        dispatch_attempts: 2,
        follow_up: true,
        review: Vec::new(),
        reopen: Reopen::default(),
        public_url: None,
        pages: None,
    })
}

async fn replay(file: &Path, verifier: &Verifier, rules: &Arc<Rules>) -> Result<Replayed, Failure> {
    let recording = read(file)?;
    let clock = Clock::System;
    let delivery = match verifier.verify(&recording, recording.body.clone(), clock.now()) {
        Ok(delivery) => delivery,
        Err(rejected) => return Ok(Replayed::rejected(&name(file), rejected.to_string())),
    };
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("replay.db"), 16, OpenMode::Shared)?;
    let flavour = if recording.is_of_forgejo() { Flavour::Forgejo } else { Flavour::Gitea };
    let gitea = gitea(&delivery, flavour, rules).await?;
    let forge = forge::Client::new(forge::Settings::new(gitea.url(), gitea.token()))?;
    let labels = LabelRules { create: true, color: "#006b75".to_owned() };
    let executor = Executor::new(forge.clone(), labels);
    let worker = Worker::new(worker::Parts {
        store: store.clone(),
        forge,
        executor,
        clock,
        rules: Arc::clone(rules).into(),
        arrived: Arc::new(Notify::new()),
    });
    worker.set_account(gitea.bot());
    let id = delivery.id.clone();
    store.accept(delivery).await?;
    worker.settle(PATIENCE).await?;
    gitea.stop();
    let delivery = store.delivery(&id).await?;
    let delivery = delivery.ok_or_else(|| anyhow!("delivery `{id}` is not in the store"))?;
    replayed(&name(file), delivery, &store).await
}

/// An in-memory forge with the issue of the delivery and the accounts of the agents.
async fn gitea(delivery: &Delivery, flavour: Flavour, rules: &Rules) -> Result<FakeGitea, Failure> {
    let gitea = FakeGitea::start_as(flavour, Clock::System).await;
    let gitea = gitea.context("the in-memory forge could not be started")?;
    let payload: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
    if let Some(at) = gitea.put_issue_from_payload(&payload) {
        for login in rules.agents.iter().filter_map(|agent| agent.login.as_deref()) {
            gitea.add_collaborator(&at.repo, login, "write");
        }
        gitea.add_collaborator(&at.repo, &gitea.bot().login, "write");
    }
    Ok(gitea)
}

pub(super) async fn replayed(
    file: &str,
    delivery: DeliveryView,
    store: &Store,
) -> Result<Replayed, Failure> {
    let (event, action) = delivery.action.split_once('/').unwrap_or((&delivery.action, ""));
    let mut replayed = Replayed {
        file: file.to_owned(),
        delivery: Some(delivery.id.clone()),
        event: named(event),
        action: named(action),
        issue: delivery.issue.clone(),
        status: delivery.state.to_string(),
        decision: delivery.state.to_string(),
        reason: delivery.reason.clone(),
        ..Replayed::default()
    };
    let Some(at) = delivery.issue.as_deref().and_then(|text| text.parse::<IssueRef>().ok()) else {
        return Ok(replayed);
    };
    let history = store.history(at.clone()).await?;
    let evaluations = history.iter().flat_map(|h| &h.evaluations);
    // An issue may have earlier ones, of other deliveries.
    for evaluation in evaluations.filter(|e| delivery.evaluation == Some(e.id)) {
        replayed.reason = Some(evaluation.reason.clone());
        replayed.decision = evaluation.action.clone();
        if let Some(verdict) = evaluation.verdict() {
            replayed.decision = decided(&verdict);
            replayed.verdict = Some(serde_json::to_value(Line::new(at.number, &verdict))?);
        }
        let done = evaluation.effects.iter().filter(|e| e.state == "done");
        replayed.effects.extend(done.map(|e| EffectLine {
            kind: if e.kind == "edit" { "comment".to_owned() } else { e.kind.clone() },
            value: e.value.clone(),
        }));
    }
    Ok(replayed)
}

/// A word of the delivery, when there is one.
fn named(word: &str) -> Option<String> {
    Some(word.to_owned()).filter(|word| !word.is_empty())
}

impl Replayed {
    /// One that the receiver refuses.
    pub(super) fn rejected(file: &str, reason: String) -> Self {
        let (file, status) = (file.to_owned(), "rejected".to_owned());
        let decision = status.clone();
        Self { file, status, decision, reason: Some(reason), ..Self::default() }
    }

    pub(super) fn row(&self) -> String {
        let event = self.event.iter().chain(&self.action).map(String::as_str);
        let event = event.collect::<Vec<_>>().join("/");
        let score = self.verdict.as_ref().map_or("-".to_owned(), |v| v["score"].to_string());
        let effects: Vec<_> =
            self.effects.iter().map(|e| format!("{} {}", e.kind, e.value)).collect();
        let last = match (effects.is_empty(), &self.reason) {
            (true, Some(reason)) => reason.clone(),
            _ => effects.join(", "),
        };
        let file = self.file.strip_suffix(".http").unwrap_or(&self.file);
        let issue = self.issue.as_deref().unwrap_or("-");
        columns(&[file, &event, issue, &score, &self.decision, &last])
    }
}

/// One row of the table.
fn columns(cells: &[&str]) -> String {
    Rows::new(&[44, 24, 16, 5, 16, 60]).text(cells)
}

/// The head of the table.
pub(super) fn head() -> String {
    columns(&["FILE", "EVENT", "ISSUE", "SCORE", "DECISION", "EFFECTS"])
}

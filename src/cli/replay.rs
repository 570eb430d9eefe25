//! `replay`: recorded deliveries through the whole flow, each on a world of its own, or posted to a receiver that
//! runs.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::score::Line;
use super::{Failure, block_on, print, print_json};
use crate::apply::{Executor, LabelRules};
use crate::clock::Clock;
use crate::config;
use crate::delivery::Delivery;
use crate::fake_gitea::FakeGitea;
use crate::gitea::{self as forge, Recording, Verifier};
use crate::issue::{IssueRef, RepoPatterns};
use crate::store::{DeliveryView, OpenMode, Store};
use crate::triage::{Policy, Triage, Verdict};
use crate::worker::{self, Rules, Worker};

/// How long a recorded delivery may rest before it is looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Run recorded deliveries through the whole flow, locally or against a running receiver
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage replay fixtures\n  gitea-triage replay --json fixtures/02-issues-opened-bug.http\n  gitea-triage replay --to http://127.0.0.1:8484/webhook fixtures\n\nA file is a request line, headers, an empty line and the exact body. Each is judged on a fresh world of its own: agents are free, and nobody has overridden anything."
)]
pub(super) struct Replay {
    /// `.http` files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The secret the deliveries are signed with
    #[arg(long, default_value = "fixture-secret", hide_default_value = true)]
    secret: SecretString,
    /// Post them, byte for byte, to a running receiver instead
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// One line of JSON for each delivery
    #[arg(long)]
    json: bool,
}

/// What became of one recorded delivery.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replayed {
    file: String,
    delivery: Option<String>,
    event: String,
    action: String,
    issue: Option<String>,
    status: String,
    reason: Option<String>,
    verdict: Option<Value>,
    #[serde(skip)]
    decision: Option<String>,
    effects: Vec<EffectLine>,
}

#[derive(Debug, Serialize)]
struct EffectLine {
    kind: String,
    value: String,
}

impl Replay {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let files = files(&self.paths)?;
        block_on(async {
            match &self.to {
                Some(url) => self.send_all(&files, url).await,
                None => self.replay_all(&files).await,
            }
        })?
    }

    async fn replay_all(&self, files: &[PathBuf]) -> Result<ExitCode, Failure> {
        let secret = forge::Secret { key: self.secret.clone(), expires: None, repos: None };
        let verifier = Verifier::new(vec![secret]);
        let rules = Arc::new(rules()?);
        if !self.json {
            print(&head())?;
        }
        for (done, file) in files.iter().enumerate() {
            progress(done, files.len());
            let replayed = replay(file, &verifier, &rules).await?;
            if self.json { print_json(&replayed)? } else { print(&replayed.row())? }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn send_all(&self, files: &[PathBuf], url: &str) -> Result<ExitCode, Failure> {
        let mut is_fine = true;
        for file in files {
            let recording = read(file)?;
            let (status, answer) = forge::post(url, &recording).await?;
            is_fine &= status < 500;
            let name = name(file);
            if self.json {
                print_json(
                    &serde_json::json!({ "file": name, "status": status, "answer": answer }),
                )?;
            } else {
                print(&format!("{name:<52} {status}  {answer}"))?;
            }
        }
        Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The `.http` files of the paths; those of a folder in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?;
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let mut found: Vec<_> = entries
                .iter()
                .map(std::fs::DirEntry::path)
                .filter(|p| p.extension().is_some_and(|e| e == "http"))
                .collect();
            found.sort();
            files.append(&mut found);
        } else if path.exists() {
            files.push(path.clone());
        } else {
            return Err(Failure::Usage(format!(
                "there is no `{}`; give `.http` files or folders of them",
                path.display()
            )));
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage("there is no `.http` file in what was given".to_owned()));
    }
    Ok(files)
}

fn read(file: &Path) -> Result<Recording, Failure> {
    let bytes =
        std::fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    Ok(Recording::read(bytes)
        .with_context(|| format!("`{}` is no recorded delivery", file.display()))?)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn progress(done: usize, all: usize) {
    if std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() {
        eprint!("\r{done} of {all}\x1b[K{}", if done + 1 == all { "\r\x1b[K" } else { "" });
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
        max_attempts: 3,
        fuse: u32::MAX,
        dispatch_attempts: 2,
        review: Vec::new(),
        public_url: None,
        pages: None,
    })
}

async fn replay(file: &Path, verifier: &Verifier, rules: &Arc<Rules>) -> Result<Replayed, Failure> {
    let recording = read(file)?;
    let clock = Clock::System;
    let delivery = match verifier.verify(&recording, recording.body.clone(), clock.now()) {
        Ok(delivery) => delivery,
        Err(rejected) => {
            return Ok(Replayed::rejected(&name(file), rejected.to_string()));
        }
    };
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("replay.db"), 16, OpenMode::Shared)?;
    let world = world(&delivery, rules).await?;
    let forge = forge::Client::new(forge::Settings::new(world.url(), world.token()))?;
    let labels = LabelRules { create: true, color: "#006b75".to_owned() };
    let executor = Executor::new(forge.clone(), labels);
    let worker = Worker::new(worker::Parts {
        store: store.clone(),
        forge,
        executor,
        clock,
        rules: Arc::clone(rules),
        arrived: Arc::new(Notify::new()),
    });
    worker.set_account(world.bot());
    let id = delivery.id.clone();
    store.accept(delivery).await?;
    worker.settle(PATIENCE).await?;
    world.stop();
    let seen =
        store.delivery(&id).await?.ok_or_else(|| anyhow!("delivery `{id}` is not in the store"))?;
    replayed(&name(file), seen, &store).await
}

/// A Gitea in memory with what the delivery shows, and the agents' accounts.
async fn world(delivery: &Delivery, rules: &Rules) -> Result<FakeGitea, Failure> {
    let world = FakeGitea::start().await.context("the in-memory Gitea could not be started")?;
    let payload: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
    if let Some(at) = world.put_issue_from_payload(&payload) {
        for login in rules.agents.iter().filter_map(|agent| agent.login.as_deref()) {
            world.add_collaborator(&at.repo, login, "write");
        }
        world.add_collaborator(&at.repo, &world.bot().login, "write");
    }
    Ok(world)
}

pub(super) async fn replayed(
    file: &str,
    seen: DeliveryView,
    store: &Store,
) -> Result<Replayed, Failure> {
    let (event, action) = seen.action.split_once('/').unwrap_or((&seen.action, ""));
    let mut replayed = Replayed {
        file: file.to_owned(),
        delivery: Some(seen.id.clone()),
        event: event.to_owned(),
        action: action.to_owned(),
        issue: seen.issue.clone(),
        status: seen.state.as_str().to_owned(),
        reason: seen.reason.clone(),
        ..Replayed::default()
    };
    let Some(at) = seen.issue.as_deref().and_then(|text| text.parse::<IssueRef>().ok()) else {
        return Ok(replayed);
    };
    let history = store.history(at.clone()).await?;
    for evaluation in history.iter().flat_map(|h| &h.evaluations) {
        replayed.reason = Some(evaluation.reason.clone());
        replayed.decision = Some(evaluation.action.clone());
        if let Ok(verdict) = serde_json::from_value::<Verdict>(evaluation.verdict.clone()) {
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

impl Replayed {
    /// One that was turned away at the door.
    pub(super) fn rejected(file: &str, reason: String) -> Self {
        let (file, status) = (file.to_owned(), "rejected".to_owned());
        Self { file, status, reason: Some(reason), ..Self::default() }
    }

    pub(super) fn row(&self) -> String {
        let event = [self.event.as_str(), &self.action];
        let event = event.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let verdict = |key: &str| self.verdict.as_ref().map(|v| &v[key]);
        let score = verdict("score").map_or_else(|| "-".to_owned(), Value::to_string);
        let decision = match verdict("decision") {
            Some(decision) => {
                let text = |key: &str| decision[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("action"), text("agent")).trim_end().to_owned()
            }
            None => self.decision.clone().unwrap_or_else(|| self.status.clone()),
        };
        let effects: Vec<_> =
            self.effects.iter().map(|e| format!("{} {}", e.kind, e.value)).collect();
        let last = match (effects.is_empty(), &self.reason) {
            (true, Some(reason)) => reason.clone(),
            _ => effects.join(", "),
        };
        row([&self.file, &event, self.issue.as_deref().unwrap_or("-"), &score, &decision, &last])
    }
}

/// What the columns are.
pub(super) fn head() -> String {
    row(["FILE", "EVENT", "ISSUE", "SCORE", "DECISION", "EFFECTS"])
}

fn row([file, event, issue, score, decision, last]: [&str; 6]) -> String {
    let file = file.strip_suffix(".http").unwrap_or(file);
    format!("{file:<44} {event:<24} {issue:<16} {score:>5}  {decision:<16} {last}")
        .trim_end()
        .to_owned()
}

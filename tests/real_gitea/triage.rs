//! The program itself, as a process with a configuration file, and what its other commands say beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::forge::{BOT, Forge, SECRET};
use crate::person::client;
use crate::process::{Process, free_port};
use crate::wait::until;

const START: Duration = Duration::from_secs(20);

/// A running `gitea-triage serve`.
pub struct Triage {
    // Dropped in this order: the process ends before its folder goes.
    process: Process,
    folder: TempDir,
    port: u16,
}

/// A line of `inbox list --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub origin: String,
    pub received_at: DateTime<Utc>,
    pub action: Option<String>,
    pub issue: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    pub evaluation: Option<i64>,
}

impl Delivery {
    /// Whether it has come to its end.
    pub fn has_ended(&self) -> bool {
        ["done", "ignored", "dead"].contains(&self.state.as_str())
    }

    /// Whether it is about this issue of the repository on the stage.
    pub fn is_about(&self, number: u64) -> bool {
        self.issue.as_deref() == Some(&format!("acme/widgets#{number}"))
    }
}

impl Triage {
    /// Starts it for `forge`; `more` is added to the configuration. Takes deliveries, and knows its own account,
    /// when this returns.
    pub async fn start(forge: &Forge, more: &str) -> Self {
        Self::start_on(free_port(), forge, more).await
    }

    /// The same on a port that was chosen before.
    pub async fn start_on(port: u16, forge: &Forge, more: &str) -> Self {
        Self::start_from(configuration(&forge.url(), port, more), port, forge).await
    }

    /// The same, but it looks after these repositories, as the configuration lists them.
    pub async fn start_with(forge: &Forge, repos: &str, more: &str) -> Self {
        let port = free_port();
        let config = configuration(&forge.url(), port, more);
        Self::start_from(config.replace("[\"acme/widgets\"]", repos), port, forge).await
    }

    async fn start_from(config: String, port: u16, forge: &Forge) -> Self {
        let folder = tempfile::Builder::new().prefix("triage-").tempdir().unwrap();
        std::fs::write(folder.path().join("token"), forge.token(BOT)).unwrap();
        std::fs::write(folder.path().join("gitea-triage.toml"), config).unwrap();
        let mut serve = command(&folder);
        let process = Process::start(serve.arg("serve"), &folder.path().join("log"));
        let mut triage = Self { process, folder, port };
        triage.is_up(forge).await;
        triage
    }

    async fn is_up(&mut self, forge: &Forge) {
        let (client, url) = (client(), format!("http://127.0.0.1:{}/readyz", self.port));
        until(START, async || {
            let ended = self.process.ended();
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", self.log());
            let answer = client.get(&url).send().await;
            let is_up = answer.is_ok_and(|a| a.status().is_success());
            let knows_itself = forge.asked_by(BOT).await.iter().any(|r| r.path == "/user");
            if is_up && knows_itself { Ok(()) } else { Err(format!("not ready:\n{}", self.log())) }
        })
        .await;
    }

    /// Where it takes deliveries.
    pub fn webhook(&self) -> String {
        format!("http://127.0.0.1:{}/webhook", self.port)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The lines of the log that are warnings or errors.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |line: &&str| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            !["INFO", "DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap_or_default())
        };
        self.log().lines().filter(is_complaint).map(str::to_owned).collect()
    }

    /// What another command says, run beside it with the same configuration.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = command(&self.folder).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} ended with {}: {said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command that may fail, with these words of the configuration in place of others; its exit code and what it
    /// said. The running program keeps the configuration it has.
    pub fn attempt(&self, arguments: &[&str], changes: &[(&str, &str)]) -> (i32, String) {
        self.attempt_as(None, arguments, changes)
    }

    /// The same as another account of this machine.
    pub fn attempt_as(
        &self,
        uid: Option<u32>,
        arguments: &[&str],
        changes: &[(&str, &str)],
    ) -> (i32, String) {
        let file = self.folder.path().join("gitea-triage.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "`{from}` is not in {text}");
            text = text.replace(from, to);
        }
        let mut command = command(&self.folder);
        // Beside the configuration: the files it names are looked for there.
        let other = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        std::fs::write(other.path(), text).unwrap();
        set_mode(other.path(), 0o644);
        command.arg("--config").arg(other.path()).args(arguments);
        if let Some(uid) = uid {
            std::os::unix::process::CommandExt::uid(&mut command, uid);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said + &String::from_utf8_lossy(&output.stderr))
    }

    /// Writes a file beside the configuration.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Where configuration and store are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every delivery it has, oldest first.
    pub fn inbox(&self) -> Vec<Delivery> {
        let lines = self.run(&["inbox", "list", "--json", "--limit", "100000"]);
        lines.lines().rev().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Has it read its configuration again.
    pub fn hang_up(&self) {
        self.process.signal("HUP");
    }

    /// Stops it for a while.
    pub async fn halt(&mut self) {
        self.process.terminate().await;
    }

    /// Starts it again where it was stopped, with these words of its configuration in place of others.
    pub async fn go_on(&mut self, forge: &Forge, changes: &[(&str, &str)]) {
        let file = self.folder.path().join("gitea-triage.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "`{from}` is not in {text}");
            text = text.replace(from, to);
        }
        std::fs::write(&file, text).unwrap();
        let log = self.folder.path().join("log");
        self.process = Process::start(command(&self.folder).arg("serve"), &log);
        self.is_up(forge).await;
    }

    /// Stops it as an init system does.
    pub async fn stop(mut self) -> ExitStatus {
        self.process.terminate().await
    }
}

/// Who may do what with a file.
pub fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_gitea-triage")));
    // Nothing of the caller's environment may change the configuration.
    command.env_clear().current_dir(folder.path());
    command
}

fn configuration(url: &str, port: u16, more: &str) -> String {
    format!(
        r#"
[gitea]
url = "{url}"
token_file = "token"
repos = ["acme/widgets"]
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
[webhook]
secrets = ["{SECRET}"]
[store]
url = "sqlite:triage.db"
[triage]
owner = "alice"
# Only what webhooks tell: nothing may be found by other ways.
[sweep]
at_start = false
every = "24h"
[summary]
enabled = false
{more}"#
    )
}

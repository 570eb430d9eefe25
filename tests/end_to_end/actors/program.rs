//! The built program as a process, known by what it logs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// How long a step may take on a busy machine, where a large agent starts for the first time.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: DateTime<Utc>,
    pub message: String,
    /// All of it.
    pub fields: Value,
}

/// A running `gitea-triage`, killed when this is dropped.
pub struct Program {
    child: Child,
    log: Arc<Mutex<Vec<Line>>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A call of the built program in a folder, with nothing of our environment but where programs are.
pub fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(folder).args(words);
    command
}

/// What a call of it prints, and its exit code.
pub fn output(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let done = command(folder, words).stdin(Stdio::null()).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&text).into_owned())
}

impl Program {
    /// Starts it with a log of everything that the runner does.
    pub fn start(folder: &Path, words: &[&str]) -> Self {
        let mut command = command(folder, words);
        command.env("GITEA_TRIAGE_LOG", "info,actix_server=warn,gitea_triage::runner=debug");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::<Mutex<Vec<Line>>>::default();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(read(&line));
            }
        });
        Self { child, log }
    }

    /// All that it has logged so far.
    pub fn log(&self) -> Vec<Line> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it logs this.
    pub async fn says(&mut self, message: &str) -> Line {
        let mut found = None;
        until(&format!("`{message}`"), || {
            found = self.log().into_iter().find(|line| line.message.contains(message));
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("it ended with {status}: {:#?}", self.log());
            }
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Asks it to end as an init system does, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let mut status = None;
        until("its end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

fn read(line: &str) -> Line {
    let fields: Value = serde_json::from_str(line).unwrap_or_default();
    let at = fields["timestamp"].as_str().and_then(|at| at.parse().ok());
    let message = fields["message"].as_str().unwrap_or(line).to_owned();
    Line { at: at.unwrap_or_else(Utc::now), message, fields }
}

/// Looks again and again, with a short breath in between, until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

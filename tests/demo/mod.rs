//! The program's `demo`, as somebody sees it who looks around in it.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub struct Visit {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The link that signs in to the dashboard.
    pub entrance: String,
    /// The address of the dashboard.
    pub dashboard: String,
    /// The address of the forge.
    pub forge: String,
    /// The page on which an issue is opened.
    pub new_issue: String,
    _folder: TempDir,
}

impl Visit {
    /// Starts it, and reads what it says to look at.
    pub fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
        command.env_clear().current_dir(folder.path()).env("TMPDIR", folder.path());
        command.args(["demo", "--pace", "0s"]).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            let (_, address) = line.split_once("http://")?;
            Some(format!("http://{}", address.trim()))
        });
        let mut next = || addresses.next().expect("the demo says where to look");
        let [entrance, forge, new_issue] = [next(), next(), next()];
        drop(addresses);
        let host = entrance.split('/').nth(2).unwrap();
        let dashboard = format!("http://{host}");
        Self { child, lines, entrance, dashboard, forge, new_issue, _folder: folder }
    }

    /// Waits until everything is there that the demo shows by itself.
    pub fn wait(&mut self) {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let last = lines.find(|line| line.starts_with("all recorded deliveries"));
        assert!(last.is_some(), "the demo ended");
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

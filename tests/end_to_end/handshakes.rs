//! `runner check` with the programs of known agents, as far as they go without an account.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::actors::program::command;

/// Why a handshake is not tried.
pub const HOW: &str = "set AGENTS_BIN to a folder with the programs of coding agents (such as node_modules/.bin) to run this";

/// The agents, their programs, and what check has to say of each that has no account.
pub const ALL: [(&str, &str, &str); 4] = [
    (
        "claude",
        "claude-agent-acp",
        "the agent `claude` is not signed in (Not logged in): run `claude setup-token`",
    ),
    (
        "codex",
        "codex-acp",
        "the agent `codex` is not signed in (Authentication required): give a key",
    ),
    // On a Node.js that it runs on, it goes further; what it says then was not seen.
    ("kimi", "kimi", "it does not run on Node.js 20"),
    ("gemini", "gemini", "the agent `gemini` is not signed in (Gemini API key is missing"),
];

/// The folder with the program, when it is there.
pub fn folder_with(program: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTS_BIN").filter(|path| !path.is_empty())?;
    let folder = Path::new(&folder).canonicalize().ok()?;
    folder.join(program).is_file().then_some(folder)
}

/// Without an account, check says so, and what to do.
pub fn says(bin: &Path, agent: &str, expected: &str) {
    let folder = tempfile::Builder::new().prefix("handshake-").tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("token"), "a-token-of-nobody-0123").unwrap();
    let settings = format!(
        "server = \"http://127.0.0.1:9\"\ntoken_file = \"token\"\nwork = \"work\"\n\
         [forge]\nurl = \"http://127.0.0.1:9\"\ntoken_file = \"token\"\n[[agent]]\nid = \"{agent}\"\n"
    );
    std::fs::write(path.join("gitea-triage-runner.toml"), settings).unwrap();
    let mut check = command(path, &["runner", "check", "--json"]);
    let old = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&old));
    check.env("PATH", std::env::join_paths(places).unwrap());
    let done = check.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let mut findings = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let about = format!("agent {agent}");
    let found = findings.find(|one| one["about"] == about.as_str());
    let found = found.unwrap_or_else(|| panic!("nothing of {about}: {text}"));
    assert_eq!(found["is_fine"], false, "{found}");
    assert!(found["said"].as_str().unwrap().contains(expected), "{found}");
}

//! Git as the runner itself calls it: outside of what an agent can reach, with nothing taken from the configuration of
//! the machine, and with the forge's token only in the environment of the one call that needs it.
//!
//! A repository that an agent could write to is never used as one: what it holds is fetched out of it, after its
//! configuration was replaced (see the workspace).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;

use super::process::{Captured, Limits, capture};

/// How much of a call's output is read, in bytes.
const OUTPUT: usize = 1024 * 1024;
/// What of our environment git sees.
const PASSED: [&str; 9] = [
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "no_proxy",
];

/// What holds for every call. No hook, no filter, no helper, no alias: nothing runs but git.
const SAFE: [(&str, &str); 14] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.file.allow", "always"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
];

/// Variables by which git finds no configuration but the repository's own, asks nobody, and reads objects as they are.
pub(super) const ALONE: [(&str, &str); 5] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
];

/// Why git did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("`git {verb}` failed: {reason}")]
pub(super) struct GitError {
    verb: String,
    pub reason: String,
}

/// How git is called.
#[derive(Clone)]
pub(super) struct Git {
    /// An empty folder, in place of a home.
    home: PathBuf,
    time: Duration,
    /// Where the token is sent to, as a prefix of addresses.
    forge: String,
    token: SecretString,
}

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    folder: &'a Path,
    arguments: &'a [&'a str],
    has_token: bool,
    output: usize,
}

impl<'a> Call<'a> {
    /// A call within a folder; the first argument is its verb.
    pub fn new(folder: &'a Path, arguments: &'a [&'a str]) -> Self {
        Self { folder, arguments, has_token: false, output: OUTPUT }
    }

    /// One that may speak to the forge.
    pub fn with_token(self) -> Self {
        Self { has_token: true, ..self }
    }

    /// One that prints up to so many bytes.
    pub fn printing(self, output: usize) -> Self {
        Self { output, ..self }
    }
}

/// A token is taken as the password of whatever name stands before it (services/auth/basic.go).
fn header(token: &SecretString) -> String {
    format!("Authorization: Basic {}", login(token))
}

/// The token in the form in which it is sent.
pub(super) fn login(token: &SecretString) -> String {
    STANDARD.encode(format!("gitea-triage:{}", token.expose_secret()))
}

impl Git {
    pub fn new(home: PathBuf, time: Duration, forge: &str, token: SecretString) -> Self {
        let forge = format!("{}/", forge.trim_end_matches('/'));
        Self { home, time, forge, token }
    }

    /// Carries out a call, whatever its exit code.
    pub async fn try_run(&self, call: Call<'_>) -> Result<Captured, GitError> {
        let mut command = self.command(call);
        let limits = Limits { time: self.time, output: call.output };
        capture(&mut command, limits).await.map_err(|e| self.error(call, &e.to_string()))
    }

    /// Carries out a call that has to succeed, and gives what it printed without white space around it.
    pub async fn run(&self, call: Call<'_>) -> Result<String, GitError> {
        let done = self.try_run(call).await?;
        if !done.status.success() {
            return Err(self.error(call, &done.stderr));
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    fn error(&self, call: Call<'_>, reason: &str) -> GitError {
        let verb = match call.arguments {
            ["-c", _, verb, ..] | [verb, ..] => (*verb).to_owned(),
            [] => String::new(),
        };
        let reason = reason.replace(self.token.expose_secret(), "***");
        GitError { verb, reason: super::journal::plain(&reason) }
    }

    fn command(&self, call: Call<'_>) -> Command {
        let mut command = Command::new("git");
        let passed = PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.current_dir(call.folder).args(call.arguments).env_clear().envs(passed).envs(ALONE);
        command.env("HOME", &self.home).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        // Nothing above the folder is taken for its repository.
        command.env("GIT_CEILING_DIRECTORIES", call.folder.parent().unwrap_or(call.folder));
        let mut keys: Vec<(String, String)> =
            SAFE.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        if call.has_token {
            keys.push((format!("http.{}.extraHeader", self.forge), header(&self.token)));
            keys.push(("http.followRedirects".to_owned(), "false".to_owned()));
        }
        command.env("GIT_CONFIG_COUNT", keys.len().to_string());
        for (at, (key, value)) in keys.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), OsStr::new(key));
            command.env(format!("GIT_CONFIG_VALUE_{at}"), OsStr::new(value));
        }
        command
    }
}

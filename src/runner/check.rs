//! Whether a runner can work here: its programs, its agents, the forge and the service. Says what to do where not.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;
use tokio::sync::watch;

use super::agent::{Turn, TurnLimits, shake_hands};
use super::confinement::{Confinement, Folders};
use super::journal::{Journal, plain};
use super::process::{Limits, capture};
use super::profile::{Known, Protocol};
use super::settings::{Sandbox, Settings};
use super::site::{Prepared, Site};
use crate::dispatch::AgentId;
use crate::dispatch::run::{PROTOCOL, Permits, Register};

const LIMITS: Limits = Limits { time: Duration::from_secs(60), output: 64 * 1024 };
/// How long an agent may take until it answers: a large program that is not in memory yet, on a busy machine.
const START: Duration = Duration::from_secs(240);
/// Older ones read configuration that is not theirs (`GIT_CONFIG_GLOBAL`, `GIT_CONFIG_COUNT`).
const GIT: [u32; 2] = [2, 32];

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub about: String,
    /// Whether it is as it has to be.
    pub is_fine: bool,
    /// What was found; where it is not fine, with what to do.
    pub said: String,
}

impl Finding {
    fn of(about: impl Into<String>, found: Result<String, String>) -> Self {
        let about = about.into();
        match found {
            Ok(said) => Self { about, is_fine: true, said },
            Err(said) => Self { about, is_fine: false, said },
        }
    }
}

/// Looks at everything that a runner needs, and tells each finding.
pub async fn check(settings: &Settings, tell: &mut dyn FnMut(Finding)) {
    tell(Finding::of("git", git().await));
    if settings.agent.iter().any(|agent| agent.sandbox == Sandbox::Bubblewrap) {
        tell(Finding::of("bubblewrap", bubblewrap().await));
    }
    let site = match Site::open(settings.clone()) {
        Ok(site) => site,
        Err(error) => return tell(Finding::of("configuration", Err(error))),
    };
    tell(Finding::of("forge", forge(&site).await));
    tell(Finding::of("service", service(&site).await));
    for prepared in site.agents.values() {
        let about = format!("agent {}", prepared.settings.id);
        tell(Finding::of(about, agent(&site, prepared).await));
    }
}

/// The first line that a program prints.
async fn first_line(command: &mut Command) -> Result<String, String> {
    let done = capture(command, LIMITS).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let line = plain(text.lines().next().unwrap_or_default()).trim().to_owned();
    if done.status.success() {
        Ok(line)
    } else {
        Err(format!("{}: {}", done.status, plain(&done.stderr)))
    }
}

async fn git() -> Result<String, String> {
    let wanted = format!("install Git {}.{} or newer", GIT[0], GIT[1]);
    let line = first_line(Command::new("git").arg("--version")).await;
    let line = line.map_err(|error| format!("{error}; {wanted}"))?;
    let numbers = line.split_whitespace().nth(2).unwrap_or_default().split('.');
    let mut numbers = numbers.filter_map(|part| part.parse::<u32>().ok());
    let version = [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
    if version >= GIT { Ok(line) } else { Err(format!("{line} is too old; {wanted}")) }
}

async fn bubblewrap() -> Result<String, String> {
    let version = first_line(Command::new("bwrap").arg("--version")).await;
    let version = version.map_err(|e| format!("{e}; install `bubblewrap`"))?;
    let mut trial = Command::new("bwrap");
    trial.args([
        "--unshare-user",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "true",
    ]);
    first_line(&mut trial).await.map_err(|error| {
        format!(
            "{version} cannot make a sandbox ({error}); let ordinary accounts make user namespaces"
        )
    })?;
    Ok(version)
}

async fn forge(site: &Site) -> Result<String, String> {
    let ours = |error: crate::gitea::Error| error.to_string().replace("`gitea.", "`forge.");
    let version = site.forge.version().await.map_err(ours)?;
    match site.forge.whoami().await {
        Ok(account) => Ok(format!("{version}, as `{}`", account.login)),
        // A token with no more than a runner needs: it is known there, and may not read accounts.
        Err(error) if error.status() == Some(403) => {
            Ok(format!("{version}, with a token that may not say whose it is (`read:user`)"))
        }
        Err(error) => Err(ours(error)),
    }
}

async fn service(site: &Site) -> Result<String, String> {
    let agents: Vec<AgentId> = site.agents.keys().map(AgentId::new).collect();
    let register = Register {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agents: agents.clone(),
        places: site.settings.places,
    };
    let registered = site.service.register(&register).await.map_err(|error| error.to_string())?;
    let missing = agents.iter().filter(|agent| !registered.agents.contains(agent));
    let missing: Vec<_> = missing.map(|agent| format!("`{agent}`")).collect();
    if missing.is_empty() {
        return Ok(format!("it knows this runner as `{}`", registered.runner));
    }
    Err(format!(
        "it knows this runner as `{}`, but not for {}; list them in `[[runner]]` there",
        registered.runner,
        missing.join(", ")
    ))
}

/// Whether an agent is installed, and answers.
async fn agent(site: &Site, prepared: &Prepared) -> Result<String, String> {
    let folder = tempfile::tempdir_in(&site.settings.work).map_err(|error| error.to_string())?;
    let folders = Folders::below(folder.path().canonicalize().map_err(|e| e.to_string())?);
    for path in [&folders.tree, &folders.home, &folders.temporary] {
        std::fs::create_dir(path).map_err(|error| error.to_string())?;
    }
    let settings = &prepared.settings;
    let kept_in = Confinement::new(settings, &prepared.environment, folders);
    let argv = settings.argv();
    let program = argv.first().cloned().unwrap_or_default();
    let known = settings.known().map(|profile| profile.known());
    if !is_there(&program) {
        let how = known.map_or("install it, or correct `command`", |known| known.install);
        return Err(format!("`{program}` is not installed; {how}"));
    }
    let version = match known {
        Some(known) => {
            let words = [program.as_str()].into_iter().chain(known.version.iter().copied());
            let words: Vec<_> = words.map(str::to_owned).collect();
            first_line(&mut kept_in.command(&words)).await.unwrap_or_default()
        }
        None => String::new(),
    };
    let version = version.trim();
    let said =
        |more: &str| [program.as_str(), version, more].map(str::trim).join(" ").trim().to_owned();
    if settings.spoken() == Protocol::Command {
        return Ok(said("is installed"));
    }
    let journal = Journal::new(std::sync::Arc::clone(&site.secrets));
    let (_stop, stopped) = watch::channel(None);
    let turn = Turn {
        prompt: "",
        agent: settings,
        confinement: &kept_in,
        permits: &Permits::default(),
        journal: &journal,
        limits: TurnLimits { time: START, stall: START, tokens: None },
        stop: stopped,
        session: None,
    };
    let program = shake_hands(&turn).await.map_err(|reason| with_cure(&reason, known))?;
    Ok(said(&format!("answers as {}", if program.is_empty() { "an agent" } else { &program })))
}

/// Why an agent does not come up, after what to do about it where its last words tell.
fn with_cure(reason: &str, known: Option<Known>) -> String {
    // Node.js ends with its version where a program cannot be loaded.
    let node = reason.lines().rev().find_map(|line| line.trim().strip_prefix("Node.js v"));
    if let Some(node) = node {
        let wanted = known.and_then(|known| known.node);
        let wanted = wanted.map_or("another one".to_owned(), |node| format!("{node} or newer"));
        return format!("it does not run on Node.js {node}; install {wanted}. {reason}");
    }
    // Claude Code lets nobody skip questions as root.
    let names_root = reason.split(|c: char| !c.is_alphanumeric()).any(|word| word == "root");
    if names_root && rustix::process::geteuid().is_root() {
        return format!(
            "it refuses to run as root; start the runner as an ordinary account. {reason}"
        );
    }
    reason.to_owned()
}

fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    #[test]
    fn the_last_words_of_an_agent_say_what_to_do() {
        let old = "main.mjs:20\nSyntaxError: no such export\n\nNode.js v20.20.2\n";
        let said = with_cure(old, Some(Profile::Kimi.known()));
        assert!(
            said.starts_with("it does not run on Node.js 20.20.2; install 22.19 or newer. main")
        );
        let root = "the agent refused the session: skipping permissions is refused to root";
        let is_told = with_cure(root, None).contains("start the runner as an ordinary account");
        assert_eq!(is_told, rustix::process::geteuid().is_root());
        assert_eq!(with_cure("no rooted tree", None), "no rooted tree");
    }
}

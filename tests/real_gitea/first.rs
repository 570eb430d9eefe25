//! From nothing to the first decision, with the words of the book as the script.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::forge::{ADMIN, BOT, Forge, REPO, Which};
use crate::person::client;
use crate::process::{Process, free_port};
use crate::wait::until;
use crate::world::recorded;

/// The page, and the section of it, whose blocks are the file and the commands.
const SCRIPT: &str = "docs/src/first-repository.md";
const SECTION: &str = "## Two tokens, one file, six commands";
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
pub struct First {
    /// The commands that were run, in their order.
    commands: Vec<String>,
    /// What `check` said.
    check: String,
    /// What `explain` said of the first issue.
    explained: String,
    took: Duration,
}

/// Six commands, all green, and the first issue is decided.
pub fn is_set_up(first: &First) {
    assert!(first.commands.len() <= 6, "{:?}", first.commands);
    for needed in ["config check", "hook install", "check", "explain"] {
        assert!(first.commands.iter().any(|c| c.contains(needed)), "no `{needed}`");
    }
    let (lines, is_green) = (first.check.lines(), |line: &str| line.starts_with("green "));
    assert!(lines.clone().count() > 10 && lines.clone().all(is_green), "{}", first.check);
    assert!(first.explained.contains("dispatch"), "{}", first.explained);
    assert!(first.took < Duration::from_secs(300), "{:?}", first.took);
}

/// The fenced blocks of a language, whatever stands behind it.
fn blocks<'a>(text: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let mark = format!("```{language}");
    let parts: Vec<&str> = text.split(&mark).skip(1).collect();
    let blocks = parts.into_iter().map(|part| part.split("```").next().unwrap());
    blocks.map(|block| block.split_once('\n').unwrap().1)
}

/// What the person does who follows the book.
struct Person {
    forge: Forge,
    folder: TempDir,
    port: u16,
    serve: Option<Process>,
}

impl Person {
    fn shell(&self, line: &str) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_gitea-triage"));
        let here = program.parent().and_then(Path::to_str).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.env_clear().env("PATH", format!("{here}:{path}")).current_dir(self.folder.path());
        command.args(["-c", line]);
        command
    }

    async fn does(&mut self, line: &str) -> String {
        if let Some(serve) = line.strip_suffix(" &") {
            let log = self.folder.path().join("log");
            self.serve = Some(Process::start(&mut self.shell(&format!("exec {serve}")), &log));
            self.sees_it_answer(&log).await;
            return String::new();
        }
        if line.contains("explain") {
            self.opens_an_issue().await;
        }
        let output = self.shell(line).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}`: {said}{complaint}");
        said
    }

    async fn sees_it_answer(&self, log: &Path) {
        let (client, url) = (client(), format!("http://127.0.0.1:{}/readyz", self.port));
        until(PATIENCE, async || match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            _ => Err(std::fs::read_to_string(log).unwrap_or_default()),
        })
        .await;
    }

    async fn opens_an_issue(&self) {
        let bob = self.forge.person("bob");
        let bug = bob.post(&format!("{REPO}/issues"), recorded("02-issues-opened-bug.http")).await;
        let comments = format!("{REPO}/issues/{}/comments", bug["number"]);
        until(PATIENCE, async || match bob.get(&comments).await[0].is_object() {
            true => Ok(()),
            false => Err("no comment yet".to_owned()),
        })
        .await;
    }
}

/// Follows the book on one of the two servers, on which one issue is there already.
pub async fn play(which: Which) -> First {
    let forge = Forge::start(which).await;
    let old = recorded("05-issues-opened-philosophy.http");
    forge.person("alice").post(&format!("{REPO}/issues"), old).await;
    let folder = tempfile::Builder::new().prefix("first-").tempdir().unwrap();
    let mut person = Person { forge, folder, port: free_port(), serve: None };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let script = std::fs::read_to_string(script).unwrap();
    let script = script.split(SECTION).nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let write = |name: &str, text: &str| std::fs::write(person.folder.path().join(name), text);
    write("gitea-token", &person.forge.token(BOT)).unwrap();
    let mine = person.forge.token_with_scopes(ADMIN, &["write:repository"]).await;
    write("my-token", &mine).unwrap();
    // The reader's own addresses in place of the book's.
    let port = format!("127.0.0.1:{}", person.port);
    let file = blocks(&script, "toml").next().unwrap();
    let file = file
        .replace("https://gitea.example.com", &person.forge.url())
        .replace("https://triage.example.com", &format!("http://{port}"))
        .replace("127.0.0.1:8484", &port);
    write("gitea-triage.toml", &file).unwrap();
    let began = Instant::now();
    let commands: Vec<String> =
        blocks(&script, "sh").flat_map(str::lines).map(str::to_owned).collect();
    let (mut check, mut explained) = (String::new(), String::new());
    for line in &commands {
        let said = person.does(line).await;
        match line.as_str() {
            "gitea-triage check" => check = said,
            line if line.contains("explain") => explained = said,
            _ => {}
        }
    }
    let took = began.elapsed();
    if let Some(mut serve) = person.serve.take() {
        assert!(serve.terminate().await.success());
    }
    First { commands, check, explained, took }
}

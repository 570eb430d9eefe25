//! From nothing to the first decision with `init`, as a script uses it.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::forge::{ADMIN, BOT, Forge, REPO, Which};
use crate::person::client;
use crate::process::{Process, free_port};
use crate::wait::until;
use crate::world::recorded;

const PATIENCE: Duration = Duration::from_secs(30);
fn program(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.env_clear().current_dir(folder.path()).args(arguments);
    command
}

fn run(folder: &TempDir, arguments: &[&str]) -> String {
    let output = program(folder, arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}{complaint}");
    said
}

/// `init --yes`, `serve`, `hook install`, and the first issue is decided.
pub async fn play(which: Which) {
    let forge = Forge::start(which).await;
    let folder = tempfile::Builder::new().prefix("init-").tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    // With the boxes that `init` names.
    write("mine", &forge.token(BOT));
    write("admin", &forge.token_with_scopes(ADMIN, &["write:repository"]).await);
    let address = format!("127.0.0.1:{}", free_port());
    let (url, public) = (forge.url(), format!("http://{address}"));
    let said = run(
        &folder,
        &[
            "init",
            "--yes",
            "--url",
            &url,
            "--token-file",
            "mine",
            "--repo",
            "acme/widgets",
            "--owner",
            "alice",
            "--agent",
            "claude",
            "--preset",
            "seed",
            "--no-dry-run",
            "--listen",
            &address,
            "--public-url",
            &public,
        ],
    );
    assert!(said.contains("can be read and written") && !said.contains("red "), "{said}");
    let log = folder.path().join("log");
    let mut serve = Process::start(&mut program(&folder, &["serve"]), &log);
    let ready = format!("{public}/readyz");
    until(PATIENCE, async || match client().get(&ready).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        _ => Err(std::fs::read_to_string(&log).unwrap_or_default()),
    })
    .await;
    run(&folder, &["hook", "install", "--hook-token-file", "admin"]);
    let bob = forge.person("bob");
    let bug = bob.post(&format!("{REPO}/issues"), recorded("02-issues-opened-bug.http")).await;
    let at = format!("acme/widgets#{}", bug["number"]);
    let comments = format!("{REPO}/issues/{}/comments", bug["number"]);
    until(PATIENCE, async || match bob.get(&comments).await[0].is_object() {
        true => Ok(()),
        false => Err(std::fs::read_to_string(&log).unwrap_or_default()),
    })
    .await;
    let explained = run(&folder, &["explain", &at]);
    assert!(explained.contains("dispatch") && explained.contains("claude"), "{explained}");
    let listed = run(&folder, &["hook", "list", "--hook-token-file", "admin", "--json"]);
    let place: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(place["hooks"][0]["is_ours"], true, "{listed}");
    assert!(place["hooks"][0]["last_delivery"].is_object(), "{listed}");
    assert!(serve.terminate().await.success());
}

//! A server from the npm registry, as people use them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gitea_triage::agents::local::{LocalAgent, McpSettings, Message};
use serde_json::json;

use crate::model::{Model, call, text};
use crate::outside::{World, task};
use crate::stories::server;

const PACKAGE: &str = "@modelcontextprotocol/server-everything";
const VERSION: &str = "2026.8.31";

/// The server's program, fetched once; or why it is not there.
pub fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mcp-{VERSION}"));
    let program = folder.join("node_modules").join(PACKAGE).join("dist/index.js");
    for needed in ["node", "npm"] {
        let found = Command::new(needed).arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("install {needed} to run this"));
        }
    }
    if program.is_file() {
        return Ok(program);
    }
    let fetched = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&folder)
        .arg(format!("{PACKAGE}@{VERSION}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match fetched {
        Ok(status) if status.success() && program.is_file() => Ok(program),
        _ => Err(format!("{PACKAGE} {VERSION} could not be fetched from the npm registry")),
    }
}

pub async fn story(program: PathBuf) {
    let command = vec!["node".into(), program.display().to_string(), "stdio".into()];
    let long = json!({"duration": 20, "steps": 2});
    let model = Model::says(vec![
        call("our_tools__echo", json!({"message": "over stdio"})),
        call("our_tools__get-sum", json!({"a": 40, "b": 2})),
        call("our_tools__echo", json!({"message": 7})),
        call("our_tools__get-env", json!({})),
        text("done"),
        call("our_tools__trigger-long-running-operation", long),
        call("our_tools__echo", json!({"message": "here again"})),
        text("done"),
    ])
    .await;
    let mut settings = model.settings(&[]);
    let tools = ["echo", "get-sum", "get-env", "trigger-long-running-operation"];
    settings.mcp = vec![McpSettings { command, ..server(&tools) }];
    let agent = LocalAgent::start(settings).await.unwrap();
    assert_eq!(agent.tools().len(), tools.len());
    called(&agent).await;
    killed_in_the_middle(&agent, &program).await;
    agent.stop().await;
}

async fn called(agent: &LocalAgent) {
    let run = agent.run(&task(), &World::new()).await;
    assert_eq!(run.error, "");
    let result = |at: usize| run.tool_calls[at].result.clone();
    assert!(result(0).contains("\nEcho: over stdio\n"), "{}", result(0));
    assert!(result(1).contains("The sum of 40 and 2 is 42"), "{}", result(1));
    assert!(result(2).contains(": the tool failed and said]]"), "{}", result(2));
    let environment = &run.messages.iter().rfind(|m| m.role() == "tool").unwrap();
    assert!(environment.content().contains("\"PATH\""), "{}", environment.content());
    assert!(!environment.content().contains("CARGO"), "{}", environment.content());
}

/// Its process is killed while it works; the next call has a new one.
async fn killed_in_the_middle(agent: &LocalAgent, program: &Path) {
    let is_over = AtomicBool::new(false);
    let watch = |message: &Message| {
        is_over.fetch_or(message.role() == "tool", Ordering::SeqCst);
    };
    let world = World::new();
    let task = task();
    let run = agent.run_watched(&task, &world, &watch);
    let kill = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        tick.tick().await;
        // Nothing runs between the look and the kill, so the process of the next call is never meant.
        while !is_over.load(Ordering::SeqCst) {
            kill_children(program);
            tick.tick().await;
        }
    };
    let (run, ()) = tokio::join!(run, kill);
    let result = |at: usize| run.tool_calls[at].result.clone();
    let failed = "Error executing our_tools__trigger-long-running-operation: ";
    assert!(result(0).starts_with(failed), "{}", result(0));
    assert!(result(1).contains("Echo: here again"), "{}", result(1));
    assert_eq!(run.content, "done");
}

fn kill_children(program: &Path) {
    for pid in children(program) {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// Our own children that run this program.
fn children(program: &Path) -> Vec<u32> {
    let mine = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = processes.filter_map(|p| p.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after_name.split_whitespace();
        let (state, parent) =
            (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let line = String::from_utf8_lossy(&line);
        state != "Z" && parent == mine && line.contains(&program.display().to_string())
    };
    pids.filter(is_ours).collect()
}

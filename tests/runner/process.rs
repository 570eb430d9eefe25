//! The program itself: `gitea-triage runner` and `gitea-triage runner check`.

use std::process::{Command, Stdio};

use gitea_triage::dispatch::run::{Assignment, Refusal, RunOutcome};
use gitea_triage::runner::Settings;

use super::world::World;

fn program(world: &World, words: &[&str]) -> Command {
    let config = world.folder.path().join("runner.toml");
    std::fs::write(&config, &world.config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.arg("runner").args(words).arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn output(mut command: Command) -> (Option<i32>, String) {
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn the_program_carries_out_a_run_and_stops_when_it_is_told_to() {
    let world = World::prepare("work").await;
    world.assign(world.assignment());
    let child = program(&world, &[]).spawn().unwrap();
    world.ended_as(RunOutcome::Done).await;
    let (code, text) = output(program(&world, &[])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("another runner works in"), "{text}");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let done = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{log}");
    assert!(log.contains("a run was taken") && !log.contains(world.gitea.token()), "{log}");
}

#[tokio::test]
async fn what_a_killed_runner_left_behind_does_not_outlive_its_next_start() {
    let mut world = World::prepare("hang").await;
    world.assign(world.assignment());
    let mut child = program(&world, &[]).spawn().unwrap();
    world.logged("I am at work.").await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!world.are_gone(), "nobody else ends them");
    // As git leaves it that is killed in the middle of a fetch.
    let clone = world.folder.path().join("work/cache/acme/widgets.git");
    for lock in ["packed-refs.lock", "refs/heads/main.lock", "refs/heads/triage/x.lock"] {
        std::fs::create_dir_all(clone.join(lock).parent().unwrap()).unwrap();
        std::fs::write(clone.join(lock), "").unwrap();
    }
    world.commit_as_somebody("main", "newer.txt");
    world.config = world.config.replace("\"hang\"", "\"work\"");
    world.assign(Assignment { epoch: 2, ..world.assignment() });
    let mut child = program(&world, &[]).spawn().unwrap();
    world.ended_as(RunOutcome::Done).await;
    assert!(world.are_gone());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn half_a_clone_is_made_anew() {
    let world = World::prepare("work").await;
    let cache = world.folder.path().join("work/cache/acme");
    for half in ["widgets.git/objects", "widgets.new/refs"] {
        std::fs::create_dir_all(cache.join(half)).unwrap();
    }
    std::fs::write(cache.join("widgets.new/HEAD"), "").unwrap();
    world.assign(world.assignment());
    world.run();
    world.ended_as(RunOutcome::Done).await;
}

#[tokio::test]
async fn a_token_that_the_service_does_not_know_ends_the_program_with_2() {
    let world = World::prepare("work").await;
    world.service.script.lock().unwrap().refuse.insert("register", Refusal::Token);
    let (code, text) = output(program(&world, &[])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("as the script says"), "{text}");
}

#[tokio::test]
async fn check_says_what_is_fine_and_what_to_do_about_the_rest() {
    let mut world = World::prepare("nothing").await;
    let (code, text) = output(program(&world, &["check"])).await;
    assert_eq!(code, Some(0), "{text}");
    for expected in ["git version", "as `triage-bot`", "as `one`", "answers as scripted 0.1"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    world.config += "[[agent]]\nid = \"kimi\"\npass_env = []\n";
    world.config = world.config.replace("\"nothing\"", "\"signed-out\"");
    let mut command = program(&world, &["check"]);
    command.env("PATH", git_only(&world));
    let (code, text) = output(command).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("`kimi` is not installed; npm install"), "{text}");
    assert!(text.contains("is not signed in (Authentication required)"), "{text}");
}

#[tokio::test]
async fn check_hears_why_an_agent_cannot_work() {
    for (mode, expected, said) in [
        ("no-account", Some(1), "the agent `claude` is not signed in (Not logged in)"),
        ("account", Some(0), "answers as scripted 0.1"),
        ("old-node", Some(1), "it does not run on Node.js 20.20.2; install another one"),
    ] {
        let world = World::prepare(mode).await;
        let (code, text) = output(program(&world, &["check"])).await;
        assert_eq!(code, expected, "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn check_needs_no_more_rights_than_a_run() {
    let world = World::prepare("nothing").await;
    let token = world.gitea.token_with_scopes("triage-bot", &["write:repository", "write:issue"]);
    std::fs::write(world.folder.path().join("forge-token"), token).unwrap();
    let (code, text) = output(program(&world, &["check"])).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("a token that may not say whose it is"), "{text}");
    std::fs::write(world.folder.path().join("forge-token"), "0123456789abcdef").unwrap();
    let (code, text) = output(program(&world, &["check"])).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("`forge.token"), "{text}");
}

/// A path with nothing in it but git, whatever is installed here.
fn git_only(world: &World) -> std::path::PathBuf {
    let folder = world.folder.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|p| p.is_file());
    std::os::unix::fs::symlink(git.unwrap(), folder.join("git")).unwrap();
    folder
}

#[tokio::test]
async fn a_mistake_in_the_configuration_names_its_line() {
    let mut world = World::prepare("work").await;
    world.config = format!("plaecs = 1\n{}", world.config);
    let (code, text) = output(program(&world, &["check"])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("line 1: unknown key `plaecs`; did you mean `places`?"), "{text}");
}

#[test]
fn every_configuration_in_the_book_can_be_read() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/runner.md");
    let text = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<_> = text.split("```toml,runner\n").skip(1).collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let block = block.split("```").next().unwrap();
        let read = Settings::from_toml("the block", block);
        assert!(read.is_ok(), "{}\n{block}", read.unwrap_err());
    }
}

//! The shell blocks of the book are run, or say why not: in a folder with a configuration, beside a service and a forge in
//! memory that has twelve issues.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::service::Service;
use tempfile::TempDir;

use crate::book::{blocks, folder, pages};

/// Why a block is not run here, as it stands behind `not-run=`.
const REASONS: [&str; 7] = [
    "installs-software",
    "needs-a-container-engine",
    "needs-postgresql",
    "needs-root",
    "needs-systemd",
    "starts-a-service",
    // `cargo test --test real_gitea` does what the chapter says, on a real server.
    "told-by-real_gitea",
];
const SECRET: &str = "a-secret-of-the-book";
const PATIENCE: u32 = 300;
const STEP: Duration = Duration::from_millis(100);

struct World {
    gitea: FakeGitea,
    service: Service,
    folder: TempDir,
}

/// What stands in the folder of somebody who follows the book.
fn write_files(gitea: &FakeGitea, folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("gitea-token", gitea.token());
    write("my-token", &gitea.token_of("alice"));
    write("webhook-secret", SECRET);
    write(
        "issues.jsonl",
        "{\"number\":1,\"title\":\"[bug] It crashes\",\"body\":\"in src/db.rs\"}\n",
    );
}

impl World {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gitea = FakeGitea::start().await.unwrap();
        let repo = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        let bot = gitea.bot().login;
        gitea.add_org_owner("acme", &bot);
        for (login, permission) in
            [(bot.as_str(), "admin"), ("alice", "admin"), ("claude", "write")]
        {
            gitea.add_collaborator(&repo, login, permission);
        }
        let folder = tempfile::tempdir().unwrap();
        write_files(&gitea, folder.path());
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let listen = listener.local_addr().unwrap();
        drop(listener);
        let text = format!(
            "[gitea]\nurl = '{}'\ntoken_file = 'gitea-token'\nrepos = ['acme/widgets']\n[server]\nlisten = '{listen}'\n\
             public_url = 'http://{listen}'\n[webhook]\nsecrets = [{{ secret_file = 'webhook-secret' }}]\n\
             [store]\nurl = 'sqlite:{}'\n[triage]\nowner = 'alice'\n[summary]\nenabled = false\n",
            gitea.url(),
            folder.path().join("gitea-triage.db").display()
        );
        let file = folder.path().join("gitea-triage.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), std::iter::empty()).unwrap();
        let service = Service::start(&config, Clock::System).await.unwrap();
        gitea.set_hook(&format!("http://{listen}/webhook"), SECRET);
        for number in 1..=12 {
            let title = format!("[bug] Page {number} crashes");
            let body = format!("`show()` in src/page{number}.rs should return an error.");
            gitea.open_issue(
                &repo,
                NewIssue { title, body, author: "bob".into(), ..NewIssue::default() },
            );
        }
        let world = Self { gitea, service, folder };
        for _ in 0..PATIENCE {
            if world
                .run("gitea-triage explain acme/widgets#12", world.folder.path())
                .status
                .success()
            {
                return world;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("the last issue was not evaluated");
    }

    fn run(&self, script: &str, folder: &Path) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_gitea-triage"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", program.parent().unwrap().display());
        let mut bash = Command::new("bash");
        bash.env_clear().env("PATH", path).current_dir(folder).stdin(std::process::Stdio::null());
        bash.args(["-euo", "pipefail", "-c", script]);
        tokio::task::block_in_place(|| bash.output().unwrap())
    }

    /// Runs a block of the book, where its addresses and folders are those of this world.
    fn does(&self, block: &str) -> Output {
        let url = format!("http://{}", self.service.address());
        let backups = self.folder.path().display().to_string();
        let block = block
            .replace("https://gitea.example.com", &self.gitea.url())
            .replace("https://triage.example.com", &url)
            .replace("/var/backups", &backups);
        if !block.contains("gitea-triage init") {
            return self.run(&block, self.folder.path());
        }
        let empty = tempfile::tempdir().unwrap();
        write_files(&self.gitea, empty.path());
        std::fs::remove_file(empty.path().join("webhook-secret")).unwrap();
        self.run(&block, empty.path())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_block_of_the_book_runs_or_says_why_not() {
    let world = World::start().await;
    let (mut run, mut not_run) = (0, BTreeMap::new());
    let is_of_the_book = |path: &Path| path.starts_with(folder()) || path.ends_with("install.md");
    for (page, text) in pages().into_iter().filter(|(path, _)| is_of_the_book(path)) {
        for block in blocks(&text).into_iter().filter(|block| block.language == "sh") {
            let at = format!("{}:{}", page.display(), block.line);
            if let Some(reason) = block.not_run() {
                assert!(REASONS.contains(&reason), "{at}: `{reason}` is no reason");
                *not_run.entry(reason.to_owned()).or_insert(0) += 1;
                continue;
            }
            let output = world.does(&block.text);
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{at}: {}\n{said}{errors}", block.text);
            run += 1;
        }
    }
    println!("{run} blocks ran; not run: {not_run:?}");
    assert!(run >= 10, "{run} blocks");
    world.service.stop().await;
}

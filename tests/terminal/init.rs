//! `init` as somebody uses it who sits before a terminal: wrong answers are named and asked again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use gitea_triage::fake_gitea::FakeGitea;

use crate::screen::Screen;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gitea-triage");

fn program(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("TERM", "xterm").current_dir(folder);
    command
}

/// Waits for a question, answers it, and waits for what is said of the answer.
#[track_caller]
fn answers(screen: &mut Screen, question: &str, answer: &str, said: &[&str]) {
    screen.shows(&[question]);
    screen.clear();
    screen.types(&format!("{answer}\r"));
    screen.shows(said);
}

async fn forge() -> FakeGitea {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gitea = FakeGitea::start().await.unwrap();
    let repo = "acme/widgets".parse().unwrap();
    gitea.add_repo(&repo);
    gitea.add_user("alice");
    gitea.add_collaborator(&repo, &gitea.bot().login, "write");
    gitea
}

/// Ctrl-C, and the end of the input, write nothing.
pub fn can_be_left() {
    for key in ["\u{3}", "\u{4}"] {
        let folder = tempfile::tempdir().unwrap();
        let mut screen = Screen::start(program(folder.path()).arg("init"), 100);
        screen.shows(&["https://gitea.example.com: "]);
        screen.types(key);
        screen.shows(&["nothing was written"]);
        assert_eq!(screen.ended().code(), Some(1));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// From nothing to a configuration that is read as it is, with each answer wrong at first.
pub fn asks_until_it_works() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let gitea = runtime.block_on(forge());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let narrow = gitea
        .token_with_scopes(&gitea.bot().login, &["read:issue", "read:repository", "read:user"]);
    let mut screen = Screen::start(program(folder).arg("init"), 100);
    let s = &mut screen;
    answers(
        s,
        "https://gitea.example.com: ",
        "gitea.example.com",
        &["`gitea.url` is", "https://gitea.example.com: "],
    );
    answers(
        s,
        "https://gitea.example.com: ",
        "http://127.0.0.1:9",
        &["red", "no connection", "open the address"],
    );
    let page = format!("{}/user/settings/applications", gitea.url());
    answers(
        s,
        "https://gitea.example.com: ",
        &gitea.url(),
        &["green", &page, "issue         Read and Write"],
    );
    answers(
        s,
        "Token (is not shown): ",
        "canary-of-a-wrong-token",
        &["red", "does not know this token"],
    );
    assert!(!s.seen().contains("canary"), "{}", s.seen());
    answers(s, "Token (is not shown): ", &narrow, &["green", "it belongs to"]);
    answers(s, "acme/*: ", "acme widgets", &["`acme`"]);
    answers(s, "acme/*: ", "acme/nowhere", &["red", "is not there"]);
    answers(
        s,
        "acme/*: ",
        "acme/widgets",
        &["red", "lacks the scope `write:issue`", "make one with"],
    );
    // Not the repositories were wrong: the token is asked for once more, and they are tried again.
    answers(
        s,
        "Token (is not shown): ",
        gitea.token(),
        &["it belongs to", "can be read and written"],
    );
    assert!(!s.seen().contains(gitea.token()));
    answers(s, "the owner of the repository: ", "nobody-here", &["red", "is no account"]);
    answers(s, "the owner of the repository: ", "alice", &["green", "is an account"]);
    answers(s, "claude, kimi [none]: ", "gemini", &["`gemini` is none of claude, kimi"]);
    answers(s, "claude, kimi [none]: ", "claude", &["Policy"]);
    answers(s, "[practical]: ", "", &["(yes or no)"]);
    answers(s, "(yes or no) [yes]: ", "perhaps", &["answer `yes` or `no`"]);
    answers(s, "(yes or no) [yes]: ", "", &["listens on"]);
    answers(s, "[127.0.0.1:8484]: ", "", &["reaches the service"]);
    answers(
        s,
        "[http://127.0.0.1:8484]: ",
        "",
        &["Written", "webhook-secret", "hook install", "dry_run"],
    );
    assert!(s.ended().success(), "{}", s.seen());
    for name in ["gitea-triage.toml", "gitea-token", "webhook-secret"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let file = std::fs::read_to_string(folder.join("gitea-triage.toml")).unwrap();
    assert!(!file.contains(gitea.token()) && file.contains("dry_run = true"), "{file}");
    assert!(file.contains("owner = \"alice\"") && file.contains("login = \"\""), "{file}");
    let checked = program(folder).args(["config", "check"]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // It only asks, but for the requests that show whether the token may write and change nothing.
    let writes = gitea.writes();
    assert!(writes.iter().all(|write| write.path.ends_with("/labels")), "{writes:?}");
    assert!(gitea.labels(&"acme/widgets".parse().unwrap()).is_empty());
}

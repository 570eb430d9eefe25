//! The way of a stranger, from the archive to the first decision: a root with nothing but a shell, an archive that is
//! fetched, and a forge. `GITEA_TRIAGE_DIST` names the folder that `cargo xtask dist` filled.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use wiremock::{MockServer, ResponseTemplate, matchers};

use crate::dist::{self, Dist};
use crate::forge::{ADMIN, BOT, Forge, REPO, Which};
use crate::person::client;
use crate::process::{Process, free_port};
use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(60);
/// The goals.
const TIME: Duration = Duration::from_secs(300);
const COMMANDS: usize = 4;
/// How the root is made and entered.
const NEEDS: [(&str, &str); 2] = [
    (
        "bwrap --unshare-user --unshare-pid --ro-bind / / --proc /proc true",
        "NOT TRIED: no bubblewrap, or it can make no namespaces here",
    ),
    ("busybox wget --help", "NOT TRIED: no busybox (Debian's busybox-static)"),
];

/// Why it cannot be tried here, if it cannot.
pub fn missing() -> Option<&'static str> {
    let needed = NEEDS.iter().find(|(tried, _)| !dist::works(tried)).map(|(_, why)| *why);
    if Dist::named().is_none() { Some(dist::NEEDS_DIST) } else { needed }
}

/// Four commands, each with its time, and an issue.
pub async fn play(which: Which) {
    let archive = Dist::named().unwrap().file(".tar.gz");
    let name = archive.file_name().unwrap().to_str().unwrap();
    let server = MockServer::start().await;
    let packed = std::fs::read(&archive).unwrap();
    let fetched = wiremock::Mock::given(matchers::path(format!("/{name}")));
    fetched.respond_with(ResponseTemplate::new(200).set_body_bytes(packed)).mount(&server).await;
    let forge = Forge::start(which).await;
    let root = Root::new();
    root.write("token", &forge.token(BOT));
    root.write("admin-token", &forge.token_with_scopes(ADMIN, &["write:repository"]).await);
    let address = format!("127.0.0.1:{}", free_port());
    let program = format!("./{}/gitea-triage", name.strip_suffix(".tar.gz").unwrap());
    let commands: [String; COMMANDS] = [
        format!("wget -q -O - {}/{name} | tar xz", server.uri()),
        format!(
            "{program} init --yes --url {} --token-file token --repo acme/widgets --owner alice --agent claude \
             --no-dry-run --listen {address}",
            forge.url()
        ),
        format!("{program} serve"),
        format!("{program} hook install --hook-token-file admin-token"),
    ];
    println!("{}: {} commands", which.name(), commands.len());
    let (began, mut times) = (Instant::now(), Vec::new());
    let [fetch, init, serve, install] = &commands;
    for command in [fetch, init] {
        root.does(command, &mut times);
    }
    let log = root.0.path().join("root/log");
    let _serve = Process::start(&mut root.shell(serve), &log);
    let ready = format!("http://{address}/readyz");
    until(PATIENCE, async || match client().get(&ready).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        _ => Err(std::fs::read_to_string(&log).unwrap_or_default()),
    })
    .await;
    noted(serve, began, &mut times);
    root.does(install, &mut times);
    let alice = forge.person("alice");
    let bug = json!({
        "title": "[bug] Login crashes on an empty password",
        "body": "`src/login.rs` should refuse an empty password, and panics.\n\nExpected: the page says what is missing.",
    });
    let bug = alice.post(&format!("{REPO}/issues"), bug).await;
    let comments = format!("{REPO}/issues/{}/comments", bug["number"]);
    let comment = until(PATIENCE, async || match alice.get(&comments).await[0]["body"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(std::fs::read_to_string(&log).unwrap_or_default()),
    })
    .await;
    noted("an issue is opened, and decided", began, &mut times);
    println!("> {}", comment.lines().find(|line| line.contains("Triage")).unwrap_or(&comment));
    assert!(began.elapsed() <= TIME, "{times:?}");
    let line = format!("{program} explain acme/widgets#{}", bug["number"]);
    let explained = root.run(&line);
    let explained = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.contains("claude"), "{explained}");
}

/// Prints how long a step took.
fn noted(step: &str, began: Instant, times: &mut Vec<Duration>) {
    let took = began.elapsed() - times.iter().sum::<Duration>();
    println!("{:>8.2} s  {step}", took.as_secs_f64());
    times.push(took);
}

/// A root with a shell in it.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = tempfile::Builder::new().prefix("stranger-").tempdir().unwrap();
        for folder in ["bin", "dev", "proc", "tmp", "root"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let busybox = dist::run(root.path(), &["sh", "-c", "command -v busybox"]);
        std::fs::copy(busybox.trim(), root.path().join("bin/busybox")).unwrap();
        for name in ["sh", "wget", "tar", "gunzip"] {
            std::os::unix::fs::symlink("busybox", root.path().join("bin").join(name)).unwrap();
        }
        Self(root)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join("root").join(name), text).unwrap();
    }

    /// A line for the shell, in the root and with nothing else; the network is the machine's, for the forge is there.
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-user", "--unshare-pid", "--die-with-parent", "--clearenv"]);
        command.arg("--bind").arg(self.0.path()).args(["/", "--proc", "/proc", "--dev", "/dev"]);
        command.args(["--setenv", "PATH", "/bin", "--setenv", "HOME", "/root", "--chdir", "/root"]);
        command.args(["/bin/sh", "-c", line]);
        command
    }

    fn run(&self, line: &str) -> Output {
        let output = self.shell(line).stdin(Stdio::null()).output().unwrap();
        let [said, complaint] =
            [&output.stdout, &output.stderr].map(|t| String::from_utf8_lossy(t));
        assert!(output.status.success(), "`{line}`: {said}{complaint}");
        output
    }

    fn does(&self, line: &str, times: &mut Vec<Duration>) {
        let began = Instant::now();
        self.run(line);
        let took = began.elapsed();
        println!("{:>8.2} s  {line}", took.as_secs_f64());
        times.push(took);
    }
}

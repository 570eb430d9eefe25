//! A unique word in every secret of the configuration: it turns up nowhere, whatever is logged, stored or shown.

use std::path::Path;

use gitea_triage::fake_gitea::{Fault, FaultKind};
use reqwest::Client;

use crate::program::{SECRET, Stage, delivery, push_payload, sign};

const AGENT: &str = "canary-of-the-agent-4f1d";
const SECOND: &str = "canary-of-the-second-hook-91bc";
const ONCE: &str = "canary-of-the-old-hook-77aa";

fn stage_config() -> String {
    format!(
        "[worker]\nfuse = 1000\n[[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n\
         [[agent]]\nid = \"api\"\nendpoint = \"https://agents.example.com/work\"\nsecret = \"{AGENT}\"\n"
    )
}

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let read =
        |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(&path).unwrap());
    entries.filter(|p| p.is_file() && p.extension().is_none_or(|e| e != "toml")).map(read).collect()
}

struct Canaries(Vec<String>);

impl Canaries {
    #[track_caller]
    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        for canary in &self.0 {
            let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
            assert!(!found, "a secret is in {place}");
        }
    }
}

/// Takes the program through refusals, failures and work.
async fn live(stage: &Stage, url: &str) {
    let http = Client::new();
    let body = push_payload(1, 300);
    let forged =
        delivery(&http, url, body.clone()).header("X-Gogs-Signature", sign("wrong", &body));
    assert_eq!(forged.send().await.unwrap().status(), 401);
    let unsigned = http.post(url).body("{}").send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let broken = delivery(&http, url, b"<html>".to_vec()).send().await.unwrap();
    assert_eq!(broken.status(), 202);
    for (times, kind) in [
        (1, FaultKind::Status(401)),
        (2, FaultKind::Status(500)),
        (1, FaultKind::Html),
        (1, FaultKind::CutBody),
        (1, FaultKind::AnswerLost),
    ] {
        stage.gitea.fail(Fault { method: None, path_contains: String::new(), times, kind });
        stage.open(1);
    }
    stage.worked_off().await;
}

/// What people are shown, and what they are told about mistakes.
fn shown(stage: &Stage) -> Vec<(String, std::process::Output)> {
    let mut outputs = Vec::new();
    let mut show = |arguments: &[&str]| {
        outputs.push((arguments.join(" "), stage.run(arguments)));
    };
    show(&["config", "show"]);
    show(&["config", "show", "--json"]);
    show(&["config", "check", "--json"]);
    show(&["inbox", "list", "--json"]);
    show(&["explain", "acme/widgets#1"]);
    let mut ids = stage.database();
    let ids = ids.transaction().unwrap();
    let mut ids = ids.prepare("SELECT lower(hex(id)) FROM delivery").unwrap();
    for id in ids.query_map([], |r| r.get::<_, String>(0)).unwrap() {
        show(&["inbox", "show", &id.unwrap(), "--json"]);
    }
    outputs
}

/// Mistakes in and around the secrets themselves.
fn told(stage: &Stage) -> Vec<(String, std::process::Output)> {
    let good = std::fs::read_to_string(stage.path("config.toml")).unwrap();
    let mistakes = [
        good.replace("token = ", "tokne = "),
        good.replace(&format!("secret = \"{AGENT}\""), &format!("secret = [\"{AGENT}\"]")),
        good.replace(&format!("secret = \"{AGENT}\""), &format!("secret = \"{AGENT}")),
        good.replace(&format!("secret = \"{SECOND}\""), &format!("secrte = \"{SECOND}\"")),
        good.replace(&format!("\"{SECRET}\","), &format!("\"{SECRET}\" \"{ONCE}\",")),
    ];
    let mut outputs = Vec::new();
    for (number, text) in mistakes.iter().enumerate() {
        assert_ne!(text, &good, "mistake {number} is none");
        std::fs::write(stage.path("config.toml"), text).unwrap();
        let output = stage.run(&["config", "check"]);
        assert!(!output.status.success(), "mistake {number} was not noticed");
        outputs.push((format!("mistake {number}"), output));
        outputs.push((format!("mistake {number}"), stage.run(&["config", "check", "--json"])));
        outputs.push((format!("mistake {number}"), stage.run(&["serve"])));
    }
    outputs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_stored_written_or_shown() {
    let stage = Stage::with(&stage_config()).await;
    stage.command();
    let path = stage.path("config.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace(
        &format!("secrets = [\"{SECRET}\"]"),
        &format!(
            "secrets = [\"{SECRET}\", {{ secret = \"{SECOND}\" }}, {{ secret = \"{ONCE}\", expires = \"2020-01-01T00:00:00Z\" }}]"
        ),
    );
    std::fs::write(&path, config).unwrap();
    let program = stage.start_with(|c| {
        c.env("GITEA_TRIAGE_LOG", "trace");
    });
    live(&stage, &program.url("/webhook")).await;
    let mut canaries: Vec<String> = [SECRET, SECOND, ONCE, AGENT].map(str::to_owned).into();
    canaries.push(stage.gitea.token().to_owned());
    // What is derived from a secret is as good as the secret for one body.
    let bodies = stage.gitea.deliveries();
    canaries.extend(bodies.iter().map(|d| sign(SECRET, &d.body)));
    let canaries = Canaries(canaries);
    let log = program.log().join("\n");
    assert!(log.contains("\"TRACE\""), "nothing was traced");
    canaries.are_not_in("the log", log.as_bytes());
    for (name, bytes) in files(stage.folder.path()) {
        canaries.are_not_in(&name, &bytes);
    }
    for (_, issue) in stage.gitea.issues(&stage.repo) {
        for comment in issue.comments {
            canaries.are_not_in("a comment", comment.body.as_bytes());
        }
    }
    let outputs = shown(&stage).into_iter().chain(told(&stage));
    for (name, output) in outputs {
        canaries.are_not_in(&name, &output.stdout);
        canaries.are_not_in(&name, &output.stderr);
    }
}

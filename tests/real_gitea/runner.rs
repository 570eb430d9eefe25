//! A runner beside the service: a private repository is cloned, and a branch pushed, over HTTP with a token that may do no
//! more than the book says; a person merges the pull request, and the server closes the issue.

use std::path::Path;
use std::time::Duration;

use gitea_triage::fake_gitea::Flavour;
use serde_json::{Value, json};

use crate::actors::coder::Coder;
use crate::actors::model::STYLE;
use crate::actors::program::{Program, output};
use crate::actors::record::{Record, Timeline};
use crate::forge::{ADMIN, Forge, REPO, Which};
use crate::triage::Triage;
use crate::wait::until;
use crate::world::World;

/// The account that pushes.
const BUILDER: &str = "builder";
/// What its token may do, as `docs/src/runner.md` says.
const SCOPES: [&str; 2] = ["write:repository", "write:issue"];
/// Pushing takes a server several processes of its own.
const SOON: Duration = Duration::from_secs(60);

/// Plays it with this agent; a panic says what did not come about.
pub async fn play(which: Which, coder: Coder) {
    let folder = tempfile::Builder::new().prefix("runner-").tempdir().unwrap();
    let path = folder.path();
    let world = World::start(which, &service_settings(path)).await;
    hear_all(&world).await;
    let forge_token = begin(&world.forge).await;
    std::fs::write(path.join("forge-token"), &forge_token).unwrap();
    let settings = runner_settings(&world) + &coder.entry(path);
    std::fs::write(path.join("gitea-triage-runner.toml"), settings).unwrap();
    let (code, text) = output(path, &["runner", "check"]);
    assert_eq!(code, Some(0), "{text}");
    let mut runner = Program::start(path, &["runner"]);
    runner.says("the runner is registered").await;
    let record = record(&world.triage, path);
    for (file, how) in [("one", "with an empty cache"), ("two", "with a warm cache")] {
        let name = which.name();
        let mut timeline = Timeline::begin(&format!("{name}, {}, {how}:", coder.name()));
        let number = world.open("alice", issue(file)).await;
        let run = record.done(number, 1).await;
        assert_eq!(run.message.as_deref(), Some("I corrected the greeting."));
        if file == "two" {
            let pull = run.pull_request.unwrap();
            let of = Said { forge: &world.forge, flavour: which.flavour(), number: pull };
            check(of, "failure", &mut timeline).await;
            let again = record.done(number, 2).await;
            timeline.now("service: turn 2 is done");
            assert_eq!((again.pull_request, record.workspaces().len()), (Some(pull), 0));
            check(of, "success", &mut timeline).await;
        }
        merge(&world.forge, run.pull_request.unwrap(), &mut timeline).await;
        record.reaches(number, "completed").await;
        record.workspaces_are_gone().await;
        timeline.now("no workspace is left");
        let about = Looked { forge: &world.forge, number, branch: &run.branch, file };
        about.is_as_it_has_to_be().await;
        timeline.add_the_work(&runner, &coder);
        record.tell(number, &mut timeline);
        eprintln!("{timeline}");
    }
    world.rest().await;
    // What a check says of a head that we know leads to a look.
    let heard = record.deliveries("status");
    assert_eq!(heard.contains(&"done".to_owned()), which.flavour() == Flavour::Gitea, "{heard:?}");
    assert!(runner.stop().await.success(), "{:#?}", runner.log());
    let complaints = world.triage.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    for line in runner.log() {
        assert!(line.fields["level"] != "WARN" && line.fields["level"] != "ERROR", "{line:?}");
        assert!(!line.fields.to_string().contains(&forge_token), "{line:?}");
    }
    let mut grep = std::process::Command::new("grep");
    let found = grep.args(["-r", "-l", &forge_token, "work"]).current_dir(path).output().unwrap();
    assert!(found.stdout.is_empty(), "the token is in {}", String::from_utf8_lossy(&found.stdout));
}

/// Lets the webhook hear what `gitea-triage hook` asks for; Forgejo passes over `status`, which it does not know.
async fn hear_all(world: &World) {
    let events = [
        "issues",
        "issue_comment",
        "pull_request_only",
        "pull_request_comment",
        "pull_request_review",
        "status",
    ];
    let path = format!("{REPO}/hooks/{}", world.hook.id);
    world.forge.person(ADMIN).patch(&path, json!({"events": events})).await;
}

/// A private repository with something to mend, and the account that the runner pushes as; its token.
async fn begin(forge: &Forge) -> String {
    let admin = forge.person(ADMIN);
    // `helo`.
    for (file, content) in
        [("README.md", "YmVnaW4K"), ("src/one.txt", "aGVsbwo="), ("src/two.txt", "aGVsbwo=")]
    {
        let new = json!({"content": content, "message": format!("Add {file}")});
        admin.post(&format!("{REPO}/contents/{file}"), new).await;
    }
    admin.patch(REPO, json!({"private": true})).await;
    forge.add_account(BUILDER).await;
    forge.collaborate("widgets", BUILDER, "write").await;
    forge.token_with_scopes(BUILDER, &SCOPES).await
}

fn issue(file: &str) -> Value {
    let body = format!(
        "## Problem\n`greet()` in src/{file}.txt should say hello, not helo.\n\n- [ ] pytest passes"
    );
    json!({"title": format!("[bug] The greeting {file} is misspelled"), "body": body})
}

/// The service's part; the token goes into the runner's folder.
fn service_settings(folder: &Path) -> String {
    let (code, text) = output(folder, &["runner", "token", "one", "--agent", "opencode"]);
    assert_eq!(code, Some(0), "{text}");
    std::fs::write(folder.join("runner-token"), text.split("\n\n").nth(1).unwrap()).unwrap();
    let entry = text.split_once("[[runner]]").unwrap().1;
    format!(
        "[review]\nrequire = [\"pull_request\"]\n\
         [[agent]]\nid = \"claude\"\nenabled = false\n[[agent]]\nid = \"kimi\"\nenabled = false\n\
         [[agent]]\nid = \"opencode\"\ninterface = \"runner\"\nstrengths = [\"routine_coding\", \"code_review\"]\n\
         [[runner]]{entry}"
    )
}

fn runner_settings(world: &World) -> String {
    let server = world.triage.webhook().replace("/webhook", "");
    format!(
        "server = \"{server}\"\ntoken_file = \"runner-token\"\nwork = \"work\"\n\
         [forge]\nurl = \"{}\"\ntoken_file = \"forge-token\"\n[git]\nauthor = \"Triage Bot <bot@example.com>\"\n",
        world.forge.url(),
    )
}

fn record(triage: &Triage, folder: &Path) -> Record {
    Record { database: triage.folder().join("triage.db"), work: folder.join("work") }
}

/// The pull request that a check says something of.
#[derive(Clone, Copy)]
struct Said<'a> {
    forge: &'a Forge,
    flavour: Flavour,
    number: u64,
}

/// A check says something of the head of a pull request, as a build server does.
async fn check(said: Said<'_>, state: &str, timeline: &mut Timeline) {
    let Said { forge, flavour, number } = said;
    let alice = forge.person("alice");
    let pull = alice.get(&format!("{REPO}/pulls/{number}")).await;
    let sha = pull["head"]["sha"].as_str().unwrap();
    let description = "the greeting wants an exclamation mark";
    let status = json!({"state": state, "context": STYLE, "description": description});
    timeline.now(&format!("forge: the check `{STYLE}` says {state}"));
    alice.post(&format!("{REPO}/statuses/{sha}"), status).await;
    if flavour == Flavour::Forgejo {
        // It tells of no check: a comment, which is a command and asks for nothing, has it looked at.
        let comment = json!({"body": "/triage explain"});
        alice.post(&format!("{REPO}/issues/{number}/comments"), comment).await;
    }
}

/// As a person presses the button.
async fn merge(forge: &Forge, number: u64, timeline: &mut Timeline) {
    let alice = forge.person("alice");
    let path = format!("{REPO}/pulls/{number}");
    // Whether it can be merged is found out a moment after it was opened.
    let pull = until(SOON, async || {
        let pull = alice.get(&path).await;
        if pull["mergeable"] == true { Ok(pull) } else { Err(format!("not mergeable yet: {pull}")) }
    })
    .await;
    assert_eq!(pull["user"]["login"], BUILDER);
    let made = pull["created_at"].as_str().unwrap().parse().unwrap();
    timeline.add(made, "forge: the pull request is opened (in whole seconds)");
    timeline.now("alice merges the pull request");
    alice.post(&format!("{path}/merge"), json!({"Do": "merge"})).await;
}

/// An issue that has come to its end.
struct Looked<'a> {
    forge: &'a Forge,
    number: u64,
    branch: &'a str,
    file: &'a str,
}

impl Looked<'_> {
    async fn is_as_it_has_to_be(&self) {
        let alice = self.forge.person("alice");
        let issue = alice.get(&format!("{REPO}/issues/{}", self.number)).await;
        assert_eq!(issue["state"], "closed", "the server closes it with the merge");
        let file = alice.get(&format!("{REPO}/contents/src/{}.txt", self.file)).await;
        // `hello`, and `hello!` where a check wanted more of it.
        let expected = if self.file == "two" { "aGVsbG8hCg==" } else { "aGVsbG8K" };
        assert_eq!(file["content"], expected, "it is on the main branch");
        let commits = alice.get(&format!("{REPO}/commits?sha={}&limit=1", self.branch)).await;
        let commit = &commits[0]["commit"];
        assert_eq!(commit["author"]["name"], "Triage Bot");
        let message = commit["message"].as_str().unwrap();
        assert!(message.contains("\nCo-authored-by: "), "{message}");
        let pulls = alice.get(&format!("{REPO}/pulls?state=all")).await;
        let of_branch = pulls
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["head"]["label"] == self.branch || p["head"]["ref"] == self.branch);
        assert_eq!(of_branch.count(), 1, "{pulls}");
    }
}

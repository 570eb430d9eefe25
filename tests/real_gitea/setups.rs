//! Set-ups, whole and broken: `hook` and `check` on both servers. Tried one after the other, each mended by the cure
//! that was named, before the next is broken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::forge::{ADMIN, BOT, Forge, REPO, SECRET, Which};
use crate::relay::Relay;
use crate::triage::{Triage, set_mode};
use crate::world::recorded;

/// What a set-up has to show; a panic says that it does not.
type Claim = fn(&Setups);

pub const CLAIMS: [(&str, Claim); 15] = [
    ("a_webhook_is_installed_once_and_right", installed_once),
    ("a_webhook_that_is_mended_keeps_what_is_not_ours", mended),
    ("a_rotation_leaves_one_webhook_with_the_new_secret", rotated),
    ("an_organisations_webhook_covers_its_repositories", covered),
    ("a_proof_leaves_the_issue_as_it_was", |s| {
        assert_eq!(s.said["issue"], s.said["issue after its proof"]);
    }),
    ("check_is_green_where_all_is_well", |s| assert_eq!(s.complaints("well"), [""; 0])),
    ("check_names_a_wrong_token", |s| s.names("token", "token", "does not know this token")),
    ("check_names_a_missing_scope", |s| {
        s.names("scope", "repository", "lacks the scope `write:issue`");
    }),
    ("check_names_an_archived_repository", |s| s.names("archived", "repository", "is archived")),
    ("check_names_a_missing_account", |s| {
        s.names("account", "agent", "there is no account `nobody-here`");
    }),
    ("check_names_a_receiver_that_may_not_be_reached", |s| {
        s.names("loopback", "allowed hosts", "[webhook]\nALLOWED_HOST_LIST = external,loopback");
    }),
    ("check_names_a_webhook_that_is_switched_off_or_signs_wrong", |s| {
        s.names("inactive", "webhook", "it is switched off");
        s.names("secret", "delivery", "was refused: signature_mismatch");
    }),
    ("check_names_two_webhooks", |s| s.names("two", "webhook", "send the same events")),
    ("check_names_a_clock_that_is_off", |s| s.names("clock", "clock", "ahead of the forge")),
    ("check_names_a_store_that_cannot_be_written", |s| {
        s.names("store", "store", "let that user write");
    }),
];

/// What was seen, by set-up.
pub struct Setups {
    checks: BTreeMap<&'static str, Vec<Value>>,
    hooks: BTreeMap<&'static str, Vec<Value>>,
    said: BTreeMap<&'static str, Vec<Value>>,
}

impl Setups {
    fn complaints(&self, setup: &str) -> Vec<&str> {
        let bad = self.checks[setup].iter().filter(|line| line["level"] != "green");
        bad.map(|line| line["check"].as_str().unwrap()).collect()
    }

    /// The line is not green and holds these words.
    fn names(&self, setup: &str, check: &str, words: &str) {
        let lines = &self.checks[setup];
        let line = lines.iter().find(|l| l["check"] == check && l["level"] != "green");
        let line = line.unwrap_or_else(|| panic!("`{check}` is not named in {lines:#?}"));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        assert!((text("said") + &text("cure")).contains(words), "`{words}` is not in {line:#}");
        assert!(!text("cure").is_empty(), "{line:#}");
    }
}

fn installed_once(setups: &Setups) {
    assert_eq!(setups.said["install"][0]["status"], "installed");
    assert_eq!(setups.said["again"][0]["status"], "unchanged");
    assert_eq!(setups.said["test"][0]["result"], "arrived");
    let hooks = &setups.hooks["install"];
    assert_eq!(hooks.len(), 1);
    assert_eq!((&hooks[0]["active"], &hooks[0]["type"]), (&json!(true), &json!("gitea")));
    assert_eq!(hooks[0]["config"]["content_type"], "json");
    let family = [
        "issue_assign",
        "issue_comment",
        "issue_label",
        "issue_milestone",
        "issues",
        "pull_request",
        "pull_request_comment",
        "pull_request_review",
    ];
    assert_eq!(events(&hooks[0]), family);
}

fn mended(setups: &Setups) {
    let hook = &setups.hooks["mended"][0];
    assert_eq!(hook["active"], true);
    assert_eq!(hook["branch_filter"], "release/*");
    assert_eq!(hook["authorization_header"], "Bearer proxy");
    let all = [
        "issue_assign",
        "issue_comment",
        "issue_label",
        "issue_milestone",
        "issues",
        "pull_request",
        "pull_request_comment",
        "pull_request_review",
        "push",
    ];
    assert_eq!(events(hook), all);
}

fn rotated(setups: &Setups) {
    let (before, after) = (&setups.hooks["two"], &setups.hooks["rotated"]);
    assert_eq!((before.len(), after.len()), (2, 1));
    assert!(before.iter().all(|hook| hook["id"] != after[0]["id"]));
    assert_eq!(setups.said["test after rotation"][0]["result"], "arrived");
}

fn covered(setups: &Setups) {
    assert_eq!(setups.said["org"][0]["status"], "installed");
    assert_eq!(setups.said["org test"][0]["result"], "arrived");
    assert_eq!(setups.said["covered"][0]["status"], "covered");
    assert_eq!(setups.hooks["covered"], [Value::Null; 0]);
}

/// What a webhook hears, where the kinds of a review are one. `status` is left out: not every server knows it.
fn events(hook: &Value) -> Vec<&str> {
    let kinds = hook["events"].as_array().unwrap().iter().map(|e| e.as_str().unwrap());
    let review = "pull_request_review";
    let of_review = ["approved", "rejected", "comment"].map(|kind| format!("{review}_{kind}"));
    let one = |kind| if of_review.iter().any(|other| other == kind) { review } else { kind };
    let events: BTreeSet<_> = kinds.filter(|kind| *kind != "status").map(one).collect();
    events.into_iter().collect()
}

/// A server, a running program beside it, and what has been seen of them.
struct Stage {
    forge: Forge,
    triage: Triage,
    seen: Setups,
}

const NOTHING: &[(&str, &str)] = &[];

impl Stage {
    /// An issue is there, and the token of somebody who may manage webhooks in the file `admin`.
    async fn new(forge: Forge) -> Self {
        let issue = recorded("05-issues-opened-philosophy.http");
        forge.person("alice").post(&format!("{REPO}/issues"), issue).await;
        let triage = Triage::start(&forge, "").await;
        triage.write("admin", &forge.token(ADMIN));
        let seen =
            Setups { checks: BTreeMap::new(), hooks: BTreeMap::new(), said: BTreeMap::new() };
        Self { forge, triage, seen }
    }

    fn hook(&mut self, name: &'static str, arguments: &[&str]) {
        let all = [&["hook"], arguments, &["--json"]].concat();
        let all = if arguments[0] == "test" {
            all
        } else {
            [&all[..], &["--hook-token-file", "admin"]].concat()
        };
        let (code, said) = self.triage.attempt(&all, NOTHING);
        assert_eq!(code, 0, "{all:?}: {said}");
        self.seen.said.insert(name, lines(&said));
    }

    fn check(&mut self, name: &'static str, changes: &[(&str, &str)]) {
        let (_, said) = self.triage.attempt(&CHECK, changes);
        self.seen.checks.insert(name, lines(&said));
    }

    /// Remembers the webhooks as they are now.
    async fn look(&mut self, name: &'static str) {
        let hooks = self.forge.person(ADMIN).get(&format!("{REPO}/hooks")).await;
        self.seen.hooks.insert(name, hooks.as_array().unwrap().clone());
    }

    /// Remembers the issue and its timeline as they are now.
    async fn look_at_issue(&mut self, name: &'static str) {
        let (alice, issue) = (self.forge.person("alice"), format!("{REPO}/issues/1"));
        let seen = vec![alice.get(&issue).await, alice.get(&format!("{issue}/timeline")).await];
        self.seen.said.insert(name, seen);
    }

    async fn make_hook(&self, secret: &str, more: &Value) -> String {
        let mut hook = json!({
            "type": "gitea", "active": true,
            "events": ["issues", "pull_request_only", "pull_request_comment", "pull_request_review"],
            "config": {"url": self.triage.webhook(), "content_type": "json", "secret": secret},
        });
        for (key, value) in more.as_object().unwrap() {
            hook[key] = value.clone();
        }
        let made = self.forge.person(ADMIN).post(&format!("{REPO}/hooks"), hook).await;
        format!("{REPO}/hooks/{}", made["id"])
    }
}

const CHECK: [&str; 6] = ["check", "--json", "--patience", "5s", "--hook-token-file", "admin"];

fn lines(said: &str) -> Vec<Value> {
    let json = said.lines().filter(|line| line.starts_with('{'));
    json.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Tries everything, from the first to the last set-up.
pub async fn play(which: Which) -> Setups {
    let mut stage = Stage::new(Forge::start(which).await).await;
    stage.hook("install", &["install"]);
    stage.hook("again", &["install", "acme/widgets"]);
    stage.look("install").await;
    stage.look_at_issue("issue").await;
    stage.hook("test", &["test"]);
    stage.look_at_issue("issue after its proof").await;
    stage.check("well", NOTHING);
    whose_token(&mut stage).await;
    who_and_where(&mut stage).await;
    clock_and_store(&mut stage).await;
    webhooks(&mut stage).await;
    organisation(&mut stage).await;
    let Stage { triage, mut seen, .. } = stage;
    triage.stop().await;
    let mut refusing = Stage::new(Forge::start_refusing(which).await).await;
    refusing.hook("refused", &["install"]);
    refusing.check("loopback", NOTHING);
    seen.checks.append(&mut refusing.seen.checks);
    refusing.triage.stop().await;
    seen
}

async fn whose_token(stage: &mut Stage) {
    stage.triage.write("wrong", "0123456789012345678901234567890123456789");
    stage.check("token", &[("token_file = \"token\"", "token_file = \"wrong\"")]);
    let scopes = ["read:issue", "read:repository", "read:user", "read:organization"];
    let narrow = stage.forge.token_with_scopes(BOT, &scopes).await;
    stage.triage.write("narrow", &narrow);
    stage.check("scope", &[("token_file = \"token\"", "token_file = \"narrow\"")]);
}

async fn who_and_where(stage: &mut Stage) {
    let agent = "enabled = false\n[[agent]]\nid = \"claude\"\nlogin = \"nobody-here\"\n";
    stage.check("account", &[("enabled = false\n", agent)]);
    let admin = stage.forge.person(ADMIN);
    stage.set_archived(&admin, true).await;
    stage.check("archived", NOTHING);
    stage.set_archived(&admin, false).await;
}

impl Stage {
    async fn set_archived(&self, admin: &crate::person::Person, archived: bool) {
        match &self.forge {
            Forge::Real(_) => {
                admin.patch(REPO, json!({"archived": archived})).await;
            }
            Forge::Fake(gitea) => gitea.set_archived(&"acme/widgets".parse().unwrap(), archived),
        }
    }
}

async fn clock_and_store(stage: &mut Stage) {
    let (url, relay) = (stage.forge.url(), Relay::start(&stage.forge.url()).await);
    let patience = ["check", "--json", "--no-delivery"];
    let (_, said) = stage.triage.attempt(&patience, &[(&url, relay.url())]);
    stage.seen.checks.insert("clock", lines(&said));
    let folder = stage.triage.folder().to_owned();
    let files = || std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    files().for_each(|file| set_mode(&file, 0o444));
    set_mode(&folder, 0o555);
    let (_, said) = stage.triage.attempt_as(nobody(), &CHECK, NOTHING);
    set_mode(&folder, 0o755);
    files().for_each(|file| set_mode(&file, 0o644));
    stage.seen.checks.insert("store", lines(&said));
}

/// Somebody else when we are root, who may write whatever stands in the way.
fn nobody() -> Option<u32> {
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    is_root.then_some(65_534)
}

async fn webhooks(stage: &mut Stage) {
    let admin = stage.forge.person(ADMIN);
    let ours = format!("{REPO}/hooks/{}", stage.seen.hooks["install"][0]["id"]);
    admin.patch(&ours, json!({"active": false, "events": ["issues"]})).await;
    stage.check("inactive", NOTHING);
    stage.hook("mend", &["install"]);
    admin.delete(&ours).await;
    let wrong = stage.make_hook("of-another-service", &json!({})).await;
    stage.check("secret", NOTHING);
    admin.delete(&wrong).await;
    stage.make_hook(SECRET, &json!({})).await;
    stage.make_hook(SECRET, &json!({})).await;
    stage.look("two").await;
    stage.check("two", NOTHING);
    stage.hook("rotate", &["rotate"]);
    stage.look("rotated").await;
    stage.hook("test after rotation", &["test"]);
    stage.hook("remove", &["remove"]);
    let more = json!({
        "active": false, "events": ["issues_only", "pull_request_only", "push"],
        "branch_filter": "release/*", "authorization_header": "Bearer proxy",
    });
    stage.make_hook(SECRET, &more).await;
    stage.hook("sync", &["sync"]);
    stage.look("mended").await;
    stage.hook("remove", &["remove"]);
}

async fn organisation(stage: &mut Stage) {
    stage.hook("org", &["install", "--org", "acme"]);
    stage.hook("org test", &["test", "--org", "acme"]);
    stage.hook("covered", &["install"]);
    stage.look("covered").await;
    stage.hook("org removed", &["remove", "--org", "acme"]);
}

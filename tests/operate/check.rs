//! `check`: green where all is well, and each broken set-up named with its cure.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use gitea_triage::clock::Clock;
use gitea_triage::gitea::Server;
use serde_json::{Value, json};

use crate::stage::{OWNER, Ran, Stage, ran, repo};

const REPO: &str = "/repos/acme/widgets";
const CHECK: [&str; 4] = ["check", "--json", "--patience", "20s"];
/// The same where what is waited for does not come.
const IMPATIENT: [&str; 4] = ["check", "--json", "--patience", "2s"];

/// A stage on which everything is as it should be.
async fn well() -> Stage {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.issue();
    stage.run(&["hook", "install"]).ended(0);
    stage
}

fn of<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    lines.iter().find(|l| l["check"] == check).unwrap_or_else(|| panic!("no `{check}`: {lines:#?}"))
}

/// The one thing that is not green is this, said so, with this cure.
#[track_caller]
fn is_named(ran: Ran, level: &str, check: &str, (said, cure): (&str, &str)) -> Vec<Value> {
    let lines = ran.ended(i32::from(level == "red")).json();
    let line = of(&lines, check);
    assert_eq!(line["level"], level, "{lines:#?}");
    let words = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    assert!(words("said").contains(said), "`{said}` is not in {line:#}");
    assert!(words("cure").contains(cure), "`{cure}` is not in {line:#}");
    lines
}

/// Every line that is not green, by its kind.
fn complaints(lines: &[Value]) -> Vec<&str> {
    let bad = lines.iter().filter(|line| line["level"] != "green");
    bad.map(|line| line["check"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_works_is_green_and_is_left_as_it_is() {
    let stage = well().await;
    let before = stage.gitea.issues(&repo());
    let lines = stage.run(&CHECK).ended(0).json();
    assert_eq!(complaints(&lines), [""; 0], "{lines:#?}");
    let kinds: Vec<&str> = lines.iter().map(|l| l["check"].as_str().unwrap()).collect();
    let expected = [
        "configuration",
        "secrets",
        "store",
        "disk",
        "service",
        "address",
        "gitea",
        "clock",
        "token",
        "owner",
        "repository",
        "commands",
        "labels",
        "agent",
        "delivery",
        "webhook",
        "allowed hosts",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(stage.gitea.issues(&repo()), before);
    assert!(stage.gitea.labels(&repo()).is_empty());
    let text = stage.run(&["check"]).ended(0).out;
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    assert!(text.lines().all(|line| line.starts_with("green ")), "{text}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_checked_by_reading_alone() {
    let stage = well().await;
    stage.configure(&[("dry_run = false", "dry_run = true")]);
    stage.gitea.clear_requests();
    let lines = stage.run(&IMPATIENT).ended(0).json();
    assert_eq!(complaints(&lines), ["configuration", "delivery", "allowed hosts"], "{lines:#?}");
    assert_eq!(stage.gitea.writes(), []);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_named() {
    let stage = well().await;
    stage.configure(&[(stage.gitea.token(), "0123456789012345678901234567890123456789")]);
    let words = ("does not know this token", "`write:issue`, `read:repository`, `read:user`");
    is_named(stage.run(&CHECK), "red", "token", words);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_named() {
    let stage = well().await;
    let bot = stage.gitea.bot().login;
    let all = ["write:issue", "read:repository", "read:user"];
    for (missing, check) in [(0, "repository"), (1, "repository"), (2, "token")] {
        let mut scopes = all.to_vec();
        let scope = scopes.remove(missing);
        if scope == "write:issue" {
            scopes.push("read:issue");
        }
        let token = stage.gitea.token_with_scopes(&bot, &scopes);
        stage.configure(&[(stage.gitea.token(), &token)]);
        is_named(stage.run(&CHECK), "red", check, (&format!("lacks the scope `{scope}`"), scope));
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_write_is_named() {
    let stage = well().await;
    stage.gitea.remove_collaborator(&repo(), &stage.gitea.bot().login);
    let words = ("may not write here", "make `triage-bot` a collaborator that may write");
    is_named(stage.run(&CHECK), "red", "repository", words);
    stage.gitea.set_private(&repo(), true);
    let words = ("is not there, or `triage-bot` may not see it", "in `gitea.repos`");
    is_named(stage.run(&CHECK), "red", "repository", words);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_hides_who_may_command_is_named_and_so_is_each_cure() {
    let stage = well().await;
    let bot = stage.gitea.bot().login;
    stage.gitea.add_collaborator(&repo(), &bot, "write");
    stage.gitea.add_team(&repo(), "readers", &[("pulls", "read"), ("issues", "read")]);
    let words =
        ("`readers`", "make our account an administrator of the repository, or name logins");
    is_named(stage.run(&CHECK), "yellow", "commands", words);
    stage.gitea.add_collaborator(&repo(), &bot, "admin");
    let lines = stage.run(&CHECK).json();
    assert!(!complaints(&lines).contains(&"commands"), "{lines:#?}");
    stage.gitea.add_team(&repo(), "triagers", &[("issues", "write")]);
    let words = ("`readers`", "make our account an owner of the organisation, or name logins");
    is_named(stage.run(&CHECK), "yellow", "commands", words);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_repository_is_named() {
    let stage = well().await;
    stage.gitea.set_archived(&repo(), true);
    let words = ("is archived", "unarchive it, or take it out of `gitea.repos`");
    is_named(stage.run(&CHECK), "red", "repository", words);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_account_is_named() {
    let stage = well().await;
    stage.gitea.remove_user("claude");
    let words = ("there is no account `claude`", "`id = \"claude\"` and `login = \"\"`");
    let lines = is_named(stage.run(&CHECK), "red", "agent", words);
    assert_eq!(complaints(&lines), ["agent"]);
    // The cure cures.
    let with = "[sweep]\nat_start = false\n[[agent]]\nid = 'claude'\nlogin = ''\n";
    stage.configure(&[("[sweep]\nat_start = false\n", with)]);
    stage.run(&CHECK).ended(0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_gitea_may_not_reach_is_named_with_the_lines_for_its_version() {
    let stage = well().await;
    stage.gitea.set_reaches_loopback(false);
    let words = (
        "does not deliver there unless told to",
        "[webhook]\nALLOWED_HOST_LIST = external,loopback",
    );
    let lines = is_named(stage.run(&IMPATIENT), "red", "allowed hosts", words);
    assert_eq!(complaints(&lines), ["delivery", "allowed hosts"]);
    let new = Server { version: "1.27.1".into(), at: None };
    assert!(new.allowed_hosts("loopback").starts_with("[security]\n"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_switched_off_is_named() {
    let stage = well().await;
    let id = stage.hooks().await[0]["id"].clone();
    stage
        .api("PATCH", &format!("{REPO}/hooks/{id}"), json!({"active": false, "events": ["issues"]}))
        .await;
    let words = ("it is switched off", "`gitea-triage hook install acme/widgets`");
    is_named(stage.run(&IMPATIENT), "red", "webhook", words);
    // The cure cures.
    stage.run(&["hook", "install", "acme/widgets"]).ended(0);
    stage.run(&CHECK).ended(0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_another_secret_is_named() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.issue();
    stage.hook_by_hand(REPO, &[("/config/secret", json!("of-another-service"))]).await;
    let words = ("was refused: signature_mismatch", "`gitea-triage hook rotate acme/widgets`");
    let lines = is_named(stage.run(&IMPATIENT), "red", "delivery", words);
    assert_eq!(complaints(&lines), ["delivery"]);
    stage.run(&["hook", "rotate", "acme/widgets"]).ended(0);
    stage.run(&CHECK).ended(0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_webhooks_are_named() {
    let stage = well().await;
    let twin = stage.hook_by_hand(REPO, &[]).await;
    let said = format!("hook {twin} of acme/widgets send the same events");
    let words = (said.as_str(), "`gitea-triage hook rotate acme/widgets` leaves one");
    let lines = is_named(stage.run(&CHECK), "yellow", "webhook", words);
    assert_eq!(complaints(&lines), ["webhook"]);
    stage.run(&["hook", "rotate", "acme/widgets"]).ended(0);
    assert_eq!(complaints(&stage.run(&CHECK).ended(0).json()), [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_named() {
    for (seconds, level) in [(3_600, "red"), (-3_600, "red"), (20, "yellow")] {
        let stage = Stage::at(Clock::manual(Utc::now() + TimeDelta::seconds(seconds))).await;
        let which = if seconds > 0 { "behind the forge" } else { "ahead of the forge" };
        let lines = stage.run(&IMPATIENT).json();
        let clock = of(&lines, "clock");
        assert_eq!(clock["level"], level, "{lines:#?}");
        assert!(clock["said"].as_str().unwrap().contains(which), "{clock}");
        assert!(clock["cure"].as_str().unwrap().contains("NTP"), "{clock}");
    }
}

/// Runs the program as somebody who is not root, since root may write whatever stands in the way.
fn run_as_nobody(stage: &Stage, arguments: &[&str]) -> Ran {
    let mut command = stage.program(arguments);
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if is_root {
        command.uid(65_534);
    }
    ran(command.output().unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_is_named() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    let folder = stage.folder.path().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        set_mode(&file.unwrap().path(), 0o444);
    }
    set_mode(&folder, 0o555);
    let ran = run_as_nobody(&stage, &IMPATIENT);
    set_mode(&folder, 0o755);
    let cure = format!("let that user write `{}`", folder.display());
    is_named(ran, "red", "store", ("cannot be used", &cure));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_is_named_in_its_order() {
    let stage = Stage::new().await;
    let words = ("does not answer", "start `gitea-triage serve`");
    let lines = is_named(stage.run(&IMPATIENT), "red", "service", words);
    assert!(of(&lines, "store")["said"].as_str().unwrap().contains("`serve` makes it"));
    let words = ("is missing", "`gitea-triage hook install acme/widgets`");
    is_named(stage.run(&IMPATIENT), "red", "webhook", words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_another_configuration_is_named() {
    let stage = well().await;
    stage.configure(&[("a-secret-of-the-operator", "one-that-it-has-not-read")]);
    let words = ("does not know a secret", "systemctl reload gitea-triage");
    is_named(stage.run(&IMPATIENT), "red", "address", words);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_may_not_be_seen_are_proven_by_a_delivery() {
    let stage = well().await;
    stage.gitea.add_collaborator(&repo(), &stage.gitea.bot().login, "write");
    let lines = stage.run(&CHECK).ended(0).json();
    assert_eq!(complaints(&lines), [""; 0], "{lines:#?}");
    assert!(of(&lines, "webhook")["said"].as_str().unwrap().contains("a delivery proves it"));
    std::fs::write(stage.folder.path().join("owner"), stage.gitea.token_of(OWNER)).unwrap();
    let more = [&CHECK[..], &["--hook-token-file", "owner"]].concat();
    let lines = stage.run(&more).ended(0).json();
    assert!(of(&lines, "webhook")["said"].as_str().unwrap().contains("is as it has to be"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_fits_nothing_is_red() {
    let stage = well().await;
    stage.configure(&[("'acme/widgets'", "'acme/widgets', 'acme/no-such-*'")]);
    let words = ("fits no repository", "correct it in `gitea.repos`");
    let lines = is_named(stage.run(&CHECK), "red", "pattern", words);
    assert_eq!(of(&lines, "pattern")["about"], "acme/no-such-*");
    stage.configure(&[("'acme/widgets'", "'acme/wid*'")]);
    let lines = stage.run(&CHECK).ended(0).json();
    assert_eq!(of(&lines, "pattern")["level"], "green");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whom_no_mention_reaches_is_named() {
    let stage = well().await;
    stage.gitea.add_org_owner("gears", OWNER);
    stage.configure(&[("owner = 'alice'", "owner = 'gears'")]);
    let words = ("nobody hears of a flag", "name a person as `triage.owner`");
    is_named(stage.run(&CHECK), "red", "owner", words);
    // Of the organisation that owns the repository, the team of its owners is called, left out or not.
    for owner in ["owner = 'acme'", ""] {
        stage.configure(&[("owner = 'alice'", owner)]);
        let words = ("the team of its owners is called instead", words.1);
        let lines = is_named(stage.run(&CHECK), "yellow", "owner", words);
        assert_eq!(of(&lines, "owner")["about"], "acme");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_asks_the_service_is_no_refused_delivery() {
    let stage = well().await;
    stage.run(&CHECK).ended(0);
    let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", stage.port)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let refused = metrics
        .lines()
        .filter(|line| line.starts_with("gitea_triage_deliveries_total") && !line.ends_with(" 0"));
    for line in refused {
        let is_fine = ["accepted", "duplicate", "probe"].iter().any(|name| line.contains(name));
        assert!(is_fine, "{line}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_in_this_process_reaches_is_said() {
    let stage = Stage::new().await;
    let runner = stage.folder.path().join("runner.toml");
    let agent = |more: &str| {
        let text = format!(
            "token_file = 'a'\n[forge]\nurl = 'https://gitea.example.com'\ntoken_file = 'b'\n\
             [[agent]]\nid = 'claude'\ncommand = ['true']\n{more}"
        );
        std::fs::write(&runner, text).unwrap();
    };
    let configure = |authors: &str| {
        let runs = format!(
            "[[agent]]\nid = 'claude'\ninterface = 'runner'\nlabel = ''\nlogin = ''\n\
             [[runner]]\nname = 'one'\ntoken_sha256 = '{}'\nagents = ['claude']\n[runs]\nembedded = '{}'\n[summary]",
            "0".repeat(64),
            runner.display()
        );
        let triage = format!("dry_run = false\nauthors = '{authors}'");
        stage.configure(&[("dry_run = false", &triage), ("[summary]", &runs)]);
    };
    let line = || of(&stage.run(&IMPATIENT).json(), "runner").clone();
    agent("");
    configure("anyone");
    let red = line();
    assert_eq!(red["level"], "red", "{red:#}");
    assert!(red["said"].as_str().unwrap().contains("anybody's issue"), "{red:#}");
    assert!(red["cure"].as_str().unwrap().contains("bubblewrap"), "{red:#}");
    configure("approved");
    assert_eq!(line()["level"], "yellow");
    agent("sandbox = 'bubblewrap'\n");
    configure("anyone");
    assert_eq!(line()["level"], "green");
}

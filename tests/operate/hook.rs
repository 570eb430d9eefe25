//! `hook`: found again by its URL, never twice, never wider than it was, and proven by a delivery.

use gitea_triage::fake_gitea::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::stage::{OWNER, SECRET, Stage, repo};

const REPO: &str = "/repos/acme/widgets";
const ORG: &str = "/orgs/acme";
const FAMILY: [&str; 9] = [
    "issue_assign",
    "issue_comment",
    "issue_label",
    "issue_milestone",
    "issues",
    "pull_request",
    "pull_request_comment",
    "pull_request_review",
    "status",
];

fn events(hook: &Value) -> Vec<&str> {
    let mut events: Vec<&str> =
        hook["events"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    events.sort_unstable();
    events
}

fn statuses(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["status"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_webhook_is_right_and_is_installed_once() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.issue();
    let first = stage.run(&["hook", "install", "--json"]).ended(0).json();
    assert_eq!(statuses(&first), ["installed"]);
    for _ in 0..2 {
        let again = stage.run(&["hook", "install", "acme/widgets", "--json"]).ended(0).json();
        assert_eq!(statuses(&again), ["unchanged"]);
        assert_eq!(again[0]["hook"], first[0]["hook"]);
    }
    let hooks = stage.hooks().await;
    assert_eq!(hooks.len(), 1);
    assert_eq!(events(&hooks[0]), FAMILY);
    assert_eq!(hooks[0]["active"], true);
    assert_eq!(hooks[0]["config"]["content_type"], "json");
    let url = format!("http://127.0.0.1:{}/webhook", stage.port);
    assert_eq!(hooks[0]["config"]["url"], url);
    // Only a delivery tells whether the secret is right.
    let proven = stage.run(&["hook", "test", "--json"]).ended(0).json();
    assert_eq!(proven[0]["result"], "arrived");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing_but_gets() {
    let stage = Stage::new().await;
    let old = stage.hook_by_hand(REPO, &[("/active", json!(false))]).await;
    for verb in ["install", "sync", "remove"] {
        let lines = stage.run(&["hook", verb, "--dry-run", "--json"]).ended(0).json();
        assert_eq!(
            (&lines[0]["dry_run"], &lines[0]["hook"]),
            (&json!(true), &json!(old)),
            "{verb}"
        );
    }
    stage.configure(&[("dry_run = false", "dry_run = true")]);
    let held = stage.run(&["hook", "install"]).ended(1);
    assert!(held.err.contains("`triage.dry_run` is on"), "{held:?}");
    assert!(held.out.contains("to be updated"), "{held:?}");
    let bot = stage.gitea.bot().login;
    assert!(stage.gitea.writes().iter().all(|write| write.by != bot));
    assert_eq!(stage.hooks().await[0]["active"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_set_is_neither_reset_nor_widened() {
    let stage = Stage::new().await;
    stage
        .hook_by_hand(
            REPO,
            &[
                ("/active", json!(false)),
                ("/events", json!(["issues_only", "pull_request_only", "push"])),
                ("/branch_filter", json!("release/*")),
                ("/authorization_header", json!("Bearer proxy")),
            ],
        )
        .await;
    let other =
        [("/config/url", json!("https://ci.example.com/webhook")), ("/active", json!(false))];
    stage.hook_by_hand(REPO, &other).await;
    let before = stage.hooks().await;
    let lines = stage.run(&["hook", "sync", "--json"]).ended(0).json();
    assert_eq!(statuses(&lines), ["updated"]);
    let after = stage.hooks().await;
    let mut expected = [&FAMILY[..], &["push"]].concat();
    expected.sort_unstable();
    assert_eq!(events(&after[0]), expected);
    assert_eq!(after[0]["active"], true);
    assert_eq!(after[0]["branch_filter"], "release/*");
    assert_eq!(after[0]["authorization_header"], "Bearer proxy");
    assert_eq!(after[1], before[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisations_webhook_is_enough_and_two_are_reported() {
    let stage = Stage::new().await;
    stage.gitea.add_org_owner("acme", &stage.gitea.bot().login);
    let lines = stage.run(&["hook", "install", "--org", "acme", "--json"]).ended(0).json();
    let org = lines[0]["hook"].clone();
    let covered = stage.run(&["hook", "install", "--json"]).ended(0).json();
    assert_eq!((statuses(&covered), &covered[0]["hook"]), (vec!["covered"], &org));
    assert!(stage.hooks().await.is_empty());
    let own = stage.hook_by_hand(REPO, &[]).await;
    let twin = stage.hook_by_hand(REPO, &[]).await;
    let listed = stage.run(&["hook", "list", "--json"]).ended(0).json();
    let overlaps = json!([{"place": "acme/widgets", "hook": twin}, {"place": "acme", "hook": org}]);
    assert_eq!((&listed[0]["hook"], &listed[0]["overlaps"]), (&json!(own), &overlaps));
    let text = stage.run(&["hook", "list"]).ended(0).out;
    assert!(text.contains("every event arrives more than once"), "{text}");
    assert!(text.contains("`gitea-triage hook rotate acme/widgets` leaves one"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_can_be_interrupted_anywhere_and_repeated() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.issue();
    stage.run(&["hook", "install"]).ended(0);
    let old = stage.hooks().await[0]["id"].clone();
    let both = format!(
        "secrets = ['the-new-one', {{ secret = '{SECRET}', expires = '2099-01-01T00:00:00Z' }}]"
    );
    stage.configure(&[(&format!("secrets = ['{SECRET}']"), &both)]);
    // The service has not read it yet, and would refuse what the new webhook sends.
    let refused = stage.run(&["hook", "rotate"]).ended(1);
    assert!(refused.err.contains("does not know the first entry"), "{refused:?}");
    assert_eq!(stage.hooks().await[0]["id"], old);
    stage.reload();
    let lost = FaultKind::Status(500);
    let fault = Fault {
        method: Some("DELETE".into()),
        path_contains: "/hooks/".into(),
        times: 1,
        kind: lost,
    };
    stage.gitea.fail(fault);
    stage.run(&["hook", "rotate"]).ended(1);
    assert_eq!(stage.hooks().await.len(), 2, "the old one stays until it can go");
    stage.run(&["hook", "test"]).ended(0);
    let rotated = stage.run(&["hook", "rotate", "--json"]).ended(0).json();
    assert_eq!(statuses(&rotated), ["rotated"]);
    let hooks = stage.hooks().await;
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0]["id"], rotated[0]["hook"]);
    assert_eq!(events(&hooks[0]), FAMILY);
    // It signs with the new one alone: the old one may go now.
    stage.configure(&[(SECRET, "the-new-one")]);
    stage.reload();
    stage.run(&["hook", "test"]).ended(0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_names_the_obstacle() {
    let mut stage = Stage::new().await;
    let nobody = stage.run(&["hook", "test"]).ended(1);
    assert!(nobody.err.contains("there is no store"), "{nobody:?}");
    stage.serve().await;
    let empty = stage.run(&["hook", "test", "--json"]).ended(1).json();
    assert_eq!(empty[0]["result"], "no_issue");
    stage.issue();
    let wrong = [("/config/secret", json!("of-another-service"))];
    let wrong = stage.hook_by_hand(REPO, &wrong).await;
    let tested = stage.run(&["hook", "test", "--json"]).ended(1).json();
    assert_eq!(tested[0]["result"], "refused: signature_mismatch");
    assert!(
        tested[0]["advice"].as_str().unwrap().contains("hook rotate acme/widgets"),
        "{tested:?}"
    );
    let repaired = stage.run(&["hook", "rotate", "acme/widgets"]).ended(0);
    assert!(repaired.out.contains(&format!("takes the place of hook {wrong}")), "{repaired:?}");
    stage.run(&["hook", "test"]).ended(0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_changes_nothing_and_causes_no_decision() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    let issue = stage.issue();
    stage.run(&["hook", "install"]).ended(0);
    let before = stage.gitea.issue(&issue);
    stage.run(&["hook", "test"]).ended(0);
    assert_eq!(stage.gitea.issue(&issue), before);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_installs_what_the_own_account_may_not() {
    let stage = Stage::new().await;
    stage.gitea.add_collaborator(&repo(), &stage.gitea.bot().login, "write");
    let refused = stage.run(&["hook", "install"]).ended(1);
    assert!(refused.err.contains("`write:repository`"), "{refused:?}");
    assert!(refused.err.contains("--hook-token-file"), "{refused:?}");
    std::fs::write(stage.folder.path().join("owner"), stage.gitea.token_of(OWNER)).unwrap();
    stage.run(&["hook", "install", "--hook-token-file", "owner"]).ended(0);
    assert_eq!(stage.hooks().await.len(), 1);
    let narrow = stage.gitea.token_with_scopes(OWNER, &["read:repository"]);
    std::fs::write(stage.folder.path().join("narrow"), narrow).unwrap();
    stage.run(&["hook", "remove", "--hook-token-file", "narrow"]).ended(1);
    let gone = stage.run(&["hook", "remove", "--hook-token-file", "owner", "--json"]).ended(0);
    assert_eq!(statuses(&gone.json()), ["removed"]);
    let gone = stage.run(&["hook", "remove", "--hook-token-file", "owner", "--json"]).ended(0);
    assert_eq!(statuses(&gone.json()), ["absent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_are_the_repositories_there_are() {
    let stage = Stage::new().await;
    let admin = stage.gitea.bot().login;
    for name in ["acme/tools-a", "acme/tools-b", "acme/archive"] {
        stage.gitea.add_collaborator(&name.parse().unwrap(), &admin, "admin");
    }
    stage.gitea.set_archived(&"acme/tools-b".parse().unwrap(), true);
    stage.configure(&[("['acme/widgets']", "['acme/widgets', 'acme/tools-*']")]);
    let lines = stage.run(&["hook", "install", "--json"]).ended(0).json();
    let mut places: Vec<&str> = lines.iter().map(|l| l["place"].as_str().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, ["acme/tools-a", "acme/widgets"]);
    let foreign = stage.run(&["hook", "install", "acme/archive"]).ended(2);
    assert!(foreign.err.contains("`acme/archive` is not among `gitea.repos`"), "{foreign:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_is_moved_with_sync() {
    let stage = Stage::new().await;
    let elsewhere = [("/config/url", json!("http://old.example.com/webhook"))];
    let old = stage.hook_by_hand(REPO, &elsewhere).await;
    let lines = stage.run(&["hook", "sync", "--from", "http://old.example.com/webhook", "--json"]);
    assert_eq!(statuses(&lines.ended(0).json()), ["updated"]);
    let hooks = stage.hooks().await;
    assert_eq!((hooks.len(), &hooks[0]["id"]), (1, &json!(old)));
    assert_eq!(hooks[0]["config"]["url"], format!("http://127.0.0.1:{}/webhook", stage.port));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_webhook_of_the_organisation_does_not_count() {
    let stage = Stage::new().await;
    stage.gitea.add_org_owner("acme", &stage.gitea.bot().login);
    stage.hook_by_hand(ORG, &[("/active", json!(false))]).await;
    let lines = stage.run(&["hook", "install", "--json"]).ended(0).json();
    assert_eq!(statuses(&lines), ["installed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_newer_secret_there_is_nothing_to_rotate() {
    let mut stage = Stage::new().await;
    stage.serve().await;
    stage.issue();
    stage.run(&["hook", "install"]).ended(0);
    let before = stage.hooks().await;
    for _ in 0..2 {
        let lines = stage.run(&["hook", "rotate", "--json"]).ended(0).json();
        assert_eq!(statuses(&lines), ["unchanged"]);
        assert!(
            lines[0]["notes"][0].as_str().unwrap().contains("newest secret already"),
            "{lines:?}"
        );
    }
    assert_eq!(stage.hooks().await, before);
    // One that was made by hand may sign with anything: it is replaced, once.
    let id = before[0]["id"].as_i64().unwrap();
    stage.api("DELETE", &format!("{REPO}/hooks/{id}"), Value::Null).await;
    stage.hook_by_hand(REPO, &[]).await;
    let states: Vec<_> =
        (0..3).map(|_| stage.run(&["hook", "rotate", "--json"]).ended(0).json()).collect();
    let states: Vec<_> = states.iter().flat_map(|lines| statuses(lines)).collect();
    assert_eq!(states, ["rotated", "unchanged", "unchanged"]);
    let forced = stage.run(&["hook", "rotate", "--force", "--json"]).ended(0).json();
    assert_eq!(statuses(&forced), ["rotated"]);
    stage.stop().await;
}

//! A service that is its own runner: from an issue to the pull request that closes it, in one process.

use std::time::Duration;

use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::service::Service;
use sha2::{Digest as _, Sha256};

use super::world::{TOKEN, World, repo};

const SECRET: &str = "a-secret-of-the-test";
/// How long the world is looked at in vain, and how often.
const PATIENCE: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_millis(50);

fn configuration(world: &World) -> String {
    let runner = world.folder.path().join("runner.toml");
    let own = world.config.lines().filter(|line| !line.starts_with("server = "));
    std::fs::write(&runner, own.collect::<Vec<_>>().join("\n")).unwrap();
    let folder = world.folder.path().display();
    let digest = hex::encode(Sha256::digest(TOKEN));
    format!(
        "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['acme/widgets']\n[server]\nlisten = '127.0.0.1:0'\n\
         [webhook]\nsecrets = ['{SECRET}']\n[store]\nurl = 'sqlite:{folder}/triage.db'\n\
         [triage]\nowner = 'alice'\n[sweep]\nat_start = false\n[summary]\nenabled = false\n\
         [[agent]]\nid = 'claude'\ninterface = 'runner'\nlabel = ''\nlogin = ''\n\
         [[runner]]\nname = 'one'\ntoken_sha256 = '{digest}'\nagents = ['claude']\n[runs]\nembedded = '{}'\n",
        world.gitea.url(),
        world.gitea.token(),
        runner.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_its_own_runner_brings_an_issue_to_a_pull_request() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::prepare("work").await;
    let text = configuration(&world);
    let config = Config::from_toml("the test", &text, std::iter::empty()).unwrap();
    let service = Service::start(&config, Clock::System).await.unwrap();
    world.gitea.set_hook(&format!("http://{}/webhook", service.address()), SECRET);
    let issue = world.gitea.open_issue(
        &repo(),
        NewIssue {
            title: "[bug] Login crashes on an empty password".into(),
            body: "## Problem\n`login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes".into(),
            author: "bob".into(),
            ..NewIssue::default()
        },
    );
    let told = async {
        let mut looks = tokio::time::interval(EVERY);
        loop {
            looks.tick().await;
            let comments = world.gitea.issue(&issue).unwrap().comments;
            if let Some(told) = comments.into_iter().find(|one| one.body.contains("/pulls/")) {
                return told.body;
            }
        }
    };
    let told =
        tokio::time::timeout(PATIENCE, told).await.expect("the comment shows no pull request");
    let (branches, opened) = world.written();
    assert_eq!((branches.lines().count(), opened), (1, 1), "{branches}");
    assert!(branches.starts_with(&format!("triage/{}-", issue.number)), "{branches}");
    assert!(told.contains("`claude`"), "{told}");
    // A review may follow: the workspace stays as long as the dispatch.
    assert_eq!(world.workspaces().len(), 1);
    world.gitea.close(&issue, "alice");
    let gone = async {
        let mut looks = tokio::time::interval(EVERY);
        while !world.workspaces().is_empty() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the workspace stays");
    service.stop().await;
}

#[tokio::test]
async fn a_runner_that_cannot_work_is_refused_with_its_mistake() {
    let world = World::prepare("work").await;
    let text = configuration(&world);
    let runner = world.folder.path().join("runner.toml");
    std::fs::write(&runner, "plaecs = 1\n").unwrap();
    let refused = |text: &str| {
        Config::from_toml("the test", text, std::iter::empty()).unwrap_err().to_string()
    };
    let told = refused(&text);
    assert!(told.contains("`runs.embedded` names a runner that cannot work"), "{told}");
    assert!(told.contains("did you mean `places`?"), "{told}");
    std::fs::remove_file(&runner).unwrap();
    assert!(refused(&text).contains("cannot be read"), "{}", refused(&text));
}

//! What our client relies on, asked of it directly: addresses that leave no mark on an issue, a token that may not read
//! accounts, and what a block is answered with.

use gitea_triage::fake_gitea::Flavour;
use gitea_triage::gitea::{Client, Error, Settings};
use gitea_triage::issue::{IssueRef, RepoName};
use serde_json::{Value, json};

use crate::forge::{BOT, Forge, REPO, Which};
use crate::person::client;
use crate::world::names;

/// All that a token can have that Forgejo binds to repositories.
const BOUND: [&str; 2] = ["write:issue", "read:repository"];

fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

fn ours(forge: &Forge, token: &str) -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new(Settings::new(forge.url(), token)).unwrap()
}

/// The marks that other texts left on the issue.
async fn marks(forge: &Forge, number: u64) -> Vec<String> {
    let path = format!("{REPO}/issues/{number}/timeline");
    let timeline = forge.person("alice").get(&path).await;
    let types = if timeline.is_null() { Vec::new() } else { names(&timeline, "type") };
    types.into_iter().filter(|kind| kind.ends_with("_ref")).collect()
}

async fn open(forge: &Forge, body: &str) -> u64 {
    let issue = json!({"title": "One of several", "body": body});
    let opened = forge.person("bob").post(&format!("{REPO}/issues"), issue).await;
    opened["number"].as_u64().unwrap()
}

async fn seen(forge: &Forge, number: u64) -> Value {
    forge.person("alice").get(&format!("{REPO}/issues/{number}")).await
}

/// An address of ours in a text leaves nothing on the issue, and opens its page; the plain one leaves a mark.
pub async fn links(which: Which) {
    let forge = Forge::start(which).await;
    let us = ours(&forge, &forge.token(BOT));
    let number = open(&forge, "").await;
    let at = IssueRef { repo: repo(), number };
    let before = seen(&forge, number).await;
    let quiet = us.quiet_issue_url(&at);
    open(&forge, &format!("See [`#{number}`]({quiet}) and {quiet} and <{quiet}>.")).await;
    assert_eq!(marks(&forge, number).await, [""; 0], "{quiet}");
    assert_eq!(seen(&forge, number).await, before);
    if which.is_real() {
        let page = client().get(&quiet).send().await.unwrap();
        assert_eq!(page.status(), 200, "{quiet}");
        assert!(page.text().await.unwrap().contains("One of several"), "{quiet}");
    }
    open(&forge, &format!("See [it]({}).", us.issue_url(&at))).await;
    assert_eq!(marks(&forge, number).await, ["issue_ref"]);
}

/// What we have to know of accounts is known without being allowed to read any.
pub async fn bound_token(which: Which) {
    let forge = Forge::start(which).await;
    let token = forge.token_with_scopes(BOT, &BOUND).await;
    let us = ours(&forge, &token);
    assert_eq!(us.whoami().await.unwrap_err().status(), Some(403));
    assert_eq!(us.whoami_in(&repo()).await.unwrap().login, BOT);
    for (login, is_there) in [("bob", true), ("alice", true), ("nobody-here", false)] {
        assert_eq!(us.is_account_in(&repo(), login).await.unwrap(), is_there, "{login}");
        assert_eq!(us.assignable(&repo(), login).await.unwrap(), is_there, "{login}");
    }
    assert_eq!(us.repositories("acme").await.unwrap(), [repo()]);
}

/// Whoever is blocked by the poster hears so, and may label all the same.
pub async fn block(which: Which) {
    let forge = Forge::start(which).await;
    let number = open(&forge, "").await;
    match &forge {
        Forge::Real(_) => {
            let of = if which.flavour() == Flavour::Forgejo { "block" } else { "blocks" };
            forge.person("bob").put(&format!("/user/{of}/{BOT}"), json!({})).await;
        }
        Forge::Fake(gitea) => gitea.block("bob", BOT),
    }
    let us = ours(&forge, &forge.token(BOT));
    let at = IssueRef { repo: repo(), number };
    let refused = us.post_comment(&at, "hello").await.unwrap_err();
    assert!(matches!(refused, Error::Blocked { .. }), "{refused}");
    let label = us.create_label(&repo(), "ready", "#006b75", "").await.unwrap();
    assert_eq!(us.add_labels(&at, &[label.id]).await.unwrap(), ["ready"]);
}

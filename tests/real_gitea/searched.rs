//! What the sweep relies on: the search over all repositories shows what our account may read, and nothing is late.

use chrono::TimeDelta;
use gitea_triage::clock::Timestamp;
use gitea_triage::gitea::{Client, Error, Found, IssueQuery, Page, Settings, StateFilter};
use gitea_triage::issue::Issue;
use serde_json::json;

use crate::forge::{ADMIN, BOT, Forge, Which};

struct Stage {
    forge: Forge,
}

impl Stage {
    fn client(&self, token: &str) -> Client {
        drop(rustls::crypto::ring::default_provider().install_default());
        Client::new(Settings::new(self.forge.url(), token)).unwrap()
    }

    async fn page(
        &self,
        owner: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<Page<Found<Issue>>, Error> {
        let query = IssueQuery { state: StateFilter::All, since };
        self.client(&self.forge.token(BOT)).found_page_of(owner, &query, 1).await
    }

    /// What is found, by name.
    async fn found(&self, owner: Option<&str>, since: Option<Timestamp>) -> Vec<String> {
        let page = self.page(owner, since).await.unwrap();
        assert_eq!(page.total, Some(page.items.len() as u64));
        assert!(page.at.is_some(), "the forge says when it answered");
        assert!(page.items.iter().all(|found| found.issue.ids.is_some()));
        let name = |found: &Found<Issue>| format!("{}#{}", found.repo, found.issue.number);
        let mut names: Vec<_> = page.items.iter().map(name).collect();
        names.sort();
        names
    }

    async fn open(&self, repo: &str) {
        let issue = json!({"title": "One of several"});
        self.forge.person(ADMIN).post(&format!("/repos/{repo}/issues"), issue).await;
    }
}

/// Plays it; a panic says what is otherwise.
pub async fn play(which: Which) {
    let forge = Forge::start(which).await;
    for name in ["shared", "hidden"] {
        forge.make_private_repo(name).await;
        forge.collaborate(name, BOT, "write").await;
    }
    forge.make_own_repo("bob", "own").await;
    forge.make_org("nova").await;
    forge.make_repo("nova/old").await;
    let stage = Stage { forge };
    stage.forge.collaborate("widgets", ADMIN, "write").await;
    for repo in ["acme/widgets", "acme/shared", "acme/hidden", "nova/old"] {
        stage.open(repo).await;
    }
    let issue = json!({"title": "One of several"});
    stage.forge.person("bob").post("/repos/bob/own/issues", issue).await;
    stage.forge.hide_from_bot("acme/hidden").await;
    stage.forge.archive("nova/old").await;

    let acme = ["acme/shared#1", "acme/widgets#1"];
    let all = ["acme/shared#1", "acme/widgets#1", "bob/own#1", "nova/old#1"];
    assert_eq!(stage.found(None, None).await, all, "private and archived ones, not the hidden one");
    for owner in ["acme", "ACME"] {
        assert_eq!(stage.found(Some(owner), None).await, acme);
    }
    assert_eq!(stage.found(Some("bob"), None).await, ["bob/own#1"]);
    let refused = stage.page(Some("nobody-here"), None).await.unwrap_err();
    assert_eq!(refused.status(), Some(400));

    // What has just changed is there at once, closed or not; the time is the first that counts.
    let closed = json!({"state": "closed"});
    stage.forge.person(ADMIN).patch("/repos/acme/shared/issues/1", closed).await;
    let shown = stage.page(Some("acme"), None).await.unwrap().items;
    let changed = shown.iter().find(|found| found.repo.name() == "shared").unwrap();
    let at = changed.issue.updated_at.unwrap();
    assert!(stage.found(None, Some(at)).await.contains(&"acme/shared#1".to_owned()));
    let later = stage.found(None, Some(at + TimeDelta::seconds(1))).await;
    assert!(!later.contains(&"acme/shared#1".to_owned()), "{later:?}");

    let without = stage.forge.token_with_scopes(BOT, &["read:repository"]).await;
    let page = async |token: &str| {
        let query = IssueQuery { state: StateFilter::All, since: None };
        stage.client(token).found_page_of::<Issue>(None, &query, 1).await
    };
    assert_eq!(page(&without).await.unwrap_err().status(), Some(403));
    let enough = stage.forge.token_with_scopes(BOT, &["read:issue"]).await;
    assert_eq!(page(&enough).await.unwrap().items.len(), all.len());
}

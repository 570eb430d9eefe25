//! A dispatch from its beginning to its end, on a real Gitea and on the fake: an agent comments, its pull request is
//! merged, the next issue is taken; one that is closed without a pull request is opened again for the next agent; and
//! what a person takes off stays off until they say so.

use std::time::Duration;

use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;
use serde_json::{Value, json};

use crate::forge::{ADMIN, Forge, REPO, Which};
use crate::wait::until;
use crate::world::{World, names};

const SETTINGS: &str = "[review]\nrequire = [\"pull_request\"]\n";
const SOON: Duration = Duration::from_secs(20);

fn bug(title: &str) -> Value {
    let body = "## Problem\nThe handler `login()` in src/auth/login.py should return 400, verify it.\n\npytest passes";
    json!({"title": title, "body": body})
}

/// Plays the course; a panic says what did not come about.
pub async fn play(which: Which) {
    let world = World::start(which, SETTINGS).await;
    if which.is_real() {
        begin_repository(&world).await;
    }
    let stage = Stage { world };
    let first = stage.world.open("bob", bug("[bug] Login crashes")).await;
    stage.reaches(first, "assigned").await;
    let second = stage.world.open("bob", bug("[bug] Logout crashes")).await;
    stage.says(second, "wait").await;
    stage.a_pull_request_completes(first).await;
    stage.reaches(second, "assigned").await;
    stage.a_close_without_one_goes_to_the_next(second).await;
    let third = stage.world.open("bob", bug("[bug] Signup crashes")).await;
    stage.reaches(third, "assigned").await;
    stage.what_a_person_takes_off_stays_off(third).await;
    stage.world.rest().await;
    let complaints = stage.world.triage.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

struct Stage {
    world: World,
}

impl Stage {
    async fn a_pull_request_completes(&self, number: u64) {
        let comment = json!({"body": "on it"});
        let claude = self.world.forge.person("claude");
        claude.post(&format!("{REPO}/issues/{number}/comments"), comment).await;
        self.reaches(number, "in_progress").await;
        self.audit_says(number, "**State:** `in_progress`: `claude` commented").await;
        merge_one_that_closes(&self.world.forge, number).await;
        self.reaches(number, "completed").await;
        self.audit_says(number, "**State:** `completed`: the issue is closed").await;
        assert_eq!(self.issue(number).await["state"], "closed");
    }

    async fn a_close_without_one_goes_to_the_next(&self, number: u64) {
        let claude = self.world.forge.person("claude");
        claude.patch(&format!("{REPO}/issues/{number}"), json!({"state": "closed"})).await;
        self.reaches(number, "assigned to kimi").await;
        let issue = self.issue(number).await;
        assert_eq!(issue["state"], "open");
        assert_eq!(names(&issue["labels"], "name"), ["kimi-ready"]);
        assert!(names(&issue["assignees"], "login").is_empty(), "{issue}");
        self.audit_says(
            number,
            "**Before:** the review was not passed: no merged pull request is linked to it.",
        )
        .await;
        let alice = self.world.forge.person("alice");
        let done = json!({"body": "/triage done"});
        alice.post(&format!("{REPO}/issues/{number}/comments"), done).await;
        self.reaches(number, "completed").await;
    }

    async fn what_a_person_takes_off_stays_off(&self, number: u64) {
        let alice = self.world.forge.person("alice");
        let issue = format!("{REPO}/issues/{number}");
        alice.patch(&issue, json!({"assignees": []})).await;
        self.reaches(number, "failed").await;
        alice.patch(&issue, json!({"title": "[bug] Signup crashes, still"})).await;
        self.world.rest().await;
        assert!(names(&self.issue(number).await["assignees"], "login").is_empty());
        alice.post(&format!("{issue}/comments"), json!({"body": "/triage resume"})).await;
        self.reaches(number, "assigned").await;
        assert_eq!(names(&self.issue(number).await["assignees"], "login"), ["claude"]);
    }

    async fn issue(&self, number: u64) -> Value {
        self.world.forge.person("alice").get(&format!("{REPO}/issues/{number}")).await
    }

    fn story(&self, number: u64) -> Value {
        let at = format!("acme/widgets#{number}");
        let all = self.world.triage.inbox();
        if all.iter().any(|delivery| delivery.is_about(number)) {
            serde_json::from_str(&self.world.triage.run(&["explain", "--json", &at])).unwrap()
        } else {
            Value::Null
        }
    }

    /// Waits until the latest dispatch is in this state, of this agent where one is named.
    async fn reaches(&self, number: u64, wanted: &str) {
        let (state, agent) = wanted.split_once(" to ").unwrap_or((wanted, ""));
        until(SOON, async || {
            let story = self.story(number);
            let latest = story["dispatches"].as_array().and_then(|all| all.last()).cloned();
            let latest = latest.unwrap_or_default();
            let is_agent = agent.is_empty() || latest["agent"] == agent;
            if latest["state"] == state && is_agent {
                Ok(())
            } else {
                Err(format!("{wanted}: {latest}"))
            }
        })
        .await;
    }

    /// Waits until this is the latest decision.
    async fn says(&self, number: u64, action: &str) {
        until(SOON, async || {
            let story = self.story(number);
            let latest = story["evaluations"].as_array().and_then(|all| all.last()).cloned();
            let latest = latest.unwrap_or_default();
            if latest["action"] == action { Ok(()) } else { Err(latest.to_string()) }
        })
        .await;
    }

    /// Waits until one of our comments says this.
    async fn audit_says(&self, number: u64, words: &str) {
        let alice = self.world.forge.person("alice");
        until(SOON, async || {
            let comments = alice.get(&format!("{REPO}/issues/{number}/comments")).await;
            let said = names(&comments, "body").iter().any(|body| body.contains(words));
            if said { Ok(()) } else { Err(format!("`{words}` is not in {comments}")) }
        })
        .await;
    }
}

/// Nothing can be merged into an empty repository.
async fn begin_repository(world: &World) {
    let file = json!({"content": "YmVnaW4K", "message": "Begin"});
    world.forge.person(ADMIN).post(&format!("{REPO}/contents/README.md"), file).await;
}

async fn merge_one_that_closes(forge: &Forge, number: u64) {
    match forge {
        Forge::Real(_) => merge_on_the_real_one(forge, number).await,
        Forge::Fake(gitea) => {
            let repo = "acme/widgets".parse().unwrap();
            let pull = gitea.open_issue(
                &repo,
                NewIssue {
                    title: "Mend the login".into(),
                    body: format!("Closes #{number}"),
                    author: "claude".into(),
                    is_pull_request: true,
                    ..NewIssue::default()
                },
            );
            gitea.merge(&IssueRef { repo, number: pull.number }, "alice");
        }
    }
}

async fn merge_on_the_real_one(forge: &Forge, number: u64) {
    let claude = forge.person("claude");
    let file =
        json!({"content": "bWVuZGVkCg==", "message": "Mend the login", "new_branch": "mend"});
    claude.post(&format!("{REPO}/contents/src/auth/login.py"), file).await;
    let repository = claude.get(REPO).await;
    let pull = json!({
        "title": "Mend the login", "body": format!("Closes #{number}"), "head": "mend",
        "base": repository["default_branch"],
    });
    let pull = claude.post(&format!("{REPO}/pulls"), pull).await;
    let alice = forge.person("alice");
    let path = format!("{REPO}/pulls/{}", pull["number"]);
    // Gitea looks at whether it can be merged a moment after it was opened.
    until(SOON, async || {
        let pull = alice.get(&path).await;
        if pull["mergeable"] == true { Ok(()) } else { Err(format!("not mergeable yet: {pull}")) }
    })
    .await;
    alice.post(&format!("{path}/merge"), json!({"Do": "merge"})).await;
}

//! A repository is renamed, transferred, archived, hidden from us, deleted and made anew, on a real Gitea and on the
//! fake: what people decided goes with an issue, an agent's place comes back, and what is new starts with nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::forge::{ADMIN, BOT, Forge, SECRET, Which};
use crate::person::Person;
use crate::triage::Triage;
use crate::wait::until;
use crate::world::names;

/// An agent whose time is over soon, beside `claude`, who has two hours.
const SETTINGS: &str = "[[agent]]\nid = \"kimi\"\ntimeout = \"12s\"\n";
const SOON: Duration = Duration::from_secs(30);

/// Plays it; a panic says what did not come about.
pub async fn play(which: Which) {
    let forge = Forge::start(which).await;
    forge.make_org("nova").await;
    let triage = Triage::start_with(&forge, "[\"acme/*\", \"nova/*\"]", SETTINGS).await;
    let stage = Stage { triage, forge };
    stage.hook("acme/widgets").await;
    stage.what_was_decided_goes_with_the_issue().await;
    stage.what_is_new_starts_with_nothing().await;
    for (name, way) in [("hidden", Way::AccessLost), ("old", Way::Archived)] {
        stage.a_place_comes_back(name, way).await;
    }
}

#[derive(Clone, Copy)]
enum Way {
    AccessLost,
    Archived,
}

struct Stage {
    triage: Triage,
    forge: Forge,
}

impl Stage {
    fn person(&self, login: &str) -> Person {
        self.forge.person(login)
    }

    async fn hook(&self, repo: &str) {
        let hook = json!({
            "type": "gitea", "active": true, "events": ["issues", "issue_comment", "pull_request_only"],
            "config": {"url": self.triage.webhook(), "content_type": "json", "secret": SECRET},
        });
        self.person(ADMIN).post(&format!("/repos/{repo}/hooks"), hook).await;
    }

    /// Makes a repository in which everybody may do what they may on the stage.
    async fn repo(&self, name: &str) -> String {
        let repo = format!("acme/{name}");
        self.forge.make_repo(&repo).await;
        self.hook(&repo).await;
        repo
    }

    async fn open(&self, repo: &str, title: &str) -> String {
        let ready = "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes";
        // What is vague goes to nobody by itself.
        let body = if title.starts_with("[bug]") { ready } else { "It does not work." };
        let issue = json!({"title": title, "body": body});
        let opened = self.person("bob").post(&format!("/repos/{repo}/issues"), issue).await;
        format!("{repo}#{}", opened["number"])
    }

    async fn say(&self, at: &str, by: &str, text: &str) {
        self.person(by).post(&format!("{}/comments", path(at)), json!({"body": text})).await;
    }

    async fn issue(&self, at: &str) -> Value {
        self.person("alice").get(&path(at)).await
    }

    fn story(&self, at: &str) -> Value {
        let (code, said) = self.triage.attempt(&["explain", "--json", at], &[]);
        if code == 0 { serde_json::from_str(&said).unwrap_or_default() } else { Value::Null }
    }

    /// Waits until the latest dispatch is in this state.
    async fn reaches(&self, at: &str, state: &str) {
        until(SOON, async || {
            let story = self.story(at);
            let latest = story["dispatches"].as_array().and_then(|all| all.last()).cloned();
            let latest = latest.unwrap_or_default();
            if latest["state"] == state { Ok(()) } else { Err(format!("{at} {state}: {latest}")) }
        })
        .await;
    }

    /// Waits until the latest decision gives this reason.
    async fn says(&self, at: &str, words: &str) {
        until(SOON, async || {
            let story = self.story(at);
            let latest = story["evaluations"].as_array().and_then(|all| all.last()).cloned();
            let reason = latest.unwrap_or_default()["reason"].to_string();
            if reason.contains(words) { Ok(()) } else { Err(format!("{at}: {reason}")) }
        })
        .await;
    }

    /// Lets somebody say something, and waits until it was looked at.
    async fn is_looked_at(&self, at: &str) {
        let count = |story: &Value| story["evaluations"].as_array().map_or(0, Vec::len);
        let before = count(&self.story(at));
        self.say(at, "bob", "any news?").await;
        until(SOON, async || {
            let story = self.story(at);
            if count(&story) > before { Ok(()) } else { Err(story.to_string()) }
        })
        .await;
    }

    async fn what_was_decided_goes_with_the_issue(&self) {
        let first = self.open("acme/widgets", "[bug] Login crashes").await;
        self.reaches(&first, "assigned").await;
        let held = self.open("acme/widgets", "[bug] Logout crashes").await;
        self.say(&held, "alice", "/triage hold until the release").await;
        self.says(&held, "until the release").await;
        self.forge.rename("acme/widgets", "acme/gadgets").await;
        let held = held.replace("widgets", "gadgets");
        self.is_looked_at(&held).await;
        self.says(&held, "until the release").await;
        assert!(names(&self.issue(&held).await["labels"], "name").is_empty());
        let first = first.replace("widgets", "gadgets");
        self.person("alice").patch(&path(&first), json!({"state": "closed"})).await;
        self.reaches(&first, "completed").await;
        self.say(&held, "alice", "/triage resume").await;
        self.reaches(&held, "assigned").await;
        self.forge.rename("acme/gadgets", "nova/gadgets").await;
        let held = held.replace("acme", "nova");
        self.is_looked_at(&held).await;
        let story = self.story(&held);
        assert_eq!(story["dispatches"].as_array().map(Vec::len), Some(1), "{story}");
        self.person("alice").patch(&path(&held), json!({"state": "closed"})).await;
        self.reaches(&held, "completed").await;
    }

    async fn what_is_new_starts_with_nothing(&self) {
        let repo = self.repo("anew").await;
        let old = self.open(&repo, "[bug] Signup crashes").await;
        self.reaches(&old, "assigned").await;
        self.forge.delete(&repo).await;
        let repo = self.repo("anew").await;
        let new = self.open(&repo, "[bug] Signup crashes again").await;
        assert_eq!(new, old);
        until(SOON, async || {
            let issue = self.issue(&new).await;
            let is_assigned = names(&issue["assignees"], "login") == ["claude"];
            let said = || format!("{}\n{}", self.story(&new), self.triage.log());
            if is_assigned && issue["comments"] == 1 { Ok(()) } else { Err(said()) }
        })
        .await;
        self.reaches(&new, "assigned").await;
        let story = self.story(&new);
        assert_eq!(story["dispatches"].as_array().map(Vec::len), Some(1), "{story}");
        self.person("alice").patch(&path(&new), json!({"state": "closed"})).await;
        self.reaches(&new, "completed").await;
    }

    async fn a_place_comes_back(&self, name: &str, way: Way) {
        let lost = self.repo(name).await;
        let first = self.open(&lost, "Something vague").await;
        self.say(&first, "alice", "/triage assign kimi").await;
        self.reaches(&first, "assigned").await;
        let other = self.repo(&format!("{name}-beside")).await;
        let second = self.open(&other, "Something vague, too").await;
        self.say(&second, "alice", "/triage assign kimi").await;
        self.says(&second, "kimi").await;
        match way {
            Way::AccessLost => self.forge.hide_from_bot(&lost).await,
            Way::Archived => self.forge.archive(&lost).await,
        }
        self.reaches(&second, "assigned").await;
        let state = &self.story(&first)["dispatches"][0]["state"];
        assert!(state == "failed" || state == "timed_out", "{state}");
        self.person("alice").patch(&path(&second), json!({"state": "closed"})).await;
        self.reaches(&second, "completed").await;
    }
}

fn path(at: &str) -> String {
    let (repo, number) = at.split_once('#').unwrap();
    format!("/repos/{repo}/issues/{number}")
}

impl Forge {
    pub async fn make_org(&self, name: &str) {
        match self {
            Self::Real(_) => {
                self.person(ADMIN).post("/orgs", json!({"username": name})).await;
            }
            Self::Fake(gitea) => gitea.add_org_owner(name, ADMIN),
        }
    }

    pub async fn make_repo(&self, repo: &str) {
        let (owner, name) = repo.split_once('/').unwrap();
        let may = [("alice", "write"), ("claude", "write"), (BOT, "write")];
        match self {
            Self::Real(_) => {
                let admin = self.person(ADMIN);
                admin.post(&format!("/orgs/{owner}/repos"), json!({"name": name})).await;
                for (login, permission) in may {
                    let path = format!("/repos/{repo}/collaborators/{login}");
                    admin.put(&path, json!({"permission": permission})).await;
                }
            }
            Self::Fake(gitea) => {
                let repo = repo.parse().unwrap();
                may.iter().for_each(|(login, may)| gitea.add_collaborator(&repo, login, may));
            }
        }
    }

    /// Another name of the same owner, or another owner.
    async fn rename(&self, from: &str, to: &str) {
        if let Self::Fake(gitea) = self {
            return gitea.rename_repo(&from.parse().unwrap(), &to.parse().unwrap());
        }
        let admin = self.person(ADMIN);
        let [(owner, name), (to_owner, to_name)] = [from, to].map(|r| r.split_once('/').unwrap());
        if name != to_name {
            admin.patch(&format!("/repos/{from}"), json!({"name": to_name})).await;
        }
        if owner != to_owner {
            let path = format!("/repos/{owner}/{to_name}/transfer");
            admin.post(&path, json!({"new_owner": to_owner})).await;
        }
    }

    async fn delete(&self, repo: &str) {
        match self {
            Self::Real(_) => self.person(ADMIN).delete(&format!("/repos/{repo}")).await,
            Self::Fake(gitea) => gitea.delete_repo(&repo.parse().unwrap()),
        }
    }

    pub async fn archive(&self, repo: &str) {
        match self {
            Self::Real(_) => {
                let archived = json!({"archived": true});
                self.person(ADMIN).patch(&format!("/repos/{repo}"), archived).await;
            }
            Self::Fake(gitea) => gitea.set_archived(&repo.parse().unwrap(), true),
        }
    }

    pub async fn hide_from_bot(&self, repo: &str) {
        match self {
            Self::Real(_) => {
                let admin = self.person(ADMIN);
                admin.patch(&format!("/repos/{repo}"), json!({"private": true})).await;
                let path = format!("/repos/{repo}/collaborators/{BOT}");
                let answer = admin.send(Method::DELETE, &path, None).await;
                assert!(answer.status().is_success(), "{}", answer.status());
            }
            Self::Fake(gitea) => {
                let repo = repo.parse().unwrap();
                gitea.set_private(&repo, true);
                gitea.remove_collaborator(&repo, BOT);
            }
        }
    }
}

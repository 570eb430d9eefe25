//! The two servers a story can be played on, with the same stage and the same ways to look behind it.

use gitea_triage::clock::Clock;
use gitea_triage::fake_gitea::{FakeGitea, Flavour};
use gitea_triage::issue::RepoName;
use serde_json::json;

use crate::person::Person;
use crate::real::RealGitea;

/// Site admin and owner of the organisation.
pub const ADMIN: &str = "gitadmin";
/// The service's own account, with write access and a token of the least scopes.
pub const BOT: &str = "triage-bot";
/// People and agents, and whether they may write to the repository.
pub const PEOPLE: [(&str, bool); 4] =
    [("alice", true), ("bob", false), ("claude", true), ("kimi", false)];
/// The repository, as the API's paths name it.
pub const REPO: &str = "/repos/acme/widgets";
/// The secret of every hook.
pub const SECRET: &str = "story-secret";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The executable that `GITEA_BIN` or `FORGEJO_BIN` names.
    Real(Flavour),
    /// [`FakeGitea`], as one of the two.
    Fake(Flavour),
}

impl Which {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::Fake(Flavour::Gitea),
        Self::Fake(Flavour::Forgejo),
        Self::Real(Flavour::Gitea),
        Self::Real(Flavour::Forgejo),
    ];

    pub fn is_real(self) -> bool {
        matches!(self, Self::Real(_))
    }

    pub fn flavour(self) -> Flavour {
        let (Self::Real(flavour) | Self::Fake(flavour)) = self;
        flavour
    }

    /// How it is named in the list of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fake(Flavour::Gitea) => "fake",
            Self::Fake(Flavour::Forgejo) => "fake Forgejo",
            Self::Real(Flavour::Gitea) => "real",
            Self::Real(Flavour::Forgejo) => "real Forgejo",
        }
    }
}

/// A server with the organisation acme, its repository widgets, and everybody in [`PEOPLE`].
pub enum Forge {
    Real(RealGitea),
    Fake(FakeGitea),
}

/// A delivery as the server remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub uuid: String,
    /// The fine event name.
    pub event: String,
    /// What was answered; `None` until then.
    pub status: Option<u16>,
}

/// A request as the server remembers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub method: String,
    /// From after `/api/v1`, without the query.
    pub path: String,
    pub status: u16,
}

/// A hook that was made.
pub struct Hook {
    pub id: i64,
}

impl Forge {
    /// Starts the server and sets the stage.
    pub async fn start(which: Which) -> Self {
        match which {
            Which::Real(flavour) => Self::Real(RealGitea::start(flavour).await),
            Which::Fake(flavour) => Self::Fake(fake(flavour).await),
        }
    }

    /// The same, but webhooks may not go to this machine, as on a new server.
    pub async fn start_refusing(which: Which) -> Self {
        match which {
            Which::Real(flavour) => {
                Self::Real(RealGitea::start_allowing(flavour, "external").await)
            }
            Which::Fake(flavour) => {
                let gitea = fake(flavour).await;
                gitea.set_reaches_loopback(false);
                Self::Fake(gitea)
            }
        }
    }

    /// A further token of an account, for these scopes alone.
    pub async fn token_with_scopes(&self, login: &str, scopes: &[&str]) -> String {
        match self {
            Self::Real(gitea) => gitea.token_with_scopes(login, scopes).await,
            Self::Fake(gitea) => gitea.token_with_scopes(login, scopes),
        }
    }

    /// Has a token of an account be none any more.
    pub async fn revoke(&self, login: &str, token: &str) {
        match self {
            Self::Real(gitea) => gitea.revoke(login, token).await,
            Self::Fake(gitea) => gitea.revoke_token(token),
        }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        match self {
            Self::Real(gitea) => gitea.url(),
            Self::Fake(gitea) => gitea.url(),
        }
    }

    /// The token of an account on the stage.
    pub fn token(&self, login: &str) -> String {
        match self {
            Self::Real(gitea) => gitea.token(login),
            Self::Fake(gitea) => gitea.token_of(login),
        }
    }

    /// An account on the stage, to act as.
    pub fn person(&self, login: &str) -> Person {
        Person::new(&self.url(), &self.token(login))
    }

    /// Makes an account that can act.
    pub async fn add_account(&self, login: &str) {
        match self {
            Self::Real(gitea) => gitea.add_account(login).await,
            Self::Fake(gitea) => drop(gitea.add_user(login)),
        }
    }

    /// Makes a private repository of the organisation, with a first commit.
    pub async fn make_private_repo(&self, name: &str) {
        match self {
            Self::Real(_) => {
                let new = json!({"name": name, "private": true, "auto_init": true});
                self.person(ADMIN).post("/orgs/acme/repos", new).await;
            }
            Self::Fake(gitea) => {
                let repo = format!("acme/{name}").parse().unwrap();
                gitea.add_repo(&repo);
                gitea.set_private(&repo, true);
            }
        }
    }

    /// Makes a repository of a person, in which our account and kimi may write.
    pub async fn make_own_repo(&self, owner: &str, name: &str) {
        match self {
            Self::Real(_) => {
                let person = self.person(owner);
                person.post("/user/repos", json!({"name": name, "private": true})).await;
                for login in [BOT, "kimi"] {
                    let path = format!("/repos/{owner}/{name}/collaborators/{login}");
                    person.put(&path, json!({"permission": "write"})).await;
                }
            }
            Self::Fake(gitea) => {
                let repo = format!("{owner}/{name}").parse().unwrap();
                gitea.add_collaborator(&repo, "kimi", "write");
                gitea.set_private(&repo, true);
            }
        }
    }

    /// Lets an account read, write or administer a repository of the organisation.
    pub async fn collaborate(&self, repo: &str, login: &str, may: &str) {
        match self {
            Self::Real(_) => {
                let path = format!("/repos/acme/{repo}/collaborators/{login}");
                self.person(ADMIN).put(&path, json!({"permission": may})).await;
            }
            Self::Fake(gitea) => {
                gitea.add_collaborator(&format!("acme/{repo}").parse().unwrap(), login, may);
            }
        }
    }

    /// Makes an account an owner of the organisation.
    pub async fn make_org_owner(&self, login: &str) {
        match self {
            Self::Real(_) => {
                let admin = self.person(ADMIN);
                let teams = admin.get("/orgs/acme/teams").await;
                let owners =
                    teams.as_array().unwrap().iter().find(|t| t["name"] == "Owners").unwrap();
                admin.put(&format!("/teams/{}/members/{login}", owners["id"]), json!({})).await;
            }
            Self::Fake(gitea) => gitea.add_org_owner("acme", login),
        }
    }

    /// Makes a team that may do this much in each unit, with one member; it has a repository where one is named.
    pub async fn team(
        &self,
        repo: Option<&str>,
        (name, units): (&str, &[(&str, &str)]),
        member: &str,
    ) {
        match self {
            Self::Real(_) => {
                let admin = self.person(ADMIN);
                let is_admin = units.iter().any(|(unit, _)| *unit == "admin");
                let map: serde_json::Map<_, _> = units
                    .iter()
                    .filter(|_| !is_admin)
                    .map(|(unit, may)| (format!("repo.{unit}"), json!(may)))
                    .collect();
                let permission = if is_admin { "admin" } else { "read" };
                let new = json!({"name": name, "permission": permission, "units_map": map});
                let id = admin.post("/orgs/acme/teams", new).await["id"].clone();
                admin.put(&format!("/teams/{id}/members/{member}"), json!({})).await;
                if let Some(repo) = repo {
                    admin.put(&format!("/teams/{id}/repos/acme/{repo}"), json!({})).await;
                }
            }
            Self::Fake(gitea) => {
                let repo = format!("acme/{}", repo.unwrap_or("elsewhere")).parse().unwrap();
                gitea.add_team(&repo, name, units);
                gitea.join_team(name, member);
            }
        }
    }

    /// Makes an account an administrator of the server.
    pub async fn make_site_admin(&self, login: &str) {
        match self {
            Self::Real(_) => {
                let change = json!({"admin": true, "login_name": login, "source_id": 0});
                self.person(ADMIN).patch(&format!("/admin/users/{login}"), change).await;
            }
            Self::Fake(gitea) => gitea.add_site_admin(login),
        }
    }

    /// Gives an account another login.
    pub async fn rename_account(&self, from: &str, to: &str) {
        match self {
            Self::Real(gitea) => {
                let path = format!("/admin/users/{from}/rename");
                self.person(ADMIN).post(&path, json!({"new_username": to})).await;
                gitea.is_called(from, to);
            }
            Self::Fake(gitea) => gitea.rename_owner(from, to),
        }
    }

    /// Removes an account.
    pub async fn delete_account(&self, login: &str) {
        match self {
            Self::Real(_) => self.person(ADMIN).delete(&format!("/admin/users/{login}")).await,
            Self::Fake(gitea) => gitea.remove_user(login),
        }
    }

    /// Makes an OAuth2 application; its id and its secret.
    pub async fn application(&self, redirect_uri: &str) -> (String, String) {
        match self {
            Self::Real(_) => {
                let new = json!({
                    "name": "triage", "redirect_uris": [redirect_uri], "confidential_client": true,
                });
                let made = self.person(ADMIN).post("/user/applications/oauth2", new).await;
                let text = |key: &str| made[key].as_str().unwrap().to_owned();
                (text("client_id"), text("client_secret"))
            }
            Self::Fake(gitea) => gitea.add_oauth_application(redirect_uri),
        }
    }

    /// Registers a webhook of the repository through the API.
    pub async fn hook(&self, url: &str) -> Hook {
        let hook = json!({
            "type": "gitea",
            "active": true,
            "events": ["issues", "issue_comment", "pull_request_only"],
            "config": {"url": url, "content_type": "json", "secret": SECRET},
        });
        let made = self.person(ADMIN).post(&format!("{REPO}/hooks"), hook).await;
        Hook { id: made["id"].as_i64().unwrap() }
    }

    /// Sends a delivery again, as a person does on the hook's page.
    pub async fn redeliver(&self, hook: &Hook, uuid: &str) {
        match self {
            Self::Real(gitea) => gitea.redeliver(hook, uuid).await,
            Self::Fake(gitea) => {
                gitea.redeliver(uuid).unwrap();
            }
        }
    }

    /// Every delivery so far, in the order of the events.
    pub fn sent(&self) -> Vec<Sent> {
        match self {
            Self::Real(gitea) => gitea.sent(),
            Self::Fake(gitea) => {
                let all = gitea.deliveries().into_iter();
                all.map(|d| Sent { uuid: d.uuid, event: d.event_type, status: d.status }).collect()
            }
        }
    }

    /// Every API request of an account so far, in the order of the answers.
    pub async fn asked_by(&self, login: &str) -> Vec<Asked> {
        match self {
            Self::Real(gitea) => gitea.asked_by(login).await,
            Self::Fake(gitea) => {
                let theirs = gitea.requests().into_iter().filter(|r| r.by == login);
                let asked = theirs.map(|r| {
                    let path = r.path.trim_start_matches("/api/v1").to_owned();
                    Asked { method: r.method, path, status: r.status }
                });
                asked.collect()
            }
        }
    }
}

async fn fake(flavour: Flavour) -> FakeGitea {
    let gitea = FakeGitea::start_as(flavour, Clock::System).await.unwrap();
    let repo: RepoName = "acme/widgets".parse().unwrap();
    gitea.add_repo(&repo);
    gitea.add_org_owner("acme", ADMIN);
    for (login, writes) in PEOPLE {
        gitea.add_user(login);
        if writes {
            gitea.add_collaborator(&repo, login, "write");
        }
    }
    gitea
}

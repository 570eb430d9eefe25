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

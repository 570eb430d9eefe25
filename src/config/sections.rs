//! The sections of the file, one struct each. Names, types, defaults and doc comments stand here and nowhere else:
//! reading, `config show`, the JSON Schema and the reference are made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveTime;
use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Interface, TaskType};
use crate::issue::RepoPatterns;
use crate::setting::{
    As, ClockTime, Colour, Endpoint, Hosts, Listen, Maybe, Moment, Name, Networks, Repos, Secret,
    Size, Span, StoreUrl, Text, Url, Zone,
};
use crate::triage::{Check, Route};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// The Gitea or Forgejo server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gitea {
    /// Address of the server, with its sub-path if it has one.
    #[serde(with = "As::<Url>")]
    #[schemars(extend("x-required" = "url = \"https://gitea.example.com\""))]
    pub url: String,
    /// Access token of the service's own account; or `token_file`.
    #[serde(with = "As::<Secret>")]
    #[schemars(extend("x-required" = "token_file = \"/run/secrets/gitea-token\""))]
    pub token: SecretString,
    /// Repositories to look after.
    #[serde(with = "As::<Repos>")]
    #[schemars(extend("x-required" = "repos = [\"acme/widgets\"]"))]
    pub repos: RepoPatterns,
    /// Login of the service's own account; asked from the server when left out.
    #[serde(with = "As::<Maybe<Text>>")]
    pub account: Option<String>,
    /// How long one request may take.
    #[serde(with = "As::<Span>")]
    pub timeout: Duration,
    /// How long connecting may take.
    #[serde(with = "As::<Span>")]
    pub connect_timeout: Duration,
}

impl Default for Gitea {
    fn default() -> Self {
        Self {
            url: String::new(),
            token: SecretString::default(),
            repos: RepoPatterns::default(),
            account: None,
            timeout: 30 * SECOND,
            connect_timeout: 3 * SECOND,
        }
    }
}

/// The address this service listens on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Server {
    /// Address and port to listen on.
    #[serde(with = "As::<Listen>")]
    pub listen: String,
    /// Address under which the server reaches this service; used for the webhook, links and callbacks.
    #[serde(with = "As::<Maybe<Url>>")]
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` says where a refused delivery came from.
    #[serde(with = "As::<Networks>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that answer HTTP requests.
    #[schemars(range(min = 1, max = 1024))]
    pub workers: usize,
}

impl Default for Server {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            listen: "127.0.0.1:8484".to_owned(),
            public_url: None,
            trusted_proxies: loopback.iter().filter_map(|net| net.parse().ok()).collect(),
            workers: 2,
        }
    }
}

/// What the webhook accepts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Webhook {
    /// Secrets that sign deliveries, all valid at once.
    #[schemars(extend("x-short" = "secret", "x-required" = "secrets = [\"a long random text\"]"))]
    pub secrets: Vec<WebhookSecret>,
    /// Largest delivery that is accepted.
    #[serde(with = "As::<Size>")]
    pub max_body: usize,
    /// Deliveries that may wait to be written before new ones are answered 503.
    #[schemars(range(min = 1, max = u32::MAX))]
    pub queue: usize,
}

impl Default for Webhook {
    fn default() -> Self {
        Self { secrets: Vec::new(), max_body: 10 << 20, queue: 1024 }
    }
}

/// An entry of `webhook.secrets` written as a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WebhookSecret {
    /// The secret; or `secret_file`.
    #[serde(with = "As::<Secret>")]
    #[schemars(extend("x-required" = "secret_file = \"/run/secrets/webhook\""))]
    pub secret: SecretString,
    /// When the secret stops being valid.
    #[serde(with = "As::<Maybe<Moment>>")]
    pub expires: Option<Timestamp>,
    /// Repositories it may sign for; all when left out.
    #[serde(with = "As::<Maybe<Repos>>")]
    pub repos: Option<RepoPatterns>,
}

/// Where deliveries and the ledger are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Store {
    /// The database; a relative path starts in the working directory.
    #[serde(with = "As::<StoreUrl>")]
    pub url: String,
    /// How long finished deliveries are kept.
    #[serde(with = "As::<Span>")]
    pub keep: Duration,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:gitea-triage.db".to_owned(), keep: 30 * 24 * HOUR }
    }
}

/// How issues are judged and what is left alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Triage {
    /// Login that is flagged; the repository's owner when left out.
    #[serde(with = "As::<Maybe<Text>>")]
    pub owner: Option<String>,
    /// Score from which an issue is dispatched.
    #[schemars(range(min = 0, max = 9))]
    pub ready_at: u8,
    /// Decide and record, but write nothing to the server.
    pub dry_run: bool,
    /// Label put on a flagged issue.
    #[serde(with = "As::<Maybe<Text>>")]
    pub flag_label: Option<String>,
    /// Issues with one of these labels are left alone.
    pub ignore_labels: Vec<String>,
    /// Issues of these logins are left alone.
    pub ignore_authors: Vec<String>,
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            owner: None,
            ready_at: 5,
            dry_run: false,
            flag_label: None,
            ignore_labels: Vec::new(),
            ignore_authors: Vec::new(),
        }
    }
}

/// Labels the service puts on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Labels {
    /// Create a label that is missing.
    pub create: bool,
    /// Colour of a created label.
    #[serde(with = "As::<Colour>")]
    pub color: String,
}

impl Default for Labels {
    fn default() -> Self {
        Self { create: true, color: "#006b75".to_owned() }
    }
}

/// How issues are given to agents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dispatch {
    /// Who gets an issue: the agent of the decision, or the one whose strengths hold the task type.
    pub route: Route,
    /// Failed hand-offs and reviews before a person is asked.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: u32,
}

impl Default for Dispatch {
    fn default() -> Self {
        Self { route: Route::Triage, max_attempts: 2 }
    }
}

/// What a closed issue has to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Review {
    /// Checks on close: no open task-list items, a merged pull request linked, its commit status green.
    pub require: Vec<Check>,
}

/// What holds for all agents.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Agents {
    /// Private addresses, networks and host names that agents may be called on.
    #[serde(with = "As::<Hosts>")]
    pub allow_private: Vec<String>,
    /// Built-in agents first, in the documented order, then added ones; only those that are enabled.
    #[serde(skip)]
    pub list: Vec<Agent>,
    /// The secret of each agent that has one.
    #[serde(skip)]
    pub secrets: BTreeMap<AgentId, SecretString>,
}

/// One agent; a built-in `id` changes only the keys named here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AgentEntry {
    /// Name of the agent; built in are `claude`, `kimi`, `api` and `local`.
    #[serde(with = "As::<Name>")]
    #[schemars(extend("x-required" = "id = \"claude\""))]
    pub id: String,
    /// How it is told about its work; required for a new agent.
    #[schemars(with = "Interface")]
    pub interface: Option<Interface>,
    /// Label that calls it; empty takes a built-in one away.
    #[serde(with = "As::<Maybe<Text>>")]
    pub label: Option<String>,
    /// Account that is assigned to the issue.
    #[serde(with = "As::<Maybe<Text>>")]
    pub login: Option<String>,
    /// Task types it is good at.
    pub strengths: Vec<TaskType>,
    /// Dispatches it may have open at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrent: u32,
    /// How long a dispatch may stay open.
    #[serde(with = "As::<Span>")]
    pub timeout: Duration,
    /// Where an `http` agent is told.
    #[serde(with = "As::<Maybe<Endpoint>>")]
    pub endpoint: Option<String>,
    /// Signs what is sent to the agent and what it calls back with; or `secret_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub secret: Option<SecretString>,
    /// `false` takes the agent away.
    pub enabled: bool,
}

impl Default for AgentEntry {
    fn default() -> Self {
        Self {
            id: String::new(),
            interface: None,
            label: None,
            login: None,
            strengths: Vec::new(),
            max_concurrent: 1,
            timeout: 2 * HOUR,
            endpoint: None,
            secret: None,
            enabled: true,
        }
    }
}

/// Looking for what no webhook told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sweep {
    /// Time between two sweeps.
    #[serde(with = "As::<Span>")]
    pub every: Duration,
    /// Sweep when the service starts.
    pub at_start: bool,
    /// Time between two sweeps that read every issue.
    #[serde(with = "As::<Span>")]
    pub full_every: Duration,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { every: HOUR, at_start: true, full_every: 24 * HOUR }
    }
}

/// The daily summary issue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Summary {
    /// Post a summary each day.
    pub enabled: bool,
    /// Local time of the summary.
    #[serde(with = "As::<ClockTime>")]
    pub at: NaiveTime,
    /// Time zone of `at`.
    #[serde(with = "As::<Zone>")]
    pub timezone: chrono_tz::Tz,
    /// Close the newest older summary that is still open.
    pub close_previous: bool,
}

impl Default for Summary {
    fn default() -> Self {
        let at = NaiveTime::from_hms_opt(6, 0, 0).unwrap_or_default();
        Self { enabled: true, at, timezone: chrono_tz::UTC, close_previous: true }
    }
}

/// How the inbox is worked off.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Worker {
    /// Issues worked on at once; 0 accepts and stores only.
    #[schemars(range(min = 0, max = 1024))]
    pub concurrency: usize,
    /// Tries before a delivery ends dead.
    #[schemars(range(min = 1, max = 1000))]
    pub max_attempts: u32,
    /// Writes to one issue within an hour before the service stops and asks.
    #[schemars(range(min = 1))]
    pub fuse: u32,
}

impl Default for Worker {
    fn default() -> Self {
        Self { concurrency: 4, max_attempts: 10, fuse: 20 }
    }
}

/// The pages for people; they show nothing until a way to sign in is set.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dashboard {
    /// Whoever has it may sign in, see everything and act; at least 16 characters. Or `token_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub token: Option<SecretString>,
    /// Client id of an OAuth2 application on the server, for "Sign in with Gitea"; its redirect URI is `public_url` + `/sign-in/callback`.
    #[serde(with = "As::<Maybe<Text>>")]
    pub client_id: Option<String>,
    /// Client secret of that application; or `client_secret_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub client_secret: Option<SecretString>,
    /// Address of the server for people's browsers, when it is not `gitea.url`.
    #[serde(with = "As::<Maybe<Url>>")]
    pub gitea_url: Option<String>,
    /// Logins that may act, among those who may write to a repository; `triage.owner` when empty.
    pub admins: Vec<String>,
}

impl Dashboard {
    /// Whether there is a way to sign in.
    pub fn is_on(&self) -> bool {
        self.token.is_some() || self.client_id.is_some()
    }
}

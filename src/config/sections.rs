//! The typed sections of a [`super::Config`], one struct for each table of the file.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveTime;
use ipnet::IpNet;
use secrecy::SecretString;

use crate::agents::local::Budget;
use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId};
use crate::issue::RepoPatterns;

/// `[gitea]`
#[derive(Clone, Debug)]
pub struct Gitea {
    /// Address of the server, without a slash at its end.
    pub url: String,
    /// Access token of the service's own account.
    pub token: SecretString,
    /// Repositories to look after.
    pub repos: RepoPatterns,
    /// Login of the service's own account, when it is written down.
    pub account: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// `address:port` to listen on.
    pub listen: String,
    /// Address under which others reach this service, without a slash at its end.
    pub public_url: Option<String>,
    /// Proxies that are believed to say where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that answer HTTP requests.
    pub workers: usize,
}

/// `[webhook]`
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Secrets that sign deliveries; at least one.
    pub secrets: Vec<WebhookSecret>,
    /// Largest delivery that is accepted, in bytes.
    pub max_body: usize,
    /// Deliveries that may wait to be written.
    pub queue: usize,
}

/// One secret that signs deliveries.
#[derive(Clone, Debug)]
pub struct WebhookSecret {
    /// The secret.
    pub secret: SecretString,
    /// When it stops being valid.
    pub expires: Option<Timestamp>,
    /// Repositories it may sign for; all when `None`.
    pub repos: Option<RepoPatterns>,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// The database, `sqlite:` and a path.
    pub url: String,
    /// How long finished deliveries are kept.
    pub keep: Duration,
}

/// `[triage]`
#[derive(Clone, Debug)]
pub struct Triage {
    /// Login that is flagged; the repository's owner when `None`.
    pub owner: Option<String>,
    /// Score from which an issue is dispatched.
    pub ready_at: u8,
    /// Whether nothing may be written to the server.
    pub dry_run: bool,
    /// Label put on a flagged issue.
    pub flag_label: Option<String>,
    /// Issues with one of these labels are left alone.
    pub ignore_labels: Vec<String>,
    /// Issues of these logins are left alone.
    pub ignore_authors: Vec<String>,
}

/// `[labels]`
#[derive(Clone, Debug)]
pub struct Labels {
    /// Whether a missing label is created.
    pub create: bool,
    /// Colour of a created label, `#rrggbb`.
    pub color: String,
}

/// `[dispatch]`
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Who gets an issue.
    pub route: Route,
    /// Failed hand-offs and reviews before a person is asked.
    pub max_attempts: u32,
}

/// Who gets an issue that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The agent that the decision names.
    Triage,
    /// The agent whose strengths hold the task type.
    TaskType,
}

/// `[review]`
#[derive(Clone, Debug)]
pub struct Review {
    /// What is checked when an issue closes; nothing when empty.
    pub require: Vec<ReviewCheck>,
}

/// One thing that a closed issue has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewCheck {
    /// No task-list item is open.
    Tasks,
    /// A merged pull request is linked.
    PullRequest,
    /// That pull request's commit status is green.
    Status,
}

/// `[agents]` and `[[agent]]`
#[derive(Clone, Debug)]
pub struct Agents {
    /// Built-in agents first, in the documented order, then added ones; only those that are enabled.
    pub list: Vec<Agent>,
    /// The secret of each agent that has one.
    pub secrets: BTreeMap<AgentId, SecretString>,
    /// Private addresses, networks and host names that agents may be called on.
    pub allow_private: Vec<String>,
}

/// `[local_agent]`
#[derive(Clone, Debug)]
pub struct LocalAgent {
    /// Which API the model is reached by.
    pub api: ModelApi,
    /// Address of that API, without a slash at its end.
    pub url: String,
    /// The model's name.
    pub model: String,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Rounds of tool calls before a run is given up.
    pub max_rounds: u32,
    /// Key that an OpenAI-compatible API wants.
    pub api_key: Option<SecretString>,
    /// How freely the model speaks, in hundredths.
    pub temperature: u32,
    /// Tokens the model takes in.
    pub context: u32,
    /// Built-in tools it may use.
    pub tools: Vec<String>,
    /// The most any of its tools may do: `read`, `comment` or `write`.
    pub permission: String,
    /// Hosts that may be read from.
    pub web_hosts: Vec<String>,
    /// Whether a person is asked before parts of an issue become issues.
    pub ask_before_sub_issues: bool,
    /// Servers of further tools.
    pub mcp: Vec<McpServer>,
    /// Outside models it may ask.
    pub consult: Vec<Consult>,
    /// What it may spend within a day.
    pub budgets: Vec<Budget>,
}

/// `[[local_agent.consult]]`
#[derive(Clone, Debug)]
pub struct Consult {
    /// Its name.
    pub name: String,
    /// Address of its OpenAI-compatible API.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Key that the API wants.
    pub api_key: Option<SecretString>,
    /// How long its answer may take.
    pub timeout: Duration,
    /// What has to succeed before it is asked.
    pub invoice: Option<Invoice>,
}

/// The service that makes an invoice before an outside model is asked.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// Which API it has.
    pub api: InvoiceApi,
    /// Its address.
    pub url: String,
    /// Its key or macaroon.
    pub key: SecretString,
    /// The amount, in satoshi.
    pub sats: u64,
}

/// Which API an invoice service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceApi {
    /// That of LNbits.
    Lnbits,
    /// That of LND's REST proxy.
    Lnd,
}

/// Which API a model is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelApi {
    /// Ollama's own.
    Ollama,
    /// The one OpenAI made and others copy.
    OpenAi,
}

/// `[[local_agent.mcp]]`
#[derive(Clone, Debug)]
pub struct McpServer {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub reach: McpReach,
    /// Tools of it that may be used.
    pub tools: Vec<String>,
    /// How long starting it, and each call, may take.
    pub timeout: Duration,
    /// Whether the service refuses to start without it.
    pub required: bool,
}

/// How a server of tools is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpReach {
    /// Started as this program with these arguments.
    Command(Vec<String>),
    /// Called at this address.
    Url(String),
}

/// `[sweep]`
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Time between two sweeps.
    pub every: Duration,
    /// Whether the service sweeps when it starts.
    pub at_start: bool,
    /// Time between two sweeps that read everything.
    pub full_every: Duration,
}

/// `[summary]`
#[derive(Clone, Debug)]
pub struct Summary {
    /// Whether a summary is posted.
    pub enabled: bool,
    /// When, on the clock of `timezone`.
    pub at: NaiveTime,
    /// The time zone of `at`.
    pub timezone: chrono_tz::Tz,
    /// Whether the newest older summary is closed.
    pub close_previous: bool,
}

/// `[worker]`
#[derive(Clone, Debug)]
pub struct Worker {
    /// Issues worked on at once; 0 accepts and stores only.
    pub concurrency: usize,
    /// Tries before a delivery ends dead.
    pub max_attempts: u32,
    /// Writes to one issue within an hour before the service stops and asks.
    pub fuse: u32,
}

/// `[dashboard]`
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Signs its holder in as an admin.
    pub token: Option<SecretString>,
    /// The application on the server through which people sign in.
    pub oauth: Option<OAuthApplication>,
    /// Logins that may act; the owner of `[triage]` when empty.
    pub admins: Vec<String>,
}

/// An OAuth2 application made on the server.
#[derive(Clone, Debug)]
pub struct OAuthApplication {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: SecretString,
    /// Address of the server for browsers, without a slash at its end, when it differs.
    pub url: Option<String>,
}

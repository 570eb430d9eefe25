//! What the agent is told about the world when it starts: the section `[local_agent]`, and what holds for all agents.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::tool::Permission;
use crate::setting::{As, Fraction, Maybe, Name, Secret, Service, Span, Text};

named_enum! {
    /// Which API a model is reached by.
    ModelApi {
        /// Ollama's own `/api/chat`.
        Ollama = "ollama",
        /// The one OpenAI made and others copy: `/v1/chat/completions`.
        OpenAi = "openai",
    }
}

named_enum! {
    /// What happens to the parts into which an issue is split.
    SubIssues {
        /// A comment asks before they are opened.
        Ask = "ask",
        /// They are opened at once.
        Create = "create",
    }
}

/// The model behind agents with `interface = "local"`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Which API the model is reached by.
    pub api: ModelApi,
    /// Address of that API.
    #[serde(with = "As::<Service>")]
    pub url: String,
    /// The model's name; required as soon as the section is there.
    #[serde(with = "As::<Text>")]
    #[schemars(extend("x-required" = "model = \"llama3.1\""))]
    pub model: String,
    /// Key that an OpenAI-compatible API wants; or `api_key_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub api_key: Option<SecretString>,
    /// How long one answer of the model may take.
    #[serde(with = "As::<Span>")]
    pub timeout: Duration,
    /// Rounds of tool calls before a run is given up.
    #[schemars(range(min = 1, max = 1000))]
    pub max_rounds: u32,
    /// How freely the model speaks.
    #[serde(with = "As::<Maybe<Fraction>>")]
    pub temperature: Option<u32>,
    /// Tokens the model takes in; the oldest results of tools make room.
    #[schemars(with = "u32", range(min = 512))]
    pub context: Option<u32>,
    /// Built-in tools it may use.
    pub tools: Vec<String>,
    /// The most any of its tools may do; one that may do more stops the start.
    pub permission: Permission,
    /// Hosts that the tool `web_fetch` may read from, at the usual ports, or each as `host:port`.
    pub web_hosts: Vec<String>,
    /// Whether the tool `plan_sub_issues` asks in a comment before it opens issues.
    pub sub_issues: SubIssues,
    /// Servers of further tools.
    pub mcp: Vec<McpSettings>,
    /// Outside models it may ask.
    pub consult: Vec<ConsultSettings>,
    /// What it may spend.
    #[serde(rename = "budget")]
    pub budgets: Vec<Budget>,
    /// Private addresses, networks and host names that may be called all the same.
    #[serde(skip)]
    pub allow_private: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api: ModelApi::Ollama,
            url: "http://127.0.0.1:11434".to_owned(),
            model: String::new(),
            api_key: None,
            timeout: Duration::from_secs(60),
            max_rounds: 10,
            temperature: Some(20),
            context: Some(8192),
            tools: Vec::new(),
            permission: Permission::Write,
            web_hosts: Vec::new(),
            sub_issues: SubIssues::Ask,
            mcp: Vec::new(),
            consult: Vec::new(),
            budgets: Vec::new(),
            allow_private: Vec::new(),
        }
    }
}

impl Settings {
    /// The defaults for a model elsewhere; temperature and context are its server's own.
    pub fn new(api: ModelApi, url: impl Into<String>, model: impl Into<String>) -> Self {
        let (url, model) = (url.into(), model.into());
        Self { api, url, model, temperature: None, context: None, ..Self::default() }
    }
}

/// A server of tools for the local agent; `command` or `url`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct McpSettings {
    /// Name of the tool server.
    #[serde(with = "As::<Name>")]
    #[schemars(extend("x-required" = "name = \"files\""))]
    pub name: String,
    /// Program and arguments that start it.
    pub command: Vec<String>,
    /// Address of it, instead of `command`.
    #[serde(with = "As::<Maybe<Service>>")]
    pub url: Option<String>,
    /// Tools of it that may be used.
    pub tools: Vec<String>,
    /// How long starting it, and each call, may take.
    #[serde(with = "As::<Span>")]
    pub timeout: Duration,
    /// Whether the service refuses to start without it.
    pub required: bool,
    /// How long it rests after its first failure; each further one doubles that.
    #[serde(skip)]
    pub rest: Duration,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            url: None,
            tools: Vec::new(),
            timeout: Duration::from_secs(30),
            required: true,
            rest: Duration::from_secs(1),
        }
    }
}

/// An outside model the local agent may ask, as the tool `consult_<name>`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConsultSettings {
    /// Name of the outside model; the tool is called `consult_` and this.
    #[serde(with = "As::<Name>")]
    #[schemars(extend("x-required" = "name = \"big\""))]
    pub name: String,
    /// Address of its OpenAI-compatible API.
    #[serde(with = "As::<Service>")]
    #[schemars(extend("x-required" = "url = \"https://api.example.com/v1\""))]
    pub url: String,
    /// The model's name there.
    #[serde(with = "As::<Text>")]
    #[schemars(extend("x-required" = "model = \"big-model\""))]
    pub model: String,
    /// Key that the API wants; or `api_key_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub api_key: Option<SecretString>,
    /// How long its answer may take.
    #[serde(with = "As::<Span>")]
    pub timeout: Duration,
    /// Service that makes a Lightning invoice before a question is sent; without an invoice nothing is sent.
    pub invoice: InvoiceKind,
    /// Address of that service.
    #[serde(with = "As::<Maybe<Service>>")]
    pub invoice_url: Option<String>,
    /// Key of LNbits, or macaroon of LND in hexadecimal; or `invoice_key_file`.
    #[serde(with = "As::<Maybe<Secret>>")]
    pub invoice_key: Option<SecretString>,
    /// Amount of the invoice, in satoshi.
    #[schemars(range(min = 1))]
    pub sats: u64,
}

impl Default for ConsultSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            model: String::new(),
            api_key: None,
            timeout: Duration::from_secs(60),
            invoice: InvoiceKind::None,
            invoice_url: None,
            invoice_key: None,
            sats: 100,
        }
    }
}

named_enum! {
    /// Which API an invoice service has.
    InvoiceKind {
        /// There is none.
        None = "none",
        /// That of LNbits.
        Lnbits = "lnbits",
        /// That of LND's REST proxy.
        Lnd = "lnd",
    }
}

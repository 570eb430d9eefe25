//! The settings of the agent. Plain values; where they come from is not its business.

use std::time::Duration;

use secrecy::SecretString;

use super::tool::Permission;

/// Which API a model is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelApi {
    /// Ollama's own `/api/chat`.
    Ollama,
    /// The one OpenAI made and others copy: `/v1/chat/completions`.
    OpenAi,
}

/// Everything the agent needs to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which API the model is reached by.
    pub api: ModelApi,
    /// Address of that API, without a slash at its end; for [`ModelApi::OpenAi`] with or without `/v1`.
    pub url: String,
    /// The model's name.
    pub model: String,
    /// The key that an OpenAI-compatible endpoint wants.
    pub api_key: Option<SecretString>,
    /// How long one answer of the model may take, to its last byte.
    pub timeout: Duration,
    /// How freely the model speaks, in hundredths: 20 is a temperature of 0.2. The server's default when `None`.
    pub temperature: Option<u32>,
    /// How many tokens the model can take in; the server's default when `None`.
    pub context: Option<u32>,
    /// Answers of the model that may hold tool calls.
    pub max_rounds: u32,
    /// Built-in tools it may use.
    pub tools: Vec<String>,
    /// The most any of its tools may do.
    pub permission: Permission,
    /// Hosts that `web_fetch` may read from.
    pub web_hosts: Vec<String>,
    /// Private addresses, networks and host names that may be called all the same.
    pub allow_private: Vec<String>,
    /// Servers of further tools.
    pub mcp: Vec<McpSettings>,
    /// Outside models that can be asked.
    pub consult: Vec<ConsultSettings>,
    /// Whether tools that may write somewhere we cannot hold back are left uncalled.
    pub dry_run: bool,
}

impl Settings {
    /// Settings with the usual limits and no tools.
    pub fn new(api: ModelApi, url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            api,
            url: url.into(),
            model: model.into(),
            api_key: None,
            timeout: Duration::from_secs(60),
            temperature: None,
            context: None,
            max_rounds: 10,
            tools: Vec::new(),
            permission: Permission::Write,
            web_hosts: Vec::new(),
            allow_private: Vec::new(),
            mcp: Vec::new(),
            consult: Vec::new(),
            dry_run: false,
        }
    }
}

/// A server of further tools, spoken to by the Model Context Protocol.
#[derive(Clone, Debug)]
pub struct McpSettings {
    /// Its name, which begins the names of its tools.
    pub name: String,
    /// How it is reached.
    pub reach: McpReach,
    /// The tools of it that may be used, by its own names.
    pub tools: Vec<String>,
    /// How long starting it, and each call, may take.
    pub timeout: Duration,
    /// Whether the agent may not start without it.
    pub required: bool,
    /// How long it rests after its first failure; each further one doubles that.
    pub rest: Duration,
}

/// How a server of tools is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpReach {
    /// Started as this program with these arguments, spoken to over its standard input and output.
    Command(Vec<String>),
    /// Called at this address by streamable HTTP.
    Url(String),
}

/// An outside model that can be asked, for money or not.
#[derive(Clone, Debug)]
pub struct ConsultSettings {
    /// Its name; the tool is called `consult_` and this.
    pub name: String,
    /// Address of its OpenAI-compatible API.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The key it wants.
    pub api_key: Option<SecretString>,
    /// How long its answer may take.
    pub timeout: Duration,
    /// What has to succeed before it is asked.
    pub invoice: Option<InvoiceSettings>,
}

/// The service that makes an invoice before a question is sent.
#[derive(Clone, Debug)]
pub struct InvoiceSettings {
    /// Which API it has.
    pub kind: InvoiceKind,
    /// Its address.
    pub url: String,
    /// The key (LNbits) or the macaroon in hexadecimal (LND) it wants.
    pub key: SecretString,
    /// The amount, in satoshi.
    pub sats: u64,
}

/// Which API an invoice service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceKind {
    /// That of LNbits.
    Lnbits,
    /// That of LND's REST proxy.
    Lnd,
}

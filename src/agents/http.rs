//! Agents that are called by a POST to an endpoint of theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, Url};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::excerpt::{Private, excerpt};
use super::outbound::{self, End};
use super::reach::{Allowed, Refused};
use super::signature::{SIGNATURE_HEADER, sign};
use crate::apply::{AgentClient, HandedOver};
use crate::dispatch::{Agent, AgentId, Handoff, HandoffError, Wrong};

const JSON: &str = "application/json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Tells agents over HTTP.
#[derive(Clone, Debug)]
pub struct HttpAgents {
    /// For the whole hand-over, the answer included.
    pub timeout: Duration,
    http: reqwest::Client,
    allowed: Arc<Allowed>,
    secrets: BTreeMap<AgentId, SecretString>,
    has_certificates: bool,
}

/// One hand-over on its way: to whom, and what must not show up in a message.
struct Call<'a> {
    agent: &'a AgentId,
    url: Url,
    secret: Option<&'a SecretString>,
    key: &'a str,
}

impl HttpAgents {
    /// A client that reaches public addresses and what `allow_private` lists, and signs what it sends to an agent that
    /// has a secret; nothing is sent yet.
    pub fn new(
        allow_private: Vec<String>,
        secrets: BTreeMap<AgentId, SecretString>,
    ) -> Result<Self, HandoffError> {
        let allowed = Allowed::new(allow_private).map_err(|text| {
            let wanted = "an address, a network such as `10.1.0.0/16` or a host name";
            HandoffError::Settings(format!("`agents.allow_private`: `{text}` is not {wanted}"))
        })?;
        let allowed = Arc::new(allowed);
        let (http, has_certificates) = outbound::client(CONNECT_TIMEOUT, Some(&allowed))
            .map_err(|why| HandoffError::Settings(format!("{why}, so no agent can be called")))?;
        Ok(Self { http, allowed, secrets, timeout: TIMEOUT, has_certificates })
    }

    async fn post(&self, agent: &Agent, handoff: &Handoff) -> HandedOver {
        let (url, secret) = (self.endpoint(agent)?, self.secrets.get(&agent.id));
        let call = Call { agent: &agent.id, url, secret, key: &handoff.dispatch_id };
        // Built once, so that what is signed is what is sent.
        let body = payload(handoff).to_string();
        let request = self.http.post(call.url.clone()).timeout(self.timeout);
        let mut request = request.header(CONTENT_TYPE, JSON).header(ACCEPT, JSON);
        if let Some(signature) = secret.and_then(|secret| sign(secret, body.as_bytes())) {
            request = request.header(SIGNATURE_HEADER, signature);
        }
        let started = Instant::now();
        let answer = request.body(body).send().await;
        let status = answer.as_ref().ok().map(|a| a.status().as_u16());
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(agent = %call.agent, host = call.host(), status, ms, "handed over to an agent");
        call.judge(answer.map_err(|error| call.unreachable(&error))?).await
    }

    /// Where the agent listens.
    fn endpoint(&self, agent: &Agent) -> Result<Url, HandoffError> {
        let id = || agent.id.clone();
        let text = agent.endpoint.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| HandoffError::NoEndpoint { agent: id() })?;
        let url = outbound::parse_url(text)
            .map_err(|why| HandoffError::BadEndpoint { agent: id(), why })?;
        self.allowed.check_url(&url).map_err(|refused| private(id(), refused))?;
        if url.scheme() == "https" && !self.has_certificates {
            let message = "no CA certificates were found for TLS; install `ca-certificates`";
            return Err(HandoffError::Settings(message.to_owned()));
        }
        Ok(url)
    }
}

impl AgentClient for HttpAgents {
    fn hand_off<'a>(&'a self, agent: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        Box::pin(self.post(agent, handoff))
    }
}

fn private(agent: AgentId, refused: Refused) -> HandoffError {
    HandoffError::Private { agent, host: refused.host, address: refused.address }
}

fn payload(handoff: &Handoff) -> Value {
    json!({
        "title": handoff.title,
        "description": handoff.description,
        "text_digest": handoff.text_digest,
        "acceptance_criteria": handoff.acceptance_criteria,
        "issue_number": handoff.at.number,
        "repository": handoff.at.repo,
        "agent": handoff.agent,
        "task_type": handoff.task_type,
        "dispatch_id": handoff.dispatch_id,
        "callback_url": handoff.callback_url,
    })
}

impl Call<'_> {
    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether the agent took the work.
    async fn judge(&self, response: Response) -> HandedOver {
        let status = response.status().as_u16();
        let is_taken = matches!(status, 200..=202);
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().get(..9));
        let says_html = kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"));
        let (body, end) = outbound::read(response, MAX_ANSWER).await;
        let private = Private { url: &self.url, secret: self.secret, key: self.key };
        let answer = excerpt(&body, &private);
        let wrong = match end {
            _ if !is_taken => Wrong::Status,
            End::Broken(error) => return Err(self.unreachable(&error)),
            End::TooLarge => Wrong::TooLarge,
            End::Whole if says_html || body.trim_ascii_start().starts_with(b"<") => Wrong::Html,
            End::Whole => return Ok(Some(format!("answered {status}"))),
        };
        Err(HandoffError::Answer { agent: self.agent.clone(), status, wrong, answer })
    }

    fn unreachable(&self, error: &reqwest::Error) -> HandoffError {
        // The resolver's own error, below what the client wraps around it.
        let first: &(dyn std::error::Error + 'static) = error;
        let mut causes = std::iter::successors(Some(first), |e| e.source());
        if let Some(refused) = causes.find_map(|e| e.downcast_ref::<Refused>()) {
            return private(self.agent.clone(), refused.clone());
        }
        let reason = if error.is_dns() {
            "its name could not be resolved; see that `endpoint` is spelled right"
        } else if error.is_connect() {
            "no connection; see that the agent runs and its certificate is valid"
        } else if error.is_timeout() {
            "no answer came in time"
        } else {
            "the connection broke off before the whole answer came"
        };
        let (agent, host) = (self.agent.clone(), self.host().to_owned());
        HandoffError::Unreachable { agent, host, reason }
    }
}

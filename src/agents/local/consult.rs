//! A question to an outside model, as a tool. Where an invoice is due it comes first: without one nothing is sent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::caller::{Broken, Caller, Post};
use super::chat::{Options, bearer};
use super::invoice;
use super::message::Message;
use super::openai;
use super::quoted::Part;
use super::registry::RegistrationError;
use super::settings::ConsultSettings;
use super::tool::{Done, Permission, Scene, Spec, Tool, Trouble, read, schema_of};

/// The longest question, in characters.
const LONGEST: usize = 8_000;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// What to ask.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The question, with everything that is needed to answer it.
    question: String,
}

struct Consult {
    spec: Spec,
    settings: ConsultSettings,
    url: reqwest::Url,
    caller: Caller,
    dry_run: bool,
}

/// The tool for one outside model.
pub(super) fn tool(
    settings: &ConsultSettings,
    dry_run: bool,
) -> Result<Box<dyn Tool>, RegistrationError> {
    let name = format!("consult_{}", settings.name.replace('.', "_"));
    let cannot = |reason| RegistrationError::tool(&name, reason);
    let price = settings.invoice.as_ref().map(|i| format!(" It costs {} satoshi.", i.sats));
    let spec = Spec {
        name: name.clone(),
        about: format!(
            "Ask the outside model {}. What you ask leaves this server.{}",
            settings.model,
            price.unwrap_or_default()
        ),
        schema: schema_of::<Question>(),
        // It sends something out and may cost money, which is more than saying something here.
        permission: Permission::Write,
    };
    let url = openai::endpoint(&settings.url).map_err(cannot)?;
    let caller = Caller::new().map_err(cannot)?;
    Ok(Box::new(Consult { spec, settings: settings.clone(), url, caller, dry_run }))
}

impl Tool for Consult {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call<'a>(&'a self, _: Scene<'a>, arguments: Value) -> Done<'a> {
        Box::pin(async move {
            let question = read::<Question>(arguments)?.question;
            if question.trim().is_empty() || question.chars().count() > LONGEST {
                let why = format!("`question` is empty or longer than {LONGEST} characters");
                return Err(Trouble::Arguments(why));
            }
            if self.dry_run {
                return Ok(vec![Part::ours("not asked: this is a dry run")]);
            }
            let mut parts = self.bill(&question).await?;
            parts.push(Part::theirs("the outside model's answer", self.ask(question).await?));
            Ok(parts)
        })
    }
}

impl Consult {
    async fn bill(&self, question: &str) -> Result<Vec<Part>, Trouble> {
        let Some(settings) = &self.settings.invoice else { return Ok(Vec::new()) };
        match invoice::create(&self.caller, settings, question).await {
            Ok(invoice) => Ok(vec![Part::ours(format!(
                "[Lightning invoice: {} sats — {}…]",
                invoice.sats, invoice.request
            ))]),
            Err(reason) => {
                tracing::error!(tool = self.spec.name, %reason, "the invoice could not be made; nothing was sent");
                let why =
                    "Failed to create Lightning invoice; the question was not sent. See the log.";
                Err(Trouble::Failed(why.to_owned()))
            }
        }
    }

    async fn ask(&self, question: String) -> Result<String, Trouble> {
        let messages = [Message::User(question)];
        let body = openai::request(&self.settings.model, &messages, &[], Options::default());
        let post = Post {
            url: self.url.clone(),
            headers: bearer(self.settings.api_key.as_ref()),
            body: &body,
            timeout: self.settings.timeout,
            limit: MAX_ANSWER,
        };
        let answer =
            self.caller.post(post).await.map_err(|broken| Trouble::Failed(told(broken)))?;
        let reply = openai::reply(answer).map_err(Trouble::Failed)?;
        match reply.content.trim() {
            "" => Err(Trouble::Failed("the outside model gave an empty reply".to_owned())),
            said => Ok(said.to_owned()),
        }
    }
}

fn told(broken: Broken) -> String {
    let within = |after: Duration| humantime::format_duration(after).to_string();
    match broken {
        Broken::Connection(reason) | Broken::Protocol(reason) => {
            format!("the outside model: {reason}")
        }
        Broken::Status(status) => format!("the outside model answered {status}"),
        Broken::Slow(after) => format!("the outside model gave no answer within {}", within(after)),
    }
}

//! A question to an outside model, as a tool. Where an invoice is due it comes first: without one nothing is sent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::json_client::{CallError, JsonClient};
use super::super::model::message::Message;
use super::super::model::{Model, ModelSettings};
use super::super::quoted::Part;
use super::super::settings::{ConsultSettings, InvoiceKind, ModelApi};
use super::super::tool::{
    Permission, RegistrationError, Spec, Tool, ToolContext, ToolError, ToolFuture, read, schema_of,
};
use super::invoice;

/// The longest question, in characters.
const LONGEST: usize = 8_000;

/// What to ask.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The question, with everything that is needed to answer it.
    question: String,
}

struct Consult {
    spec: Spec,
    model: Model,
    settings: ConsultSettings,
    client: JsonClient,
    dry_run: bool,
}

/// The tool for one outside model.
pub(super) fn tool(
    settings: &ConsultSettings,
    dry_run: bool,
) -> Result<Box<dyn Tool>, RegistrationError> {
    let name = format!("consult_{}", settings.name.replace('.', "_"));
    let cannot = |reason| RegistrationError::tool(&name, reason);
    let is_paid = settings.invoice != InvoiceKind::None;
    let price = is_paid.then(|| format!(" It costs {} satoshi.", settings.sats));
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
    let model = Model::new(ModelSettings {
        api: ModelApi::OpenAi,
        url: settings.url.clone(),
        name: settings.model.clone(),
        key: settings.api_key.clone(),
        timeout: settings.timeout,
        temperature: None,
        context: None,
    });
    Ok(Box::new(Consult {
        spec,
        model: model.map_err(cannot)?,
        settings: settings.clone(),
        client: JsonClient::new().map_err(cannot)?,
        dry_run,
    }))
}

impl Tool for Consult {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call<'a>(&'a self, _: ToolContext<'a>, arguments: Value) -> ToolFuture<'a> {
        Box::pin(async move {
            let question = read::<Question>(arguments)?.question;
            if question.trim().is_empty() || question.chars().count() > LONGEST {
                let why = format!("`question` is empty or longer than {LONGEST} characters");
                return Err(ToolError::Arguments(why));
            }
            if self.dry_run {
                return Ok(vec![Part::trusted("not asked: this is a dry run")]);
            }
            let mut parts = self.bill(&question).await?;
            parts.push(Part::untrusted("the outside model's answer", self.ask(question).await?));
            Ok(parts)
        })
    }
}

impl Consult {
    async fn bill(&self, question: &str) -> Result<Vec<Part>, ToolError> {
        match invoice::create(&self.client, &self.settings, question).await {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(invoice)) => Ok(vec![Part::trusted(format!(
                "[Lightning invoice: {} sats — {}…]",
                invoice.sats, invoice.request
            ))]),
            Err(reason) => {
                tracing::error!(tool = self.spec.name, %reason, "the invoice could not be made; nothing was sent");
                let why =
                    "Failed to create Lightning invoice; the question was not sent. See the log.";
                Err(ToolError::Failed(why.to_owned()))
            }
        }
    }

    async fn ask(&self, question: String) -> Result<String, ToolError> {
        let asked = self.model.ask(&[Message::User(question)], &[], None).await;
        let reply = asked.map_err(|error| ToolError::Failed(explain(error)))?;
        match reply.message.content().trim() {
            "" => Err(ToolError::Failed("the outside model gave an empty reply".to_owned())),
            said => Ok(said.to_owned()),
        }
    }
}

fn explain(error: CallError) -> String {
    let within = |after: Duration| humantime::format_duration(after).to_string();
    match error {
        CallError::Connection(reason) | CallError::Protocol(reason) => {
            format!("the outside model: {reason}")
        }
        CallError::Status(status) => format!("the outside model answered {status}"),
        CallError::Slow(after) => {
            format!("the outside model gave no answer within {}", within(after))
        }
    }
}

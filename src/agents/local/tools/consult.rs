//! A question to an outside model, as a tool. Where an invoice is due it comes first: without one nothing is sent.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::json_client::CallError;
use super::super::model::Model;
use super::super::model::message::Message;
use super::super::quoted::Part;
use super::super::settings::{ConsultSettings, InvoiceKind, ModelApi, Settings};
use super::super::tool::{Outcome, Permission, RegistrationError, Tool, ToolError};
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
    name: String,
    model: Model,
    settings: ConsultSettings,
}

/// The tool for one outside model.
pub(super) fn tool(settings: &ConsultSettings) -> Result<Tool, RegistrationError> {
    let settings = settings.clone();
    let name = format!("consult_{}", settings.name.replace('.', "_"));
    let mut about =
        format!("Ask the outside model {}. What you ask leaves this server.", settings.model);
    if settings.invoice != InvoiceKind::None {
        about.push_str(&format!(" It costs {} satoshi.", settings.sats));
    }
    let ConsultSettings { url, model, api_key, timeout, .. } = settings.clone();
    let model = Settings { api_key, timeout, ..Settings::new(ModelApi::OpenAi, url, model) };
    let model = Model::new(model).map_err(|reason| RegistrationError::tool(&name, reason))?;
    let consult = Arc::new(Consult { name: name.clone(), model, settings });
    // It sends something out and may cost money, which is more than saying something here.
    Ok(Tool::new(name, about, Permission::Write, move |context, asked: Question| {
        let (consult, dry_run) = (Arc::clone(&consult), context.environment.is_dry_run());
        Box::pin(async move { consult.call(asked.question, dry_run).await })
    }))
}

impl Consult {
    async fn call(&self, question: String, dry_run: bool) -> Outcome {
        if question.trim().is_empty() || question.chars().count() > LONGEST {
            let why = format!("`question` is empty or longer than {LONGEST} characters");
            return Err(ToolError::Arguments(why));
        }
        if dry_run {
            return Ok(vec![Part::trusted("not asked: this is a dry run")]);
        }
        let bill = self.bill(&question).await?;
        let answer = Part::untrusted("the outside model's answer", self.ask(question).await?);
        Ok(bill.into_iter().chain([answer]).collect())
    }

    async fn bill(&self, question: &str) -> Result<Option<Part>, ToolError> {
        let Self { model, settings, .. } = self;
        match invoice::create(&model.http, settings, question).await {
            Ok(request) => Ok(request.map(|request| {
                let sats = settings.sats;
                Part::trusted(format!("[Lightning invoice: {sats} sats — {request}…]"))
            })),
            Err(reason) => {
                tracing::error!(tool = self.name, %reason, "the invoice could not be made; nothing was sent");
                let why =
                    "Failed to create Lightning invoice; the question was not sent. See the log.";
                Err(ToolError::Failed(why.to_owned()))
            }
        }
    }

    async fn ask(&self, question: String) -> Result<String, ToolError> {
        let reply = self.model.ask(&[Message::User(question)], &[], None).await;
        let why = match reply {
            Ok(reply) => match reply.message.content().trim() {
                "" => "gave an empty reply".to_owned(),
                said => return Ok(said.to_owned()),
            },
            Err(CallError::Status(status)) => format!("answered {status}"),
            Err(error @ CallError::Slow(_)) => format!("gave {error}"),
            Err(error) => return Err(ToolError::Failed(format!("the outside model: {error}"))),
        };
        Err(ToolError::Failed(format!("the outside model {why}")))
    }
}

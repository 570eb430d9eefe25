//! What an admin may do: retry a failed delivery, and give the commands that people give in comments. Both go into the
//! inbox and are processed like every delivery.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;

use super::access::{AdminForm, has_delivery};
use super::deliveries::find;
use super::frame::see_other;
use super::refusal::Refusal;
use super::session::SessionExt as _;
use crate::delivery::DeliveryId;
use crate::issue::IssueRef;
use crate::store::ManualOrder;

/// The longest reason or name that is taken, in characters.
const LONGEST: usize = 300;

/// The handler of `POST /deliveries/{id}/retry`.
pub(super) async fn retry(id: Path<String>, form: AdminForm) -> Result<HttpResponse, Refusal> {
    let reader = &form.reader;
    let unknown = || reader.not_found("there is no such delivery");
    let id = DeliveryId::parse(&id).ok_or_else(unknown)?;
    let found = find(reader, &id).await?.ok_or_else(unknown)?;
    if !has_delivery(&reader.visitor.writes, &found.delivery, found.body.as_deref()) {
        return Err(unknown());
    }
    let parts = &reader.dashboard.parts;
    let revived = parts.store.revive(&id, reader.now).await?;
    tracing::info!(by = reader.visitor.name(), delivery = %id, revived, "a retry was requested");
    if revived {
        (parts.wake)();
        reader.session.notify("The delivery will be retried.");
    } else {
        reader
            .session
            .notify("Nothing was done: the delivery is not dead, or its body was removed.");
    }
    Ok(see_other(&reader.delivery_path(id.as_str())))
}

/// The handler of `POST /issues/{owner}/{name}/{number}/orders`.
pub(super) async fn order(
    place: Path<(String, String, u64)>,
    form: AdminForm,
) -> Result<HttpResponse, Refusal> {
    let reader = &form.reader;
    let (owner, name, number) = place.into_inner();
    let at: Result<IssueRef, _> = format!("{owner}/{name}#{number}").parse();
    let is_theirs = |at: &IssueRef| reader.visitor.writes.has(&at.repo.to_string());
    let at = at.ok().filter(|at| reader.settings.repos.allows(&at.repo) && is_theirs(at));
    let at = at.ok_or_else(|| reader.not_found("there is no such issue"))?;
    let parts = &reader.dashboard.parts;
    // Only known issues: a command must not make the service read any number.
    if parts.store.issue_story(at.clone(), None, 1).await?.is_none() {
        return Err(reader.not_found("there is no such issue"));
    }
    let command = command(&form)?;
    if let Some(why) = (parts.refuses)(at.clone(), command.clone()).await {
        return Err(Refusal::page(StatusCode::BAD_REQUEST, &reader.settings, &why));
    }
    tracing::info!(by = reader.visitor.name(), issue = %at, verb = form.field("order"), "a command was requested");
    let order = ManualOrder { by: reader.visitor.name().to_owned(), command, task_type: None };
    parts.store.order(at.clone(), order, reader.now).await?;
    (parts.wake)();
    reader.session.notify("The command is queued and will run in a moment.");
    Ok(see_other(&reader.issue_path(&at)))
}

/// The command as a person would type it after `/triage` in a comment.
fn command(form: &AdminForm) -> Result<String, Refusal> {
    let wrong = |why: &str| Refusal::page(StatusCode::BAD_REQUEST, &form.reader.settings, why);
    // On one line: a second one would be a second command in a comment.
    let line = |text: &str| {
        let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        words.join(" ").chars().take(LONGEST).collect::<String>()
    };
    match form.field("order") {
        verb @ ("resume" | "retry" | "approve" | "go" | "done") => Ok(verb.to_owned()),
        "look" => Ok(String::new()),
        "hold" => Ok(format!("hold {}", line(form.field("reason"))).trim_end().to_owned()),
        "assign" => match form.field("to").split_whitespace().next() {
            Some(to) => Ok(format!("assign {}", line(to))),
            None => Err(wrong("`assign` needs an agent id or `@login`")),
        },
        _ => Err(wrong(
            "unknown command; use hold, resume, retry, assign, approve, go, done or look",
        )),
    }
}

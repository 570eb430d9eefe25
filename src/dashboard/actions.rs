//! What an admin may do: give a dead letter another chance, and say about an issue what people say in comments. Both
//! go into the inbox; what comes of them is decided where every delivery is.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Path;

use super::access::{Acting, Reader};
use super::elements::encoded;
use super::refusal::Refusal;
use super::session::Kept as _;
use crate::delivery::DeliveryId;
use crate::issue::IssueRef;

/// The longest reason or name that is taken, in characters.
const LONGEST: usize = 300;

fn back(reader: &Reader, place: &str) -> HttpResponse {
    let place = format!("{}{place}", reader.settings.base());
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

/// The handler of `POST /deliveries/{id}/retry`.
pub(super) async fn retry(id: Path<String>, acting: Acting) -> Result<HttpResponse, Refusal> {
    let reader = &acting.reader;
    let unknown = || reader.not_found("there is no such delivery");
    let id = DeliveryId::parse(&id).ok_or_else(unknown)?;
    let parts = &reader.dashboard.parts;
    let revived = parts.store.revive(&id, reader.now).await?;
    tracing::info!(by = reader.visitor.name(), delivery = %id, revived, "a retry was asked for");
    if revived {
        (parts.wake)();
        reader.session.notify("The delivery is tried again.");
    } else {
        reader.session.notify("The delivery is not dead, or its body is gone; nothing was done.");
    }
    Ok(back(reader, &format!("/deliveries/{}", encoded(id.as_str()))))
}

/// The handler of `POST /issues/{owner}/{name}/{number}/orders`.
pub(super) async fn order(
    place: Path<(String, String, u64)>,
    acting: Acting,
) -> Result<HttpResponse, Refusal> {
    let reader = &acting.reader;
    let (owner, name, number) = place.into_inner();
    let at: Result<IssueRef, _> = format!("{owner}/{name}#{number}").parse();
    let at = at.ok().filter(|at| reader.settings.repos.allows(&at.repo));
    let at = at.ok_or_else(|| reader.not_found("there is no such issue"))?;
    let parts = &reader.dashboard.parts;
    // Only issues that were seen: an order is no way to make the service look at any number.
    if parts.store.issue_story(at.clone(), None, 1).await?.is_none() {
        return Err(reader.not_found("there is no such issue"));
    }
    let command = command(&acting)?;
    tracing::info!(by = reader.visitor.name(), issue = %at, verb = acting.field("order"), "an order was given");
    let by = reader.visitor.name().to_owned();
    parts.store.order(at, by, command, reader.now).await?;
    (parts.wake)();
    reader.session.notify("The order is in the inbox and carried out in a moment.");
    Ok(back(reader, &format!("/issues/{}/{}/{number}", encoded(&owner), encoded(&name))))
}

/// The order as it would stand behind `/triage` in a comment.
fn command(acting: &Acting) -> Result<String, Refusal> {
    let wrong = |why: &str| Refusal::bad_request(&acting.reader.settings, why);
    // On one line: a second one would be a second command in a comment.
    let line = |text: &str| {
        let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        words.join(" ").chars().take(LONGEST).collect::<String>()
    };
    match acting.field("order") {
        verb @ ("resume" | "retry" | "done") => Ok(verb.to_owned()),
        "look" => Ok(String::new()),
        "hold" => Ok(format!("hold {}", line(acting.field("reason"))).trim_end().to_owned()),
        "assign" => match acting.field("to").split_whitespace().next() {
            Some(to) => Ok(format!("assign {}", line(to))),
            None => Err(wrong("`assign` needs the name of an agent, or `@` and a login")),
        },
        _ => Err(wrong("there is no such order; take hold, resume, retry, assign, done or look")),
    }
}

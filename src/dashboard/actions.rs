//! What an admin may do: retry failed deliveries or dismiss them, and give the commands that people give in comments,
//! which go into the inbox and are processed like every delivery.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use tokio::time::{Instant, sleep};

use super::access::{AdminForm, Reader, has_delivery};
use super::deliveries::find;
use super::frame::see_other;
use super::listing::days;
use super::refusal::Refusal;
use super::session::SessionExt as _;
use crate::delivery::DeliveryId;
use crate::gitea as forge;
use crate::issue::IssueRef;
use crate::store::{DeliveryQuery, DeliveryState, ManualOrder, OrderView, Sight, Store};

/// The longest reason or name that is taken, in characters.
const LONGEST: usize = 300;
/// How long a page waits for what becomes of a command, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many failed deliveries are retried or dismissed at once.
const MOST_FAILED: usize = 1_000;

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
        let sent = found.body.as_deref().and_then(forge::sent_from);
        let repo = sent.map(|sent| sent.repo.to_string());
        reader.note(format!("had delivery `{}` retried", id.as_str()), repo).await;
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
    let is_theirs =
        |at: &IssueRef| reader.settings.repos.allows(&at.repo) && reader.may_act_in(&at.repo);
    let at = at.ok().filter(is_theirs);
    let at = at.ok_or_else(|| reader.not_found("there is no such issue"))?;
    let parts = &reader.dashboard.parts;
    // Only known issues: a command must not make the service read any number.
    if parts.store.issue_story(at.clone(), None, 1).await?.is_none() {
        return Err(reader.not_found("there is no such issue"));
    }
    let command = command(&form)?;
    if let Some(why) = (parts.refuses)(at.clone(), command.clone()).await {
        return Err(Refusal::page(StatusCode::BAD_REQUEST, &why));
    }
    tracing::info!(by = reader.visitor.name(), issue = %at, verb = form.field("order"), "a command was requested");
    let act = format!("gave `{}` for {at}", format!("/triage {command}").trim_end());
    let order = ManualOrder { by: reader.visitor.name().to_owned(), command, task_type: None };
    let place = parts.store.order(at.clone(), order, reader.now).await?;
    (parts.wake)();
    reader.note(act, Some(at.repo.to_string())).await;
    reader.session.notify(&outcome(&parts.store, place).await?);
    Ok(see_other(&reader.issue_path(&at)))
}

/// What became of a command, as far as that is known soon.
async fn outcome(store: &Store, place: i64) -> Result<String, Refusal> {
    let until = Instant::now() + PATIENCE;
    loop {
        let given = store.order_given(place).await?;
        if let Some(given) = given.filter(OrderView::has_ended) {
            let became = given.state.as_str().replace('_', " ");
            let why = given.why.map(|why| format!(": {why}")).unwrap_or_default();
            return Ok(format!("`{}` was {became}{why}.", given.command));
        }
        if Instant::now() >= until {
            return Ok("The command is stored, and was not carried out yet. What becomes of it will stand below under Commands.".to_owned());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The handler of `POST /deliveries/failed`: retries or dismisses all failed deliveries that fit a filter.
pub(super) async fn failed(form: AdminForm) -> Result<HttpResponse, Refusal> {
    let reader = &form.reader;
    let parts = &reader.dashboard.parts;
    let given = |name: &str| Some(form.field(name).to_owned()).filter(|value| !value.is_empty());
    let query = DeliveryQuery {
        state: Some(DeliveryState::Dead),
        repo: given("repo"),
        text: given("q"),
        received: days(given),
        before: None,
        limit: MOST_FAILED,
    };
    let query_repo = query.repo.clone();
    let (places, is_all) = writable(reader, query).await?;
    let rest = if is_all { "" } else { " There are more: send it again." };
    let by = reader.visitor.name();
    let said = match form.field("do") {
        "retry" => {
            let count = parts.store.revive_all(places, reader.now).await?;
            (parts.wake)();
            tracing::info!(by, count, "retries were requested");
            note(reader, count, format!("had {} retried", counted(count)), query_repo).await;
            format!("{} will be retried.{rest}", counted(count))
        }
        "dismiss" => {
            let count = parts.store.dismiss_all(places, format!("dismissed by {by}")).await?;
            tracing::info!(by, count, "failed deliveries were dismissed");
            note(reader, count, format!("dismissed {}", counted(count)), query_repo).await;
            format!("{} dismissed.{rest}", counted(count))
        }
        _ => return Err(Refusal::page(StatusCode::BAD_REQUEST, "choose `retry` or `dismiss`")),
    };
    reader.session.notify(&said);
    Ok(see_other(&reader.path("/deliveries?state=dead")))
}

/// Keeps what was done to failed deliveries, if there were any.
async fn note(reader: &Reader, count: usize, what: String, repo: Option<String>) {
    if count > 0 {
        reader.note(what, repo).await;
    }
}

fn counted(count: usize) -> String {
    format!("{count} failed {}", if count == 1 { "delivery" } else { "deliveries" })
}

/// The places of the deliveries that fit and that they may act on, and whether those are all.
async fn writable(reader: &Reader, mut query: DeliveryQuery) -> Result<(Vec<i64>, bool), Refusal> {
    let (store, writes) = (&reader.dashboard.parts.store, &reader.visitor.writes);
    let mut places = Vec::new();
    while places.len() < MOST_FAILED {
        let page = store.delivery_page(query.clone(), writes.clone()).await?;
        for delivery in page.rows {
            let body = match writes {
                Sight::All => None,
                _ => store.body(delivery.seq).await?,
            };
            if has_delivery(writes, &delivery, body.as_deref()) {
                places.push(delivery.seq);
            }
        }
        query.before = page.older;
        if query.before.is_none() {
            return Ok((places, true));
        }
    }
    Ok((places, false))
}

/// The command as a person would type it after `/triage` in a comment.
fn command(form: &AdminForm) -> Result<String, Refusal> {
    let wrong = |why: &str| Refusal::page(StatusCode::BAD_REQUEST, why);
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

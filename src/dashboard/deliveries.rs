//! The list of deliveries, and the page of one delivery.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::elements::Html;
use super::evaluations::Explained;
use super::frame::{Frame, NavItem, render, see_other};
use super::listing::{Choice, Listing, Parameters, days, given};
use super::pretty::{Pretty, pretty};
use super::refusal::Refusal;
use crate::delivery::{DeliveryId, Origin};
use crate::dispatch::Reported;
use crate::gitea as forge;
use crate::store::{
    DeliveryQuery, DeliveryState, DeliveryStory, DeliveryView, Error, Page as Rows, Store,
};

/// Deliveries on one page of the list.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "deliveries.html")]
struct List {
    frame: Frame,
    list: Listing,
    page: Rows<DeliveryView>,
    states: Vec<Choice>,
    /// Whether the failed ones are shown.
    is_failed: bool,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Page {
    frame: Frame,
    story: DeliveryStory,
    body: Option<Pretty>,
    explained: Option<Explained>,
    can_retry: bool,
}

/// The handler of `GET /deliveries`.
pub(super) async fn list(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let query = DeliveryQuery {
        state: given(&parameters, "state").and_then(|name| name.parse().ok()),
        repo: given(&parameters, "repo"),
        text: given(&parameters, "q"),
        received: days(|name| given(&parameters, name)),
        before: given(&parameters, "before").and_then(|seq| seq.parse().ok()),
        limit: PAGE,
    };
    if let Some(id) = query.text.as_deref().and_then(DeliveryId::parse)
        && find(&reader, &id).await?.is_some()
    {
        return Ok(see_other(&reader.delivery_path(id.as_str())));
    }
    let is_failed = query.state == Some(DeliveryState::Dead);
    let states = DeliveryState::ALL.iter();
    let (unread, failed) = store.unread_and_failed().await?;
    let states = states.map(|state| Choice {
        name: state.as_str(),
        is_chosen: query.state == Some(*state),
        count: match state {
            DeliveryState::Received => Some(unread),
            DeliveryState::Dead => Some(failed),
            // What has ended is too much to count.
            _ => None,
        },
    });
    let states = states.collect();
    let page = store.delivery_page(query, reader.visitor.sees.clone()).await?;
    let list = Listing::of(&reader, &parameters, "/deliveries", page.older).await?;
    let frame = reader.frame(NavItem::Deliveries, "Deliveries");
    Ok(render(&List { frame, list, page, states, is_failed }))
}

fn parse(reader: &Reader, id: &str) -> Result<DeliveryId, Refusal> {
    DeliveryId::parse(id).ok_or_else(|| unknown(reader))
}

fn unknown(reader: &Reader) -> Refusal {
    reader.not_found("there is no such delivery; it may have been sent to another service")
}

/// A delivery that they see, with its body while that is kept.
pub(super) async fn find(reader: &Reader, id: &DeliveryId) -> Result<Option<Found>, Refusal> {
    let store = &reader.dashboard.parts.store;
    let Some(delivery) = store.delivery(id).await? else { return Ok(None) };
    let body = shown_body(store, &delivery).await?;
    let is_seen = reader.sees_body(&delivery, body.as_deref());
    Ok(is_seen.then_some(Found { delivery, body }))
}

/// A delivery, and its body while that is kept.
pub(super) struct Found {
    pub delivery: DeliveryView,
    pub body: Option<Vec<u8>>,
}

/// The handler of `GET /deliveries/{id}`.
pub(super) async fn page(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let id = parse(&reader, &id)?;
    let Found { body, .. } = find(&reader, &id).await?.ok_or_else(|| unknown(&reader))?;
    let story = store.delivery_story(&id).await?.ok_or_else(|| unknown(&reader))?;
    let explained = story.evaluation.as_ref().map(|evaluation| {
        let text = body.as_deref().and_then(forge::issue_text);
        Explained::of(evaluation, text)
    });
    let frame = reader.frame(NavItem::Deliveries, format!("Delivery {}", story.delivery.id));
    let can_retry = frame.is_admin && story.delivery.state == DeliveryState::Dead;
    let body = body.as_deref().map(pretty);
    Ok(render(&Page { frame, story, body, explained, can_retry }))
}

/// The handler of `GET /deliveries/{id}/body`: the signed bytes as received, as a download that no browser runs.
pub(super) async fn body(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let found = find(&reader, &parse(&reader, &id)?).await?;
    let Found { delivery, body } = found.ok_or_else(|| unknown(&reader))?;
    let body = body.ok_or_else(|| reader.not_found("its body was removed after `store.keep`"))?;
    let plain: String =
        delivery.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}.json\"")))
        .body(body))
}

/// The body, without what only the agent may know: whoever has the key of a dispatch may report about it.
async fn shown_body(store: &Store, delivery: &DeliveryView) -> Result<Option<Vec<u8>>, Error> {
    if delivery.origin != Origin::Agent {
        return store.body(delivery.seq).await;
    }
    let reported: Option<Reported> = store.carried(delivery.seq).await?;
    Ok(reported.and_then(|reported| serde_json::to_vec(&reported.report).ok()))
}

impl Page {
    fn source(&self) -> &'static str {
        match self.story.delivery.origin {
            Origin::Webhook => "signed webhook",
            Origin::Sweep => "sweep; no webhook had arrived",
            Origin::Manual => "a person",
            Origin::Agent => "report of an agent",
            Origin::Wake => "the service itself; the issue was due",
        }
    }

    fn is_webhook(&self) -> bool {
        self.story.delivery.origin == Origin::Webhook
    }

    /// The issue's title with the words that gave points.
    fn title(&self) -> Option<&Html> {
        self.explained.as_ref().and_then(|explained| explained.title.as_ref())
    }
}

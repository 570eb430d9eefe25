//! The list of deliveries, and one delivery's whole story.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use actix_web::web::{Path, Query};
use askama::Template;

use super::access::Reader;
use super::elements::{Marked, encoded};
use super::evaluations::Explained;
use super::frame::{Frame, Place, render};
use super::pretty::{Pretty, pretty};
use super::refusal::Refusal;
use crate::delivery::{DeliveryId, Origin};
use crate::gitea as forge;
use crate::store::{DeliveryPage, DeliveryQuery, DeliveryState, DeliveryStory};

/// How many deliveries stand on a page.
const PAGE: usize = 50;

const STATES: [DeliveryState; 6] = [
    DeliveryState::Received,
    DeliveryState::Pending,
    DeliveryState::Claimed,
    DeliveryState::Done,
    DeliveryState::Ignored,
    DeliveryState::Dead,
];

#[derive(Template)]
#[template(path = "deliveries.html")]
struct List {
    frame: Frame,
    page: DeliveryPage,
    states: [(&'static str, bool); 6],
    repos: Vec<(String, bool)>,
    text: String,
    /// The next page's address.
    older: Option<String>,
    is_filtered: bool,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Page {
    frame: Frame,
    story: DeliveryStory,
    origin: &'static str,
    body: Option<Pretty>,
    explained: Option<Explained>,
    can_retry: bool,
}

pub(super) type Parameters = Query<BTreeMap<String, String>>;

/// A parameter that is there and not empty.
pub(super) fn given(parameters: &Parameters, name: &str) -> Option<String> {
    parameters.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// The address of the next page: the same parameters, from another place on.
pub(super) fn next(path: &str, parameters: &Parameters, before: i64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = parameters.iter().filter(|(name, value)| *name != "before" && !value.is_empty());
    query.extend_pairs(kept).append_pair("before", &before.to_string());
    format!("{path}?{}", query.finish())
}

/// The repositories to choose from, and which one is chosen.
pub(super) async fn repos(
    reader: &Reader,
    chosen: Option<&str>,
) -> Result<Vec<(String, bool)>, Refusal> {
    let repos = reader.dashboard.parts.store.lane_repos().await?;
    let option = |repo: String| (chosen == Some(repo.as_str()), repo);
    Ok(repos
        .into_iter()
        .map(|repo| option(repo.to_string()))
        .map(|(is, name)| (name, is))
        .collect())
}

/// The handler of `GET /deliveries`.
pub(super) async fn list(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let query = DeliveryQuery {
        state: given(&parameters, "state").and_then(|name| name.parse().ok()),
        repo: given(&parameters, "repo"),
        text: given(&parameters, "q"),
        before: given(&parameters, "before").and_then(|seq| seq.parse().ok()),
        limit: PAGE,
    };
    if let Some(id) = query.text.as_deref().and_then(DeliveryId::parse)
        && store.delivery(&id).await?.is_some()
    {
        let place = format!("{}/deliveries/{}", reader.settings.base(), encoded(id.as_str()));
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, place)).finish());
    }
    let page = store.delivery_page(query.clone()).await?;
    let path = format!("{}/deliveries", reader.settings.base());
    let list = List {
        repos: repos(&reader, query.repo.as_deref()).await?,
        frame: reader.frame(Place::Deliveries, "Deliveries"),
        older: page.older.map(|before| next(&path, &parameters, before)),
        page,
        states: STATES.map(|state| (state.as_str(), query.state == Some(state))),
        is_filtered: query.state.is_some() || query.repo.is_some() || query.text.is_some(),
        text: query.text.unwrap_or_default(),
    };
    Ok(render(&list))
}

fn parse(reader: &Reader, id: &str) -> Result<DeliveryId, Refusal> {
    DeliveryId::parse(id).ok_or_else(|| unknown(reader))
}

fn unknown(reader: &Reader) -> Refusal {
    reader.not_found("there is no such delivery; it may have been sent to another service")
}

/// The handler of `GET /deliveries/{id}`.
pub(super) async fn page(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let story = store.delivery_story(&parse(&reader, &id)?).await?;
    let story = story.ok_or_else(|| unknown(&reader))?;
    let body = store.body(story.delivery.seq).await?;
    let explained = story.evaluation.as_ref().map(|evaluation| {
        let text = body.as_deref().and_then(forge::issue_text);
        Explained::of(evaluation, text)
    });
    let frame = reader.frame(Place::Deliveries, format!("Delivery {}", story.delivery.id));
    let can_retry = frame.is_admin && story.delivery.state == DeliveryState::Dead;
    let origin = origin(story.delivery.origin);
    let body = body.as_deref().map(pretty);
    Ok(render(&Page { frame, story, origin, body, explained, can_retry }))
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Webhook => "a signed webhook",
        Origin::Sweep => "the sweep, which no webhook had told",
        Origin::Manual => "a person, by hand",
        Origin::Agent => "an agent that reported",
        Origin::Wake => "the service itself: the issue's turn had come",
    }
}

/// The handler of `GET /deliveries/{id}/body`: the signed bytes as they came, to be kept and never to be run.
pub(super) async fn body(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let delivery = store.delivery(&parse(&reader, &id)?).await?.ok_or_else(|| unknown(&reader))?;
    let body = store.body(delivery.seq).await?;
    let body = body.ok_or_else(|| reader.not_found("its body is past its time and was removed"))?;
    let plain: String =
        delivery.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}.json\"")))
        .body(body))
}

impl Page {
    /// The issue's title with the words that gave points.
    fn title(&self) -> Option<&Marked> {
        self.explained.as_ref().and_then(|explained| explained.title.as_ref())
    }
}

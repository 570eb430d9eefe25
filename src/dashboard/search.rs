//! One field that finds everything: an issue by its name, a delivery by its id, both by their words.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use askama::Template;

use super::access::Reader;
use super::deliveries::{Parameters, given, next};
use super::frame::{Frame, Place, render};
use super::refusal::Refusal;
use crate::delivery::DeliveryId;
use crate::issue::IssueRef;
use crate::store::{DeliveryPage, DeliveryQuery, IssuePage, IssueQuery};

/// How many of each are shown.
const FOUND: usize = 20;
/// The longest text that is looked for, in characters.
const LONGEST: usize = 200;

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    issues: IssuePage,
    deliveries: DeliveryPage,
    /// The addresses at which each list goes on.
    more_issues: Option<String>,
    more_deliveries: Option<String>,
}

/// The handler of `GET /search`.
pub(super) async fn page(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let text = given(&parameters, "q").unwrap_or_default();
    let text: String = text.chars().take(LONGEST).collect();
    if let Some(place) = exact(&reader, &text).await? {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, place)).finish());
    }
    let (mut issues, mut deliveries) = Default::default();
    if !text.is_empty() {
        let store = &reader.dashboard.parts.store;
        let wanted = Some(text.clone());
        let issue = IssueQuery { text: wanted.clone(), limit: FOUND, ..IssueQuery::default() };
        let delivery = DeliveryQuery { text: wanted, limit: FOUND, ..DeliveryQuery::default() };
        (issues, deliveries) =
            tokio::try_join!(store.issue_page(issue), store.delivery_page(delivery))?;
    }
    let more = |path: &str, from: Option<i64>| {
        from.map(|before| next(&format!("{}{path}", reader.settings.base()), &parameters, before))
    };
    let (more_issues, more_deliveries) =
        (more("/issues", issues.older), more("/deliveries", deliveries.older));
    let mut frame = reader.frame(Place::None, "Search");
    frame.query = text;
    Ok(render(&Page { frame, issues, deliveries, more_issues, more_deliveries }))
}

/// The page of what was named exactly.
async fn exact(reader: &Reader, text: &str) -> Result<Option<String>, Refusal> {
    let store = &reader.dashboard.parts.store;
    let frame = reader.frame(Place::None, "");
    if let Ok(at) = text.parse::<IssueRef>()
        && store.issue_story(at.clone(), None, 1).await?.is_some()
    {
        return Ok(Some(frame.issue_path(at.repo.to_string(), at.number)));
    }
    let id = DeliveryId::parse(text).filter(|id| id.as_str().len() > 8);
    match id {
        Some(id) if store.delivery(&id).await?.is_some() => {
            Ok(Some(frame.delivery_path(id.as_str())))
        }
        _ => Ok(None),
    }
}

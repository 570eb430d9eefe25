//! The search: an issue by its name, a delivery by its id, both by words.

use actix_web::HttpResponse;
use askama::Template;

use super::access::Reader;
use super::deliveries::find;
use super::frame::{Frame, NavItem, render, see_other};
use super::listing::{Parameters, given, next};
use super::refusal::Refusal;
use crate::delivery::DeliveryId;
use crate::issue::IssueRef;
use crate::store::{DeliveryQuery, DeliveryView, IssueQuery, IssueRow, Page as Rows};

/// How many of each are shown.
const FOUND: usize = 20;
/// The longest text that is looked for, in characters.
const LONGEST: usize = 200;

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    issues: Rows<IssueRow>,
    deliveries: Rows<DeliveryView>,
    /// The addresses at which each list goes on.
    more_issues: Option<String>,
    more_deliveries: Option<String>,
}

/// The handler of `GET /search`.
pub(super) async fn page(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let text = given(&parameters, "q").unwrap_or_default();
    let text: String = text.chars().take(LONGEST).collect();
    if let Some(place) = exact(&reader, &text).await? {
        return Ok(see_other(&place));
    }
    let (mut issues, mut deliveries) = Default::default();
    if !text.is_empty() {
        let store = &reader.dashboard.parts.store;
        let sees = || reader.visitor.sees.clone();
        let wanted = Some(text.clone());
        let issue = IssueQuery { text: wanted.clone(), limit: FOUND, ..IssueQuery::default() };
        let delivery = DeliveryQuery { text: wanted, limit: FOUND, ..DeliveryQuery::default() };
        (issues, deliveries) = tokio::try_join!(
            store.issue_page(issue, sees()),
            store.delivery_page(delivery, sees())
        )?;
    }
    let more = |path: &str, from: Option<i64>| {
        from.map(|before| next(&reader.path(path), &parameters, before))
    };
    let (more_issues, more_deliveries) =
        (more("/issues", issues.older), more("/deliveries", deliveries.older));
    let mut frame = reader.frame(NavItem::None, "Search");
    frame.query = text;
    Ok(render(&Page { frame, issues, deliveries, more_issues, more_deliveries }))
}

/// The page of an issue or delivery that the text names exactly.
async fn exact(reader: &Reader, text: &str) -> Result<Option<String>, Refusal> {
    let store = &reader.dashboard.parts.store;
    if let Ok(at) = text.parse::<IssueRef>()
        && reader.sees_repo(&at.repo.to_string())
        && store.issue_story(at.clone(), None, 1).await?.is_some()
    {
        return Ok(Some(reader.issue_path(&at)));
    }
    let id = DeliveryId::parse(text).filter(|id| id.as_str().len() > 8);
    let Some(id) = id else { return Ok(None) };
    let found = find(reader, &id).await?;
    Ok(found.map(|_| reader.delivery_path(id.as_str())))
}

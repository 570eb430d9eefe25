//! What people did on the dashboard, with their names.

use actix_web::HttpResponse;
use askama::Template;

use super::access::Reader;
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use crate::store::Act;

/// How many are shown.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "acts.html")]
struct Page {
    frame: Frame,
    acts: Vec<Act>,
}

/// The handler of `GET /acts`.
pub(super) async fn page(reader: Reader) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let (sees, by) = (reader.visitor.sees.clone(), reader.visitor.name().to_owned());
    let acts = store.acts(sees, by, MOST).await?;
    Ok(render(&Page { frame: reader.frame(NavItem::None, "Who did what"), acts }))
}

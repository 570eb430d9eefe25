//! One's own sessions: where somebody is signed in, and ending any of them.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::{Form, Reader};
use super::frame::{Frame, NavItem, render, see_other};
use super::refusal::Refusal;
use super::session::SessionExt as _;
use crate::clock::Timestamp;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Page {
    frame: Frame,
    name: String,
    rows: Vec<Row>,
}

/// One session.
struct Row {
    key: String,
    browser: String,
    since: Timestamp,
    seen: Timestamp,
    is_this: bool,
}

/// The handler of `GET /sessions`.
pub(super) async fn page(reader: Reader) -> Result<HttpResponse, Refusal> {
    let ours = &reader.visitor.session;
    let store = &reader.dashboard.parts.store;
    let sessions = store.sessions_of(ours.account.as_ref().map(|account| account.id)).await?;
    let rows = sessions.into_iter().map(|session| Row {
        is_this: session.key == ours.key,
        key: session.key,
        browser: session.browser,
        since: session.since,
        seen: session.seen,
    });
    let rows = rows.collect();
    let name = reader.visitor.name().to_owned();
    Ok(render(&Page { frame: reader.frame(NavItem::None, "Your sessions"), name, rows }))
}

/// The handler of `POST /sessions/{key}/end`.
pub(super) async fn end(
    key: Path<String>,
    form: Form,
    reader: Reader,
) -> Result<HttpResponse, Refusal> {
    let ended = end_own(&reader, |one| one == key.as_str()).await?;
    let said =
        if ended > 0 { "The session has ended." } else { "There is no such session of yours." };
    form.session.notify(said);
    Ok(see_other(&reader.path("/sessions")))
}

/// The handler of `POST /sessions/end`.
pub(super) async fn end_others(form: Form, reader: Reader) -> Result<HttpResponse, Refusal> {
    let this = reader.visitor.session.key.clone();
    let ended = end_own(&reader, |one| one != this).await?;
    form.session.notify(&format!("{ended} sessions have ended."));
    Ok(see_other(&reader.path("/sessions")))
}

/// Ends those of one's own sessions; how many there were.
async fn end_own(reader: &Reader, which: impl Fn(&str) -> bool) -> Result<usize, Refusal> {
    let own = reader.visitor.session.account.as_ref().map(|account| account.id);
    let mut ended = 0;
    for session in reader.dashboard.parts.store.sessions_of(own).await? {
        if which(&session.key) && reader.dashboard.end_session(&session.key).await? {
            ended += 1;
        }
    }
    tracing::info!(visitor = reader.visitor.name(), ended, "sessions were ended");
    Ok(ended)
}

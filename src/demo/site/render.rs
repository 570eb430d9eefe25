//! A page as an answer.

use std::fmt::{self, Display, Formatter};

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use super::Site;
use crate::dashboard::POLICY;
use crate::fake_gitea::FakeGitea;

/// What stands around every page.
pub(super) struct Frame {
    pub title: String,
    /// The link that signs in to the dashboard, once there is a service.
    pub dashboard: Option<String>,
}

impl Frame {
    pub fn new(site: &Site, title: String) -> Self {
        let dashboard = site.dashboard.get().map(|dashboard| dashboard.entrance.clone());
        Self { title, dashboard }
    }
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "forge/message.html")]
pub(super) struct Message {
    pub frame: Frame,
    pub text: &'static str,
}

/// A page that only says why it is not the one that was asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: &'static str,
    dashboard: Option<String>,
}

impl Refusal {
    pub fn new(site: &Site, status: StatusCode, text: &'static str) -> Self {
        Self { status, text, dashboard: Frame::new(site, String::new()).dashboard }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let title = self.status.canonical_reason().unwrap_or_default().to_owned();
        let frame = Frame { title, dashboard: self.dashboard.clone() };
        page(self.status, &Message { frame, text: self.text })
    }
}

/// A page with this status.
pub(super) fn page(status: StatusCode, page: &impl Template) -> HttpResponse {
    let Ok(text) = page.render() else { return HttpResponse::InternalServerError().finish() };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}

/// The forge that is shown, or the answer while there is none.
pub(super) fn forge(site: &Site) -> Result<FakeGitea, Refusal> {
    let why = "The demo is starting or stopping. Load the page again.";
    site.gitea().ok_or_else(|| Refusal::new(site, StatusCode::SERVICE_UNAVAILABLE, why))
}

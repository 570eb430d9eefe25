//! The frame of every page: navigation, who is signed in, and the constructors for the elements that templates use.

use std::borrow::Borrow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use askama::Template;
use chrono::TimeDelta;

use super::assets;
use super::elements::{self, Html, Moment};
use super::settings::Settings;
use crate::clock::Timestamp;

/// The entry of the navigation that a page belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NavItem {
    Overview,
    Deliveries,
    Issues,
    Agents,
    #[default]
    None,
}

/// The frame of one page.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// The path the dashboard is mounted under, without a slash at its end.
    pub base: String,
    pub title: String,
    pub item: NavItem,
    pub now: Timestamp,
    /// The name of who is signed in.
    pub visitor: Option<String>,
    pub is_admin: bool,
    /// The CSRF token for the forms of the page.
    pub csrf: String,
    /// A message shown once above the page.
    pub notice: Option<String>,
    /// Whether the page updates itself when something changes.
    pub is_live: bool,
    pub is_dry_run: bool,
    /// How people call the forge.
    pub forge: &'static str,
    /// The text of the search that is shown.
    pub query: String,
}

impl Frame {
    /// The frame of a page for a visitor who is not signed in.
    pub fn new(settings: &Settings, now: Timestamp, item: NavItem, title: String) -> Self {
        let is_dry_run = settings.dry_run;
        Self { base: settings.base(), title, item, now, is_dry_run, ..Self::default() }
    }

    /// The frame of an error page for a visitor who is not signed in.
    pub fn of_refusal(settings: &Settings) -> Self {
        Self { base: settings.base(), ..Self::default() }
    }

    /// The navigation: path, name, and whether it is the current one.
    pub fn navigation(&self) -> [(&'static str, &'static str, bool); 4] {
        [
            ("/", "Overview", NavItem::Overview),
            ("/deliveries", "Deliveries", NavItem::Deliveries),
            ("/issues", "Issues", NavItem::Issues),
            ("/agents", "Agents", NavItem::Agents),
        ]
        .map(|(path, name, item)| (path, name, item == self.item))
    }

    pub fn time(&self, at: impl Moment) -> Html {
        elements::time(at.moment(), self.now)
    }

    /// A span of time in its two largest units.
    pub fn span(&self, span: &TimeDelta) -> String {
        elements::span(*span)
    }

    /// Text from outside, escaped.
    pub fn text(&self, text: impl AsRef<str>) -> Html {
        elements::text(text.as_ref())
    }

    /// A sentence of this program, in which code stands between backticks.
    pub fn sentence(&self, text: impl AsRef<str>) -> Html {
        elements::sentence(text.as_ref())
    }

    pub fn chip(&self, word: impl AsRef<str>) -> Html {
        elements::chip(word.as_ref())
    }

    pub fn issue(&self, repo: impl AsRef<str>, number: impl Borrow<u64>) -> Html {
        elements::issue_link(&self.base, repo.as_ref(), *number.borrow())
    }

    /// A link to an issue written `owner/name#12`.
    pub fn issue_at(&self, at: impl AsRef<str>) -> Html {
        let (repo, number) = at.as_ref().rsplit_once('#').unwrap_or((at.as_ref(), "0"));
        self.issue(repo, number.parse::<u64>().unwrap_or(0))
    }

    pub fn delivery(&self, id: impl AsRef<str>) -> Html {
        elements::delivery_link(&self.base, id.as_ref())
    }

    pub fn delivery_path(&self, id: impl AsRef<str>) -> String {
        elements::delivery_path(&self.base, id.as_ref())
    }

    pub fn issue_path(&self, repo: impl AsRef<str>, number: impl Borrow<u64>) -> String {
        elements::issue_path(&self.base, repo.as_ref(), *number.borrow())
    }

    /// A version for the addresses of the assets, which browsers keep for a year.
    pub fn edition(&self) -> &'static str {
        &assets::EDITION
    }

    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// A page as an answer.
pub(super) fn render(page: &impl Template) -> HttpResponse {
    render_as(StatusCode::OK, page)
}

/// A page as an answer with this status.
pub(super) fn render_as(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(text),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// A redirect to a page after a form.
pub(crate) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

//! The frame of every page: navigation, who is signed in, and the constructors for the elements that templates use.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use askama::Template;

use super::assets;
use super::elements::{Chip, DeliveryLink, IssueLink, Moment, Text, Time};
use super::settings::Settings;
use crate::clock::Timestamp;

/// The entry of the navigation that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NavItem {
    Overview,
    Deliveries,
    Issues,
    Agents,
    None,
}

/// The frame of one page.
#[derive(Debug)]
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
    /// The text of the search that is shown.
    pub query: String,
}

impl Frame {
    /// The frame of a page for a visitor who is not signed in.
    pub fn new(settings: &Settings, now: Timestamp, item: NavItem, title: String) -> Self {
        let frame = Self::bare(settings.base(), now, item, title);
        Self { is_dry_run: settings.dry_run, ..frame }
    }

    /// The frame where the settings do not matter.
    pub fn bare(base: String, now: Timestamp, item: NavItem, title: String) -> Self {
        Self {
            base,
            title,
            item,
            now,
            visitor: None,
            is_admin: false,
            csrf: String::new(),
            notice: None,
            is_live: false,
            is_dry_run: false,
            query: String::new(),
        }
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

    pub fn time(&self, at: impl Moment) -> Time {
        Time { at: at.moment(), now: self.now }
    }

    /// Text from outside, escaped.
    pub fn text(&self, text: impl AsRef<str>) -> Text {
        Text(text.as_ref().to_owned())
    }

    pub fn chip(&self, word: impl AsRef<str>) -> Chip {
        Chip(word.as_ref().to_owned())
    }

    pub fn issue(&self, repo: impl AsRef<str>, number: impl std::borrow::Borrow<u64>) -> IssueLink {
        let (repo, number) = (repo.as_ref().to_owned(), *number.borrow());
        IssueLink { base: self.base.clone(), repo, number }
    }

    /// A link to an issue written `owner/name#12`.
    pub fn issue_at(&self, at: impl AsRef<str>) -> IssueLink {
        let (repo, number) = at.as_ref().rsplit_once('#').unwrap_or((at.as_ref(), "0"));
        self.issue(repo, number.parse::<u64>().unwrap_or(0))
    }

    pub fn delivery(&self, id: impl AsRef<str>) -> DeliveryLink {
        DeliveryLink { base: self.base.clone(), id: id.as_ref().to_owned() }
    }

    /// The path of a delivery's page.
    pub fn delivery_path(&self, id: impl AsRef<str>) -> String {
        self.delivery(id).path()
    }

    /// The path of an issue's page.
    pub fn issue_path(
        &self,
        repo: impl AsRef<str>,
        number: impl std::borrow::Borrow<u64>,
    ) -> String {
        self.issue(repo, number).path()
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
pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

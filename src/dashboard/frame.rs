//! What stands around every page: navigation, who is signed in, and the words and links that pages share.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::assets;
use super::elements::{Chip, DeliveryLink, IssueLink, Moment, Text, Time, encoded};
use super::settings::Settings;
use crate::clock::Timestamp;

/// Which part of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Deliveries,
    Issues,
    Agents,
    None,
}

/// What stands around a page.
#[derive(Debug)]
pub(super) struct Frame {
    /// The path the dashboard is mounted under, without a slash at its end.
    pub base: String,
    pub title: String,
    pub place: Place,
    pub now: Timestamp,
    /// The name of who is signed in.
    pub visitor: Option<String>,
    pub is_admin: bool,
    /// What every form has to bring.
    pub csrf: String,
    /// Said once, above the page.
    pub notice: Option<String>,
    /// Whether the page is fetched again when something changes.
    pub is_live: bool,
    pub is_dry_run: bool,
    /// Words of the search that is shown.
    pub query: String,
}

impl Frame {
    /// The frame of a page for somebody who is not known.
    pub fn new(settings: &Settings, now: Timestamp, place: Place, title: String) -> Self {
        let frame = Self::bare(settings.base(), now, place, title);
        Self { is_dry_run: settings.dry_run, ..frame }
    }

    /// The least frame there is.
    pub fn bare(base: String, now: Timestamp, place: Place, title: String) -> Self {
        Self {
            base,
            title,
            place,
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

    /// The navigation: path, name, and whether it is where we are.
    pub fn navigation(&self) -> [(&'static str, &'static str, bool); 4] {
        [
            ("/", "Overview", Place::Overview),
            ("/deliveries", "Deliveries", Place::Deliveries),
            ("/issues", "Issues", Place::Issues),
            ("/agents", "Agents", Place::Agents),
        ]
        .map(|(path, name, place)| (path, name, place == self.place))
    }

    pub fn time(&self, at: impl Moment) -> Time {
        Time { at: at.moment(), now: self.now }
    }

    /// Words from outside, made harmless.
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
        format!("{}/deliveries/{}", self.base, encoded(id.as_ref()))
    }

    /// The path of an issue's page.
    pub fn issue_path(
        &self,
        repo: impl AsRef<str>,
        number: impl std::borrow::Borrow<u64>,
    ) -> String {
        self.issue(repo, number).path()
    }

    /// Changes with every change of the style sheet and the script, which browsers keep for a year.
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
            tracing::error!(%error, "a page could not be made");
            HttpResponse::InternalServerError().finish()
        }
    }
}

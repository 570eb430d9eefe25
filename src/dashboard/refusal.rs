//! Why a page is not shown, as a page of its own.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::Dashboard;
use super::frame::{Frame, Place, render_as};
use super::local::LocalPath;
use super::settings::Settings;
use crate::clock::from_millis;
use crate::store;

/// An answer that is no page of what was asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Go there instead.
    Elsewhere(String),
    /// No.
    Page { status: StatusCode, title: &'static str, text: String, base: String },
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    text: String,
}

impl Refusal {
    fn page(settings: &Settings, status: StatusCode, title: &'static str, text: &str) -> Self {
        Self::Page { status, title, text: text.to_owned(), base: settings.base() }
    }

    /// Asks who it is, and remembers where they wanted to go.
    pub fn sign_in(settings: &Settings, request: &HttpRequest) -> Self {
        let wanted = request.uri().path_and_query().map_or("/", |place| place.as_str());
        let next = match request.method().as_str() {
            "GET" => LocalPath::parse(wanted),
            _ => LocalPath::home(),
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", next.as_str());
        Self::Elsewhere(format!("{}/sign-in?{}", settings.base(), query.finish()))
    }

    /// Sends the browser on to a place of ours.
    pub fn to(settings: &Settings, place: &LocalPath) -> Self {
        Self::Elsewhere(format!("{}{}", settings.base(), place.as_str()))
    }

    pub fn not_found(settings: &Settings, what: &str) -> Self {
        Self::page(settings, StatusCode::NOT_FOUND, "Not found", what)
    }

    pub fn forbidden(settings: &Settings, why: &str) -> Self {
        Self::page(settings, StatusCode::FORBIDDEN, "Not allowed", why)
    }

    pub fn bad_request(settings: &Settings, why: &str) -> Self {
        Self::page(settings, StatusCode::BAD_REQUEST, "Not understood", why)
    }

    pub fn too_many(settings: &Settings, why: &str) -> Self {
        Self::page(settings, StatusCode::TOO_MANY_REQUESTS, "Too many tries", why)
    }

    pub fn unavailable(settings: &Settings, why: &str) -> Self {
        Self::page(settings, StatusCode::SERVICE_UNAVAILABLE, "Not now", why)
    }

    /// Something that cannot happen while the service is put together as it is.
    pub fn broken() -> Self {
        Self::Page {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "Broken",
            text: "the page could not be made; see the service's log".to_owned(),
            base: String::new(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Elsewhere(_) => f.write_str("sent on"),
            Self::Page { text, .. } => f.write_str(text),
        }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        tracing::warn!(%error, "a page could not be read from the store");
        Self::Page {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "Not now",
            text: "the store could not be read; see the service's log, and load the page again"
                .to_owned(),
            base: String::new(),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Elsewhere(_) => StatusCode::SEE_OTHER,
            Self::Page { status, .. } => *status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Elsewhere(place) => {
                HttpResponse::SeeOther().insert_header((LOCATION, place.as_str())).finish()
            }
            Self::Page { status, title, text, base } => {
                let frame = Frame::bare(base.clone(), from_millis(0), Place::None, (*title).into());
                render_as(*status, &Message { frame, text: text.clone() })
            }
        }
    }
}

/// The page while nobody can sign in: it says how to change that, and nothing else.
pub(super) fn switched_off(settings: &Settings, is_front: bool) -> HttpResponse {
    #[derive(Template)]
    #[template(path = "off.html")]
    struct Off {
        frame: Frame,
        public_url: String,
    }
    let frame =
        Frame::bare(settings.base(), from_millis(0), Place::None, "The dashboard is off".into());
    let status = if is_front { StatusCode::OK } else { StatusCode::NOT_FOUND };
    render_as(status, &Off { frame, public_url: settings.public_url.clone() })
}

/// Every path that nobody knows.
pub(super) async fn nothing_here(dashboard: Data<Dashboard>) -> Refusal {
    Refusal::not_found(&dashboard.settings(), "there is no such page")
}

impl actix_web::Responder for Refusal {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

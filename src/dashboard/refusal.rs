//! Error pages and redirects: the answers that are not the page that was asked for.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::frame::{Frame, render_as, see_other};
use super::local::LocalPath;
use super::settings::Settings;
use crate::store;

/// How long a browser or a program is asked to wait for the store, in seconds.
const RETRY_AFTER_S: &str = "2";

/// An answer instead of the page.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A redirect to this address.
    Redirect(String),
    /// An error page, which gets its frame where the answer leaves the dashboard.
    Page { status: StatusCode, text: String },
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    text: String,
}

impl Refusal {
    /// An error page.
    pub fn page(status: StatusCode, text: &str) -> Self {
        Self::Page { status, text: text.to_owned() }
    }

    /// The error page, in the frame of whoever asked; nothing for a redirect.
    pub fn framed(&self, mut frame: Frame) -> Option<String> {
        let Self::Page { status, text } = self else { return None };
        frame.title = status.canonical_reason().unwrap_or_default().to_owned();
        let page = Message { frame, text: text.clone() };
        page.render()
            .inspect_err(|error| tracing::error!(%error, "a page could not be rendered"))
            .ok()
    }

    /// Redirects to the sign-in page, which leads back to this one.
    pub fn sign_in(settings: &Settings, request: &HttpRequest) -> Self {
        let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let next = match request.method().as_str() {
            "GET" => LocalPath::parse(wanted),
            _ => LocalPath::home(),
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", next.as_str());
        Self::Redirect(format!("{}/sign-in?{}", settings.base(), query.finish()))
    }

    /// Redirects to a page of the dashboard.
    pub fn to(settings: &Settings, path: &LocalPath) -> Self {
        Self::Redirect(format!("{}{}", settings.base(), path.as_str()))
    }

    /// A fault in the wiring of the service.
    pub fn broken() -> Self {
        Self::Page {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text: "the page could not be rendered; see the service log".to_owned(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redirect(_) => f.write_str("redirected"),
            Self::Page { text, .. } => f.write_str(text),
        }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        tracing::warn!(%error, "a page could not be read from the store");
        Self::Page {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "the store could not be read; see the service log and reload the page".to_owned(),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Redirect(_) => StatusCode::SEE_OTHER,
            Self::Page { status, .. } => *status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Redirect(path) => see_other(path),
            Self::Page { status, .. } => {
                let mut answer = HttpResponse::build(*status);
                if *status == StatusCode::SERVICE_UNAVAILABLE {
                    answer.insert_header((RETRY_AFTER, RETRY_AFTER_S));
                }
                answer.content_type("text/html; charset=utf-8").finish()
            }
        }
    }
}

/// The page while no sign-in method is configured.
pub(super) fn switched_off(settings: &Settings, is_front: bool) -> HttpResponse {
    #[derive(Template)]
    #[template(path = "off.html")]
    struct Off {
        frame: Frame,
        public_url: String,
    }
    let title = "The dashboard is off".to_owned();
    let frame = Frame { title, ..Frame::of_refusal(settings) };
    let status = if is_front { StatusCode::OK } else { StatusCode::NOT_FOUND };
    render_as(status, &Off { frame, public_url: settings.public_url.clone() })
}

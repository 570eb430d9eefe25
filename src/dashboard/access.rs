//! Authentication and authorisation as extractors: a handler gets a [`Reader`], a [`Form`] or an [`AdminForm`], so that
//! none can forget the check.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_session::Session;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::Dashboard;
use super::elements;
use super::frame::{Frame, NavItem};
use super::refusal::Refusal;
use super::session::{NOTICE, SIGNED_WITH, SessionExt as _, VISITOR, Visitor, Who};
use super::settings::Settings;
use crate::clock::Timestamp;
use crate::issue::IssueRef;

/// A signed-in visitor who may see the pages.
pub(super) struct Reader {
    pub dashboard: Data<Dashboard>,
    pub settings: Arc<Settings>,
    pub session: Session,
    pub visitor: Visitor,
    pub now: Timestamp,
}

/// A form from a page of this dashboard; the sender need not be signed in.
pub(super) struct Form {
    pub dashboard: Data<Dashboard>,
    pub session: Session,
    fields: BTreeMap<String, String>,
}

/// A form of an admin.
pub(super) struct AdminForm {
    pub reader: Reader,
    form: Form,
}

impl Reader {
    /// The frame of a page.
    pub fn frame(&self, item: NavItem, title: impl Into<String>) -> Frame {
        Frame {
            visitor: Some(self.visitor.name().to_owned()),
            is_admin: self.visitor.is_admin(&self.settings),
            csrf: self.session.csrf(),
            notice: self.session.take(&NOTICE),
            is_live: true,
            forge: self.dashboard.parts.forge.product(),
            ..Frame::new(&self.settings, self.now, item, title.into())
        }
    }

    /// The address of a page of the dashboard.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.settings.base())
    }

    /// The address of a delivery's page.
    pub fn delivery_path(&self, id: &str) -> String {
        elements::delivery_path(&self.settings.base(), id)
    }

    /// The address of an issue's page.
    pub fn issue_path(&self, at: &IssueRef) -> String {
        elements::issue_path(&self.settings.base(), &at.repo.to_string(), at.number)
    }

    /// The answer where nothing is found.
    pub fn not_found(&self, what: &str) -> Refusal {
        Refusal::page(StatusCode::NOT_FOUND, &self.settings, what)
    }

    async fn of(request: HttpRequest) -> Result<Self, Refusal> {
        let (dashboard, session) = parts(&request).await?;
        let settings = dashboard.settings();
        let now = dashboard.parts.clock.now();
        let sign_in = || Refusal::sign_in(&settings, &request);
        let visitor =
            session.read(&VISITOR).filter(|visitor| !visitor.is_over(now)).ok_or_else(sign_in)?;
        let visitor = match visitor.who() {
            // The token or the application was changed in the configuration.
            who if who.mark(&settings).is_none()
                || who.mark(&settings) != session.read(&SIGNED_WITH) =>
            {
                None
            }
            Who::Account(_) if visitor.is_stale(now) => {
                still_allowed(&dashboard, &settings, &session, visitor).await
            }
            _ => Some(visitor),
        };
        let Some(visitor) = visitor else {
            session.purge();
            return Err(sign_in());
        };
        Ok(Self { dashboard, settings, session, visitor, now })
    }
}

/// The same visitor, if they still may write somewhere. While the forge is unreachable they keep access: the pages are
/// needed most then.
async fn still_allowed(
    dashboard: &Dashboard,
    settings: &Settings,
    session: &Session,
    visitor: Visitor,
) -> Option<Visitor> {
    let Who::Account(account) = visitor.who() else { return Some(visitor) };
    let now = dashboard.parts.clock.now();
    let Some(writers) = dashboard.people.writers(&settings.repos, now).await else {
        return Some(visitor);
    };
    let login = writers.get(&account.id)?;
    let visitor = visitor.checked(login, now);
    session.keep(&VISITOR, &visitor);
    Some(visitor)
}

async fn parts(request: &HttpRequest) -> Result<(Data<Dashboard>, Session), Refusal> {
    let dashboard = request.app_data::<Data<Dashboard>>().cloned().ok_or_else(Refusal::broken)?;
    let session = Session::extract(request).await.map_err(|_| Refusal::broken())?;
    Ok((dashboard, session))
}

impl Form {
    /// A field of the form, trimmed; empty when missing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.trim())
    }

    async fn of(request: HttpRequest, mut payload: Payload) -> Result<Self, Refusal> {
        let (dashboard, session) = parts(&request).await?;
        let settings = dashboard.settings();
        let form = web::Form::<BTreeMap<String, String>>::from_request(&request, &mut payload);
        let fields = form.await.map_err(|_| {
            Refusal::page(
                StatusCode::BAD_REQUEST,
                &settings,
                "the form could not be read; go back and send it again",
            )
        })?;
        let form = Self { dashboard, session, fields: fields.into_inner() };
        if !form.session.is_csrf(form.field("csrf")) {
            let why = "the form does not belong to your session; reload the page and send it again";
            return Err(Refusal::page(StatusCode::FORBIDDEN, &settings, why));
        }
        Ok(form)
    }
}

impl AdminForm {
    /// A field of the form, as [`Form::field`].
    pub fn field(&self, name: &str) -> &str {
        self.form.field(name)
    }

    async fn of(request: HttpRequest, payload: Payload) -> Result<Self, Refusal> {
        let form = Form::of(request.clone(), payload).await?;
        let reader = Reader::of(request).await?;
        if !reader.visitor.is_admin(&reader.settings) {
            let why =
                "you have read-only access; ask an admin, or ask to be added to `dashboard.admins`";
            return Err(Refusal::page(StatusCode::FORBIDDEN, &reader.settings, why));
        }
        Ok(Self { reader, form })
    }
}

macro_rules! from_request {
    ($name:ident, |$request:ident, $payload:ident| $of:expr) => {
        impl FromRequest for $name {
            type Error = Refusal;
            type Future = LocalBoxFuture<'static, Result<Self, Refusal>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let ($request, $payload) = (request.clone(), payload.take());
                Box::pin($of)
            }
        }
    };
}

from_request!(Reader, |request, _payload| Self::of(request));
from_request!(Form, |request, payload| Self::of(request, payload));
from_request!(AdminForm, |request, payload| Self::of(request, payload));

//! Who asks for a page, and whether they may: checked once, where a request is taken apart, so that no page and no
//! action can forget it.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_session::Session;
use actix_web::dev::Payload;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::Dashboard;
use super::frame::{Frame, Place};
use super::refusal::Refusal;
use super::session::{Kept as _, Visitor, Who};
use super::settings::Settings;
use crate::clock::Timestamp;

/// Somebody who may see the pages.
pub(super) struct Reader {
    pub dashboard: Data<Dashboard>,
    pub settings: Arc<Settings>,
    pub session: Session,
    pub visitor: Visitor,
    pub now: Timestamp,
}

/// A form that came from one of our own pages, whoever sent it.
pub(super) struct Form {
    pub dashboard: Data<Dashboard>,
    pub session: Session,
    fields: BTreeMap<String, String>,
}

/// A form of somebody who may act.
pub(super) struct Acting {
    pub reader: Reader,
    form: Form,
}

impl Reader {
    /// The frame of a page.
    pub fn frame(&self, place: Place, title: impl Into<String>) -> Frame {
        let mut frame = Frame::new(&self.settings, self.now, place, title.into());
        frame.visitor = Some(self.visitor.name().to_owned());
        frame.is_admin = self.visitor.is_admin(&self.settings);
        frame.csrf = self.session.csrf();
        frame.notice = self.session.take_notice();
        frame.is_live = true;
        frame
    }

    /// The answer to a page that is not there.
    pub fn not_found(&self, what: &str) -> Refusal {
        Refusal::not_found(&self.settings, what)
    }

    async fn of(request: HttpRequest) -> Result<Self, Refusal> {
        let (dashboard, session) = parts(&request).await?;
        let settings = dashboard.settings();
        let now = dashboard.parts.clock.now();
        let asks = || Refusal::sign_in(&settings, &request);
        let visitor = session.visitor().filter(|visitor| !visitor.is_over(now)).ok_or_else(asks)?;
        let visitor = match visitor.who() {
            // The token was taken out of the configuration since.
            Who::Token if settings.token.is_none() => None,
            Who::Account(_) if settings.sign_in.is_none() => None,
            Who::Account(_) if visitor.is_stale(now) => {
                still_allowed(&dashboard, &settings, &session, visitor).await
            }
            _ => Some(visitor),
        };
        let Some(visitor) = visitor else {
            session.purge();
            return Err(asks());
        };
        Ok(Self { dashboard, settings, session, visitor, now })
    }
}

/// The same visitor, if they still may write somewhere. While the forge does not say, they stay: the pages are needed
/// most when it is out.
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
    session.keep_visitor(&visitor);
    Some(visitor)
}

async fn parts(request: &HttpRequest) -> Result<(Data<Dashboard>, Session), Refusal> {
    let dashboard = request.app_data::<Data<Dashboard>>().cloned().ok_or_else(Refusal::broken)?;
    let session = Session::extract(request).await.map_err(|_| Refusal::broken())?;
    Ok((dashboard, session))
}

impl Form {
    /// A field of the form, without the space around it; empty when it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.trim())
    }

    async fn of(request: HttpRequest, mut payload: Payload) -> Result<Self, Refusal> {
        let (dashboard, session) = parts(&request).await?;
        let settings = dashboard.settings();
        let form = web::Form::<BTreeMap<String, String>>::from_request(&request, &mut payload);
        let fields = form.await.map_err(|_| {
            Refusal::bad_request(&settings, "the form could not be read; go back and send it again")
        })?;
        let form = Self { dashboard, session, fields: fields.into_inner() };
        if !form.session.is_csrf(form.field("csrf")) {
            let why =
                "the form does not belong to your session; load its page again and send it anew";
            return Err(Refusal::forbidden(&settings, why));
        }
        Ok(form)
    }
}

impl Acting {
    /// A field of the form, as [`Form::field`].
    pub fn field(&self, name: &str) -> &str {
        self.form.field(name)
    }

    async fn of(request: HttpRequest, payload: Payload) -> Result<Self, Refusal> {
        let form = Form::of(request.clone(), payload).await?;
        let reader = Reader::of(request).await?;
        if !reader.visitor.is_admin(&reader.settings) {
            let why =
                "you may look but not act; ask an admin, or to be named in `dashboard.admins`";
            return Err(Refusal::forbidden(&reader.settings, why));
        }
        Ok(Self { reader, form })
    }
}

macro_rules! taken_from_the_request {
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

taken_from_the_request!(Reader, |request, _payload| Self::of(request));
taken_from_the_request!(Form, |request, payload| Self::of(request, payload));
taken_from_the_request!(Acting, |request, payload| Self::of(request, payload));

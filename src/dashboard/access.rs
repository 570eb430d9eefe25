//! Authentication and authorisation as extractors: a handler gets a [`Reader`], a [`Form`] or an [`AdminForm`], so that
//! none can forget the check.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_session::Session;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::Dashboard;
use super::elements;
use super::frame::{Frame, NavItem};
use super::people::{Looked, Seen};
use super::refusal::Refusal;
use super::session::{LIFETIME, NOTICE, SESSION, SessionExt as _, Visitor, digest};
use super::settings::Settings;
use crate::clock::Timestamp;
use crate::gitea::{self as forge, SignInError};
use crate::issue::{IssueRef, RepoName};
use crate::store::{self, Act, DeliveryView, Sight};

/// A signed-in visitor who may see the pages.
pub(super) struct Reader {
    pub dashboard: Data<Dashboard>,
    pub settings: Arc<Settings>,
    pub session: Session,
    pub visitor: Visitor,
    pub now: Timestamp,
    /// The frame of an error page: whatever was to be said on the next page is still to be said.
    plain: Frame,
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
            notice: self.session.take(&NOTICE),
            is_live: true,
            forge: self.dashboard.parts.forge.product(),
            title: title.into(),
            item,
            ..self.plain.clone()
        }
    }

    /// Whether they see what belongs to a repository, `owner/name`.
    pub fn sees_repo(&self, repo: &str) -> bool {
        self.visitor.sees.has(repo)
    }

    /// Whether they see a delivery with this body.
    pub fn sees_body(&self, delivery: &DeliveryView, body: Option<&[u8]>) -> bool {
        has_delivery(&self.visitor.sees, delivery, body)
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

    /// Keeps what they have done, for the page that says who did what. The log has none of it: people write the texts.
    pub async fn note(&self, what: String, repo: Option<String>) {
        let (at, by) = (self.now, self.visitor.name().to_owned());
        let noted = self.dashboard.parts.store.note_act(Act { at, by, what, repo }).await;
        // It is done all the same, and must not be done once more.
        if let Err(error) = noted {
            tracing::warn!(%error, "what was done is missing in the list of who did what");
        }
    }

    /// Whether they may do something in a repository, as far as they are an admin.
    pub fn may_act_in(&self, repo: &RepoName) -> bool {
        self.visitor.writes.has(&repo.to_string())
    }

    /// The answer where nothing is found.
    pub fn not_found(&self, what: &str) -> Refusal {
        Refusal::page(StatusCode::NOT_FOUND, what)
    }

    async fn of(request: HttpRequest) -> Result<Self, Refusal> {
        let (dashboard, session) = parts(&request).await?;
        let settings = dashboard.settings();
        let now = dashboard.parts.clock.now();
        let secret = session.read(&SESSION);
        let visitor = match &secret {
            Some(secret) => visitor(&dashboard, &settings, &digest(secret), now).await?,
            None => None,
        };
        let Some(visitor) = visitor else {
            if secret.is_some() {
                session.purge();
            }
            return Err(Refusal::sign_in(&settings, &request));
        };
        let plain = Frame {
            visitor: Some(visitor.name().to_owned()),
            is_admin: visitor.is_admin,
            csrf: session.csrf(),
            ..Frame::new(&settings, now, NavItem::None, String::new())
        };
        request.extensions_mut().insert(plain.clone());
        Ok(Self { dashboard, settings, session, visitor, now, plain })
    }
}

/// Who has this session, if it is one: begun not too long ago, with what lets people in now, by somebody who may still
/// see something.
async fn visitor(
    dashboard: &Dashboard,
    settings: &Arc<Settings>,
    key: &str,
    now: Timestamp,
) -> Result<Option<Visitor>, Refusal> {
    let Some(session) = dashboard.parts.store.session(key).await? else { return Ok(None) };
    let mark = dashboard.mark(settings, session.account.is_some());
    let is_over = now - session.since > LIFETIME || mark.as_ref() != Some(&session.mark);
    let looked = match is_over {
        true => Looked::NoLonger,
        false if session.account.is_none() => {
            let seen = store::Session { seen: now, ..session.clone() };
            dashboard.touch(&session, seen).await?;
            return Ok(Some(Visitor::of_token(session)));
        }
        false => look(dashboard, settings, &session, now).await,
    };
    match looked {
        Looked::Seen(Seen { account, sees, writes }) => {
            let is_admin = dashboard.parts.named.any(&settings.admins, &account);
            let session = store::Session { account: Some(account), ..session };
            Ok(Some(Visitor { session, sees, writes, is_admin }))
        }
        Looked::NoLonger => {
            dashboard.end_session(key).await?;
            Ok(None)
        }
        Looked::Unknown => {
            let why = "your permissions could not be checked because the forge did not answer; reload the page in a moment";
            Err(Refusal::page(StatusCode::SERVICE_UNAVAILABLE, why))
        }
    }
}

/// What somebody with an account may see now, asked with their own token where the last answer is too old.
async fn look(
    dashboard: &Dashboard,
    settings: &Arc<Settings>,
    session: &store::Session,
    now: Timestamp,
) -> Looked {
    let asked = async {
        let closed = SignInError::Unusable("there are no tokens to ask with");
        let sign_in = settings.sign_in.as_ref().ok_or(closed)?;
        let mut tokens = dashboard.unseal(&session.tokens)?;
        if tokens.are_over(now) {
            tokens = sign_in.renew(&tokens, now).await?;
        }
        let kept = store::Session { tokens: dashboard.seal(&tokens), seen: now, ..session.clone() };
        // Before they are used: a server may take each refresh token only once.
        let _ = dashboard.parts.store.touch_session(kept.clone()).await;
        let seen = dashboard.people.ask(settings, tokens, now).await?;
        if session.account.as_ref().is_none_or(|account| account.id != seen.account.id) {
            return Err(SignInError::Unusable("it names somebody else"));
        }
        let kept = store::Session { account: Some(seen.account.clone()), ..kept };
        let _ = dashboard.parts.store.touch_session(kept).await;
        Ok(seen)
    };
    dashboard.people.look(&session.key, now, asked).await
}

/// Whether a delivery is in sight: its issue is, and what its body tells of. A pull request's delivery stands with the
/// issues that it names, and they may be in other repositories.
pub(super) fn has_delivery(sight: &Sight, delivery: &DeliveryView, body: Option<&[u8]>) -> bool {
    if *sight == Sight::All {
        return true;
    }
    let of_body = body.and_then(forge::sent_from);
    let has_body = of_body.as_ref().is_some_and(|sent| sight.has(&sent.repo.to_string()));
    match &delivery.issue {
        Some(issue) => {
            sight.has_issue(Some(issue)) && (has_body || of_body.is_none_or(|sent| !sent.is_pull))
        }
        None => has_body,
    }
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
        let form = web::Form::<BTreeMap<String, String>>::from_request(&request, &mut payload);
        let fields = form.await.map_err(|_| {
            Refusal::page(
                StatusCode::BAD_REQUEST,
                "the form could not be read; go back and send it again",
            )
        })?;
        let form = Self { dashboard, session, fields: fields.into_inner() };
        if !form.session.is_csrf(form.field("csrf")) {
            let why = "the form does not belong to your session; reload the page and send it again";
            return Err(Refusal::page(StatusCode::FORBIDDEN, why));
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
        if !reader.visitor.is_admin {
            let why =
                "you have read-only access; ask an admin, or ask to be added to `dashboard.admins`";
            return Err(Refusal::page(StatusCode::FORBIDDEN, why));
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

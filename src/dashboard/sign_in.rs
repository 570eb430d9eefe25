//! Signing in and out: with the dashboard's token, or through the forge.

use std::collections::BTreeMap;

use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Query};
use askama::Template;

use super::Dashboard;
use super::access::{Form, Reader};
use super::frame::{Frame, Place, render};
use super::local::LocalPath;
use super::refusal::Refusal;
use super::session::{Journey, Kept as _, Visitor, Who};
use super::settings::Settings;
use crate::gitea::{Flow, SignInError};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    by_token: bool,
    /// Where the way to the forge begins.
    by_forge: Option<String>,
}

type Parameters = Query<BTreeMap<String, String>>;

fn parameter<'p>(parameters: &'p Parameters, name: &str) -> &'p str {
    parameters.get(name).map_or("", String::as_str)
}

/// The handler of `GET /sign-in`.
pub(super) async fn page(
    dashboard: Data<Dashboard>,
    session: Session,
    parameters: Parameters,
) -> HttpResponse {
    let settings = dashboard.settings();
    let next = LocalPath::parse(parameter(&parameters, "next"));
    let now = dashboard.parts.clock.now();
    let mut frame = Frame::new(&settings, now, Place::None, "Sign in".into());
    frame.csrf = session.csrf();
    frame.notice = session.take_notice();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", next.as_str());
    let start = format!("{}/sign-in/gitea?{}", settings.base(), query.finish());
    render(&SignInPage {
        frame,
        next: next.as_str().to_owned(),
        by_token: settings.token.is_some(),
        by_forge: settings.sign_in.is_some().then_some(start),
    })
}

/// The handler of `POST /sign-in/token`.
pub(super) async fn by_token(form: Form) -> Result<HttpResponse, Refusal> {
    let dashboard = &form.dashboard;
    let settings = dashboard.settings();
    let now = dashboard.parts.clock.now();
    if !dashboard.attempts.allow(now) {
        let why = "too many wrong tokens were tried; wait a minute";
        return Err(Refusal::too_many(&settings, why));
    }
    if !settings.is_token(form.field("token")) {
        dashboard.attempts.note(now);
        tracing::warn!("a wrong dashboard token was tried");
        form.session.notify("That is not the token; it is `dashboard.token` of the configuration.");
        let again = format!("/sign-in?next={}", super::elements::encoded(form.field("next")));
        return Err(Refusal::to(&settings, &LocalPath::parse(&again)));
    }
    let visitor = Visitor::new(Who::Token, now);
    Ok(enter(&settings, &form.session, &visitor, form.field("next")))
}

/// Nothing of the session before is kept, so that nobody can have prepared it.
fn enter(settings: &Settings, session: &Session, visitor: &Visitor, next: &str) -> HttpResponse {
    session.clear();
    session.renew();
    session.keep_visitor(visitor);
    tracing::info!(visitor = visitor.name(), admin = visitor.is_admin(settings), "signed in");
    let place = format!("{}{}", settings.base(), LocalPath::parse(next).as_str());
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

/// The handler of `GET /sign-in/gitea`: sends the browser to the forge.
pub(super) async fn by_forge(
    dashboard: Data<Dashboard>,
    session: Session,
    parameters: Parameters,
) -> Result<HttpResponse, Refusal> {
    let settings = dashboard.settings();
    let Some(sign_in) = &settings.sign_in else {
        return Err(Refusal::not_found(&settings, "nobody signs in that way here"));
    };
    let flow = Flow::start();
    let place = sign_in.authorize_url(&flow);
    let next = LocalPath::parse(parameter(&parameters, "next")).as_str().to_owned();
    session.keep_journey(&Journey { flow, next });
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, place)).finish())
}

/// The handler of `GET /sign-in/callback`: the browser comes back.
pub(super) async fn callback(
    dashboard: Data<Dashboard>,
    session: Session,
    parameters: Parameters,
) -> Result<HttpResponse, Refusal> {
    let settings = dashboard.settings();
    let refuse = |why: &str| {
        session.notify(why);
        Refusal::to(&settings, &LocalPath::parse("/sign-in"))
    };
    let state = parameter(&parameters, "state");
    let journey = session.take_journey().filter(|journey| journey.flow.has_state(state));
    let journey = journey
        .ok_or_else(|| refuse("That sign-in was not begun here, or is over; start again."))?;
    let code = parameter(&parameters, "code");
    if code.is_empty() {
        return Err(refuse("Gitea did not let you in; start again if you changed your mind."));
    }
    let visitor = identify(&dashboard, &settings, &journey.flow, code).await;
    let visitor = visitor.map_err(|why| refuse(&why))?;
    Ok(enter(&settings, &session, &visitor, &journey.next))
}

/// Who came back, if they may see anything.
async fn identify(
    dashboard: &Data<Dashboard>,
    settings: &std::sync::Arc<Settings>,
    flow: &Flow,
    code: &str,
) -> Result<Visitor, String> {
    let now = dashboard.parts.clock.now();
    let Some(sign_in) = &settings.sign_in else { return Err("Nobody signs in that way.".into()) };
    let account = sign_in.identify(code, flow, now).await.map_err(|error: SignInError| {
        tracing::warn!(%error, "a sign-in failed");
        sentence(&error.to_string())
    })?;
    let writers = dashboard.people.writers(&settings.repos, now).await.ok_or(
        "Whether you may see this could not be asked; Gitea did not answer. Try again in a moment.",
    )?;
    // By number: a login can be given up and taken by somebody else.
    if !writers.contains_key(&account.id) {
        tracing::info!(login = account.login, "somebody without a right to see it signed in");
        return Err(format!(
            "`{}` may not see this: it is for people who may write to a repository that is looked after.",
            account.login
        ));
    }
    Ok(Visitor::new(Who::Account(account), now))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The handler of `POST /sign-out`.
pub(super) async fn out(form: Form, reader: Reader) -> Refusal {
    form.session.clear();
    form.session.notify("You are signed out.");
    tracing::info!(visitor = reader.visitor.name(), "signed out");
    Refusal::to(&reader.settings, &LocalPath::parse("/sign-in"))
}

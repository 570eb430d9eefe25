//! Signing in and out: with the dashboard's token, or through the forge.

use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::Dashboard;
use super::access::{Form, Reader};
use super::frame::{Frame, NavItem, render, see_other};
use super::listing::{Parameters, given};
use super::local::LocalPath;
use super::refusal::Refusal;
use super::session::{
    NOTICE, PendingSignIn, SIGN_IN, SIGNED_WITH, SessionExt as _, VISITOR, Visitor, Who,
};
use super::settings::Settings;
use crate::gitea::{Flow, SignInError};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    by_token: bool,
    /// The link that starts a sign-in through the forge.
    by_forge: Option<String>,
}

/// The handler of `GET /sign-in`.
pub(super) async fn page(
    dashboard: Data<Dashboard>,
    session: Session,
    parameters: Parameters,
) -> HttpResponse {
    let settings = dashboard.settings();
    let next = LocalPath::parse(&given(&parameters, "next").unwrap_or_default());
    let parts = &dashboard.parts;
    let now = parts.clock.now();
    if settings.sign_in.is_some() && !parts.forge.is_known() {
        // Its answer names the forge, for the button.
        parts.readiness.report().await;
    }
    let frame = Frame {
        csrf: session.csrf(),
        notice: session.take(&NOTICE),
        forge: parts.forge.product(),
        ..Frame::new(&settings, now, NavItem::None, "Sign in".into())
    };
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
    // The right one passes whatever others try: only wrong ones are too many.
    if !settings.is_token(form.field("token")) {
        if !dashboard.attempts.allow(now) {
            let why = "too many wrong tokens; try again in a minute";
            return Err(Refusal::page(StatusCode::TOO_MANY_REQUESTS, &settings, why));
        }
        dashboard.attempts.record_wrong(now);
        tracing::warn!("a wrong dashboard token was entered");
        form.session.notify("Wrong token. The token is `dashboard.token` in the configuration.");
        let again = format!("/sign-in?next={}", super::elements::encoded(form.field("next")));
        return Err(Refusal::to(&settings, &LocalPath::parse(&again)));
    }
    let visitor = Visitor::new(Who::Token, now);
    Ok(start_session(&settings, &form.session, &visitor, form.field("next")))
}

/// Starts a new session; the old one is discarded, so that nobody can have prepared it.
fn start_session(
    settings: &Settings,
    session: &Session,
    visitor: &Visitor,
    next: &str,
) -> HttpResponse {
    session.clear();
    session.renew();
    session.keep(&VISITOR, visitor);
    session.keep(&SIGNED_WITH, &visitor.who().mark(settings).unwrap_or_default());
    tracing::info!(visitor = visitor.name(), admin = visitor.is_admin(settings), "signed in");
    see_other(&format!("{}{}", settings.base(), LocalPath::parse(next).as_str()))
}

/// The handler of `GET /sign-in/gitea`: redirects the browser to the forge.
pub(super) async fn by_forge(
    dashboard: Data<Dashboard>,
    session: Session,
    parameters: Parameters,
) -> Result<HttpResponse, Refusal> {
    let settings = dashboard.settings();
    let Some(sign_in) = &settings.sign_in else {
        return Err(Refusal::page(
            StatusCode::NOT_FOUND,
            &settings,
            "sign-in with an account is not configured",
        ));
    };
    let flow = Flow::start();
    let url = sign_in.authorize_url(&flow);
    let next =
        LocalPath::parse(&given(&parameters, "next").unwrap_or_default()).as_str().to_owned();
    session.keep(&SIGN_IN, &PendingSignIn { flow, next });
    Ok(see_other(&url))
}

/// The handler of `GET /sign-in/callback`: the browser returns from the forge.
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
    let state = given(&parameters, "state").unwrap_or_default();
    let pending = session.take(&SIGN_IN).filter(|pending| pending.flow.has_state(&state));
    let pending = pending.ok_or_else(|| {
        refuse("This sign-in was not started in this browser, or it has expired. Start again.")
    })?;
    let code = given(&parameters, "code")
        .ok_or_else(|| refuse("The forge did not grant access. Start again to retry."))?;
    let visitor = identify(&dashboard, &settings, &pending.flow, &code).await;
    let visitor = visitor.map_err(|why| refuse(&why))?;
    Ok(start_session(&settings, &session, &visitor, &pending.next))
}

/// The visitor who returned, if they have access.
async fn identify(
    dashboard: &Data<Dashboard>,
    settings: &std::sync::Arc<Settings>,
    flow: &Flow,
    code: &str,
) -> Result<Visitor, String> {
    let now = dashboard.parts.clock.now();
    let Some(sign_in) = &settings.sign_in else {
        return Err("Sign-in with an account is not configured.".into());
    };
    let account = sign_in.identify(code, flow, now).await.map_err(|error: SignInError| {
        tracing::warn!(%error, "a sign-in failed");
        sentence(&error.to_string())
    })?;
    let writers = dashboard.people.writers(&settings.repos, now).await.ok_or(
        "Your permissions could not be checked because the forge did not answer. Try again in a moment.",
    )?;
    // By id: a login can be given up and taken by somebody else.
    if !writers.contains_key(&account.id) {
        tracing::info!(login = account.login, "an account without access tried to sign in");
        return Err(format!(
            "`{}` has no access. The dashboard is for accounts with write access to a configured repository.",
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
pub(super) async fn out(form: Form, reader: Reader) -> HttpResponse {
    form.session.clear();
    form.session.notify("You are signed out.");
    tracing::info!(visitor = reader.visitor.name(), "signed out");
    see_other(&reader.path("/sign-in"))
}

//! Signing in and out: with the dashboard's token, or through the forge.

use std::sync::Arc;

use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::Dashboard;
use super::access::{Form, Reader};
use super::frame::{Frame, NavItem, render, see_other};
use super::listing::{Parameters, given};
use super::local::LocalPath;
use super::people::Seen;
use super::refusal::Refusal;
use super::session::{
    LIFETIME, NOTICE, PendingSignIn, SESSION, SIGN_IN, SessionExt as _, digest, secret,
};
use super::settings::Settings;
use crate::gitea::{Flow, SignInError, SignedIn};
use crate::issue::Account;
use crate::store::{self, Sight};

/// The longest name of a browser that is kept, in characters.
const LONGEST_AGENT: usize = 160;

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

/// The handler of `POST /sign-in/token`. The right token is taken however many wrong ones came: only those are limited.
pub(super) async fn by_token(form: Form, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let dashboard = &form.dashboard;
    let settings = dashboard.settings();
    let now = dashboard.parts.clock.now();
    // The right one passes whatever others try: only wrong ones are too many.
    if settings.is_token(form.field("token")) {
        return enter_with_token(dashboard, &form.session, &request, form.field("next")).await;
    }
    let strangers = &dashboard.parts.strangers;
    let from = strangers.sender(&request);
    if !dashboard.guesses.allow(from, now) {
        let why = "too many wrong tokens; try again in a minute";
        return Err(Refusal::page(StatusCode::TOO_MANY_REQUESTS, why));
    }
    dashboard.guesses.record_failed(from, now);
    strangers.log("sign-in refused", &"a wrong dashboard token was entered", &request);
    form.session.notify("Wrong token. The token is `dashboard.token` in the configuration.");
    let again = format!("/sign-in?next={}", super::elements::encoded(form.field("next")));
    Err(Refusal::to(&settings, &LocalPath::parse(&again)))
}

/// Starts the session of whoever has the dashboard's own token.
pub(super) async fn enter_with_token(
    dashboard: &Dashboard,
    session: &Session,
    request: &HttpRequest,
    next: &str,
) -> Result<HttpResponse, Refusal> {
    let entrance = Entrance { dashboard, session, request, next };
    entrance.begin(Begun { account: None, tokens: String::new() }).await
}

/// Who has signed in.
struct Begun {
    /// `None` is the dashboard's own token.
    account: Option<Account>,
    /// What the forge is asked with, sealed.
    tokens: String,
}

/// The browser in which a session begins.
struct Entrance<'a> {
    dashboard: &'a Dashboard,
    session: &'a Session,
    request: &'a HttpRequest,
    /// The page to show.
    next: &'a str,
}

impl Entrance<'_> {
    /// Starts a new session; the old one is discarded, so that nobody can have prepared it.
    async fn begin(&self, begun: Begun) -> Result<HttpResponse, Refusal> {
        let Self { dashboard, session, .. } = self;
        let settings = dashboard.settings();
        let now = dashboard.parts.clock.now();
        let secret = secret();
        let kept = store::Session {
            key: digest(&secret),
            mark: dashboard.mark(&settings, begun.account.is_some()).unwrap_or_default(),
            account: begun.account,
            browser: browser(self.request),
            since: now,
            seen: now,
            tokens: begun.tokens,
        };
        let account = kept.account.as_ref().map(|account| account.login.clone());
        tracing::info!(account, "signed in");
        if let Some(before) = session.read(&SESSION) {
            dashboard.end_session(&digest(&before)).await?;
        }
        dashboard.parts.store.keep_session(kept, now - LIFETIME).await?;
        session.clear();
        session.renew();
        session.keep(&SESSION, &secret);
        Ok(see_other(&format!("{}{}", settings.base(), LocalPath::parse(self.next).as_str())))
    }
}

/// What a browser calls itself, for the list of sessions.
fn browser(request: &HttpRequest) -> String {
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.unwrap_or("unknown").chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
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
    request: HttpRequest,
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
    let from = dashboard.parts.strangers.sender(&request);
    let now = dashboard.parts.clock.now();
    if !dashboard.failures.allow(from, now) {
        return Err(refuse("Too many sign-ins from your address failed. Try again in a minute."));
    }
    let entered = identify(&dashboard, &settings, &pending.flow, &code).await;
    let (begun, seen) = entered.map_err(|why| {
        dashboard.failures.record_failed(from, now);
        dashboard.parts.strangers.log("sign-in refused", &why, &request);
        refuse(&why)
    })?;
    let entrance = Entrance {
        dashboard: &dashboard,
        session: &session,
        request: &request,
        next: &pending.next,
    };
    let answer = entrance.begin(begun).await?;
    if let Some(secret) = session.read(&SESSION) {
        dashboard.people.remember(&digest(&secret), seen, now).await;
    }
    Ok(answer)
}

/// The person who returned, and what they may see, if they may see anything.
async fn identify(
    dashboard: &Dashboard,
    settings: &Arc<Settings>,
    flow: &Flow,
    code: &str,
) -> Result<(Begun, Seen), String> {
    let now = dashboard.parts.clock.now();
    let Some(sign_in) = &settings.sign_in else {
        return Err("Sign-in with an account is not configured.".into());
    };
    let in_words = |error: SignInError| sentence(&error.to_string());
    let SignedIn { account, tokens } = sign_in.identify(code, flow, now).await.map_err(in_words)?;
    let sealed = dashboard.seal(&tokens);
    let seen = dashboard.people.ask(settings, tokens, now).await.map_err(in_words)?;
    if seen.sees == Sight::of([]) || seen.account.id != account.id {
        let least = if settings.open_to_readers { "see" } else { "write to" };
        return Err(format!(
            "`{}` has no access. The dashboard is for accounts that may {least} a configured repository.",
            account.login
        ));
    }
    Ok((Begun { account: Some(account), tokens: sealed }, seen))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The handler of `POST /sign-out`: the session is over, also for whoever has a copy of its cookie.
pub(super) async fn out(form: Form, reader: Reader) -> Result<HttpResponse, Refusal> {
    reader.dashboard.end_session(&reader.visitor.session.key).await?;
    form.session.clear();
    form.session.notify("You are signed out.");
    tracing::info!(visitor = reader.visitor.name(), "signed out");
    Ok(see_other(&reader.path("/sign-in")))
}

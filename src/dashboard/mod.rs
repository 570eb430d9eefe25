//! The dashboard: deliveries, decisions and their reasons, what needs attention. It reads the store, and writes nothing
//! but commands and retries into the inbox, pauses, and who did what. Only signed-in visitors see it, only admins act.
//!
//! Every page works without JavaScript; the one script only reloads a page when something has changed.

mod access;
mod actions;
mod acts;
mod agents;
mod assets;
mod attempts;
mod chart;
mod days;
mod deliveries;
mod elements;
mod evaluations;
mod frame;
mod guard;
mod invitation;
mod issues;
mod latency;
mod listing;
mod live;
mod local;
mod overview;
mod pauses;
mod people;
mod pretty;
mod refusal;
mod runs;
mod search;
mod session;
mod sessions;
mod settings;
mod sign_in;
mod spending;

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use actix_web::cookie::Key;
use actix_web::dev::ResourceDef;
use actix_web::http::StatusCode;
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::gitea as forge;
use crate::health::Readiness;
use crate::issue::{IssueRef, NamedPeople};
use crate::meters::{Receiving, Working};
use crate::store::{self, Store};

use self::access::Reader;
pub(crate) use self::assets::{ICON, STYLE};
use self::attempts::Attempts;
pub(crate) use self::frame::see_other;
pub(crate) use self::guard::POLICY;
use self::invitation::Invitation;
use self::live::Hub;
use self::people::People;
use self::refusal::Refusal;
pub use self::settings::Settings;

/// The parts of the service that the pages use.
pub struct Parts {
    /// Where the pages read.
    pub store: Store,
    /// Asked who may write to a repository.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// The health of the service.
    pub readiness: Data<Readiness>,
    /// The counters of the receiver.
    pub receiving: Arc<Receiving>,
    /// The counters of the worker.
    pub working: Arc<Working>,
    /// Wakes the worker.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Says why a command cannot work on an issue, if it cannot.
    pub refuses: Refuses,
    /// The people whom the configuration names.
    pub named: Arc<NamedPeople>,
    /// What is done about requests of strangers.
    pub strangers: Box<dyn Strangers>,
}

/// What is done about requests of strangers, of which there may be any number.
pub trait Strangers: Send + Sync {
    /// Says what happened to a request and why, in the log, and not for each of many.
    fn log(&self, what: &str, why: &dyn Display, request: &HttpRequest);

    /// Where a request comes from.
    fn sender(&self, request: &HttpRequest) -> Option<IpAddr>;
}

/// Says why what stands behind `/triage` cannot work on an issue; nothing where it may.
pub type Refuses =
    Box<dyn Fn(IssueRef, String) -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// How often it is written down that somebody is here.
const TOUCHED_EVERY: TimeDelta = TimeDelta::minutes(5);

/// The dashboard of one service.
pub struct Dashboard {
    parts: Parts,
    settings: ArcSwap<Settings>,
    people: People,
    /// Wrong tokens.
    guesses: Attempts,
    /// Sign-ins through the forge that came to nothing.
    failures: Attempts,
    invitation: Invitation,
    hub: Hub,
    key: Key,
    salt: String,
    runtime: Handle,
}

/// Wrong tokens a minute from one address.
const MOST_GUESSES: u32 = 30;
/// Sign-ins through the forge that fail, a minute, from one address.
const MOST_FAILURES: u32 = 20;

impl Dashboard {
    /// A dashboard over these parts; to be called on the workers' runtime. `salt` makes its cookies differ from those of
    /// any other.
    pub fn new(parts: Parts, settings: Settings, salt: &str) -> Self {
        let runtime = Handle::current();
        let dashboard = Self {
            key: settings.cookie_key(salt),
            people: People::new(parts.store.clone(), parts.forge.clone(), runtime.clone()),
            guesses: Attempts::new(MOST_GUESSES),
            failures: Attempts::new(MOST_FAILURES),
            invitation: Invitation::default(),
            hub: Hub::start(parts.store.clone(), &runtime),
            settings: ArcSwap::from_pointee(settings),
            salt: salt.to_owned(),
            parts,
            runtime,
        };
        dashboard.end_outdated();
        dashboard
    }

    /// Replaces the settings while the service runs.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.end_outdated();
    }

    /// Removes the sessions that began with another token or application; nobody is let in by one even before that.
    fn end_outdated(&self) {
        let settings = self.settings();
        let marks = [true, false].into_iter().filter_map(|way| self.mark(&settings, way)).collect();
        let store = self.parts.store.clone();
        self.runtime.spawn(async move {
            if let Err(error) = store.end_sessions_but(marks).await {
                tracing::warn!(%error, "outdated sessions could not be removed");
            }
        });
    }

    /// Tells what lets people in now from any other token or application.
    fn mark(&self, settings: &Settings, with_account: bool) -> Option<String> {
        settings.mark(&self.salt, with_account)
    }

    /// Ends a session at once; whether there was one.
    async fn end_session(&self, key: &str) -> Result<bool, store::Error> {
        self.people.forget(key).await;
        self.parts.store.end_session(key).await
    }

    /// Writes down what has changed about a session, now and then.
    async fn touch(
        &self,
        before: &store::Session,
        now: store::Session,
    ) -> Result<(), store::Error> {
        if now.seen - before.seen < TOUCHED_EVERY {
            return Ok(());
        }
        self.parts.store.touch_session(now).await
    }

    fn seal(&self, tokens: &forge::PersonTokens) -> String {
        session::seal(&self.key, &tokens.words())
    }

    fn unseal(&self, sealed: &str) -> Result<forge::PersonTokens, forge::SignInError> {
        let words = session::unseal(&self.key, sealed);
        let tokens = words.and_then(|words| forge::PersonTokens::from_words(words.expose_secret()));
        tokens.ok_or(forge::SignInError::Unusable("the tokens kept for you cannot be read"))
    }

    /// Closes the event streams, which would otherwise delay the shutdown.
    pub fn close(&self) {
        self.hub.close();
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }
}

/// The handler of every unknown path; who is signed in keeps the navigation.
async fn nothing_here(_: Option<Reader>) -> Result<HttpResponse, Refusal> {
    Err(Refusal::page(StatusCode::NOT_FOUND, "there is no such page"))
}

/// The forms of the pages; nothing else of the dashboard is sent by POST.
const FORMS: [&str; 8] = [
    "/deliveries/{id}/retry",
    "/issues/{owner}/{name}/{number}/orders",
    "/sign-in/token",
    "/sign-out",
    "/sessions/end",
    "/sessions/{key}/end",
    "/deliveries/failed",
    "/agents/pause",
];
static FORM: LazyLock<ResourceDef> = LazyLock::new(|| ResourceDef::new(FORMS));

/// Whether a form is sent to this path.
pub fn takes_form(path: &str) -> bool {
    FORM.is_match(path)
}

/// The routes of the dashboard. They take every remaining path, so they are registered last.
pub fn routes(dashboard: &Data<Dashboard>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let dashboard = dashboard.clone();
    move |config| {
        let pages = web::scope("")
            .route("/", web::get().to(overview::page))
            .route("/deliveries", web::get().to(deliveries::list))
            .route(FORMS[6], web::post().to(actions::failed))
            .route("/deliveries/{id}", web::get().to(deliveries::page))
            .route("/deliveries/{id}/body", web::get().to(deliveries::body))
            .route(FORMS[0], web::post().to(actions::retry))
            .route("/issues", web::get().to(issues::list))
            .route("/issues/{owner}/{name}/{number}", web::get().to(issues::page))
            .route(FORMS[1], web::post().to(actions::order))
            .route("/decisions/{id}", web::get().to(evaluations::page))
            .route("/agents", web::get().to(agents::page))
            .route(FORMS[7], web::post().to(pauses::change))
            .route("/acts", web::get().to(acts::page))
            .route("/days", web::get().to(days::page))
            .route("/runners", web::get().to(runs::list))
            .route("/runs/{id}", web::get().to(runs::page))
            .route("/search", web::get().to(search::page))
            .route("/events", web::get().to(live::events))
            .route("/sign-in", web::get().to(sign_in::page))
            .route(FORMS[2], web::post().to(sign_in::by_token))
            .route("/sign-in/gitea", web::get().to(sign_in::by_forge))
            .route("/sign-in/link/{key}", web::get().to(invitation::accept))
            .route("/sign-in/callback", web::get().to(sign_in::callback))
            .route(FORMS[3], web::post().to(sign_in::out))
            .route("/sessions", web::get().to(sessions::page))
            .route(FORMS[4], web::post().to(sessions::end_others))
            .route(FORMS[5], web::post().to(sessions::end))
            .route("/assets/{name}", web::get().to(assets::get))
            .default_service(web::to(nothing_here))
            // The first is the innermost: the guard refuses before a session is read.
            .wrap(session::middleware(&dashboard))
            .wrap(from_fn(guard::guard))
            .wrap(Compress::default());
        config.app_data(dashboard).service(pages);
    }
}

//! The pages for people: what came, what was decided and why, what needs somebody. It reads the store, and writes
//! nothing but orders and retries into the inbox; only who signed in sees anything, only an admin acts.
//!
//! Every page works without JavaScript; the one script only fetches a page again when something has changed.

mod access;
mod actions;
mod agents;
mod assets;
mod attempts;
mod chart;
mod deliveries;
mod elements;
mod evaluations;
mod frame;
mod guard;
mod issues;
mod latency;
mod live;
mod local;
mod overview;
mod people;
mod pretty;
mod refusal;
mod search;
mod session;
mod settings;
mod sign_in;

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::cookie::Key;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::gitea as forge;
use crate::health::Readiness;
use crate::meters::{Receiving, Working};
use crate::store::Store;

use self::attempts::Attempts;
use self::live::Hub;
use self::people::People;
pub use self::settings::Settings;

/// What the pages are made from.
pub struct Parts {
    /// Where everything is read.
    pub store: Store,
    /// Asked who may write to a repository.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// How the service is.
    pub readiness: Data<Readiness>,
    /// What the receiver counted.
    pub receiving: Arc<Receiving>,
    /// What the worker counted.
    pub working: Arc<Working>,
    /// Tells the worker that there is something to do.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

/// The dashboard of one service.
pub struct Dashboard {
    parts: Parts,
    settings: RwLock<Arc<Settings>>,
    people: People,
    attempts: Attempts,
    hub: Hub,
    key: Key,
}

impl Dashboard {
    /// A dashboard over these parts; to be made on the runtime that the workers run on. `salt` makes its cookies
    /// differ from those of any other.
    pub fn new(parts: Parts, settings: Settings, salt: &str) -> Self {
        let runtime = Handle::current();
        Self {
            key: settings.cookie_key(salt),
            people: People::new(parts.store.clone(), parts.forge.clone(), runtime.clone()),
            attempts: Attempts::default(),
            hub: Hub::start(parts.store.clone(), &runtime),
            settings: RwLock::new(Arc::new(settings)),
            parts,
        }
    }

    /// Takes over what may change while the service runs.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Ends the pages' live connections, which would otherwise outlast everything else.
    pub fn close(&self) {
        self.hub.close();
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The routes of the dashboard. They take every path that nobody else took, so they come last.
pub fn routes(dashboard: &Data<Dashboard>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let dashboard = dashboard.clone();
    move |config| {
        let pages = web::scope("")
            .route("/", web::get().to(overview::page))
            .route("/deliveries", web::get().to(deliveries::list))
            .route("/deliveries/{id}", web::get().to(deliveries::page))
            .route("/deliveries/{id}/body", web::get().to(deliveries::body))
            .route("/deliveries/{id}/retry", web::post().to(actions::retry))
            .route("/issues", web::get().to(issues::list))
            .route("/issues/{owner}/{name}/{number}", web::get().to(issues::page))
            .route("/issues/{owner}/{name}/{number}/orders", web::post().to(actions::order))
            .route("/decisions/{id}", web::get().to(evaluations::page))
            .route("/agents", web::get().to(agents::page))
            .route("/search", web::get().to(search::page))
            .route("/events", web::get().to(live::events))
            .route("/sign-in", web::get().to(sign_in::page))
            .route("/sign-in/token", web::post().to(sign_in::by_token))
            .route("/sign-in/gitea", web::get().to(sign_in::by_forge))
            .route("/sign-in/callback", web::get().to(sign_in::callback))
            .route("/sign-out", web::post().to(sign_in::out))
            .route("/assets/{name}", web::get().to(assets::get))
            .default_service(web::to(refusal::nothing_here))
            // The first is the innermost: what the guard refuses never comes to a session.
            .wrap(session::middleware(&dashboard))
            .wrap(from_fn(guard::guard));
        config.app_data(dashboard).service(pages);
    }
}

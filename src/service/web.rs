//! What answers requests: deliveries, reports of agents, figures, health and the pages.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use super::base::Base;
use super::settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::connections::{self, Connections, Listener, Proxies, Room};
use crate::dashboard::{self, Dashboard};
use crate::gitea::{Verifier, is_from_hook};
use crate::health::{self, Readiness};
use crate::memory;
use crate::meters::Receiving;
use crate::metrics::{self, Meters, Metrics};
use crate::receive::{self, Callbacks, Receiver, Refusals, Runners};
use crate::store::Store;
use crate::sweep::Sweeper;
use crate::worker::Worker;

/// Where deliveries are taken.
const WEBHOOK: [&str; 2] = ["/webhook", "/webhook/"];
/// How long a person waits to hear whether a command can work; after that it is found out when it is carried out.
const REFUSES_TIMEOUT: Duration = Duration::from_secs(3);
/// The name under which the store keeps what the dashboard's cookies are sealed with.
const COOKIE_SALT: &str = "cookie_salt";

/// The handlers' data.
#[derive(Clone)]
pub(super) struct Web {
    pub receiver: Data<Receiver>,
    pub callbacks: Data<Callbacks>,
    pub runners: Data<Runners>,
    metrics: Data<Metrics>,
    readiness: Data<Readiness>,
    pub dashboard: Data<Dashboard>,
    pub connections: Arc<Connections>,
}

impl Web {
    /// The handlers of a service with this worker and sweep; `arrived` wakes it for deliveries.
    pub async fn build(
        base: &Base<'_>,
        worker: &Worker,
        sweeper: &Sweeper,
        arrived: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let receiving = Arc::new(receive::meters());
        let (connections, shared) = shared(base.config);
        let readiness = readiness(base, worker, sweeper);
        let dashboard = dashboard::Parts {
            store: base.store.clone(),
            forge: base.forge.clone(),
            clock: base.clock.clone(),
            readiness: readiness.clone(),
            receiving: Arc::clone(&receiving),
            working: worker.meters(),
            wake: wake(worker, &arrived),
            refuses: refuses(worker),
            named: Arc::clone(&base.named),
            strangers: Box::new(UnderOneLimit(Arc::clone(&shared.refusals))),
        };
        let salt = cookie_salt(&base.store).await?;
        let dashboard = Dashboard::new(dashboard, settings::dashboard(base.config)?, &salt);
        Ok(Self {
            callbacks: callbacks(base, worker, &shared),
            runners: runners(base, worker, &shared, connections.places()),
            metrics: figures(base, worker, &receiving),
            receiver: receiver(base, arrived, receiving, &shared),
            readiness,
            dashboard: Data::new(dashboard),
            connections,
        })
    }

    /// A server that listens, and where.
    pub fn listen(&self, config: &Config) -> anyhow::Result<(Server, SocketAddr)> {
        let routes = self.clone();
        let app = move || App::new().configure(|app| routes.add_to(app));
        let config = &config.server;
        let (address, workers) = (config.listen.as_str(), config.workers);
        let at = Listener { address, workers, connections: &self.connections };
        connections::listen(&at, app)
            .with_context(|| format!("`{address}` cannot be listened on; see `server.listen`"))
    }

    fn add_to(&self, app: &mut ServiceConfig) {
        let elsewhere = web::resource("/{path:.*}").guard(fn_guard(is_elsewhere));
        let miswritten = web::resource("/{path:.*}").guard(fn_guard(is_miswritten));
        let webhook = web::resource(WEBHOOK)
            .route(web::post().to(receive::webhook))
            .default_service(web::to(receive::method_not_allowed));
        let dispatches = web::resource("/dispatches/{id}")
            .route(web::post().to(receive::callback::report))
            .default_service(web::to(receive::method_not_allowed));
        app.app_data(self.receiver.clone())
            .app_data(self.callbacks.clone())
            .app_data(self.runners.clone())
            .app_data(self.metrics.clone())
            .app_data(self.readiness.clone())
            // First: it takes what was meant for the webhook from every other path.
            .service(elsewhere.to(receive::elsewhere))
            .service(miswritten.to(no_other_writing))
            .service(webhook)
            .service(dispatches)
            .configure(receive::runners::routes)
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .route("/metrics", web::get().to(metrics::get))
            // Last: the pages take every path that is left.
            .configure(dashboard::routes(&self.dashboard));
    }
}

/// Whether a request was meant for the webhook and came to another path: it says that a webhook sent it, or nobody else
/// has anything to post there.
fn is_elsewhere(context: &GuardContext<'_>) -> bool {
    let head = context.head();
    let path = head.uri.path();
    let is_report = || path.strip_prefix("/dispatches/").is_some_and(|id| !id.is_empty());
    !WEBHOOK.contains(&path)
        && (is_from_hook(head.headers())
            || (head.method == Method::POST
                && !is_report()
                && !receive::runners::is_call(path)
                && !dashboard::takes_form(path)))
}

/// Whether the path is another writing of one, past whoever guards that one by its text.
fn is_miswritten(context: &GuardContext<'_>) -> bool {
    !connections::is_plain(context.head().uri.path())
}

async fn no_other_writing() -> HttpResponse {
    let why = "there is nothing here; write the path without escapes that it does not need";
    HttpResponse::NotFound().json(serde_json::json!({ "error": why }))
}

/// What all handlers that read bodies share.
struct Shared {
    room: Arc<Room>,
    refusals: Arc<Refusals>,
}

/// The places of connections, and room for bodies, by what memory there is.
fn shared(config: &Config) -> (Arc<Connections>, Shared) {
    let memory = memory::limit();
    let proxies = Proxies(config.server.trusted_proxies.clone());
    let connections = Arc::new(Connections::new(memory, proxies.clone()));
    tracing::debug!(memory, places = connections.places(), "memory is shared out");
    let room = Arc::new(Room::new(memory, config.webhook.max_body));
    (connections, Shared { room, refusals: Arc::new(Refusals::new(proxies)) })
}

fn receiver(
    base: &Base<'_>,
    arrived: Arc<Notify>,
    meters: Arc<Receiving>,
    shared: &Shared,
) -> Data<Receiver> {
    let Base { config, store, clock, .. } = base;
    Data::new(Receiver {
        store: store.clone(),
        verifier: ArcSwap::from_pointee(Verifier::new(settings::secrets(config))),
        clock: clock.clone(),
        max_body: config.webhook.max_body,
        room: Arc::clone(&shared.room),
        links: ArcSwap::from_pointee(settings::links(config)),
        arrived,
        refusals: Arc::clone(&shared.refusals),
        meters,
    })
}

fn callbacks(base: &Base<'_>, worker: &Worker, shared: &Shared) -> Data<Callbacks> {
    let (config, worker) = (base.config, worker.clone());
    Data::new(Callbacks {
        store: base.store.clone(),
        secrets: ArcSwap::from_pointee(config.agents.secrets.clone()),
        clock: base.clock.clone(),
        room: Arc::clone(&shared.room),
        arrived: Box::new(move || worker.wake()),
        refusals: Arc::clone(&shared.refusals),
    })
}

/// Of the places of connections, `places` in all, runners that wait have half at most: deliveries need some, too.
fn runners(base: &Base<'_>, worker: &Worker, shared: &Shared, places: usize) -> Data<Runners> {
    let worker = worker.clone();
    Data::new(Runners {
        store: base.store.clone(),
        clock: base.clock.clone(),
        room: Arc::clone(&shared.room),
        refusals: Arc::clone(&shared.refusals),
        arrived: Box::new(move || worker.wake()),
        offered: Arc::clone(&base.offered),
        waiting: Semaphore::new(places / 2),
        rules: ArcSwap::from_pointee(settings::runs(base.config)),
        seen: Mutex::default(),
        is_closed: AtomicBool::new(false),
    })
}

fn figures(base: &Base<'_>, worker: &Worker, receiving: &Arc<Receiving>) -> Data<Metrics> {
    let calls = base.forge.meters();
    let meters = Meters { receiving: Arc::clone(receiving), working: worker.meters(), calls };
    let (store, clock) = (base.store.clone(), base.clock.clone());
    Data::new(Metrics { store, clock, started: Clock::System.now(), meters })
}

fn readiness(base: &Base<'_>, worker: &Worker, sweeper: &Sweeper) -> Data<Readiness> {
    let worker = worker.clone();
    let rests = Arc::new(move || worker.rests_until());
    let standing = sweeper.standing();
    let unswept = Arc::new(move || standing.trouble());
    Data::new(Readiness::new(base.store.clone(), base.forge.clone(), rests, unswept))
}

/// What makes the dashboard's cookies differ from any other's: made once, and kept in the store.
async fn cookie_salt(store: &Store) -> anyhow::Result<String> {
    if let Some(salt) = store.fact(COOKIE_SALT).await? {
        return Ok(salt);
    }
    let salt = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    // Another service on the same store may be making one too, and all of them need the same.
    Ok(store.remember_first(COOKIE_SALT, salt).await?)
}

/// What strangers do is said in the log under one limit, whatever they try.
struct UnderOneLimit(Arc<Refusals>);

impl dashboard::Strangers for UnderOneLimit {
    fn log(&self, what: &str, why: &dyn Display, request: &HttpRequest) {
        self.0.log(what, why, request);
    }

    fn sender(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.0.sender(request)
    }
}

/// Asks the worker whether a command can work; on its own runtime, not the server's: connections to the forge are shared.
fn refuses(worker: &Worker) -> dashboard::Refuses {
    let (worker, runtime) = (worker.clone(), Handle::current());
    Box::new(move |at, words| {
        let worker = worker.clone();
        let asked = runtime.spawn(async move {
            let asked = worker.refuses(&at, &words);
            tokio::time::timeout(REFUSES_TIMEOUT, asked).await.ok().flatten()
        });
        Box::pin(async move { asked.await.ok().flatten() })
    })
}

/// Tells the worker that something may be waiting, read or not.
fn wake(worker: &Worker, arrived: &Arc<Notify>) -> Box<dyn Fn() + Send + Sync> {
    let (worker, arrived) = (worker.clone(), Arc::clone(arrived));
    Box::new(move || {
        arrived.notify_one();
        worker.wake();
    })
}

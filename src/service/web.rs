//! What answers requests: deliveries, reports of agents, figures, health and the pages.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpServer};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::base::Base;
use super::settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::dashboard::{self, Dashboard};
use crate::gitea::{Verifier, is_from_hook};
use crate::health::{self, Readiness};
use crate::meters::Receiving;
use crate::metrics::{self, Meters, Metrics};
use crate::receive::{self, Callbacks, LargeBodies, Proxies, Receiver, Refusals};
use crate::store::Store;
use crate::sweep::Sweeper;
use crate::worker::Worker;

/// Longer than the 75 s for which proxies and Gitea's own client keep an idle connection: the side that closes it
/// first can lose a delivery that is on its way (gitea-facts 1.1).
const KEEP_ALIVE: Duration = Duration::from_secs(90);
/// Connections at once, over all workers; more wait to be taken. Each may hold a small body that no other bound counts.
const MAX_CONNECTIONS: usize = 2_048;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
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
    metrics: Data<Metrics>,
    readiness: Data<Readiness>,
    pub dashboard: Data<Dashboard>,
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
        let readiness = readiness(base, worker, sweeper);
        let proxies = Proxies(base.config.server.trusted_proxies.clone());
        let refusals = Arc::new(Refusals::new(proxies));
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
            strangers: Box::new(UnderOneLimit(Arc::clone(&refusals))),
        };
        let salt = cookie_salt(&base.store).await?;
        let dashboard = Dashboard::new(dashboard, settings::dashboard(base.config)?, &salt);
        Ok(Self {
            callbacks: callbacks(base, worker, &refusals),
            metrics: figures(base, worker, &receiving),
            receiver: receiver(base, arrived, receiving, refusals),
            readiness,
            dashboard: Data::new(dashboard),
        })
    }

    /// A server that listens, and where.
    pub fn listen(&self, config: &Config) -> anyhow::Result<(Server, SocketAddr)> {
        let routes = self.clone();
        let server = HttpServer::new(move || App::new().configure(|app| routes.add_to(app)));
        let server = server
            .workers(config.server.workers)
            .max_connections(MAX_CONNECTIONS.div_ceil(config.server.workers))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .shutdown_timeout(5)
            .disable_signals()
            .bind(&config.server.listen)
            .with_context(|| {
                format!("`{}` cannot be listened on; see `server.listen`", config.server.listen)
            })?;
        let address = server.addrs().first().copied().context("the server has no address")?;
        Ok((server.run(), address))
    }

    fn add_to(&self, app: &mut ServiceConfig) {
        let elsewhere = web::resource("/{path:.*}").guard(fn_guard(is_elsewhere));
        let webhook = web::resource(WEBHOOK)
            .route(web::post().to(receive::webhook))
            .default_service(web::to(receive::method_not_allowed));
        let dispatches = web::resource("/dispatches/{id}")
            .route(web::post().to(receive::callback::report))
            .default_service(web::to(receive::method_not_allowed));
        app.app_data(self.receiver.clone())
            .app_data(self.callbacks.clone())
            .app_data(self.metrics.clone())
            .app_data(self.readiness.clone())
            // First: it takes what was meant for the webhook from every other path.
            .service(elsewhere.to(receive::elsewhere))
            .service(webhook)
            .service(dispatches)
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
            || (head.method == Method::POST && !is_report() && !dashboard::takes_form(path)))
}

fn receiver(
    base: &Base<'_>,
    arrived: Arc<Notify>,
    meters: Arc<Receiving>,
    refusals: Arc<Refusals>,
) -> Data<Receiver> {
    let Base { config, store, clock, .. } = base;
    Data::new(Receiver {
        store: store.clone(),
        verifier: ArcSwap::from_pointee(Verifier::new(settings::secrets(config))),
        clock: clock.clone(),
        max_body: config.webhook.max_body,
        large: LargeBodies::new(config.webhook.max_body),
        links: ArcSwap::from_pointee(settings::links(config)),
        arrived,
        refusals,
        meters,
    })
}

fn callbacks(base: &Base<'_>, worker: &Worker, refusals: &Arc<Refusals>) -> Data<Callbacks> {
    let (config, worker) = (base.config, worker.clone());
    Data::new(Callbacks {
        store: base.store.clone(),
        secrets: ArcSwap::from_pointee(config.agents.secrets.clone()),
        clock: base.clock.clone(),
        arrived: Box::new(move || worker.wake()),
        refusals: Arc::clone(refusals),
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
    store.remember(COOKIE_SALT, salt.clone()).await?;
    Ok(salt)
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

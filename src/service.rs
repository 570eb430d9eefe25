//! `serve`: puts the parts together, starts the server, the workers and the timers, and drains on the way out. It
//! holds no rule of its own.

pub mod local;
mod pages;
mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use self::local::{LocalRuns, Runner};
pub use self::rules::{as_section, policy, rules, triage};
use crate::agents::local::LocalAgent;
use crate::agents::{AgentClients, HttpAgents};
use crate::apply::{Executor, LabelRules};
use crate::clock::Clock;
use crate::config::Config;
use crate::dashboard::{self, Dashboard};
use crate::dispatch::{AgentId, Interface};
use crate::gitea as forge;
use crate::health::{self, Readiness};
use crate::hooks::Wanted;
use crate::issue::Account;
use crate::metrics::{self, Metrics};
use crate::receive::{self, Callbacks, LargeBodies, Proxies, Receiver, Refusals};
use crate::store::{OpenMode, Store};
use crate::summary::{self, Summaries};
use crate::sweep::{self, Sweeper};
use crate::worker::{self, Worker};

/// Longer than the 75 s for which proxies and Gitea's own client keep an idle connection: the side that closes it
/// first can lose a delivery that is on its way (gitea-facts 1.1).
const KEEP_ALIVE: Duration = Duration::from_secs(90);
/// Connections at once, over all workers; more wait to be taken. Each may hold a small body that no other bound counts.
const MAX_CONNECTIONS: usize = 2_048;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long work in flight gets to end, in seconds.
const DRAIN_S: u64 = 20;
/// How often finished bodies that are past their time are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// How often the forge is asked who we are until it answers, and how often it is asked again after.
const WHOAMI_EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3_600));
/// The name under which the store remembers our account.
const ACCOUNT: &str = "account";

/// A running service.
pub struct Service {
    address: SocketAddr,
    server: ServerHandle,
    tasks: JoinSet<()>,
    workers: JoinSet<()>,
    stop: watch::Sender<bool>,
    parts: Parts,
}

/// What the service is made of.
#[derive(Clone)]
pub struct Parts {
    /// The inbox and the ledger.
    pub store: Store,
    /// The forge.
    pub forge: forge::Client,
    /// What works the inbox off.
    pub worker: Worker,
    /// What finds issues that no webhook told.
    pub sweeper: Sweeper,
    /// What posts the daily summaries.
    pub summaries: Summaries,
    /// The local agent, when there is one.
    pub local: Option<LocalAgent>,
    /// What lets it work on what it is handed.
    pub local_runner: Option<Runner>,
    receiver: web::Data<Receiver>,
    callbacks: web::Data<Callbacks>,
    metrics: web::Data<Metrics>,
    readiness: web::Data<Readiness>,
    dashboard: web::Data<Dashboard>,
}

/// How agents are told, by their interface.
fn clients(config: &Config, local: Option<&Runner>) -> AgentClients {
    let agents = &config.agents;
    let clients = AgentClients::default();
    let clients = match HttpAgents::new(agents.allow_private.clone(), agents.secrets.clone()) {
        Ok(http) => clients.with(Interface::Http, http),
        Err(why) => clients.with(Interface::Http, why),
    };
    match local {
        Some(local) => clients.with(Interface::Local, local.clone()),
        None => clients,
    }
}

/// The database file that `store.url` names.
///
/// # Errors
/// When it names something else.
pub fn database(config: &Config) -> anyhow::Result<PathBuf> {
    let path = config.store.url.strip_prefix("sqlite:");
    let path = path.with_context(|| {
        format!("`store.url` is `{}`; write `sqlite:` and the path of a file", config.store.url)
    })?;
    Ok(PathBuf::from(path.strip_prefix("//").filter(|p| p.starts_with('/')).unwrap_or(path)))
}

/// A client for the forge in a configuration.
///
/// # Errors
/// When its address or token cannot be used.
pub fn forge(config: &Config) -> anyhow::Result<forge::Client> {
    forge_as(config, &config.gitea.token, config.triage.dry_run)
}

/// A client for the same forge with another token, or another answer to whether it may write.
///
/// # Errors
/// When its address or token cannot be used.
pub fn forge_as(
    config: &Config,
    token: &SecretString,
    dry_run: bool,
) -> anyhow::Result<forge::Client> {
    let settings = forge::Settings {
        dry_run,
        account: config.gitea.account.clone(),
        connect_timeout: config.gitea.connect_timeout,
        timeout: config.gitea.timeout,
        ..forge::Settings::new(config.gitea.url.clone(), token.expose_secret())
    };
    Ok(forge::Client::new(settings)?)
}

fn summary_settings(config: &Config) -> summary::Settings {
    let schedule = summary::Schedule { at: config.summary.at, timezone: config.summary.timezone };
    summary::Settings {
        enabled: config.summary.enabled,
        schedule,
        close_previous: config.summary.close_previous,
        repos: config.gitea.repos.clone(),
        owner: config.triage.owner.clone(),
        timeout: config.gitea.timeout,
    }
}

/// The daily summaries of a configuration.
pub fn summaries(
    config: &Config,
    store: &Store,
    forge: &forge::Client,
    clock: &Clock,
) -> Summaries {
    Summaries::new(summary::Parts {
        store: store.clone(),
        forge: forge.clone(),
        clock: clock.clone(),
        settings: summary_settings(config),
    })
}

fn verifier(config: &Config) -> forge::Verifier {
    forge::Verifier::new(secrets(config))
}

fn secrets(config: &Config) -> Vec<forge::Secret> {
    let secrets = config.webhook.secrets.iter().map(|entry| forge::Secret {
        key: entry.secret.clone(),
        expires: entry.expires,
        repos: entry.repos.as_ref().map(|p| p.texts().collect()),
    });
    secrets.collect()
}

/// What webhooks of this configuration have to be; `None` without a `server.public_url`.
pub fn wanted_hook(config: &Config) -> Option<Wanted> {
    let url = format!("{}/webhook", config.server.public_url.as_ref()?);
    Some(Wanted { url, secrets: secrets(config) })
}

fn sweep_settings(config: &Config) -> sweep::Settings {
    sweep::Settings {
        repos: config.gitea.repos.clone(),
        every: config.sweep.every,
        full_every: config.sweep.full_every,
        grace: sweep::GRACE,
    }
}

/// A sweep that wakes `worker`, if there is one here, when it has found something.
pub fn sweeper(
    config: &Config,
    store: &Store,
    forge: &forge::Client,
    clock: &Clock,
    worker: Option<&Worker>,
) -> Sweeper {
    let worker = worker.cloned();
    Sweeper::new(sweep::Parts {
        store: store.clone(),
        forge: forge.clone(),
        clock: clock.clone(),
        settings: sweep_settings(config),
        filled: Box::new(move || worker.iter().for_each(Worker::wake)),
    })
}

/// The address of a delivery's page, without the id.
fn page(config: &Config) -> String {
    format!("{}/deliveries/", pages::public_url(config))
}

fn readiness(store: &Store, forge: &forge::Client, worker: &Worker) -> Readiness {
    let worker = worker.clone();
    let rests = Arc::new(move || worker.rests_until());
    Readiness::new(store.clone(), forge.clone(), rests)
}

fn callbacks(config: &Config, store: &Store, clock: &Clock, worker: &Worker) -> Callbacks {
    let worker = worker.clone();
    Callbacks {
        store: store.clone(),
        secrets: RwLock::new(Arc::new(config.agents.secrets.clone())),
        clock: clock.clone(),
        arrived: Box::new(move || worker.wake()),
        refusals: Refusals::default(),
        proxies: Proxies::new(config.server.trusted_proxies.clone()),
    }
}

impl Parts {
    /// Builds the parts; nothing runs yet.
    ///
    /// # Errors
    /// When the store cannot be opened or the configuration cannot be used.
    pub async fn build(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let store = Store::open(&database(config)?, config.webhook.queue, OpenMode::Exclusive)?;
        let forge = forge(config)?;
        let local = local::start(config).await?;
        let labels =
            LabelRules { create: config.labels.create, color: config.labels.color.clone() };
        let executor = Executor::new(forge.clone(), labels);
        let arrived = Arc::new(Notify::new());
        let rules = Arc::new(rules(config)?);
        let worker = Worker::new(worker::Parts {
            store: store.clone(),
            forge: forge.clone(),
            executor,
            clock: clock.clone(),
            rules,
            arrived: Arc::clone(&arrived),
        });
        let local_runner = local.clone().map(|agent| {
            let runs = LocalRuns::new(agent, config, &store, &forge, &clock);
            let woken = worker.clone();
            Runner::new(runs, store.clone(), clock.clone(), move || woken.wake())
        });
        worker.set_clients(clients(config, local_runner.as_ref()));
        if let Some(known) = store.fact(ACCOUNT).await?
            && let Ok(account) = serde_json::from_str(&known)
        {
            worker.set_account(account);
        }
        let sweeper = sweeper(config, &store, &forge, &clock, Some(&worker));
        let receiving = Arc::new(receive::meters());
        let metrics = Metrics::new(metrics::Sources {
            store: store.clone(),
            clock: clock.clone(),
            receiving: Arc::clone(&receiving),
            working: worker.meters(),
            calls: forge.meters(),
        });
        let summaries = summaries(config, &store, &forge, &clock);
        let readiness = web::Data::new(readiness(&store, &forge, &worker));
        let dashboard = dashboard::Parts {
            store: store.clone(),
            forge: forge.clone(),
            clock: clock.clone(),
            readiness: readiness.clone(),
            receiving: Arc::clone(&receiving),
            working: worker.meters(),
            wake: pages::wake(&worker, &arrived),
        };
        let dashboard = pages::dashboard(config, dashboard).await?;
        let receiver = web::Data::new(Receiver {
            store: store.clone(),
            verifier: RwLock::new(Arc::new(verifier(config))),
            clock,
            max_body: config.webhook.max_body,
            large: LargeBodies::new(config.webhook.max_body),
            page: page(config),
            arrived,
            refusals: Refusals::default(),
            proxies: Proxies::new(config.server.trusted_proxies.clone()),
            meters: receiving,
        });
        let callbacks = web::Data::new(callbacks(config, &store, &receiver.clock, &worker));
        let metrics = web::Data::new(metrics);
        Ok(Self {
            store,
            forge,
            worker,
            sweeper,
            summaries,
            local,
            local_runner,
            receiver,
            callbacks,
            metrics,
            readiness,
            dashboard,
        })
    }

    /// Takes over what may change while the service runs: secrets, policy, agents, repositories.
    ///
    /// # Errors
    /// When the new configuration cannot be used; the old one stays.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let dashboard = pages::settings(config)?;
        self.worker.set_rules(Arc::new(rules(config)?));
        self.worker.set_clients(clients(config, self.local_runner.as_ref()));
        self.sweeper.set_settings(sweep_settings(config));
        self.summaries.set_settings(summary_settings(config));
        self.dashboard.set_settings(dashboard);
        let verifier = Arc::new(verifier(config));
        *self.receiver.verifier.write().unwrap_or_else(PoisonError::into_inner) = verifier;
        let secrets = Arc::new(config.agents.secrets.clone());
        *self.callbacks.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
        Ok(())
    }
}

impl Service {
    /// Starts everything; when this returns, deliveries are taken.
    ///
    /// # Errors
    /// When the store cannot be opened, the address cannot be bound, or the configuration cannot be used.
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let parts = Parts::build(config, clock.clone()).await?;
        let (server, address) = listen(config, &parts)?;
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the server ended");
            }
        });
        tasks.spawn(prune_forever(parts.store.clone(), clock, config.store.keep));
        let (stop, stopped) = watch::channel(false);
        let workers = start_workers(config, &parts, &mut tasks, &Arc::new(stopped));
        tracing::info!(%address, repos = %config.gitea.repos.texts().collect::<Vec<_>>().join(", "), dry_run = config.triage.dry_run, "taking deliveries");
        Ok(Self { address, server: handle, tasks, workers, stop, parts })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Stops taking deliveries, lets the issues in hand come to their end, and closes the store.
    pub async fn stop(mut self) {
        tracing::info!("stopping: no more deliveries are taken, work in hand is finished");
        // The receivers may be gone when no worker was started.
        let _ = self.stop.send(true);
        self.parts.dashboard.close();
        self.server.stop(true).await;
        let all = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(DRAIN_S), all).await.is_err() {
            tracing::warn!(
                "some work did not end in time; it is on disk and goes on at the next start"
            );
        }
        self.tasks.shutdown().await;
        if let Some(local) = &self.parts.local {
            local.stop().await;
        }
        if let Err(error) = self.parts.store.close().await {
            tracing::warn!(%error, "the store was not closed in good order");
        }
    }
}

fn listen(config: &Config, parts: &Parts) -> anyhow::Result<(actix_web::dev::Server, SocketAddr)> {
    let data = parts.clone();
    let server = HttpServer::new(move || {
        let webhook = web::resource("/webhook")
            .route(web::post().to(receive::webhook))
            .default_service(web::to(receive::method_not_allowed));
        let dispatches = web::resource("/dispatches/{id}")
            .route(web::post().to(receive::callback::report))
            .default_service(web::to(receive::method_not_allowed));
        App::new()
            .app_data(data.receiver.clone())
            .app_data(data.callbacks.clone())
            .service(dispatches)
            .app_data(data.metrics.clone())
            .app_data(data.readiness.clone())
            .service(webhook)
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .route("/metrics", web::get().to(metrics::get))
            // Last: the pages take every path that is left.
            .configure(dashboard::routes(&data.dashboard))
    });
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

fn start_workers(
    config: &Config,
    parts: &Parts,
    tasks: &mut JoinSet<()>,
    stopped: &Arc<watch::Receiver<bool>>,
) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    if config.worker.concurrency == 0 {
        return workers;
    }
    tasks.spawn(learn_account(parts.clone()));
    if let Some(runner) = &parts.local_runner {
        tasks.spawn(take_up(runner.clone(), parts.store.clone(), local_agents(config)));
    }
    tasks.spawn(parts.worker.clone().sort_forever());
    let back = parts.worker.after_outage();
    tasks.spawn(parts.sweeper.clone().run(config.sweep.at_start, back));
    tasks.spawn(parts.summaries.clone().post_forever());
    for _ in 0..config.worker.concurrency {
        workers.spawn(parts.worker.clone().work_until(Arc::clone(stopped)));
    }
    workers
}

/// The agents that are the local one.
fn local_agents(config: &Config) -> Vec<AgentId> {
    let local = config.agents.list.iter().filter(|agent| agent.interface == Interface::Local);
    local.map(|agent| agent.id.clone()).collect()
}

/// Lets the local agent begin anew what was cut off when the program ended.
async fn take_up(runner: Runner, store: Store, agents: Vec<AgentId>) {
    match store.handed_over(agents).await {
        Ok(open) => runner.take_up(open),
        Err(error) => tracing::error!(%error, "what the local agent had begun could not be read"),
    }
}

/// Asks the forge whose token we have, until it says, and now and then again.
async fn learn_account(parts: Parts) {
    let (soon, late) = WHOAMI_EVERY;
    let mut was_told = false;
    loop {
        match parts.forge.whoami().await {
            Ok(account) => {
                keep_account(&parts, account).await;
                tokio::time::sleep(late).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut was_told, true) {
                    tracing::warn!(%error, "the forge does not say whose token this is; our own changes are looked at like others until it does");
                }
                tokio::time::sleep(soon).await;
            }
        }
    }
}

async fn keep_account(parts: &Parts, account: Account) {
    let text = serde_json::to_string(&account).unwrap_or_default();
    if let Err(error) = parts.store.remember(ACCOUNT, text).await {
        tracing::warn!(%error, "our account could not be remembered");
    }
    parts.worker.set_account(account);
}

async fn prune_forever(store: Store, clock: Clock, keep: Duration) {
    loop {
        match store.prune(clock.now(), keep).await {
            Ok(0) => tokio::time::sleep(PRUNE_EVERY).await,
            // A breath between two steps, so that deliveries are never kept waiting for the forgetting.
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => {
                tracing::warn!(%error, "old bodies could not be removed");
                tokio::time::sleep(PRUNE_EVERY).await;
            }
        }
    }
}

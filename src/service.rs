//! `serve`: puts the parts together, starts the server, the workers and the timers, and drains on the way out. It
//! holds no rule of its own.

mod background;
mod base;
mod live;
mod local;
mod people;
mod replica;
mod rules;
mod settings;
mod web;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use self::base::Base;
pub use self::live::Reloaded;
pub use self::local::local_agent;
pub use self::rules::rules;
pub use self::settings::{database, forge, forge_as, wanted_hook};
use self::web::Web;
use crate::agents::local::LocalClient;
use crate::agents::runner::RunParts;
use crate::clock::Clock;
use crate::config::Config;
use crate::gitea as forge;
use crate::issue::NamedPeople;
use crate::store::{OpenMode, Store};
use crate::summary::Summaries;
use crate::sweep::Sweeper;
use crate::worker::Worker;

/// How long work in flight gets to end, in seconds.
const DRAIN_S: u64 = 20;

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
    /// What processes the inbox.
    pub worker: Worker,
    /// What finds issues whose deliveries were lost.
    pub sweeper: Sweeper,
    /// What posts the daily summaries.
    pub summaries: Summaries,
    /// The local agent, when there is one.
    pub local: Option<LocalClient>,
    /// What makes runs for runners.
    runs: RunParts,
    /// Notified when a delivery waits to be sorted.
    arrived: Arc<Notify>,
    web: Web,
    named: Arc<NamedPeople>,
    /// The configuration of the start.
    started: Arc<Config>,
    /// The configuration that was read last.
    config: Arc<ArcSwap<Config>>,
    /// Whether the owner is called by another name than the configuration has.
    is_owner_followed: Arc<AtomicBool>,
    /// Notified when it was read again.
    reloaded: Arc<Notify>,
}

impl Parts {
    /// Builds the parts; nothing runs yet.
    ///
    /// # Errors
    /// When the store cannot be opened or the configuration cannot be used.
    pub async fn build(config: &Config, clock: Clock, how: OpenMode) -> anyhow::Result<Self> {
        let store = Store::open(database(config)?, config.webhook.queue, how)?;
        let mut base = Base::new(config, store, clock)?;
        base.named = Arc::new(people::recall(&base.store, config).await?);
        let arrived = Arc::new(Notify::new());
        let worker = base.worker(&arrived)?;
        let local = local_agent(config).await?.map(|agent| base.local_client(agent, &worker));
        worker.set_clients(base::clients(config, local.as_ref(), &base.run_parts()));
        background::recall_account(&base.store, &worker).await?;
        let sweeper = base.sweeper(Some(&worker));
        Ok(Self {
            summaries: base.summaries(),
            runs: base.run_parts(),
            web: Web::build(&base, &worker, &sweeper, Arc::clone(&arrived)).await?,
            arrived,
            sweeper,
            named: base.named,
            store: base.store,
            forge: base.forge,
            worker,
            local,
            started: Arc::new(config.clone()),
            config: Arc::new(ArcSwap::from_pointee(config.clone())),
            is_owner_followed: Arc::default(),
            reloaded: Arc::default(),
        })
    }
}

impl Service {
    /// Starts everything; when this returns, deliveries are taken.
    ///
    /// # Errors
    /// When the store cannot be opened, the address cannot be bound, or the configuration cannot be used.
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let parts = Parts::build(config, clock.clone(), OpenMode::Service).await?;
        parts.join(config).await?;
        if parts.store.replicas() == 1 {
            let leases_hold = parts.store.renew_leases(clock.now() + config.runs.lease);
            leases_hold.await.context("the leases of runners could not be renewed")?;
        }
        let (server, address) = parts.web.listen(config)?;
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the server ended");
            }
        });
        tasks.spawn(Arc::clone(&parts.web.connections).watch());
        let pruned = parts.clone();
        let prune = move || background::prune_forever(pruned.clone(), clock.clone());
        tasks.spawn(background::kept_up("pruning", prune));
        let all = parts.clone();
        tasks.spawn(background::kept_up("people", move || people::know(all.clone())));
        let (stop, stopped) = watch::channel(false);
        let mut workers =
            background::start_workers(config, &parts, &mut tasks, &Arc::new(stopped.clone()));
        if let Some(runner) = background::embedded_runner(config, address)? {
            workers.spawn(background::work_as_runner(runner, stopped));
        }
        tracing::info!(%address, repos = %config.gitea.repos.texts().collect::<Vec<_>>().join(", "), dry_run = config.triage.dry_run, "taking deliveries");
        Ok(Self { address, server: handle, tasks, workers, stop, parts })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A link that signs in to the dashboard, for whoever started it and is told; `None` where it listens to other machines
    /// or has no token.
    pub fn sign_in_link(&self) -> Option<String> {
        let path = self.address.ip().is_loopback().then(|| self.parts.web.dashboard.invite())??;
        Some(format!("http://{}{path}", self.address))
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Whether the local agent was cut off in the middle of a write for one of these dispatches.
    async fn was_writing(&self, dispatches: BTreeSet<String>) -> bool {
        for key in dispatches {
            if self.parts.store.has_open_agent_writes(key).await.unwrap_or(true) {
                return true;
            }
        }
        false
    }

    /// Stops taking deliveries, lets the issues in hand come to their end, and closes the store.
    pub async fn stop(mut self) {
        tracing::info!("stopping: no more deliveries are taken, work in hand is finished");
        // The receivers may be gone when no worker was started.
        let _ = self.stop.send(true);
        self.parts.web.dashboard.close();
        self.parts.web.runners.close();
        self.server.stop(true).await;
        let all = async { while self.workers.join_next().await.is_some() {} };
        let has_ended = tokio::time::timeout(Duration::from_secs(DRAIN_S), all).await.is_ok();
        if !has_ended {
            tracing::warn!(
                "some work did not end in time; it is on disk and goes on at the next start"
            );
            self.parts.store.fall_silent();
            self.workers.shutdown().await;
        }
        self.tasks.shutdown().await;
        if let Some(local) = &self.parts.local {
            local.stop().await;
        }
        let in_hand = self.parts.local.as_ref().map(LocalClient::working).unwrap_or_default();
        // Nothing more is begun from here on.
        self.parts.store.fall_silent();
        let closed = match has_ended && !self.was_writing(in_hand).await {
            true => self.parts.store.close().await,
            false => self.parts.store.close_unfinished().await,
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "the store was not closed in good order");
        }
    }
}

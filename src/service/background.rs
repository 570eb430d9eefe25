//! What runs beside the server: the workers, and the tasks that come back to their work again and again.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Parts;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::gitea as forge;
use crate::hooks::local_address;
use crate::issue::Account;
use crate::runner::{Runner, RunnerError};
use crate::store::{self, Store};
use crate::worker::Worker;

/// How often finished bodies that are past their time are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// How often the forge is asked who we are until it answers, and how often it is asked again after.
const WHOAMI_EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3_600));
/// The pause before a task that panicked begins anew.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// The name under which the store remembers our account.
const ACCOUNT: &str = "account";

/// The runner that works in this process, where there is one; it reaches the service at `address`, unless its own
/// configuration says otherwise.
pub(super) fn embedded_runner(
    config: &Config,
    address: SocketAddr,
) -> Result<Option<Runner>, RunnerError> {
    let Some(mut settings) = config.runs.runner.clone() else { return Ok(None) };
    if settings.server.is_empty() {
        settings.server = format!("http://{}", local_address(&address.to_string()));
    }
    Runner::open(settings).map(Some)
}

/// Lets it work until the service stops; what it has in hand then goes on after the next start.
pub(super) async fn work_as_runner(runner: Runner, stopped: watch::Receiver<bool>) {
    if let Err(error) = runner.run(stopped).await {
        tracing::error!(%error, "the runner in this process has ended; correct what the error names and restart the service");
    }
}

/// Starts the workers, and the tasks that bring them work; none where the configuration wants no worker.
pub(super) fn start_workers(
    config: &Config,
    parts: &Parts,
    tasks: &mut JoinSet<()>,
    stopped: &Arc<watch::Receiver<bool>>,
) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    if config.worker.concurrency == 0 {
        return workers;
    }
    let all = parts.clone();
    tasks.spawn(kept_up("account", move || learn_account(all.clone())));
    if let Some(local) = parts.local.clone() {
        tasks.spawn(async move { local.resume().await });
    }
    let worker = parts.worker.clone();
    tasks.spawn(kept_up("classifier", move || worker.clone().classify_forever()));
    let (sweeper, at_start) = (parts.sweeper.clone(), config.sweep.at_start);
    let back = parts.worker.after_outage();
    tasks.spawn(kept_up("sweep", move || sweeper.clone().run(at_start, Arc::clone(&back))));
    let summaries = parts.summaries.clone();
    tasks.spawn(kept_up("summaries", move || summaries.clone().post_forever()));
    for _ in 0..config.worker.concurrency {
        let (worker, stopped) = (parts.worker.clone(), Arc::clone(stopped));
        let work = move || worker.clone().work_until(Arc::clone(&stopped));
        workers.spawn(kept_up("worker", work));
    }
    workers
}

/// Begins a task anew when it panics: a mistake of ours must not stop what would go on without it, and nobody would
/// notice that it has.
pub(super) async fn kept_up<F: Future<Output = ()>>(task: &str, begin: impl Fn() -> F) {
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        tracing::error!(
            task,
            "an internal error; it begins anew; please report it with the log around it"
        );
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

/// Gives the worker the account that the forge named last.
pub(super) async fn recall_account(store: &Store, worker: &Worker) -> anyhow::Result<()> {
    let known = store.fact(ACCOUNT).await?;
    if let Some(account) = known.and_then(|known| serde_json::from_str(&known).ok()) {
        worker.set_account(account);
    }
    Ok(())
}

/// Asks the forge whose token we have, until it says, and now and then again.
async fn learn_account(parts: Parts) {
    let (soon, late) = WHOAMI_EVERY;
    let mut was_told = false;
    loop {
        // Only for the name of the forge, which messages use.
        let _ = parts.forge.server().await;
        match whoami(&parts).await {
            Ok(account) => {
                keep_account(&parts, account).await;
                // Another token may be of another account.
                let _ = tokio::time::timeout(late, parts.reloaded.notified()).await;
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

/// A repository at hand tells what a token may not ask.
async fn whoami(parts: &Parts) -> Result<Account, forge::Error> {
    match parts.summaries.repos().await.ok().and_then(|repos| repos.into_iter().next()) {
        Some(repo) => parts.forge.whoami_in(&repo).await,
        None => parts.forge.whoami().await,
    }
}

async fn keep_account(parts: &Parts, account: Account) {
    let text = serde_json::to_string(&account).unwrap_or_default();
    if let Err(error) = parts.store.remember(ACCOUNT, text).await {
        tracing::warn!(%error, "our account could not be remembered");
    }
    parts.worker.set_account(account);
}

/// Removes what is past its time: the bodies of finished deliveries, and what closed issues said.
pub(super) async fn prune_forever(parts: Parts, clock: Clock) {
    loop {
        parts.store.lead().await;
        match prune(&parts, clock.now()).await {
            Ok(0) => tokio::time::sleep(PRUNE_EVERY).await,
            // A breath between two steps, so that deliveries are never kept waiting for the forgetting.
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => {
                tracing::warn!(%error, "what is past its time could not be removed");
                tokio::time::sleep(PRUNE_EVERY).await;
            }
        }
    }
}

async fn prune(parts: &Parts, now: Timestamp) -> Result<usize, store::Error> {
    let config = parts.config.load();
    let bodies = parts.store.prune(now, config.store.keep).await?;
    let bodies = bodies + parts.store.prune_runs(now, config.store.keep).await?;
    // While issues are not compared nobody notes that one is closed, so nothing is kept of any.
    let closed_before = config.policy.duplicates.then(|| config.policy.closed_since(now));
    Ok(bodies + parts.store.prune_wordings(closed_before).await?)
}

//! `GET /healthz` and `GET /readyz`: whether the process is alive, and whether it can do its work. Answers come in
//! bounded time whatever the disk and the forge do, and a flood of questions asks neither more than once a second. What the
//! sweep cannot read is said and takes nothing out of service: deliveries are still taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::store::Store;

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(1);
/// How long each part may take. Above the store's own wait for a lock, below the two seconds a prober has.
const LIMIT: Duration = Duration::from_millis(1_800);

/// Says until when the forge asked to be left alone.
pub type Rests = Arc<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// Says what the sweep cannot read.
pub type Unswept = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Whether the service can do its work.
pub struct Readiness {
    checks: Arc<Checks>,
    /// Where the checks run. Not on the server's threads: connections to the forge are shared with the workers, and
    /// would break under them when those threads stop.
    runtime: Handle,
    /// The latest report; held while a new one is made, so that one at a time is.
    latest: Mutex<Option<(Instant, Arc<Report>)>>,
}

struct Checks {
    store: Store,
    forge: forge::Client,
    rests: Rests,
    unswept: Unswept,
}

/// What is fine and what is not.
#[derive(Debug, Serialize)]
pub struct Report {
    status: &'static str,
    /// `ok`, or what is wrong with the store.
    pub store: String,
    /// `ok`, or what is wrong with the forge.
    pub gitea: String,
    /// `ok`, or what the sweep cannot read.
    pub sweep: String,
}

impl Readiness {
    /// Looks after these; to be made on the runtime that the workers run on.
    pub fn new(store: Store, forge: forge::Client, rests: Rests, unswept: Unswept) -> Self {
        let checks = Arc::new(Checks { store, forge, rests, unswept });
        Self { checks, runtime: Handle::current(), latest: Mutex::default() }
    }

    /// A report that is at most a second old; `None` while the service stops.
    pub async fn report(&self) -> Option<Arc<Report>> {
        let mut latest = self.latest.lock().await;
        if let Some((at, report)) = &*latest
            && at.elapsed() < FRESH
        {
            return Some(Arc::clone(report));
        }
        let checks = Arc::clone(&self.checks);
        // Fails only when the runtime shuts down.
        let report = Arc::new(self.runtime.spawn(async move { checks.run().await }).await.ok()?);
        *latest = Some((Instant::now(), Arc::clone(&report)));
        Some(report)
    }
}

impl Checks {
    async fn run(&self) -> Report {
        let (store, gitea) = tokio::join!(self.store(), self.gitea());
        let (is_ready, unread) = (store.is_ok() && gitea.is_ok(), (self.unswept)());
        let say = |part: Result<(), String>| part.err().unwrap_or_else(|| "ok".to_owned());
        Report {
            status: match (is_ready, &unread) {
                (false, _) => "not ready",
                (true, Some(_)) => "degraded",
                (true, None) => "ready",
            },
            store: say(store),
            gitea: say(gitea),
            sweep: unread.unwrap_or_else(|| "ok".to_owned()),
        }
    }

    async fn store(&self) -> Result<(), String> {
        match tokio::time::timeout(LIMIT, self.store.probe()).await {
            Ok(result) => result.map_err(|e| e.to_string()),
            Err(_) => Err(format!("the store did not take a write within {LIMIT:?}")),
        }
    }

    async fn gitea(&self) -> Result<(), String> {
        if let Some(until) = (self.rests)() {
            let until = until.format("%H:%M:%S UTC");
            return Err(format!(
                "it is unreachable or asked us to wait; it is asked again at {until}"
            ));
        }
        match tokio::time::timeout(LIMIT, self.forge.version()).await {
            Ok(result) => result.map(|_| ()).map_err(|e| e.to_string()),
            Err(_) => Err(format!("{} did not answer within {LIMIT:?}", self.forge.product())),
        }
    }
}

/// The handler of `GET /healthz`: that it answers is the answer.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "alive" }))
}

/// The handler of `GET /readyz`.
pub async fn readyz(readiness: Data<Readiness>) -> HttpResponse {
    match readiness.report().await {
        Some(report) if report.status != "not ready" => HttpResponse::Ok().json(&*report),
        Some(report) => HttpResponse::ServiceUnavailable().json(&*report),
        None => {
            HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "stopping" }))
        }
    }
}

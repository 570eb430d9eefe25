//! The runner: a process on any machine that takes runs from the service, lets an agent work on each in a workspace of
//! its own, and opens a pull request with what came out.
//!
//! It keeps no state that matters: what it loses, the service gives to another when the lease ends. It writes to the
//! forge only what the service allowed for the lease it holds, and an agent sees neither of its tokens.

mod agent;
mod check;
mod client;
mod confinement;
mod git;
mod hooks;
mod journal;
mod kept;
mod leftovers;
mod process;
mod profile;
mod run;
mod secrets;
mod settings;
mod site;
mod workspace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use uuid::Uuid;

pub use check::{Finding, check};
pub use client::{CallError, Pause, ServiceClient};
pub use profile::{Known, Profile, Protocol};
pub use settings::{
    AgentSettings, Forge, GitSettings, Hooks, PLACES, Permissions, Sandbox, Settings,
    SettingsError, schema,
};

use agent::Stop;
use site::{Site, Tidy};

use crate::dispatch::AgentId;
use crate::dispatch::run::{Assignment, PROTOCOL, Register, Registered, Take};

/// An answer that comes sooner was not waited for.
const AT_ONCE: Duration = Duration::from_millis(50);
/// How long a run may take to end its agent.
const ENDING: Duration = Duration::from_secs(20);

/// Why a runner ended that nobody stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// Something is wrong with its configuration or its files.
    #[error("{0}")]
    Settings(String),
    /// The service does not want it.
    #[error(transparent)]
    Service(#[from] CallError),
}

/// The runs that go on here, by the key of their dispatch.
type Going = Arc<Mutex<HashMap<String, Leases>>>;

/// The leases of one dispatch that go on here: more than one only until the earlier has noticed.
#[derive(Default)]
struct Leases {
    /// The epoch of each, and what tells it to stop.
    stops: Vec<(u64, watch::Sender<Option<Stop>>)>,
    /// Held by the one that works: there is one workspace.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A runner.
pub struct Runner {
    site: Arc<Site>,
    going: Going,
    tasks: JoinSet<()>,
    places: Arc<Semaphore>,
}

impl Runner {
    /// Makes a runner ready; nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the settings, or the files that they name.
    pub fn open(settings: Settings) -> Result<Self, RunnerError> {
        let places = usize::try_from(settings.places).unwrap_or(1).max(1);
        let site = Site::open(settings).map_err(RunnerError::Settings)?;
        Ok(Self {
            site: Arc::new(site),
            going: Going::default(),
            tasks: JoinSet::new(),
            places: Arc::new(Semaphore::new(places)),
        })
    }

    /// Takes runs until `halt` is true. Then no more are taken; those that go on have [`Settings::drain`] to end.
    ///
    /// # Errors
    /// The service does not want this runner.
    pub async fn run(mut self, mut halt: watch::Receiver<bool>) -> Result<(), RunnerError> {
        let hold = self.site.workspaces.hold();
        let _hold = hold.map_err(|error| RunnerError::Settings(error.to_string()))?;
        self.site.tidy(Tidy::AtStart).await;
        let ended = tokio::select! {
            ended = self.take_all() => ended,
            _ = halt.wait_for(|halt| *halt) => Ok(()),
        };
        self.drain().await;
        ended.map_err(Into::into)
    }

    /// Takes runs for ever, or until the service says for good that it has none for us.
    async fn take_all(&mut self) -> Result<(), CallError> {
        loop {
            let registered = self.register().await?;
            if registered.agents.is_empty() {
                tracing::warn!(
                    "the service lists none of this runner's agents for it; see `[[runner]]` in the service's configuration"
                );
            }
            // After an outage the service may be another one.
            match self.take_as(&registered).await {
                Err(error) if error.is_passing() => tracing::warn!("{error}"),
                Err(error) => return Err(error),
                Ok(never) => match never {},
            }
        }
    }

    async fn register(&self) -> Result<Registered, CallError> {
        let settings = &self.site.settings;
        let register = Register {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            agents: settings.agent.iter().map(|agent| AgentId::new(agent.id.clone())).collect(),
            places: settings.places,
        };
        let mut pause = Pause::default();
        loop {
            match self.site.service.register(&register).await {
                Ok(registered) => {
                    tracing::info!(runner = registered.runner, "the runner is registered");
                    return Ok(registered);
                }
                Err(error) if error.is_passing() => tracing::warn!("{error}"),
                Err(error) => return Err(error),
            }
            pause.wait().await;
        }
    }

    async fn take_as(
        &mut self,
        registered: &Registered,
    ) -> Result<std::convert::Infallible, CallError> {
        let mut pause = Pause::default();
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return Err(CallError::Unusable("the runner has no places".to_owned()));
            };
            while self.tasks.try_join_next().is_some() {}
            let going = lock(&self.going).keys().cloned().collect();
            self.site.tidy(Tidy::Between { going }).await;
            let take = Take {
                request: Uuid::new_v4().to_string(),
                agents: registered.agents.clone(),
                wait_s: registered.wait_s.min(self.site.longest_wait_s()),
            };
            let asked = Instant::now();
            match self.take(&take).await? {
                Some(assignment) => {
                    pause = Pause::default();
                    self.start(assignment, place);
                }
                // A service that does not wait is not asked without a break.
                None if asked.elapsed() < AT_ONCE => pause.wait().await,
                None => {}
            }
        }
    }

    /// Asks for one run, again with the same question as long as there is no answer.
    async fn take(&self, take: &Take) -> Result<Option<Assignment>, CallError> {
        let mut pause = Pause::default();
        for _ in 0..3 {
            match self.site.service.take(take).await {
                Err(error) if error.is_passing() => tracing::info!("{error}"),
                answer => return answer,
            }
            pause.wait().await;
        }
        self.site.service.take(take).await
    }

    fn start(&mut self, assignment: Assignment, place: tokio::sync::OwnedSemaphorePermit) {
        let (run, epoch, key) = (assignment.run, assignment.epoch, assignment.dispatch.clone());
        let (stop, _) = watch::channel(None);
        let turn = {
            let mut going = lock(&self.going);
            let same = going.entry(key.clone()).or_default();
            if same.stops.iter().any(|(going, _)| *going == epoch) {
                // The answer to a question that was repeated.
                return;
            }
            // Whoever gave us this lease has taken an earlier one of the same dispatch away.
            same.stops.iter().for_each(|(_, earlier)| drop(earlier.send_replace(Some(Stop::Lost))));
            same.stops.push((epoch, stop.clone()));
            Arc::clone(&same.turn)
        };
        let (at, agent) = (&assignment.at, &assignment.agent);
        tracing::info!(run, %at, %agent, turn = assignment.turn, "a run was taken");
        let (site, going) = (Arc::clone(&self.site), Arc::clone(&self.going));
        let work = async move {
            let working = turn.lock().await;
            run::carry_out(site, assignment, stop).await;
            drop(working);
            let mut going = lock(&going);
            if let Some(same) = going.get_mut(&key) {
                same.stops.retain(|(going, _)| *going != epoch);
                if same.stops.is_empty() {
                    going.remove(&key);
                }
            }
            drop(place);
        };
        // What a run logs on its way is told apart from that of others.
        self.tasks.spawn(work.instrument(tracing::info_span!("run", number = run)));
    }

    /// Lets the runs end that can, and stops the others.
    async fn drain(&mut self) {
        let drain = self.site.settings.drain;
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(drain, all_ended).await.is_ok() {
            return;
        }
        for (_, stop) in lock(&self.going).values().flat_map(|same| &same.stops) {
            stop.send_if_modified(|told| {
                let is_new = told.is_none();
                told.get_or_insert(Stop::Halted);
                is_new
            });
        }
        // Each ends its agent, which takes a few seconds at most.
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(ENDING, all_ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

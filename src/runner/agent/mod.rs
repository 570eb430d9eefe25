//! One turn of an agent: it is told what to do, watched until it ends, and ended where it does not.

mod acp;
mod command;
mod files;
mod lines;
mod permission;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(super) use acp::{Acp, shake_hands};
pub(super) use command::ByCommand;

use super::confinement::Confinement;
use super::journal::Journal;
use super::profile::Protocol;
use super::settings::AgentSettings;
use crate::dispatch::run::{Asked, Permits};

/// Why a run is not to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The service called it off.
    Cancelled(String),
    /// Another lease is newer, or the run is over: nothing may be written, and nothing said.
    Lost,
    /// The runner itself stops; the run goes to another when its lease ends.
    Halted,
    /// It went beyond a limit.
    Exceeded(String),
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The agent says that it is done.
    Finished,
    /// A person has to give or refuse a permission first.
    Asks(Asked),
    /// It could not be done.
    Failed(String),
    /// It was stopped.
    Stopped(Stop),
}

/// What a turn may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnLimits {
    /// The whole of it.
    pub time: Duration,
    /// Without a word of the agent.
    pub stall: Duration,
    /// Where the agent counts them.
    pub tokens: Option<u64>,
}

/// A turn.
pub(super) struct Turn<'a> {
    pub prompt: &'a str,
    pub agent: &'a AgentSettings,
    pub confinement: &'a Confinement,
    /// What people answered to agents on the issue.
    pub permits: &'a Permits,
    pub journal: &'a Journal,
    pub limits: TurnLimits,
    pub stop: watch::Receiver<Option<Stop>>,
    /// The file in which the name of the agent's session is kept from one turn to the next.
    pub session: Option<PathBuf>,
}

/// A way to talk to agents.
pub(super) trait Agent: Send + Sync {
    /// Carries out a turn. When it is over, no process of it is left in its group.
    fn turn<'a>(&'a self, turn: &'a Turn<'a>) -> BoxFuture<'a, Ended>;
}

/// The way to talk to this agent.
pub(super) fn agent(settings: &AgentSettings) -> Box<dyn Agent> {
    match settings.spoken() {
        Protocol::Acp => Box::new(Acp),
        Protocol::Command => Box::new(ByCommand),
    }
}

/// Knows when an agent was last heard of.
struct Pulse {
    started: Instant,
    last: Mutex<Instant>,
}

impl Pulse {
    fn new() -> Self {
        let started = Instant::now();
        Self { started, last: Mutex::new(started) }
    }

    fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a turn must not go on.
    async fn over(&self, turn: &Turn<'_>) -> Ended {
        let mut stop = turn.stop.clone();
        let end = self.started + turn.limits.time;
        loop {
            let stall = self.last() + turn.limits.stall;
            tokio::select! {
                stop = stopped(&mut stop) => return Ended::Stopped(stop),
                () = sleep_until(stall.min(end)) => {}
            }
            let now = Instant::now();
            if now >= end {
                let time = humantime::format_duration(turn.limits.time);
                return Ended::Failed(format!("the agent was not done after {time}"));
            }
            if now >= self.last() + turn.limits.stall {
                let time = humantime::format_duration(turn.limits.stall);
                return Ended::Failed(format!("the agent said nothing for {time}"));
            }
        }
    }
}

/// Waits until it is said that the run must not go on.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await {
        Ok(stop) => stop.clone().unwrap_or(Stop::Lost),
        // Whoever could say so is gone: nobody keeps the lease.
        Err(_) => Stop::Lost,
    }
}

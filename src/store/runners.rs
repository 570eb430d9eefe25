//! The runners that have called, as far as people want to know: nothing is decided by it.

use chrono::TimeDelta;
use serde::Serialize;

use super::engine::{Connection, Flush, params};
use super::rows::{all, from_json, run, to_json};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::AgentId;

/// A runner that asks for work calls once a minute.
const ALIVE: TimeDelta = TimeDelta::minutes(3);

/// A runner, as it said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunnerSeen {
    /// Its name in the configuration.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The agents it can run and is listed for.
    pub agents: Vec<AgentId>,
    /// How many runs at once.
    pub places: u32,
    /// When it called last, to a minute.
    pub seen_at: Timestamp,
}

impl RunnerSeen {
    /// Whether it has called lately.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now - self.seen_at < ALIVE
    }
}

impl Store {
    /// Keeps what a runner said of itself.
    pub async fn runner_registered(&self, seen: RunnerSeen) -> Result<(), Error> {
        let sql = "INSERT INTO runner (name, version, agents, places, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (name) DO UPDATE SET name = excluded.name, version = excluded.version,
                       agents = excluded.agents, places = excluded.places, seen_at = excluded.seen_at";
        let keep = move |c: &Connection| {
            let RunnerSeen { name, version, agents, places, seen_at } = &seen;
            let at = seen_at.timestamp_millis();
            run(c, sql, params![name, version, to_json(agents), places, at])
        };
        self.inner.writer.write(Flush::Later, keep).await
    }

    /// Keeps when a runner called.
    pub async fn runner_seen(&self, name: String, now: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE runner SET seen_at = ?2 WHERE name = ?1";
        let keep = move |c: &Connection| run(c, sql, params![name, now.timestamp_millis()]);
        self.inner.writer.write(Flush::Later, keep).await
    }

    /// The runners that have ever called, by name.
    pub async fn runners(&self) -> Result<Vec<RunnerSeen>, Error> {
        self.read(known).await
    }
}

/// The runners that have ever called, by name.
pub(super) fn known(c: &Connection) -> Result<Vec<RunnerSeen>, Error> {
    let sql = "SELECT name, version, agents, places, seen_at FROM runner ORDER BY name";
    all(c, sql, [], |r| {
        let agents: String = r.get(2)?;
        Ok(RunnerSeen {
            name: r.get(0)?,
            version: r.get(1)?,
            agents: from_json(&agents).unwrap_or_default(),
            places: r.get(3)?,
            seen_at: from_millis(r.get(4)?),
        })
    })
}

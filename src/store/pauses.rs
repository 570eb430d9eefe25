//! Pauses: which agents get no new work, and whose issues are given to none. Where a place is taken and where whoever waits
//! for one is woken, both are asked in the same transaction.

use std::collections::BTreeMap;

use super::engine::{Connection, params};
use super::rows::{all, changed, first, is_any, parsed};
use super::{Error, Store};
use crate::clock::from_millis;
use crate::dispatch::AgentId;
use crate::dispatch::pause::{Pausable, Pause, Pauses};

impl Store {
    /// Pauses an agent or a repository; `false` when it was paused already, which stays as it is.
    pub async fn pause(&self, pause: Pause) -> Result<bool, Error> {
        let at = pause.at.timestamp_millis();
        self.write(move |c| match &pause.of {
            Pausable::Agent(agent) => {
                let sql = "INSERT INTO paused_agent VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                Ok(changed(c, sql, params![agent.as_str(), at, pause.by])? > 0)
            }
            Pausable::Repository(repo) => {
                let sql =
                    "INSERT INTO paused_repository VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                Ok(changed(c, sql, params![repo.to_string(), at, pause.by])? > 0)
            }
        })
        .await
    }

    /// What is paused, agents first.
    pub async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.read(|c| {
            let sql = "SELECT agent, at, who FROM paused_agent ORDER BY agent";
            let mut pauses: Vec<Pause> = all(c, sql, [], |r| {
                let of = Pausable::Agent(AgentId::new(r.get::<String>(0)?));
                Ok(Pause { of, at: from_millis(r.get(1)?), by: r.get(2)? })
            })?;
            let sql = "SELECT repo, at, who FROM paused_repository ORDER BY repo";
            let of_repositories: Vec<Pause> = all(c, sql, [], |r| {
                let of = Pausable::Repository(parsed(r, 0)?);
                Ok(Pause { of, at: from_millis(r.get(1)?), by: r.get(2)? })
            })?;
            pauses.extend(of_repositories);
            Ok(pauses)
        })
        .await
    }
}

/// Ends a pause; `false` when there was none.
pub(super) fn end(c: &Connection, of: &Pausable) -> Result<bool, Error> {
    let (sql, name) = match of {
        Pausable::Agent(agent) => ("DELETE FROM paused_agent WHERE agent = ?1", agent.to_string()),
        Pausable::Repository(repo) => {
            ("DELETE FROM paused_repository WHERE repo = ?1", repo.to_string())
        }
    };
    Ok(changed(c, sql, [name])? > 0)
}

/// The pauses that concern the issues of a repository.
pub(super) fn of(c: &Connection, repo: &str) -> Result<Pauses, Error> {
    let sql = "SELECT who FROM paused_repository WHERE repo = ?1";
    let agents: Vec<(String, String)> =
        all(c, "SELECT agent, who FROM paused_agent", [], |r| r.try_into())?;
    let agents: BTreeMap<_, _> =
        agents.into_iter().map(|(agent, who)| (AgentId::new(agent), who)).collect();
    Ok(Pauses { repository: first(c, sql, [repo], |r| r.get(0))?, agents })
}

/// Whether an agent gets no new work.
pub(super) fn has_agent(c: &Connection, agent: &str) -> Result<bool, Error> {
    is_any(c, "SELECT 1 FROM paused_agent WHERE agent = ?1", [agent])
}

/// Whether the issue of a lane is given to no agent.
pub(super) fn has_lane(c: &Connection, lane: i64) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM lane JOIN paused_repository ON paused_repository.repo = lane.repo
               WHERE lane.id = ?1";
    is_any(c, sql, [lane])
}

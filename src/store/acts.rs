//! What people did on the dashboard, with their names.

use serde::Serialize;

use super::engine::params;
use super::rows::{all, run};
use super::{Error, Sight, Store};
use crate::clock::{Timestamp, from_millis};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What, for people.
    pub what: String,
    /// The repository that it concerns, `owner/name`, where it is one.
    pub repo: Option<String>,
}

impl Store {
    /// Writes down what somebody did.
    pub async fn note_act(&self, act: Act) -> Result<(), Error> {
        let sql = "INSERT INTO act (at, who, what, repo) VALUES (?1, ?2, ?3, ?4)";
        let at = act.at.timestamp_millis();
        self.write(move |c| run(c, sql, params![at, act.by, act.what, act.repo])).await
    }

    /// What people did last, of the last ten thousand acts, the newest first: what is in sight, and what `by` did.
    pub async fn acts(&self, sight: Sight, by: String, limit: usize) -> Result<Vec<Act>, Error> {
        let sql = "SELECT at, who, what, repo FROM act ORDER BY id DESC LIMIT 10000";
        let mut acts: Vec<Act> = self
            .read(move |c| {
                all(c, sql, [], |r| {
                    let at = from_millis(r.get(0)?);
                    Ok(Act { at, by: r.get(1)?, what: r.get(2)?, repo: r.get(3)? })
                })
            })
            .await?;
        let is_seen = |act: &Act| match &act.repo {
            Some(repo) => sight.has(repo),
            None => sight == Sight::All || act.by == by,
        };
        acts.retain(is_seen);
        acts.truncate(limit);
        Ok(acts)
    }
}

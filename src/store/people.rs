//! What people decided about an issue, which stands above anything concluded: holds, choices, what they took away,
//! and which of their comments were answered.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::inbox::unreadable;
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, TaskType};
use crate::plan::EffectKind;
use crate::triage::Source;

/// How people left an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Why it is to be left alone.
    pub held: Option<String>,
    /// The agent that was chosen for it.
    pub chosen: Option<AgentId>,
    /// The kind of task it was chosen for, where that was said.
    pub chosen_task: Option<TaskType>,
    /// What they took off it, as kind and value: it is not put back.
    pub removed: BTreeSet<(EffectKind, String)>,
}

impl Store {
    /// Whether the commands of a comment or an entry were answered before.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_answered(&self, source: Source) -> Result<bool, Error> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT 1 FROM command WHERE comment = ?1")?
                .exists([key(source)])?)
        })
        .await
    }
}

/// How people left the issue of a lane.
pub(super) fn wishes(c: &Connection, lane: i64) -> Result<Wishes, Error> {
    let (held, chosen, task): (_, Option<String>, Option<String>) = c
        .prepare_cached("SELECT held, chosen, chosen_task FROM lane WHERE id = ?1")?
        .query_row([lane], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?
        .unwrap_or_default();
    let mut rows = c.prepare_cached("SELECT kind, value FROM removed WHERE lane = ?1")?;
    let rows = rows.query_map([lane], |r| Ok((r.get::<_, String>(0)?, r.get(1)?)))?;
    let mut removed = BTreeSet::new();
    for row in rows {
        let (kind, value): (String, String) = row?;
        removed.insert((kind.parse().map_err(|e: String| unreadable(&e))?, value));
    }
    let chosen_task =
        task.map(|task| task.parse().map_err(|e: String| unreadable(&e))).transpose()?;
    Ok(Wishes { held, chosen: chosen.map(AgentId::new), chosen_task, removed })
}

/// Writes down how people leave the issue from now on.
pub(super) fn keep(c: &Connection, lane: i64, wishes: &Wishes, at: Timestamp) -> Result<(), Error> {
    c.prepare_cached("UPDATE lane SET held = ?2, chosen = ?3, chosen_task = ?4 WHERE id = ?1")?
        .execute(params![
            lane,
            wishes.held,
            wishes.chosen.as_ref().map(AgentId::as_str),
            wishes.chosen_task.map(TaskType::as_str)
        ])?;
    c.prepare_cached("DELETE FROM removed WHERE lane = ?1")?.execute([lane])?;
    let mut insert = c.prepare_cached("INSERT INTO removed VALUES (?1, ?2, ?3, ?4)")?;
    for (kind, value) in &wishes.removed {
        insert.execute(params![lane, kind.as_str(), value, at.timestamp_millis()])?;
    }
    Ok(())
}

/// The number under which an answer is remembered; the forge counts its comments from 1.
fn key(source: Source) -> i64 {
    match source {
        Source::Comment(id) => id,
        Source::Entry(seq) => -seq,
    }
}

/// Writes down that the commands of comments and entries have been answered.
pub(super) fn answered(
    c: &Connection,
    lane: i64,
    sources: &[Source],
    at: Timestamp,
) -> Result<(), Error> {
    let mut insert = c.prepare_cached(
        "INSERT INTO command (comment, lane, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for source in sources {
        insert.execute(params![key(*source), lane, at.timestamp_millis()])?;
    }
    Ok(())
}

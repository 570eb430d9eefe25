//! What people decided about an issue, which stands above anything concluded: holds, choices, what they took away,
//! and which of their comments were answered.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{from_json, kind_and_value, parsed_if_any, to_json};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, TaskType};
use crate::plan::EffectKind;
use crate::triage::{Hold, Source};

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
    pub async fn is_answered(&self, source: Source) -> Result<bool, Error> {
        self.read(move |c| {
            let (comment, entry) = columns(source);
            let of_source = "SELECT 1 FROM command WHERE source_comment = ?1 OR source_entry = ?2";
            Ok(c.prepare_cached(of_source)?.exists([comment, entry])?)
        })
        .await
    }
}

/// How people left the issue of a lane.
pub(super) fn wishes(c: &Connection, lane: i64) -> Result<Wishes, Error> {
    let (chosen, chosen_task) = c
        .prepare_cached("SELECT chosen, chosen_task FROM lane WHERE id = ?1")?
        .query_row([lane], |r| {
            Ok((r.get::<_, Option<String>>(0)?.map(AgentId::new), parsed_if_any(r, 1)?))
        })
        .optional()?
        .unwrap_or_default();
    let mut removed = c.prepare_cached("SELECT kind, value FROM removed WHERE lane = ?1")?;
    let removed = removed.query_map([lane], kind_and_value)?.collect::<Result<_, _>>()?;
    let held = held(c, lane)?.map(|hold| hold.to_string());
    Ok(Wishes { held, chosen, chosen_task, removed })
}

/// Why the issue of a lane is to be left alone.
fn held(c: &Connection, lane: i64) -> Result<Option<Hold>, Error> {
    let mut rows = c.prepare_cached("SELECT hold FROM lane WHERE id = ?1")?;
    let hold: Option<String> = rows.query_row([lane], |r| r.get(0)).optional()?.flatten();
    hold.map(|hold| from_json(&hold)).transpose()
}

/// The words of a hold as it is kept. One that cannot be read is shown as it stands there.
pub(super) fn hold_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let hold: Option<String> = row.get(column)?;
    Ok(hold.map(|json| from_json(&json).map_or(json, |hold: Hold| hold.to_string())))
}

/// Has the issue of a lane left alone, or not any more.
pub(super) fn hold(c: &Connection, lane: i64, hold: Option<&Hold>) -> Result<(), Error> {
    c.prepare_cached("UPDATE lane SET hold = ?2 WHERE id = ?1")?
        .execute(params![lane, hold.map(to_json)])?;
    Ok(())
}

/// Writes down how people leave the issue from now on.
pub(super) fn keep(c: &Connection, lane: i64, wishes: &Wishes, at: Timestamp) -> Result<(), Error> {
    if held(c, lane)?.map(|hold| hold.to_string()) != wishes.held {
        let told = wishes.held.clone().map(|text| Hold::Earlier { text });
        hold(c, lane, told.as_ref())?;
    }
    c.prepare_cached("UPDATE lane SET chosen = ?2, chosen_task = ?3 WHERE id = ?1")?.execute(
        params![
            lane,
            wishes.chosen.as_ref().map(AgentId::as_str),
            wishes.chosen_task.map(TaskType::as_str)
        ],
    )?;
    c.prepare_cached("DELETE FROM removed WHERE lane = ?1")?.execute([lane])?;
    let mut insert = c.prepare_cached("INSERT INTO removed VALUES (?1, ?2, ?3, ?4)")?;
    for (kind, value) in &wishes.removed {
        insert.execute(params![lane, kind.as_str(), value, at.timestamp_millis()])?;
    }
    Ok(())
}

/// Writes down that the commands of comments and entries have been answered.
pub(super) fn answered(
    c: &Connection,
    lane: i64,
    sources: &[Source],
    at: Timestamp,
) -> Result<(), Error> {
    let mut insert = c.prepare_cached(
        "INSERT INTO command (lane, source_comment, source_entry, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    for source in sources {
        let (comment, entry) = columns(*source);
        insert.execute(params![lane, comment, entry, at.timestamp_millis()])?;
    }
    Ok(())
}

/// The columns of a command's source: the forge's id of a comment, or the place of an entry in the inbox.
fn columns(source: Source) -> (Option<i64>, Option<i64>) {
    match source {
        Source::Comment(id) => (Some(id), None),
        Source::Entry(seq) => (None, Some(seq)),
    }
}

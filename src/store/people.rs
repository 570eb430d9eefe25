//! What people decided about an issue, which stands above anything concluded: holds, choices, what they took away,
//! and which of their comments were answered.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};

use super::rows::{all, from_json, kind_and_value, marks, parsed_if_any, run, to_json};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, Mark, TaskType};
use crate::reason::Hold;
use crate::triage::{Custody, Evaluation, Source};

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

/// Who has the issue of a lane while no dispatch is open for it.
pub(super) fn custody(c: &Connection, lane: i64) -> Result<Custody, Error> {
    let mut row = c.prepare_cached("SELECT hold, chosen, chosen_task FROM lane WHERE id = ?1")?;
    let (hold, chosen, task) = row.query_row([lane], |r| {
        Ok((r.get::<_, Option<String>>(0)?, r.get::<_, Option<String>>(1)?, parsed_if_any(r, 2)?))
    })?;
    Ok(match (hold, chosen) {
        (Some(hold), _) => Custody::Held(from_json(&hold)?),
        (None, Some(agent)) => Custody::Chosen { agent: AgentId::new(agent), task },
        (None, None) => Custody::Free,
    })
}

/// What people took off the issue of a lane.
pub(super) fn removed(c: &Connection, lane: i64) -> Result<BTreeSet<Mark>, Error> {
    let sql = "SELECT kind, value FROM removed WHERE lane = ?1";
    Ok(marks(all(c, sql, [lane], kind_and_value)?))
}

/// Writes down who has the issue from now on, and what people took off it.
pub(super) fn keep(c: &Connection, lane: i64, e: &Evaluation) -> Result<(), Error> {
    let (chosen, task) = match &e.custody {
        Custody::Chosen { agent, task } => (Some(agent.as_str()), task.map(TaskType::as_str)),
        _ => (None, None),
    };
    hold(c, lane, e.custody.hold())?;
    let choose = "UPDATE lane SET chosen = ?2, chosen_task = ?3 WHERE id = ?1";
    run(c, choose, params![lane, chosen, task])?;
    run(c, "DELETE FROM removed WHERE lane = ?1", [lane])?;
    let (insert, at) = ("INSERT INTO removed VALUES (?1, ?2, ?3, ?4)", e.at.timestamp_millis());
    let insert = |m: &Mark| run(c, insert, params![lane, m.kind().as_str(), m.value(), at]);
    e.removed.iter().try_for_each(insert)
}

/// Has what people decided about the issue of one lane go on in another.
pub(super) fn carry_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    let hold = "UPDATE lane SET hold = (SELECT hold FROM lane WHERE id = ?1) WHERE id = ?2 AND hold IS NULL";
    run(c, hold, [from, to])?;
    let removed = "INSERT INTO removed SELECT ?2, kind, value, at FROM removed WHERE lane = ?1
                   ON CONFLICT DO NOTHING";
    run(c, removed, [from, to])
}

/// The words of a hold as it is kept. One that cannot be read is shown as it stands there.
pub(super) fn hold_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let hold: Option<String> = row.get(column)?;
    Ok(hold.map(|json| from_json(&json).map_or(json, |hold: Hold| hold.to_string())))
}

/// Has the issue of a lane left alone, or not any more.
pub(super) fn hold(c: &Connection, lane: i64, hold: Option<&Hold>) -> Result<(), Error> {
    let sql = "UPDATE lane SET hold = ?2 WHERE id = ?1";
    run(c, sql, params![lane, hold.map(to_json)])
}

/// Writes down that the command of a comment or an entry has been answered.
pub(super) fn answered(
    c: &Connection,
    lane: i64,
    source: Source,
    at: Timestamp,
) -> Result<(), Error> {
    let (comment, entry) = columns(source);
    let sql = "INSERT INTO command (lane, source_comment, source_entry, at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO NOTHING";
    run(c, sql, params![lane, comment, entry, at.timestamp_millis()])
}

/// The columns of a command's source: the forge's id of a comment, or the place of an entry in the inbox.
fn columns(source: Source) -> (Option<i64>, Option<i64>) {
    match source {
        Source::Comment(id) => (Some(id), None),
        Source::Entry(seq) => (None, Some(seq)),
    }
}

//! What was printed in runs: its beginning and its end are kept, up to a limit. The text is of others, and kept as it came.

use std::time::Duration;

use super::engine::{Connection, Flush, params};
use super::packing::{pack, unpack};
use super::rows::{all, first, run};
use super::runs::{self, RunAnswer, RunCall};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::dispatch::run::LogChunk;
use crate::issue::beginning;

/// Pieces are joined up to this size, in bytes: many small ones would cost more than they hold.
const PIECE: usize = 64 * 1024;

/// What is kept of the log of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLog {
    /// How it begins.
    pub head: String,
    /// How many bytes behind the beginning are not kept.
    pub left_out: u64,
    /// What follows.
    pub tail: String,
}

impl Store {
    /// Appends to the log of a run, and renews the lease. Of what is sent again, nothing is kept twice; `limit` is how
    /// many bytes are kept of the whole log.
    pub async fn log_run(
        &self,
        call: RunCall,
        chunk: LogChunk,
        limit: usize,
    ) -> Result<RunAnswer, Error> {
        let work = move |c: &Connection| {
            let row = match runs::fence(c, &call)? {
                Ok(row) => row,
                Err(answer) => return Ok(answer),
            };
            runs::renew(c, call.run, call.until)?;
            let end = chunk.offset.saturating_add(chunk.text.len() as u64);
            if end > row.logged {
                let begins = (row.logged == 0 && row.epoch > 1)
                    .then(|| format!("\n[lease {} of `{}` begins]\n", row.epoch, call.runner));
                let text = begins.unwrap_or_default() + &new_part(row.logged, &chunk);
                append(c, call.run, &text, limit)?;
                run(c, "UPDATE run SET logged = ?2 WHERE id = ?1", params![call.run, end])?;
            }
            Ok(row.answer())
        };
        self.inner.writer.write(Flush::Later, work).await
    }

    /// What is kept of the log of a run.
    pub async fn run_log(&self, id: i64) -> Result<RunLog, Error> {
        self.read(move |c| {
            let left_out = "SELECT left_out FROM run WHERE id = ?1";
            let left_out = first(c, left_out, [id], |r| r.get(0))?.unwrap_or(0);
            let mut log = RunLog { left_out, ..RunLog::default() };
            let sql = "SELECT is_head, text FROM run_log WHERE run = ?1 ORDER BY id";
            let pieces: Vec<Piece> =
                all(c, sql, [id], |r| Ok(Piece { is_head: r.get(0)?, packed: r.get(1)? }))?;
            for piece in pieces {
                let to = if piece.is_head { &mut log.head } else { &mut log.tail };
                to.push_str(&text(&piece.packed)?);
            }
            Ok(log)
        })
        .await
    }
}

/// How many runs one step of forgetting touches.
const STEP: i64 = 5;

impl Store {
    /// Forgets what runs that ended longer than `keep` ago were told and printed, one step's worth; how many there were.
    /// Call again until it is 0.
    pub async fn prune_runs(&self, now: Timestamp, keep: Duration) -> Result<usize, Error> {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = now.timestamp_millis().saturating_sub(keep);
        let old = "SELECT id FROM run WHERE prompt IS NOT NULL AND ended_at < ?1 LIMIT ?2";
        let old: Vec<i64> = self.read(move |c| all(c, old, [before, STEP], |r| r.get(0))).await?;
        self.write(move |c| {
            runs::end_forsaken(c, now)?;
            for id in &old {
                run(c, "DELETE FROM run_log WHERE run = ?1", [id])?;
                run(c, "UPDATE run SET prompt = NULL WHERE id = ?1 AND state = 'ended'", [id])?;
            }
            Ok(old.len())
        })
        .await
    }
}

struct Piece {
    is_head: bool,
    packed: Vec<u8>,
}

/// What of a chunk was not sent before, with a mark where something is missing before it.
fn new_part(logged: u64, chunk: &LogChunk) -> String {
    let (offset, text) = (chunk.offset, chunk.text.as_str());
    if offset > logged {
        return format!("\n[{} bytes were not sent]\n{text}", offset - logged);
    }
    let known = usize::try_from(logged - offset).unwrap_or(usize::MAX);
    // Repeated otherwise than it was: nothing is lost by keeping a letter more.
    text[beginning(text, known).len()..].to_owned()
}

/// Appends a text; when all is more than `limit`, the oldest pieces go that are not of the beginning.
fn append(c: &Connection, id: i64, new: &str, limit: usize) -> Result<(), Error> {
    let sql = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT), CAST(coalesce(sum(bytes) FILTER (WHERE is_head = 1), 0) AS BIGINT) FROM run_log WHERE run = ?1";
    let sums = first(c, sql, [id], |r| Ok([r.get::<usize>(0)?, r.get(1)?]))?;
    let [mut kept, head] = sums.unwrap_or_default();
    let is_head = kept == head && head + new.len() <= limit / 4;
    kept += new.len();
    join(c, id, new, is_head)?;
    while kept > limit {
        let sql =
            "SELECT id, bytes FROM run_log WHERE run = ?1 AND is_head = 0 ORDER BY id LIMIT 1";
        let oldest = first(c, sql, [id], |r| Ok((r.get::<i64>(0)?, r.get::<usize>(1)?)))?;
        let Some((piece, bytes)) = oldest else { break };
        run(c, "DELETE FROM run_log WHERE id = ?1", [piece])?;
        run(c, "UPDATE run SET left_out = left_out + ?2 WHERE id = ?1", params![id, bytes])?;
        kept -= bytes;
    }
    Ok(())
}

/// Adds a text to the last piece, where it fits, or makes one of it.
fn join(c: &Connection, id: i64, new: &str, is_head: bool) -> Result<(), Error> {
    let last = "SELECT id, bytes, text FROM run_log WHERE run = ?1 AND is_head = ?2 ORDER BY id DESC LIMIT 1";
    let last = first(c, last, params![id, is_head], |r| {
        Ok((r.get::<i64>(0)?, r.get::<usize>(1)?, r.get::<Vec<u8>>(2)?))
    })?;
    if let Some((piece, bytes, packed)) = last
        && bytes + new.len() <= PIECE
    {
        let joined = text(&packed)? + new;
        let sql = "UPDATE run_log SET bytes = ?2, text = ?3 WHERE id = ?1";
        return run(c, sql, params![piece, joined.len(), pack(joined.as_bytes())]);
    }
    let sql = "INSERT INTO run_log (run, is_head, bytes, text) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![id, is_head, new.len(), pack(new.as_bytes())])
}

fn text(packed: &[u8]) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&unpack(packed)?).into_owned())
}

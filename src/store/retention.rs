//! Forgetting: bodies of finished deliveries go when they are past their time. The rows stay, so that a delivery
//! that comes again is still known and every effect can still be traced.

use std::time::Duration;

use rusqlite::Connection;

use super::{Error, Store};
use crate::clock::Timestamp;

/// How many bodies one step removes, so that no step keeps the writer for long.
const STEP: u32 = 50;

impl Store {
    /// Removes one step's worth of bodies of deliveries that ended longer than `keep` ago; the number removed.
    /// Call again until it is 0.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn prune(&self, now: Timestamp, keep: Duration) -> Result<usize, Error> {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = now.timestamp_millis().saturating_sub(keep);
        // Looked for by a reader: the search may be long, and the writer has deliveries to answer.
        let old = self.read(move |c| old_bodies(c, before)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        self.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM body WHERE seq = ?1")?;
            old.iter().try_for_each(|seq| delete.execute([seq]).map(drop))?;
            Ok(old.len())
        })
        .await
    }
}

fn old_bodies(c: &Connection, before: i64) -> Result<Vec<i64>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT seq FROM body JOIN delivery USING (seq) WHERE settled_at < ?1 ORDER BY seq LIMIT ?2",
    )?;
    let rows = rows.query_map([before, i64::from(STEP)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

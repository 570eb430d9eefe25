//! Forgetting: bodies of finished deliveries go when they are past their time. The rows stay, so that a delivery
//! that comes again is still known and every effect can still be traced.

use std::time::Duration;

use super::{Error, Store};
use crate::clock::Timestamp;

/// How many bodies one step removes, so that no step keeps the writer for long.
const STEP: u32 = 200;

impl Store {
    /// Removes one step's worth of bodies of deliveries that ended longer than `keep` ago; the number removed.
    /// Call again until it is 0.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn prune(&self, now: Timestamp, keep: Duration) -> Result<usize, Error> {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = now.timestamp_millis().saturating_sub(keep);
        self.write(move |c| {
            let mut delete = c.prepare_cached(
                "DELETE FROM body WHERE seq IN (SELECT seq FROM body JOIN delivery USING (seq)
                 WHERE settled_at < ?1 ORDER BY seq LIMIT ?2)",
            )?;
            Ok(delete.execute([before, i64::from(STEP)])?)
        })
        .await
    }
}

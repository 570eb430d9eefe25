//! How much was written to an issue lately. What is too much is the worker's rule.

use super::lanes::Claim;
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};

impl Store {
    /// When the writes to the claimed issue after `since` were done, oldest first.
    pub async fn writes_since(
        &self,
        claim: &Claim,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, Error> {
        let lane = claim.lane;
        self.read(move |c| {
            let mut rows = c.prepare_cached(
                "SELECT settled_at FROM effect
                 WHERE lane = ?1 AND state = 'done' AND settled_at > ?2 ORDER BY settled_at",
            )?;
            let rows = rows.query_map([lane, since.timestamp_millis()], |r| r.get(0))?;
            Ok(rows.map(|at| at.map(from_millis)).collect::<Result<_, _>>()?)
        })
        .await
    }
}

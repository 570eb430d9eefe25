//! Forgetting: bodies of finished deliveries go when they are past their time. The rows stay, so that a delivery
//! that comes again is still known and every effect can still be traced.

use std::time::Duration;

use super::engine::Connection;
use super::rows::{all, run};
use super::{Error, Store};
use crate::clock::Timestamp;

/// How many bodies one step removes, so that no step keeps the writer for long.
const STEP: i64 = 50;

impl Store {
    /// Removes one step's worth of bodies of deliveries that ended longer than `keep` ago; the number removed.
    /// Call again until it is 0.
    pub async fn prune(&self, now: Timestamp, keep: Duration) -> Result<usize, Error> {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = now.timestamp_millis().saturating_sub(keep);
        // Looked for by a reader: the search may be long, and the writer has deliveries to answer.
        let old = self.read(move |c| old_bodies(c, before)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        self.write(move |c| remove(c, &old, before).map(|()| old.len())).await
    }
}

/// Removes the bodies that are still past their time: a dead delivery may have been given another chance since.
fn remove(c: &Connection, old: &[i64], before: i64) -> Result<(), Error> {
    let sql = "DELETE FROM body WHERE seq = ?1
               AND EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = ?1 AND settled_at < ?2)";
    old.iter().try_for_each(|seq| run(c, sql, [*seq, before]))
}

fn old_bodies(c: &Connection, before: i64) -> Result<Vec<i64>, Error> {
    let sql = "SELECT seq FROM body JOIN delivery USING (seq) WHERE settled_at < ?1 ORDER BY seq LIMIT ?2";
    all(c, sql, [before, STEP], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use crate::delivery::DeliveryId;
    use crate::store::{Classified, Destination, Pace, sample, scratch};

    const PACE: Pace = Pace {
        siblings: Duration::ZERO,
        quiet: Duration::ZERO,
        moment: Duration::ZERO,
        longest: Duration::ZERO,
    };

    #[tokio::test]
    async fn a_dead_delivery_that_gets_another_chance_keeps_its_body() {
        let (_folder, store) = scratch();
        let ids = ["one", "other"].map(|id| DeliveryId::parse(id).unwrap());
        for id in &ids {
            store.accept(sample(id.clone())).await.unwrap();
        }
        let dead =
            |seq| Classified { seq, action: String::new(), to: Destination::Dead("a test".into()) };
        store.classify(vec![dead(1), dead(2)], PACE, from_millis(1)).await.unwrap();
        let old = store.read(|c| old_bodies(c, 2)).await.unwrap();
        assert_eq!(old, [1, 2]);
        assert!(store.revive(&ids[0], from_millis(2)).await.unwrap());
        store.write(move |c| remove(c, &old, 2)).await.unwrap();
        assert!(store.body(1).await.unwrap().is_some());
        assert!(store.body(2).await.unwrap().is_none());
    }
}

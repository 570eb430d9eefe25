//! The deliveries of one repository, newest first: its issues' deliveries merged by their place in the inbox, so that a
//! quiet repository is not looked for among all the others' deliveries.

use std::collections::BinaryHeap;

use rusqlite::{Connection, OptionalExtension, params};

use super::filling::{DeliveryPage, Filling};
use crate::store::Error;
use crate::store::history::DELIVERY;

/// How many deliveries one page looks through: fewer than along the inbox, since each is sought for itself.
pub(super) const MOST_EXAMINED: usize = 2_000;
/// A repository with more issues than these is not merged; the inbox is walked instead, of which it is a good part.
const MOST_LANES: usize = 5_000;

/// The newest delivery of a lane before a place, be it ended or open; 0 when there is none.
const NEWEST: &str = "max(
    coalesce((SELECT max(seq) FROM delivery WHERE lane = l.id AND settled_at IS NOT NULL AND seq < ?2), 0),
    coalesce((SELECT max(seq) FROM delivery
              WHERE lane = l.id AND state IN ('pending', 'claimed') AND seq < ?2), 0))";

/// Where the merge stands: each lane with the place of its next delivery, the newest on top.
pub(super) struct Walk {
    heads: BinaryHeap<(i64, i64)>,
}

impl Walk {
    /// Begins before a place of the inbox; `None` when the repository has too many issues.
    pub(super) fn begin(c: &Connection, repo: &str, before: i64) -> Result<Option<Self>, Error> {
        let sql = format!("SELECT {NEWEST}, l.id FROM lane l WHERE l.repo = ?1 LIMIT ?3");
        let mut rows = c.prepare_cached(&sql)?;
        let rows =
            rows.query_map(params![repo, before, MOST_LANES + 1], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let heads: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let is_small = heads.len() <= MOST_LANES;
        let heads = heads.into_iter().filter(|(seq, _)| *seq > 0).collect();
        Ok(is_small.then_some(Self { heads }))
    }

    /// Shows the deliveries to the page until it has enough.
    pub(super) fn fill(
        mut self,
        c: &Connection,
        mut page: Filling<'_>,
    ) -> Result<DeliveryPage, Error> {
        let mut row = c.prepare_cached(&format!("{DELIVERY} WHERE seq = ?1"))?;
        let sql = format!("SELECT {NEWEST} FROM lane l WHERE l.id = ?1");
        let mut next = c.prepare_cached(&sql)?;
        while let Some((seq, lane)) = self.heads.pop() {
            let goes_on = row.query_row([seq], |row| Ok(page.take(row))).optional()?.transpose()?;
            if goes_on == Some(false) {
                break;
            }
            let seq: i64 = next.query_row([lane, seq], |r| r.get(0))?;
            if seq > 0 {
                self.heads.push((seq, lane));
            }
        }
        Ok(page.into_page())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch};

    #[tokio::test]
    async fn the_newest_delivery_of_an_issue_is_read_from_an_index() {
        let (_folder, store) = scratch();
        for condition in ["l.repo = ?1", "l.id = ?1"] {
            let sql = format!("SELECT {NEWEST}, l.id FROM lane l WHERE {condition}");
            let steps = store.read(move |c| plan(c, &sql)).await.unwrap();
            let by = |name: &str| steps.iter().any(|step| step.contains(name));
            assert!(by("delivery_ended_lane (lane=?") && by("delivery_open (lane=?"), "{steps:#?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:#?}");
        }
    }
}

//! The list of deliveries, newest first, paged by their place in the inbox.

use rusqlite::Connection;

use super::filling::{DeliveryPage, DeliveryQuery, Filling};
use super::of_repo;
use crate::store::history::DELIVERY;
use crate::store::{DeliveryState, Error, Store};

/// How many deliveries one page looks through; what lies beyond is a click away.
const MOST_EXAMINED: usize = 10_000;
/// More open deliveries than these are not sorted for one page; the inbox is walked instead, whose end they are.
const MOST_SORTED: u32 = 20_000;

impl Store {
    /// Deliveries that match, newest first.
    pub async fn delivery_page(&self, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        self.read(move |c| page(c, &query)).await
    }
}

fn page(c: &Connection, query: &DeliveryQuery) -> Result<DeliveryPage, Error> {
    let mut filling = Filling::new(query, MOST_EXAMINED);
    // The rare states lead to what is wanted sooner than the issues of a repository do.
    let is_common =
        matches!(query.state, None | Some(DeliveryState::Done | DeliveryState::Ignored));
    if let Some(repo) = query.repo.as_deref().filter(|_| is_common)
        && let Some(walk) = of_repo::Walk::begin(c, repo, filling.last)?
    {
        return walk.fill(c, Filling::new(query, of_repo::MOST_EXAMINED));
    }
    let mut rows = c.prepare_cached(&format!("{DELIVERY} {}", walk(c, query.state)?))?;
    let mut rows = rows.query([filling.last])?;
    while let Some(row) = rows.next()? {
        if !filling.take(row)? {
            break;
        }
    }
    Ok(filling.page)
}

/// The open deliveries of every issue, or of the issues that workers have, by their places alone: sorting those is
/// cheap, and no more rows are read than the page shows.
const PENDING: &str = "SELECT seq FROM delivery INDEXED BY delivery_open
     WHERE state IN ('pending', 'claimed') AND seq < ?1";
const CLAIMED: &str = "SELECT d.seq FROM lane CROSS JOIN delivery d INDEXED BY delivery_open
     ON d.lane = lane.id AND d.state IN ('pending', 'claimed')
     WHERE lane.state = 'claimed' AND d.seq < ?1";

/// The end of the question: by the index that leads to what is wanted, or down the inbox itself.
fn walk(c: &Connection, state: Option<DeliveryState>) -> Result<String, Error> {
    use DeliveryState::{Claimed, Dead, Done, Ignored, Pending, Received};
    let order = "ORDER BY delivery.seq DESC";
    Ok(match state {
        Some(state @ (Done | Ignored | Dead)) => format!(
            "WHERE delivery.state = '{}' AND settled_at IS NOT NULL AND delivery.seq < ?1 {order}",
            state.as_str()
        ),
        Some(Received) => {
            format!("WHERE delivery.state = 'received' AND delivery.seq < ?1 {order}")
        }
        Some(Claimed) => format!("WHERE delivery.seq IN ({CLAIMED}) {order}"),
        Some(Pending) if open_up_to(c, MOST_SORTED + 1)? <= MOST_SORTED => {
            format!("WHERE delivery.seq IN ({PENDING}) {order}")
        }
        Some(Pending) | None => format!("WHERE delivery.seq < ?1 {order}"),
    })
}

/// How many deliveries are open, counted up to `most`.
fn open_up_to(c: &Connection, most: u32) -> Result<u32, Error> {
    let sql = format!("SELECT count(*) FROM ({PENDING} LIMIT ?2)");
    Ok(c.prepare_cached(&sql)?.query_row([i64::MAX, most.into()], |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch};

    /// The steps of the question for a state, as SQLite would take them.
    async fn steps(state: Option<DeliveryState>) -> Vec<String> {
        let (_folder, store) = scratch();
        let steps = store.read(move |c| plan(c, &format!("{DELIVERY} {}", walk(c, state)?)));
        steps.await.unwrap()
    }

    #[tokio::test]
    async fn every_list_is_walked_by_an_index_in_its_order() {
        use DeliveryState::{Claimed, Dead, Done, Ignored, Pending, Received};
        let ended = [None, Some(Done), Some(Ignored), Some(Dead), Some(Received)];
        for state in ended.into_iter().chain([Some(Pending), Some(Claimed)]) {
            let steps = steps(state).await;
            let is_bad = |step: &String| {
                step.contains("TEMP B-TREE")
                    || step.starts_with("SCAN")
                        && !["delivery_open", "lane_claimed"].iter().any(|i| step.contains(i))
            };
            assert!(!steps.iter().any(is_bad), "{state:?}: {steps:#?}");
        }
    }
}

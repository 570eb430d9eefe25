//! The list of deliveries, newest first, paged by their place in the inbox.

use std::collections::BinaryHeap;

use super::between::{Between, List, Places};
use super::filling::{Filling, Page};
use super::{Sight, holds};
use crate::store::engine::{Connection, Row, params};
use crate::store::history::{DELIVERY, view};
use crate::store::rows::{all, first, only};
use crate::store::{DeliveryState, DeliveryView, Error, Store};

/// How many deliveries one page looks through; what lies beyond is a click away.
const MOST_EXAMINED: usize = 10_000;
/// The same of one repository: fewer, since each is sought for itself.
const MOST_EXAMINED_OF_REPO: usize = 2_000;
/// More open deliveries than these are not sorted for one page; the inbox is walked instead, whose end they are.
const MOST_SORTED: u32 = 20_000;
/// A repository with more issues than these is not merged; the inbox is walked instead, of which it is a good part.
const MOST_LANES: usize = 5_000;

/// Which deliveries to show.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those about this repository.
    pub repo: Option<String>,
    /// Only those whose id, action, issue or reason holds this, whatever its case.
    pub text: Option<String>,
    /// Only those that were received then.
    pub received: Between,
    /// Only those before this place in the inbox.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

impl Store {
    /// Deliveries in sight that match, newest first.
    pub async fn delivery_page(
        &self,
        mut query: DeliveryQuery,
        sight: Sight,
    ) -> Result<Page<DeliveryView>, Error> {
        query.text = query.text.map(|text| text.to_lowercase());
        self.read(move |c| page(c, &Wanted { query, sight })).await
    }
}

/// What is asked for, and what of it may be seen.
pub(super) struct Wanted {
    pub query: DeliveryQuery,
    pub sight: Sight,
}

impl Wanted {
    /// The delivery of a row, if it is asked for and in sight.
    fn find(&self, row: &Row<'_>) -> Result<Option<DeliveryView>, Error> {
        let DeliveryQuery { repo, state, text, .. } = &self.query;
        let is = |at, wanted: Option<&str>| -> Result<bool, Error> {
            let Some(wanted) = wanted else { return Ok(true) };
            Ok(row.get_ref(at)?.as_str_or_null().is_ok_and(|text| text == Some(wanted)))
        };
        if !is(5, repo.as_deref())? || !is(7, state.map(DeliveryState::as_str))? {
            return Ok(None);
        }
        let (delivery, text) = (view(row)?, text.as_deref().unwrap_or_default());
        if !self.sight.has_issue(delivery.issue.as_deref()) {
            return Ok(None);
        }
        let DeliveryView { id, action, issue, reason, .. } = &delivery;
        let parts = [Some(id), Some(action), issue.as_ref(), reason.as_ref()];
        let is_wanted =
            text.is_empty() || parts.into_iter().flatten().any(|part| holds(part, text));
        Ok(is_wanted.then_some(delivery))
    }
}

const INBOX: List<'_> = List {
    last: "SELECT max(seq) FROM delivery",
    time: "SELECT received_at FROM delivery WHERE seq >= ?1 ORDER BY seq LIMIT 1",
};

pub(super) fn page(c: &Connection, wanted: &Wanted) -> Result<Page<DeliveryView>, Error> {
    let query = &wanted.query;
    let places = query.received.places(c, &INBOX, query.before)?;
    // The rare states lead to what is wanted sooner than the issues of a repository do.
    let is_common =
        matches!(query.state, None | Some(DeliveryState::Done | DeliveryState::Ignored));
    if let Some(repo) = query.repo.as_deref().filter(|_| is_common)
        && let Some(page) = page_of_repo(c, repo, wanted, places)?
    {
        return Ok(page);
    }
    let mut filling = Filling::new(places, query.limit, MOST_EXAMINED);
    let sql = format!("{DELIVERY} {}", walk(c, query.state)?);
    c.walk(&sql, [places.before], &mut |row| filling.take(row.get(0)?, || wanted.find(row)))?;
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
        Some(Claimed) => format!("WHERE {} {order}", among(c, CLAIMED)),
        Some(Pending) if open_up_to(c, MOST_SORTED + 1)? <= MOST_SORTED => {
            format!("WHERE {} {order}", among(c, PENDING))
        }
        Some(Pending) | None => format!("WHERE delivery.seq < ?1 {order}"),
    })
}

/// That a delivery is one of some few, which are looked for first: PostgreSQL would rather walk the whole inbox along them,
/// because it expects that a walk is soon given up.
fn among(c: &Connection, few: &str) -> String {
    match c {
        Connection::Sqlite(_) => format!("delivery.seq IN ({few})"),
        Connection::Postgres(_) => format!("delivery.seq = ANY (ARRAY({few}))"),
    }
}

/// How many deliveries are open, counted up to `most`.
fn open_up_to(c: &Connection, most: u32) -> Result<u32, Error> {
    let sql = format!("SELECT count(*) FROM ({PENDING} LIMIT ?2) AS open");
    only(c, &sql, [i64::MAX, most.into()], |r| r.get(0))
}

/// The newest delivery of a lane before a place, be it ended or open; 0 when there is none.
const NEWEST: &str = "max(
    coalesce((SELECT max(seq) FROM delivery WHERE lane = l.id AND settled_at IS NOT NULL AND seq < ?2), 0),
    coalesce((SELECT max(seq) FROM delivery
              WHERE lane = l.id AND state IN ('pending', 'claimed') AND seq < ?2), 0))";

/// The deliveries of one repository: its issues' deliveries merged by their place in the inbox, so that a quiet repository
/// is not looked for among all the others' deliveries. `None` when the repository has too many issues.
fn page_of_repo(
    c: &Connection,
    repo: &str,
    wanted: &Wanted,
    places: Places,
) -> Result<Option<Page<DeliveryView>>, Error> {
    if let Connection::Postgres(_) = c {
        return page_of_repo_at_once(c, repo, wanted, places);
    }
    let query = &wanted.query;
    let sql = format!("SELECT {NEWEST}, l.id FROM lane l WHERE l.repo = ?1 LIMIT ?3");
    // Each lane with the place of its next delivery, the newest on top.
    let mut heads: BinaryHeap<(i64, i64)> =
        all(c, &sql, params![repo, places.before, MOST_LANES + 1], |r| r.try_into())?;
    if heads.len() > MOST_LANES {
        return Ok(None);
    }
    heads.retain(|(seq, _)| *seq > 0);
    let mut filling = Filling::new(places, query.limit, MOST_EXAMINED_OF_REPO);
    let one = format!("{DELIVERY} WHERE seq = ?1");
    let next = format!("SELECT {NEWEST} FROM lane l WHERE l.id = ?1");
    while let Some((seq, lane)) = heads.pop() {
        let take = |row: &Row<'_>| Ok(filling.take(seq, || wanted.find(row)));
        if first(c, &one, [seq], take)?.transpose()? == Some(false) {
            break;
        }
        let seq: i64 = only(c, &next, [lane, seq], |r| r.get(0))?;
        if seq > 0 {
            heads.push((seq, lane));
        }
    }
    Ok(Some(filling.page))
}

/// The newest deliveries before a place of each issue of a repository, merged.
const OF_REPO: &str = "SELECT seq FROM (
    SELECT ended.seq FROM lane l, LATERAL (
        SELECT seq FROM delivery WHERE lane = l.id AND settled_at IS NOT NULL AND seq < ?1
        ORDER BY seq DESC LIMIT ?3) AS ended WHERE l.repo = ?2
    UNION ALL
    SELECT open.seq FROM lane l, LATERAL (
        SELECT seq FROM delivery WHERE lane = l.id AND state IN ('pending', 'claimed') AND seq < ?1
        ORDER BY seq DESC LIMIT ?3) AS open WHERE l.repo = ?2
    ) AS of_repo ORDER BY seq DESC LIMIT ?3";

/// The same of a server, which is waited for with each question.
fn page_of_repo_at_once(
    c: &Connection,
    repo: &str,
    wanted: &Wanted,
    places: Places,
) -> Result<Option<Page<DeliveryView>>, Error> {
    let lanes = "SELECT count(*) FROM (SELECT 1 FROM lane WHERE repo = ?1 LIMIT ?2) AS lanes";
    let lanes: usize = only(c, lanes, params![repo, MOST_LANES + 1], |r| r.get(0))?;
    if lanes > MOST_LANES {
        return Ok(None);
    }
    let query = &wanted.query;
    let mut filling = Filling::new(places, query.limit, MOST_EXAMINED_OF_REPO);
    let sql = format!("{DELIVERY} WHERE {} ORDER BY delivery.seq DESC", among(c, OF_REPO));
    c.walk(&sql, params![places.before, repo, MOST_EXAMINED_OF_REPO + 1], &mut |row| {
        filling.take(row.get(0)?, || wanted.find(row))
    })?;
    Ok(Some(filling.page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch_file};

    /// The steps of the question for a state, as SQLite would take them.
    async fn steps(state: Option<DeliveryState>) -> Vec<String> {
        let (_folder, store) = scratch_file();
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

    #[tokio::test]
    async fn the_newest_delivery_of_an_issue_is_read_from_an_index() {
        let (_folder, store) = scratch_file();
        for condition in ["l.repo = ?1", "l.id = ?1"] {
            let sql = format!("SELECT {NEWEST}, l.id FROM lane l WHERE {condition}");
            let steps = store.read(move |c| plan(c, &sql)).await.unwrap();
            let by = |name: &str| steps.iter().any(|step| step.contains(name));
            assert!(by("delivery_ended_lane (lane=?") && by("delivery_open (lane=?"), "{steps:#?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:#?}");
        }
    }
}

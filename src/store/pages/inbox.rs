//! The list of deliveries, newest first, paged by their place in the inbox.

use rusqlite::{Connection, params};

use super::holds;
use crate::store::history::{DELIVERY, view};
use crate::store::{DeliveryState, DeliveryView, Error, Store};

/// How many deliveries one page looks through; what lies beyond is a click away.
const MOST_EXAMINED: usize = 10_000;
/// More open deliveries than these are not sorted for one page; the inbox is walked instead.
const MOST_SORTED: u32 = 20_000;
/// A repository with more issues than these is found soon by walking the inbox.
const FEW_LANES: u32 = 200;

/// Which deliveries to show.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those about this repository.
    pub repo: Option<String>,
    /// Only those whose id, action, issue or reason holds this, whatever its case.
    pub text: Option<String>,
    /// Only those before this place in the inbox.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// One page of them.
#[derive(Clone, Debug, Default)]
pub struct DeliveryPage {
    /// What is on it, newest first.
    pub deliveries: Vec<DeliveryView>,
    /// Where the next page begins; `None` on the last one.
    pub older: Option<i64>,
    /// Whether the search stopped because it had looked through enough, not because the page was full.
    pub stopped: bool,
}

impl Store {
    /// Deliveries that match, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn delivery_page(&self, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        self.read(move |c| page(c, &query)).await
    }
}

fn page(c: &Connection, query: &DeliveryQuery) -> Result<DeliveryPage, Error> {
    let before = query.before.unwrap_or(i64::MAX);
    let wanted = query.text.as_deref().unwrap_or_default().to_lowercase();
    let repo = query.repo.as_deref();
    let mut rows = c.prepare_cached(&format!("{DELIVERY} {}", walk(c, query)?))?;
    let mut rows = rows.query(params![before, repo.unwrap_or_default()])?;
    let mut page = DeliveryPage::default();
    let mut last = before;
    let mut examined = 0;
    while let Some(row) = rows.next()? {
        if page.deliveries.len() == query.limit || examined == MOST_EXAMINED {
            page.stopped = page.deliveries.len() < query.limit;
            page.older = Some(last);
            break;
        }
        examined += 1;
        last = row.get(0)?;
        let of_repo = match repo {
            Some(repo) => row.get_ref(5)?.as_str_or_null().ok().flatten() == Some(repo),
            None => true,
        };
        let of_state = match query.state {
            Some(state) => row.get_ref(7)?.as_str().is_ok_and(|text| text == state.as_str()),
            None => true,
        };
        if !of_repo || !of_state {
            continue;
        }
        let delivery = view(row)?;
        if matches(&delivery, &wanted) {
            page.deliveries.push(delivery);
        }
    }
    Ok(page)
}

fn matches(delivery: &DeliveryView, wanted: &str) -> bool {
    let parts = [
        Some(delivery.id.as_str()),
        Some(delivery.action.as_str()),
        delivery.issue.as_deref(),
        delivery.reason.as_deref(),
    ];
    wanted.is_empty() || parts.into_iter().flatten().any(|part| holds(part, wanted))
}

/// The end of the question: by the index that leads to what is wanted, or down the inbox itself.
fn walk(c: &Connection, query: &DeliveryQuery) -> Result<String, Error> {
    use DeliveryState::{Claimed, Dead, Done, Ignored, Pending, Received};
    let at_most = |sql: &str, most: u32| -> Result<bool, Error> {
        let sql = format!("SELECT count(*) FROM ({sql} LIMIT {most} + 1)");
        let repo = query.repo.as_deref().unwrap_or_default();
        Ok(c.prepare_cached(&sql)?.query_row([repo], |r| r.get::<_, u32>(0))? <= most)
    };
    let of_repo = "SELECT 1 FROM lane WHERE repo = ?1";
    let is_open = "SELECT 1 FROM delivery INDEXED BY delivery_open
                   WHERE state IN ('pending', 'claimed') AND ?1 = ?1";
    let end = "delivery.seq < ?1 AND ?2 = ?2 ORDER BY delivery.seq DESC";
    Ok(match query.state {
        Some(state @ (Done | Ignored | Dead)) => format!(
            "WHERE delivery.state = '{}' AND settled_at IS NOT NULL AND {end}",
            state.as_str()
        ),
        Some(Received) => format!("WHERE delivery.state = 'received' AND {end}"),
        Some(Pending | Claimed) if at_most(is_open, MOST_SORTED)? => {
            "WHERE delivery.state IN ('pending', 'claimed') AND +delivery.seq < ?1 AND ?2 = ?2
             ORDER BY delivery.seq DESC"
                .to_owned()
        }
        None if query.repo.is_some() && at_most(of_repo, FEW_LANES)? => {
            "WHERE delivery.seq IN (SELECT d.seq FROM lane l JOIN delivery d ON d.lane = l.id
                 WHERE l.repo = ?2 AND d.settled_at IS NOT NULL AND d.seq < ?1
                 UNION ALL SELECT d.seq FROM delivery d
                 WHERE d.state IN ('pending', 'claimed') AND d.seq < ?1)
             ORDER BY delivery.seq DESC"
                .to_owned()
        }
        _ => format!("WHERE {end}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Use;

    /// The steps of the question for each state, as SQLite would take them.
    async fn steps(query: DeliveryQuery) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t.db"), 1, Use::Beside).unwrap();
        let steps = store.read(move |c| {
            let sql = format!("EXPLAIN QUERY PLAN {DELIVERY} {}", walk(c, &query)?);
            let mut plan = c.prepare(&sql)?;
            let steps = plan.query_map(params![1, ""], |r| r.get::<_, String>(3))?;
            Ok(steps.collect::<Result<Vec<_>, _>>()?)
        });
        steps.await.unwrap()
    }

    #[tokio::test]
    async fn every_list_is_walked_by_an_index_in_its_order() {
        use DeliveryState::{Dead, Done, Ignored, Received};
        for state in [None, Some(Done), Some(Ignored), Some(Dead), Some(Received)] {
            let steps = steps(DeliveryQuery { state, ..DeliveryQuery::default() }).await;
            let is_bad = |step: &String| step.contains("TEMP B-TREE") || step.starts_with("SCAN");
            assert!(!steps.iter().any(is_bad), "{state:?}: {steps:#?}");
        }
    }
}

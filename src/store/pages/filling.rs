//! A page of deliveries on its way: what matches of the rows that are shown to it.

use rusqlite::Row;

use super::holds;
use crate::store::history::view;
use crate::store::{DeliveryState, DeliveryView, Error};

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

/// A page on its way: what matches of the rows that are shown to it.
pub(super) struct Filling<'a> {
    query: &'a DeliveryQuery,
    /// The text that is looked for, in lower case.
    wanted: String,
    pub(super) page: DeliveryPage,
    pub(super) last: i64,
    examined: usize,
    most: usize,
}

impl<'a> Filling<'a> {
    pub(super) fn new(query: &'a DeliveryQuery, most: usize) -> Self {
        Self {
            query,
            wanted: query.text.as_deref().unwrap_or_default().to_lowercase(),
            page: DeliveryPage::default(),
            last: query.before.unwrap_or(i64::MAX),
            examined: 0,
            most,
        }
    }

    /// Looks at one more row; `false` when the page is full or enough was looked at.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<bool, Error> {
        let is_full = self.page.deliveries.len() == self.query.limit;
        if is_full || self.examined == self.most {
            self.page.stopped = !is_full;
            self.page.older = Some(self.last);
            return Ok(false);
        }
        self.examined += 1;
        self.last = row.get(0)?;
        if self.is_of_place(row)? {
            let delivery = view(row)?;
            if matches(&delivery, &self.wanted) {
                self.page.deliveries.push(delivery);
            }
        }
        Ok(true)
    }

    /// Whether the row is of the repository and in the state that are asked for.
    fn is_of_place(&self, row: &Row<'_>) -> Result<bool, Error> {
        let is = |at, wanted: Option<&str>| -> Result<bool, Error> {
            let Some(wanted) = wanted else { return Ok(true) };
            Ok(row.get_ref(at)?.as_str_or_null().is_ok_and(|text| text == Some(wanted)))
        };
        Ok(is(5, self.query.repo.as_deref())?
            && is(7, self.query.state.map(DeliveryState::as_str))?)
    }

    pub(super) fn into_page(self) -> DeliveryPage {
        self.page
    }
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

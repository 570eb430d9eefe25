//! A page on its way: what matches of the rows that are shown to it.

use super::between::Places;
use crate::store::Error;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it, newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub older: Option<i64>,
    /// Whether the search stopped because it had looked through enough, not because the page was full.
    pub stopped: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), older: None, stopped: false }
    }
}

pub(super) struct Filling<T> {
    pub(super) page: Page<T>,
    /// Where the list begins.
    from: i64,
    last: i64,
    limit: usize,
    /// How many more rows are looked at.
    left: usize,
}

impl<T> Filling<T> {
    pub(super) fn new(places: Places, limit: usize, most: usize) -> Self {
        let Places { from, before } = places;
        Self { page: Page::default(), from, last: before, limit, left: most }
    }

    /// Looks at the row at one more place; `false` when the page is full, enough was looked at, or the list is over.
    pub(super) fn take(
        &mut self,
        at: i64,
        wanted: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<bool, Error> {
        if at < self.from {
            return Ok(false);
        }
        let is_full = self.page.rows.len() == self.limit;
        if is_full || self.left == 0 {
            self.page.stopped = !is_full;
            self.page.older = Some(self.last);
            return Ok(false);
        }
        self.left -= 1;
        self.last = at;
        self.page.rows.extend(wanted()?);
        Ok(true)
    }
}

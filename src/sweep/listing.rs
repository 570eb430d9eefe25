//! Reading a whole list of issues, though it moves while it is read.
//!
//! The list is newest first with pages by offset, so an issue that closes moves the later ones up and one of them
//! slips from an unread page to a read one; an issue that opens does the same when pages are read out of order. Both
//! show: in the total that comes with each page, or in fewer different issues than the total says. Then the list is
//! read once more, and what either reading saw is kept.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};

use super::Watch;
use crate::clock::Timestamp;
use crate::gitea::{self as forge, IssueQuery, Page};
use crate::issue::{Fingerprint, ForgeIds, Issue, IssueNumber, RepoName};

/// How often a list that moves is read.
const READINGS: u32 = 3;
/// How many pages are asked for at once.
const IN_FLIGHT: usize = 4;
/// More pages than any list has.
const MAX_PAGES: u32 = 10_000;

/// An issue as a list shows it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub ids: Option<ForgeIds>,
    pub created_at: Option<Timestamp>,
    pub fingerprint: Fingerprint,
    pub updated_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
}

/// What is kept of an issue on a page.
pub(super) struct Line {
    number: IssueNumber,
    is_pull_request: bool,
    listed: Listed,
}

impl From<Issue> for Line {
    fn from(issue: Issue) -> Self {
        let listed = Listed {
            ids: issue.ids,
            created_at: issue.created_at,
            fingerprint: Fingerprint::of(&issue),
            updated_at: issue.updated_at,
            closed_at: issue.closed_at,
        };
        Self { number: issue.number, is_pull_request: issue.is_pull_request, listed }
    }
}

/// A list, read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub issues: BTreeMap<IssueNumber, Listed>,
    /// What is on it and could not be read.
    pub unread: Vec<forge::TooLarge>,
    /// When reading began, on the forge's clock.
    pub read_at: Option<Timestamp>,
}

impl Listing {
    /// Keeps what a page shows; gives the numbers.
    fn take(&mut self, page: Page<Line>) -> Vec<IssueNumber> {
        let unread = page.unread.into_iter().filter(|one| !self.unread.contains(one));
        self.unread.extend(unread.collect::<Vec<_>>());
        let issues = page.items.into_iter().filter(|issue| !issue.is_pull_request);
        let keep = |Line { number, listed, .. }| {
            self.issues.insert(number, listed);
            number
        };
        issues.map(keep).collect()
    }

    /// Whether an issue may be on the list though it is not among what was read.
    pub fn hides(&self, number: IssueNumber) -> bool {
        self.unread.iter().any(|one| one.number.is_none_or(|unread| unread == number))
    }
}

/// Which list, and who watches it being read.
pub(super) struct List<'a> {
    pub forge: &'a forge::Client,
    pub repo: &'a RepoName,
    pub query: IssueQuery,
    pub watch: Watch<'a>,
}

impl List<'_> {
    /// Reads the list until it stood still, a few times at most.
    pub(super) async fn read(&self) -> Result<Listing, forge::Error> {
        let mut listing = Listing::default();
        for _ in 0..READINGS {
            if self.read_once(&mut listing).await? {
                break;
            }
        }
        Ok(listing)
    }

    /// Reads every page; false when the list moved meanwhile.
    async fn read_once(&self, listing: &mut Listing) -> Result<bool, forge::Error> {
        let first = self.page(1).await?;
        let (total, size) = (first.total, first.items.len() + first.unread.len());
        listing.read_at = listing.read_at.or(first.at);
        let mut numbers = BTreeSet::from_iter(listing.take(first));
        // A forge that does not say how many there are is asked until a page brings nothing.
        let Some(count) = total else {
            for page in 2..=MAX_PAGES {
                let (before, page) = (numbers.len(), self.page(page).await?);
                let is_unread = !page.unread.is_empty();
                numbers.extend(listing.take(page));
                if numbers.len() == before && !is_unread {
                    break;
                }
            }
            return Ok(true);
        };
        let pages = pages(count, size);
        (self.watch)(self.repo, 1, pages);
        let mut rest =
            stream::iter(2..=pages).map(|page| self.page(page)).buffer_unordered(IN_FLIGHT);
        let (mut done, mut stood_still) = (1, true);
        while let Some(page) = rest.next().await {
            let page = page?;
            stood_still &= page.total == total;
            numbers.extend(listing.take(page));
            done += 1;
            (self.watch)(self.repo, done, pages);
        }
        Ok(stood_still && (numbers.len() + listing.unread.len()) as u64 == count)
    }

    async fn page(&self, page: u32) -> Result<Page<Line>, forge::Error> {
        self.forge.issues_page_of(self.repo, &self.query, page).await
    }
}

/// How many pages there are. The first one shows how many issues a page holds: the forge may give fewer than asked for.
fn pages(total: u64, size: usize) -> u32 {
    match size {
        0 => 1,
        size => u32::try_from(total.div_ceil(size as u64)).unwrap_or(MAX_PAGES).min(MAX_PAGES),
    }
}

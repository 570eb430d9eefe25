//! Reading a whole list of issues, of one repository or of several, though it moves while it is read.
//!
//! The list is newest first with pages by offset, so an issue that closes moves the later ones up and one of them
//! slips from an unread page to a read one; an issue that opens does the same when pages are read out of order. Both
//! show: in the total that comes with each page, or in fewer different issues than the total says. Then the list is
//! read once more, and what either reading saw is kept.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};

use super::Watch;
use crate::clock::Timestamp;
use crate::gitea::{self as forge, Found, IssueQuery, Page};
use crate::issue::{Fingerprint, ForgeIds, Issue, IssueNumber, IssueRef, RepoName};

/// How often a list that moves is read.
const READINGS: u32 = 3;
/// How many pages are asked for at once.
const IN_FLIGHT: usize = 4;
/// More pages than any list has.
pub(super) const MAX_PAGES: u32 = 10_000;

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

/// The list of a repository, read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub issues: BTreeMap<IssueNumber, Listed>,
    /// What is on it and could not be read.
    pub unread: Vec<forge::TooLarge>,
    /// When reading began, on the forge's clock.
    pub read_at: Option<Timestamp>,
}

impl Listing {
    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.issues.is_empty() && self.unread.is_empty()
    }

    /// Whether an issue may be on the list though it is not among what was read.
    pub fn hides(&self, number: IssueNumber) -> bool {
        self.unread.iter().any(|one| one.number.is_none_or(|unread| unread == number))
    }
}

/// What was read of a list, by repository.
#[derive(Debug, Default)]
pub(super) struct Listings {
    repos: BTreeMap<RepoName, Listing>,
    /// When reading began, on the forge's clock.
    pub read_at: Option<Timestamp>,
}

impl Listings {
    /// The repositories that something is listed of.
    pub fn repos(&self) -> impl Iterator<Item = &RepoName> {
        self.repos.keys()
    }

    /// What is listed of a repository.
    pub fn of(&mut self, repo: &RepoName) -> Listing {
        let listing = self.repos.remove(repo).unwrap_or_default();
        Listing { read_at: self.read_at, ..listing }
    }

    /// The forge's id of a repository that something is listed of.
    pub fn id(&self, repo: &RepoName) -> Option<i64> {
        let ids = self.repos.get(repo)?.issues.values().find_map(|issue| issue.ids)?;
        Some(ids.repo)
    }

    /// How much on it could not be read.
    fn unread(&self) -> usize {
        self.repos.values().map(|listing| listing.unread.len()).sum()
    }

    /// Keeps what a page shows; gives the issues.
    fn take(&mut self, page: Page<Found<Line>>) -> Vec<IssueRef> {
        for one in page.unread {
            let listing = self.repos.entry(one.repo.clone()).or_default();
            if !listing.unread.contains(&one) {
                listing.unread.push(one);
            }
        }
        let issues = page.items.into_iter().filter(|found| !found.issue.is_pull_request);
        let keep = |Found { repo, issue: Line { number, listed, .. } }| {
            self.repos.entry(repo.clone()).or_default().issues.insert(number, listed);
            IssueRef { repo, number }
        };
        issues.map(keep).collect()
    }
}

/// Of what a list is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// One repository.
    Repo(RepoName),
    /// All repositories of an owner.
    Owner(String),
    /// All repositories.
    All,
}

/// Which list, and who watches it being read.
pub(super) struct List<'a> {
    pub forge: &'a forge::Client,
    pub of: Of,
    pub query: IssueQuery,
    /// How many pages are read at most; a longer list is left.
    pub most: u32,
    pub watch: Watch<'a>,
}

impl List<'_> {
    /// Reads the list until it stood still, a few times at most; `None` when it is too long.
    pub(super) async fn read(&self) -> Result<Option<Listings>, forge::Error> {
        let mut listings = Listings::default();
        for _ in 0..READINGS {
            match self.read_once(&mut listings).await? {
                Reading::Moved => {}
                Reading::StoodStill => break,
                Reading::TooLong => return Ok(None),
            }
        }
        Ok(Some(listings))
    }

    /// Reads every page.
    async fn read_once(&self, listings: &mut Listings) -> Result<Reading, forge::Error> {
        let first = self.page(1).await?;
        let (total, size) = (first.total, first.items.len() + first.unread.len());
        listings.read_at = listings.read_at.or(first.at);
        let mut seen = BTreeSet::from_iter(listings.take(first));
        let Some(count) = total else { return self.read_on(listings, seen).await };
        let pages = pages(count, size);
        if pages > self.most {
            return Ok(Reading::TooLong);
        }
        self.tell(1, pages);
        let mut rest =
            stream::iter(2..=pages).map(|page| self.page(page)).buffer_unordered(IN_FLIGHT);
        let (mut done, mut stood_still) = (1, true);
        while let Some(page) = rest.next().await {
            let page = page?;
            stood_still &= page.total == total;
            seen.extend(listings.take(page));
            done += 1;
            self.tell(done, pages);
        }
        let is_whole = (seen.len() + listings.unread()) as u64 == count;
        Ok(if stood_still && is_whole { Reading::StoodStill } else { Reading::Moved })
    }

    /// A forge that does not say how many there are is asked until a page brings nothing.
    async fn read_on(
        &self,
        listings: &mut Listings,
        mut seen: BTreeSet<IssueRef>,
    ) -> Result<Reading, forge::Error> {
        for page in 2..=MAX_PAGES {
            if page > self.most {
                return Ok(Reading::TooLong);
            }
            let (before, page) = (seen.len(), self.page(page).await?);
            let is_unread = !page.unread.is_empty();
            seen.extend(listings.take(page));
            if seen.len() == before && !is_unread {
                break;
            }
        }
        Ok(Reading::StoodStill)
    }

    fn tell(&self, done: u32, pages: u32) {
        if let Of::Repo(repo) = &self.of {
            (self.watch)(repo, done, pages);
        }
    }

    async fn page(&self, page: u32) -> Result<Page<Found<Line>>, forge::Error> {
        let owner = match &self.of {
            Of::All => None,
            Of::Owner(owner) => Some(owner.as_str()),
            Of::Repo(repo) => {
                let Page { items, unread, total, at } =
                    self.forge.issues_page_of(repo, &self.query, page).await?;
                let found = |issue| Found { repo: repo.clone(), issue };
                let items = items.into_iter().map(found).collect();
                return Ok(Page { items, unread, total, at });
            }
        };
        self.forge.found_page_of(owner, &self.query, page).await
    }
}

/// How a reading of a list ended.
enum Reading {
    StoodStill,
    /// Something may be missing.
    Moved,
    TooLong,
}

/// How many pages there are. The first one shows how many issues a page holds: the forge may give fewer than asked for.
fn pages(total: u64, size: usize) -> u32 {
    match size {
        0 => 1,
        size => u32::try_from(total.div_ceil(size as u64)).unwrap_or(MAX_PAGES).min(MAX_PAGES),
    }
}

//! Lists of issues without pull requests: a repository's, and what changed in any.

use std::collections::BTreeMap;

use reqwest::Method;

use super::transport::{PageOf, Request, path};
use super::wire::{User, WireIssue, WireNumber, lenient, time};
use super::{Client, Error, Found, IssueQuery, Page, StateFilter, TooLarge};
use crate::clock::Timestamp;
use crate::issue::{Account, Issue, IssueNumber, RepoName};

lenient! {
    struct WireSaid { id: i64, user: User, issue_url: String, updated_at: String }
}

impl WireSaid {
    /// The issue of a comment that somebody else has written or edited, and when.
    fn by_others(&self, us: &Account) -> Option<(IssueNumber, Timestamp)> {
        let at = time(&self.updated_at).filter(|_| self.user.id != us.id)?;
        Some((self.issue_url.rsplit('/').next()?.parse().ok()?, at))
    }
}

/// More pages than one account opens issues in the time that is asked for.
const MAX_PAGES: u32 = 200;

impl Client {
    fn list(&self, repo: &RepoName, state: StateFilter) -> Request {
        Request::of_repo(Method::GET, repo, &["issues"])
            .query("state", state)
            .query("type", "issues")
    }

    fn nth(&self, page: u32) -> PageOf {
        PageOf { page, size: self.page_size() }
    }

    /// One page of a repository's issues, newest first. Pages count from 1.
    pub async fn issues_page(
        &self,
        repo: &RepoName,
        query: &IssueQuery,
        page: u32,
    ) -> Result<Page<Issue>, Error> {
        self.issues_page_of(repo, query, page).await
    }

    /// The same, each issue as what is wanted of it: the rest is dropped as it comes.
    pub async fn issues_page_of<N: From<Issue> + Send + 'static>(
        &self,
        repo: &RepoName,
        query: &IssueQuery,
        page: u32,
    ) -> Result<Page<N>, Error> {
        let request = self.list(repo, query.state).since(query.since);
        let keep = |issue: WireIssue| issue.into_issue().map(|issue| Some(issue.into()));
        let part = self.page(&request, self.nth(page), keep).await?;
        let mut unread = Vec::new();
        for place in part.skipped {
            let number = self.too_large(&request, place).await.map(|found| found.number);
            let number = number.filter(|n| *n > 0);
            unread.push(TooLarge { repo: repo.clone(), number, place: place + 1 });
        }
        Ok(Page { items: part.items, unread, total: part.total, at: part.at })
    }

    /// What can be said of an issue that is too large to be read: all but its number is dropped on the way.
    async fn too_large(&self, list: &Request, place: u64) -> Option<WireNumber> {
        let page = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
        let request = list.clone().query("page", page).query("limit", 1);
        let found = self.undivided(request, |issue: WireNumber| Ok(Some(issue))).await;
        found.unwrap_or_default().pop()
    }

    /// One page of the issues of all repositories of an owner, or of the whole forge, newest first. Pages count from 1.
    ///
    /// Without words to look for, the forge answers from its database and not from its index, so that nothing is late
    /// (modules/indexer/issues/indexer.go, `SearchIssues`). It covers what our account may read, private repositories
    /// too; without an owner also every public one (routers/api/v1/repo/issue.go, `SearchIssues`).
    pub async fn found_page_of<N: From<Issue> + Send + 'static>(
        &self,
        owner: Option<&str>,
        query: &IssueQuery,
        page: u32,
    ) -> Result<Page<Found<N>>, Error> {
        let what = owner.map_or_else(|| "issues".to_owned(), |owner| format!("{owner} issues"));
        let request = Request::get(what, path(&["repos", "issues", "search"]));
        let request = request.query("state", query.state).query("type", "issues");
        let request = request.maybe("owner", owner).since(query.since);
        let keep = |issue: WireIssue| {
            let repo = issue.home()?;
            Ok(Some(Found { repo, issue: issue.into_issue()?.into() }))
        };
        let part = self.page(&request, self.nth(page), keep).await?;
        let mut unread = Vec::new();
        for place in part.skipped {
            let found = self.too_large(&request, place).await;
            let named = found.and_then(|found| Some((found.home()?, found.number)));
            unread.extend(named.map(|(repo, number)| TooLarge {
                repo,
                number: Some(number),
                place: place + 1,
            }));
        }
        Ok(Page { items: part.items, unread, total: part.total, at: part.at })
    }

    /// The first page of a repository's issues, open and closed, that hold these words. Gitea's index is written after
    /// the answer to a POST, so what was just opened may be missing: not for finding our own writes.
    pub async fn search_issues(&self, repo: &RepoName, words: &str) -> Result<Vec<Issue>, Error> {
        let request = self.list(repo, StateFilter::All).query("q", words);
        Ok(self.page(&request, self.nth(1), one).await?.items)
    }

    /// The issues that `author` opened in a repository, open and closed, newest first: all that were opened since
    /// `since`, and some older ones. Not Gitea's search (`q=`), whose index is written after the answer to a POST.
    pub async fn issues_of(
        &self,
        repo: &RepoName,
        author: &Account,
        since: Timestamp,
    ) -> Result<Vec<Issue>, Error> {
        let mut found: Vec<Issue> = Vec::new();
        let request = self.list(repo, StateFilter::All).query("created_by", &author.login);
        for page in 1..=MAX_PAGES {
            let part = self.page(&request, self.nth(page), one).await?;
            let is_far = part.items.iter().any(|i| i.created_at.is_some_and(|at| at < since));
            let is_new = |i: &Issue| found.iter().all(|f| f.number != i.number);
            let new: Vec<_> = part.items.into_iter().filter(is_new).collect();
            // A page that brings nothing new is past the end, or from a server that does not page.
            let is_last = is_far || (new.is_empty() && part.skipped.is_empty());
            found.extend(new);
            if is_last {
                break;
            }
        }
        // A server that does not know the filter lists everybody's.
        found.retain(|issue| issue.author.as_ref().is_some_and(|by| by.is_same_as(author)));
        Ok(found)
    }

    /// The issues of a repository of which somebody else wrote or edited a comment since `since`, and when that was last:
    /// an edit moves no issue's time of change (gitea-facts 9), and where another comment was deleted as well, the number
    /// of comments hides a new one.
    pub async fn commented_since(
        &self,
        repo: &RepoName,
        since: Timestamp,
    ) -> Result<BTreeMap<IssueNumber, Timestamp>, Error> {
        let (mut comments, mut seen) = (BTreeMap::new(), 0);
        let request = Request::of_repo(Method::GET, repo, &["issues", "comments"]);
        let request = request.since(Some(since));
        for page in 1..=MAX_PAGES {
            let keep = |one: WireSaid| Ok(Some(one));
            let part = self.page(&request, self.nth(page), keep).await?;
            seen += (part.items.len() + part.skipped.len()) as u64;
            let before = comments.len();
            comments.extend(part.items.into_iter().map(|one| (one.id, one)));
            // A page that brings nothing new is past the end, or from a server that does not page.
            let is_last = comments.len() == before && part.skipped.is_empty();
            if is_last || part.total.is_some_and(|total| seen >= total) {
                break;
            }
        }
        if comments.is_empty() {
            return Ok(BTreeMap::new());
        }
        let us = self.whoami_in(repo).await?;
        let mut commented = BTreeMap::new();
        for (number, at) in comments.values().filter_map(|one| one.by_others(&us)) {
            let last = commented.entry(number).or_insert(at);
            *last = at.max(*last);
        }
        Ok(commented)
    }
}

fn one(issue: WireIssue) -> Result<Option<Issue>, String> {
    issue.into_issue().map(Some)
}

//! Lists of a repository's issues, without pull requests.

use std::collections::BTreeMap;

use reqwest::Method;

use super::transport::Request;
use super::wire::{User, WireIssue, lenient, time};
use super::{Client, Error, IssueQuery, Page, StateFilter};
use crate::clock::Timestamp;
use crate::issue::{Account, Issue, IssueNumber, RepoName};

lenient! {
    struct WireEdit { id: i64, user: User, issue_url: String, created_at: String, updated_at: String }
}

impl WireEdit {
    /// The issue of a comment that somebody else has edited, and when.
    fn edited(&self, us: &Account) -> Option<(IssueNumber, Timestamp)> {
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
            .query("limit", self.page_size())
    }

    /// One page of a repository's issues, newest first. Pages count from 1.
    pub async fn issues_page(
        &self,
        repo: &RepoName,
        query: &IssueQuery,
        page: u32,
    ) -> Result<Page<Issue>, Error> {
        let request = self.list(repo, query.state).query("page", page).since(query.since);
        let answer = self.send(request).await?;
        let (total, at) = (answer.total, answer.at);
        Ok(Page { items: answer.read_list(WireIssue::into_issue)?, total, at })
    }

    /// The first page of a repository's issues, open and closed, that hold these words. Gitea's index is written after
    /// the answer to a POST, so what was just opened may be missing: not for finding our own writes.
    pub async fn search_issues(&self, repo: &RepoName, words: &str) -> Result<Vec<Issue>, Error> {
        let request = self.list(repo, StateFilter::All).query("q", words);
        self.send(request).await?.read_list(WireIssue::into_issue)
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
        for page in 1..=MAX_PAGES {
            let request = self.list(repo, StateFilter::All).query("created_by", &author.login);
            let answer = self.send(request.query("page", page)).await?;
            let listed = answer.read_list(WireIssue::into_issue)?;
            let is_far = listed.iter().any(|i| i.created_at.is_some_and(|at| at < since));
            let is_new = |i: &Issue| found.iter().all(|f| f.number != i.number);
            let new: Vec<_> = listed.into_iter().filter(is_new).collect();
            // A page that brings nothing new is past the end, or from a server that does not page.
            let is_last = is_far || new.is_empty();
            found.extend(new);
            if is_last {
                break;
            }
        }
        // A server that does not know the filter lists everybody's.
        found.retain(|issue| issue.author.as_ref().is_some_and(|by| by.is_same_as(author)));
        Ok(found)
    }

    /// The issues of a repository of which somebody else's comment was edited since `since`, and when that was last: an
    /// edit moves no issue's time of change (gitea-facts 9).
    pub async fn edited_comments(
        &self,
        repo: &RepoName,
        since: Timestamp,
    ) -> Result<BTreeMap<IssueNumber, Timestamp>, Error> {
        let (mut edits, mut seen) = (BTreeMap::new(), 0);
        for page in 1..=MAX_PAGES {
            let request = Request::of_repo(Method::GET, repo, &["issues", "comments"]);
            let request = request.since(Some(since)).query("limit", self.page_size());
            let answer = self.send(request.query("page", page)).await?;
            let total = answer.total;
            let found: Vec<WireEdit> = answer.list()?;
            seen += found.len() as u64;
            let before = edits.len();
            edits.extend(found.into_iter().map(|one| (one.id, one)));
            // A page that brings nothing new is past the end, or from a server that does not page.
            if edits.len() == before || total.is_some_and(|total| seen >= total) {
                break;
            }
        }
        edits.retain(|_, one| one.updated_at != one.created_at);
        if edits.is_empty() {
            return Ok(BTreeMap::new());
        }
        let us = self.whoami_in(repo).await?;
        let mut edited = BTreeMap::new();
        for (number, at) in edits.values().filter_map(|one| one.edited(&us)) {
            let last = edited.entry(number).or_insert(at);
            *last = at.max(*last);
        }
        Ok(edited)
    }
}

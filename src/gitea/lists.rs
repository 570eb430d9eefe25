//! Lists of a repository's issues, without pull requests.

use reqwest::Method;

use super::transport::Request;
use super::wire::WireIssue;
use super::{Client, Error, IssueQuery, Page, StateFilter};
use crate::clock::Timestamp;
use crate::issue::{Account, Issue, RepoName};

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
}

//! The issues of one author.

use super::transport::{Request, repo_path};
use super::wire::WireIssue;
use super::{Client, Error};
use crate::clock::Timestamp;
use crate::issue::{Account, Issue, RepoName};

/// More pages than one account opens issues in the time that is asked for.
const MAX_PAGES: u32 = 200;

impl Client {
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
            let listed = self.issues_of_page(repo, &author.login, page).await?;
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

    async fn issues_of_page(
        &self,
        repo: &RepoName,
        login: &str,
        page: u32,
    ) -> Result<Vec<Issue>, Error> {
        let request = Request::get(format_args!("{repo} issues"), repo_path(repo, &["issues"]))
            .query("state", "all")
            .query("type", "issues")
            .query("created_by", login)
            .query("page", page)
            .query("limit", self.inner.page_size);
        self.send(request).await?.read(|issues: Option<Vec<WireIssue>>| {
            issues.unwrap_or_default().into_iter().map(WireIssue::into_issue).collect()
        })
    }
}

//! Issues by their words.

use super::transport::{Request, repo_path};
use super::wire::WireIssue;
use super::{Client, Error};
use crate::issue::{Issue, RepoName};

impl Client {
    /// The first page of a repository's issues, open and closed, that hold these words. Gitea's index is written after
    /// the answer to a POST, so what was just opened may be missing: not for finding our own writes.
    pub async fn search_issues(&self, repo: &RepoName, words: &str) -> Result<Vec<Issue>, Error> {
        let request = Request::get(format_args!("{repo} issues"), repo_path(repo, &["issues"]))
            .query("state", "all")
            .query("type", "issues")
            .query("q", words)
            .query("limit", self.inner.page_size);
        self.send(request).await?.read(|issues: Option<Vec<WireIssue>>| {
            issues.unwrap_or_default().into_iter().map(WireIssue::into_issue).collect()
        })
    }
}

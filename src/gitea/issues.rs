//! Issues: reading them as they are now, their comments, assignees, state and dependencies.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::json;

use super::error::Call;
use super::transport::{Listed, Request, issue_path, repo_path};
use super::wire::{WireComment, WireIssue};
use super::{Client, Comment, Error, IssueQuery, Page, StateFilter};
use crate::issue::{Issue, IssueRef, IssueState, RepoName};

impl Listed for WireIssue {
    fn id(&self) -> i64 {
        self.id
    }
}

impl Client {
    /// The issue as it is now, or `None` when it does not exist (any more).
    pub async fn issue(&self, at: &IssueRef) -> Result<Option<Issue>, Error> {
        match self.send(Request::get(at, issue_path(at, &[]))).await {
            Err(Error::Status { status: 404, .. }) => {
                self.must_show_issues(&at.repo).await.map(|()| None)
            }
            answer => answer?.read(WireIssue::into_issue).map(Some),
        }
    }

    /// Gitea answers 404 for a repository we may not see, and for one whose issues are off. Neither means that an
    /// issue was deleted.
    async fn must_show_issues(&self, repo: &RepoName) -> Result<(), Error> {
        if self.repository(repo).await?.has_issues {
            return Ok(());
        }
        let call = Call::new(Method::GET, format_args!("{repo} issues"));
        Err(Error::Status { call, status: 404, retry_after: None })
    }

    /// One page of a repository's issues, newest first, without pull requests. Pages count from 1.
    pub async fn issues_page(
        &self,
        repo: &RepoName,
        query: &IssueQuery,
        page: u32,
    ) -> Result<Page<Issue>, Error> {
        let state = match query.state {
            StateFilter::Open => "open",
            StateFilter::Closed => "closed",
            StateFilter::All => "all",
        };
        let mut request = Request::get(format_args!("{repo} issues"), repo_path(repo, &["issues"]))
            .query("state", state)
            .query("type", "issues")
            .query("page", page)
            .query("limit", self.inner.page_size);
        if let Some(since) = query.since {
            request =
                request.query("since", since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        }
        let answer = self.send(request).await?;
        let (total, at) = (answer.total, answer.at);
        let items = answer.read(|issues: Option<Vec<WireIssue>>| {
            issues.unwrap_or_default().into_iter().map(WireIssue::into_issue).collect()
        })?;
        Ok(Page { items, total, at })
    }

    /// Opens an issue.
    pub async fn create_issue(
        &self,
        repo: &RepoName,
        title: &str,
        body: &str,
    ) -> Result<Issue, Error> {
        let what = format!("{repo} issues");
        let request = Request::new(Method::POST, what, repo_path(repo, &["issues"]))
            .json(json!({"title": title, "body": body}));
        self.send(request).await?.read(WireIssue::into_issue)
    }

    /// Opens or closes an issue.
    pub async fn set_state(&self, at: &IssueRef, state: IssueState) -> Result<(), Error> {
        self.patch(at, "state", json!({"state": state})).await.map(|_| ())
    }

    /// Makes exactly these logins the assignees and tells who is assigned afterwards.
    pub async fn set_assignees(
        &self,
        at: &IssueRef,
        logins: &[String],
    ) -> Result<Vec<String>, Error> {
        let issue = self.patch(at, "assignees", json!({"assignees": logins})).await?;
        Ok(issue.assignees)
    }

    /// Sends only the one field: what is absent stays as it is.
    async fn patch(
        &self,
        at: &IssueRef,
        what: &str,
        field: serde_json::Value,
    ) -> Result<Issue, Error> {
        let what = format!("{at} {what}");
        let request = Request::new(Method::PATCH, what, issue_path(at, &[])).json(field);
        self.send(request).await?.read(WireIssue::into_issue)
    }

    /// The issues that this one waits for, open and closed, as far as we may see them.
    pub async fn dependencies(&self, at: &IssueRef) -> Result<Vec<(IssueRef, IssueState)>, Error> {
        let what = format!("{at} dependencies");
        match self.all::<WireIssue>(what, issue_path(at, &["dependencies"])).await {
            // Dependencies are switched off in the repository.
            Err(Error::Status { status: 404, .. }) => Ok(Vec::new()),
            issues => Ok(issues?.iter().filter_map(|issue| dependency(at, issue)).collect()),
        }
    }

    /// Every comment on an issue, oldest first. Gitea does not page this list, whatever is asked.
    pub async fn comments(&self, at: &IssueRef) -> Result<Vec<Comment>, Error> {
        let request = Request::get(format_args!("{at} comments"), issue_path(at, &["comments"]));
        self.send(request).await?.read(|comments: Option<Vec<WireComment>>| {
            comments.unwrap_or_default().into_iter().map(WireComment::into_comment).collect()
        })
    }

    /// Writes a comment.
    pub async fn post_comment(&self, at: &IssueRef, body: &str) -> Result<Comment, Error> {
        let what = format!("{at} comments");
        let request = Request::new(Method::POST, what, issue_path(at, &["comments"]))
            .json(json!({"body": body}));
        self.send(request).await?.read(WireComment::into_comment)
    }

    /// Changes a comment's text. Compare first: Forgejo tells everyone of an edit that changes nothing.
    pub async fn edit_comment(&self, at: &IssueRef, id: i64, body: &str) -> Result<(), Error> {
        let (what, id) = (format!("{at} comment {id}"), id.to_string());
        let path = repo_path(&at.repo, &["issues", "comments", &id]);
        let request = Request::new(Method::PATCH, what, path).json(json!({"body": body}));
        // An object with `"user": null` when the text was the same already (seen on 1.25.4).
        self.send(request).await?.json::<IgnoredAny>().map(|_| ())
    }

    /// Puts a reaction such as `eyes` on a comment; fine when it is there already.
    pub async fn react(&self, at: &IssueRef, comment: i64, content: &str) -> Result<(), Error> {
        let (what, id) = (format!("{at} comment {comment} reactions"), comment.to_string());
        let path = repo_path(&at.repo, &["issues", "comments", &id, "reactions"]);
        let request = Request::new(Method::POST, what, path).json(json!({"content": content}));
        self.send(request).await.map(|_| ())
    }
}

/// Issues we may not see come without a number; they cannot be named or followed.
fn dependency(at: &IssueRef, issue: &WireIssue) -> Option<(IssueRef, IssueState)> {
    let repo = match issue.repository.as_ref().filter(|r| !r.full_name.is_empty()) {
        Some(elsewhere) => elsewhere.full_name.parse().ok()?,
        None => at.repo.clone(),
    };
    let number = Some(issue.number).filter(|n| *n > 0)?;
    Some((IssueRef { repo, number }, issue.state()))
}

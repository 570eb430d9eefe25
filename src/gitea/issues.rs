//! One issue: reading it as it is now, its comments, assignees, state and dependencies.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::json;

use super::error::Call;
use super::transport::{Request, issue_path, repo_path};
use super::wire::{WireComment, WireDependency, WireIssue};
use super::{Client, Comment, Error};
use crate::issue::{Issue, IssueRef, IssueState, RepoName};

impl Client {
    /// The issue as it is now, or `None` when it does not exist (any more).
    pub async fn issue(&self, at: &IssueRef) -> Result<Option<Issue>, Error> {
        self.issue_of(at, None).await
    }

    /// The same of an issue whose repository is known by its number, which may have another name now, or none that
    /// anybody knows: then the answer is [`Error::Moved`].
    pub async fn issue_of(
        &self,
        at: &IssueRef,
        repo_id: Option<i64>,
    ) -> Result<Option<Issue>, Error> {
        let is_former = at.repo.is_former();
        if !is_former || repo_id.is_none() {
            // Of two issues that had one number, only the forge knows which has it now.
            let at = IssueRef { repo: at.repo.plain(), number: at.number };
            let request = Request::get(&at, issue_path(&at, &[]));
            if let Some(issue) = self.find_one(request, WireIssue::into_issue, &[404]).await? {
                return Ok(Some(issue));
            }
        }
        let repository = match repo_id {
            Some(id) => self.repository_by_id(id, &at.repo).await?,
            None if is_former => return Ok(None),
            None => self.repository(&at.repo).await?,
        };
        let call = Call::new(Method::GET, format_args!("{} issues", at.repo));
        if repository.name != at.repo {
            return Err(Error::Moved { call, to: Some(repository.name) });
        }
        // Gitea answers 404 for a repository we may not see, and for one whose issues are off. Neither means that an
        // issue was deleted.
        if repository.has_issues {
            return Ok(None);
        }
        Err(Error::Status { call, status: 404, retry_after: None })
    }

    /// Opens an issue.
    pub async fn create_issue(
        &self,
        repo: &RepoName,
        title: &str,
        body: &str,
    ) -> Result<Issue, Error> {
        let request = Request::of_repo(Method::POST, repo, &["issues"]);
        let request = request.json(json!({"title": title, "body": body}));
        self.send(request).await?.read(WireIssue::into_issue)
    }

    /// Opens or closes an issue.
    pub async fn set_state(&self, at: &IssueRef, state: IssueState) -> Result<(), Error> {
        self.patch(at, "state", json!({"state": state})).await.map(|_| ())
    }

    /// Makes exactly these logins the assignees and returns who is assigned afterwards.
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
        // The answer is the whole issue, however large it is.
        self.one(request, WireIssue::into_issue).await
    }

    /// The issues that this one waits for, open and closed, as far as we may see them.
    pub async fn dependencies(&self, at: &IssueRef) -> Result<Vec<(IssueRef, IssueState)>, Error> {
        let what = format!("{at} dependencies");
        let path = issue_path(at, &["dependencies"]);
        match self.all(what, path, WireDependency::key).await {
            // Dependencies are switched off in the repository.
            Err(Error::Status { status: 404, .. }) => Ok(Vec::new()),
            issues => Ok(issues?.iter().filter_map(|issue| issue.dependency(at)).collect()),
        }
    }

    /// What `keep` makes of each comment on an issue, oldest first; the rest is dropped as it comes. Gitea does not page
    /// this list, whatever is asked.
    pub async fn comments_of<N: Send + 'static>(
        &self,
        at: &IssueRef,
        mut keep: impl FnMut(Comment) -> Option<N> + Send + 'static,
    ) -> Result<Vec<N>, Error> {
        let request = Request::of_issue(Method::GET, at, &["comments"]);
        self.undivided(request, move |one: WireComment| one.into_comment().map(&mut keep)).await
    }

    /// One comment; `None` when it is gone.
    pub async fn comment(&self, at: &IssueRef, id: i64) -> Result<Option<Comment>, Error> {
        let what = format!("{at} comment {id}");
        let path = repo_path(&at.repo, &["issues", "comments", &id.to_string()]);
        let request = Request::get(what, path);
        self.find_one(request, WireComment::into_comment, &[404]).await
    }

    /// Writes a comment.
    pub async fn post_comment(&self, at: &IssueRef, body: &str) -> Result<Comment, Error> {
        let request = Request::of_issue(Method::POST, at, &["comments"]);
        let answer = self.send(request.json(json!({"body": body}))).await?;
        let comment = answer.read(WireComment::into_comment)?;
        comment.author.iter().for_each(|us| self.learn(us));
        Ok(comment)
    }

    /// Changes a comment's text. Compare first: Forgejo notifies everyone of an edit that changes nothing.
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
        // A page of a proxy in between is no reaction.
        self.send(request).await?.json::<IgnoredAny>().map(|_| ())
    }
}

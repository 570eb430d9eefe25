//! Requests that change nothing and show whether we may write, or whether a change makes a delivery.

use reqwest::Method;
use serde_json::json;

use super::transport::Request;
use super::{Client, Error};
use crate::issue::{IssueRef, RepoName};

impl Client {
    /// Asks whether labels may be made, and so whether issues may be written, with a label that has no name: 422 is
    /// only answered to who may (the order of the checks in routers/api/v1/api.go).
    pub async fn may_write(&self, repo: &RepoName) -> Result<(), Error> {
        let request = Request::of_repo(Method::POST, repo, &["labels"]);
        self.find(request.json(json!({})), &[422]).await.map(|_| ())
    }

    /// Adds no label to an issue. Nothing changes, not even when it was updated, and yet every webhook of the
    /// repository that hears labels gets a delivery (services/issue/label.go notifies unconditionally). The test
    /// call of the API will not do: before 1.27 it answers 204 and sends nothing to a hook without `push`.
    pub async fn nudge(&self, at: &IssueRef) -> Result<(), Error> {
        let request = Request::of_issue(Method::POST, at, &["labels"]);
        self.send(request.json(json!({"labels": []}))).await.map(|_| ())
    }
}

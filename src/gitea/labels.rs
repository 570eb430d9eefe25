//! Labels: the ones a repository knows, and the ones on an issue. Names are not unique in Gitea, so ids are sent.

use reqwest::Method;
use serde_json::json;

use super::transport::{Request, path, repo_path};
use super::wire::WireLabel;
use super::{Client, Error, Label};
use crate::issue::{IssueRef, RepoName};

impl Client {
    /// The repository's labels, then its organisation's. Both lists are asked for: the first holds only its own.
    pub async fn labels(&self, repo: &RepoName) -> Result<Vec<Label>, Error> {
        let what = format!("{repo} labels");
        let id = |label: &WireLabel| label.id;
        let own = self.all(&what, repo_path(repo, &["labels"]), id).await?;
        let org = path(&["orgs", repo.owner(), "labels"]);
        let org = match self.all(format!("{} labels", repo.owner()), org, id).await {
            // The owner is no organisation, or the token lacks `read:organization`.
            Err(Error::Status { status: 403 | 404, .. }) => Vec::new(),
            org => org?,
        };
        let own = own.into_iter().map(|label| label.into_label(false));
        Ok(own.chain(org.into_iter().map(|label| label.into_label(true))).collect())
    }

    /// Makes a label. Gitea makes a second one of the same name without a word: look first, and one at a time.
    pub async fn create_label(
        &self,
        repo: &RepoName,
        name: &str,
        color: &str,
        description: &str,
    ) -> Result<Label, Error> {
        let color = format!("#{}", color.trim_start_matches('#'));
        let request = Request::of_repo(Method::POST, repo, &["labels"]);
        let body = json!({"name": name, "color": color, "description": description});
        self.send(request.json(body)).await?.read(WireLabel::into_new_label)
    }

    /// Puts labels on an issue and returns the names on it afterwards: compare, for Gitea drops ids it does not know
    /// without a word.
    pub async fn add_labels(&self, at: &IssueRef, ids: &[i64]) -> Result<Vec<String>, Error> {
        let request = Request::of_issue(Method::POST, at, &["labels"]).json(json!({"labels": ids}));
        let labels: Vec<WireLabel> = self.send(request).await?.list()?;
        Ok(labels.into_iter().map(|label| label.name).collect())
    }

    /// Takes a label off an issue; fine when the label is no more.
    pub async fn remove_label(&self, at: &IssueRef, id: i64) -> Result<(), Error> {
        let request = Request::of_issue(Method::DELETE, at, &["labels", &id.to_string()]);
        match self.send(request).await {
            // 1.25 and Forgejo 11 say so when the label does not exist.
            Err(Error::Status { status: 422, .. }) => Ok(()),
            // 1.27 says it with the status of a repository that we may not see: check which it is.
            Err(Error::Status { status: 404, .. }) => self.issue(at).await.map(|_| ()),
            answer => answer.map(|_| ()),
        }
    }
}

//! Pull requests of a branch: the one there is, or a new one.

use reqwest::Method;
use serde_json::json;

use super::transport::{PageOf, Request};
use super::wire::lenient;
use super::{Client, Error};
use crate::issue::RepoName;

/// More pages of open pull requests than anybody looks after, and closed ones enough.
const MAX_PAGES: u32 = 40;

/// A pull request that is to be opened, within one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPull {
    /// The branch that is to be merged.
    pub head: String,
    /// The branch that it is to be merged into.
    pub base: String,
    /// Its title; one that begins with `WIP:` makes it a draft.
    pub title: String,
    /// Its text.
    pub body: String,
}

/// The pull request of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Whether it was merged.
    pub is_merged: bool,
}

impl Client {
    /// The open pull request of a branch of this repository. The forge's list knows no filter for it (Gitea 1.25,
    /// `ListPullRequests`), and a fork may have a branch of the same name.
    pub async fn open_pull_of_branch(
        &self,
        repo: &RepoName,
        branch: &str,
    ) -> Result<Option<BranchPull>, Error> {
        self.pull_of_branch(repo, branch, "open").await
    }

    /// The newest pull request of a branch that was merged or closed, among the newest of the repository.
    pub async fn closed_pull_of_branch(
        &self,
        repo: &RepoName,
        branch: &str,
    ) -> Result<Option<BranchPull>, Error> {
        self.pull_of_branch(repo, branch, "closed").await
    }

    async fn pull_of_branch(
        &self,
        repo: &RepoName,
        branch: &str,
        state: &str,
    ) -> Result<Option<BranchPull>, Error> {
        let size = self.page_size();
        let request = Request::of_repo(Method::GET, repo, &["pulls"]).query("state", state);
        for page in 1..=MAX_PAGES {
            let branch = branch.to_owned();
            // Kept as a place on the page, so that the end of the list is seen.
            let keep = move |pull: WirePull| Ok(Some(pull.of_branch(&branch)));
            let part = self.page(&request, PageOf { page, size }, keep).await?;
            let received = part.items.len() + part.skipped.len();
            if let Some(found) = part.items.into_iter().flatten().next() {
                return Ok(Some(found));
            }
            if received < size as usize {
                break;
            }
        }
        Ok(None)
    }

    /// Opens a pull request. Where the branch has an open one, the forge answers 409.
    pub async fn create_pull(&self, repo: &RepoName, new: &NewPull) -> Result<BranchPull, Error> {
        let NewPull { head, base, title, body } = new;
        let request = Request::of_repo(Method::POST, repo, &["pulls"]);
        let request =
            request.json(json!({"head": head, "base": base, "title": title, "body": body}));
        self.send(request).await?.read(|pull: WirePull| match pull.number {
            0 => Err("a pull request without a number".to_owned()),
            _ => Ok(pull.shown()),
        })
    }
}

lenient! {
    struct WirePull { number: u64, html_url: String, merged: bool, head: Side, base: Side }

    struct Side {
        #[serde(rename = "ref")]
        branch: String,
        repo_id: i64,
    }
}

impl WirePull {
    fn of_branch(self, branch: &str) -> Option<BranchPull> {
        let is_it = self.head.branch == branch && self.head.repo_id == self.base.repo_id;
        is_it.then(|| self.shown())
    }

    fn shown(self) -> BranchPull {
        BranchPull { number: self.number, url: self.html_url, is_merged: self.merged }
    }
}

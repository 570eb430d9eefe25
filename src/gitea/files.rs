//! Files of a repository.

use super::transport::{Request, repo_path};
use super::{Client, Error};
use crate::issue::RepoName;

impl Client {
    /// A file as it is at a branch, tag or commit, or at the default branch; `None` when there is none, or the account
    /// may not read code.
    pub async fn file(
        &self,
        repo: &RepoName,
        path: &str,
        reference: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let segments: Vec<&str> = ["raw"].into_iter().chain(path.split('/')).collect();
        let mut request = Request::get(format_args!("{repo} file"), repo_path(repo, &segments));
        if let Some(reference) = reference {
            request = request.query("ref", reference);
        }
        match self.send(request).await {
            Err(Error::Status { status: 404, .. }) => Ok(None),
            answer => Ok(Some(answer?.bytes())),
        }
    }
}

//! Repositories of which an older version kept only the name: each is asked for once after a start, before anything is
//! decided, so that what was decided about its issues is found again whatever it is called by now.

use std::sync::atomic::Ordering;

use super::Worker;
use crate::gitea as forge;
use crate::issue::RepoName;
use crate::store;

impl Worker {
    /// Asks for the ids that are missing, until the forge has answered once.
    pub(super) async fn identify_repos(&self) -> Result<(), store::Error> {
        if self.state.has_identified_repos.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        for repo in self.parts.store.unidentified_repos().await? {
            if !self.identify_repo(&repo).await? {
                self.state.has_identified_repos.store(false, Ordering::SeqCst);
                break;
            }
        }
        Ok(())
    }

    /// Notes which repository has the name, or where the name leads; false when it has to be asked again.
    async fn identify_repo(&self, repo: &RepoName) -> Result<bool, store::Error> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        match self.parts.forge.repository(repo).await {
            Ok(found) => store.repository_is(found.id, &found.name, now).await?,
            Err(forge::Error::Moved { to: Some(to), .. }) if to != *repo => {
                store.repository_moved(repo, &to, now).await?;
            }
            Err(error) => return Ok(!error.is_transient()),
        }
        Ok(true)
    }
}

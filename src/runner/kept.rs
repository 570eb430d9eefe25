//! Workspaces that are kept for a further turn of their run: until the service says that the dispatch has ended. What the
//! turn before left in one is brought up to what is on the forge.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::confinement::Folders;
use super::git::Call;
use super::workspace::{
    AWAITS, ENDED, FETCH, Workspace, WorkspaceError, Workspaces, private_folder, remove,
};

/// The file beside the checkout in which the name of the agent's session is kept.
pub(super) const SESSION: &str = "session";

/// Whose workspace it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The key of the dispatch.
    pub dispatch: String,
    /// The agent that works in it.
    pub agent: String,
    /// Its folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Workspaces {
    /// Notes that a turn has ended after which another one may follow.
    pub async fn keep(&self, workspace: &Workspace, kept: &Kept) {
        self.forget(workspace).await;
        let noted = serde_json::to_vec(kept).map_err(io::Error::other);
        let path = workspace.folders.root.join(AWAITS);
        if let Err(error) = noted.and_then(|text| fs::write(path, text)) {
            tracing::warn!("a workspace could not be kept for a further turn: {error}");
        }
    }

    /// The workspaces that are kept for further turns.
    pub fn kept(&self) -> Vec<Kept> {
        let found = fs::read_dir(self.root.join("runs")).into_iter().flatten().flatten();
        let kept = found.filter_map(|entry| {
            let text = fs::read(entry.path().join(AWAITS)).ok()?;
            let kept: Kept = serde_json::from_slice(&text).ok()?;
            Some(Kept { folder: entry.path(), ..kept })
        });
        kept.collect()
    }

    /// Notes that no further turn follows.
    pub fn release(&self, kept: &Kept) {
        let released = fs::File::create(kept.folder.join(ENDED));
        let released = released.and_then(|_| fs::remove_file(kept.folder.join(AWAITS)));
        if let Err(error) = released {
            tracing::warn!("the end of a run could not be noted in its workspace: {error}");
        }
    }

    /// Goes on in the workspace that the turn before left; `false` where there is none, or none that can be used.
    pub async fn go_on(&self, workspace: &Workspace) -> bool {
        // From here on it is nobody's until this turn has ended.
        if fs::remove_file(workspace.folders.root.join(AWAITS)).is_err() {
            return false;
        }
        // Git would follow what the agent wrote into the repositories of submodules.
        if self.settings.submodules {
            return false;
        }
        let brought_up = self.bring_up(workspace).await;
        if let Err(error) = &brought_up {
            tracing::info!("the workspace of the turn before is made anew: {error}");
        }
        brought_up.is_ok()
    }

    /// Lets the checkout be at the head of the branch. What git does not track, such as what was built, stays.
    async fn bring_up(&self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        let Folders { tree, temporary, .. } = &workspace.folders;
        self.disarm(&workspace.folders)?;
        remove(temporary)?;
        private_folder(temporary)?;
        // Made anew from what was committed: what the agent wrote into it is not read.
        remove(&tree.join(".git/index"))?;
        let source = format!("file://{}", workspace.cache.display());
        let branch = &workspace.branch;
        let wanted = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
        let fetch = [&FETCH[..], &[&source, &wanted]].concat();
        let reset = ["reset", "--quiet"];
        let checkout = ["checkout", "--quiet", "--force", "-B", branch, &workspace.start];
        for words in [&fetch[..], &reset[..], &checkout[..]] {
            self.git.run(Call::new(tree, words)).await?;
        }
        Ok(())
    }
}

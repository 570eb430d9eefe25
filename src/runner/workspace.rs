//! Workspaces: for each repository a bare clone that no agent can reach, and for each run a repository of its own made
//! from it. What an agent committed is fetched out of its repository once that was disarmed, and pushed from the clone.
//!
//! Everything is below one root. No name in it is taken as it came, and no symbolic link is followed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex as Lock;

use super::confinement::Folders;
use super::git::{Call, Git, GitError};
use super::leftovers::{end_programs, remove_locks};
use super::settings::{Forge, GitSettings, parse_person};
use crate::dispatch::run::Assignment;
use crate::issue::RepoName;

/// A file in the folder of a run that ended; its time is when.
pub(super) const ENDED: &str = "ended";
/// A file in the folder of a run of which another turn may follow: whose it is.
pub(super) const AWAITS: &str = "awaits";
/// How commits come from one folder of ours into another: no more than is asked for.
pub(super) const FETCH: [&str; 5] =
    ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
/// Where the commits of runs are kept in a clone.
const KEPT: &str = "refs/triage";
/// More files in an agent's `.git` are none of an ordinary repository.
const MOST_FILES: usize = 500_000;
/// What a file or folder takes at least, in bytes: a million empty ones are no small workspace.
const LEAST: u64 = 4096;

/// What in an agent's `.git` would lead git elsewhere, or let it run something.
const DISARMED: [&str; 14] = [
    "config",
    "config.worktree",
    "commondir",
    "gitdir",
    "hooks",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
    "objects/info/http-alternates",
    "index.lock",
    "HEAD.lock",
    "shallow",
];

/// Why there is no workspace, or nothing came out of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkspaceError {
    /// A file could not be made, read or removed.
    #[error("the workspace cannot be used: {0}")]
    Io(#[from] io::Error),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Something is there that must not be touched.
    #[error("{0}")]
    Refused(String),
}

/// All workspaces of this runner.
pub(super) struct Workspaces {
    pub(super) root: PathBuf,
    pub(super) git: Git,
    forge: Forge,
    pub(super) settings: GitSettings,
    /// One for each repository: git does not like two fetches into one clone.
    locks: Mutex<HashMap<PathBuf, Arc<Lock<()>>>>,
}

/// The workspace of one run.
pub(super) struct Workspace {
    pub folders: Folders,
    /// The branch it was made from.
    pub base: String,
    /// The commit that the agent starts from.
    pub start: String,
    /// What is on the forge under the name of the branch.
    pub on_forge: Option<String>,
    /// Whether it was made for this turn.
    pub is_new: bool,
    pub(super) cache: PathBuf,
    url: String,
    pub(super) branch: String,
    /// Where the agent's commits are kept in the clone.
    pub(super) kept: String,
    lock: Arc<Lock<()>>,
}

/// How a push ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is on the forge.
    There,
    /// Somebody else's commits are, and stay.
    Taken(String),
}

impl Workspaces {
    /// Those below `root`, which is made when missing.
    pub fn open(root: &Path, git: Git, forge: Forge, settings: GitSettings) -> io::Result<Self> {
        for folder in ["", "cache", "runs", "home"] {
            private_folder(&root.join(folder))?;
        }
        let root = root.canonicalize()?;
        Ok(Self { root, git, forge, settings, locks: Mutex::default() })
    }

    /// Keeps another runner out of the folder, as long as what is given back is held: it would remove the workspaces of
    /// this one.
    pub fn hold(&self) -> io::Result<fs::File> {
        let file = fs::File::create(self.root.join("lock"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let root = self.root.display();
            io::Error::other(format!(
                "another runner works in `{root}`; give this one another folder as `work`"
            ))
        })?;
        Ok(file)
    }

    /// Ends what an earlier process was killed in the middle of. Only for who [holds](Self::hold) the folder, before the
    /// first run.
    pub async fn recover(&self) {
        let root = self.root.clone();
        let recovered = tokio::task::spawn_blocking(move || -> io::Result<()> {
            end_programs(&[root.join("runs"), root.join("home")]);
            for clone in clones(&root.join("cache"))? {
                remove_locks(&clone)?;
                // The commits of runs that nobody will push any more.
                remove(&clone.join(KEPT))?;
            }
            Ok(())
        });
        match recovered.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("what an earlier process left cannot be removed: {error}")
            }
            Err(error) => tracing::warn!("what an earlier process left cannot be removed: {error}"),
        }
    }

    /// The empty folder that git calls its home.
    pub fn git_home(root: &Path) -> PathBuf {
        root.join("home")
    }

    /// Makes the workspace of a run, from the head of its branch where an earlier turn or lease has pushed one. A further
    /// turn goes on in the workspace that is there.
    pub async fn make(
        &self,
        assignment: &Assignment,
        base: &str,
    ) -> Result<Workspace, WorkspaceError> {
        let repo = assignment.at.repo.plain();
        check_branch(&assignment.branch)?;
        let cache = self.cache(&repo);
        let lock = self.lock(&cache);
        let url = self.url(&repo);
        let guard = lock.clone().lock_owned().await;
        self.fetch(&cache, &url).await?;
        let on_forge = self.head(&cache, &assignment.branch).await?;
        let is_followed = assignment.turn > 1;
        if is_followed {
            self.must_follow(&cache, assignment, on_forge.as_deref()).await?;
        }
        let is_ours = |head: &String| assignment.pushed.contains(head) || is_followed;
        if let Some(head) = on_forge.as_ref().filter(|head| !is_ours(head)) {
            return Err(WorkspaceError::Refused(format!(
                "the branch `{}` is on the forge at {}, and the service knows nothing of it; delete it there, or give the issue to somebody else",
                assignment.branch,
                short(head)
            )));
        }
        let start = match &on_forge {
            Some(head) => head.clone(),
            None => self.head(&cache, base).await?.ok_or_else(|| {
                WorkspaceError::Refused(format!("`{repo}` has no branch `{base}`; push one"))
            })?,
        };
        let name = name_of(assignment);
        let mut workspace = Workspace {
            folders: Folders::below(self.folder(assignment)),
            base: base.to_owned(),
            start,
            on_forge,
            is_new: true,
            cache,
            url,
            branch: assignment.branch.clone(),
            kept: format!("{KEPT}/{name}"),
            lock: Arc::clone(&lock),
        };
        if is_followed && self.go_on(&workspace).await {
            workspace.is_new = false;
        } else {
            self.lay_out(&workspace).await?;
        }
        drop(guard);
        Ok(workspace)
    }

    /// Refuses a branch that does not hold what earlier turns pushed: other people may add to it, and what they made of it
    /// otherwise is theirs.
    async fn must_follow(
        &self,
        cache: &Path,
        assignment: &Assignment,
        on_forge: Option<&str>,
    ) -> Result<(), WorkspaceError> {
        let Assignment { branch, pushed, .. } = assignment;
        let Some(head) = on_forge else {
            let text = format!("the branch `{branch}` is gone from the forge; nothing was pushed");
            return Err(WorkspaceError::Refused(text));
        };
        for ours in pushed.iter().rev() {
            let words = ["merge-base", "--is-ancestor", ours, head];
            // Fails also for a commit that the forge has not got any more.
            if ours == head || self.git.try_run(Call::new(cache, &words)).await?.status.success() {
                return Ok(());
            }
        }
        Err(WorkspaceError::Refused(format!(
            "the branch `{branch}` is at {} now, which does not stand on what the agent pushed; it was left so",
            short(head)
        )))
    }

    /// The folder of a run.
    pub fn folder(&self, assignment: &Assignment) -> PathBuf {
        self.root.join("runs").join(name_of(assignment))
    }

    async fn fetch(&self, cache: &Path, url: &str) -> Result<(), WorkspaceError> {
        if !cache.join("HEAD").is_file() {
            // Whole or not at all: half a clone, as a kill leaves it, would never be made whole.
            let new = cache.with_extension("new");
            remove(&new)?;
            fs::create_dir_all(&new)?;
            self.git.run(Call::new(&new, &["init", "--quiet", "--bare", "."])).await?;
            remove(cache)?;
            fs::rename(&new, cache)?;
        }
        let heads = "+refs/heads/*:refs/heads/*";
        let words =
            ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", url, heads];
        self.git.run(Call::new(cache, &words).with_token()).await?;
        Ok(())
    }

    /// The commit of a branch in the clone.
    async fn head(&self, cache: &Path, branch: &str) -> Result<Option<String>, WorkspaceError> {
        let name = format!("refs/heads/{branch}");
        let words = ["for-each-ref", "--format=%(refname) %(objectname)", &name];
        let found = self.git.run(Call::new(cache, &words)).await?;
        let exact = found.lines().filter_map(|line| line.split_once(' '));
        Ok(exact.filter(|(of, _)| *of == name).map(|(_, head)| head.to_owned()).next())
    }

    /// Makes the folders and the agent's repository anew; its home stays where a turn follows another.
    async fn lay_out(&self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        let Folders { root, tree, home, temporary } = &workspace.folders;
        private_folder(root)?;
        for folder in [tree, temporary, &root.join(ENDED), &root.join(AWAITS)] {
            remove(folder)?;
        }
        for folder in [home, temporary] {
            private_folder(folder)?;
        }
        let source = format!("file://{}", workspace.cache.display());
        let from = if workspace.on_forge.is_some() { &workspace.branch } else { &workspace.base };
        let target = tree.display().to_string();
        // By the transport rather than by copying: what other runs left in the clone stays there.
        let words = [
            "clone",
            "--quiet",
            "--no-local",
            "--no-tags",
            "--no-checkout",
            "--single-branch",
            "--branch",
            from,
            &source,
            &target,
        ];
        self.git.run(Call::new(root, &words)).await?;
        self.disarm(&workspace.folders)?;
        let words = ["checkout", "--quiet", "-B", &workspace.branch, &workspace.start];
        self.git.run(Call::new(tree, &words)).await?;
        if self.settings.submodules {
            let words = ["submodule", "--quiet", "update", "--init", "--recursive"];
            self.git.run(Call::new(tree, &words).with_token()).await?;
        }
        Ok(())
    }

    /// Takes everything out of the agent's `.git` that would lead git elsewhere or let it run something. The agent must
    /// have ended.
    pub fn disarm(&self, folders: &Folders) -> Result<(), WorkspaceError> {
        let git = folders.tree.join(".git");
        let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        if !is_folder(&folders.tree) || !is_folder(&git) {
            let text =
                "the agent replaced the repository in its workspace; nothing is taken from it";
            return Err(WorkspaceError::Refused(text.to_owned()));
        }
        for name in DISARMED {
            // A folder on the way may be a link; what lies behind one is not touched.
            let above = Path::new(name).parent().map(|above| git.join(above));
            if above.is_none_or(|above| is_folder(&above)) {
                remove(&git.join(name))?;
            }
        }
        let mut left = MOST_FILES;
        only_files(&git, &mut left)?;
        let [name, address] = parse_person(&self.settings.author).unwrap_or(["runner", "runner"]);
        let config = format!(
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n[user]\n\tname = \"{name}\"\n\temail = \"{address}\"\n"
        );
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(git.join("config"))?;
        io::Write::write_all(&mut file, config.as_bytes())?;
        Ok(())
    }

    /// Fetches what the agent committed into the clone; the commit it ended on. Its objects are checked on the way.
    pub async fn take(&self, workspace: &Workspace) -> Result<String, WorkspaceError> {
        self.disarm(&workspace.folders)?;
        let _guard = workspace.lock.lock().await;
        let (cache, kept) = (&workspace.cache, &workspace.kept);
        let source = workspace.folders.tree.join(".git").display().to_string();
        let wanted = format!("+HEAD:{kept}");
        let from = [&["-c", "fetch.fsckObjects=true"], &FETCH[..], &[&source, &wanted]];
        let words = from.concat();
        self.git.run(Call::new(cache, &words)).await?;
        let head = self.git.run(Call::new(cache, &["rev-parse", "--verify", kept])).await?;
        let words = ["merge-base", "--is-ancestor", &workspace.start, &head];
        if !self.git.try_run(Call::new(cache, &words)).await?.status.success() {
            return Err(WorkspaceError::Refused(
                "the agent's commits do not stand on those it was given; nothing was pushed"
                    .to_owned(),
            ));
        }
        Ok(head)
    }

    /// Whether a commit changes anything against where the agent started.
    pub async fn is_same(&self, workspace: &Workspace, head: &str) -> Result<bool, WorkspaceError> {
        let words = ["diff-tree", "--quiet", &workspace.start, head];
        Ok(self.git.try_run(Call::new(&workspace.cache, &words)).await?.status.success())
    }

    /// Everything that the commits up to `head` add which the forge does not have yet: messages, names and lines. No
    /// attribute hides a file from it.
    ///
    /// # Errors
    /// It is longer than `most` bytes, or git failed.
    pub async fn added(
        &self,
        workspace: &Workspace,
        head: &str,
        most: usize,
    ) -> Result<Vec<u8>, WorkspaceError> {
        let words = [
            "log",
            "-p",
            "-m",
            "--text",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--unified=0",
            head,
            "--not",
            "--branches",
        ];
        let call = Call::new(&workspace.cache, &words).printing(most);
        let done = self.git.try_run(call).await?;
        if !done.status.success() {
            let reason = format!("the agent's commits cannot be read: {}", done.stderr);
            return Err(WorkspaceError::Refused(reason));
        }
        Ok(done.stdout)
    }

    /// Pushes `head` to the branch of the run, unless something is there that none of its leases pushed.
    pub async fn push(
        &self,
        workspace: &Workspace,
        head: &str,
        pushed: &[String],
    ) -> Result<Pushed, WorkspaceError> {
        let _guard = workspace.lock.lock().await;
        let (cache, url) = (&workspace.cache, workspace.url.as_str());
        let name = format!("refs/heads/{}", workspace.branch);
        let words = ["ls-remote", "--quiet", url, &name];
        let listed = self.git.run(Call::new(cache, &words).with_token()).await?;
        let mut exact = listed.lines().filter_map(|line| line.split_once('\t'));
        let now = exact.find(|(_, of)| *of == name).map(|(now, _)| now.to_owned());
        let now = now.unwrap_or_default();
        if now == head {
            return Ok(Pushed::There);
        }
        let is_ours = pushed.contains(&now) || workspace.on_forge.as_ref() == Some(&now);
        if !now.is_empty() && !is_ours {
            return Ok(Pushed::Taken(now));
        }
        // An empty value: the branch must not be there.
        let lease = format!("--force-with-lease={name}:{now}");
        let what = format!("{head}:{name}");
        let words = ["push", "--quiet", "--no-verify", "--no-follow-tags", &lease, url, &what];
        self.git.run(Call::new(cache, &words).with_token()).await?;
        Ok(Pushed::There)
    }

    /// Lets the clone forget the agent's commits that were not pushed.
    pub(super) async fn forget(&self, workspace: &Workspace) {
        let words = ["update-ref", "-d", &workspace.kept];
        if let Err(error) = self.git.run(Call::new(&workspace.cache, &words)).await {
            tracing::debug!("{error}");
        }
    }

    /// Notes that a run has ended; its workspace is removed by [`Workspaces::tidy`] when its time has come.
    pub async fn end(&self, workspace: &Workspace) {
        self.forget(workspace).await;
        let noted = fs::File::create(workspace.folders.root.join(ENDED));
        if let Err(error) = noted {
            tracing::warn!("the end of a run could not be noted in its workspace: {error}");
        }
    }

    /// The workspaces that ended longer than `keep` ago; with `all`, those that never ended as well.
    pub fn old(&self, keep: Duration, all: bool) -> Vec<PathBuf> {
        let Ok(found) = fs::read_dir(self.root.join("runs")) else { return Vec::new() };
        let is_old = |path: &PathBuf| match fs::metadata(path.join(ENDED)) {
            Ok(ended) => {
                let age =
                    ended.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
                keep.is_zero() || age.is_some_and(|age| age >= keep)
            }
            Err(_) => all && !path.join(AWAITS).exists(),
        };
        found.filter_map(|entry| Some(entry.ok()?.path())).filter(is_old).collect()
    }

    fn cache(&self, repo: &RepoName) -> PathBuf {
        let [owner, name] = [repo.owner(), repo.name()].map(str::to_lowercase);
        self.root.join("cache").join(owner).join(format!("{name}.git"))
    }

    fn lock(&self, cache: &Path) -> Arc<Lock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(cache.to_owned()).or_default())
    }

    fn url(&self, repo: &RepoName) -> String {
        match &self.forge.clone {
            Some(template) => {
                template.replace("{owner}", repo.owner()).replace("{repo}", repo.name())
            }
            None => format!("{}/{repo}.git", self.forge.url),
        }
    }
}

/// Removes a workspace, whatever the agent made of its permissions.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            fs::remove_dir_all(path)
        }
        done => done,
    }
}

/// Lets folders be emptied that were made read-only.
fn unlock(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Of the entry itself: a link is no folder.
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// The most that a workspace may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Bytes, as files say how long they are: one with holes counts in full.
    pub bytes: u64,
    /// Files and folders.
    pub files: u64,
}

/// Of what a folder holds too much: the key that limits it. Links are not followed, and nothing is counted beyond a limit.
pub(super) fn too_much(folder: &Path, most: Most) -> Option<&'static str> {
    let (mut bytes, mut files, mut left) = (0_u64, 0, vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(found.len().max(LEAST));
            files += 1;
            if bytes >= most.bytes {
                return Some("disk_limit");
            }
            if files >= most.files {
                return Some("file_limit");
            }
            if found.is_dir() {
                left.push(entry.path());
            }
        }
    }
    None
}

/// The clones, each in the folder of its owner.
fn clones(cache: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for owner in fs::read_dir(cache)? {
        for clone in fs::read_dir(owner?.path())? {
            found.push(clone?.path());
        }
    }
    Ok(found)
}

pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Refuses whatever is neither a file nor a folder: a link would lead out, a pipe would hang.
fn only_files(folder: &Path, left: &mut usize) -> Result<(), WorkspaceError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        *left = left.checked_sub(1).ok_or_else(|| {
            WorkspaceError::Refused("the agent's repository holds too many files".to_owned())
        })?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            only_files(&entry.path(), left)?;
        } else if !kind.is_file() {
            return Err(WorkspaceError::Refused(format!(
                "the agent put a link or a special file into its repository, `{}`; nothing is taken from it",
                super::journal::plain(&entry.file_name().to_string_lossy())
            )));
        }
    }
    Ok(())
}

/// The folder of a dispatch: names without anything that could lead elsewhere, and a part that no two share.
fn name_of(assignment: &Assignment) -> String {
    let plain = |text: &str| -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        text.chars().take(40).map(kept).collect()
    };
    let repo = assignment.at.repo.plain();
    let own = hex::encode(&Sha256::digest(&assignment.dispatch)[..6]);
    format!("{}.{}.{}.{own}", plain(repo.owner()), plain(repo.name()), assignment.at.number)
}

/// Only branches of the service's own kind are ever written.
fn check_branch(branch: &str) -> Result<(), WorkspaceError> {
    let rest = branch.strip_prefix("triage/").unwrap_or_default();
    let is_plain = !rest.is_empty()
        && rest.len() <= 200
        && rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        && !rest.starts_with('-');
    if is_plain {
        return Ok(());
    }
    let text =
        format!("`{branch}` is no branch `triage/<number>-<words>`; nothing else is written");
    Err(WorkspaceError::Refused(text))
}

/// The beginning of a commit's name.
pub(super) fn short(head: &str) -> &str {
    head.get(..10).unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_branches_of_ours_pass() {
        for good in ["triage/12-fix-the-crash", "triage/1-x"] {
            assert!(check_branch(good).is_ok(), "{good}");
        }
        for bad in ["main", "triage/", "triage/../main", "triage/-x", "triage/a b", "x/triage/1-a"]
        {
            assert!(check_branch(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_made_read_only_is_removed_and_a_link_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("a/link")).unwrap();
        fs::set_permissions(folder.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists() && outside.path().join("kept").exists());
        assert!(remove(&folder).is_ok());
    }

    #[test]
    fn many_empty_files_count() {
        let root = tempfile::tempdir().unwrap();
        (0..10).for_each(|n| fs::write(root.path().join(n.to_string()), "").unwrap());
        let found = |bytes, files| too_much(root.path(), Most { bytes, files });
        assert_eq!(found(10 * LEAST + 1, 11), None);
        assert_eq!(found(10 * LEAST, 11), Some("disk_limit"));
        assert_eq!(found(10 * LEAST + 1, 10), Some("file_limit"));
    }

    #[test]
    fn a_file_with_holes_counts_as_long_as_it_says() {
        let root = tempfile::tempdir().unwrap();
        fs::File::create(root.path().join("hole")).unwrap().set_len(10 << 30).unwrap();
        let found = |bytes| too_much(root.path(), Most { bytes, files: 10 });
        assert_eq!((found(10 << 30), found((10 << 30) + 1)), (Some("disk_limit"), None));
    }
}

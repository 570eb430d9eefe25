//! Repositories and owners that get other names: ids and all that hangs on them stay, the old name leads to the new one
//! until somebody else takes it, and Gitea 1.25.4 tells no webhook.

use super::FakeGitea;
use super::call::{Answer, Call};
use super::record::{At, EntryKind, Repo, Scope, key};
use super::world::{State, token_of};
use crate::issue::RepoName;

impl FakeGitea {
    /// Gives a repository another name, another owner, or the same name in another case. An owner that does not exist
    /// yet is made as an organisation.
    pub fn rename_repo(&self, from: &RepoName, to: &RepoName) {
        self.change(|state| {
            let owner = state.user_id(from.owner());
            let to_owner = state.ensure_user(to.owner(), true);
            let id = state.move_repo(from, to);
            state.redirects.remove(&(to_owner, to.name().to_lowercase()));
            if let (Some(owner), Some(id)) = (owner.filter(|_| key(from) != key(to)), id) {
                state.redirects.insert((owner, from.name().to_lowercase()), id);
            }
        });
    }

    /// Gives an account or an organisation another login, and so every repository of it another name.
    pub fn rename_owner(&self, from: &str, to: &str) {
        self.change(|state| {
            let Some(id) = state.logins.remove(&from.to_lowercase()) else { return };
            state.logins.insert(to.to_lowercase(), id);
            if let Some(user) = state.users.get_mut(&id) {
                user.login = to.to_owned();
                // What it had stays good, and tests find its token by its login.
                state.tokens.insert(token_of(to), id);
            }
            state.owner_redirects.remove(&to.to_lowercase());
            if !from.eq_ignore_ascii_case(to) {
                state.owner_redirects.insert(from.to_lowercase(), id);
            }
            state.rename_org(&from.to_lowercase(), &to.to_lowercase());
            let theirs = state.repos.values().map(|r| r.name.clone());
            let theirs: Vec<_> = theirs.filter(|r| r.owner().eq_ignore_ascii_case(from)).collect();
            for repo in theirs {
                if let Ok(name) = format!("{to}/{}", repo.name()).parse() {
                    state.move_repo(&repo, &name);
                }
            }
        });
    }
}

impl State {
    /// Where a place leads that has another name now (services/context/context_response.go: 307 for an owner, 301 for
    /// a repository; the rest of the path and the query stay).
    pub fn redirect(&self, call: &Call, owner: &str, name: Option<&str>) -> Option<Answer> {
        let owner_id = self.user_id(owner);
        let (status, from, to) = match (owner_id, name) {
            (None, _) => {
                let id = self.owner_redirects.get(&owner.to_lowercase())?;
                (307, owner.to_owned(), self.login(*id))
            }
            (Some(id), Some(name)) => {
                let repo = self.redirects.get(&(id, name.to_lowercase()))?;
                (301, format!("{owner}/{name}"), self.repo_by_id(*repo)?.name.to_string())
            }
            _ => return None,
        };
        let path = call.path.replacen(&from, &to, 1);
        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        Some(Answer::empty(status).with_header("Location", format!("{path}{query}")))
    }

    pub fn repo_by_id(&self, id: i64) -> Option<&Repo> {
        self.repos.values().find(|repo| repo.id == id)
    }

    /// Renames a repository wherever it is named; gives its id.
    fn move_repo(&mut self, from: &RepoName, to: &RepoName) -> Option<i64> {
        let (old, new) = (key(from), key(to));
        let mut repo = self.repos.remove(&old)?;
        let id = repo.id;
        repo.name = to.clone();
        repo.labels.iter_mut().for_each(|label| label.place = format!("repos/{to}"));
        self.repos.insert(new.clone(), repo);
        let follow = |at: &mut At| {
            if at.repo == old {
                at.repo.clone_from(&new);
            }
        };
        for issue in self.repos.values_mut().flat_map(|repo| repo.issues.values_mut()) {
            issue.depends_on.iter_mut().for_each(follow);
            for entry in &mut issue.timeline {
                match &mut entry.kind {
                    EntryKind::Reference { from: at, .. }
                    | EntryKind::Dependency { on: at, .. } => {
                        follow(at);
                    }
                    _ => {}
                }
            }
        }
        for hook in &mut self.hooks {
            if hook.scope == Scope::Repo(old.clone()) {
                hook.scope = Scope::Repo(new.clone());
            }
        }
        Some(id)
    }

    fn rename_org(&mut self, from: &str, to: &str) {
        if let Some(labels) = self.org_labels.remove(from) {
            self.org_labels.insert(to.to_owned(), labels);
        }
        for (org, _) in self.org_owners.iter_mut().filter(|(org, _)| org == from) {
            to.clone_into(org);
        }
        for hook in &mut self.hooks {
            if hook.scope == Scope::Org(from.to_owned()) {
                hook.scope = Scope::Org(to.to_owned());
            }
        }
    }
}

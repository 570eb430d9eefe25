//! Setting the stage: accounts, repositories and labels, and looking at what is there.

use super::FakeGitea;
use super::record::{Access, At, Entry, EntryKind, Issue, Repo, key};
use super::show_issue;
use super::view::{CommentView, IssueView, TimelineView};
use super::world::{State, token_of};
use crate::issue::{Account, IssueRef, IssueState, RepoName};

/// The colour of labels that were not given one.
const GREY: &str = "ededed";

impl FakeGitea {
    /// Makes an account, or gives the one there is.
    pub fn add_user(&self, login: &str) -> Account {
        self.change(|state| {
            let id = state.ensure_user(login, false);
            state.account(id)
        })
    }

    /// Lets the ids of what is made from now on be above those of recordings that are taken over.
    pub fn leave_ids(&self, below: i64) {
        let sequences = ["repo", "issue", "comment", "label"];
        self.change(|state| sequences.map(|sequence| state.reserve_id(sequence, below)));
    }

    /// Removes an account: what it wrote is a ghost's, it is assigned to nothing, and its token is void.
    pub fn remove_user(&self, login: &str) {
        self.change(|state| {
            let Some(id) = state.logins.remove(&login.to_lowercase()) else { return };
            state.users.remove(&id);
            state.tokens.retain(|_, user| *user != id);
            state.teams.iter_mut().for_each(|team| team.members.retain(|member| *member != id));
            for repo in state.repos.values_mut() {
                repo.collaborators.remove(&id);
                repo.issues.values_mut().for_each(|i| i.assignees.retain(|a| *a != id));
            }
        });
    }

    /// Lets the search over repositories leave one out, or show it again, as one would that is late.
    pub fn leave_out_of_search(&self, repo: &RepoName, is_left_out: bool) {
        self.change(|state| {
            let id = state.ensure_repo(repo);
            let Some(id) = state.repos.get(&id).map(|repo| repo.id) else { return };
            if is_left_out {
                state.unsearched.insert(id)
            } else {
                state.unsearched.remove(&id)
            };
        });
    }

    /// Makes a token void.
    pub fn revoke_token(&self, token: &str) {
        self.change(|state| {
            state.tokens.remove(token);
        });
    }

    /// Removes a label of a repository: it is gone from every issue, without an event and without a new time of change.
    pub fn remove_repo_label(&self, repo: &RepoName, name: &str) {
        self.change(|state| {
            let id = state.label_id(&key(repo), name);
            let Some((repo, id)) = state.repos.get_mut(&key(repo)).zip(id) else { return };
            repo.labels.retain(|label| label.id != id);
            repo.issues.values_mut().for_each(|issue| issue.labels.retain(|label| *label != id));
        });
    }

    /// Gives an account a further token that may do only this, such as `write:issue`; writing includes reading.
    pub fn token_with_scopes(&self, login: &str, scopes: &[&str]) -> String {
        self.change(|state| {
            let user = state.ensure_user(login, false);
            let token = token_of(&format!("{login} {scopes:?}"));
            state.tokens.insert(token.clone(), user);
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            state.scopes.insert(token.clone(), scopes);
            token
        })
    }

    /// Lets one account block another: on issues of the first, the second cannot comment.
    pub fn block(&self, by: &str, blocked: &str) {
        self.change(|state| {
            let pair = (state.ensure_user(by, false), state.ensure_user(blocked, false));
            state.blocks.insert(pair);
        });
    }

    /// Whether deliveries may go to this machine; a new Gitea lets none, a fake one does.
    pub fn set_reaches_loopback(&self, reaches: bool) {
        self.change(|state| state.reaches_loopback = reaches);
    }

    /// Makes a public repository without labels, in which the bot may write.
    /// An owner that does not exist yet is made as an organisation.
    pub fn add_repo(&self, name: &RepoName) {
        self.change(|state| state.ensure_repo(name));
    }

    /// Lets an account `read`, `write` or `admin` a repository; both are made when missing.
    pub fn add_collaborator(&self, repo: &RepoName, login: &str, permission: &str) {
        self.change(|state| {
            let key = state.ensure_repo(repo);
            let user = state.ensure_user(login, false);
            if let Some(repo) = state.repos.get_mut(&key) {
                repo.collaborators.insert(user, permission.parse().unwrap_or(Access::Read));
            }
        });
    }

    /// Takes a collaborator's access away; of a public repository the reading remains.
    pub fn remove_collaborator(&self, repo: &RepoName, login: &str) {
        self.change(|state| {
            let user = state.user_id(login);
            if let (Some(repo), Some(user)) = (state.repos.get_mut(&key(repo)), user) {
                repo.collaborators.remove(&user);
            }
        });
    }

    /// Makes an account an owner of an organisation, who may register its hooks and labels.
    pub fn add_org_owner(&self, org: &str, login: &str) {
        self.change(|state| {
            state.ensure_user(org, true);
            let user = state.ensure_user(login, false);
            state.org_owners.push((org.to_lowercase(), user));
        });
    }

    /// Makes a repository private or public.
    pub fn set_private(&self, repo: &RepoName, private: bool) {
        self.with_repo(repo, |repo| repo.private = private);
    }

    /// Archives a repository or takes it out of the archive.
    pub fn set_archived(&self, repo: &RepoName, archived: bool) {
        self.with_repo(repo, |repo| repo.archived = archived);
    }

    /// Switches dependencies between issues on or off.
    pub fn set_dependencies_enabled(&self, repo: &RepoName, enabled: bool) {
        self.with_repo(repo, |repo| repo.dependencies = enabled);
    }

    /// Removes a repository with everything in it, and the names that led to it; no webhook.
    pub fn delete_repo(&self, repo: &RepoName) {
        self.change(|state| {
            let gone = state.repos.remove(&key(repo)).map(|repo| repo.id);
            state.redirects.retain(|_, id| Some(*id) != gone);
        });
    }

    /// Defines a label in a repository, a second one of the same name if need be.
    pub fn create_repo_label(&self, repo: &RepoName, name: &str) {
        self.change(|state| {
            let key = state.ensure_repo(repo);
            state.define_label(&key, name, GREY);
        });
    }

    /// Defines a label in an organisation.
    pub fn create_org_label(&self, org: &str, name: &str) {
        self.change(|state| {
            state.ensure_user(org, true);
            state.define_org_label(org, name, GREY);
        });
    }

    /// Makes every label of this name in a repository exclusive within its scope, the part before its last `/`.
    pub fn set_label_exclusive(&self, repo: &RepoName, name: &str) {
        self.with_repo(repo, |repo| {
            repo.labels.iter_mut().filter(|l| l.name == name).for_each(|l| l.exclusive = true);
        });
    }

    /// The names of all labels defined in a repository, in the order they were made; doubles show.
    pub fn labels(&self, repo: &RepoName) -> Vec<String> {
        self.read(|state| {
            let labels = state.repos.get(&key(repo)).map(|r| r.labels.as_slice());
            labels.unwrap_or_default().iter().map(|l| l.name.clone()).collect()
        })
    }

    /// Every repository, by name.
    pub fn repos(&self) -> Vec<RepoName> {
        self.read(|state| state.repos.values().map(|repo| repo.name.clone()).collect())
    }

    /// The issue as it is now; `None` when there is none.
    pub fn issue(&self, at: &IssueRef) -> Option<IssueView> {
        self.read(|state| {
            let repo = state.repos.get(&key(&at.repo))?;
            Some(view(state, repo, repo.issues.get(&at.number)?))
        })
    }

    /// Whether there was an issue that a person has deleted.
    pub fn has_deleted(&self, at: &IssueRef) -> bool {
        self.read(|state| {
            state.repos.get(&key(&at.repo)).is_some_and(|repo| repo.deleted.contains(&at.number))
        })
    }

    /// Every issue of a repository, by number.
    pub fn issues(&self, repo: &RepoName) -> Vec<(IssueRef, IssueView)> {
        self.read(|state| {
            let Some(found) = state.repos.get(&key(repo)) else { return Vec::new() };
            let at = |number: u64| IssueRef { repo: found.name.clone(), number };
            found.issues.values().map(|i| (at(i.number), view(state, found, i))).collect()
        })
    }

    fn with_repo(&self, repo: &RepoName, act: impl FnOnce(&mut Repo)) {
        self.change(|state| state.repos.get_mut(&key(repo)).map(act));
    }
}

fn view(state: &State, repo: &Repo, issue: &Issue) -> IssueView {
    let labels = state.labels_of(repo, &issue.labels);
    IssueView {
        title: issue.title.clone(),
        body: issue.body.clone(),
        state: if issue.closed.is_some() { IssueState::Closed } else { IssueState::Open },
        is_pull_request: issue.pull.is_some(),
        author: state.login(issue.author),
        labels: labels.iter().map(|l| l.name.clone()).collect(),
        assignees: issue.assignees.iter().map(|id| state.login(*id)).collect(),
        comments: issue.comments().map(|e| comment(state, e)).collect(),
        timeline: issue.timeline.iter().map(|e| line(state, e)).collect(),
        reactions: named(state, &issue.reactions),
        created_at: issue.created,
        updated_at: issue.updated,
        closed_at: issue.closed,
    }
}

fn comment(state: &State, entry: &Entry) -> CommentView {
    let (body, reactions) = match &entry.kind {
        EntryKind::Comment { body, reactions } => (body.clone(), named(state, reactions)),
        _ => (String::new(), Vec::new()),
    };
    let author = state.login(entry.by);
    CommentView { id: entry.id, author, body, updated: entry.updated, reactions }
}

fn named(state: &State, reactions: &[(i64, String)]) -> Vec<(String, String)> {
    reactions.iter().map(|(id, content)| (state.login(*id), content.clone())).collect()
}

fn line(state: &State, entry: &Entry) -> TimelineView {
    let place = |at: &At| format!("{}#{}", at.repo, at.number);
    let about = match &entry.kind {
        EntryKind::Comment { body, .. } => body.clone(),
        EntryKind::Label { label, added } => format!("{}{}", sign(*added), label.name),
        EntryKind::Assignee { user, removed } => {
            format!("{}{}", sign(!*removed), state.login(*user))
        }
        EntryKind::Title { new, .. } => new.clone(),
        EntryKind::Reference { from, .. } => place(from),
        EntryKind::Dependency { on, .. } => place(on),
        EntryKind::Close | EntryKind::Reopen => String::new(),
    };
    let kind = show_issue::entry_type(&entry.kind).to_owned();
    TimelineView { id: entry.id, at: entry.created, kind, by: state.login(entry.by), about }
}

fn sign(added: bool) -> char {
    if added { '+' } else { '-' }
}

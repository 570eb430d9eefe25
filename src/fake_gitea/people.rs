//! What people do in the web interface: the same changes as through the API, with the same webhooks.
//! Accounts that are named and missing are made; a place where there is no issue is left alone.

use super::FakeGitea;
use super::change::Opening;
use super::record::At;
use super::view::{NewCheck, NewIssue};
use super::world::State;
use crate::issue::{IssueRef, RepoName};

impl FakeGitea {
    /// Opens an issue. Gitea 1.25 sends `assigned` for each assignee, then `opened`, then `label_updated`.
    pub fn open_issue(&self, repo: &RepoName, new: NewIssue) -> IssueRef {
        self.change(|state| {
            let key = state.ensure_repo(repo);
            let author = if new.author.is_empty() { "alice" } else { &new.author };
            let opening = Opening {
                author: state.ensure_user(author, false),
                labels: state.ensure_labels(&key, &new.labels),
                assignees: new.assignees.iter().map(|l| state.ensure_user(l, false)).collect(),
                title: new.title,
                body: new.body,
                created: new.created_at,
                number: new.number,
                is_pull: new.is_pull_request,
                branches: None,
            };
            let number = state.open(&key, opening).map_or(0, |at| at.number);
            IssueRef { repo: repo.clone(), number }
        })
    }

    /// Changes title, body or both, title first.
    pub fn edit_issue(&self, at: &IssueRef, by: &str, title: Option<&str>, body: Option<&str>) {
        self.act(at, by, |state, at, by| {
            if let Some(title) = title {
                state.set_title(at, by, title);
            }
            if let Some(body) = body {
                state.set_body(at, by, body);
            }
        });
    }

    /// Closes an issue.
    pub fn close(&self, at: &IssueRef, by: &str) {
        self.act(at, by, |state, at, by| state.set_closed(at, by, true));
    }

    /// Opens an issue again.
    pub fn reopen(&self, at: &IssueRef, by: &str) {
        self.act(at, by, |state, at, by| state.set_closed(at, by, false));
    }

    /// Merges a pull request; the issues it says it closes are closed with it.
    pub fn merge(&self, at: &IssueRef, by: &str) {
        self.act(at, by, State::merge);
    }

    /// Lets the checks of a pull request's head say `success`, `failure` or `pending`; no event is sent.
    pub fn set_commit_status(&self, pull: &IssueRef, status: &str) {
        let check =
            NewCheck { context: "ci".to_owned(), state: status.to_owned(), ..NewCheck::default() };
        self.change(|state| {
            let at = At::from(pull);
            let sha = state.issue(&at).and_then(|issue| Some(issue.pull.as_ref()?.sha.clone()));
            sha.into_iter().for_each(|sha| state.note_check(&at, &sha, &check));
        });
    }

    /// Removes an issue, in the name of the first site admin.
    pub fn delete_issue(&self, at: &IssueRef) {
        self.act(at, "gitadmin", State::delete);
    }

    /// Writes a comment; gives its id, or 0 when there is no such issue.
    pub fn comment(&self, at: &IssueRef, by: &str, body: &str) -> i64 {
        self.act(at, by, |state, at, by| state.comment(at, by, body)).unwrap_or_default()
    }

    /// Changes a comment.
    pub fn edit_comment(&self, at: &IssueRef, by: &str, id: i64, body: &str) {
        self.act(at, by, |state, at, by| state.edit_comment(at, by, id, body));
    }

    /// Removes a comment.
    pub fn delete_comment(&self, at: &IssueRef, by: &str, id: i64) {
        self.act(at, by, |state, at, by| state.delete_comment(at, by, id));
    }

    /// Adds a label, defined in the repository when there is none of this name.
    pub fn add_label(&self, at: &IssueRef, by: &str, name: &str) {
        self.act(at, by, |state, at, by| {
            let ids = state.ensure_labels(&at.repo, &[name.to_owned()]);
            state.attach(at, by, &ids);
        });
    }

    /// Takes a label off.
    pub fn remove_label(&self, at: &IssueRef, by: &str, name: &str) {
        self.act(at, by, |state, at, by| {
            let id = state.label_id(&at.repo, name).unwrap_or_default();
            state.detach(at, by, id);
        });
    }

    /// Takes all labels off; the payload still shows them, as Gitea's does.
    pub fn clear_labels(&self, at: &IssueRef, by: &str) {
        self.act(at, by, State::clear_labels);
    }

    /// Assigns somebody.
    pub fn assign(&self, at: &IssueRef, by: &str, login: &str) {
        self.act(at, by, |state, at, by| {
            let user = state.ensure_user(login, false);
            state.assign(at, by, user, true);
        });
    }

    /// Takes an assignee off.
    pub fn unassign(&self, at: &IssueRef, by: &str, login: &str) {
        self.act(at, by, |state, at, by| {
            let user = state.ensure_user(login, false);
            state.assign(at, by, user, false);
        });
    }

    /// Makes an issue wait for another.
    pub fn add_dependency(&self, at: &IssueRef, on: &IssueRef) {
        self.act(at, "alice", |state, at, by| state.depend(at, by, &At::from(on)));
    }

    /// Ends that an issue waits for another.
    pub fn remove_dependency(&self, at: &IssueRef, on: &IssueRef) {
        self.act(at, "alice", |state, at, by| state.release(at, by, &At::from(on)));
    }

    pub(super) fn act<T: Default>(
        &self,
        at: &IssueRef,
        by: &str,
        act: impl FnOnce(&mut State, &At, i64) -> T,
    ) -> T {
        self.change(|state| {
            let at = At::from(at);
            if state.issue(&at).is_none() {
                return T::default();
            }
            let by = state.ensure_user(by, false);
            act(state, &at, by)
        })
    }
}

//! What can happen to issues. People and the API make the same changes, with the same events in Gitea's order.

use super::outbox::Event;
use super::record::{At, Entry, EntryKind, Issue, Pull};
use super::show_issue;
use super::world::State;
use crate::clock::Timestamp;

/// A new issue, with everything resolved to ids.
#[derive(Default)]
pub(super) struct Opening {
    pub title: String,
    pub body: String,
    pub author: i64,
    pub labels: Vec<i64>,
    pub assignees: Vec<i64>,
    pub created: Option<Timestamp>,
    pub number: Option<u64>,
    pub is_pull: bool,
    /// The branches of a pull request, where they are not the usual ones.
    pub branches: Option<Branches>,
}

/// What a pull request is to merge, and into what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branches {
    pub head: String,
    pub base: String,
}

impl Opening {
    fn pull(&self, at: &At) -> Pull {
        let new = Pull::new(at);
        match self.branches.clone() {
            Some(Branches { head, base }) => Pull { head, base, ..new },
            None => new,
        }
    }
}

impl State {
    /// Opens an issue: `assigned` for each assignee, `opened`, `label_updated`, in this order (Gitea 1.25).
    pub fn open(&mut self, repo: &str, new: Opening) -> Option<At> {
        let created = new.created.unwrap_or_else(|| self.now());
        let id = self.next_id("issue");
        let home = self.repos.get_mut(repo)?;
        let number = new.number.unwrap_or(home.last_number + 1);
        home.last_number = home.last_number.max(number);
        let at = At { repo: repo.to_owned(), number };
        let issue = Issue {
            id,
            author: new.author,
            title: self.flavour.cut(&new.title),
            body: new.body.clone(),
            labels: new.labels.clone(),
            pull: new.is_pull.then(|| new.pull(&at)),
            ..Issue::new(number, created)
        };
        home.count(new.is_pull, true);
        home.issues.insert(number, issue);
        self.announce(&at, &new, created);
        Some(at)
    }

    fn announce(&mut self, at: &At, new: &Opening, created: Timestamp) {
        // The timeline has the labels first, though their event comes last (services/issue/issue.go, `NewIssue`).
        for id in &new.labels {
            self.log_label(at, new.author, *id, true);
        }
        for user in &new.assignees {
            let mut event = Event::new("issue_assign", "assigned");
            event.wrong.at_epoch = self.flavour.assigns_at_epoch();
            self.set_assignee(at, new.author, *user, true);
            self.fire(at, new.author, event);
        }
        if let Some(issue) = self.issue_mut(at) {
            issue.updated = created;
        }
        self.refer(at, new.author, None, &format!("{}\n{}", new.title, new.body));
        self.fire(at, new.author, Event::new("issues", "opened"));
        if !new.labels.is_empty() {
            self.fire(at, new.author, Event::new("issue_label", "label_updated"));
        }
    }

    /// Adds a line to the timeline and moves `updated_at`; gives the line's id.
    pub fn log(&mut self, at: &At, by: i64, kind: EntryKind) -> i64 {
        let now = self.now();
        let id = self.next_id("comment");
        if let Some(issue) = self.issue_mut(at) {
            issue.timeline.push(Entry { id, by, created: now, updated: now, kind });
            issue.updated = now;
        }
        id
    }

    /// Changes the title; an equal one makes no event.
    pub fn set_title(&mut self, at: &At, by: i64, title: &str) {
        let new = self.flavour.cut(title);
        let Some(issue) = self.issue_mut(at).filter(|i| i.title != new) else { return };
        let old = std::mem::replace(&mut issue.title, new.clone());
        self.log(at, by, EntryKind::Title { old: old.clone(), new: new.clone() });
        self.refer(at, by, None, &new);
        self.fire(at, by, Event::new("issues", "edited").with_former(self.flavour, "title", &old));
    }

    /// Changes the body; an event comes even when the text is equal.
    pub fn set_body(&mut self, at: &At, by: i64, body: &str) {
        let now = self.now();
        let Some(issue) = self.issue_mut(at) else { return };
        issue.updated = now;
        let old = std::mem::replace(&mut issue.body, body.to_owned());
        self.refer(at, by, None, body);
        self.fire(at, by, Event::new("issues", "edited").with_former(self.flavour, "body", &old));
    }

    /// Closes or reopens; nothing happens when it already is so.
    pub fn set_closed(&mut self, at: &At, by: i64, closed: bool) {
        let now = self.now();
        let Some(issue) = self.issue_mut(at).filter(|i| i.closed.is_some() != closed) else {
            return;
        };
        issue.closed = closed.then_some(now);
        let pull = issue.pull.is_some();
        if let Some(repo) = self.repos.get_mut(&at.repo) {
            repo.count(pull, !closed);
        }
        let (kind, action) =
            if closed { (EntryKind::Close, "closed") } else { (EntryKind::Reopen, "reopened") };
        self.log(at, by, kind);
        self.fire(at, by, Event::new("issues", action));
    }

    /// Merges a pull request and closes what it closes; Gitea sends the pull request's event first.
    pub fn merge(&mut self, at: &At, by: i64) {
        let now = self.now();
        let open = self.issue_mut(at).filter(|i| i.closed.is_none());
        let Some(pull) = open.and_then(|i| i.pull.as_mut()) else { return };
        pull.merged = Some(now);
        self.set_closed(at, by, true);
        for issue in self.closed_by(at) {
            self.set_closed(&issue, by, true);
        }
    }

    fn closed_by(&self, pull: &At) -> Vec<At> {
        let names = |i: &&Issue| {
            i.timeline.iter().any(|e| {
                matches!(&e.kind, EntryKind::Reference { from, closes: true, .. } if from == pull)
            })
        };
        let repos = self.repos.iter();
        let closed = repos.flat_map(|(key, repo)| {
            let place = |i: &Issue| At { repo: key.clone(), number: i.number };
            repo.issues.values().filter(names).map(place)
        });
        closed.collect()
    }

    /// Removes the issue; where there is an event, it shows the issue as it was.
    pub fn delete(&mut self, at: &At, by: i64) {
        if self.flavour.tells_of_deletion() {
            self.fire(at, by, Event::new("issues", "deleted"));
        }
        if let Some(repo) = self.repos.get_mut(&at.repo) {
            if let Some(gone) = repo.issues.remove(&at.number).filter(|i| i.closed.is_none()) {
                repo.count(gone.pull.is_some(), false);
            }
            repo.comments.retain(|_, number| *number != at.number);
            repo.deleted.insert(at.number);
        }
        // What waited for it is not touched otherwise (services/issue/issue.go, `deleteIssue`).
        let issues = self.repos.values_mut().flat_map(|repo| repo.issues.values_mut());
        issues.for_each(|issue| issue.depends_on.retain(|on| on != at));
    }

    /// Whether an open issue stands in the way of closing this one.
    pub fn is_blocked(&self, at: &At) -> bool {
        let waits_for = self.issue(at).map(|i| i.depends_on.as_slice()).unwrap_or_default();
        waits_for.iter().any(|on| self.issue(on).is_some_and(|i| i.closed.is_none()))
    }

    /// Makes the issue wait for another; no event.
    pub fn depend(&mut self, at: &At, by: i64, on: &At) {
        let Some(issue) = self.issue_mut(at).filter(|i| !i.depends_on.contains(on)) else { return };
        issue.depends_on.push(on.clone());
        self.log(at, by, EntryKind::Dependency { on: on.clone(), removed: false });
    }

    /// Ends that the issue waits for another; no event.
    pub fn release(&mut self, at: &At, by: i64, on: &At) {
        let Some(issue) = self.issue_mut(at).filter(|i| i.depends_on.contains(on)) else { return };
        issue.depends_on.retain(|other| other != on);
        self.log(at, by, EntryKind::Dependency { on: on.clone(), removed: true });
    }

    /// Writes a comment; gives its id, or `None` when there is no such issue.
    pub fn comment(&mut self, at: &At, by: i64, body: &str) -> Option<i64> {
        self.issue(at)?;
        let body = body.to_owned();
        let kind = EntryKind::Comment { body: body.clone(), reactions: Vec::new() };
        let id = self.log(at, by, kind);
        self.repos.get_mut(&at.repo)?.comments.insert(id, at.number);
        self.refer(at, by, Some(id), &body);
        self.fire_comment(at, by, id, Event::new("issue_comment", "created"));
        Some(id)
    }

    /// Changes a comment's text; an equal one makes no event on Gitea. Gives whether it was saved.
    /// The issue's `updated_at` stays where it is, as seen on 1.25.4.
    pub fn edit_comment(&mut self, at: &At, by: i64, id: i64, body: &str) -> bool {
        let (now, tells_of_equal_text) = (self.now(), self.flavour.tells_of_equal_text());
        let entry = self.issue_mut(at).and_then(|i| i.entry_mut(id));
        let Some(entry) = entry else { return false };
        let EntryKind::Comment { body: text, .. } = &mut entry.kind else { return false };
        if text == body && !tells_of_equal_text {
            return false;
        }
        let old = std::mem::replace(text, body.to_owned());
        entry.updated = now;
        self.refer(at, by, Some(id), body);
        let event = Event::new("issue_comment", "edited").with_former(self.flavour, "body", &old);
        self.fire_comment(at, by, id, event);
        true
    }

    /// Removes a comment; Gitea's event shows the issue without it.
    pub fn delete_comment(&mut self, at: &At, by: i64, id: i64) {
        let mut event = Event::new("issue_comment", "deleted");
        event.comment = self.comment_json(at, id);
        event.wrong.more_comments = usize::from(self.flavour.counts_deleted_comment());
        if let Some(repo) = self.repos.get_mut(&at.repo) {
            repo.comments.remove(&id);
        }
        if let Some(issue) = self.issue_mut(at) {
            issue.timeline.retain(|e| e.id != id);
        }
        if event.comment.is_some() {
            self.fire(at, by, event);
        }
    }

    fn fire_comment(&mut self, at: &At, by: i64, id: i64, mut event: Event) {
        event.comment = self.comment_json(at, id);
        self.fire(at, by, event);
    }

    pub fn comment_json(&self, at: &At, id: i64) -> Option<serde_json::Value> {
        show_issue::comment_at(self, at, id)
    }

    /// Assigns or unassigns one account, with its event when that changes anything.
    pub fn assign(&mut self, at: &At, by: i64, user: i64, on: bool) {
        if self.set_assignee(at, by, user, on) {
            let action = if on { "assigned" } else { "unassigned" };
            self.fire(at, by, Event::new("issue_assign", action));
        }
    }

    fn set_assignee(&mut self, at: &At, by: i64, user: i64, on: bool) -> bool {
        let Some(issue) = self.issue_mut(at) else { return false };
        if issue.assignees.contains(&user) == on {
            return false;
        }
        if on {
            issue.assignees.push(user);
        } else {
            issue.assignees.retain(|u| *u != user);
        }
        self.log(at, by, EntryKind::Assignee { user, removed: !on });
        true
    }
}

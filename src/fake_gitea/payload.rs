//! A world made from one recorded delivery: its repository, accounts, labels and issue, as the payload shows them.

use chrono::DateTime;
use serde_json::Value;

use super::FakeGitea;
use super::record::{Access, At, Entry, EntryKind, Issue, Label, Pull};
use super::world::State;
use crate::clock::Timestamp;
use crate::issue::{IssueRef, RepoName};

impl FakeGitea {
    /// Takes over what a recorded delivery shows, with its numbers; an issue that the delivery reports as
    /// deleted is left out. Fires nothing. `None` when the payload is about no issue or pull request.
    pub fn put_issue_from_payload(&self, payload: &Value) -> Option<IssueRef> {
        self.change(|state| put(state, payload))
    }

    /// Takes over only the comment that a recorded delivery shows, with its number. Fires nothing.
    pub fn put_comment_from_payload(&self, at: &IssueRef, payload: &Value) {
        self.change(|state| put_comment(state, &At::from(at), &payload["comment"]));
    }
}

fn put(state: &mut State, payload: &Value) -> Option<IssueRef> {
    let name: RepoName = payload["repository"]["full_name"].as_str()?.parse().ok()?;
    put_user(state, &payload["repository"]["owner"]);
    let repo = state.ensure_repo(&name);
    let sender = put_user(state, &payload["sender"]);
    put_repo(state, &repo, sender, &payload["repository"]);
    let shown =
        [&payload["issue"], &payload["pull_request"]].into_iter().find(|v| v.is_object())?;
    let number = shown["number"].as_u64().filter(|n| *n > 0)?;
    let at = At { repo, number };
    let comment = &payload["comment"];
    let deleted = payload["action"] == "deleted";
    if deleted && comment.is_null() {
        state.repos.get_mut(&at.repo)?.last_number = number;
    } else {
        put_issue(state, &at, shown);
        if !deleted && comment.is_object() {
            put_comment(state, &at, comment);
        }
    }
    Some(IssueRef { repo: name, number })
}

fn put_user(state: &mut State, shown: &Value) -> i64 {
    let (Some(id), Some(login)) = (shown["id"].as_i64(), shown["login"].as_str()) else {
        return -1;
    };
    if id < 0 || login.is_empty() {
        return id;
    }
    // An organisation is the one kind of account that is shown without an address.
    let is_org = shown["email"] == "";
    match state.user_id(login) {
        Some(known) => known,
        None if state.users.contains_key(&id) => state.ensure_user(login, is_org),
        None => state.put_user(id, login, is_org),
    }
}

fn put_repo(state: &mut State, repo: &str, sender: i64, shown: &Value) {
    let Some(repo) = state.repos.get_mut(repo) else { return };
    let is = |value: &Value| value.as_bool().unwrap_or_default();
    repo.id = shown["id"].as_i64().unwrap_or(repo.id);
    repo.private = is(&shown["private"]);
    repo.archived = is(&shown["archived"]);
    let tracker = &shown["internal_tracker"]["enable_issue_dependencies"];
    repo.dependencies = tracker.as_bool().unwrap_or(true);
    let may = &shown["permissions"];
    if sender > 0 && (is(&may["admin"]) || is(&may["push"])) {
        let access = if is(&may["admin"]) { Access::Admin } else { Access::Write };
        repo.collaborators.entry(sender).or_insert(access);
    }
}

fn put_issue(state: &mut State, at: &At, shown: &Value) {
    let author = put_user(state, &shown["user"]);
    let people = shown["assignees"].as_array().cloned().unwrap_or_default();
    let assignees = people.iter().map(|user| put_user(state, user)).collect();
    let labels = shown["labels"].as_array().cloned().unwrap_or_default();
    let labels = labels.iter().filter_map(|label| put_label(state, at, label)).collect();
    let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
    let created = time(&shown["created_at"]).unwrap_or_else(|| state.now());
    let updated = time(&shown["updated_at"]).unwrap_or(created);
    // A recording may have been shortened by hand; a real forge has no issue without an id.
    let id = match shown["id"].as_i64().filter(|id| *id > 0) {
        Some(id) => {
            state.reserve_id("issue", id);
            id
        }
        None => state.next_id("issue"),
    };
    let closed = (shown["state"] == "closed").then_some(updated);
    let issue = Issue {
        id,
        author,
        title: text("title"),
        body: text("body"),
        labels,
        assignees,
        milestone: shown["milestone"].clone(),
        updated,
        closed: time(&shown["closed_at"]).or(closed),
        pull: pull(at, shown),
        ..Issue::new(at.number, created)
    };
    if let Some(repo) = state.repos.get_mut(&at.repo) {
        repo.last_number = repo.last_number.max(at.number);
        if issue.closed.is_none() && !repo.issues.contains_key(&at.number) {
            repo.count(issue.pull.is_some(), true);
        }
        repo.issues.insert(at.number, issue);
    }
}

/// A pull request shows itself by its mark as an issue, or by its branches as its own kind.
fn pull(at: &At, shown: &Value) -> Option<Pull> {
    let mark = &shown["pull_request"];
    let found = if mark.is_object() { mark } else { shown };
    let is_pull = mark.is_object() || shown["head"].is_object();
    let new = Pull::new(at);
    let sha = shown["head"]["sha"].as_str().unwrap_or(&new.sha).to_owned();
    is_pull.then(|| Pull { sha, merged: time(&found["merged_at"]), ..new })
}

fn put_label(state: &mut State, at: &At, shown: &Value) -> Option<i64> {
    let id = shown["id"].as_i64()?;
    let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
    let url = text("url");
    let org = url.split_once("/orgs/").and_then(|(_, rest)| rest.split('/').next());
    let place = match org {
        Some(org) => format!("orgs/{org}"),
        None => format!("repos/{}", state.repos.get(&at.repo)?.name),
    };
    let label = Label {
        id,
        name: text("name"),
        color: text("color"),
        description: text("description"),
        exclusive: shown["exclusive"].as_bool().unwrap_or_default(),
        is_archived: shown["is_archived"].as_bool().unwrap_or_default(),
        place,
    };
    state.reserve_id("label", id);
    let defined = match org {
        Some(org) => state.org_labels.entry(org.to_lowercase()).or_default(),
        None => &mut state.repos.get_mut(&at.repo)?.labels,
    };
    if !defined.iter().any(|l| l.id == id) {
        defined.push(label);
    }
    Some(id)
}

fn put_comment(state: &mut State, at: &At, shown: &Value) {
    let Some(id) = shown["id"].as_i64() else { return };
    let by = put_user(state, &shown["user"]);
    let created = time(&shown["created_at"]).unwrap_or_else(|| state.now());
    let updated = time(&shown["updated_at"]).unwrap_or(created);
    let body = shown["body"].as_str().unwrap_or_default().to_owned();
    let kind = EntryKind::Comment { body, reactions: Vec::new() };
    state.reserve_id("comment", id);
    if let Some(repo) = state.repos.get_mut(&at.repo) {
        repo.comments.insert(id, at.number);
    }
    if let Some(issue) = state.issue_mut(at) {
        issue.timeline.push(Entry { id, by, created, updated, kind });
    }
}

fn time(shown: &Value) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(shown.as_str()?).ok().map(|t| t.to_utc())
}

//! The JSON the forge shows of issues, pull requests, comments and timelines.

use serde_json::{Value, json};

use super::record::{At, BASE_SHA, Entry, EntryKind, Issue, Pull, ROOT_URL, Repo};
use super::show::{self, Look, epoch, label, merge, time, user};
use super::world::State;

/// Where a payload differs from the truth, as payloads sometimes do.
#[derive(Clone, Debug, Default)]
pub(super) struct Distortion {
    /// These labels instead of the issue's own.
    pub labels: Option<Vec<i64>>,
    /// So many comments more than there are.
    pub more_comments: usize,
    /// Both times at the start of 1970, as for the `assigned` sent from within the creation.
    pub at_epoch: bool,
}

pub(super) fn issue(state: &State, repo: &Repo, issue: &Issue) -> Value {
    distorted(state, repo, issue, &Distortion::default())
}

/// An issue as a payload shows it.
pub(super) fn distorted(state: &State, repo: &Repo, i: &Issue, wrong: &Distortion) -> Value {
    let ids = wrong.labels.as_ref().unwrap_or(&i.labels);
    let labels: Vec<_> = state.labels_of(repo, ids).into_iter().map(label).collect();
    let assignees: Vec<_> = i.assignees.iter().map(|id| user(state, *id, Look::Embedded)).collect();
    let api = format!("{ROOT_URL}/api/v1/repos/{}/issues/{}", repo.name, i.number);
    let mut shown = json!({
        "id": i.id, "url": api, "html_url": html_url(repo, i), "number": i.number,
        "user": user(state, i.author, Look::Embedded), "title": i.title, "body": i.body,
        "labels": labels, "milestone": i.milestone, "assignee": assignees.first(),
        "assignees": if assignees.is_empty() { Value::Null } else { Value::Array(assignees.clone()) },
        "state": if i.closed.is_some() { "closed" } else { "open" }, "comments": i.comments().count() + wrong.more_comments,
        "created_at": if wrong.at_epoch { epoch() } else { time(i.created) },
        "updated_at": if wrong.at_epoch { epoch() } else { time(i.updated) }, "closed_at": i.closed.map(time),
        "pull_request": pull_mark(repo, i),
        "repository": {
            "id": repo.id, "name": repo.name.name(), "owner": repo.name.owner(), "full_name": repo.name.to_string(),
        },
        "original_author": "", "original_author_id": 0, "ref": "", "assets": [], "is_locked": false,
        "due_date": null, "pin_order": 0,
    });
    state.flavour.complete_issue(&mut shown);
    shown
}

fn html_url(repo: &Repo, issue: &Issue) -> String {
    let kind = if issue.pull.is_some() { "pulls" } else { "issues" };
    format!("{ROOT_URL}/{}/{kind}/{}", repo.name, issue.number)
}

fn pull_mark(repo: &Repo, issue: &Issue) -> Value {
    let Some(pull) = &issue.pull else { return Value::Null };
    let merged = pull.merged;
    json!({
        "merged": merged.is_some(), "merged_at": merged.map(time), "draft": is_draft(issue), "html_url": html_url(repo, issue),
    })
}

/// A title that begins so makes a draft (`DEFAULT_WORK_IN_PROGRESS_PREFIXES`).
fn is_draft(issue: &Issue) -> bool {
    ["WIP:", "[WIP]"].iter().any(|prefix| issue.title.to_uppercase().starts_with(prefix))
}

/// A pull request as its own kind of object.
pub(super) fn pull(state: &State, repo: &Repo, i: &Issue) -> Value {
    let mut shown = issue(state, repo, i);
    let url = html_url(repo, i);
    if let Value::Object(keys) = &mut shown {
        let of_issues = ["original_author", "original_author_id", "ref", "assets", "time_estimate"];
        keys.retain(|key, _| {
            !of_issues.contains(&key.as_str()) && key != "pull_request" && key != "repository"
        });
    }
    let merged = i.pull.as_ref().and_then(|p| p.merged);
    let sha = i.pull.as_ref().map(|p| p.sha.as_str()).unwrap_or_default();
    let branch =
        |of: fn(&Pull) -> &String| i.pull.as_ref().map(|p| of(p).as_str()).unwrap_or_default();
    let home = show::repo(state, repo, i.author);
    let side = |name: &str, sha: &str| json!({"label": name, "ref": name, "sha": sha, "repo_id": repo.id, "repo": home});
    let assignees = i.assignees.iter().map(|id| user(state, *id, Look::Embedded));
    let more = json!({
        "url": url, "diff_url": format!("{url}.diff"), "patch_url": format!("{url}.patch"),
        "assignees": assignees.collect::<Vec<_>>(), "base": side(branch(|p| &p.base), BASE_SHA), "head": side(branch(|p| &p.head), sha),
        "mergeable": merged.is_none(), "merged": merged.is_some(), "merged_at": merged.map(time),
        "requested_reviewers": [], "requested_reviewers_teams": [], "draft": is_draft(i), "additions": 1, "deletions": 0,
        "changed_files": 1, "merge_commit_sha": null, "merged_by": null, "allow_maintainer_edit": false,
        "merge_base": BASE_SHA,
    });
    merge(&mut shown, more);
    state.flavour.complete_pull(&mut shown);
    shown
}

/// The keys a comment and a line of the timeline share.
fn entry_head(state: &State, repo: &Repo, i: &Issue, entry: &Entry) -> Value {
    let page = html_url(repo, i);
    let is_pull = i.pull.is_some();
    json!({
        "id": entry.id, "html_url": format!("{page}#issuecomment-{}", entry.id),
        "pull_request_url": if is_pull { page.as_str() } else { "" },
        "issue_url": if is_pull { "" } else { page.as_str() },
        "user": user(state, entry.by, Look::Embedded), "body": body_of(entry),
        "created_at": time(entry.created), "updated_at": time(entry.updated),
    })
}

fn body_of(entry: &Entry) -> &str {
    match &entry.kind {
        EntryKind::Comment { body, .. } => body,
        EntryKind::Label { added: true, .. } => "1",
        _ => "",
    }
}

pub(super) fn comment(state: &State, repo: &Repo, i: &Issue, entry: &Entry) -> Value {
    let mut shown = entry_head(state, repo, i, entry);
    let more = json!({"original_author": "", "original_author_id": 0, "assets": []});
    merge(&mut shown, more);
    shown
}

pub(super) fn timeline(state: &State, repo: &Repo, i: &Issue, entry: &Entry) -> Value {
    let mut shown = entry_head(state, repo, i, entry);
    let blank = json!({
        "type": entry_type(&entry.kind), "old_project_id": 0, "project_id": 0, "old_milestone": null,
        "milestone": null, "tracked_time": null, "old_title": "", "new_title": "", "old_ref": "", "new_ref": "",
        "ref_issue": null, "ref_comment": null, "ref_action": "none", "ref_commit_sha": "", "review_id": 0,
        "label": null, "assignee": null, "assignee_team": null, "removed_assignee": false, "resolve_doer": null,
        "dependent_issue": null,
    });
    merge(&mut shown, blank);
    merge(&mut shown, entry_detail(state, &entry.kind));
    shown
}

/// The API's word for a line of the timeline.
pub(super) fn entry_type(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Comment { .. } => "comment",
        EntryKind::Label { .. } => "label",
        EntryKind::Assignee { .. } => "assignees",
        EntryKind::Title { .. } => "change_title",
        EntryKind::Close => "close",
        EntryKind::Reopen => "reopen",
        EntryKind::Reference { name, .. } => name,
        EntryKind::Dependency { removed: false, .. } => "add_dependency",
        EntryKind::Dependency { removed: true, .. } => "remove_dependency",
    }
}

fn entry_detail(state: &State, kind: &EntryKind) -> Value {
    match kind {
        EntryKind::Label { label: it, .. } => json!({"label": label(it)}),
        EntryKind::Assignee { user: id, removed } => {
            json!({"assignee": user(state, *id, Look::Embedded), "removed_assignee": removed})
        }
        EntryKind::Title { old, new } => json!({"old_title": old, "new_title": new}),
        EntryKind::Reference { from, comment, closes, .. } => json!({
            "ref_issue": other_issue(state, from),
            "ref_comment": comment.and_then(|id| comment_at(state, from, id)),
            "ref_action": if *closes { "closes" } else { "none" },
        }),
        EntryKind::Dependency { on, .. } => json!({"dependent_issue": other_issue(state, on)}),
        EntryKind::Comment { .. } | EntryKind::Close | EntryKind::Reopen => Value::Null,
    }
}

fn other_issue(state: &State, at: &At) -> Value {
    state.place(at).map_or(Value::Null, |(repo, found)| issue(state, repo, found))
}

pub(super) fn comment_at(state: &State, at: &At, id: i64) -> Option<Value> {
    let (repo, issue) = state.place(at)?;
    let entry = issue.comments().find(|e| e.id == id)?;
    Some(comment(state, repo, issue, entry))
}

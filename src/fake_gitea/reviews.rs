//! What people and checks say about pull requests: reviews with comments on lines, and what checks say of commits.

use serde_json::{Value, json};

use super::FakeGitea;
use super::outbox::{Event, render};
use super::record::{At, Check, LineNote, ROOT_URL, Repo, Review, Task};
use super::show::{self, Look, time, user};
use super::view::{NewCheck, NewReview};
use super::world::State;
use crate::issue::IssueRef;

impl FakeGitea {
    /// Submits a review; gives its id, or 0 where there is no such pull request. One that is pending makes no event.
    pub fn review(&self, pull: &IssueRef, by: &str, review: NewReview) -> i64 {
        self.act(pull, by, |state, at, by| state.review(at, by, review)).unwrap_or_default()
    }

    /// Takes back what a review says, as an administrator does.
    pub fn dismiss_review(&self, pull: &IssueRef, id: i64) {
        self.act(pull, "alice", |state, at, _| {
            let reviews = state.issue_mut(at).and_then(|issue| issue.pull.as_mut());
            let reviews = reviews.map(|pull| pull.reviews.iter_mut()).into_iter().flatten();
            reviews.filter(|one| one.id == id).for_each(|one| one.dismissed = true);
        });
    }

    /// Lets a check say something of the head of a pull request. Gitea makes an event of it, Forgejo knows none.
    pub fn check(&self, pull: &IssueRef, check: NewCheck) {
        self.act(pull, "ci", |state, at, by| {
            let sha = state.issue(at).and_then(|issue| Some(issue.pull.as_ref()?.sha.clone()));
            let Some(sha) = sha else { return };
            state.note_check(at, &sha, &check);
            state.fire_status(at, by, &sha);
        });
    }

    /// The commit at the head of a pull request.
    pub fn head(&self, pull: &IssueRef) -> String {
        self.change(|state| {
            let issue = state.issue(&At::from(pull));
            issue.and_then(|issue| Some(issue.pull.as_ref()?.sha.clone())).unwrap_or_default()
        })
    }

    /// Lets a commit be at the head of a pull request: somebody pushed it.
    pub fn push_commit(&self, pull: &IssueRef, by: &str, sha: &str) {
        self.act(pull, by, |state, at, by| {
            let Some(pull) = state.issue_mut(at).and_then(|issue| issue.pull.as_mut()) else {
                return;
            };
            pull.sha = sha.to_owned();
            pull.reviews.iter_mut().for_each(|review| review.stale = true);
            state.fire(at, by, Event::new("pull_request_sync", "synchronized"));
        });
    }
}

impl State {
    fn review(&mut self, at: &At, by: i64, new: NewReview) -> Option<i64> {
        let (id, now) = (self.next_id("review"), self.now());
        let NewReview { state, body, lines } = new;
        let notes = lines.into_iter().map(|line| {
            let id = self.next_id("comment");
            LineNote { id, path: line.path, line: line.line, body: line.body, is_resolved: false }
        });
        let lines = notes.collect();
        let pull = self.issue_mut(at)?.pull.as_mut()?;
        let (sha, body) = (pull.sha.clone(), body);
        let kind = match state.as_str() {
            "APPROVED" => Some("pull_request_review_approved"),
            "REQUEST_CHANGES" => Some("pull_request_review_rejected"),
            "COMMENT" => Some("pull_request_review_comment"),
            _ => None,
        };
        let review = json!({"type": kind, "content": body});
        pull.reviews.push(Review {
            id,
            by,
            state,
            body,
            sha,
            at: now,
            stale: false,
            dismissed: false,
            lines,
        });
        if let Some(kind) = kind {
            self.fire(at, by, Event { review: Some(review), ..Event::new(kind, "reviewed") });
        }
        Some(id)
    }

    /// Queues a delivery of what a check said last of a commit for each hook that listens. Forgejo has no such event.
    fn fire_status(&mut self, at: &At, by: i64, sha: &str) {
        if !self.flavour.tells_of_checks() {
            return;
        }
        let hooks: Vec<_> = self.listeners(&at.repo, "status").cloned().collect();
        let Some(repo) = self.repos.get(&at.repo) else { return };
        let Some(check) = repo.checks.iter().rev().find(|one| one.sha == sha) else { return };
        let body = render(&status_payload(self, repo, by, check));
        for hook in hooks {
            self.push(Task::new(hook, "status", "", body.clone()));
        }
    }

    /// Notes what a check says; the latest of each context counts.
    pub fn note_check(&mut self, at: &At, sha: &str, check: &NewCheck) {
        let id = self.next_id("status");
        let now = self.now();
        let Some(repo) = self.repos.get_mut(&at.repo) else { return };
        let NewCheck { context, state, description } = check.clone();
        repo.checks.retain(|one| one.sha != sha || one.context != context);
        let sha = sha.to_owned();
        repo.checks.push(Check { id, sha, context, state, description, at: now });
    }
}

/// One review (services/convert/pull_review.go, `ToPullReview`).
pub(super) fn review(state: &State, repo: &Repo, number: u64, one: &Review) -> Value {
    let page = format!("{ROOT_URL}/{}/pulls/{number}", repo.name);
    json!({
        "id": one.id, "user": user(state, one.by, Look::Embedded), "team": null, "state": one.state, "body": one.body,
        "commit_id": one.sha, "stale": one.stale, "official": false, "dismissed": one.dismissed,
        "comments_count": one.lines.len(), "submitted_at": time(one.at), "updated_at": time(one.at),
        "html_url": format!("{page}#issuecomment-{}", one.id), "pull_request_url": page,
    })
}

/// The comments of a review on lines (`ToPullReviewCommentList`).
pub(super) fn lines(state: &State, repo: &Repo, number: u64, review: &Review) -> Value {
    let page = format!("{ROOT_URL}/{}/pulls/{number}", repo.name);
    let by = user(state, review.by, Look::Embedded);
    let line = |one: &LineNote| {
        json!({
        "id": one.id, "body": one.body, "user": by, "resolver": if one.is_resolved { by.clone() } else { Value::Null },
        "pull_request_review_id": review.id, "created_at": time(review.at), "updated_at": time(review.at),
        "path": one.path, "commit_id": review.sha, "original_commit_id": "",
        "diff_hunk": format!("@@ -1,3 +1,{0} @@\n+line {0}", one.line), "position": one.line, "original_position": 0,
        "html_url": format!("{page}#issuecomment-{}", one.id), "pull_request_url": page,
        })
    };
    review.lines.iter().map(line).collect::<Vec<_>>().into()
}

/// One check (`ToCommitStatus`): its state stands under `status`.
pub(super) fn check(repo: &Repo, one: &Check) -> Value {
    let api = format!("{ROOT_URL}/api/v1/repos/{}/statuses/{}", repo.name, one.sha);
    json!({
        "id": one.id, "status": one.state, "context": one.context, "target_url": "", "description": one.description,
        "url": api, "creator": null, "created_at": time(one.at), "updated_at": time(one.at),
    })
}

/// What all checks of a commit say together (modules/commitstatus/commit_status.go, `Combine`); empty without any.
pub(super) fn combined(checks: &[&Check]) -> &'static str {
    let is_any = |states: &[&str]| checks.iter().any(|one| states.contains(&one.state.as_str()));
    match checks.is_empty() {
        true => "",
        false if is_any(&["failure", "error"]) => "failure",
        false if is_any(&["pending"]) => "pending",
        false => "success",
    }
}

/// The event of what a check said last (modules/structs/hook.go, `CommitStatusPayload`).
pub(super) fn status_payload(state: &State, repo: &Repo, by: i64, one: &Check) -> Value {
    let sender = show::user(state, by, Look::Embedded);
    let person =
        json!({"name": sender["login"], "email": sender["email"], "username": sender["login"]});
    json!({
        "commit": {
            "id": one.sha, "message": "Work\n", "url": format!("{ROOT_URL}/{}/commit/{}", repo.name, one.sha),
            "author": person, "committer": person, "verification": null, "timestamp": time(one.at),
            "added": null, "removed": null, "modified": null,
        },
        "context": one.context, "created_at": time(one.at), "description": one.description, "id": one.id,
        "repository": show::repo(state, repo, by), "sender": sender, "sha": one.sha, "state": one.state,
        "target_url": "", "updated_at": time(one.at),
    })
}

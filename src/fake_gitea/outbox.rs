//! Which deliveries a change makes: one task for each hook that listens, with the bytes written once, in order.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::flavour::Flavour;
use super::record::{At, BASE_SHA, Hook, ROOT_URL, Repo, Scope, Task};
use super::show::{self, Look};
use super::show_issue::{self, Distortion};
use super::world::State;

/// Every kind of event a hook of Gitea 1.25 can hear that the API can switch on.
#[rustfmt::skip]
pub(super) const KINDS: [&str; 22] = [
    "create", "delete", "fork", "issue_assign", "issue_comment", "issue_label",
    "issue_milestone", "issues", "package", "pull_request", "pull_request_assign",
    "pull_request_comment", "pull_request_label", "pull_request_milestone",
    "pull_request_review", "pull_request_review_request", "pull_request_sync", "push",
    "release", "repository", "status", "wiki",
];

#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    pub kind: &'static str,
    pub action: &'static str,
    pub changes: Option<Value>,
    pub comment: Option<Value>,
    /// What a review says.
    pub review: Option<Value>,
    pub wrong: Distortion,
}

impl Event {
    /// An event whose payload shows the issue as it is.
    pub fn new(kind: &'static str, action: &'static str) -> Self {
        Self { kind, action, ..Self::default() }
    }

    /// The same with a `changes` object that names the former text.
    pub fn with_former(mut self, flavour: Flavour, field: &str, former: &str) -> Self {
        let mut changes = flavour.changes();
        changes[field] = json!({"from": former});
        self.changes = Some(changes);
        self
    }
}

/// The kinds behind the names a caller sends; none at all means `push`.
pub(super) fn kinds_named(names: &[String]) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for name in names.iter().map(|n| n.to_lowercase()) {
        match name.as_str() {
            "issues" => kinds.extend(family("issue")),
            "issues_only" => kinds.extend(["issues".to_owned()]),
            "pull_request" => kinds.extend(family("pull_request")),
            "pull_request_only" => kinds.extend(["pull_request".to_owned()]),
            known if KINDS.contains(&known) => kinds.extend([known.to_owned()]),
            _ => {}
        }
    }
    if names.is_empty() {
        kinds.insert("push".to_owned());
    }
    kinds
}

fn family(prefix: &str) -> impl Iterator<Item = String> {
    KINDS.iter().filter(move |k| k.starts_with(prefix)).map(|k| (*k).to_owned())
}

/// The bytes that are signed and sent: two spaces a level, as Gitea writes them.
pub(super) fn render(payload: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec_pretty(payload).unwrap_or_default())
}

impl State {
    /// Queues a delivery of what `by` did to an issue for each hook that listens. Without a listener nothing is rendered.
    pub fn fire(&mut self, at: &At, by: i64, event: Event) {
        let pull = self.issue(at).is_some_and(|i| i.pull.is_some());
        let kind = if pull { pull_kind(event.kind) } else { event.kind };
        let hooks: Vec<_> = self.listeners(&at.repo, kind).cloned().collect();
        if hooks.is_empty() {
            return;
        }
        let Some(body) = self.payload(at, by, &event).map(|payload| render(&payload)) else {
            return;
        };
        for hook in hooks {
            self.push(Task::new(hook, kind, event.action, body.clone()));
        }
    }

    /// Puts the synthetic push of its test call into the queue for one hook.
    pub fn enqueue_test_push(&mut self, hook: Hook, repo: &str, by: i64) {
        if let Some(repo) = self.repos.get(repo) {
            let body = render(&test_push(self, repo, by));
            self.push(Task::new(hook, "push", "", body));
        }
    }

    pub fn push(&mut self, task: Task) {
        self.queue.push_back(self.deliveries.len());
        self.deliveries.push(task);
    }

    pub(super) fn listeners<'a>(
        &'a self,
        repo: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Hook> {
        let owner = repo.split('/').next().unwrap_or_default();
        self.hooks.iter().filter(move |hook| {
            let here = match &hook.scope {
                Scope::Everywhere => true,
                Scope::Repo(key) => key == repo,
                Scope::Org(org) => org == owner,
            };
            // A hook hears all reviews or none (models/webhook/webhook.go, `HasEvent`).
            let of_review = kind.starts_with("pull_request_review_") && !kind.ends_with("request");
            let kind = if of_review { "pull_request_review" } else { kind };
            here && hook.active && hook.events.contains(kind)
        })
    }

    fn payload(&self, at: &At, by: i64, event: &Event) -> Option<Value> {
        let (repo, issue) = self.place(at)?;
        let mut payload = json!({
            "action": event.action,
            "repository": show::repo(self, repo, by),
            "sender": show::user(self, by, Look::Embedded),
        });
        if let Some(changes) = &event.changes {
            payload["changes"] = changes.clone();
        }
        let is_pull = issue.pull.is_some();
        if is_pull {
            payload["pull_request"] = show_issue::pull(self, repo, issue);
        }
        if !is_pull || event.comment.is_some() {
            payload["issue"] = show_issue::distorted(self, repo, issue, &event.wrong);
        }
        let more = match &event.comment {
            Some(comment) => json!({"comment": comment, "is_pull": is_pull}),
            None if is_pull => json!({
                "number": issue.number, "commit_id": "", "review": event.review,
                "requested_reviewer": event.review.as_ref().map(|_| show::user(self, by, Look::Embedded)),
            }),
            None => json!({"number": issue.number, "commit_id": ""}),
        };
        show::merge(&mut payload, more);
        Some(payload)
    }
}

fn pull_kind(kind: &'static str) -> &'static str {
    match kind {
        "issues" => "pull_request",
        "issue_assign" => "pull_request_assign",
        "issue_label" => "pull_request_label",
        "issue_comment" => "pull_request_comment",
        other => other,
    }
}

fn test_push(state: &State, repo: &Repo, by: i64) -> Value {
    let home = format!("{}/{}", ROOT_URL, repo.name);
    let sender = show::user(state, by, Look::Embedded);
    let login = &sender["login"];
    let person = json!({"name": login, "email": sender["email"], "username": login});
    let commit = json!({
        "id": BASE_SHA, "message": "Initial commit\n", "url": format!("{home}/commit/{BASE_SHA}"),
        "author": person, "committer": person, "timestamp": show::time(repo.created),
        "added": null, "removed": null, "modified": null,
        "verification": {
            "verified": false, "reason": "gpg.error.not_signed_commit", "signature": "", "signer": null, "payload": "",
        },
    });
    json!({
        "ref": "refs/heads/main", "before": BASE_SHA, "after": BASE_SHA,
        "compare_url": format!("{home}/compare/{BASE_SHA}...{BASE_SHA}"),
        "commits": [commit], "total_commits": 1, "head_commit": commit,
        "repository": show::repo(state, repo, by), "pusher": sender, "sender": sender,
    })
}

//! What people do in the demo's forge: the changes of recorded deliveries, so that an issue is as it was then, and those of
//! whoever looks at the demo. What the service has written in the meantime stays.

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, SecondsFormat};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::config;
use crate::fake_gitea::{FakeGitea, NewIssue};
use crate::issue::{IssueRef, IssueState, RepoName};

/// Issues to begin with, as name, title and text.
pub(super) const EXAMPLES: [(&str, &str, &str); 4] = [
    (
        "a bug that is ready",
        "Login crashes on an empty password",
        "1. Open `/login`\n2. Leave the password empty and press the button\n\nThe server answers 500: `login()` in \
         `src/auth/login.py` fails on an empty string. It should answer 400 with a message.",
    ),
    ("a vague report", "It is slow", "Since the update everything is slower than before."),
    ("a question", "How do I change the port?", "I read the manual and did not find it."),
    (
        "a danger",
        "Data loss when two people save at once",
        "Yesterday our notes were gone after both of us pressed save.",
    ),
];

/// Lets these accounts write to a repository, which is made.
pub(super) fn let_write<'l>(
    gitea: &FakeGitea,
    repo: &RepoName,
    logins: impl IntoIterator<Item = &'l str>,
) {
    logins.into_iter().for_each(|login| gitea.add_collaborator(repo, login, "write"));
}

/// Adds the repository, the service's account and those of the agents.
pub(super) fn prepare(gitea: &FakeGitea, repo: &str) -> anyhow::Result<RepoName> {
    let repo: RepoName = repo.parse().context("the repository of the recordings")?;
    let agents = config::built_in_agents();
    let logins = agents.iter().filter_map(|agent| agent.login.as_deref());
    let_write(gitea, &repo, logins.chain([gitea.bot().login.as_str()]));
    Ok(repo)
}

/// Opens an issue with a title and a text.
pub(super) fn open(
    gitea: &FakeGitea,
    repo: &RepoName,
    by: &str,
    [title, body]: [&str; 2],
) -> IssueRef {
    let new = NewIssue {
        title: title.to_owned(),
        body: body.to_owned(),
        author: by.to_owned(),
        ..NewIssue::default()
    };
    gitea.open_issue(repo, new)
}

/// Writes a comment; gives its id.
pub(super) fn comment(gitea: &FakeGitea, at: &IssueRef, by: &str, text: &str) -> i64 {
    gitea.comment(at, by, text)
}

/// Applies a payload; one that is not about an issue changes nothing.
pub(super) fn apply(gitea: &FakeGitea, payload: &Value, now: Timestamp) {
    let payload = &as_of(payload, now);
    let number = payload["issue"]["number"].as_u64().filter(|n| *n > 0);
    let name = payload["repository"]["full_name"].as_str();
    let place = name.and_then(|name| name.parse().ok()).zip(number);
    let Some((repo, number)) = place else { return };
    let at = IssueRef { repo, number };
    if gitea.issue(&at).is_none() {
        gitea.put_issue_from_payload(payload);
        return;
    }
    let by = payload["sender"]["login"].as_str().unwrap_or("alice");
    if payload["comment"].is_object() {
        if payload["action"] == "created" {
            gitea.put_comment_from_payload(&at, payload);
        }
        return;
    }
    match payload["action"].as_str().unwrap_or_default() {
        "deleted" => gitea.delete_issue(&at),
        _ => catch_up(gitea, &at, by, &payload["issue"]),
    }
}

/// The payload as if it had been recorded now: its last change is of this moment, and all before lies as far back from
/// that as it did. Gitea writes the year 1970 into some; that is now, too.
fn as_of(payload: &Value, now: Timestamp) -> Value {
    let last = time(&payload["issue"]["updated_at"]);
    let by = last.map_or_else(chrono::TimeDelta::zero, |last| now - last);
    let mut payload = payload.clone();
    for part in ["issue", "comment"] {
        let Some(part) = payload.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for (name, shown) in part {
            if name.ends_with("_at") && shown.is_string() {
                let at = time(shown).map_or(now, |at| at + by);
                *shown = at.to_rfc3339_opts(SecondsFormat::Secs, true).into();
            }
        }
    }
    payload
}

/// A time that is meant as one.
fn time(shown: &Value) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(shown.as_str()?).ok()?.to_utc();
    (at.year() > 1970).then_some(at)
}
/// Brings the issue to the state of the recording, but keeps labels and assignees that the service added.
fn catch_up(gitea: &FakeGitea, at: &IssueRef, by: &str, shown: &Value) {
    let Some(now) = gitea.issue(at) else { return };
    let (title, body) = (shown["title"].as_str(), shown["body"].as_str());
    let title = title.filter(|title| *title != now.title);
    gitea.edit_issue(at, by, title, body.filter(|body| *body != now.body));
    match (now.state, shown["state"] == "closed") {
        (IssueState::Open, true) => gitea.close(at, by),
        (IssueState::Closed, false) => gitea.reopen(at, by),
        _ => {}
    }
    let labels = names(&shown["labels"], "name");
    let is_added = |name: &str| name.ends_with("-ready");
    labels.iter().filter(|l| !now.labels.contains(l)).for_each(|l| gitea.add_label(at, by, l));
    let gone = now.labels.iter().filter(|l| !labels.contains(l) && !is_added(l));
    gone.for_each(|label| gitea.remove_label(at, by, label));
    let people = names(&shown["assignees"], "login");
    people.iter().filter(|p| !now.assignees.contains(p)).for_each(|p| gitea.assign(at, by, p));
    let gone = now.assignees.iter().filter(|p| !people.contains(p) && *p != "claude");
    gone.for_each(|login| gitea.unassign(at, by, login));
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_recording_is_as_of_now() {
        let now = from_millis(1_800_000_000_000);
        let issue = serde_json::json!({
            "created_at": "2026-11-22T13:14:11Z", "updated_at": "2026-11-22T13:15:11Z", "closed_at": null, "title": "at",
        });
        let shifted = as_of(&serde_json::json!({ "issue": issue }), now);
        assert_eq!(shifted["issue"]["created_at"], "2027-01-15T07:59:00Z");
        assert_eq!(shifted["issue"]["updated_at"], "2027-01-15T08:00:00Z");
        assert!(shifted["issue"]["closed_at"].is_null());
        assert_eq!(shifted["issue"]["title"], "at");
        let epoch = serde_json::json!({
            "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
        });
        let shifted = as_of(&serde_json::json!({ "issue": epoch }), now);
        assert_eq!(shifted["issue"]["created_at"], "2027-01-15T08:00:00Z");
    }
}

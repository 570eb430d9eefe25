//! Applies the change of a recorded delivery to the in-memory forge, so that the issue is as it was then. What the
//! service has written in the meantime stays.

use anyhow::Context as _;
use serde_json::Value;

use crate::config;
use crate::fake_gitea::FakeGitea;
use crate::issue::{IssueRef, IssueState, RepoName};

/// Adds the repository, the service's account and those of the agents.
pub(super) fn prepare(gitea: &FakeGitea, repo: &str) -> anyhow::Result<()> {
    let repo: RepoName = repo.parse().context("the repository of the recordings")?;
    let agents = config::built_in_agents();
    let logins = agents.iter().filter_map(|agent| agent.login.as_deref());
    for login in logins.chain([gitea.bot().login.as_str()]) {
        gitea.add_collaborator(&repo, login, "write");
    }
    Ok(())
}

/// Applies a payload; one that is not about an issue changes nothing.
pub(super) fn apply(gitea: &FakeGitea, payload: &Value) {
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

//! Issues that are scored, and the moment at which.

use gitea_triage::clock::Timestamp;
use gitea_triage::issue::{Issue, IssueState};

pub fn now() -> Timestamp {
    "2026-03-23T12:00:00Z".parse().expect("a valid time")
}

pub fn issue(title: &str, body: &str, labels: &[&str]) -> Issue {
    Issue {
        ids: None,
        number: 1,
        title: title.to_owned(),
        body: body.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: Some("2026-03-20T10:00:00Z".parse().expect("a valid time")),
        updated_at: None,
        closed_at: None,
        comments: 0,
        url: String::new(),
    }
}

//! The 300 recorded issues score and are decided exactly as by the loop that this service replaces.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use gitea_triage::clock::Timestamp;
use gitea_triage::issue::{Issue, IssueState};
use gitea_triage::triage::{Policy, Triage, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

const CORPUS: &str = include_str!("../fixtures/parity/issues.jsonl");

#[derive(Deserialize)]
struct Line {
    issue: Raw,
    expected: Value,
}

#[derive(Deserialize)]
struct Raw {
    number: u64,
    title: String,
    body: Option<String>,
    labels: Option<Vec<Label>>,
    assignees: Option<Vec<User>>,
    created_at: Timestamp,
    state: IssueState,
    pull_request: Option<Value>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

impl From<Raw> for Issue {
    fn from(raw: Raw) -> Self {
        Self {
            ids: None,
            number: raw.number,
            title: raw.title,
            body: raw.body.unwrap_or_default(),
            labels: raw.labels.into_iter().flatten().map(|label| label.name).collect(),
            assignees: raw.assignees.into_iter().flatten().map(|user| user.login).collect(),
            author: None,
            state: raw.state,
            is_pull_request: raw.pull_request.is_some(),
            created_at: Some(raw.created_at),
            updated_at: None,
            closed_at: None,
            comments: 0,
            url: String::new(),
        }
    }
}

fn as_recorded(number: u64, verdict: &Verdict) -> Value {
    let score = &verdict.score;
    json!({
        "number": number,
        "title": score.title,
        "type": score.issue_type,
        "tags": score.tags,
        "scope": score.scope,
        "acceptance": score.acceptance,
        "alignment": score.alignment,
        "score": score.total,
        "ready": score.ready,
        "p0": score.p0,
        "blocked": score.blocked,
        "age_days": score.age_days,
        "action": verdict.decision.action(),
        "agent": verdict.decision.agent().map_or("", |agent| agent.as_str()),
        "task_type": verdict.task_type,
    })
}

#[test]
fn every_recorded_issue_gets_the_recorded_verdict() {
    let triage = Triage::new(Policy::default()).expect("a valid policy");
    let now: Timestamp = "2026-03-23T12:00:00Z".parse().expect("a valid time");
    let mut seen = 0;
    for line in CORPUS.lines() {
        let line: Line = serde_json::from_str(line).expect("a recorded issue");
        let issue = Issue::from(line.issue);
        let verdict = triage.verdict(&issue, now);
        assert_eq!(as_recorded(issue.number, &verdict), line.expected, "{issue:#?}");
        seen += 1;
    }
    assert_eq!(seen, 300);
}

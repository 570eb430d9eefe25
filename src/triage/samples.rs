//! Issues and agents for the tests of this room.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Interface, TaskType};
use crate::issue::{Issue, IssueState};
use crate::triage::{Policy, Triage};

/// Three days after [`issue`] was opened.
pub(super) fn now() -> Timestamp {
    "2026-03-23T12:00:00Z".parse().expect("a valid time")
}

/// An open issue nobody has.
pub(super) fn issue(title: &str, body: &str) -> Issue {
    Issue {
        number: 1,
        title: title.to_owned(),
        body: body.to_owned(),
        labels: Vec::new(),
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: Some("2026-03-20T10:00:00Z".parse().expect("a valid time")),
        updated_at: None,
        closed_at: None,
        comments: 0,
    }
}

/// A bug that scores 8: one short of everything, for it names no function.
pub(super) fn bug() -> Issue {
    issue("[Bug] Crash on start", "## Problem\n`src/db.py` fails; it should return, tox must pass")
}

/// The built-in policy.
pub(super) fn triage() -> Triage {
    Triage::new(Policy::default()).expect("a valid policy")
}

/// An agent that may have one dispatch.
pub(super) fn agent(id: &str, strengths: &[TaskType]) -> Agent {
    Agent {
        id: AgentId::new(id),
        interface: Interface::Forge,
        label: Some(format!("{id}-ready")),
        login: Some(id.to_owned()),
        strengths: strengths.to_vec(),
        max_concurrent: 1,
        timeout: Duration::from_secs(7200),
        endpoint: None,
    }
}

//! Any `[policy]`: it is refused or compiled, and a compiled one scores an issue.
#![no_main]

use chrono::DateTime;
use gitea_triage::issue::{Issue, IssueState};
use gitea_triage::triage::{Policy, Triage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = toml::from_str::<Policy>(text) else { return };
    let Ok(triage) = Triage::new(policy) else { return };
    let issue = Issue {
        number: 1,
        title: "[bug] `login()` crashes".into(),
        body: "## Problem\nsrc/auth/login.py should return 400. pytest".into(),
        labels: vec!["P0".into()],
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: None,
        updated_at: None,
        closed_at: None,
        comments: 0,
        url: String::new(),
    };
    let now = DateTime::from_timestamp_millis(1_774_267_200_000).unwrap();
    let verdict = triage.verdict(&issue, now);
    assert_eq!(verdict.score, triage.score(&issue, now));
});

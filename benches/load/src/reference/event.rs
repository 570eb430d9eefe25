//! The fields of a delivery that a triage job needs, borrowed from its bytes.

use std::borrow::Cow;
use std::hint::black_box;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Event<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    issue: Issue<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: User<'a>,
}

#[derive(Deserialize)]
struct Issue<'a> {
    number: i64,
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(borrow, default)]
    body: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Vec<Label<'a>>,
    /// `null` where nobody is assigned.
    #[serde(borrow, default)]
    assignees: Option<Vec<User<'a>>>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    created_at: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Label<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    full_name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    login: Cow<'a, str>,
}

impl Event<'_> {
    pub fn action(&self) -> String {
        self.action.to_string()
    }

    pub fn repo(&self) -> String {
        self.repository.full_name.to_string()
    }

    /// The issue's number. What else a job would read is touched, so that no compiler takes the parsing away.
    pub fn number(&self) -> i64 {
        let issue = &self.issue;
        let names: usize = issue.labels.iter().map(|label| label.name.len()).sum();
        let assignees = issue.assignees.as_deref().unwrap_or_default();
        let logins: usize = assignees.iter().map(|user| user.login.len()).sum();
        black_box((&issue.title, &issue.body, &issue.state, &issue.created_at));
        black_box((names, logins, &self.sender.login));
        issue.number
    }
}

//! What cannot be registered stops the start, and is named.

use gitea_triage::agents::local::{ConsultSettings, LocalAgent, McpSettings, Permission};
use std::time::Duration;

use crate::model::settings;

#[track_caller]
fn says(result: Result<LocalAgent, impl std::fmt::Display>, expected: &str) {
    assert_eq!(result.err().unwrap().to_string(), expected);
}

#[tokio::test]
async fn two_tools_of_one_name_are_refused() {
    let twice = settings("http://127.0.0.1:1", &["comment", "read_issue", "comment"]);
    says(
        LocalAgent::start(twice).await,
        "the tool `comment` cannot be registered: there are two of this name",
    );
    let mut consult = settings("http://127.0.0.1:1", &[]);
    let one = ConsultSettings {
        name: "big".into(),
        url: "http://127.0.0.1:1".into(),
        model: "m".into(),
        timeout: Duration::from_secs(1),
        ..ConsultSettings::default()
    };
    consult.consult = vec![one.clone(), one];
    says(
        LocalAgent::start(consult).await,
        "the tool `consult_big` cannot be registered: there are two of this name",
    );
}

#[tokio::test]
async fn a_tool_that_may_do_more_than_is_allowed_is_refused() {
    let mut settings = settings("http://127.0.0.1:1", &["comment", "add_label"]);
    settings.permission = Permission::Comment;
    says(
        LocalAgent::start(settings).await,
        "the tool `add_label` cannot be registered: it needs the permission `write`, and `local_agent.permission` is `comment`",
    );
}

#[tokio::test]
async fn a_tool_that_lacks_its_setting_is_refused() {
    says(
        LocalAgent::start(settings("http://127.0.0.1:1", &["web_fetch"])).await,
        "the tool `web_fetch` cannot be registered: no host is listed in `local_agent.web_hosts`",
    );
}

#[tokio::test]
async fn a_required_server_that_cannot_be_reached_is_named() {
    let mut local = settings("http://127.0.0.1:1", &[]);
    local.mcp = vec![McpSettings {
        name: "files".into(),
        command: vec!["/nonexistent/mcp-files".into()],
        tools: vec!["read".into()],
        timeout: Duration::from_secs(5),
        ..McpSettings::default()
    }];
    let error = LocalAgent::start(local.clone()).await.unwrap_err().to_string();
    let expected =
        "the tool server `files` cannot be used: `/nonexistent/mcp-files` could not be started: ";
    assert!(error.starts_with(expected), "{error}");
    local.mcp[0].required = false;
    assert!(LocalAgent::start(local).await.unwrap().tools().is_empty());
}

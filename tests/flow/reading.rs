//! A text is read as its writer meant it: what stands in code, quotations and comments asks for nothing.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, IssueState};

use crate::world::{World, bug};

/// Ways to write a line so that the writer of the text does not say it.
fn unsaid(line: &str) -> Vec<String> {
    vec![
        format!("<!--\n{line}\n-->"),
        format!("<!-- left over\n\n{line}\n\n-->"),
        format!("For example:\n\n    {line}"),
        format!("\t{line}"),
        format!("````md\n```\n{line}\n```\n{line}\n````"),
        format!("~~~\n```\n{line}\n~~~"),
        format!("> {line}"),
        format!("> quoted\n>\n> {line}"),
        format!("- seen\n\n  ```\n  {line}\n  ```"),
        format!("- seen\n\n  > {line}"),
        format!("<div>\n{line}\n</div>"),
        format!("<pre>\n{line}\n\n{line}\n</pre>"),
        format!("Seen\r\n\r\n    {line}\r\n"),
    ]
}

fn with_text(text: &str) -> NewIssue {
    let base = "## Problem\nThe handler `login()` in src/auth/login.py should return 400. pytest must pass.";
    NewIssue { body: format!("{base}\n\n{text}\n"), ..bug() }
}

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches.last().unwrap().state
}

const MANY: &str = "[[agent]]\nid = \"claude\"\nmax_concurrent = 100\n";

#[tokio::test]
async fn a_task_that_nobody_wrote_as_one_reopens_nothing() {
    let world = World::with(&format!("[review]\nrequire = [\"tasks\"]\n{MANY}")).await;
    for text in unsaid("- [ ] add a test") {
        let issue = world.open_issue(with_text(&text));
        world.settle().await;
        world.assert_with_claude(&issue);
        world.gitea.close(&issue, "claude");
        world.settle().await;
        assert_eq!(world.issue(&issue).state, IssueState::Closed, "{text}");
        assert!(!world.comment(&issue).contains("add a test"), "{text}");
    }
    let shown =
        "<details>\n<summary>To do</summary>\n\n- [ ] add a test <!-- soon -->\n\n</details>";
    let issue = world.open_issue(with_text(shown));
    world.settle().await;
    assert!(world.comment(&issue).contains("add a test"));
    world.gitea.close(&issue, "claude");
    world.settle().await;
    assert_eq!(world.issue(&issue).state, IssueState::Open, "what can be opened is said");
    world.comments(&issue);
}

#[tokio::test]
async fn criteria_that_nobody_wrote_as_such_go_to_no_agent() {
    let world = World::with(MANY).await;
    for text in unsaid("## Acceptance criteria\n- a unicorn is added") {
        let issue = world.open_issue(with_text(&text));
        world.settle().await;
        assert!(!world.comment(&issue).contains("unicorn"), "{text}: {}", world.comment(&issue));
    }
}

#[tokio::test]
async fn a_command_that_its_commenter_does_not_give_is_none() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    let lazy =
        ["> as bob wrote\n/triage hold", "> - a list\n/triage hold", "- a\n  > b\n/triage hold"];
    let given = unsaid("/triage hold").into_iter().chain(lazy.map(str::to_owned));
    for text in given.chain(["- [ ] /triage hold".into(), "Say `/triage hold`".into()]) {
        world.gitea.comment(&issue, "alice", &text);
        world.settle().await;
        assert_eq!(state(&world, &issue).await, DispatchState::Assigned, "{text}");
    }
    world.gitea.comment(&issue, "alice", "> as bob wrote\n\n/triage hold");
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Failed);
}

#[tokio::test]
async fn a_blocker_in_a_comment_or_in_code_is_not_waited_for() {
    let world = World::with(MANY).await;
    let open = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    let closed = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    world.gitea.close(&closed, "alice");
    for text in unsaid(&format!("Blocked by #{}", open.number)) {
        let text = format!("Blocked by #{}\n\n{text}", closed.number);
        let issue = world.open_issue(with_text(&text));
        world.settle().await;
        assert_eq!(world.labels(&issue), ["claude-ready"], "{text}");
        world.comments(&issue);
    }
}

//! The built-in tools, each called once by a scripted model.

use gitea_triage::agents::local::{AgentAction, Note, SubIssue};
use gitea_triage::dispatch::AgentId;
use serde_json::{Value, json};

use crate::model::{Model, call, text};
use crate::outside::{World, task};

async fn result(world: &World, tool: &str, arguments: Value) -> String {
    let model = Model::says(vec![call(tool, arguments), text("ok")]).await;
    let run = model.agent(&[tool]).await.run(&task(), world).await;
    assert_eq!(run.error, "");
    let told = run.messages.iter().find(|m| m.role() == "tool").unwrap();
    told.content().to_owned()
}

#[tokio::test]
async fn reading_gives_texts_in_fences() {
    let mut world = World::new();
    world.file = Some("fn main() {}".into());
    let cases = [
        ("read_issue", json!({}), "An empty password makes it crash."),
        ("read_comments", json!({"number": 5}), "alice wrote:\nHappens to me too"),
        ("search_issues", json!({"words": "Login"}), "Login crashes"),
        ("read_file", json!({"path": "src/main.rs", "ref": "v1"}), "src/main.rs:\nfn main() {}"),
    ];
    for (tool, arguments, expected) in cases {
        let told = result(&world, tool, arguments).await;
        let (_, fenced) = told.split_once("[[untrusted ").unwrap();
        assert!(fenced.contains(expected), "{tool}: {told}");
    }
    assert!(world.actions().is_empty());
}

#[tokio::test]
async fn a_path_outside_the_repository_is_refused() {
    let world = World::new();
    for path in ["../secret", "/etc/passwd", "a/../../b", "", "a//b", "."] {
        let told = result(&world, "read_file", json!({"path": path})).await;
        assert!(told.ends_with("`path` is not a path inside the repository"), "{path}: {told}");
    }
}

#[tokio::test]
async fn writing_is_an_action_with_a_cleaned_text() {
    let cases = [
        ("comment", json!({"text": " A\u{200b}b<!-- x --> "}), AgentAction::Comment("Ab".into())),
        (
            "add_label",
            json!({"name": "needs\u{202e} info"}),
            AgentAction::Label("needs info".into()),
        ),
        (
            "propose_criteria",
            json!({"criteria": ["It returns 400\nalways", "A test shows it"]}),
            AgentAction::Criteria(vec!["It returns 400 always".into(), "A test shows it".into()]),
        ),
        (
            "plan_sub_issues",
            json!({"parts": [{"title": "Check", "body": "Check it"}]}),
            AgentAction::Split(vec![SubIssue { title: "Check".into(), body: "Check it".into() }]),
        ),
        ("delegate", json!({"agent": "kimi"}), AgentAction::Delegate(AgentId::new("kimi"))),
        (
            "jot_note",
            json!({"topic": " Build  Tool", "text": "make"}),
            AgentAction::SaveNote(Note { topic: "build tool".into(), text: "make".into() }),
        ),
    ];
    for (tool, arguments, expected) in cases {
        let world = World::new();
        assert_eq!(result(&world, tool, arguments).await, "done");
        assert_eq!(world.actions(), [expected]);
    }
}

#[tokio::test]
async fn what_is_empty_or_too_long_is_refused() {
    let many: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    let cases = [
        ("comment", json!({"text": "\u{200b}"}), "`text` is empty"),
        (
            "comment",
            json!({"text": "x".repeat(8_001)}),
            "`text` has 8001 characters; 8000 are taken",
        ),
        ("propose_criteria", json!({"criteria": []}), "`criteria` holds 0; 1 to 10 are taken"),
        ("propose_criteria", json!({"criteria": many}), "`criteria` holds 11; 1 to 10 are taken"),
        ("search_issues", json!({"words": " "}), "`words` is empty"),
    ];
    for (tool, arguments, expected) in cases {
        let world = World::new();
        let told = result(&world, tool, arguments).await;
        assert_eq!(told, format!("Error: the arguments of `{tool}` are wrong: {expected}"));
        assert!(world.actions().is_empty());
    }
}

#[tokio::test]
async fn one_run_may_not_write_without_end() {
    let lines = (0..14).map(|n| call("comment", json!({"text": format!("{n}")}))).collect();
    let model = Model::says(lines).await;
    let mut settings = model.settings(&["comment"]);
    settings.max_rounds = 14;
    let agent = gitea_triage::agents::local::LocalAgent::start(settings).await.unwrap();
    let world = World::new();
    let run = agent.run(&task(), &world).await;
    assert_eq!(world.actions().len(), 10);
    assert_eq!(
        run.tool_calls[10].result,
        "Error executing comment: a run may say or change something 10 times; that is used up"
    );
}

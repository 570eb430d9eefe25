//! One story for each way a run can go, with its exact result.

use std::time::Duration;

use gitea_triage::agents::local::{Allowance, LocalAgent, ModelApi, Run, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use crate::model::{Model, call, calls, settings, text};
use crate::outside::{World, task};

/// The run as it is printed, without how long it took.
#[track_caller]
fn ends_as(run: &Run, expected: Value) {
    let mut printed = serde_json::to_value(run).unwrap();
    let latency = printed.as_object_mut().unwrap().remove("latency_ms");
    assert!(latency.is_some_and(|ms| ms.is_u64()));
    assert_eq!(printed, expected);
}

async fn run(model: &Model, tools: &[&str]) -> Run {
    model.agent(tools).await.run(&task(), &World::new()).await
}

#[tokio::test]
async fn an_answer_at_once_is_one_round() {
    let model = Model::says(vec![text("It is a known bug.")]).await;
    let run = run(&model, &[]).await;
    ends_as(
        &run,
        json!({"content": "It is a known bug.", "tool_calls": [], "rounds": 1, "model": "llama3.1", "error": ""}),
    );
    let asked = model.asked().await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["stream"], false);
    assert_eq!(asked[0]["messages"].as_array().unwrap().len(), 2);
    assert!(asked[0].get("tools").is_none());
}

#[tokio::test]
async fn three_rounds_of_tools_are_carried_out_in_order() {
    let model = Model::says(vec![
        call("list_agents", json!({})),
        calls(&[
            ("jot_note", json!({"topic": "Login", "text": "see auth.py"})),
            ("recall_notes", json!({})),
        ]),
        call("comment", json!({"text": "Looks like `auth.py`."})),
        text("Noted and told."),
    ])
    .await;
    let world = World::new();
    let tools = ["list_agents", "jot_note", "recall_notes", "comment"];
    let run = model.agent(&tools).await.run(&task(), &world).await;
    let told = |at: usize| run.tool_calls[at].result.clone();
    ends_as(
        &run,
        json!({
            "content": "Noted and told.",
            "tool_calls": [
                {"round": 1, "tool": "list_agents", "arguments": {}, "result": "kimi: good at planning; 1 places free"},
                {"round": 2, "tool": "jot_note", "arguments": {"topic": "Login", "text": "see auth.py"}, "result": "done"},
                {"round": 2, "tool": "recall_notes", "arguments": {}, "result": told(2)},
                {"round": 3, "tool": "comment", "arguments": {"text": "Looks like `auth.py`."}, "result": "done"},
            ],
            "rounds": 4, "model": "llama3.1", "error": "",
        }),
    );
    assert!(told(2).contains("login: see auth.py"), "{}", told(2));
    assert_eq!(world.actions().len(), 2);
    let last = &model.asked().await[3]["messages"];
    let roles: Vec<_> =
        last.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    let expected =
        ["system", "user", "assistant", "tool", "assistant", "tool", "tool", "assistant", "tool"];
    assert_eq!(roles, expected);
    assert_eq!(run.messages.len(), 10);
    assert_eq!(run.tokens, 100);
}

#[tokio::test]
async fn an_unknown_tool_is_answered_once_and_then_ends_the_run() {
    let model = Model::says(vec![call("rm_rf", json!({"path": "/"}))]).await;
    let run = run(&model, &["list_agents"]).await;
    let record = |round: u32| {
        json!({"round": round, "tool": "rm_rf", "arguments": {"path": "/"},
            "result": "Error: unknown tool `rm_rf`; there are: list_agents"})
    };
    ends_as(
        &run,
        json!({
            "content": "", "tool_calls": [record(1), record(2)], "rounds": 2, "model": "llama3.1",
            "error": "the model repeats a mistake that it was told of: there is no tool `rm_rf`",
        }),
    );
}

#[tokio::test]
async fn bad_arguments_are_answered_and_can_be_mended() {
    let model = Model::says(vec![
        call("comment", json!({"txt": "hi"})),
        call("comment", json!("not json {")),
        call("comment", json!({"text": "hi"})),
        text("done"),
    ])
    .await;
    let world = World::new();
    let run = model.agent(&["comment"]).await.run(&task(), &world).await;
    let wrong = "Error: the arguments of `comment` are wrong: ";
    ends_as(
        &run,
        json!({
            "content": "done",
            "tool_calls": [
                {"round": 1, "tool": "comment", "arguments": {"txt": "hi"},
                    "result": format!("{wrong}unknown field `txt`, expected `text`")},
                {"round": 2, "tool": "comment", "arguments": "not json {",
                    "result": format!("{wrong}they are not a JSON object")},
                {"round": 3, "tool": "comment", "arguments": {"text": "hi"}, "result": "done"},
            ],
            "rounds": 4, "model": "llama3.1", "error": "",
        }),
    );
    assert_eq!(world.actions().len(), 1);
}

#[tokio::test]
async fn different_mistakes_are_capped() {
    let lines = (0..9).map(|n| call(&format!("tool_{n}"), json!({}))).collect();
    let run = run(&Model::says(lines).await, &["list_agents"]).await;
    assert_eq!(
        run.error,
        "the model made 6 different mistakes in its tool calls; it was told of each once"
    );
    assert_eq!((run.rounds, run.tool_calls.len()), (6, 6));
}

#[tokio::test]
async fn an_endless_loop_of_equal_calls_is_cut() {
    let model = Model::says(vec![call("list_agents", json!({}))]).await;
    let run = run(&model, &["list_agents"]).await;
    let result = "kimi: good at planning; 1 places free";
    let cut = "the model called `list_agents` with the same arguments 3 times; the loop was cut";
    let record = |round: u32, result: &str| json!({"round": round, "tool": "list_agents", "arguments": {}, "result": result});
    ends_as(
        &run,
        json!({
            "content": "",
            "tool_calls": [record(1, result), record(2, result), record(3, &format!("Error: {cut}"))],
            "rounds": 3, "model": "llama3.1", "error": cut,
        }),
    );
}

#[tokio::test]
async fn rounds_without_end_are_exceeded_with_what_was_done() {
    let lines = (1..=20).map(|n| call("read_issue", json!({"number": n}))).collect();
    let model = Model::says(lines).await;
    let mut settings = model.settings(&["read_issue"]);
    settings.max_rounds = 3;
    let run = LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await;
    let record = |n: u32| {
        json!({"round": n, "tool": "read_issue", "arguments": {"number": n},
            "result": format!("Error executing read_issue: there is no issue acme/widgets#{n}")})
    };
    ends_as(
        &run,
        json!({
            "content": "(max tool-call rounds reached)",
            "tool_calls": [record(1), record(2), record(3)], "rounds": 3, "model": "llama3.1",
            "error": "Exceeded maximum of 3 tool-call rounds",
        }),
    );
    assert_eq!(model.asked().await.len(), 3, "it is not asked once more");
}

#[tokio::test]
async fn a_refused_connection_is_told_as_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let agent = LocalAgent::start(settings(&format!("http://{address}"), &[])).await.unwrap();
    let run = agent.run(&task(), &World::new()).await;
    ends_as(
        &run,
        json!({
            "content": "", "tool_calls": [], "rounds": 0, "model": "llama3.1",
            "error": format!("Ollama connection failed: `{address}` refused the connection; see that it runs and the address is right"),
        }),
    );
}

#[tokio::test]
async fn an_error_status_is_told_by_its_number() {
    let broken = ResponseTemplate::new(500).set_body_string("llama runner process has terminated");
    let run = run(&Model::says(vec![broken]).await, &[]).await;
    ends_as(
        &run,
        json!({"content": "", "tool_calls": [], "rounds": 0, "model": "llama3.1", "error": "Ollama HTTP error: 500"}),
    );
}

#[tokio::test]
async fn a_failure_after_some_rounds_keeps_what_was_done() {
    let model = Model::says(vec![call("list_agents", json!({})), ResponseTemplate::new(503)]).await;
    let run = run(&model, &["list_agents"]).await;
    assert_eq!(run.error, "Ollama HTTP error: 503");
    assert_eq!((run.rounds, run.tool_calls.len()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let drip = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while socket.write_all(b" ").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut settings = settings(&format!("http://{address}"), &[]);
    settings.timeout = Duration::from_millis(300);
    let agent = LocalAgent::start(settings).await.unwrap();
    let run = agent.run(&task(), &World::new()).await;
    ends_as(
        &run,
        json!({
            "content": "", "tool_calls": [], "rounds": 0, "model": "llama3.1",
            "error": "Ollama timed out: no whole answer within 300ms; raise `local_agent.timeout` or take a smaller model",
        }),
    );
    assert!(run.latency_ms < 3_000, "{}", run.latency_ms);
    drip.abort();
}

#[tokio::test]
async fn garbage_is_a_protocol_error_that_quotes_nothing() {
    let hint = "see that `local_agent.url` and `local_agent.api` belong together";
    let cases = [
        ("<html>secret-in-a-page</html>", "the answer is not JSON (line 1, column 1)"),
        ("{\"message\": {\"content\": \"cut o", "the answer is not JSON (line 1, column 30)"),
        ("{\"done\": true}", "the answer has no `message`"),
        ("{\"message\": {\"tool_calls\": 7}}", "`tool_calls` is no list"),
    ];
    for (body, reason) in cases {
        let garbage = ResponseTemplate::new(200).set_body_string(body);
        let run = run(&Model::says(vec![garbage]).await, &[]).await;
        ends_as(
            &run,
            json!({
                "content": "", "tool_calls": [], "rounds": 0, "model": "llama3.1",
                "error": format!("Ollama protocol error: {reason}; {hint}"),
            }),
        );
    }
}

#[tokio::test]
async fn an_answer_too_long_to_hold_is_not_read_to_its_end() {
    let flood = ResponseTemplate::new(200).set_body_string("x".repeat(5 * 1024 * 1024));
    let run = run(&Model::says(vec![flood]).await, &[]).await;
    assert!(
        run.error.starts_with("Ollama protocol error: the answer is larger than 4194304 bytes"),
        "{}",
        run.error
    );
}

#[tokio::test]
async fn an_empty_reply_is_an_error() {
    for said in ["", " \n\t", "\u{200b}", "<think>nothing to say</think>\n"] {
        let run = run(&Model::says(vec![text(said)]).await, &[]).await;
        ends_as(
            &run,
            json!({
                "content": "", "tool_calls": [], "rounds": 1, "model": "llama3.1",
                "error": "the model gave an empty reply",
            }),
        );
    }
}

#[tokio::test]
async fn a_budget_that_is_used_up_ends_the_run_before_it_asks_again() {
    let lines = (1..=20).map(|n| call("read_issue", json!({"number": n}))).collect();
    let model = Model::says(lines).await;
    let agent = model.agent(&["read_issue"]).await;
    let mut task = task();
    task.allowance = Allowance { rounds: Some(2), tokens: None, time: None };
    let by_rounds = agent.run(&task, &World::new()).await;
    assert_eq!(
        (by_rounds.rounds, by_rounds.error.as_str()),
        (2, "the budget of rounds is used up")
    );
    task.allowance = Allowance { rounds: None, tokens: Some(40), time: None };
    let by_tokens = agent.run(&task, &World::new()).await;
    assert_eq!(
        (by_tokens.rounds, by_tokens.error.as_str()),
        (2, "the budget of tokens is used up")
    );
    task.allowance = Allowance { rounds: None, tokens: None, time: Some(Duration::ZERO) };
    let by_time = agent.run(&task, &World::new()).await;
    assert_eq!((by_time.rounds, by_time.error.as_str()), (0, "the budget of time is used up"));
}

#[tokio::test]
async fn an_issue_that_is_gone_asks_the_model_nothing() {
    let model = Model::says(vec![text("x")]).await;
    let mut task = task();
    task.at = "acme/widgets#6".parse().unwrap();
    let run = model.agent(&[]).await.run(&task, &World::new()).await;
    assert_eq!(run.error, "there is no issue `acme/widgets#6`");
    assert!(model.asked().await.is_empty());
}

#[tokio::test]
async fn temperature_and_context_reach_ollama() {
    let model = Model::says(vec![text("ok")]).await;
    let mut settings = model.settings(&["list_agents"]);
    (settings.temperature, settings.context) = (Some(20), Some(8192));
    LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await;
    let asked = &model.asked().await[0];
    assert_eq!(asked["options"], json!({"temperature": 0.2, "num_ctx": 8192}));
    assert_eq!(asked["tools"][0]["function"]["name"], "list_agents");
    assert_eq!(model.server.received_requests().await.unwrap()[0].url.path(), "/api/chat");
}

#[tokio::test]
async fn an_openai_compatible_endpoint_is_spoken_to_in_its_own_terms() {
    let completion = |message: Value| {
        ResponseTemplate::new(200).set_body_json(
            json!({"choices": [{"message": message}], "usage": {"total_tokens": 30}}),
        )
    };
    let wants = json!({"id": "call_9", "type": "function",
        "function": {"name": "comment", "arguments": "{\"text\": \"hi\"}"}});
    let model = Model::says(vec![
        completion(
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [wants]}),
        ),
        completion(json!({"role": "assistant", "content": "Done."})),
    ])
    .await;
    let mut settings = Settings::new(ModelApi::OpenAi, model.server.uri(), "gpt-oss");
    settings.tools = vec!["comment".into()];
    settings.api_key = Some("sk-local".into());
    let run = LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await;
    ends_as(
        &run,
        json!({
            "content": "Done.",
            "tool_calls": [{"round": 1, "tool": "comment", "arguments": {"text": "hi"}, "result": "done"}],
            "rounds": 2, "model": "gpt-oss", "error": "",
        }),
    );
    assert_eq!(run.tokens, 60);
    let requests = model.server.received_requests().await.unwrap();
    assert_eq!(requests[1].url.path(), "/v1/chat/completions");
    assert_eq!(requests[1].headers["authorization"], "Bearer sk-local");
    let messages = &model.asked().await[1]["messages"];
    assert_eq!(messages[2]["tool_calls"][0]["id"], "call_9");
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], "{\"text\":\"hi\"}");
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "call_9", "content": "done"}));
}

//! What a badly behaved server can do, and what comes of it.

use std::time::Duration;

use gitea_triage::agents::local::{LocalAgent, McpSettings, Permission, Run, Settings};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::Story;
use crate::model::{Model, call, settings, text};
use crate::outside::{World, task};

/// A story and its name.
pub type Named = (&'static str, fn() -> Story);

pub const ALL: &[Named] = &[
    ("tools_are_named_after_their_server_and_called", || Box::pin(named_and_called())),
    ("only_tools_that_are_named_are_there", || Box::pin(only_named())),
    ("the_environment_is_scrubbed", || Box::pin(scrubbed())),
    ("a_long_result_is_cut", || Box::pin(long())),
    ("a_flood_is_not_held_and_the_server_is_started_again", || Box::pin(flood())),
    ("noise_does_not_drown_an_answer", || Box::pin(noise())),
    ("one_that_dies_in_a_call_is_started_again", || Box::pin(dies())),
    ("one_that_dies_rests_before_it_is_started_again", || Box::pin(rests())),
    ("one_that_hangs_is_given_up_in_time", || Box::pin(hangs())),
    ("a_failure_is_told_in_a_fence", || Box::pin(refuses())),
    ("a_dry_run_calls_only_what_reads", || Box::pin(dry())),
    ("what_cannot_be_registered_is_named", || Box::pin(refused())),
    ("a_server_over_http_is_called_alike", || Box::pin(over_http())),
];

pub fn server(tools: &[&str]) -> McpSettings {
    McpSettings {
        name: "our.tools".into(),
        tools: tools.iter().map(ToString::to_string).collect(),
        timeout: Duration::from_secs(20),
        rest: Duration::ZERO,
        ..McpSettings::default()
    }
}

/// One that is started, and does `how` it is told.
fn scripted(how: &str, tools: &[&str]) -> McpSettings {
    let program = std::env::current_exe().unwrap().display().to_string();
    McpSettings { command: vec![program, "--serve-tools".into(), how.into()], ..server(tools) }
}

fn of_model(model: &Model, server: McpSettings) -> Settings {
    let mut settings = model.settings(&[]);
    settings.mcp = vec![server];
    settings
}

/// A run in which the model makes these calls, one after the other.
async fn run(server: McpSettings, calls: &[(&str, Value)]) -> Run {
    run_in(&World::new(), server, calls).await
}

async fn run_in(world: &World, server: McpSettings, calls: &[(&str, Value)]) -> Run {
    let mut lines: Vec<_> = calls.iter().map(|(name, a)| call(name, a.clone())).collect();
    lines.push(text("done"));
    let model = Model::says(lines).await;
    let agent = LocalAgent::start(of_model(&model, server)).await.unwrap();
    let run = agent.run(&task(), world).await;
    agent.stop().await;
    assert_eq!((run.error.as_str(), run.content.as_str()), ("", "done"));
    run
}

/// What the model was told by the calls, whole.
fn told(run: &Run) -> Vec<String> {
    let tools = run.messages.iter().filter(|m| m.role() == "tool");
    tools.map(|m| m.content().to_owned()).collect()
}

async fn named_and_called() {
    let echo = ("our_tools__echo", json!({"text": "hello <!-- x -->there"}));
    let run = run(scripted("well", &["echo"]), &[echo]).await;
    let told = &told(&run)[0];
    assert!(
        told.starts_with("[[untrusted ")
            && told.contains(": the tool's result]]\nhello there\n[[end "),
        "{told}"
    );
}

async fn only_named() {
    let model = Model::says(vec![text("x")]).await;
    let agent = LocalAgent::start(of_model(&model, scripted("well", &["pid", "echo"]))).await;
    let agent = agent.unwrap();
    assert_eq!(agent.tools(), ["our_tools__pid", "our_tools__echo"]);
    agent.run(&task(), &World::new()).await;
    let offered = &model.asked().await[0]["tools"];
    assert_eq!(offered.as_array().unwrap().len(), 2);
    assert_eq!(offered[0]["function"]["description"], "pid");
    agent.stop().await;
}

/// The test harness runs with many variables, `CARGO_MANIFEST_DIR` among them.
async fn scrubbed() {
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    let run = run(scripted("well", &["env"]), &[("our_tools__env", json!({}))]).await;
    let passed =
        ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    let told = &told(&run)[0];
    let names: Vec<_> =
        told.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"PATH"), "{told}");
    assert!(names.iter().all(|name| passed.contains(name)), "{names:?}");
}

async fn long() {
    let run = run(scripted("well", &["long"]), &[("our_tools__long", json!({}))]).await;
    let told = &told(&run)[0];
    assert!(told.contains("\n(cut here)"), "{}", &told[told.len() - 200..]);
    assert!(told.len() < 9_000, "{}", told.len());
}

async fn flood() {
    let calls = [("our_tools__flood", json!({})), ("our_tools__echo", json!({"text": "back"}))];
    let mut server = scripted("well", &["flood", "echo"]);
    server.timeout = Duration::from_secs(5);
    let told = told(&run(server, &calls).await);
    assert_eq!(told[0], "Error executing our_tools__flood: no answer within 5s");
    assert!(told[1].contains("\nback\n"), "{}", told[1]);
}

async fn noise() {
    let run = run(scripted("well", &["noise"]), &[("our_tools__noise", json!({}))]).await;
    assert!(told(&run)[0].contains("\nquiet again\n"));
}

async fn dies() {
    let pid = || ("our_tools__pid", json!({}));
    let calls = [pid(), ("our_tools__die", json!({})), pid()];
    let told = told(&run(scripted("well", &["pid", "die"]), &calls).await);
    assert_eq!(told[1], "Error executing our_tools__die: the tool server ended before it answered");
    let line = |at: usize| told[at].lines().nth(1).unwrap().to_owned();
    assert!(line(0).starts_with("pid ") && line(2).starts_with("pid "));
    assert_ne!(line(0), line(2), "it is another process");
}

async fn rests() {
    let calls = [("our_tools__die", json!({})), ("our_tools__echo", json!({"text": "x"}))];
    let mut server = scripted("well", &["die", "echo"]);
    server.rest = Duration::from_secs(120);
    let told = told(&run(server, &calls).await);
    let expected =
        "Error executing our_tools__echo: the tool server is down; it is tried again in 1";
    assert!(told[1].starts_with(expected), "{}", told[1]);
}

async fn hangs() {
    let calls = [("our_tools__hang", json!({})), ("our_tools__echo", json!({"text": "back"}))];
    let mut server = scripted("well", &["hang", "echo"]);
    server.timeout = Duration::from_secs(5);
    let told = told(&run(server, &calls).await);
    assert_eq!(told[0], "Error executing our_tools__hang: no answer within 5s");
    assert!(told[1].contains("\nback\n"), "{}", told[1]);
}

async fn refuses() {
    let run = run(scripted("well", &["refuse"]), &[("our_tools__refuse", json!({}))]).await;
    assert!(told(&run)[0].contains(": the tool failed and said]]\nno such thing\n[[end "));
}

async fn dry() {
    let calls = [("our_tools__pid", json!({})), ("our_tools__echo", json!({"text": "read"}))];
    let world = World { dry_run: true, ..World::new() };
    let run = run_in(&world, scripted("well", &["pid", "echo"]), &calls).await;
    let told = told(&run);
    assert_eq!(told[0], "not called: this is a dry run, and the tool may change something");
    assert!(told[1].contains("\nread\n"));
}

async fn refused() {
    let start = async |how: &str, tools: &[&str], most: Permission| {
        let mut settings = settings("http://127.0.0.1:1", &[]);
        let mut server = scripted(how, tools);
        // What does not answer is waited for; the others only have to start.
        let patience = if how == "silent" { 2 } else { 20 };
        server.timeout = Duration::from_secs(patience);
        settings.mcp = vec![server];
        settings.permission = most;
        LocalAgent::start(settings).await.unwrap_err().to_string()
    };
    let tool = |name: &str| format!("the tool `our_tools__{name}` cannot be registered: ");
    assert_eq!(
        start("twins", &["echo"], Permission::Write).await,
        tool("echo") + "the server `our.tools` has two of this name"
    );
    assert_eq!(
        start("well", &["echo", "echo"], Permission::Write).await,
        tool("echo") + "there are two of this name"
    );
    assert_eq!(
        start("bad-schema", &["echo"], Permission::Write).await,
        tool("echo") + "its schema has the unknown type `\"words\"` at `/text`"
    );
    let missing = start("well", &["eco"], Permission::Write).await;
    assert!(
        missing.starts_with(
            &(tool("eco") + "the server `our.tools` has no tool `eco`; it has echo, pid")
        ),
        "{missing}"
    );
    let strong = start("well", &["pid"], Permission::Read).await;
    assert!(strong.starts_with(&(tool("pid") + "it needs the permission `write`")), "{strong}");
    let silent = start("silent", &["echo"], Permission::Write).await;
    assert_eq!(silent, "the tool server `our.tools` cannot be used: no answer within 2s");
    let garbage = start("garbage", &["echo"], Permission::Write).await;
    assert!(garbage.starts_with("the tool server `our.tools` cannot be used: `"), "{garbage}");
    assert!(!garbage.contains("html"), "{garbage}");
}

async fn over_http() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let result = match body["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-03-26", "capabilities": {"tools": {}},
                "serverInfo": {"name": "h", "version": "1"},
            }),
            Some("tools/list") => {
                json!({"tools": [{"name": "time", "inputSchema": {"type": "object"}}]})
            }
            Some("tools/call") => json!({"content": [{"type": "text", "text": "noon"}]}),
            _ => return ResponseTemplate::new(202),
        };
        ResponseTemplate::new(200)
            .set_body_json(json!({"jsonrpc": "2.0", "id": body["id"], "result": result}))
    };
    Mock::given(method("POST")).respond_with(answer).mount(&http).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(405)).mount(&http).await;
    let server = McpSettings { url: Some(format!("{}/mcp", http.uri())), ..server(&["time"]) };
    let run = run(server, &[("our_tools__time", json!({}))]).await;
    assert!(told(&run)[0].contains("\nnoon\n"), "{:?}", told(&run));
}

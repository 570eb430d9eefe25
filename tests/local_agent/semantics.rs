//! What the program before this one (`MCPBridge.run`) did, and what this one does.
//!
//! | case | content | calls | rounds | error | there | here |
//! |---|---|---|---|---|---|---|
//! | answer without a call | the answer | none | 1 | empty | ✓ | same |
//! | n rounds of calls, then an answer | the answer | all, in order | n + 1 | empty | ✓ | same |
//! | calls in every round | `(max tool-call rounds reached)` | all | the maximum | `Exceeded maximum of <n> tool-call rounds` | ✓ | same |
//! | no connection | empty | – | 0 | `Ollama connection failed: …` | ✓ | same |
//! | error status | empty | – | 0 | `Ollama HTTP error: <status>` | ✓ | same |
//! | failure after k answers | empty | forgotten there | k | as its kind | 0, none | k, with its calls |
//! | anything else | empty | – | – | its text | ✓ | its kind and text |
//! | system prompt, if any, then the prompt | | | | | ✓ | same |
//! | each call answered by `{"role": "tool", "content": …}`, in order | | | | | ✓ | same, with `tool_name` |
//! | result cut at 500 characters in the record only | | | | | ✓ | same |
//! | a tool that fails | `Error executing <name>: …` to the model, and on | | | | ✓ | same |
//! | a call without a name | recorded as `unknown` | | | | ✓ | same |
//! | empty answer | empty | | 1 | empty there | no error | `the model gave an empty reply` |

use serde_json::json;
use wiremock::ResponseTemplate;

use crate::model::{Model, call, text};
use crate::outside::{World, task};

#[tokio::test]
async fn the_model_gets_the_whole_result_and_the_record_its_first_500_characters() {
    let model = Model::says(vec![call("read_file", json!({"path": "a.txt"})), text("ok")]).await;
    let mut world = World::new();
    world.file = Some("é".repeat(3_000));
    let run = model.agent(&["read_file"]).await.run(&task(), &world).await;
    assert_eq!(run.tool_calls[0].result.chars().count(), 500);
    let told = model.asked().await[1]["messages"][3]["content"].as_str().unwrap().to_owned();
    assert!(told.contains(&"é".repeat(3_000)));
    assert!(told.starts_with(&run.tool_calls[0].result));
}

#[tokio::test]
async fn the_models_own_message_goes_back_as_it_came() {
    let message = json!({"role": "assistant", "content": "let me look", "thinking": "hm",
        "tool_calls": [{"function": {"name": "list_agents", "arguments": {}}}]});
    let first = ResponseTemplate::new(200).set_body_json(json!({"message": message}));
    let model = Model::says(vec![first, text("ok")]).await;
    model.agent(&["list_agents"]).await.run(&task(), &World::new()).await;
    let messages = model.asked().await[1]["messages"].clone();
    assert_eq!(messages[2], message);
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_name": "list_agents", "content": "kimi: good at planning; 1 places free"})
    );
}

#[tokio::test]
async fn a_call_without_a_name_is_one_of_unknown() {
    let nameless = json!({"message": {"tool_calls": [{"function": {}}]}});
    let first = ResponseTemplate::new(200).set_body_json(nameless);
    let model = Model::says(vec![first, text("ok")]).await;
    let run = model.agent(&[]).await.run(&task(), &World::new()).await;
    assert_eq!(
        (run.tool_calls[0].tool.as_str(), &run.tool_calls[0].arguments),
        ("unknown", &json!({}))
    );
    assert_eq!(run.content, "ok");
}

#[tokio::test]
async fn rules_come_first_and_the_request_second_once() {
    let model = Model::says(vec![call("list_agents", json!({})), text("ok")]).await;
    let mut task = task();
    task.prompt = Some("Say what is wrong.".into());
    let run = model.agent(&["list_agents"]).await.run(&task, &World::new()).await;
    let roles: Vec<_> = run.messages.iter().map(|m| m.role()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant"]);
    let request = run.messages[1].content();
    assert!(
        request
            .starts_with("Say what is wrong.\n\nThe issue is acme/widgets#5, open.\n[[untrusted "),
        "{request}"
    );
    assert!(request.contains("An empty password makes it crash."));
}

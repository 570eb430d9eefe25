//! The pages of runners and of a run.

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::browsing::{Browser, TOKEN};
use crate::service::World;

const RUNNER: &str = "token-of-the-runner";

async fn post(world: &World, path: &str, body: Value) -> Value {
    let url = format!("http://{}/runner/v1/{path}", world.service.address());
    let request = reqwest::Client::new().post(url).bearer_auth(RUNNER).body(body.to_string());
    serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_run_has_a_page_with_its_log_and_what_it_used_and_can_be_cancelled() {
    let digest = hex::encode(sha2::Sha256::digest(RUNNER));
    let world = World::with(&format!(
        "[dashboard]\ntoken = '{TOKEN}'\n[[agent]]\nid = 'claude'\ninterface = 'runner'\nlabel = ''\nlogin = ''\n\
         [[runner]]\nname = 'builder'\ntoken_sha256 = '{digest}'\nagents = ['claude']\n\
         [[runs.budget]]\nper = 'dispatch'\ntokens = 1400\n[[runs.budget]]\nper = 'day'\nmoney = 3\n[[runs.budget]]\nper = 'repository'\ntokens = 1000000\n"
    ))
    .await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/runners").await.has("No runner has called yet").has("No issue was given");
    world.open("acme/widgets");
    world.settle(10).await;
    let hello = json!({"protocol": 1, "version": "9.9.9", "agents": ["claude"], "places": 3});
    post(&world, "register", hello).await;
    let waiting = admin.get("/runners").await;
    waiting.has("builder").has("chip-alive").has("9.9.9").has("chip-waiting").has("/runs/1");
    let taken =
        post(&world, "take", json!({"request": "r", "agents": ["claude"], "wait_s": 0})).await;
    assert_eq!(taken["epoch"], 1);
    let beat = json!({"epoch": 1, "event": "tool", "detail": "<b>test</b>", "usage": {"tokens": 1234, "cost": null}});
    post(&world, "runs/1/heartbeat", beat).await;
    let log = json!({"epoch": 1, "offset": 0, "text": "<script>\u{1b}[31m\u{202e}ok\n"});
    post(&world, "runs/1/log", log).await;
    let page = admin.get("/runs/1").await;
    page.has("1234 tokens").has("money unknown").has("tool: ").has("&lt;b&gt;test").has("builder");
    page.has("1234 of the 1400 tokens per dispatch used, 88 %").has("nearly used up");
    page.has("0.00 of the 3.00 of money per day used, 0 %");
    let runners = admin.get("/runners").await;
    runners.has("1400 tokens per dispatch").has("see its runs").has("3.00 money per day");
    runners
        .has("acme/widgets today")
        .has("1234, 0 %")
        .has("Used in the last seven days")
        .has("unknown");
    page.has("&#60;script&#62;[31mok").has("triage/1-").has("chip-leased").has_not("<script>[31m");
    for nowhere in ["/runs/99", "/runs/x", "/runs/-1"] {
        assert_eq!(admin.get(nowhere).await.status, 404, "{nowhere}");
    }
    let answer = admin
        .post(
            "/issues/acme/widgets/1/orders",
            &[("order", "hold"), ("reason", "run 1 was cancelled")],
        )
        .await;
    assert_eq!(answer.status, 303);
    world.settle(10).await;
    let lease = post(&world, "runs/1/heartbeat", json!({"epoch": 1, "usage": {}})).await;
    assert!(lease["cancel"].as_str().unwrap().contains("run 1 was cancelled"), "{lease}");
}

//! `/metrics`, `/healthz` and `/readyz` from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::FaultKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use service::World;

/// What `promtool check metrics` complains about; `None` when there is no `promtool`.
fn promtool(text: &str) -> Option<String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A series without its labels and its value.
fn name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap()
}

/// The name under which a series' HELP and TYPE stand.
fn family(name: &str, types: &BTreeMap<&str, &str>) -> String {
    let stems = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
    let histogram = stems.into_iter().find(|stem| types.get(stem) == Some(&"histogram"));
    histogram.unwrap_or(name).to_owned()
}

/// The rules of `promtool check metrics`, as far as they concern us, for where it is not installed.
fn check(text: &str) {
    assert!(text.ends_with('\n'));
    let mut types = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, help] => assert!(helped.insert(name) && !help.is_empty(), "{line}"),
            ["#", "TYPE", name, kind] => {
                assert!(helped.contains(name), "HELP comes before TYPE: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(types.insert(name, kind).is_none(), "{line}");
            }
            _ => {
                let (key, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(series.insert(key), "twice: {line}");
                let family = family(name(line), &types);
                assert!(types.contains_key(family.as_str()), "no TYPE: {line}");
            }
        }
    }
    for (name, kind) in types {
        let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(is_word), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        let abbreviated = ["_ms", "_millis", "_sec", "_secs", "_kb", "_minutes"];
        assert!(!abbreviated.iter().any(|unit| name.ends_with(unit)), "{name}: no base unit");
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name} has no unit");
    }
}

#[tokio::test]
async fn what_can_be_counted_is_there_from_the_start() {
    let world = World::start().await;
    let text = world.metrics().await;
    for kind in ["comment", "label", "assignee", "unlabel", "reaction", "hand_off"] {
        let series = format!("gitea_triage_effects_total{{kind=\"{kind}\",result=\"done\"}} 0");
        assert!(text.contains(&series), "{series}");
    }
}

#[tokio::test]
async fn the_page_is_what_prometheus_expects() {
    let world = World::start().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let (status, kind, text) = world.get("/metrics", "*/*").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    check(&text);
    if let Some(complaints) = promtool(&text) {
        assert_eq!(complaints, "", "promtool");
    }
    let (_, kind, text) = world.get("/metrics", "application/openmetrics-text;version=1.0.0").await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with("# EOF\n"));
    for name in ["process_start_time_seconds", "gitea_triage_build_info{version="] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} in\n{text}");
    }
}

#[tokio::test]
async fn figures_move_with_deliveries() {
    let world = World::start().await;
    let answers = |answer| format!("gitea_triage_deliveries_total{{answer=\"{answer}\"}}");
    assert_eq!(world.figure(&answers("accepted")).await, 0.0);

    let at = world.open("acme/widgets");
    world.gitea.delivered().await;
    let sent = world.gitea.deliveries();
    assert_eq!(world.figure(&answers("accepted")).await, sent.len() as f64);
    assert_eq!(world.figure("gitea_triage_accept_duration_seconds_count").await, sent.len() as f64);
    assert_eq!(world.figure("gitea_triage_inbox_deliveries{state=\"received\"}").await, 1.0);
    world.advance(90);
    assert_eq!(world.figure("gitea_triage_inbox_oldest_age_seconds").await, 90.0);

    let used = "gitea_triage_webhook_secret_last_used_time_seconds{secret=\"1\"}";
    assert_eq!(world.figure(used).await, (world.clock.now().timestamp() - 90) as f64);

    assert_eq!(world.post(&[], b"{}".to_vec()).await, 401);
    assert_eq!(world.figure(&answers("signature_missing")).await, 1.0);
    assert_eq!(world.post(&[("x-gitea-signature", "00")], b"{}".to_vec()).await, 401);
    assert_eq!(world.figure(&answers("signature_malformed")).await, 1.0);
    assert_eq!(world.post(&[], vec![b' '; 70_000]).await, 413);
    assert_eq!(world.figure(&answers("too_large")).await, 1.0);

    world.settle(10).await;
    let figures = [
        ("gitea_triage_evaluations_total{action=\"dispatch\"}", 1.0),
        ("gitea_triage_effects_total{kind=\"comment\",result=\"done\"}", 1.0),
        ("gitea_triage_effects_total{kind=\"label\",result=\"done\"}", 1.0),
        ("gitea_triage_inbox_deliveries{state=\"received\"}", 0.0),
        ("gitea_triage_inbox_oldest_age_seconds", 0.0),
        ("gitea_triage_lanes{state=\"busy\"}", 0.0),
        ("gitea_triage_dead_letters", 0.0),
        ("gitea_triage_missed_events_total", 0.0),
        ("gitea_triage_store_up", 1.0),
        ("gitea_triage_replicas", 1.0),
        ("gitea_triage_replica_leads", 1.0),
    ];
    for (series, expected) in figures {
        let text = world.metrics().await;
        assert!(text.contains(&format!("\n{series} ")), "{series} in\n{text}");
        assert_eq!(world.figure(series).await, expected, "{series}");
    }
    let writes = world.figure("gitea_triage_gitea_requests_total{method=\"POST\",outcome=\"2xx\"}");
    assert!(writes.await >= 2.0);

    world.fail("acme/widgets", FaultKind::Status(403));
    world.gitea.edit_issue(&at, "alice", None, Some("other words"));
    world.settle(10).await;
    let refused = "gitea_triage_gitea_requests_total{method=\"GET\",outcome=\"4xx\"}";
    assert_eq!(world.figure(refused).await, 1.0);
    assert_eq!(world.figure("gitea_triage_dead_letters").await, 1.0);
}

#[tokio::test]
async fn runners_and_what_their_agents_use_are_counted_and_unknown_is_absent() {
    let token = "token-of-the-runner";
    let digest = hex::encode(Sha256::digest(token));
    let world = World::with(&format!(
        "[[agent]]\nid = 'claude'\ninterface = 'runner'\nlabel = ''\nlogin = ''\n\
         [[runner]]\nname = 'builder'\ntoken_sha256 = '{digest}'\nagents = ['claude']\n"
    ))
    .await;
    let post = async |path: &str, body: Value| {
        let url = format!("http://{}/runner/v1/{path}", world.service.address());
        let request = reqwest::Client::new().post(url).bearer_auth(token).body(body.to_string());
        assert!(request.send().await.unwrap().status().is_success(), "{path}");
    };
    world.open("acme/widgets");
    world.settle(10).await;
    world.advance(40);
    assert_eq!(world.figure("gitea_triage_runs_oldest_wait_seconds").await, 40.0);
    assert_eq!(world.figure("gitea_triage_runners{state=\"alive\"}").await, 0.0);
    post("register", json!({"protocol": 1, "version": "1", "agents": ["claude"], "places": 3}))
        .await;
    post("take", json!({"request": "r", "agents": ["claude"], "wait_s": 0})).await;
    let beat =
        |tokens: u64, cost: Value| json!({"epoch": 1, "usage": {"tokens": tokens, "cost": cost}});
    post("runs/1/heartbeat", beat(1200, Value::Null)).await;
    let text = world.metrics().await;
    check(&text);
    assert!(!text.contains("agent_money"), "nobody said anything about money\n{text}");
    post("runs/1/heartbeat", beat(1500, json!(0.75))).await;
    let text = world.metrics().await;
    check(&text);
    if let Some(complaints) = promtool(&text) {
        assert_eq!(complaints, "", "promtool");
    }
    for (series, expected) in [
        ("gitea_triage_agent_tokens_total{agent=\"claude\"}", 1500.0),
        ("gitea_triage_agent_money_total{agent=\"claude\"}", 0.75),
        ("gitea_triage_runs_oldest_wait_seconds", 0.0),
        ("gitea_triage_runners{state=\"alive\"}", 1.0),
        ("gitea_triage_runner_places{state=\"busy\"}", 1.0),
        ("gitea_triage_runner_places{state=\"free\"}", 2.0),
    ] {
        assert_eq!(world.figure(series).await, expected, "{series}");
    }
    // What the agent says itself may be less than what was estimated; a counter never falls.
    post("runs/1/heartbeat", beat(1500, json!(0.5))).await;
    assert_eq!(world.figure("gitea_triage_agent_money_total{agent=\"claude\"}").await, 0.75);
    world.advance(200);
    assert_eq!(world.figure("gitea_triage_runners{state=\"silent\"}").await, 1.0);
    assert_eq!(world.figure("gitea_triage_runner_places{state=\"free\"}").await, 0.0);
}

#[tokio::test]
async fn what_agents_have_and_did_is_counted_by_agent() {
    let world = World::start().await;
    let first = world.open("acme/widgets");
    world.open("acme/widgets");
    world.settle(10).await;
    let of_claude =
        |name: &str, more: &str| format!("gitea_triage_dispatches{name}{{agent=\"claude\"{more}}}");
    world.advance(60);
    assert_eq!(world.figure(&of_claude("", ",state=\"open\"")).await, 1.0);
    assert_eq!(world.figure(&of_claude("", ",state=\"waiting\"")).await, 1.0);
    assert_eq!(world.figure(&of_claude("_oldest_wait_seconds", "")).await, 60.0);
    assert!(!world.metrics().await.contains("dispatches_median_seconds{"), "none was completed");
    world.gitea.close(&first, "claude");
    world.settle(10).await;
    assert_eq!(world.figure(&of_claude("_ended_total", ",outcome=\"completed\"")).await, 1.0);
    assert_eq!(world.figure(&of_claude("_median_seconds", "")).await, 60.0);
    assert_eq!(world.figure(&of_claude("", ",state=\"waiting\"")).await, 0.0);
    check(&world.metrics().await);
}

#[tokio::test]
async fn two_services_in_one_process_do_not_count_for_each_other() {
    let (one, other) = (World::start().await, World::start().await);
    one.open("acme/widgets");
    one.settle(10).await;
    assert_eq!(one.figure("gitea_triage_evaluations_total{action=\"dispatch\"}").await, 1.0);
    assert_eq!(other.figure("gitea_triage_evaluations_total{action=\"dispatch\"}").await, 0.0);
}

#[tokio::test]
async fn no_word_from_outside_becomes_a_label() {
    let world = World::start().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let text = world.metrics().await;
    // The names of agents are words of the configuration.
    for word in ["acme", "widgets", "alice", "Login", world.gitea.token()] {
        assert!(!text.contains(word), "`{word}` in\n{text}");
    }
}

async fn ready(world: &World) -> (u16, Value) {
    let (status, _, text) = world.get("/readyz", "*/*").await;
    (status, serde_json::from_str(&text).unwrap())
}

/// Asks until the answer has this status; the last answer.
async fn until(world: &World, status: u16) -> Value {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let (now, report) = ready(world).await;
        if now == status {
            return report;
        }
        assert!(Instant::now() < limit, "{status} did not come: {report}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn readiness_follows_gitea_and_names_it() {
    let world = World::start().await;
    assert_eq!(ready(&world).await.0, 200);
    world.fail("version", FaultKind::Status(401));
    let report = until(&world, 503).await;
    assert_eq!((&report["status"], &report["store"]), (&"not ready".into(), &"ok".into()));
    assert!(report["gitea"].as_str().unwrap().contains("gitea.token_file"), "{report}");
    assert!(!report.to_string().contains(world.gitea.token()));
    world.gitea.clear_faults();
    until(&world, 200).await;
}

/// How soon it is told that something does not answer, that the program is alive, and that all is well again: the goals,
/// and what a build without optimisation keeps on a machine that does other things as well.
const TOLD_WITHIN: Duration = Duration::from_millis(2_500);
const TOLD_WITHIN_UNOPTIMISED: Duration = Duration::from_secs(10);
const ALIVE_WITHIN: Duration = Duration::from_millis(500);
const WELL_WITHIN: Duration = Duration::from_secs(5);
const WELL_WITHIN_UNOPTIMISED: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gitea_that_hangs_piles_no_questions_up() {
    let world = World::start().await;
    world.fail("version", FaultKind::Hang(Duration::from_secs(30)));
    let started = Instant::now();
    let asked = (0..50).map(|_| ready(&world));
    for (status, report) in futures_util::future::join_all(asked).await {
        assert_eq!(status, 503, "{report}");
    }
    let limit = if cfg!(debug_assertions) { TOLD_WITHIN_UNOPTIMISED } else { TOLD_WITHIN };
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
    let calls = world.gitea.requests().iter().filter(|r| r.path.ends_with("version")).count();
    assert!(calls <= 2, "{calls} calls for 50 questions");
    world.gitea.clear_faults();
    until(&world, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_store_makes_unready_but_not_dead() {
    let world = World::start().await;
    let other = database::Held::of(&world.folder.path().join("world.db"));
    let started = Instant::now();
    let (status, report) = ready(&world).await;
    let limit = if cfg!(debug_assertions) { TOLD_WITHIN_UNOPTIMISED } else { TOLD_WITHIN };
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
    assert_eq!((status, &report["gitea"]), (503, &"ok".into()), "{report}");
    assert_ne!(report["store"], "ok");
    let mut fastest = Duration::MAX;
    // Whatever waits for the store does so each time; what the machine is busy with slows only some.
    for _ in 0..5 {
        let started = Instant::now();
        assert_eq!(world.get("/healthz", "*/*").await.0, 200);
        assert_eq!(world.get("/metrics", "*/*").await.0, 200);
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < ALIVE_WITHIN, "{fastest:?}");
    drop(other);
    let started = Instant::now();
    until(&world, 200).await;
    let limit = if cfg!(debug_assertions) { WELL_WITHIN_UNOPTIMISED } else { WELL_WITHIN };
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}

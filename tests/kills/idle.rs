//! What runners cost the service: 200 that wait, and 50 that work. The goals are those of a release; a build without
//! optimisation has limits of its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::stage::{Stage, agent, is_release, pause, scale, token};

const WAITING: usize = 200;
const WORKING: usize = 50;
/// The longest that a question waits, in seconds.
const LONGEST: usize = 50;

async fn call(http: &reqwest::Client, url: &str, body: Value) -> (u16, Value) {
    let request = http.post(url).bearer_auth(token("one")).body(body.to_string());
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

/// Asks for work again and again, as a runner does that gets none. The first question waits less long than the others:
/// runners are not started all at once.
async fn wait_for_work(port: u16, name: String, first: usize) {
    let http = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/runner/v1");
    let hello = json!({"protocol": 1, "version": "0.1.0", "agents": ["claude"], "places": 1});
    let request = http.post(format!("{url}/register")).bearer_auth(token(&name));
    assert!(request.body(hello.to_string()).send().await.unwrap().status().is_success());
    let (url, mut wait) = (format!("{url}/take"), first);
    for n in 0.. {
        let body = json!({"request": format!("{name}-{n}"), "agents": ["claude"], "wait_s": wait});
        let request = http.post(&url).bearer_auth(token(&name)).body(body.to_string());
        assert_eq!(request.send().await.unwrap().status().as_u16(), 204);
        wait = LONGEST;
    }
}

/// The processor time that a process has used so far, in seconds; a tick is 10 ms on every Linux.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = stat.rsplit(") ").next().unwrap();
    let ticks = after.split(' ').skip(11).take(2).map(|n| n.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// The memory that a process has in use, in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_runners_that_wait_cost_the_service_next_to_nothing() {
    let names: Vec<_> = (0..WAITING).map(|n| format!("runner-{n}")).collect();
    let stage = Stage::with(&names, &agent(5, 60)).await;
    let service = stage.serve().await;
    let mut dice = Dice(7);
    let all: Vec<_> = names
        .into_iter()
        .map(|name| tokio::spawn(wait_for_work(stage.port, name, 1 + dice.below(LONGEST))))
        .collect();
    let seen = || stage.count("SELECT count(*) FROM runner") as usize;
    stage.wait_for(|| (seen() < WAITING).then(|| format!("{} runners wait", seen()))).await;
    let (pid, window) = (service.child.id(), Duration::from_secs(scale(10, 60)));
    let (before, began) = (used(pid), Instant::now());
    tokio::time::sleep(window).await;
    let percent = (used(pid) - before) / began.elapsed().as_secs_f64() * 100.0;
    let limit = if is_release() { 1.0 } else { 8.0 };
    println!(
        "{WAITING} runners wait: {percent:.2} % of a core over {window:?}, {:.1} MiB",
        resident(pid)
    );
    assert!(all.iter().all(|one| !one.is_finished()), "one got no answer, or another one");
    assert!(percent <= limit, "{percent} % of a core");
    all.into_iter().for_each(|one| one.abort());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_runs_that_go_on_fit_into_little_memory() {
    let stage = Stage::with(&["one".to_owned()], &agent(WORKING, 600)).await;
    let service = stage.serve().await;
    (1..=WORKING).for_each(|number| drop(stage.open_issue(number)));
    let url = format!("http://127.0.0.1:{}/runner/v1", stage.port);
    let (http, mut runs) = (reqwest::Client::new(), Vec::new());
    for n in 0..WORKING {
        let body = json!({"request": format!("r{n}"), "agents": ["claude"], "wait_s": LONGEST});
        let (status, run) = call(&http, &format!("{url}/take"), body).await;
        assert_eq!(status, 200, "{run}");
        runs.push(run);
    }
    // Each is heard of and sends its log, round after round.
    let text = "0123456789abcdef ".repeat(1900) + "\n";
    for round in 0..scale(3, 20) {
        for run in &runs {
            let path = format!("{url}/runs/{}", run["run"]);
            let usage = json!({"tokens": 1000 * round, "cost": 0.1});
            let beat = json!({"epoch": run["epoch"], "event": "tool", "detail": "cargo test", "usage": usage});
            assert_eq!(call(&http, &format!("{path}/heartbeat"), beat).await.0, 200);
            let log = json!({"epoch": run["epoch"], "offset": round * text.len(), "text": text});
            assert_eq!(call(&http, &format!("{path}/log"), log).await.0, 200);
        }
    }
    let begun = "SELECT count(*) FROM dispatch WHERE state = 'in_progress'";
    let is_begun = || stage.count(begun) as usize;
    stage.wait_for(|| (is_begun() < WORKING).then(|| format!("{} work", is_begun()))).await;
    pause(1000).await;
    let mebibytes = resident(service.child.id());
    println!("{WORKING} runs go on: {mebibytes:.1} MiB");
    let limit = if is_release() { 40.0 } else { 160.0 };
    assert!(mebibytes <= limit, "{mebibytes} MiB");
}

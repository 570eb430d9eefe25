//! Thousands of deliveries at once: each is answered in time, and what was accepted is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;

use crate::program::{Limit, SECRET, Stage, push_payload, scale, sign};

const CONNECTIONS: usize = 256;
/// Gitea gives up after five seconds.
const GITEA_WAITS: Limit = Limit::millis(5_000, 20_000);

/// Sends a burst; the status of each delivery by its id, and the slowest answer.
async fn burst(url: String, count: usize) -> (BTreeMap<String, u16>, Duration) {
    let next = Arc::new(AtomicUsize::new(0));
    let http = Client::builder().timeout(GITEA_WAITS.debug * 2).build().unwrap();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, http, url) = (Arc::clone(&next), http.clone(), url.clone());
        senders.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= count {
                    return answers;
                }
                let (id, body) =
                    (uuid::Uuid::new_v4().simple().to_string(), push_payload(number, 8_000));
                let began = Instant::now();
                let request = http
                    .post(&url)
                    .header("Content-Type", "application/json")
                    .header("X-Gitea-Delivery", &id)
                    .header("X-Gitea-Signature", sign(SECRET, &body))
                    .body(body);
                let answer = request.send().await.unwrap();
                answers.push((id, answer.status().as_u16(), began.elapsed()));
            }
        });
    }
    let mut statuses = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for (id, status, took) in senders.join_all().await.into_iter().flatten() {
        slowest = slowest.max(took);
        statuses.insert(id, status);
    }
    (statuses, slowest)
}

/// Every accepted delivery is in the inbox with an end, and no refused one is.
fn check(stage: &Stage, statuses: &BTreeMap<String, u16>) -> (usize, usize) {
    let database = stage.database();
    let mut rows = database.prepare("SELECT lower(hex(id)), state FROM delivery").unwrap();
    let rows = rows.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)));
    let stored: BTreeMap<_, _> = rows.unwrap().map(Result::unwrap).collect();
    for (id, status) in statuses {
        match status {
            202 => assert_eq!(stored.get(id).map(String::as_str), Some("ignored"), "{id} is lost"),
            503 => assert!(!stored.contains_key(id), "{id} was refused and yet stored"),
            other => panic!("{id} was answered {other}"),
        }
    }
    let accepted = statuses.values().filter(|s| **s == 202).count();
    (accepted, statuses.len() - accepted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_over_256_connections_is_answered_in_time_and_kept() {
    let stage = Stage::new().await;
    let program = stage.start();
    let (statuses, slowest) = burst(program.url("/webhook"), scale(1_000, 5_000)).await;
    stage.processed().await;
    let (accepted, refused) = check(&stage, &statuses);
    println!("{accepted} accepted, {refused} refused, the slowest after {slowest:?}");
    assert!(slowest < GITEA_WAITS.here(), "{slowest:?}");
    assert!(accepted > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_the_queue_is_refused_before_it_is_stored() {
    let stage = Stage::with("[worker]\nconcurrency = 1\n").await;
    stage.command();
    let path = stage.path("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("[webhook]\n", "[webhook]\nqueue = 1\n")).unwrap();
    let program = stage.start();
    let (statuses, slowest) = burst(program.url("/webhook"), scale(600, 5_000)).await;
    stage.processed().await;
    let (accepted, refused) = check(&stage, &statuses);
    println!("{accepted} accepted, {refused} refused, the slowest after {slowest:?}");
    assert!(slowest < GITEA_WAITS.here(), "{slowest:?}");
    assert!(accepted > 0 && refused > 0, "{accepted} and {refused}");
}

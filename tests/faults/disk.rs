//! The database cannot be written for a while: senders are told so in time, and all goes on by itself after.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;

use crate::program::{Limit, PATIENCE, Program, Stage, delivery, push_payload, scale, until};

/// How soon a sender has to be told that nothing was stored.
const TOLD_WITHIN: Limit = Limit::millis(2_000, 8_000);
/// How soon the program has to say that it is alive.
const ALIVE_WITHIN: Limit = Limit::millis(500, 2_000);
/// How soon all must work again.
const WELL_WITHIN: Limit = Limit::millis(5_000, 20_000);

async fn status(http: &Client, program: &Program, path: &str) -> u16 {
    http.get(program.url(path)).send().await.unwrap().status().as_u16()
}

/// Posts a delivery; the status and how long it took. A refusal has to say when to come back.
async fn post(http: &Client, program: &Program, body: Vec<u8>) -> (u16, Duration) {
    let began = Instant::now();
    let answer = delivery(http, &program.url("/webhook"), body).send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(status == 503, answer.headers().contains_key("retry-after"), "{status}");
    (status, began.elapsed())
}

async fn is_well_again(http: &Client, program: &Program) {
    let taken = until("an accepted delivery", WELL_WITHIN.here(), async || {
        post(http, program, push_payload(0, 100)).await.0 == 202
    });
    taken.await;
    until("readiness", WELL_WITHIN.here(), async || status(http, program, "/readyz").await == 200)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_process_holds_the_database_senders_are_told_to_come_back() {
    let stage = Stage::new().await;
    let program = stage.start();
    let http = Client::new();
    let issue = stage.open(1);
    stage.gitea.delivered().await;
    let other = stage.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let held = Duration::from_secs(scale(5, 30) as u64);
    let mut slowest = Duration::ZERO;
    let mut refused = 0;
    while began.elapsed() < held {
        // Several at once, so that one waits behind the other.
        let some = (0..4).map(|n| post(&http, &program, push_payload(n, 1_000)));
        for (status, took) in futures_util::future::join_all(some).await {
            assert_eq!(status, 503);
            slowest = slowest.max(took);
            refused += 1;
        }
        let asked = Instant::now();
        assert_eq!(status(&http, &program, "/healthz").await, 200);
        assert!(asked.elapsed() < ALIVE_WITHIN.here(), "{:?}", asked.elapsed());
    }
    assert_eq!(status(&http, &program, "/readyz").await, 503);
    other.execute_batch("ROLLBACK").unwrap();
    is_well_again(&http, &program).await;
    println!("held for {held:?}: {refused} refused, the slowest after {slowest:?}");
    assert!(slowest <= TOLD_WITHIN.here(), "told after {slowest:?}");
    stage.processed().await;
    stage.assert_with_claude(&issue);
}

/// Lets no file of the program grow past `bytes`, as a full disk would; `unlimited` takes it back.
fn limit_files(program: &Program, bytes: &str) {
    let pid = program.pid().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(done.expect("prlimit of util-linux is needed").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_a_503_and_no_crash_and_all_goes_on_when_there_is_room() {
    let stage = Stage::new().await;
    // A file at its limit also raises a signal, which a full disk does not; so it is ignored.
    let mut program = stage.start_with(|c| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(c.get_program());
        shell.args(c.get_args());
        *c = shell;
    });
    let http = Client::new();
    limit_files(&program, "2000000");
    let mut accepted = 0;
    until("a refusal", PATIENCE, async || {
        let noise: String = (0..4_000).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let body = format!("{{\"ref\": \"x\", \"commits\": [], \"x\": \"{noise}\"}}");
        let (status, took) = post(&http, &program, body.into_bytes()).await;
        assert!(matches!(status, 202 | 503), "{status}");
        assert!(took <= TOLD_WITHIN.here(), "{took:?}");
        accepted += i64::from(status == 202);
        status == 503
    })
    .await;
    assert!(accepted > 2, "full after {accepted}");
    assert_eq!(status(&http, &program, "/healthz").await, 200);
    limit_files(&program, "unlimited");
    is_well_again(&http, &program).await;
    assert!(program.ended().is_none());
    let issue = stage.open(1);
    stage.processed().await;
    stage.assert_with_claude(&issue);
    let pushes = stage.count("SELECT count(*) FROM delivery WHERE action = 'push'");
    assert!(pushes > accepted, "{pushes} of {accepted}");
    stage.check_database();
}

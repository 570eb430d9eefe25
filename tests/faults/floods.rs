//! What strangers can send to the port: many requests at once, idle and slow connections, answers that nobody reads. The
//! program holds little memory, gives it back, and serves others meanwhile.

use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::NewIssue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::program::{Limit, PATIENCE, Program, Stage, bug, delivery, push_payload, until};

/// What the process may hold whatever strangers ask for at once.
const MEMORY: u64 = 128 * 1024 * 1024;
/// The same while bodies and large texts fill what is kept for them: well within the smallest limit that ships.
const FILLED: u64 = 176 * 1024 * 1024;
/// How long a genuine delivery may take meanwhile.
const HONEST: Limit = Limit::millis(1_000, 4_000);

/// One request as often as it is asked for, so that many fit into one read.
fn pipelined(head: &str, count: usize) -> Vec<u8> {
    head.repeat(count).into_bytes()
}

/// Opens `count` connections; a place is there for each newcomer, so none is refused.
async fn connect(program: &Program, count: usize) -> Vec<TcpStream> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        opened.push(TcpStream::connect(program.address()).await.unwrap());
    }
    opened
}

/// Sends this over each connection at once, as far as the program takes it, and reads nothing.
async fn send_unread(connections: Vec<TcpStream>, bytes: Vec<u8>) -> Vec<TcpStream> {
    let bytes = std::sync::Arc::new(bytes);
    let mut senders = JoinSet::new();
    for mut connection in connections {
        let bytes = std::sync::Arc::clone(&bytes);
        senders.spawn(async move {
            let sending = connection.write_all(&bytes);
            // Whoever reads nothing is not read from for ever; what the system buffers is sent.
            let _ = tokio::time::timeout(Duration::from_secs(2), sending).await;
            connection
        });
    }
    senders.join_all().await
}

/// How long genuine deliveries take, each over a connection of its own.
async fn honest(program: &Program, count: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 0..count {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let began = Instant::now();
        let body = push_payload(number, 2_000);
        let answer = delivery(&http, &program.url("/webhook"), body).send().await;
        took.push(began.elapsed());
        assert_eq!(answer.expect("an answer to a genuine delivery").status(), 202);
    }
    took.sort_unstable();
    took
}

fn assert_quick(took: &[Duration]) {
    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    println!("honest deliveries: {:?} at the 99th percentile of {}", p99, took.len());
    assert!(p99 <= HONEST.here(), "a genuine delivery took {p99:?}");
    let half = took[took.len() / 2];
    assert!(half <= HONEST.release, "half of the genuine deliveries took {half:?}");
}

fn assert_small(program: &Program, limit: u64) {
    let (peak, now) = (program.memory("VmHWM"), program.memory("VmRSS"));
    println!("memory: {} MiB at most, {} MiB now", peak >> 20, now >> 20);
    assert!(peak <= limit, "it held {} MiB", peak >> 20);
}

/// Requests that are answered without their sender being known.
const HEADS: [&str; 9] = [
    "POST /dispatches/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    "GET /assets/style.css HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n\r\n",
    "POST /webhook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /assets/style.css HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /assets/style.css HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx",
    "GET /nothing HTTP/1.1\nhost: x\n\n",
    "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
];

async fn holds_little(head: &str) {
    let stage = Stage::new().await;
    let program = stage.start();
    let bytes = pipelined(head, 131_072_usize.div_ceil(head.len()));
    println!(
        "{}: {} bytes over each of 100 connections",
        head.lines().next().unwrap(),
        bytes.len()
    );
    let kept = send_unread(connect(&program, 100).await, bytes).await;
    assert_quick(&honest(&program, 20).await);
    assert_small(&program, MEMORY);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirteen_megabytes_of_pipelined_reports_are_held_in_little_memory() {
    holds_little(HEADS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_of_every_kind_are_held_in_little_memory() {
    for head in &HEADS[1..] {
        holds_little(head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order_one_by_one() {
    let stage = Stage::new().await;
    let program = stage.start();
    let paths = ["/healthz", "/nothing-here", "/healthz"];
    for splits in [1, 7, 4_096] {
        let mut connection = TcpStream::connect(program.address()).await.unwrap();
        let all: String = ["/healthz", "/assets/icon.svg", "/healthz"]
            .map(|path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .concat();
        let close = "GET /sign-in HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        for piece in format!("{all}{close}").as_bytes().chunks(splits) {
            connection.write_all(piece).await.unwrap();
        }
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.matches("HTTP/1.1 200").count(), paths.len(), "{text}");
        assert_eq!(text.matches("{\"status\":\"alive\"}").count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_keep_a_genuine_delivery_waiting() {
    let stage = Stage::new().await;
    let program = stage.start();
    let mut idle = connect(&program, 2_300).await;
    for connection in &mut idle {
        // Some were closed for the newcomers by now.
        let _ = connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    }
    assert_quick(&honest(&program, 100).await);
    assert_small(&program, FILLED);
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_bring_a_part_of_a_request_do_not_keep_a_genuine_delivery_waiting() {
    let starts = [
        String::new(),
        "GET / HTTP/1.1\r\nhost: x\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(15_000)),
        "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 65536\r\n\r\nx".to_owned(),
        "POST /dispatches/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nx"
            .to_owned(),
        "POST /sign-in/token HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\ntoken=x".to_owned(),
    ];
    for start in starts {
        let stage = Stage::new().await;
        let program = stage.start();
        let slow = send_unread(connect(&program, 2_300).await, start.clone().into_bytes()).await;
        println!("{:?}", start.lines().next());
        assert_quick(&honest(&program, 100).await);
        assert_small(&program, FILLED);
        drop(slow);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_bodies_are_held_in_little_memory_and_give_way_to_a_genuine_one() {
    let stage = Stage::new().await;
    let program = stage.start();
    let mut start = b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 65536\r\n\r\n".to_vec();
    start.extend([b'x'; 65_000]);
    let slow = send_unread(connect(&program, 2_300).await, start).await;
    assert_quick(&honest(&program, 100).await);
    assert_small(&program, FILLED);
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_given_back_when_the_flood_is_over() {
    let stage = Stage::new().await;
    let program = stage.start();
    honest(&program, 20).await;
    flood(&program).await;
    // The first one makes what stays: threads, caches, and pages of the program that nobody had used before.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    // Given back beside other work, as there always is some; each over a connection of its own, so that all threads get some.
    let work = async || http.get(program.url("/assets/style.css")).send().await.unwrap();
    let mut before = u64::MAX;
    for _ in 0..500 {
        work().await;
        before = before.min(program.memory("VmRSS"));
    }
    flood(&program).await;
    let peak = program.memory("VmHWM");
    until("a third of the memory given back", 2 * PATIENCE, async || {
        work().await;
        program.memory("VmRSS") < before + (peak - before) / 3 * 2
    })
    .await;
    let after = program.memory("VmRSS");
    println!("{} MiB before, {} MiB at most, {} MiB after", before >> 20, peak >> 20, after >> 20);
}

/// Bodies that never end, and requests of which nobody reads the answers, three times.
async fn flood(program: &Program) {
    let mut start = b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 65536\r\n\r\n".to_vec();
    start.extend([b'x'; 65_000]);
    for _ in 0..3 {
        drop(send_unread(connect(program, 1_000).await, start.clone()).await);
        drop(send_unread(connect(program, 100).await, pipelined(HEADS[0], 2_200)).await);
    }
}

/// As many issues as strangers may open, each with as long a text.
const LARGE_ISSUES: usize = 400;
const LARGE_TEXT: usize = 640 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_of_large_issues_is_held_in_little_memory() {
    let stage = Stage::new().await;
    for number in 0..LARGE_ISSUES {
        let body = "large ".repeat(LARGE_TEXT / 6);
        stage.gitea.open_issue(&stage.repo, NewIssue { body, ..bug(number) });
    }
    let program = stage.start_with(|command| {
        command.env("GITEA_TRIAGE__SWEEP__AT_START", "true");
        // A page of 32 MB may take a debug build on a busy machine longer than the usual limit.
        command.env("GITEA_TRIAGE__GITEA__TIMEOUT", "3m");
    });
    // A debug build reads a quarter of a gigabyte for that: half a minute, and eight times as long beside a busy disk.
    until("the sweep, and some of what it found", 8 * PATIENCE, async || {
        let found = stage.count("SELECT count(*) FROM delivery WHERE origin = 'sweep'");
        let done = stage.count("SELECT count(*) FROM evaluation");
        usize::try_from(found).unwrap() == LARGE_ISSUES && done >= 20
    })
    .await;
    assert_small(&program, FILLED);
}

//! Bodies that are too large, of a lying length, packed, or many at once: refused without being kept in memory.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Program, SECRET, Stage, push_payload, sign};

const LIMIT: usize = 10 * 1024 * 1024;
const AT_ONCE: usize = 50;
/// How much the program may grow whatever is sent to it.
const GROWTH: u64 = 64 * 1024 * 1024;

/// How the length of a body is told.
#[derive(Clone, Copy)]
enum Length {
    Announced(usize),
    Chunked,
}

/// Sends a body as it is told to, byte for byte; the status of the first answer, 0 when there was none.
async fn send(address: String, length: Length, body: Vec<u8>, more: String) -> u16 {
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let told = match length {
        Length::Announced(length) => format!("Content-Length: {length}"),
        Length::Chunked => "Transfer-Encoding: chunked".to_owned(),
    };
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{told}\r\n{more}\r\n"
    );
    let sender = tokio::spawn(async move {
        to.write_all(head.as_bytes()).await?;
        for piece in body.chunks(64 * 1024) {
            if matches!(length, Length::Chunked) {
                to.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            to.write_all(piece).await?;
            if matches!(length, Length::Chunked) {
                to.write_all(b"\r\n").await?;
            }
        }
        if matches!(length, Length::Chunked) {
            to.write_all(b"0\r\n\r\n").await?;
        }
        to.shutdown().await
    });
    let mut answer = [0; 64];
    let mut read = 0;
    let reading = async {
        while read < 12 {
            match from.read(&mut answer[read..]).await {
                Ok(0) | Err(_) => break,
                Ok(n) => read += n,
            }
        }
    };
    // A sender that promises more than it sends is waited for, but not for ever.
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("no answer in time");
    sender.abort();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

async fn many(program: &Program, length: Length, body: &[u8], more: &str) -> Vec<u16> {
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        senders.spawn(send(program.address().to_owned(), length, body.to_vec(), more.to_owned()));
    }
    senders.join_all().await
}

/// Runs `story` and fails when the program grew too much meanwhile.
async fn without_growing(story: impl AsyncFnOnce(&Stage, &Program)) {
    let stage = Stage::new().await;
    let program = stage.start();
    let before = program.memory("VmRSS");
    story(&stage, &program).await;
    let growth = program.memory("VmHWM").saturating_sub(before);
    println!("grew by {} KiB", growth / 1024);
    assert!(growth < GROWTH, "grew by {} MiB", growth / 1024 / 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_one_over_the_limit_is_refused_by_its_announced_length() {
    without_growing(async |_, program| {
        let body = vec![b'x'; LIMIT + 1];
        let statuses = many(program, Length::Announced(LIMIT + 1), &body, "").await;
        // A connection may be cut under a sender that does not read before it has sent all.
        assert!(statuses.iter().all(|s| matches!(s, 413 | 0)), "{statuses:?}");
        assert!(statuses.contains(&413));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_chunked_bodies_over_the_limit_are_refused_without_being_kept() {
    without_growing(async |_, program| {
        let body = vec![b'x'; LIMIT + 1];
        let statuses = many(program, Length::Chunked, &body, "").await;
        // 503 while others of that size are arriving.
        assert!(statuses.iter().all(|s| matches!(s, 413 | 503 | 0)), "{statuses:?}");
        let alone = send(program.address().to_owned(), Length::Chunked, body, String::new()).await;
        assert_eq!(alone, 413);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_bodies_at_the_limit_do_not_fill_the_memory_and_one_is_taken() {
    without_growing(async |_, program| {
        let body = vec![b'x'; LIMIT];
        let statuses = many(program, Length::Announced(LIMIT), &body, "").await;
        assert!(statuses.iter().all(|s| matches!(s, 401 | 503 | 0)), "{statuses:?}");
        let body = push_payload(1, LIMIT);
        let more = format!(
            "X-Gitea-Delivery: at-the-limit\r\nX-Gitea-Signature: {}\r\n",
            sign(SECRET, &body)
        );
        let length = Length::Announced(body.len());
        assert_eq!(send(program.address().to_owned(), length, body, more).await, 202);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_deliveries_are_taken_while_large_ones_crowd() {
    let stage = Stage::new().await;
    let program = stage.start();
    let address = program.address().to_owned();
    // Each of these holds what it has sent until it is timed out.
    let body = vec![b'x'; LIMIT - 1];
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..8 {
        crowd.spawn(send(address.clone(), Length::Announced(LIMIT), body.clone(), String::new()));
    }
    let refused = crowd.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, 503 | 400 | 0), "{refused}");
    for number in 0..20 {
        let body = push_payload(number, 60_000);
        let http = reqwest::Client::new();
        let answer = crate::program::delivery(&http, &program.url("/webhook"), body).send().await;
        assert_eq!(answer.unwrap().status(), 202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_length_is_believed_for_one_request_and_no_other() {
    without_growing(async |stage, program| {
        let statuses = many(program, Length::Announced(100), &b"x".repeat(1024 * 1024), "").await;
        assert!(statuses.iter().all(|s| matches!(s, 401 | 0)), "{statuses:?}");
        let statuses = many(program, Length::Announced(1024 * 1024), b"{}", "").await;
        assert!(statuses.iter().all(|s| matches!(s, 400 | 408 | 0)), "{statuses:?}");
        // What was left over must not have been taken for a delivery.
        assert_eq!(stage.count("SELECT count(*) FROM delivery"), 0);
    })
    .await;
}

/// 256 MiB of zeros, packed: one literal, then the longest repetition again and again (RFC 1951, fixed codes).
fn gzip_bomb() -> Vec<u8> {
    let mut bits = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..(256 * 1024 * 1024 / 258) {
        bits.extend([true, true, false, false, false, true, false, true]);
        bits.extend([false; 5]);
    }
    bits.extend([false; 7]);
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.chunks(8).map(|byte| {
        byte.iter().enumerate().fold(0_u8, |sum, (at, bit)| sum | (u8::from(*bit) << at))
    }));
    packed.extend([0; 8]);
    packed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_body_is_never_unpacked() {
    without_growing(async |stage, program| {
        let bomb = gzip_bomb();
        let more = format!(
            "Content-Encoding: gzip\r\nX-Gitea-Delivery: bomb\r\nX-Gitea-Signature: {}\r\n",
            sign(SECRET, &bomb)
        );
        let length = Length::Announced(bomb.len());
        let statuses = many(program, length, &bomb, &more).await;
        // One is new, the others are the same again or crowded out.
        assert!(statuses.iter().all(|s| matches!(s, 200 | 202 | 503)), "{statuses:?}");
        stage.processed().await;
        let dead = "SELECT count(*) FROM delivery WHERE state = 'dead'";
        assert_eq!(stage.count(dead), 1);
    })
    .await;
}

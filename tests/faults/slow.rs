//! Senders that send a byte now and then: they are cut off, and honest senders do not notice them.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Limit, Program, Stage, delivery, is_full_scale, push_payload, scale};

const HONEST: usize = 200;
const HONEST_P99: Limit = Limit::millis(500, 4_000);
/// How soon a slow sender must be cut off; in a usual run only slow heads are waited for.
const CUT_WITHIN: Duration = Duration::from_secs(30);
/// Less than what a body has.
const HEAD_CUT_WITHIN: Limit = Limit::millis(15_000, 20_000);

/// Sends the start at once and then byte after byte; how long until it was cut off or answered.
async fn crawl(address: String, start: &'static str, then: u8) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let mut buffer = [0; 256];
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) { break },
            _ = beat.tick() => if stream.write_all(&[then]).await.is_err() { break },
        }
    }
    began.elapsed()
}

async fn honest(program: &Program) -> Vec<Duration> {
    let http = Client::new();
    let mut took = Vec::new();
    for number in 0..HONEST {
        let began = Instant::now();
        let request = delivery(&http, &program.url("/webhook"), push_payload(number, 8_000));
        assert_eq!(request.send().await.unwrap().status(), 202);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_are_cut_off_and_honest_ones_do_not_notice() {
    let stage = Stage::new().await;
    let program = stage.start();
    let count = scale(100, 500);
    let head = "POST /webhook HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    let body = "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{";
    let mut heads = tokio::task::JoinSet::new();
    let mut bodies = tokio::task::JoinSet::new();
    for number in 0..count {
        let address = program.address().to_owned();
        match number % 2 {
            0 => heads.spawn(crawl(address, head, b'x')),
            _ => bodies.spawn(crawl(address, body, b' ')),
        };
    }
    let took = honest(&program).await;
    let p99 = took[took.len() * 99 / 100];
    let cut = heads.join_all().await.into_iter().max().unwrap();
    println!("{count} slow senders: honest p99 {p99:?}, slow heads cut off after {cut:?}");
    assert!(p99 <= HONEST_P99.here(), "{p99:?}");
    let half = took[took.len() / 2];
    assert!(half <= HONEST_P99.release, "{half:?}");
    assert!(cut <= HEAD_CUT_WITHIN.here(), "{cut:?}");
    if is_full_scale() {
        let cut = bodies.join_all().await.into_iter().max().unwrap();
        println!("slow bodies cut off after {cut:?}");
        assert!(cut <= CUT_WITHIN, "{cut:?}");
    }
}

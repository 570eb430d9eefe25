//! The way of a delivery into the inbox and out again: judging its signature, taking it in (durably, on the disk of the
//! temporary folder), and claiming the issue that is due.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has nothing to measure"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use gitea_triage::delivery::{Delivery, DeliveryId, Origin};
use gitea_triage::gitea::{Recording, Secret, Verifier};
use gitea_triage::issue::IssueRef;
use gitea_triage::store::{Accepted, Failure, OpenMode, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A delivery as Gitea sends it, of the usual size.
const RECORDED: &[u8] = include_bytes!("../fixtures/02-issues-opened-bug.http");
const SECRET: &str = "fixture-secret";
/// Deliveries that arrive at once.
const ABREAST: usize = 32;
/// Issues that are due.
const DUE: u64 = 50_000;
/// Places in the queue.
const QUEUE: usize = 1_024;

fn signatures(criterion: &mut Criterion) {
    let recording = Recording::read(RECORDED).unwrap();
    let verifier =
        |key: &str| Verifier::new(vec![Secret { key: key.into(), expires: None, repos: None }]);
    let (ours, another) = (verifier(SECRET), verifier("another"));
    let judged = |verifier: &Verifier| {
        verifier.verify(black_box(&recording), recording.body.clone(), Utc::now())
    };
    assert!(judged(&ours).is_ok() && judged(&another).is_err());
    let mut group = criterion.benchmark_group("signature");
    group.throughput(Throughput::Bytes(recording.body.len() as u64));
    group.bench_function("right", |b| b.iter(|| judged(&ours)));
    group.bench_function("forged", |b| b.iter(|| judged(&another)));
    group.bench_function("right, fourth of four secrets", |b| {
        let keys = ["one", "two", "three", SECRET];
        let secret = |key: &str| Secret { key: key.into(), expires: None, repos: None };
        let four = Verifier::new(keys.map(secret).into());
        b.iter(|| judged(&four));
    });
    group.finish();
}

fn accepting(criterion: &mut Criterion) {
    let (runtime, _folder, store) = world();
    let body = Recording::read(RECORDED).unwrap().body;
    let mut group = criterion.benchmark_group("accept");
    for abreast in [1, ABREAST] {
        group.throughput(Throughput::Elements(abreast as u64));
        group.bench_function(format!("{abreast} at once"), |b| {
            b.iter(|| {
                let all = (0..abreast).map(|_| store.accept(delivery(&body)));
                let accepted = runtime.block_on(join_all(all));
                assert!(accepted.into_iter().all(|one| one.unwrap() == Accepted::New));
            });
        });
    }
    group.bench_function("a repeat", |b| {
        let again = delivery(&body);
        runtime.block_on(store.accept(again.clone())).unwrap();
        b.iter(|| runtime.block_on(store.accept(again.clone())).unwrap());
    });
    group.finish();
}

fn claiming(criterion: &mut Criterion) {
    let (runtime, _folder, store) = world();
    let issue = |number| IssueRef { repo: "acme/widgets".parse().unwrap(), number };
    let now = Utc::now();
    runtime.block_on(async {
        let numbers: Vec<u64> = (1..=DUE).collect();
        for some in numbers.chunks(QUEUE) {
            let due = some
                .iter()
                .map(|number| store.enqueue(issue(*number), Origin::Manual, "asked for", now));
            join_all(due).await.into_iter().for_each(|one| one.unwrap());
        }
    });
    criterion.bench_function("claim among 50,000", |b| {
        b.iter_custom(|times| {
            runtime.block_on(async {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    let began = Instant::now();
                    let claim = store.claim(now).await.unwrap().expect("an issue that is due");
                    took += began.elapsed();
                    store.retry(claim, not_now(), now).await.unwrap();
                }
                took
            })
        });
    });
}

/// A store on disk, and what its calls run on.
fn world() -> (Runtime, TempDir, Store) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("bench.db"), QUEUE, OpenMode::Exclusive).unwrap();
    (runtime, folder, store)
}

fn delivery(body: &Bytes) -> Delivery {
    Delivery {
        id: DeliveryId::parse(&uuid::Uuid::new_v4().to_string()).unwrap(),
        received_at: Utc::now(),
        body: body.clone(),
        event_header: "issues".to_owned(),
        scope: None,
    }
}

/// Puts a claim back as it was.
fn not_now() -> Failure {
    Failure {
        at: Utc::now(),
        reason: "measured".to_owned(),
        spends_attempt: false,
        is_out_of_reach: false,
        is_about_us: false,
        recorded: None,
        effects: Vec::new(),
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(30).measurement_time(Duration::from_secs(3))
}

criterion_group! {
    name = inbox;
    config = quick();
    targets = signatures, accepting, claiming
}
criterion_main!(inbox);

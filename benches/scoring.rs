//! How long a verdict takes: on the recorded issues, on bodies of usual sizes, and the way to the first one.

#![expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gitea_triage::clock::Timestamp;
use gitea_triage::issue::{Issue, IssueState};
use gitea_triage::triage::{Policy, Triage};

/// Prose with a keyword now and then, as issues are.
const PARAGRAPH: &str = "The importer loses its place when someone opens the settings page and goes \
    back to the list. Nothing in `src/importer.py` should depend on the session, and `load_rows()` \
    must return the same rows as before. It was seen on three machines since the last release, \
    with the cache switched on and off.\n\n";

fn issue(bytes: usize, ending: &str) -> Issue {
    let mut body = PARAGRAPH.repeat(bytes / PARAGRAPH.len() + 1);
    body.truncate(bytes - ending.len());
    Issue {
        ids: None,
        number: 1,
        title: "[Bug] The importer loses its place".to_owned(),
        body: body + ending,
        labels: vec!["bug".to_owned(), "importer".to_owned()],
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: Timestamp::from_timestamp(1_774_000_000, 0),
        updated_at: None,
        closed_at: None,
        comments: 0,
        url: String::new(),
    }
}

fn verdicts(criterion: &mut Criterion) {
    let triage = Triage::new(Policy::default()).expect("a valid policy");
    let now = Timestamp::from_timestamp(1_774_267_200, 0).expect("a valid time");
    let mut group = criterion.benchmark_group("verdict");
    for (name, bytes, ending) in
        [("2 KB", 2048, ""), ("4 KB", 4096, ""), ("64 KB", 65_536, ""), ("4 KB folded", 4096, "ſ")]
    {
        let issue = issue(bytes, ending);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |b| b.iter(|| triage.verdict(black_box(&issue), now)));
    }
    group.finish();
}

fn explanations(criterion: &mut Criterion) {
    let triage = Triage::new(Policy::default()).expect("a valid policy");
    let issue = issue(4096, "");
    criterion.bench_function("signals 4 KB", |b| b.iter(|| triage.signals(black_box(&issue))));
}

fn compiling(criterion: &mut Criterion) {
    criterion.bench_function("compile the built-in policy", |b| {
        b.iter_batched(Policy::default, Triage::new, BatchSize::SmallInput);
    });
}

fn quick() -> Criterion {
    Criterion::default().sample_size(30).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = scoring;
    config = quick();
    targets = verdicts, explanations, compiling
}
criterion_main!(scoring);

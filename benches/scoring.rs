//! How long a verdict takes: on the recorded issues, on bodies of usual sizes, and the way to the first one.

#![expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gitea_triage::clock::Timestamp;
use gitea_triage::issue::{Issue, IssueState};
use gitea_triage::triage::{Policy, Preset, Triage};

/// As in the program.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// What the statements of an issue cost to its raw text: one of prose, and one with a form, a list, code and a log.
fn presets(criterion: &mut Criterion) {
    let now = Timestamp::from_timestamp(1_774_267_200, 0).expect("a valid time");
    let mut formed = issue(1024, "");
    formed.body +=
        "\n\n### Steps to reproduce\n\n1. Open the list\n2. Press `F5`\n\n### Logs\n\n```\n";
    formed.body += &"2026-03-01 10:00:00 [E] importer.py:51 row lost\n".repeat(20);
    formed.body +=
        "```\n\n### Expected behavior\n\nThe list stays as it is.\n\n- [ ] `pytest` passes\n";
    let mut group = criterion.benchmark_group("preset");
    for (preset, policy) in Preset::ALL.iter().map(|preset| (preset, Policy::of(*preset))) {
        let triage = Triage::new(policy).expect("a valid policy");
        for (name, issue) in [("prose", &issue(4096, "")), ("form", &formed)] {
            let name = format!("{preset} {name}");
            group.bench_function(name, |b| b.iter(|| triage.verdict(black_box(issue), now)));
        }
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
    targets = verdicts, presets, explanations, compiling
}
criterion_main!(scoring);

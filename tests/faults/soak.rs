//! Hours of work beside a forge that fails now and then: memory, open files and the log of the database stay as they
//! are, and nothing is lost or done twice. Half a minute of many changes in a usual run; `benches/soak.sh` takes an hour.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::{Fault, FaultKind};
use gitea_triage::issue::IssueRef;

use crate::program::{Program, Stage, bug, until};

/// How long it goes on, in seconds.
const SECONDS: &str = "GITEA_TRIAGE_SOAK_S";
/// Between two changes on the forge, and between two faults.
const CHANGE_EVERY: Duration = Duration::from_millis(400);
/// How many times as often, when told so.
const TIMES: &str = "GITEA_TRIAGE_SOAK_TIMES";
const CHANGES_TO_A_FAULT: usize = 8;
/// Samples that are taken in all, one after the same time each.
const SAMPLES: u32 = 60;
/// A usual run: how long, and how many times as often something changes.
const USUAL: (Duration, u32) = (Duration::from_secs(30), 16);
/// What memory keeps of a delivery, at most: its id in a set, until there are 24,000 of them.
const ID: u64 = 128;
/// By how much the memory of a program that keeps nothing may still grow after the first half: the caches of SQLite,
/// four mebibytes in all, may not be full by then.
const SETTLING: u64 = 3 << 20;
/// The part of the samples that is left out because the program is still warming up: caches, threads, the heap.
const WARM_UP: usize = 2;
/// Fewer samples make no line.
const FEWEST: usize = 8;
/// Issues that are open at one time; the oldest is closed for a new one.
const OPEN: usize = 200;
/// How long the last work may take: the pauses between tries grow to minutes.
const PATIENCE: Duration = Duration::from_secs(600);
/// The log is folded back every 250 pages of 4 KiB; a reader in between lets it grow to a few times that.
const LARGEST_WAL: u64 = 16 << 20;

/// What row 8 of the fault suite mixes.
fn fault(turn: usize) -> FaultKind {
    let kinds = [
        FaultKind::Status(500),
        FaultKind::AnswerLost,
        FaultKind::Status(502),
        FaultKind::ResetBefore,
        FaultKind::StatusRetryAfter(429, 1),
        FaultKind::CutBody,
        FaultKind::Status(503),
        FaultKind::Html,
        FaultKind::WrongJson,
        FaultKind::Hang(Duration::from_secs(60)),
    ];
    kinds[turn % kinds.len()].clone()
}

#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    memory: u64,
    files: usize,
    wal: u64,
}

impl Sample {
    fn of(program: &Program, stage: &Stage, at: Duration) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory: u64 = memory.trim().trim_end_matches(" kB").parse().unwrap();
        let files = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count();
        let wal = std::fs::metadata(stage.path("fault.db-wal")).map_or(0, |file| file.len());
        Self { at, memory: memory * 1024, files, wal }
    }
}

/// Bytes an hour, by the straight line that fits best, and how far off it may be: twice its standard error, by how far
/// the samples lie from the line.
fn slope(samples: &[Sample]) -> (f64, f64) {
    let count = samples.len() as f64;
    let points: Vec<_> =
        samples.iter().map(|s| (s.at.as_secs_f64() / 3600.0, s.memory as f64)).collect();
    let (x, y) = points.iter().fold((0.0, 0.0), |a, p| (a.0 + p.0 / count, a.1 + p.1 / count));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let off: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    (slope, 2.0 * (off / (count - 2.0) / spread).sqrt())
}

/// Whether the line through the later samples rises by no more than memory may: for the ids of the deliveries that came
/// in meanwhile, and for what is still settling.
fn is_flat(later: &[Sample], accepted: usize) -> bool {
    let (slope, error) = slope(later);
    let hours = (later[later.len() - 1].at - later[0].at).as_secs_f64() / 3600.0;
    (slope - error) * hours <= (ID * accepted as u64 + SETTLING) as f64
}

/// One change a person makes, by turns.
fn change(stage: &Stage, open: &mut Vec<IssueRef>, turn: usize) {
    let at = open.get(turn * 7 % open.len().max(1)).cloned();
    match (turn % 5, at) {
        (0, _) | (_, None) => {
            open.push(stage.open(turn));
            if open.len() > OPEN {
                stage.gitea.close(&open.remove(0), "bob");
            }
        }
        (1, Some(at)) => stage.gitea.add_label(&at, "bob", "area/app"),
        (2, Some(at)) => stage.gitea.edit_issue(&at, "bob", None, Some(&bug(turn).body)),
        (3, Some(at)) => drop(stage.gitea.comment(&at, "bob", "any news?")),
        (_, Some(at)) => stage.gitea.remove_label(&at, "bob", "area/app"),
    }
}

async fn go_on(stage: &Stage, program: &Program, (length, times): (Duration, u32)) -> Vec<Sample> {
    let (began, mut open, mut samples) = (Instant::now(), Vec::new(), Vec::new());
    let mut beat = tokio::time::interval(CHANGE_EVERY / times);
    for turn in 0.. {
        beat.tick().await;
        if began.elapsed() > length {
            break;
        }
        change(stage, &mut open, turn);
        if turn % CHANGES_TO_A_FAULT == 1 {
            let kind = fault(turn / CHANGES_TO_A_FAULT);
            let path_contains = String::new();
            stage.gitea.fail(Fault { method: None, path_contains, times: 1, kind });
        }
        if began.elapsed() >= length / SAMPLES * samples.len() as u32 {
            samples.push(Sample::of(program, stage, began.elapsed()));
            stage.gitea.clear_requests();
        }
    }
    samples.push(Sample::of(program, stage, began.elapsed()));
    samples
}

/// Accepted deliveries that came to no good end, and comments that are there twice.
fn lost_and_doubled(stage: &Stage) -> (usize, usize, usize) {
    let accepted = stage.gitea.deliveries().into_iter();
    let accepted: Vec<_> = accepted.filter(|d| matches!(d.status, Some(200 | 202))).collect();
    let database = stage.database();
    let mut ended = database
        .prepare("SELECT id, count(*) FROM delivery WHERE state IN ('done', 'ignored') GROUP BY id")
        .unwrap();
    let ended = ended.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let ended: HashMap<Vec<u8>, u32> = ended.map(Result::unwrap).collect();
    let is_lost =
        |uuid: &str| ended.get(&uuid::Uuid::parse_str(uuid).unwrap().as_bytes()[..]) != Some(&1);
    let lost = accepted.iter().filter(|d| is_lost(&d.uuid)).count();
    let bot = stage.gitea.bot().login;
    let issues = stage.gitea.issues(&stage.repo);
    let ours = issues.iter().map(|(_, i)| i.comments.iter().filter(|c| c.author == bot).count());
    (accepted.len(), lost, ours.map(|comments| comments.saturating_sub(1)).sum())
}

fn report(stage: &Stage, samples: &[Sample], length: Duration) {
    let (accepted, lost, doubled) = lost_and_doubled(stage);
    let half = samples.len() / WARM_UP;
    let later = &samples[half..];
    let (first, last) = (samples[half], samples[samples.len() - 1]);
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let files = |part: &[Sample]| part.iter().map(|s| s.files).max().unwrap_or(0);
    let wal = samples.iter().map(|s| s.wal).max().unwrap_or(0);
    let (slope, error) = slope(later);
    let (slope, error) = (slope / (1 << 20) as f64, error / (1 << 20) as f64);
    println!(
        "soak of {:.0} min: {accepted} deliveries accepted, {lost} lost, {doubled} duplicated; memory {:.1} MiB at half, \
         {:.1} MiB at the end, slope {slope:+.2} ± {error:.2} MiB/h over the second half; open files at most {} and {}; log at most {:.1} MiB",
        length.as_secs_f64() / 60.0,
        mib(first.memory),
        mib(last.memory),
        files(&samples[..=half]),
        files(later),
        mib(wal),
    );
    assert_eq!((lost, doubled), (0, 0));
    assert!(accepted > samples.len(), "too little came in to prove anything");
    assert!(wal <= LARGEST_WAL, "the log grew to {wal} bytes");
    assert!(files(later) <= files(&samples[..=half]) + 8, "files stay open");
    assert!(later.len() >= FEWEST, "{} samples make no line", later.len());
    assert!(is_flat(later, accepted / WARM_UP), "memory grows by {slope:.2} ± {error:.2} MiB/h");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_grows_and_nothing_is_lost_beside_a_forge_that_fails_now_and_then() {
    let asked = |name| std::env::var(name).ok().map(|s| s.parse::<u32>().expect("a number"));
    let (length, times) = match asked(SECONDS) {
        Some(seconds) => (Duration::from_secs(seconds.into()), asked(TIMES).unwrap_or(1)),
        None => USUAL,
    };
    let stage = Stage::new().await;
    let mut program = stage.start();
    let samples = go_on(&stage, &program, (length, times)).await;
    stage.gitea.clear_faults();
    let open = "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
    let mut quiet = 0;
    until("the end of the work", PATIENCE, async || {
        stage.gitea.delivered().await;
        // Our own writes come back as deliveries, so it is looked at twice.
        quiet = if stage.count(open) == 0 { quiet + 1 } else { 0 };
        quiet > 1
    })
    .await;
    assert!(program.ended().is_none());
    report(&stage, &samples, length);
    stage.check_database();
}

/// Samples of a program that grows by so much with each, and moves up and down by so much meanwhile.
fn synthetic(growth: u64, noise: u64) -> Vec<Sample> {
    let sample = |n: u64| Sample {
        at: Duration::from_millis(500 * n),
        memory: (30 << 20) + growth * n + noise * (n * 7919 % 13) / 13,
        files: 20,
        wal: 0,
    };
    (0..30).map(sample).collect()
}

#[test]
fn a_line_through_samples_has_their_slope_and_tells_a_leak_from_noise() {
    let (steady, error) = slope(&synthetic(0, 0));
    assert!(steady.abs() < 1.0 && error.abs() < 1.0, "{steady} ± {error}");
    let (grows, _) = slope(&synthetic(1_000, 0));
    assert!((grows - 7_200_000.0).abs() < 1.0, "1,000 bytes each half second: {grows} an hour");
    let (noisy, error) = slope(&synthetic(1_000, 2 << 20));
    assert!((noisy - 7_200_000.0).abs() < error, "{noisy} ± {error}");
    // Thirty samples beside a thousand deliveries, of which nothing is kept, the id is, or all of it is.
    let deliveries = 1_000;
    for (kept, noise, expected) in [
        (0, 0, true),
        (0, 2 << 20, true),
        (ID, 1 << 19, true),
        (4_096, 0, false),
        (4_096, 1 << 20, false),
    ] {
        let samples = synthetic(kept * deliveries / 30, noise);
        assert_eq!(
            is_flat(&samples, deliveries as usize),
            expected,
            "{kept} bytes, {noise} of noise"
        );
    }
}

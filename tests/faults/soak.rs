//! Hours of work beside a forge that fails now and then: memory, open files and the log of the database stay as they
//! are, and nothing is lost or done twice. Ten seconds in a usual run; `benches/soak.sh` takes an hour.

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
const CHANGES_TO_A_SAMPLE: usize = 25;
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

/// Bytes an hour, by the straight line that fits best.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let point = |s: &Sample| (s.at.as_secs_f64() / 3600.0, s.memory as f64);
    let (x, y) = samples.iter().map(point).fold((0.0, 0.0), |a, p| (a.0 + p.0, a.1 + p.1));
    let (x, y) = (x / count, y / count);
    let parts = samples.iter().map(point).map(|(a, b)| ((a - x) * (b - y), (a - x).powi(2)));
    let (over, under) = parts.fold((0.0, 0.0), |a, p| (a.0 + p.0, a.1 + p.1));
    if under > 0.0 { over / under } else { 0.0 }
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

async fn go_on(stage: &Stage, program: &Program, length: Duration) -> Vec<Sample> {
    let (began, mut open, mut samples) = (Instant::now(), Vec::new(), Vec::new());
    let times = std::env::var(TIMES).ok().map_or(1, |t| t.parse().expect("a number of times"));
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
        if turn % CHANGES_TO_A_SAMPLE == 0 {
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
    let later = &samples[samples.len() / 2..];
    let (first, last) = (samples[samples.len() / 2], samples[samples.len() - 1]);
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let files = |part: &[Sample]| part.iter().map(|s| s.files).max().unwrap_or(0);
    let wal = samples.iter().map(|s| s.wal).max().unwrap_or(0);
    let slope = slope(later) / (1 << 20) as f64;
    println!(
        "soak of {:.0} min: {accepted} deliveries accepted, {lost} lost, {doubled} duplicated; memory {:.1} MiB at half, \
         {:.1} MiB at the end, slope {slope:+.2} MiB/h over the second half; open files at most {} and {}; log at most {:.1} MiB",
        length.as_secs_f64() / 60.0,
        mib(first.memory),
        mib(last.memory),
        files(&samples[..=samples.len() / 2]),
        files(later),
        mib(wal),
    );
    assert_eq!((lost, doubled), (0, 0));
    assert!(accepted > samples.len(), "too little came in to prove anything");
    assert!(wal <= LARGEST_WAL, "the log grew to {wal} bytes");
    assert!(files(later) <= files(&samples[..=samples.len() / 2]) + 8, "files stay open");
    assert!(mib(last.memory) <= mib(first.memory) * 1.25 + 2.0, "memory grows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_grows_and_nothing_is_lost_beside_a_forge_that_fails_now_and_then() {
    let asked = std::env::var(SECONDS).ok().map(|s| s.parse().expect("a number of seconds"));
    let length = Duration::from_secs(asked.unwrap_or(10));
    let stage = Stage::new().await;
    let mut program = stage.start();
    let samples = go_on(&stage, &program, length).await;
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

//! What it costs to find out whether a report was made before, in a repository with 50,000 issues, and whether it is
//! found there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the draws are the same for each run")]
#[path = "dice/mod.rs"]
mod dice;
#[path = "processor/mod.rs"]
mod processor;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use gitea_triage::clock::{Timestamp, from_millis};
use gitea_triage::issue::{Issue, IssueState};
use gitea_triage::reason::Reason;
use gitea_triage::store::{Numbered, OpenMode, Store};
use gitea_triage::triage::{Lookup, Neighbours, Policy, Preset, Triage, Word};
use tempfile::TempDir;

use processor::processor_time;

/// How many issues there are; an unoptimised build makes fewer, unless told to (`GITEA_TRIAGE_TEST_SCALE=full`).
const ISSUES: u64 = 50_000;
const ISSUES_UNOPTIMISED: u64 = 2_000;
/// How many are kept in one go while the repository is filled.
const AT_ONCE: usize = 200;
/// The forge's id of the repository.
const REPO: i64 = 7;
/// How long it may take to keep an issue, or to look up others.
const WITHIN: Duration = Duration::from_millis(2);
/// The same of an unoptimised build.
const WITHIN_UNOPTIMISED: Duration = Duration::from_millis(100);
/// Of how many issues copies are looked for, and how many have to be found.
const TIMES: usize = 200;
const FOUND: usize = 195;

fn issues() -> u64 {
    let is_full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    if is_full || !cfg!(debug_assertions) { ISSUES } else { ISSUES_UNOPTIMISED }
}

/// Among few issues none may be missed.
fn least_found() -> usize {
    if issues() == ISSUES { FOUND } else { TIMES }
}

static TRIAGE: LazyLock<Triage> =
    LazyLock::new(|| Triage::new(Policy::of(Preset::Practical)).unwrap());

fn issue(number: u64, title: &str, body: &str) -> Issue {
    Issue {
        ids: None,
        number,
        title: title.to_owned(),
        body: body.to_owned(),
        labels: Vec::new(),
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: None,
        updated_at: None,
        closed_at: None,
        comments: 0,
        url: String::new(),
    }
}

fn at(number: u64) -> Numbered {
    Numbered { repo: REPO, number }
}

fn words(title: &str, body: &str) -> Vec<Word> {
    TRIAGE.words(&issue(1, title, body)).unwrap()
}

/// Text of an issue, of words as they are in any language: a few are everywhere, most are rare.
struct Writer(dice::Dice);

impl Writer {
    fn word(&mut self) -> String {
        // The nth word is as frequent as 1/n, as Zipf has it. Real text is easier: it always has new words, and here the
        // rarest one stands in a handful of 50,000 issues.
        let n = f64::powf(60_000.0, self.0.below(1 << 30) as f64 / (1 << 30) as f64) as usize;
        // Three syllables of 76, others for each word; none ends as a word of a language does.
        let (consonants, vowels) = ("bcdfghjklmnpqrstvwz", "aiou");
        let mut rest = n * 7_919 % 438_976;
        let mut word = String::new();
        for _ in 0..3 {
            word.extend(consonants.chars().nth(rest % 19));
            word.extend(vowels.chars().nth(rest / 19 % 4));
            rest /= 76;
        }
        word
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn issue(&mut self) -> (String, String) {
        let (title, text) = (self.text(7), self.text(90));
        (title, format!("### What happened\n\n{text}\n\n### Version\n\n1.2"))
    }
}

struct Tracker {
    _folder: TempDir,
    store: Store,
}

impl Tracker {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t.db"), 8, OpenMode::Exclusive).unwrap();
        Self { _folder: folder, store }
    }

    /// Writes and keeps that many issues; each so many gives its number and text.
    async fn fill(&self, all: u64, writer: &mut Writer) -> Vec<(u64, String, String)> {
        let (mut texts, mut filling) = (Vec::new(), Vec::new());
        for number in 1..=all {
            let (title, body) = writer.issue();
            let words = TRIAGE.words(&issue(number, &title, &body)).unwrap();
            filling.push(self.keep(number, words));
            if filling.len() == AT_ONCE || number == all {
                futures_util::future::join_all(filling.drain(..)).await;
                // What must be on the disk folds the log back, as every evaluation does.
                self.store.probe().await.unwrap();
            }
            if number % (all / TIMES as u64) == 0 {
                texts.push((number, title, body));
            }
        }
        texts
    }

    /// How many bytes are on the disk in the end.
    async fn close(&self) -> u64 {
        self.store.close().await.unwrap();
        let size = |end: &str| {
            let file = format!("{}{end}", self.store.place());
            std::fs::metadata(file).map_or(0, |file| file.len())
        };
        size("") + size("-wal")
    }

    async fn keep(&self, number: u64, words: Vec<Word>) {
        self.store.keep_wording(at(number), Some(words), None).await.unwrap();
    }

    async fn ask(&self, number: u64, words: Vec<Word>) -> Neighbours {
        let closed_since = from_millis(0);
        self.store.neighbours(Lookup { repo: REPO, number, words, closed_since }).await.unwrap()
    }

    async fn finds(&self, number: u64, words: &[Word], other: u64) -> bool {
        let found = self.ask(number, words.to_vec()).await;
        found.issues.iter().any(|one| one.number == other)
    }
}

/// How long something took, each time.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    async fn of<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.0.push(began.elapsed());
        done
    }

    /// A machine does other things as well, which the slower half and the mean show.
    fn median(&self) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.0.iter().sum::<Duration>() / self.0.len() as u32;
        write!(f, "{:.2?} (mean {mean:.2?})", self.median())
    }
}

/// Which issue is said to be the same as one.
fn held(issue: &Issue, among: &Neighbours) -> Option<u64> {
    let place = format!("acme/widgets#{}", issue.number).parse().unwrap();
    match TRIAGE.duplicate(issue, &place, among)? {
        Reason::Duplicate { of, .. } => Some(of.number),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_copy_among_fifty_thousand_is_found_in_two_milliseconds() {
    let tracker = Tracker::empty();
    let mut writer = Writer(dice::Dice(16));
    let all = issues();
    let texts = tracker.fill(all, &mut writer).await;
    let (mut kept, mut asked) = (Times::default(), Times::default());
    let (mut compared, mut missed, mut wrong) = (0, Vec::new(), Vec::new());
    for (number, (of, title, body)) in (all + 1..).step_by(2).zip(texts) {
        // A copy with other words at its end, and of the third part none of its first ones.
        let copy = format!("{} {}", &body[body.len() / 3..], writer.text(20));
        let (other_title, other) = writer.issue();
        let asks = [issue(number, &title, &copy), issue(number + 1, &other_title, &other)];
        for (issue, expected) in asks.into_iter().zip([Some(of), None]) {
            let words = TRIAGE.words(&issue).unwrap();
            kept.of(tracker.keep(issue.number, words.clone())).await;
            let among = asked.of(tracker.ask(issue.number, words)).await;
            compared += usize::from(among.issues.iter().any(|one| Some(one.number) == expected));
            match held(&issue, &among) {
                found if found == expected => {}
                None => missed.push(of),
                found => wrong.push((issue.number, found)),
            }
        }
    }
    println!(
        "{all} issues: kept in {kept}, looked up in {asked}, {} MB; of {TIMES} copies {compared} compared, {} held",
        tracker.close().await >> 20,
        TIMES - missed.len()
    );
    assert!(wrong.is_empty(), "held though nothing says the same, or for another one: {wrong:?}");
    let found = TIMES - missed.len();
    assert!(found >= least_found(), "{found} of {TIMES} copies are found; not those of {missed:?}");
    let limit = if cfg!(debug_assertions) { WITHIN_UNOPTIMISED } else { WITHIN };
    assert!(
        kept.median() < limit && asked.median() < limit,
        "kept in {kept}, looked up in {asked}"
    );
}

#[tokio::test]
async fn what_is_kept_follows_the_issue() {
    let tracker = Tracker::empty();
    let first = words("Export drops the last row", "`export()` in src/export.py");
    let second = words("The map is blurry", "`tiles()` in `map.py`");
    tracker.keep(1, first.clone()).await;
    assert!(tracker.finds(2, &first, 1).await);
    assert!(!tracker.finds(1, &first, 1).await, "an issue is not compared with itself");
    // Edited: it is found by what it says now.
    tracker.keep(1, second.clone()).await;
    assert!(!tracker.finds(2, &first, 1).await && tracker.finds(2, &second, 1).await);
    // Of another repository nothing is found, and nothing of a newer issue.
    let lookup = Lookup { repo: 8, number: 2, words: second.clone(), closed_since: from_millis(0) };
    assert!(tracker.store.neighbours(lookup).await.unwrap().issues.is_empty());
    tracker.keep(3, first.clone()).await;
    assert!(!tracker.finds(2, &first, 3).await);
    tracker.store.keep_wording(at(1), None, None).await.unwrap();
    assert!(!tracker.finds(2, &second, 1).await);
}

#[tokio::test]
async fn closed_issues_are_compared_for_a_while_and_then_forgotten() {
    let (tracker, said) = (Tracker::empty(), words("Export drops the last row", "`export()`"));
    let day = |day: i64| Timestamp::default() + TimeDelta::days(day);
    for number in 1..=20 {
        let closed_at = (number % 2 == 0).then_some(day(number as i64));
        tracker.store.keep_wording(at(number), Some(said.clone()), closed_at).await.unwrap();
    }
    let since = |closed_since| Lookup { repo: REPO, number: 21, words: said.clone(), closed_since };
    let found = tracker.store.neighbours(since(day(18))).await.unwrap();
    let closed: Vec<_> = found.issues.iter().filter_map(|one| one.closed_at).collect();
    assert_eq!(closed.iter().min(), Some(&day(18)), "{closed:?}");
    let mut removed = 0;
    loop {
        match tracker.store.prune_wordings(Some(day(18))).await.unwrap() {
            0 => break,
            some => removed += some,
        }
    }
    assert_eq!(removed, 8);
    let left = tracker.ask(21, said.clone()).await.issues;
    assert!(!left.is_empty());
    assert!(left.iter().all(|one| one.number % 2 == 1 || one.number >= 18), "{left:?}");
    while tracker.store.prune_wordings(None).await.unwrap() > 0 {}
    assert!(tracker.ask(21, said).await.issues.is_empty());
}

#[test]
fn a_megabyte_takes_no_longer_than_its_length_explains() {
    let time = |part: &str, bytes: usize, times: usize| {
        let text = part.repeat(bytes / part.len());
        let issue = issue(1, &text, &text);
        let took = (0..times).map(|_| {
            let began = processor_time();
            TRIAGE.words(&issue).unwrap();
            processor_time() - began
        });
        took.min().unwrap()
    };
    let parts = [
        "a",
        "登录",
        "a/b:c ",
        "x_y.z ",
        "### a\n",
        "error: b\n",
        "```\nfail\n```\n",
        "> - `a\n",
        "\u{301}é-",
    ];
    for part in parts {
        // Twenty times as long.
        let (small, large) = (time(part, 50_000, 3), time(part, 1_000_000, 1));
        assert!(large < small * 50 + Duration::from_millis(20), "{part:?}: {small:?}, {large:?}");
    }
}

/// Issues as people wrote them, of which hardly two are the same report.
#[tokio::test]
#[ignore = "reads issues that are not part of the project: `SIMILAR_IN=a.jsonl:b.jsonl cargo test --test similar -- --ignored --nocapture`"]
async fn distinct_issues_are_not_taken_for_the_same() {
    for file in std::env::var("SIMILAR_IN").expect("files of issues, one a line").split(':') {
        let (tracker, mut held) = (Tracker::empty(), Vec::new());
        let lines = std::fs::read_to_string(file).unwrap();
        let read =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["issue"].take();
        let issues: Vec<_> = lines.lines().map(read).collect();
        for (number, read) in (1..).zip(&issues) {
            let text = |key: &str| read[key].as_str().unwrap_or_default();
            let issue = issue(number, text("title"), text("body"));
            let Some(words) = TRIAGE.words(&issue) else { continue };
            tracker.keep(number, words.clone()).await;
            let among = tracker.ask(number, words).await;
            let place = format!("acme/widgets#{number}").parse().unwrap();
            held.extend(TRIAGE.duplicate(&issue, &place, &among).map(|why| (issue.title, why)));
        }
        println!("{file}: {} of {} are held: {held:#?}", held.len(), issues.len());
        assert!(held.len() * 50 <= issues.len());
    }
}

//! Scores a file of issues and walks a bare automaton of the same words over the same text, which is the least that any
//! one-pass scoring costs. Prints one JSON object: µs an issue for both. `benches/goals` gives the file.

#![expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::time::Instant;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, StartKind};
use gitea_triage::clock::Timestamp;
use gitea_triage::gitea::issue_from_json;
use gitea_triage::issue::Issue;
use gitea_triage::triage::{Policy, Triage};

/// How often the file is gone through; the fastest time counts, for nothing makes a computation faster than it is.
const PASSES: usize = 7;
/// The characters beyond ASCII that the scoring also has to look for.
const FOLDS_ONTO_ASCII: [&str; 4] = ["ſ", "\u{212a}", "İ", "ı"];

fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(path) = named else {
        println!("corpus: give a file of issues, one JSON object a line, as `benches/goals` does");
        return;
    };
    let issues = read(&path);
    let policy = Policy::default();
    let scan = automaton(&policy);
    let triage = Triage::new(policy).expect("a valid policy");
    let now = Timestamp::from_timestamp(1_774_267_200, 0);
    let now = now.expect("a valid time");
    let (mut verdicts, mut scans) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..PASSES {
        verdicts = verdicts.min(time(&issues, |issue| {
            black_box(triage.verdict(black_box(issue), now));
        }));
        scans = scans.min(time(&issues, |issue| {
            black_box(walk(&scan, &issue.title) + walk(&scan, &issue.body));
        }));
    }
    let report =
        serde_json::json!({"issues": issues.len(), "verdict_us": verdicts, "scan_us": scans});
    println!("{report}");
}

fn read(path: &str) -> Vec<Issue> {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let values = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    values.map(|value| issue_from_json(&value).expect("an issue")).collect()
}

/// µs an issue.
fn time(issues: &[Issue], mut work: impl FnMut(&Issue)) -> f64 {
    let began = Instant::now();
    issues.iter().for_each(&mut work);
    began.elapsed().as_secs_f64() * 1e6 / issues.len() as f64
}

/// The states one text leads through; how many of them are matches, so that the walk is not optimised away.
fn walk(automaton: &DFA, text: &str) -> usize {
    let mut state = automaton.start_state(Anchored::No).expect("an unanchored automaton");
    let mut matches = 0;
    for byte in text.bytes() {
        state = automaton.next_state(Anchored::No, state, byte);
        matches += usize::from(automaton.is_special(state));
    }
    matches
}

fn automaton(policy: &Policy) -> DFA {
    let (scope, acceptance) = (&policy.scope, &policy.acceptance);
    let lists = [
        &scope.file_terms,
        &scope.function_terms,
        &acceptance.terms,
        &acceptance.test_terms,
        &acceptance.section_terms,
        &policy.blocked_terms,
    ];
    let terms = lists.into_iter().flatten().map(|term| longest_text(term));
    let words = policy.task_types.iter().flat_map(|task| &task.words).map(String::as_str);
    let mut needles: Vec<&str> = terms.chain(words).chain(FOLDS_ONTO_ASCII).collect();
    needles.sort_unstable();
    needles.dedup();
    aho_corasick::dfa::Builder::new()
        .ascii_case_insensitive(true)
        .start_kind(StartKind::Unanchored)
        .prefilter(false)
        .build(needles)
        .expect("a small automaton")
}

/// The longest plain text of a term such as `` `{word}()` ``.
fn longest_text(term: &str) -> &str {
    let texts = term.split('{').map(|part| part.split_once('}').map_or(part, |(_, text)| text));
    texts.max_by_key(|text| text.len()).unwrap_or(term)
}

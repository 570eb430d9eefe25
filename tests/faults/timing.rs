//! Whether the time a signature takes to be refused tells how much of it was right.

use std::time::Instant;

use gitea_triage::clock::Clock;
use gitea_triage::gitea::{Recording, Secret, Verifier};

use crate::program::{SECRET, scale, sign};

const BODY: &[u8] = b"{\"action\": \"opened\", \"number\": 1}";
/// Two means further apart than this many standard errors are not chance.
const SUSPICIOUS: f64 = 4.5;

/// A recorded delivery with the right signature, as its last header.
fn right() -> Recording {
    let file = format!(
        "POST /webhook HTTP/1.1\nContent-Type: application/json\nX-Gitea-Delivery: timing\nX-Gitea-Signature: {}\n\n",
        sign(SECRET, BODY)
    );
    Recording::read([file.as_bytes(), BODY].concat()).unwrap()
}

/// Another hexadecimal digit of the same sort, so that reading it is the same work.
fn other(digit: u8) -> u8 {
    match digit {
        b'0' => b'1',
        b'a' => b'b',
        _ => digit - 1,
    }
}

fn verifier() -> Verifier {
    Verifier::new(vec![Secret { key: SECRET.into(), expires: None, repos: None }])
}

/// Nanoseconds of `count` refusals of each kind: wrong in the first of `places`, or in the second. Taken in a mixed
/// order and from the same memory, because where a thing lies shows more clearly than what it holds.
fn measure(count: usize, places: [usize; 2]) -> [Vec<f64>; 2] {
    let (verifier, now) = (verifier(), Clock::System.now());
    let mut recording = right();
    let signature = recording.headers.last().unwrap().1.clone().into_bytes();
    let wrong = places.map(|place| {
        let mut wrong = signature.clone();
        wrong[place] = other(wrong[place]);
        String::from_utf8(wrong).unwrap()
    });
    let mut times = Vec::with_capacity(2 * count);
    let mut dice: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..2 * count {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let kind = usize::from(dice >> 63 == 1);
        recording.headers.last_mut().unwrap().1.replace_range(.., &wrong[kind]);
        let began = Instant::now();
        let answer = verifier.verify(&recording, recording.body.clone(), now);
        let took = began.elapsed().as_nanos() as f64;
        assert!(answer.is_err());
        times.push((kind, took));
    }
    [0, 1].map(|kind| times.iter().filter(|(k, _)| *k == kind).map(|(_, ns)| *ns).collect())
}

/// Welch's t over what is left when the slowest tenth, which is the machine's noise, is cut off.
fn t_value(times: [Vec<f64>; 2]) -> f64 {
    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let crop = all[all.len() * 9 / 10];
    let [a, b] = times.map(|t| moments(t.into_iter().filter(|ns| *ns <= crop).collect()));
    (a.0 - b.0) / (a.1 + b.1).sqrt()
}

/// Mean and squared standard error.
fn moments(times: Vec<f64>) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

#[test]
fn the_timing_of_refused_signatures_can_be_measured() {
    let t = t_value(measure(scale(1_000, 10_000), [0, 63]));
    println!("t = {t:.2}");
    assert!(t.is_finite());
}

#[test]
#[ignore = "needs a quiet machine and a release build: cargo test --release --test faults timing -- --ignored --test-threads 1"]
fn the_time_of_a_refusal_does_not_tell_where_a_signature_is_wrong() {
    // What the measurement shows where there is nothing to see, so that it is known to be worth something.
    let nothing = t_value(measure(100_000, [0, 0]));
    let t = t_value(measure(100_000, [0, 63]));
    println!("t = {t:.2}, with nothing to see {nothing:.2}");
    assert!(nothing.abs() < SUSPICIOUS, "the machine is too busy to measure: t = {nothing:.2}");
    assert!(t.abs() < SUSPICIOUS, "t = {t:.2}");
}

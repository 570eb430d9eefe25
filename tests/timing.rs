//! Whether the time a signature takes to be refused tells how much of it was right. Worth most on a build like that of
//! a release: `cargo test --profile bench --test timing`.
//!
//! A machine that does other things as well blurs what is measured: both kinds of refusal are drawn in a mixed order,
//! the slowest are cut off, and only what shows three times in a row is taken for real. That a comparison which does
//! tell is found all the same is tested beside it, in the same way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::hint::black_box;
use std::time::Instant;

use gitea_triage::clock::Clock;
use gitea_triage::gitea::{Recording, Secret, Verifier};
use hmac::{Hmac, KeyInit as _, Mac as _};

const SECRET: &str = "timing-secret";
const BODY: &[u8] = b"{\"action\": \"opened\", \"number\": 1}";
/// Two means further apart than this many standard errors are not chance.
const SUSPICIOUS: f64 = 4.5;
/// How often it has to be seen before it is believed.
const TIMES: usize = 3;

/// Refusals of each kind: a hundred thousand for a release.
fn samples() -> usize {
    let is_full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    if is_full { 100_000 } else { 20_000 }
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A recorded delivery with the right signature, as its last header.
fn right() -> Recording {
    let file = format!(
        "POST /webhook HTTP/1.1\nContent-Type: application/json\nX-Gitea-Delivery: timing\nX-Gitea-Signature: {}\n\n",
        sign(BODY)
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

/// How a delivery is refused.
type Refuse<'a> = &'a dyn Fn(&Recording) -> bool;

/// Nanoseconds of refusals of each kind: wrong in the first of `places`, or in the second. Taken in a mixed order and
/// from the same memory, because where a thing lies shows more clearly than what it holds.
fn measure(refuse: Refuse<'_>, places: [usize; 2]) -> [Vec<f64>; 2] {
    let (mut recording, mut times) = (right(), [Vec::new(), Vec::new()]);
    let signature = recording.headers.last().unwrap().1.clone().into_bytes();
    let wrong = places.map(|place| {
        let mut wrong = signature.clone();
        wrong[place] = other(wrong[place]);
        String::from_utf8(wrong).unwrap()
    });
    let mut dice: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..2 * samples() {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let kind = usize::from(dice >> 63 == 1);
        recording.headers.last_mut().unwrap().1.replace_range(.., &wrong[kind]);
        let began = Instant::now();
        let is_refused = refuse(black_box(&recording));
        times[kind].push(began.elapsed().as_nanos() as f64);
        assert!(is_refused);
    }
    times
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

/// Whether refusing tells where a signature is wrong: each of the measurements says so, and the same way round.
fn tells(what: &str, refuse: Refuse<'_>) -> bool {
    let mut seen = Vec::new();
    for _ in 0..TIMES {
        let t = t_value(measure(refuse, [0, 63]));
        println!("{what}: t = {t:.2} over {} refusals of each kind", samples());
        if t.abs() < SUSPICIOUS {
            return false;
        }
        seen.push(t.signum());
    }
    seen.iter().all(|sign| *sign == seen[0])
}

fn refuse(recording: &Recording) -> bool {
    let verifier = Verifier::new(vec![Secret { key: SECRET.into(), expires: None, repos: None }]);
    verifier.verify(recording, recording.body.clone(), Clock::System.now()).is_err()
}

/// Refuses as the program does, and then compares once more as one must not: byte after byte, up to the first that is
/// wrong.
fn refuse_and_tell(recording: &Recording, right: &[u8]) -> bool {
    let given = recording.headers.last().unwrap().1.as_bytes();
    let is_equal = given.iter().zip(right).all(|(a, b)| black_box(a) == black_box(b));
    refuse(recording) && !is_equal
}

#[test]
fn the_time_of_a_refusal_does_not_tell_where_a_signature_is_wrong() {
    assert!(!tells("as it is", &refuse), "the time tells how much of a signature is right");
}

#[test]
fn a_comparison_that_stops_at_the_first_wrong_byte_is_found() {
    let signature = sign(BODY).into_bytes();
    let telling = |recording: &Recording| refuse_and_tell(recording, &signature);
    assert!(tells("byte after byte", &telling), "nothing is found where there is something");
}

#[test]
fn what_differs_by_more_than_chance_is_told_from_what_does_not() {
    let alike = |n: usize| (0..1_000).map(|i| ((i * 7 + n) % 10) as f64).collect::<Vec<_>>();
    assert!(t_value([alike(0), alike(3)]).abs() < SUSPICIOUS);
    let later = alike(0).into_iter().map(|ns| ns + 3.0).collect();
    assert!(t_value([alike(0), later]).abs() > SUSPICIOUS);
}

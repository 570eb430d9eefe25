//! Whether the time a signature takes to be refused tells how much of it was right. Worth most on a build like that of
//! a release: `cargo test --profile bench --test timing`.
//!
//! A machine that does other things as well blurs what is measured. So the two kinds of refusal are timed in pairs, one
//! right after the other and in a random order, and of each pair only counts which took longer: a slow moment falls on
//! both or is one vote among thousands. Only what shows three times in a row is taken for real. That a comparison which
//! does tell is found all the same is tested beside it, in the same way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::cmp::Ordering;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gitea_triage::clock::Clock;
use gitea_triage::gitea::{Recording, Secret, Verifier};
use hmac::{Hmac, KeyInit as _, Mac as _};

const SECRET: &str = "timing-secret";
const BODY: &[u8] = b"{\"action\": \"opened\", \"number\": 1}";
/// Votes further from even than this many standard errors are not chance.
const SUSPICIOUS: f64 = 4.5;
/// How often it has to be seen before it is believed.
const TIMES: usize = 3;
/// One measurement at a time: the tests of this program would blur each other's.
static MEASURING: Mutex<()> = Mutex::new(());

/// Pairs of refusals: a hundred thousand for a release.
fn pairs() -> usize {
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

/// How long the refusals of each pair took: wrong in the first of `places`, and in the second. They are read from the
/// same memory, because where a thing lies shows more clearly than what it holds.
fn measure(refuse: Refuse<'_>, places: [usize; 2]) -> Vec<[Duration; 2]> {
    let mut recording = right();
    let signature = recording.headers.last().unwrap().1.clone().into_bytes();
    let wrong = places.map(|place| {
        let mut wrong = signature.clone();
        wrong[place] = other(wrong[place]);
        String::from_utf8(wrong).unwrap()
    });
    let mut dice: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut pair = || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let first = usize::from(dice >> 63 == 1);
        let mut took = [Duration::ZERO; 2];
        for kind in [first, 1 - first] {
            recording.headers.last_mut().unwrap().1.replace_range(.., &wrong[kind]);
            let began = Instant::now();
            let is_refused = refuse(black_box(&recording));
            took[kind] = began.elapsed();
            assert!(is_refused);
        }
        took
    };
    (0..pairs()).map(|_| pair()).collect()
}

/// How many standard errors the votes are from even: the sign test, in which a pair that took equally long has no vote.
fn z_value(pairs: &[[Duration; 2]]) -> f64 {
    let votes = |way: Ordering| pairs.iter().filter(|[a, b]| a.cmp(b) == way).count() as f64;
    let (longer, shorter) = (votes(Ordering::Greater), votes(Ordering::Less));
    (longer - shorter) / (longer + shorter).max(1.0).sqrt()
}

/// Whether refusing tells where a signature is wrong: each of the measurements says so, and the same way round.
fn tells(what: &str, refuse: Refuse<'_>) -> bool {
    let _alone = MEASURING.lock();
    let mut seen = Vec::new();
    for _ in 0..TIMES {
        let z = z_value(&measure(refuse, [0, 63]));
        println!("{what}: z = {z:.2} over {} pairs of refusals", pairs());
        if z.abs() < SUSPICIOUS {
            return false;
        }
        seen.push(z.signum());
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
    let ns = Duration::from_nanos;
    let pairs = |later: u64| (0..900).map(|i| [ns(i % 30), ns(i / 30 + later)]).collect::<Vec<_>>();
    assert!(z_value(&pairs(0)).abs() < SUSPICIOUS);
    assert!(z_value(&pairs(5)) < -SUSPICIOUS);
    assert!(z_value(&[]).abs() < SUSPICIOUS);
}

//! Strangers do all at once what they can, beside ten genuine deliveries a second: none of these is lost or late, memory
//! stays within the limits that ship, and the log stays short. Half a minute in a usual run; `benches/hostile.sh` takes
//! minutes or an hour. Loopback only, with a fixed number of senders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::group::{Group, shipped};
use crate::program::{Limit, Program, SECRET, Stage, bug, delivery, push_payload, sign, until};

/// How long it goes on, in seconds.
const SECONDS: &str = "GITEA_TRIAGE_HOSTILE_S";
const USUAL_S: u64 = 30;
/// Between two genuine deliveries.
const HONEST_EVERY: Duration = Duration::from_millis(100);
const HONEST_P99: Limit = Limit::millis(1_000, 4_000);
/// What the start, the end, and the work on issues may write into the log beside a line a second.
const OTHER_LINES: usize = 10;
/// A large issue, and how many there are.
const LARGE: (usize, usize) = (640 * 1024, 4);

/// What the senders share.
#[derive(Clone)]
struct Target {
    address: Arc<str>,
    until: Instant,
}

impl Target {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Connects and sends this; what is not taken in time is not sent. The connection stays open for `stay`.
    async fn send(&self, bytes: &[u8], stay: Duration) {
        let Ok(mut stream) = TcpStream::connect(&*self.address).await else { return };
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(bytes)).await;
        tokio::time::sleep(stay.min(self.until.saturating_duration_since(Instant::now()))).await;
    }
}

/// What one sender sends again and again, and how long it stays each time.
struct Attack {
    senders: usize,
    bytes: Vec<u8>,
    stay: Duration,
}

fn attacks() -> Vec<Attack> {
    let start = |length: usize| {
        format!(
            "POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let stalled = [start(65_536).into_bytes(), vec![b'x'; 65_000]].concat();
    let large = [start(10 << 20).into_bytes(), vec![b'x'; 4 << 20]].concat();
    let forged = "POST /webhook HTTP/1.1\r\nhost: x\r\nx-gitea-delivery: 1\r\nx-gitea-signature: 00\r\ncontent-length: 2\r\n\r\n{}";
    let sign_in = "GET /sign-in/callback?code=x&state=y HTTP/1.1\r\nhost: x\r\n\r\n";
    let token = "POST /sign-in/token HTTP/1.1\r\nhost: x\r\norigin: http://x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 7\r\n\r\ntoken=x";
    let cookie = "GET / HTTP/1.1\r\nhost: x\r\ncookie: gitea_triage_session=nonsense\r\n\r\n";
    let report =
        "POST /dispatches/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".repeat(2_000);
    let one = |senders, bytes: &[u8], stay_ms| Attack {
        senders,
        bytes: bytes.to_vec(),
        stay: Duration::from_millis(stay_ms),
    };
    vec![
        one(20, report.as_bytes(), 2_000),
        one(700, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 20_000),
        one(300, b"GET / HTTP/1.1\r\nhost: x\r\n", 20_000),
        one(300, &stalled, 5_000),
        one(4, &large, 500),
        one(2, forged.as_bytes(), 50),
        one(2, sign_in.as_bytes(), 50),
        one(2, cookie.as_bytes(), 50),
        one(1, token.as_bytes(), 100),
        one(1, b"\x16\x03\x01 no http at all\r\n\r\n", 100),
    ]
}

fn attack(target: &Target) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for attack in attacks() {
        let attack = Arc::new(attack);
        for _ in 0..attack.senders {
            let (target, attack) = (target.clone(), Arc::clone(&attack));
            senders.spawn(async move {
                while !target.is_over() {
                    target.send(&attack.bytes, attack.stay).await;
                }
            });
        }
    }
    senders
}

/// Somebody without rights gives commands, and edits large issues.
async fn trouble_on_the_forge(stage: &Stage, target: Target) {
    let at = stage.open(1);
    let large = std::iter::repeat_with(|| {
        let body = format!("{}\n{}", bug(2).body, "large ".repeat(LARGE.0 / 6));
        stage.gitea.open_issue(&stage.repo, gitea_triage::fake_gitea::NewIssue { body, ..bug(2) })
    });
    let large: Vec<_> = large.take(LARGE.1).collect();
    let mut beat = tokio::time::interval(Duration::from_secs(5));
    for turn in 0.. {
        beat.tick().await;
        if target.is_over() {
            return;
        }
        stage.gitea.comment(&at, "mallory", &format!("/triage hold\n{turn}"));
        stage.gitea.comment(&large[turn % LARGE.1], "mallory", "one more");
    }
}

/// Somebody begins to sign in, and comes back with a code that the forge never gave.
async fn forged_sign_ins(program: &Program, target: Target) {
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let mut beat = tokio::time::interval(HONEST_EVERY);
    while !target.is_over() {
        beat.tick().await;
        // Connections are cut, and answers refused; whoever attacks tries again.
        let Ok(answer) = http.get(program.url("/sign-in/gitea")).send().await else { continue };
        let header = |name: &str| answer.headers().get(name).and_then(|h| h.to_str().ok());
        let (Some(to), Some(cookie)) = (header("location"), header("set-cookie")) else { continue };
        let state = to.split(['&', '?']).find_map(|part| part.strip_prefix("state="));
        let state = state.unwrap_or_default();
        let back = program.url(&format!("/sign-in/callback?code=forged&state={state}"));
        let cookie = cookie.split(';').next().unwrap_or_default();
        let _ = http.get(back).header("cookie", cookie).send().await;
    }
}

/// Sends genuine deliveries at their pace, as the forge does: over connections that are kept. How long each took.
async fn honest(program: &Program, target: Target) -> Vec<Duration> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut beat = tokio::time::interval(HONEST_EVERY);
    let mut sent = JoinSet::new();
    for number in 0.. {
        beat.tick().await;
        if target.is_over() {
            break;
        }
        let request = delivery(&http, &program.url("/webhook"), push_payload(number, 3_000));
        sent.spawn(async move {
            let began = Instant::now();
            let answer = request.send().await.map(|answer| answer.status().as_u16());
            assert_eq!(answer.expect("an answer to a genuine delivery"), 202);
            began.elapsed()
        });
    }
    let mut took = sent.join_all().await;
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_their_worst_and_no_genuine_delivery_is_lost_or_late() {
    let seconds = std::env::var(SECONDS).ok().and_then(|s| s.parse().ok()).unwrap_or(USUAL_S);
    let mut stage = Stage::new().await;
    let (id, secret) = stage.gitea.add_oauth_application("http://127.0.0.1:0/sign-in/callback");
    stage.more += &format!("[dashboard]\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n");
    let limit = shipped();
    let group = Group::new(limit);
    let mut program = stage.start_with(|command| {
        command.env("GITEA_TRIAGE__DASHBOARD__TOKEN", "a-token-of-some-length");
        command.env("GITEA_TRIAGE__SWEEP__EVERY", "10s");
        group.enter(command);
    });
    let before = program.log().len();
    let until_then = Instant::now() + Duration::from_secs(seconds);
    let target = Target { address: program.address().into(), until: until_then };
    let senders = attack(&target);
    let (took, (), ()) = tokio::join!(
        honest(&program, target.clone()),
        trouble_on_the_forge(&stage, target.clone()),
        forged_sign_ins(&program, target)
    );
    senders.join_all().await;

    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    println!(
        "{seconds} s: {} genuine deliveries, p99 {p99:?}, the slowest {:?}",
        took.len(),
        took[took.len() - 1]
    );
    assert!(p99 <= HONEST_P99.here(), "a genuine delivery took {p99:?}");
    let half = took[took.len() / 2];
    assert!(half <= HONEST_P99.release, "half of the genuine deliveries took {half:?}");
    until("every genuine delivery in the store", crate::program::PATIENCE, async || {
        // Those that concern no issue; what the forge sends beside them does.
        let kept = stage.count("SELECT count(*) FROM delivery WHERE lane IS NULL");
        kept >= i64::try_from(took.len()).unwrap()
    })
    .await;
    group.assert_within(&mut program, limit);
    let lines = program.log().split_off(before);
    println!("{} lines in the log", lines.len());
    let allowed = usize::try_from(seconds).unwrap() + OTHER_LINES;
    assert!(lines.len() <= allowed, "{} lines: {:#?}", lines.len(), &lines[..40.min(lines.len())]);
    assert!(!lines.iter().any(|line| line.contains(SECRET) || line.contains(&sign(SECRET, b"{}"))));
}

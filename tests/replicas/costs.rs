//! What deliveries and decisions cost on three replicas at the highest rate that this machine allows: the figures from
//! which the sizes in `docs/src/scaling.md` are computed. A short run only shows that they can be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::program::{Program, delivery, scale};

/// Senders at once.
const SENDERS: usize = 32;
/// A push, as Gitea tells of it.
const PUSH: &str = include_str!("../../fixtures/42-push-branch-a.http");

/// What the server and the forge have done so far.
#[derive(Clone, Copy)]
struct Spent {
    transactions: i64,
    log_bytes: i64,
    requests: i64,
    /// Time of processors that the replicas used, in milliseconds.
    processor: i64,
    at: Instant,
}

impl Spent {
    /// The server tells of transactions up to a second late.
    async fn now(fleet: &Fleet, programs: &[Program]) -> Self {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let at = Instant::now();
        let transactions =
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        Self {
            transactions: fleet.count(transactions),
            log_bytes: fleet.count("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"),
            requests: i64::try_from(fleet.gitea.requests().len()).unwrap(),
            processor: programs.iter().map(processor).sum(),
            at,
        }
    }

    /// What was spent since, of each of so many.
    fn since(self, before: Self, of: f64) -> Value {
        let each = |now: i64, before: i64| round((now - before) as f64 / of);
        json!({
            "transactions": each(self.transactions, before.transactions),
            "log_bytes": each(self.log_bytes, before.log_bytes),
            "requests": each(self.requests, before.requests),
            "processor_ms": each(self.processor, before.processor),
        })
    }
}

/// The two times in `/proc/<pid>/stat`, of which Linux counts a hundred a second everywhere.
fn processor(program: &Program) -> i64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap();
    // Behind the name in parentheses, which may hold anything; these are fields 14 and 15 of all.
    let rest = stat.rsplit_once(')').unwrap().1;
    let times = rest.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<i64>().unwrap() * 10).sum()
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Sends deliveries about no issue for as long; how many were accepted.
async fn flood(programs: &[Program], length: Duration) -> u32 {
    let accepted = Arc::new(AtomicU32::new(0));
    let until = Instant::now() + length;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (_, body) = PUSH.split_once("\r\n\r\n").or(PUSH.split_once("\n\n")).unwrap();
    let senders = (0..SENDERS).map(|sender| {
        let url = programs[sender % programs.len()].url("/webhook");
        let (http, accepted) = (http.clone(), Arc::clone(&accepted));
        tokio::spawn(async move {
            while Instant::now() < until {
                let sent = delivery(&http, &url, body.into()).send().await;
                if sent.is_ok_and(|answer| answer.status() == 202) {
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    accepted.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's `postgresql`; `.ci/run` tells it"]
async fn what_it_costs_is_told() {
    let fleet = Fleet::of(3, "[sweep]\nat_start = false\n").await;
    let programs = fleet.start_all();
    fleet.are_living(3).await;
    let idle = Duration::from_secs(scale(5, 60) as u64);
    let before = Spent::now(&fleet, &programs).await;
    tokio::time::sleep(idle).await;
    let now = Spent::now(&fleet, &programs).await;
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    let idle = now.since(before, seconds * 3.0);

    let (before, length) = (now, Duration::from_secs(scale(3, 20) as u64));
    let accepted = flood(&programs, length).await;
    fleet.processed().await;
    let now = Spent::now(&fleet, &programs).await;
    let a_delivery = now.since(before, f64::from(accepted));
    let accepted_a_second = round(f64::from(accepted) / length.as_secs_f64());

    let (before, issues) = (now, scale(60, 600));
    fleet.hook(&programs[0].url(""));
    let since = Instant::now();
    for number in 0..issues {
        fleet.open(number);
    }
    fleet.processed().await;
    let decided_a_second = round(issues as f64 / since.elapsed().as_secs_f64());
    let now = Spent::now(&fleet, &programs).await;
    let deliveries = fleet.accepted().len();
    let an_issue = now.since(before, issues as f64);
    let bytes = fleet.count("SELECT pg_database_size(current_database())");
    let kept = fleet.count("SELECT count(*) FROM delivery");
    let connections =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gitea-triage'";
    let memory = programs.iter().map(|program| program.memory("VmHWM") / (1 << 20));
    let report = json!({
        "a_second_of_an_idle_replica": idle,
        "accepted_a_second": accepted_a_second,
        "a_delivery": a_delivery,
        "decided_a_second": decided_a_second,
        "an_issue": an_issue,
        "deliveries_of_an_issue": round(deliveries as f64 / issues as f64),
        "bytes_a_delivery": bytes / kept.max(1),
        "connections_of_a_replica": fleet.count(connections) / 3,
        "memory_of_each_mib": memory.collect::<Vec<_>>(),
    });
    println!("{report:#}");
    assert!(accepted > 0 && fleet.lost().is_empty(), "{:?}", fleet.lost());
    // Each is told by the others and looks by itself now and then; more would be polling.
    let at_rest = report["a_second_of_an_idle_replica"]["transactions"].as_f64().unwrap();
    assert!(at_rest < 10.0, "an idle replica makes {at_rest} transactions a second");
}

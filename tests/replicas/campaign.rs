//! The crash campaign of three replicas behind a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gitea_triage::fake_gitea::FakeGitea;
use gitea_triage::issue::IssueRef;

use crate::cluster::{kill, not_tried};
use crate::dice::{self, Dice};
use crate::fleet::{Fleet, Proxy, is_caddy_installed};
use crate::program::{PATIENCE, Program, bug, scale, until};

const REPLICAS: usize = 3;
/// Between two changes on the forge: 50 a second.
const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// A summary is due at once, and on as many services as there are.
const SUMMARY_IS_DUE: &str =
    "INSERT INTO fact VALUES ('summaries_since', '2026-01-01T00:00:00+00:00')
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Changes issues on the forge, 50 times a second, until told to stop.
async fn change(fleet: Arc<Fleet>, seed: u64, stop: Arc<AtomicBool>) {
    let (mut dice, mut issues) = (Dice(seed ^ 0x5EED), Vec::<IssueRef>::new());
    let gitea: &FakeGitea = &fleet.gitea;
    let mut beat = tokio::time::interval(CHANGE_EVERY);
    while !stop.load(Ordering::SeqCst) {
        beat.tick().await;
        // One change in three opens an issue.
        let pick = if dice.below(3) == 0 { issues.len() } else { dice.below(issues.len() + 1) };
        match issues.get(pick) {
            None => issues.push(gitea.open_issue(&fleet.repo, bug(issues.len()))),
            Some(at) if dice.below(2) == 0 => gitea.add_label(at, "alice", "area/app"),
            Some(at) => {
                gitea.comment(at, "alice", "any news?");
            }
        }
    }
}

/// A process of the server that works for one of the replicas.
fn backend(fleet: &Fleet, dice: &mut Dice) -> Option<u32> {
    let all = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gitea-triage'";
    let all = fleet.cluster.rows(all)?;
    (!all.is_empty()).then(|| all[dice.below(all.len())].parse().unwrap())
}

/// What was killed how often.
#[derive(Debug, Default)]
struct Killed {
    replicas: u32,
    connections: u32,
    backends: u32,
    servers: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's `postgresql` and Caddy; `.ci/run` tells it"]
async fn whoever_is_killed_nothing_is_lost_and_nothing_done_twice() {
    if !is_caddy_installed() {
        return not_tried("no Caddy");
    }
    let (kills, seed) = (scale(30, 300), dice::seed());
    let mut dice = Dice(seed);
    let more = "[sweep]\nat_start = true\n[summary]\nat = \"00:00\"\ntimezone = \"UTC\"\n";
    let fleet = Arc::new(Fleet::of(REPLICAS, more).await);
    let mut programs = fleet.start_all();
    fleet.are_living(3).await;
    fleet.cluster.rows(SUMMARY_IS_DUE).unwrap();
    let proxy = Proxy::start(&fleet).await;
    fleet.hook(&proxy.url);
    let stop = Arc::new(AtomicBool::new(false));
    let changes = tokio::spawn(change(Arc::clone(&fleet), seed, Arc::clone(&stop)));
    let mut killed = Killed::default();
    for round in 0..kills {
        tokio::time::sleep(Duration::from_millis(20 + dice.below(700) as u64)).await;
        if round == kills / 2 {
            fleet.cluster.kill();
            tokio::time::sleep(Duration::from_millis(dice.below(1_500) as u64)).await;
            until("the start of the server", PATIENCE, async || fleet.cluster.begin()).await;
            killed.servers += 1;
            continue;
        }
        match dice.below(10) {
            0..6 => {
                let replica = dice.below(REPLICAS);
                kill(programs[replica].pid());
                programs[replica] = restarted(&fleet, replica).await;
                killed.replicas += 1;
            }
            6..9 => {
                let one = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE application_name = 'gitea-triage' ORDER BY random() LIMIT 1";
                killed.connections += u32::from(fleet.cluster.rows(one).is_some());
            }
            // The server ends all others with it, and comes back by itself.
            _ => {
                if let Some(process) = backend(&fleet, &mut dice) {
                    kill(process);
                    killed.backends += 1;
                }
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    changes.await.unwrap();
    for (replica, program) in programs.iter_mut().enumerate() {
        if program.ended().is_some() {
            *program = restarted(&fleet, replica).await;
        }
    }
    // Whoever could not post it when it was due looks again after a minute.
    until("the summary", 3 * PATIENCE, async || summaries(&fleet) > 0).await;
    fleet.processed().await;
    judge(&fleet, &killed);
}

/// How many issues of ours there are.
fn summaries(fleet: &Fleet) -> usize {
    let bot = fleet.gitea.bot().login;
    fleet.gitea.issues(&fleet.repo).iter().filter(|(_, issue)| issue.author == bot).count()
}

/// A replica that is started until it finds its server, as a service manager does.
async fn restarted(fleet: &Arc<Fleet>, replica: usize) -> Program {
    loop {
        let fleet = Arc::clone(fleet);
        let started = tokio::task::spawn_blocking(move || fleet.try_start(replica));
        if let Some(program) = started.await.unwrap() {
            return program;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn judge(fleet: &Fleet, killed: &Killed) {
    let (accepted, lost, doubled) = (fleet.accepted(), fleet.lost(), fleet.doubled());
    let (issues, summaries) = (fleet.gitea.issues(&fleet.repo).len(), summaries(fleet));
    println!(
        "{killed:?}: {} deliveries accepted, {} lost, {} doubled ({} issues, {summaries} summary)",
        accepted.len(),
        lost.len(),
        doubled.len(),
        issues - summaries
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(doubled, Vec::<String>::new());
    let dead = "SELECT reason FROM delivery WHERE state = 'dead'";
    assert_eq!(fleet.cluster.rows(dead).unwrap(), Vec::<String>::new());
    let kills = killed.replicas + killed.connections + killed.backends;
    assert!(accepted.len() > kills as usize, "too little came in to prove anything");
}

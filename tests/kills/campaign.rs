//! Service and runners killed at random moments, while issues come in and people merge what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gitea_triage::fake_gitea::FakeGitea;
use gitea_triage::issue::{IssueRef, IssueState, RepoName};

use crate::dice::{self, Dice};
use crate::stage::{LEASE_S, Program, Stage, agent, pause, scale};

const RUNNERS: [&str; 2] = ["one", "two"];
/// Fewer than there are issues: a place that is lost would be missed.
const PLACES: usize = 8;

/// Merges each pull request some time after it was opened, until told to stop.
async fn merge(gitea: FakeGitea, repo: RepoName, seed: u64, stop: Arc<AtomicBool>) {
    let (mut dice, mut seen) = (Dice(seed ^ 0x5EED), BTreeMap::new());
    while !stop.load(Ordering::SeqCst) {
        for (at, view) in gitea.issues(&repo) {
            if !view.body.starts_with("Closes #") || view.state == IssueState::Closed {
                continue;
            }
            // At once, or after the run was reported: both happen.
            let wait = seen.entry(at.number).or_insert_with(|| dice.below(60));
            match wait.checked_sub(1) {
                Some(less) => *wait = less,
                None => gitea.merge(&at, "alice"),
            }
        }
        pause(20).await;
    }
}

struct Campaign {
    stage: Stage,
    dice: Dice,
    service: Program,
    runners: Vec<Program>,
    /// By what was killed.
    kills: BTreeMap<&'static str, usize>,
}

impl Campaign {
    /// Kills one of the three, and starts it again at once.
    ///
    /// The service one time in ten: each start of it lets all leases hold anew, those of the dead as well, and with every
    /// place taken by them the rest would meet no run.
    async fn kill_one(&mut self) {
        pause(50 + self.dice.below(900) as u64).await;
        let stage = &self.stage;
        let (drawn, whole) = (self.dice.below(10), self.dice.below(2));
        // A run whose runner dies five times fails, as it should: the last lease of one is left alone.
        let last = |name: &str| {
            let sql = format!(
                "SELECT count(*) FROM run WHERE state = 'leased' AND runner = '{name}' AND leases >= 4"
            );
            stage.count(&sql) > 0
        };
        let n = drawn % 2;
        let is_service = drawn == 0 || last(RUNNERS[n]);
        let what = match is_service {
            true => {
                self.service.kill();
                let verdict =
                    stage.database().query_row("PRAGMA integrity_check", [], |r| r.get(0));
                assert_eq!(verdict, Ok("ok".to_owned()));
                self.service = stage.serve().await;
                "service"
            }
            false => {
                let runner = &mut self.runners[n];
                let what = if whole == 0 { "runner" } else { "runner with all it started" };
                if whole == 0 {
                    runner.kill()
                } else {
                    runner.kill_whole(stage)
                }
                *runner = stage.run(RUNNERS[n]);
                what
            }
        };
        *self.kills.entry(what).or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_issue_gets_one_pull_request_and_nothing_is_left() {
    let (dispatches, kills, seed) = (scale(20, 100), scale(20, 200), dice::seed());
    let began = Instant::now();
    let names = RUNNERS.map(str::to_owned);
    let stage = Stage::with(&names, &(agent(PLACES, LEASE_S) + "[sweep]\nevery = \"5s\"\n")).await;
    RUNNERS.iter().for_each(|name| stage.make_runner(name, stage.port, "busy"));
    let service = stage.serve().await;
    let swept = "SELECT count(*) FROM sweep WHERE first_at IS NOT NULL";
    stage.wait_for(|| (stage.count(swept) == 0).then(|| "no sweep".into())).await;
    let runners = RUNNERS.map(|name| stage.run(name)).into();
    let stop = Arc::new(AtomicBool::new(false));
    let (gitea, repo) = (stage.gitea.clone(), stage.repo.clone());
    let people = tokio::spawn(merge(gitea, repo, seed, Arc::clone(&stop)));
    let mut campaign =
        Campaign { stage, dice: Dice(seed), service, runners, kills: BTreeMap::new() };
    let mut issues = Vec::new();
    for kill in 0..kills {
        while issues.len() * kills <= kill * dispatches && issues.len() < dispatches {
            issues.push(campaign.stage.open_issue(issues.len() + 1));
        }
        campaign.kill_one().await;
    }
    let Campaign { stage, service, runners, kills, .. } = campaign;
    stage.wait_for(|| left(&stage, &issues)).await;
    stop.store(true, Ordering::SeqCst);
    people.await.unwrap();
    runners.into_iter().for_each(Program::stop);
    println!("killed: {kills:?}; {} s", began.elapsed().as_secs());
    judge(&stage, &issues);
    service.stop();
}

fn left(stage: &Stage, issues: &[IssueRef]) -> Option<String> {
    let open: Vec<_> =
        issues.iter().filter(|at| !stage.is_closed(at)).map(|at| at.number).collect();
    if open.is_empty() {
        stage.unfinished().or_else(|| stage.kept())
    } else {
        Some(format!("{open:?} are open"))
    }
}

fn judge(stage: &Stage, issues: &[IssueRef]) {
    let everything = stage.everything();
    let leases = stage.count("SELECT sum(epoch) FROM run");
    let most = stage.count("SELECT max(epoch) FROM run");
    println!("{} issues, {leases} leases, at most {most} of one run", issues.len());
    for at in issues {
        let pulls: Vec<_> = stage.pulls_of(at.number).into_iter().map(|(at, _)| at).collect();
        assert_eq!(pulls.len(), 1, "{at} has {pulls:?}\n{everything}");
    }
    let opened = stage.gitea.writes().into_iter();
    let opened = opened.filter(|r| r.path.ends_with("/pulls") && r.status == 201).count();
    assert_eq!(opened, issues.len(), "{everything}");
    // One branch for each issue, with the work of one run.
    let branches = stage.branches();
    let of = |branch: &String| -> u64 {
        let rest = branch.strip_prefix("triage/").unwrap();
        rest.split('-').next().unwrap().parse().unwrap()
    };
    let distinct: BTreeSet<u64> = branches.iter().map(of).collect();
    assert_eq!((distinct.len(), branches.len()), (issues.len(), issues.len()), "{branches:?}");
    for branch in &branches {
        assert_eq!(stage.commits(branch), [format!("Work on #{}", of(branch))], "{everything}");
    }
    let fought = "SELECT count(*) FROM run WHERE message LIKE '%somebody else%' OR message LIKE '%knows nothing%'";
    assert_eq!(stage.count(fought), 0, "{everything}");
    let bad = stage.count("SELECT count(*) FROM dispatch WHERE state <> 'completed'");
    assert_eq!(bad, 0, "{everything}");
    for name in RUNNERS {
        let log = stage.log(name);
        assert!(!log.contains("`git push` failed"), "a push was refused\n{log}");
        assert_eq!(stage.workspaces(name), Vec::<String>::new(), "{name}");
        assert!(stage.processes(name).is_empty(), "{:?}", stage.processes(name));
    }
}

//! The crash campaign: the real program over a real database is killed at random moments while deliveries come in,
//! and started again. At the end nothing that was accepted is lost, and nothing was done twice.
//!
//! 50 kills in a usual run; `GITEA_TRIAGE_TEST_SCALE=full` makes it 500. `GITEA_TRIAGE_TEST_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod dice;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dice::Dice;
use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::RepoName;

const SECRET: &str = "campaign-secret";
/// Between two changes on the forge: 50 a second.
const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// How long the last program may take to work all off.
const PATIENCE: Duration = Duration::from_secs(120);

struct Campaign {
    gitea: FakeGitea,
    repo: RepoName,
    folder: tempfile::TempDir,
    port: u16,
}

impl Campaign {
    async fn new() -> Self {
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "claude", "write");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gitea.set_hook(&format!("http://127.0.0.1:{port}/webhook"), SECRET);
        let campaign = Self { gitea, repo, folder: tempfile::tempdir().unwrap(), port };
        std::fs::write(campaign.path("config.toml"), campaign.config()).unwrap();
        campaign
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/widgets\"]\n\
             [server]\nlisten = \"127.0.0.1:{}\"\n[webhook]\nsecrets = [\"{SECRET}\"]\n\
             [store]\nurl = \"sqlite:{}\"\n[sweep]\nat_start = false\n\
             [worker]\nfuse = 1000\n[[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n",
            self.gitea.url(),
            self.gitea.token(),
            self.port,
            self.path("campaign.db").display(),
        )
    }

    /// Starts the program and waits until it takes deliveries.
    #[expect(clippy::zombie_processes, reason = "the caller waits for it")]
    fn start(&self) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gitea-triage"))
            .args(["serve", "--config"])
            .arg(self.path("config.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        for line in log.by_ref().map_while(Result::ok) {
            if line.contains("taking deliveries") {
                std::thread::spawn(move || log.for_each(drop));
                return child;
            }
            said.push(line);
        }
        panic!("the program ended before it listened: {said:#?}");
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("campaign.db")).unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn accepted(&self) -> BTreeSet<String> {
        let all = self.gitea.deliveries().into_iter();
        all.filter(|d| matches!(d.status, Some(200 | 202))).map(|d| d.uuid).collect()
    }
}

/// Changes issues on the forge, 50 times a second, until told to stop.
async fn change(gitea: FakeGitea, repo: RepoName, seed: u64, stop: Arc<AtomicBool>) {
    let mut dice = Dice(seed ^ 0xABCD_EF01);
    let mut issues = Vec::new();
    let mut beat = tokio::time::interval(CHANGE_EVERY);
    while !stop.load(Ordering::SeqCst) {
        beat.tick().await;
        let known = issues.len();
        // One change in three opens an issue.
        let pick = if dice.below(3) == 0 { known } else { dice.below(known + 1) };
        match issues.get(pick) {
            None => issues.push(gitea.open_issue(
                &repo,
                NewIssue {
                    title: format!("[bug] crash number {}", issues.len()),
                    body: "## Problem\n`run()` in src/app.py must return, should not raise. pytest fails".into(),
                    author: "bob".into(),
                    ..NewIssue::default()
                },
            )),
            Some(at) if dice.below(2) == 0 => gitea.add_label(at, "bob", "area/app"),
            Some(at) => {
                gitea.comment(at, "bob", "any news?");
            }
        }
    }
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_nothing_is_lost_and_nothing_done_twice() {
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let kills = if full { 500 } else { 50 };
    let seed = dice::seed();
    let mut dice = Dice(seed);
    let campaign = Campaign::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let changes = tokio::spawn(change(
        campaign.gitea.clone(),
        campaign.repo.clone(),
        seed,
        Arc::clone(&stop),
    ));
    for _ in 0..kills {
        let mut program = campaign.start();
        pause(Duration::from_millis(5 + dice.below(250) as u64)).await;
        program.kill().unwrap();
        program.wait().unwrap();
        let verdict: String =
            campaign.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }
    stop.store(true, Ordering::SeqCst);
    changes.await.unwrap();
    campaign.gitea.delivered().await;
    let mut program = campaign.start();
    let began = Instant::now();
    let open = "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
    loop {
        campaign.gitea.delivered().await;
        if campaign.count(open) == 0 {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} deliveries are not worked off",
            campaign.count(open)
        );
        pause(Duration::from_millis(50)).await;
    }
    program.kill().unwrap();
    program.wait().unwrap();
    report(&campaign, kills);
}

fn report(campaign: &Campaign, kills: u32) {
    let accepted = campaign.accepted();
    let lost = accepted.iter().filter(|uuid| !is_finished(campaign, uuid)).count();
    let issues = campaign.gitea.issues(&campaign.repo);
    let doubled = issues.iter().filter(|(_, issue)| {
        let comments = issue.comments.iter().filter(|c| c.author == campaign.gitea.bot().login);
        let told = campaign.count(&format!(
            "SELECT count(*) FROM dispatch JOIN lane ON lane.id = dispatch.lane WHERE lane.number = {}",
            number_of(campaign, issue)
        ));
        comments.count() > 1 || told > 1
    });
    let definitions = campaign.gitea.labels(&campaign.repo);
    let labels: BTreeSet<_> = definitions.iter().collect();
    let duplicated = doubled.count() + definitions.len() - labels.len();
    let dispatched = issues.iter().filter(|(_, issue)| issue.assignees == ["claude"]).count();
    println!(
        "{kills} kills, {} deliveries accepted, {lost} lost, {duplicated} duplicated ({} issues, {dispatched} dispatched)",
        accepted.len(),
        issues.len()
    );
    assert_eq!((lost, duplicated), (0, 0));
    assert!(
        accepted.len() > usize::try_from(kills).unwrap(),
        "too little came in to prove anything"
    );
    let told =
        campaign.count("SELECT count(DISTINCT lane) FROM evaluation WHERE action = 'dispatch'");
    assert_eq!(i64::try_from(dispatched).unwrap(), told, "what was decided was also done");
}

fn number_of(campaign: &Campaign, issue: &gitea_triage::fake_gitea::IssueView) -> u64 {
    let issues = campaign.gitea.issues(&campaign.repo);
    issues.iter().find(|(_, other)| other.title == issue.title).map_or(0, |(at, _)| at.number)
}

/// Whether the delivery came to a good end.
fn is_finished(campaign: &Campaign, uuid: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM delivery WHERE lower(hex(id)) = '{}' AND state IN ('done', 'ignored')",
        uuid.replace('-', "")
    );
    campaign.count(&sql) == 1
}

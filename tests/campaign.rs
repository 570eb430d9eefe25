//! The crash campaign: the real program over a real database is killed at random moments while deliveries come in,
//! and started again. At the end nothing that was accepted is lost, and nothing was done twice.
//!
//! 50 kills in a usual run; `GITEA_TRIAGE_TEST_SCALE=full` makes it 500. `GITEA_TRIAGE_TEST_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;
mod dice;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dice::Dice;
use gitea_triage::clock::Clock;
use gitea_triage::fake_gitea::{FakeGitea, IssueView, NewIssue};
use gitea_triage::issue::{IssueRef, IssueState, RepoName};

const SECRET: &str = "campaign-secret";
/// Between two changes on the forge: 50 a second.
const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// How long the last program may take for one step of what is left.
const PATIENCE: Duration = Duration::from_secs(120);

struct Campaign {
    gitea: FakeGitea,
    repo: RepoName,
    folder: tempfile::TempDir,
    port: u16,
}

impl Campaign {
    async fn new() -> Self {
        Self::with("[sweep]\nat_start = false\n").await
    }

    /// One whose configuration has these lines at its end.
    async fn with(more: &str) -> Self {
        let gitea = FakeGitea::start().await.unwrap();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        for login in ["claude", "alice", "kimi"] {
            gitea.add_collaborator(&repo, login, "write");
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gitea.set_hook(&format!("http://127.0.0.1:{port}/webhook"), SECRET);
        let campaign = Self { gitea, repo, folder: tempfile::tempdir().unwrap(), port };
        std::fs::write(campaign.path("config.toml"), campaign.config() + more).unwrap();
        campaign
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/*\"]\n\
             [server]\nlisten = \"127.0.0.1:{}\"\n[webhook]\nsecrets = [\"{SECRET}\"]\n\
             [store]\nurl = \"{}\"\n\
             [worker]\nfuse = 1000\n[[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n",
            self.gitea.url(),
            self.gitea.token(),
            self.port,
            database::url(&self.path("campaign.db")),
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

    /// Kills the program so many times, each after it has run for a moment.
    async fn kill(&self, kills: u32, dice: &mut Dice) {
        for _ in 0..kills {
            let mut program = self.start();
            pause(Duration::from_millis(5 + dice.below(250) as u64)).await;
            program.kill().unwrap();
            program.wait().unwrap();
            database::check(&self.path("campaign.db"));
        }
    }

    /// Waits until `done` gives nothing more that is left to do, as long as that changes.
    async fn wait_for(&self, done: impl Fn() -> Option<String>) {
        let mut last = (Instant::now(), String::new());
        while let Some(left) = done() {
            if left != last.1 {
                last = (Instant::now(), left.clone());
            }
            assert!(last.0.elapsed() < PATIENCE, "{left}");
            self.gitea.delivered().await;
            pause(Duration::from_millis(50)).await;
        }
    }

    fn count(&self, sql: &str) -> i64 {
        database::count(&self.path("campaign.db"), sql)
    }

    /// How many deliveries are not worked off, if any.
    fn unfinished(&self) -> Option<String> {
        let open =
            "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
        let left = self.count(open);
        (left > 0).then(|| format!("{left} deliveries are not worked off"))
    }

    fn accepted(&self) -> BTreeSet<String> {
        let all = self.gitea.deliveries().into_iter();
        all.filter(|d| matches!(d.status, Some(200 | 202))).map(|d| d.uuid).collect()
    }
}

/// What somebody does to an issue some time after it was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// A writer assigns themselves, and stays assigned.
    Takes,
    /// A writer puts a label on, and it stays.
    Marks,
    /// A writer closes the issue, and it stays closed.
    Closes,
    /// A writer says `/triage hold`.
    Holds,
    /// A writer says `/triage assign kimi`, whatever the issue is worth.
    Gives,
}

/// What people did, and what of it has to hold in the end.
#[derive(Default)]
struct Deeds {
    taken: Vec<u64>,
    marked: Vec<u64>,
    closed: Vec<u64>,
    /// The issue, and the comment with the command.
    held: Vec<(u64, i64)>,
    given: Vec<(u64, i64)>,
}

/// The names that the repository goes by in turn.
const NAMES: [&str; 2] = ["acme/widgets", "acme/gears"];

/// People open issues, take them, command and rename the repository, 50 times a second, until told to stop.
async fn live(gitea: FakeGitea, seed: u64, stop: Arc<AtomicBool>) -> Deeds {
    let (mut dice, mut deeds) = (Dice(seed ^ 0x1234_5678), Deeds::default());
    let (mut waiting, mut name): (Vec<(u64, Then)>, usize) = (Vec::new(), 0);
    let mut beat = tokio::time::interval(CHANGE_EVERY);
    while !stop.load(Ordering::SeqCst) || !waiting.is_empty() {
        beat.tick().await;
        let repo: RepoName = NAMES[name].parse().unwrap();
        if dice.below(60) == 0 {
            name = 1 - name;
            gitea.rename_repo(&repo, &NAMES[name].parse().unwrap());
            continue;
        }
        if waiting.is_empty() || (dice.below(2) == 0 && !stop.load(Ordering::SeqCst)) {
            let body = match dice.below(2) {
                0 => "It is slow.",
                _ => {
                    "## Problem\n`run()` in src/app.py must return, should not raise. pytest fails"
                }
            };
            let number = gitea.issues(&repo).len();
            let title = format!("[bug] crash number {number}");
            let new =
                NewIssue { title, body: body.into(), author: "bob".into(), ..NewIssue::default() };
            let then = [Then::Takes, Then::Marks, Then::Closes, Then::Holds, Then::Gives];
            let then = then[dice.below(5)];
            waiting.push((gitea.open_issue(&repo, new).number, then));
            continue;
        }
        let (number, then) = waiting.swap_remove(dice.below(waiting.len()));
        let at = IssueRef { repo, number };
        match then {
            Then::Takes => {
                gitea.assign(&at, "alice", "alice");
                deeds.taken.push(number);
            }
            Then::Marks => {
                gitea.add_label(&at, "alice", "area/app");
                deeds.marked.push(number);
            }
            Then::Closes => {
                gitea.close(&at, "alice");
                deeds.closed.push(number);
            }
            Then::Holds => deeds.held.push((number, gitea.comment(&at, "alice", "/triage hold"))),
            Then::Gives => {
                deeds.given.push((number, gitea.comment(&at, "alice", "/triage assign kimi")));
            }
        }
    }
    deeds
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

/// 50 kills, or 500.
fn kills() -> u32 {
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    if full { 500 } else { 50 }
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_nothing_is_lost_and_nothing_done_twice() {
    let (kills, seed) = (kills(), dice::seed());
    let mut dice = Dice(seed);
    let campaign = Campaign::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let changes = tokio::spawn(change(
        campaign.gitea.clone(),
        campaign.repo.clone(),
        seed,
        Arc::clone(&stop),
    ));
    campaign.kill(kills, &mut dice).await;
    stop.store(true, Ordering::SeqCst);
    changes.await.unwrap();
    campaign.gitea.delivered().await;
    let mut program = campaign.start();
    campaign.wait_for(|| campaign.unfinished()).await;
    program.kill().unwrap();
    program.wait().unwrap();
    report(&campaign, kills);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_people_take_command_and_rename_nothing_of_theirs_is_lost() {
    let (kills, seed) = (kills(), dice::seed());
    let mut dice = Dice(seed);
    let few = "[sweep]\nat_start = true\n[[agent]]\nid = \"kimi\"\nlogin = \"kimi\"\nmax_concurrent = 2\n";
    let campaign = Campaign::with(few).await;
    // What was there before the first sweep, or came within the same second, is no order.
    let mut program = campaign.start();
    let swept = || {
        let second = Clock::System.now().timestamp();
        campaign.count(&format!("SELECT count(*) FROM sweep WHERE first_at / 1000 < {second}"))
    };
    campaign.wait_for(|| (swept() == 0).then(|| "no sweep".into())).await;
    program.kill().unwrap();
    program.wait().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let life = tokio::spawn(live(campaign.gitea.clone(), seed, Arc::clone(&stop)));
    campaign.kill(kills, &mut dice).await;
    stop.store(true, Ordering::SeqCst);
    let deeds = life.await.unwrap();
    let mut program = campaign.start();
    campaign.wait_for(|| campaign.unfinished().or_else(|| finish_one(&campaign, &deeds))).await;
    program.kill().unwrap();
    program.wait().unwrap();
    judge(&campaign, &deeds, kills);
}

/// Everything on the forge, read once.
struct Forge {
    bot: String,
    issues: BTreeMap<u64, IssueView>,
}

impl Forge {
    /// As it is now, whatever the repository is called.
    fn of(campaign: &Campaign) -> Self {
        let all = NAMES.iter().map(|name| campaign.gitea.issues(&name.parse().unwrap()));
        let all = all.max_by_key(Vec::len).unwrap();
        let issues = all.into_iter().map(|(at, issue)| (at.number, issue)).collect();
        Self { bot: campaign.gitea.bot().login, issues }
    }

    /// The reaction of ours to a command; more than one is a mistake.
    fn answer(&self, number: u64, comment: i64) -> Option<&str> {
        let comments = &self.issues.get(&number)?.comments;
        let comment = comments.iter().find(|one| one.id == comment)?;
        let ours: Vec<_> = comment.reactions.iter().filter(|(by, _)| *by == self.bot).collect();
        assert!(ours.len() <= 1, "#{number} was answered twice: {ours:?}");
        ours.into_iter().next().map(|(_, content)| content.as_str())
    }

    /// Those of the issues that are not as somebody left them.
    fn without(&self, numbers: &[u64], is_there: fn(&IssueView) -> bool) -> Vec<u64> {
        let is_kept = |number: &u64| self.issues.get(number).is_some_and(is_there);
        numbers.iter().copied().filter(|number| !is_kept(number)).collect()
    }

    /// The issues with two comments of ours that say the same.
    fn doubled(&self) -> Vec<u64> {
        let is_doubled = |issue: &IssueView| {
            let ours = issue.comments.iter().filter(|one| one.author == self.bot);
            let markers: Vec<_> =
                ours.map(|one| one.body.lines().next_back().unwrap_or_default()).collect();
            let distinct: BTreeSet<_> = markers.iter().collect();
            distinct.len() < markers.len()
        };
        let doubled = self.issues.iter().filter(|(_, issue)| is_doubled(issue));
        doubled.map(|(number, _)| *number).collect()
    }
}

/// Closes an issue that kimi has, so that the next one comes to its turn; what is left to do, if anything.
fn finish_one(campaign: &Campaign, deeds: &Deeds) -> Option<String> {
    let given = "SELECT number FROM dispatch JOIN lane ON lane.id = dispatch.lane
                 WHERE agent = 'kimi' AND ended_at IS NULL AND dispatch.state <> 'pending' LIMIT 1";
    if let Some(number) = database::one(&campaign.path("campaign.db"), given) {
        let number = number.parse().unwrap();
        let places = NAMES.map(|name| IssueRef { repo: name.parse().unwrap(), number });
        let at = places.iter().find(|at| campaign.gitea.issue(at).is_some()).unwrap();
        campaign.gitea.close(at, "kimi");
        return Some(format!("kimi still has #{number}"));
    }
    let forge = Forge::of(campaign);
    let unanswered = deeds.given.iter().chain(&deeds.held);
    let unanswered =
        unanswered.filter(|(number, comment)| forge.answer(*number, *comment).is_none());
    let unanswered: Vec<_> = unanswered.map(|(number, _)| number).collect();
    (!unanswered.is_empty()).then(|| format!("nobody answered the commands on {unanswered:?}"))
}

fn judge(campaign: &Campaign, deeds: &Deeds, kills: u32) {
    let forge = Forge::of(campaign);
    let overwritten = [
        forge.without(&deeds.taken, |issue| issue.assignees.contains(&"alice".to_owned())),
        forge.without(&deeds.marked, |issue| issue.labels.contains(&"area/app".to_owned())),
        forge.without(&deeds.closed, |issue| issue.state == IssueState::Closed),
    ]
    .concat();
    let people = deeds.taken.len() + deeds.marked.len() + deeds.closed.len();
    let lost = |orders: &[(u64, i64)], sql: &str| -> Vec<u64> {
        let is_lost = |(number, comment): &&(u64, i64)| {
            let is_done = campaign.count(&sql.replace("{}", &number.to_string())) > 0;
            // What was refused was said so; what was promised is done.
            forge.answer(*number, *comment) == Some("+1") && !is_done
        };
        orders.iter().filter(is_lost).map(|(number, _)| *number).collect()
    };
    let held =
        lost(&deeds.held, "SELECT count(*) FROM lane WHERE number = {} AND hold IS NOT NULL");
    let given = lost(
        &deeds.given,
        "SELECT count(*) FROM dispatch JOIN lane ON lane.id = dispatch.lane WHERE number = {} AND agent = 'kimi'",
    );
    let doubled = forge.doubled();
    let dead: Vec<String> = {
        let dead = "SELECT reason FROM delivery WHERE state = 'dead'";
        database::rows(&campaign.path("campaign.db"), dead)
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    };
    let orders = deeds.held.len() + deeds.given.len();
    println!(
        "{kills} kills, {} issues, {orders} orders, {people} taken, labelled or closed by people: {} orders lost, {} people overwritten, {} doubled",
        forge.issues.len(),
        held.len() + given.len(),
        overwritten.len(),
        doubled.len()
    );
    assert!(overwritten.is_empty(), "overwritten on {overwritten:?}");
    assert!(held.is_empty() && given.is_empty(), "lost: held {held:?}, given {given:?}");
    assert!(doubled.is_empty(), "doubled on {doubled:?}");
    assert_eq!(dead, Vec::<String>::new());
    assert!(orders > usize::try_from(kills).unwrap(), "too little was ordered to prove anything");
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

fn number_of(campaign: &Campaign, issue: &IssueView) -> u64 {
    let issues = campaign.gitea.issues(&campaign.repo);
    issues.iter().find(|(_, other)| other.title == issue.title).map_or(0, |(at, _)| at.number)
}

/// Whether the delivery came to a good end.
fn is_finished(campaign: &Campaign, uuid: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM delivery WHERE {} = '{}' AND state IN ('done', 'ignored')",
        database::hex(&campaign.path("campaign.db"), "id"),
        uuid.replace('-', "")
    );
    campaign.count(&sql) == 1
}

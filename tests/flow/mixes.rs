//! Gitea goes wrong in several ways at once, drawn at random from all the fake knows: nothing is lost, a wish to wait
//! is kept, and no write is sent again before it was looked whether it was done.
//!
//! 40 mixes in a usual run; `GITEA_TRIAGE_TEST_SCALE=full` makes it 1,000. `GITEA_TRIAGE_TEST_SEED` repeats a run.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue, Request};
use gitea_triage::service::Service;
use gitea_triage::store::{DeliveryState, Filter};
use tokio::task::JoinSet;

use crate::database;
use crate::dice::{self, Dice};
use crate::panics::Panics;
use crate::world::{SECRET, World, bug};

/// How many mixes come over one service. Only before the first it knows neither labels nor accounts.
const MIXES_OF_A_STAGE: usize = 4;
/// While one waits for an answer that does not come, others go on.
const STAGES_AT_ONCE: usize = 4;
/// How long the service waits for an answer, which is what each hang costs this test.
const TIMEOUT: &str = "1s";
const HANG: Duration = Duration::from_secs(60);
/// The longest pause to wait out: the hour of a reached write limit, and what comes on top of it.
const PATIENCE: Duration = Duration::from_secs(4_000);
/// What goes wrong at most in one mix: fewer failures than make a dead letter.
const MOST_FAULTS: usize = 4;
const MOST_TIMES: usize = 2;

/// Method and a part of the path; an empty one fits all.
const PLACES: [(&str, &str); 14] = [
    ("", ""),
    ("", "/issues/"),
    ("GET", ""),
    ("GET", "/issues/"),
    ("GET", "/comments"),
    ("GET", "/labels"),
    ("GET", "/assignees"),
    ("GET", "/dependencies"),
    ("GET", "/version"),
    ("POST", ""),
    ("POST", "/comments"),
    ("POST", "/widgets/labels"),
    ("POST", "/labels"),
    ("PATCH", "/issues/"),
];

impl Dice {
    fn kind(&mut self) -> FaultKind {
        let wish = 1 + self.below(300) as u64;
        let kinds = [
            FaultKind::Status(500),
            FaultKind::Status(502),
            FaultKind::Status(503),
            FaultKind::Status(504),
            FaultKind::Status(429),
            FaultKind::StatusRetryAfter(429, wish),
            FaultKind::StatusRetryAfter(503, wish),
            FaultKind::ResetBefore,
            FaultKind::AnswerLost,
            FaultKind::Hang(HANG),
            FaultKind::CutBody,
            FaultKind::Html,
            FaultKind::WrongJson,
        ];
        kinds[self.below(kinds.len())].clone()
    }

    fn fault(&mut self) -> Fault {
        let (method, path) = PLACES[self.below(PLACES.len())];
        Fault {
            method: Some(method.to_owned()).filter(|m| !m.is_empty()),
            path_contains: path.to_owned(),
            times: u32::try_from(1 + self.below(MOST_TIMES)).unwrap(),
            kind: self.kind(),
        }
    }
}

/// What goes wrong while one issue is worked on. A failure says what it was and how to see it again.
struct Mix {
    seed: u64,
    number: usize,
    faults: Vec<Fault>,
}

impl Drop for Mix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, number, faults } = self;
            eprintln!(
                "GITEA_TRIAGE_TEST_SEED={seed} begins with it, as number {number}: {faults:#?}"
            );
        }
    }
}

/// A request and the fault it met.
#[derive(Debug)]
struct Met {
    request: Request,
    fault: Option<FaultKind>,
}

impl Met {
    /// Whether it reached what it asked for; its answer may not have come back.
    fn was_done(&self) -> bool {
        use FaultKind::{AnswerLost, CutBody, Hang};
        matches!(self.fault, None | Some(AnswerLost | CutBody | Hang(_)))
    }

    fn is_same_as(&self, other: &Self) -> bool {
        (&self.request.method, &self.request.path) == (&other.request.method, &other.request.path)
    }

    /// Whether the two were on their way together: a new issue, and what it waits for.
    fn goes_with(&self, other: &Self) -> bool {
        let is_what = |one: &Self, two: &Self| {
            one.request.path.strip_suffix("/dependencies") == Some(two.request.path.as_str())
        };
        self.request.at == other.request.at && (is_what(self, other) || is_what(other, self))
    }

    /// Where it can be seen whether a write was done: in the list it adds to, or on the issue it changes.
    fn shown_at(&self) -> &str {
        let path = self.request.path.as_str();
        path.strip_suffix("/labels").filter(|issue| issue.contains("/issues/")).unwrap_or(path)
    }

    fn shows(&self, write: &Self) -> bool {
        let Request { method, path, status, .. } = &self.request;
        self.fault.is_none() && method == "GET" && *status == 200 && path == write.shown_at()
    }
}

/// What each request met: the first fault that fits it and is not used up, as the fake takes them.
fn met(faults: &[Fault], requests: Vec<Request>) -> Vec<Met> {
    let mut left = faults.to_vec();
    let meet = |request: Request| {
        let target = format!("{}?{}", request.path, request.query);
        let fits = |f: &&mut Fault| {
            let method = f.method.as_ref().is_none_or(|m| *m == request.method);
            f.times > 0 && method && target.contains(&f.path_contains)
        };
        let fault = left.iter_mut().find(fits).map(|fault| {
            fault.times -= 1;
            fault.kind.clone()
        });
        let is_cut = matches!(fault, Some(FaultKind::AnswerLost | FaultKind::ResetBefore));
        assert_eq!(is_cut, request.status == 0, "{fault:?} is not what {request:?} met");
        Met { request, fault }
    };
    requests.into_iter().map(meet).collect()
}

/// Every write is done once, and is not sent again before a whole answer has shown how far it came.
fn assert_looks_before_it_writes_again(calls: &[Met]) {
    for (place, write) in calls.iter().enumerate().filter(|(_, c)| c.request.method != "GET") {
        let Some(last) = calls[..place].iter().rposition(|c| c.is_same_as(write)) else { continue };
        let looked = calls[last + 1..place].iter().any(|c| c.shows(write));
        assert!(looked, "not looked at `{}` before number {place} of {calls:#?}", write.shown_at());
        let done = calls[..place].iter().any(|c| c.is_same_as(write) && c.was_done());
        assert!(!done, "number {place} had been done before: {calls:#?}");
    }
}

/// After a wish to wait nothing is asked until then, but for what was asked already.
fn assert_waits_as_long_as_it_was_told(calls: &[Met]) {
    for (place, call) in calls.iter().enumerate() {
        let Some(FaultKind::StatusRetryAfter(_, seconds)) = call.fault else { continue };
        let until = call.request.at + TimeDelta::seconds(i64::try_from(seconds).unwrap());
        let mut later = calls[place + 1..].iter();
        let early = later.find(|c| c.request.at < until && !c.goes_with(call));
        assert!(early.is_none(), "asked before {until}, told by number {place}: {calls:#?}");
    }
}

/// A world whose work is done by a service that soon gives up waiting.
struct Stage {
    world: World,
    service: Service,
}

impl Stage {
    async fn start() -> Self {
        let world =
            World::with("[[agent]]\nid = \"claude\"\ntimeout = \"30d\"\nmax_concurrent = 100\n");
        let world = world.await;
        let config = std::fs::read_to_string(world.config_file()).unwrap();
        let file = world.store_path();
        let config = config
            .replace("[gitea]", &format!("[gitea]\ntimeout = \"{TIMEOUT}\""))
            .replace(&database::url(&file), &database::url(&file.with_file_name("mixes.db")));
        let config = Config::from_toml("mixes.toml", &config, std::iter::empty()).unwrap();
        let service = Service::start(&config, world.clock.clone()).await.unwrap();
        service.parts().worker.set_account(world.gitea.bot());
        world.gitea.set_hook(&format!("http://{}/webhook", service.address()), SECRET);
        Self { world, service }
    }

    async fn settle(&self) {
        let told = || self.world.gitea.deliveries().len();
        let mut before = None;
        while before.replace(told()) != Some(told()) {
            self.world.gitea.delivered().await;
            self.service.parts().worker.settle(PATIENCE).await.unwrap();
            self.world.gitea.delivered().await;
        }
    }

    /// Works on one issue while all that goes wrong; how many requests met a fault.
    async fn goes_through(&self, mix: &Mix) -> usize {
        let gitea = &self.world.gitea;
        gitea.clear_requests();
        let before = gitea.deliveries().len();
        mix.faults.iter().for_each(|fault| gitea.fail(fault.clone()));
        let title = format!("[bug] Login crashes on an empty password ({})", mix.number);
        let issue = self.world.open_issue(NewIssue { title, ..bug() });
        self.settle().await;
        gitea.clear_faults();
        let calls = met(&mix.faults, gitea.requests());
        self.world.assert_with_claude(&issue);
        assert_eq!(self.world.labels(&issue), ["claude-ready"]);
        assert!(gitea.deliveries()[before..].iter().all(|d| d.status == Some(202)));
        assert_looks_before_it_writes_again(&calls);
        assert_waits_as_long_as_it_was_told(&calls);
        calls.iter().filter(|call| call.fault.is_some()).count()
    }

    /// Nothing that came in is still there, and nothing was given up.
    async fn assert_nothing_is_left(&self) {
        let store = &self.service.parts().store;
        assert_eq!(store.backlog().await.unwrap(), 0);
        let dead = Filter { state: Some(DeliveryState::Dead), limit: 10 };
        let dead = store.deliveries(dead).await.unwrap();
        assert!(dead.is_empty(), "{dead:#?}");
    }
}

/// Some mixes over one service; how many requests met a fault.
async fn mixes_of(seed: u64) -> usize {
    let stage = Stage::start().await;
    let mut dice = Dice(seed);
    let mut faults_met = 0;
    for number in 0..MIXES_OF_A_STAGE {
        let faults = (0..=dice.below(MOST_FAULTS)).map(|_| dice.fault()).collect();
        let mix = Mix { seed, number, faults };
        faults_met += stage.goes_through(&mix).await;
        stage.assert_nothing_is_left().await;
    }
    faults_met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_mix_of_faults_it_meets_the_end_is_one_of_each() {
    let panics = Panics::watch();
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let mixes = if full { 1_000 } else { 40 };
    let seed = dice::seed();
    let mut faults_met = 0;
    let mut at_work = JoinSet::new();
    for seed in (0..mixes / MIXES_OF_A_STAGE).map(|stage| seed.wrapping_add(stage as u64)) {
        if at_work.len() == STAGES_AT_ONCE {
            faults_met += at_work.join_next().await.unwrap().unwrap();
        }
        at_work.spawn(mixes_of(seed));
    }
    while let Some(met) = at_work.join_next().await {
        faults_met += met.unwrap();
    }
    println!("{mixes} mixes, {faults_met} requests met a fault");
    assert!(faults_met > mixes, "too few faults were met to prove anything");
    panics.assert_none();
}

//! Deliveries in any order: the end is the same as in order, because the issue as it is now decides.

use std::collections::BTreeSet;

use gitea_triage::fake_gitea::{DeliveryView, IssueView};
use gitea_triage::issue::IssueRef;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::dice::{self, Dice};
use crate::world::{PATIENT, World, bug};

const EVENTS: usize = 30;

/// What a person finds on the issue in the end.
#[derive(Debug, PartialEq)]
struct End {
    labels: Vec<String>,
    assignees: Vec<String>,
    comments: Vec<String>,
}

/// What happened to one issue while nobody listened: thirty changes and more.
fn history(world: &World) -> IssueRef {
    let gitea = &world.gitea;
    let at = world.open_issue(bug());
    let title = |round: usize| format!("[bug] Login crashes on an empty password ({round})");
    for round in 0..3 {
        gitea.edit_issue(&at, "bob", Some(&title(round)), None);
        gitea.add_label(&at, "alice", &format!("area/{round}"));
        let comment = gitea.comment(&at, "bob", "any news?");
        gitea.edit_comment(&at, "bob", comment, "any news at all?");
        gitea.assign(&at, "alice", "alice");
        gitea.unassign(&at, "alice", "alice");
        gitea.close(&at, "alice");
        gitea.reopen(&at, "bob");
        gitea.remove_label(&at, "alice", &format!("area/{round}"));
        gitea.add_label(&at, "alice", "seen");
    }
    at
}

/// Lets the deliveries come in this order, with a look at the issue after those where `looks` says so.
async fn end_of(order: &[usize], looks: &[bool]) -> (End, usize) {
    let world = World::start().await;
    world.gitea.pause_deliveries();
    let at = history(&world);
    let told: Vec<DeliveryView> = world.gitea.deliveries();
    for (place, look) in order.iter().zip(looks) {
        let delivery = &told[place % told.len()];
        let (status, _) = world.post(&delivery.uuid, &delivery.body).await;
        assert!(matches!(status, 200 | 202), "{status}");
        if *look {
            world.work().await;
        }
    }
    world.work().await;
    // Whatever was not among them comes in the end, as do our own changes.
    world.gitea.resume();
    world.settle().await;
    let issue: IssueView = world.issue(&at);
    let end =
        End { labels: issue.labels, assignees: issue.assignees, comments: world.comments(&at) };
    (end, told.len())
}

#[test]
fn any_order_of_a_history_comes_to_the_same_end_as_the_order_itself() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let in_order: Vec<usize> = (0..EVENTS).collect();
    let (expected, events) = runtime.block_on(end_of(&in_order, &[true; EVENTS]));
    assert!(events >= EVENTS, "the history has only {events} events");
    assert_eq!(expected.assignees, ["claude"]);
    assert_eq!(expected.comments.len(), 1);
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let cases = if full { 200 } else { 24 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let orders = (Just(in_order).prop_shuffle(), prop::collection::vec(any::<bool>(), EVENTS));
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let result = TestRunner::new(config).run(&orders, |(order, looks)| {
        let (end, _) = runtime.block_on(end_of(&order, &looks));
        seen.borrow_mut().insert(order);
        prop_assert_eq!(&end, &expected);
        Ok(())
    });
    result.unwrap();
    println!("{} orders of {events} events", seen.borrow().len());
}

/// What people do on an issue of which nothing follows: after as many of them as you like, it is where it was.
const PASSING: [fn(&World, &IssueRef, usize); 6] = [
    |world, at, turn| {
        let title = format!("[bug] Login crashes on an empty password ({turn})");
        world.gitea.edit_issue(at, "bob", Some(&title), None);
    },
    |world, at, turn| {
        let body = format!("{}\n\nSeen {turn} times.", bug().body);
        world.gitea.edit_issue(at, "bob", None, Some(&body));
    },
    |world, at, _| world.gitea.add_label(at, "alice", "seen"),
    |world, at, _| _ = world.gitea.comment(at, "bob", "any news?"),
    |world, at, _| world.gitea.remove_label(at, "alice", "seen"),
    |world, at, turn| {
        let comment = world.gitea.comment(at, "alice", "I look at it");
        world.gitea.edit_comment(
            at,
            "alice",
            comment,
            &format!("I have looked at it {turn} times"),
        );
    },
];

/// What a person does once, of which something follows for good.
type Lasting = (&'static str, fn(&World, &IssueRef));
const LASTING: [Lasting; 8] = [
    ("nothing", |_, _| {}),
    ("alice takes it", |world, at| world.gitea.assign(at, "alice", "alice")),
    ("alice takes the label off", |world, at| {
        world.gitea.remove_label(at, "alice", "claude-ready");
    }),
    ("alice takes claude off", |world, at| world.gitea.unassign(at, "alice", "claude")),
    ("alice closes it", |world, at| world.gitea.close(at, "alice")),
    ("claude answers", |world, at| _ = world.gitea.comment(at, "claude", "on it")),
    ("alice holds it", |world, at| _ = world.gitea.comment(at, "alice", "/triage hold")),
    ("alice gives it to kimi", |world, at| {
        world.gitea.comment(at, "alice", "/triage assign kimi");
    }),
];

/// How deliveries reach us while people go on.
enum Arrival {
    /// Each at once and in order, and all of it is worked off.
    InOrder,
    /// Some of those on their way, whichever, and some of it is worked off.
    Anyhow(Dice),
}

/// Lets some of what is on its way arrive.
async fn arrive(world: &World, arrival: &mut Arrival, come: &mut BTreeSet<String>) {
    let told = world.gitea.deliveries();
    let mut waiting: Vec<_> = told.into_iter().filter(|d| !come.contains(&d.uuid)).collect();
    let count = match arrival {
        Arrival::InOrder => waiting.len(),
        Arrival::Anyhow(dice) => dice.below(4).min(waiting.len()),
    };
    for _ in 0..count {
        let (next, is_worked_off) = match arrival {
            Arrival::InOrder => (0, true),
            Arrival::Anyhow(dice) => (dice.below(waiting.len()), dice.below(2) == 0),
        };
        let delivery: DeliveryView = waiting.remove(next);
        let (status, _) = world.post(&delivery.uuid, &delivery.body).await;
        assert!(matches!(status, 200 | 202), "{status}");
        come.insert(delivery.uuid);
        if is_worked_off {
            world.work().await;
        }
    }
}

/// Thirty changes to an issue that is with an agent, the lasting one in the middle, and deliveries between them.
async fn end_among(lasting: fn(&World, &IssueRef), mut arrival: Arrival) -> End {
    let world = World::with(PATIENT).await;
    let at = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&at);
    world.gitea.pause_deliveries();
    let mut come = world.gitea.deliveries().into_iter().map(|d| d.uuid).collect();
    for turn in 0..EVENTS {
        if turn == EVENTS / 2 {
            lasting(&world, &at);
        }
        PASSING[turn % PASSING.len()](&world, &at, turn);
        arrive(&world, &mut arrival, &mut come).await;
    }
    // The rest comes in the end, as do our own changes.
    world.gitea.resume();
    world.settle().await;
    let IssueView { labels, assignees, .. } = world.issue(&at);
    // The mark says as well what the issue looked like when the comment was written.
    let unmarked = |comment: String| comment.split(" digest=").next().unwrap().to_owned();
    End { labels, assignees, comments: world.comments(&at).into_iter().map(unmarked).collect() }
}

#[tokio::test]
async fn changes_between_deliveries_in_any_order_come_to_the_same_end_as_in_order() {
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let (seed, cases) = (dice::seed(), if full { 200 } else { 24 });
    let mut expected = Vec::new();
    for (name, lasting) in LASTING {
        expected.push(end_among(lasting, Arrival::InOrder).await);
        println!("{name}: {:?}", expected.last().unwrap());
    }
    for case in 0..cases {
        let which = case % LASTING.len();
        let (name, lasting) = LASTING[which];
        let anyhow = Arrival::Anyhow(Dice(seed.wrapping_add(case as u64)));
        let end = end_among(lasting, anyhow).await;
        assert_eq!(end, expected[which], "{name}, case {case} of seed {seed}");
    }
}

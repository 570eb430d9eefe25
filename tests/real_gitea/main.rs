//! The whole program against a real Gitea, and the fake Gitea held against the real one.
//!
//! `GITEA_BIN` names a Gitea executable, and `GITEA_STATIC_ROOT` the folder with its `options/` and `templates/` when
//! they are not built in. Without it the tests that need one report themselves as ignored; those of the fake run
//! always. libtest cannot decide that at run time, hence a harness of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

mod browser;
mod course;
mod first;
mod forge;
mod identity;
mod person;
mod process;
mod real;
mod relay;
mod setups;
mod sign_in;
mod story;
mod transcript;
mod triage;
mod wait;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use forge::Which;
use setups::Setups;
use story::Story;

const HOW: &str = "set GITEA_BIN to a Gitea executable (and GITEA_STATIC_ROOT to the folder of its \
                   options and templates, if they are not built in) to run this";

/// What a story has to show; a panic says that it does not.
type Claim = fn(&Story);

/// What holds on the real one and on the fake.
const CLAIMS: [(&str, Claim); 8] = [
    ("a_decision_is_visible_within_a_second_of_its_delivery", decisions_are_fast),
    ("a_ready_bug_gets_one_comment_one_label_and_one_assignee", a_bug_is_dispatched),
    ("our_own_changes_come_back_and_are_ignored", echoes_are_ignored),
    ("ten_label_edits_in_a_burst_make_one_comment", a_burst_is_one_comment),
    ("a_second_event_and_a_redelivery_write_nothing", second_looks_write_nothing),
    ("a_label_that_is_missing_is_made_once", labels_are_made_once),
    ("nothing_we_ask_for_is_refused", nothing_is_refused),
    ("every_delivery_ends_and_the_log_has_no_complaint", everything_ends_well),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (name, claim) in CLAIMS {
        trials.push(Trial::test(name, move || story(Which::Fake).map(claim)).with_kind("fake"));
        trials.push(on_the_real_one(name, move || story(Which::Real).map(claim)));
    }
    for (name, claim) in setups::CLAIMS {
        trials.push(Trial::test(name, move || setups(Which::Fake).map(claim)).with_kind("fake"));
        trials.push(on_the_real_one(name, move || setups(Which::Real).map(claim)));
    }
    let name = "the_first_repository_is_set_up_by_the_words_of_the_book";
    let follow = |which| alone(|| first::play(which)).map_err(Failed::from);
    let test = move |which| follow(which).map(|first| first::is_set_up(&first));
    trials.push(Trial::test(name, move || test(Which::Fake)).with_kind("fake"));
    trials.push(on_the_real_one(name, move || test(Which::Real)));
    trials.push(on_the_real_one("the_fake_tells_the_same_story", the_same_story));
    let course = |which| alone(move || course::play(which)).map_err(Failed::from);
    let name = "a_dispatch_comes_to_its_end_and_people_stay_in_charge";
    trials.push(Trial::test(name, move || course(Which::Fake)).with_kind("fake"));
    trials.push(on_the_real_one(name, move || course(Which::Real)));
    let follow = |which| alone(move || identity::play(which)).map_err(Failed::from);
    let name = "what_was_decided_goes_with_an_issue_whatever_its_repository_is_called";
    trials.push(Trial::test(name, move || follow(Which::Fake)).with_kind("fake"));
    trials.push(on_the_real_one(name, move || follow(Which::Real)));
    let name = "people_sign_in_to_the_dashboard_with_their_accounts";
    let test = || alone(sign_in::play).map_err(Failed::from);
    trials.push(on_the_real_one(name, test));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that is ignored, with the reason, when there is no real Gitea.
fn on_the_real_one(
    name: &str,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let trial = Trial::ignorable_test(name, move || match real::executable() {
        Some(_) => test().map(|()| Completion::Completed),
        None => Ok(Completion::ignored_with(HOW)),
    });
    trial.with_kind("real")
}

/// The story on one of the two, played when it is first asked for.
fn story(which: Which) -> Result<&'static Story, Failed> {
    static REAL: OnceLock<Result<Story, String>> = OnceLock::new();
    static FAKE: OnceLock<Result<Story, String>> = OnceLock::new();
    let cell = if which == Which::Real { &REAL } else { &FAKE };
    let played = cell.get_or_init(|| {
        let story = alone(|| story::play(which))?;
        for (agent, times) in ["claude", "kimi"].iter().zip(story.times) {
            eprintln!("{which:?}, an issue for {agent}: {times}");
        }
        Ok(story)
    });
    played.as_ref().map_err(Failed::from)
}

/// The set-ups on one of the two, tried when they are first asked for.
fn setups(which: Which) -> Result<&'static Setups, Failed> {
    static REAL: OnceLock<Result<Setups, String>> = OnceLock::new();
    static FAKE: OnceLock<Result<Setups, String>> = OnceLock::new();
    let cell = if which == Which::Real { &REAL } else { &FAKE };
    cell.get_or_init(|| alone(|| setups::play(which))).as_ref().map_err(Failed::from)
}

/// Plays while nobody else does, so that none slows another's times. A panic has ended all processes by the time it
/// is given back as the error.
fn alone<T, F: Future<Output = T>>(play: impl FnOnce() -> F) -> Result<T, String> {
    static STAGE: Mutex<()> = Mutex::new(());
    let _stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play())));
    played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default()
    })
}

fn the_same_story() -> Result<(), Failed> {
    let (real, fake) = (story(Which::Real)?, story(Which::Fake)?);
    match transcript::difference(&real.transcript, &fake.transcript) {
        Some(difference) => Err(difference.into()),
        None => Ok(()),
    }
}

fn decisions_are_fast(story: &Story) {
    for times in story.times {
        assert!(times.decided() < Duration::from_secs(1), "{times}");
    }
}

fn a_bug_is_dispatched(story: &Story) {
    let (bug, ..) = story.second_look;
    assert_eq!(story.writes_to(bug), ["POST/comments", "POST/labels", "PATCH"]);
}

fn echoes_are_ignored(story: &Story) {
    let to_issues = |r: &&forge::Asked| r.method != "GET" && r.path.contains("/issues/");
    let writes = story.asked.iter().filter(to_issues).count();
    let ours = |d: &&triage::Delivery| {
        d.state == "ignored" && d.reason.as_deref() == Some("our own change")
    };
    assert_eq!(story.inbox.iter().filter(ours).count(), writes);
}

fn a_burst_is_one_comment(story: &Story) {
    let (number, comments) = story.burst;
    assert_eq!(comments, 1);
    assert_eq!(story.writes_to(number), ["POST/comments", "POST/labels", "PATCH"]);
    assert!(story.burst_evaluations <= 2, "{} evaluations", story.burst_evaluations);
}

fn second_looks_write_nothing(story: &Story) {
    let (_, before, after) = story.second_look;
    assert_eq!(before, after);
}

fn labels_are_made_once(story: &Story) {
    for name in ["claude-ready", "kimi-ready"] {
        assert_eq!(story.labels.iter().filter(|l| *l == name).count(), 1, "{name}");
    }
}

/// But the issue that was deleted, of course.
fn nothing_is_refused(story: &Story) {
    let deleted = format!("{}/issues/{}", forge::REPO, story.deleted);
    let refused: Vec<_> = story.asked.iter().filter(|r| r.status >= 300).collect();
    assert!(refused.iter().all(|r| r.path == deleted && r.status == 404), "{refused:?}");
}

fn everything_ends_well(story: &Story) {
    let dead: Vec<_> = story.inbox.iter().filter(|d| d.state == "dead").collect();
    assert!(dead.is_empty(), "{dead:?}");
    assert!(story.complaints.is_empty(), "{}", story.complaints.join("\n"));
    assert!(story.ended_well, "it did not end with 0 when it was told to stop");
}

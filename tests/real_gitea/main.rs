//! The whole program against a real Gitea and a real Forgejo, and the fake ones held against them.
//!
//! `GITEA_BIN` names a Gitea executable, and `GITEA_STATIC_ROOT` the folder with its `options/` and `templates/` when
//! they are not built in; `FORGEJO_BIN` and `FORGEJO_STATIC_ROOT` do the same for a Forgejo. Without them the tests that
//! need one report themselves as ignored; those of the fakes run always. libtest cannot decide that at run time, hence a
//! harness of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

#[path = "../end_to_end/actors/mod.rs"]
mod actors;
mod answers;
mod browser;
mod course;
mod day;
#[path = "../release/dist.rs"]
mod dist;
mod first;
mod forge;
mod identity;
mod init;
mod large;
mod person;
mod process;
mod real;
mod relay;
mod relied;
mod rights;
mod runner;
mod searched;
mod setups;
mod sign_in;
mod story;
mod stranger;
mod transcript;
mod triage;
mod wait;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use gitea_triage::fake_gitea::Flavour;

use actors::coder::{self, Coder};
use forge::Which;
use setups::Setups;
use story::Story;

const HOW: [&str; 2] = [
    "set GITEA_BIN to a Gitea executable (and GITEA_STATIC_ROOT to the folder of its options and templates, if they \
     are not built in) to run this",
    "set FORGEJO_BIN to a Forgejo executable (and FORGEJO_STATIC_ROOT to the folder of its options and templates, if \
     they are not built in) to run this",
];

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
    for which in Which::ALL {
        for (name, claim) in CLAIMS {
            trials.push(trial(which, name, move || story(which).map(claim)));
        }
        for (name, claim) in setups::CLAIMS {
            trials.push(trial(which, name, move || setups(which).map(claim)));
        }
        let name = "the_first_repository_is_set_up_by_the_words_of_the_book";
        let follow = move || alone(move || first::play(which)).map_err(Failed::from);
        trials.push(trial(which, name, move || follow().map(|first| first::is_set_up(&first))));
        let name = "init_leads_to_the_first_decision";
        trials.push(trial(which, name, move || played(move || init::play(which))));
        trials.push(of_a_stranger(which));
        let name = "a_dispatch_comes_to_its_end_and_people_stay_in_charge";
        trials.push(trial(which, name, move || played(move || course::play(which))));
        let name = "what_was_decided_goes_with_an_issue_whatever_its_repository_is_called";
        trials.push(trial(which, name, move || played(move || identity::play(which))));
        let name = "a_maintainers_day_leaves_people_and_their_orders_as_they_were";
        trials.push(trial(which, name, move || played(move || day::play(which))));
        let name = "a_vague_report_is_asked_once_and_dispatched_when_its_author_answers";
        let asked = move || answers::a_vague_report_is_asked_once(which);
        trials.push(trial(which, name, move || played(asked)));
        let name = "an_outsiders_bug_waits_for_an_approval_and_again_when_it_is_edited";
        let approved = move || answers::an_outsiders_bug_waits_for_an_approval(which);
        trials.push(trial(which, name, move || played(approved)));
        let name = "the_same_report_is_held_until_a_person_says_go";
        let held = move || answers::the_same_report_is_held(which);
        trials.push(trial(which, name, move || played(held)));
        let name = "an_old_backlog_calls_nobody";
        let quiet = move || answers::an_old_backlog_calls_nobody(which);
        trials.push(trial(which, name, move || played(quiet)));
        let name = "large_issues_switch_nothing_off";
        trials.push(trial(which, name, move || played(move || large::play(which))));
        let name = "everybody_may_do_what_is_theirs_and_nothing_else";
        trials.push(trial(which, name, move || played(move || rights::play(which))));
        let name = "a_repository_of_a_person_has_no_teams_to_doubt";
        trials.push(trial(which, name, move || played(move || rights::without_teams(which))));
        let name = "an_address_of_ours_opens_and_leaves_no_mark";
        trials.push(trial(which, name, move || played(move || relied::links(which))));
        let name = "a_token_that_may_not_read_accounts_is_enough";
        trials.push(trial(which, name, move || played(move || relied::bound_token(which))));
        let name = "the_search_of_the_sweep_shows_what_our_account_may_read";
        trials.push(trial(which, name, move || played(move || searched::play(which))));
        let name = "a_block_is_told_from_a_refusal";
        trials.push(trial(which, name, move || played(move || relied::block(which))));
    }
    for flavour in [Flavour::Gitea, Flavour::Forgejo] {
        let real = Which::Real(flavour);
        let same = move || the_same_story(flavour);
        trials.push(trial(real, "the_fake_tells_the_same_story", same));
        let name = "a_runner_leads_from_an_issue_to_a_merged_pull_request";
        let scripted = move || runner::play(real, Coder::Scripted);
        trials.push(trial(real, name, move || played(scripted)));
        let name = "opencode_leads_from_an_issue_to_a_merged_pull_request";
        trials.push(with_opencode(real, name));
        let name = "people_sign_in_to_the_dashboard_with_their_accounts";
        trials.push(trial(real, name, move || played(move || sign_in::play(real))));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test on one of the servers; where it needs a real one that there is not, it is ignored with the reason.
fn trial(
    which: Which,
    name: &str,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let flavour = which.flavour();
    let is_missing = which.is_real() && real::executable(flavour).is_none();
    let trial = Trial::ignorable_test(name, move || match is_missing {
        true => Ok(Completion::ignored_with(HOW[usize::from(flavour == Flavour::Forgejo)])),
        false => test().map(|()| Completion::Completed),
    });
    trial.with_kind(which.name())
}

/// The way from the archive of a release to the first decision, where there is one and a bare root to try it in.
fn of_a_stranger(which: Which) -> Trial {
    let name = "a_stranger_gets_from_the_archive_to_a_decision";
    match stranger::missing() {
        Some(why) => Trial::ignorable_test(name, move || Ok(Completion::ignored_with(why)))
            .with_kind(which.name()),
        None => trial(which, name, move || played(move || stranger::play(which))),
    }
}

/// The story of the runner, with OpenCode as the agent.
fn with_opencode(which: Which, name: &str) -> Trial {
    let Some(program) = coder::opencode() else {
        let trial = Trial::ignorable_test(name, || Ok(Completion::ignored_with(coder::HOW)));
        return trial.with_kind(which.name());
    };
    let told = move || async move { runner::play(which, Coder::opencode(program)).await };
    trial(which, name, move || played(told))
}

/// What was played by one of them when it was first asked for.
type Once<T> = [OnceLock<Result<T, String>>; Which::ALL.len()];

fn once<T>(all: &Once<T>, which: Which) -> &OnceLock<Result<T, String>> {
    &all[Which::ALL.iter().position(|one| *one == which).unwrap()]
}

/// The story on one of them, played when it is first asked for.
fn story(which: Which) -> Result<&'static Story, Failed> {
    static PLAYED: Once<Story> = [const { OnceLock::new() }; Which::ALL.len()];
    let played = once(&PLAYED, which).get_or_init(|| {
        let story = alone(|| story::play(which))?;
        for (agent, times) in ["claude", "kimi"].iter().zip(story.times) {
            eprintln!("{}, an issue for {agent}: {times}", which.name());
        }
        Ok(story)
    });
    played.as_ref().map_err(Failed::from)
}

/// The set-ups on one of them, tried when they are first asked for.
fn setups(which: Which) -> Result<&'static Setups, Failed> {
    static TRIED: Once<Setups> = [const { OnceLock::new() }; Which::ALL.len()];
    let tried = once(&TRIED, which).get_or_init(|| alone(|| setups::play(which)));
    tried.as_ref().map_err(Failed::from)
}

fn played<F: Future<Output = ()>>(play: impl FnOnce() -> F) -> Result<(), Failed> {
    alone(play).map_err(Failed::from)
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

fn the_same_story(flavour: Flavour) -> Result<(), Failed> {
    let (real, fake) = (story(Which::Real(flavour))?, story(Which::Fake(flavour))?);
    match transcript::difference(&real.transcript, &fake.transcript) {
        Some(difference) => Err(difference.into()),
        None => Ok(()),
    }
}

/// The goal, which the faster of the two keeps in any build, and what the other one has without optimisation on a machine
/// that does other things as well.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);
const DECIDED_WITHIN_UNOPTIMISED: Duration = Duration::from_secs(8);

fn decisions_are_fast(story: &Story) {
    let limit = if cfg!(debug_assertions) { DECIDED_WITHIN_UNOPTIMISED } else { DECIDED_WITHIN };
    let [one, other] = story.times;
    assert!(one.decided().min(other.decided()) < DECIDED_WITHIN, "{one}; {other}");
    for times in story.times {
        assert!(times.decided() < limit, "{times}");
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
    let (evaluations, most) = story.burst_evaluations;
    assert!(evaluations <= most, "{evaluations} evaluations, {most} expected at most");
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

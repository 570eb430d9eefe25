//! The machine's clock is set: nothing is done twice, and nothing waits for a day that has been taken back.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::fake_gitea::{Fault, FaultKind};
use gitea_triage::issue::IssueRef;

use crate::world::{PATIENT, World, bug};

/// How long a lane may rest after a jump; a running worker looks at least once a minute.
const SOON: Duration = Duration::from_secs(60);

fn jumps() -> [TimeDelta; 4] {
    [TimeDelta::days(1), TimeDelta::days(-1), TimeDelta::hours(1), TimeDelta::hours(-1)]
}

#[tokio::test]
async fn a_retry_is_made_whichever_way_the_clock_was_set() {
    for jump in jumps() {
        let world = World::start().await;
        // The issue alone: what it depends on is asked for at the same time, and either may come first.
        let kind = FaultKind::Status(500);
        let fault = Fault { method: None, path_contains: "/issues/1?".into(), times: 1, kind };
        world.gitea.fail(fault);
        let issue = world.open_issue(bug());
        world.gitea.delivered().await;
        world.work_within(Duration::ZERO).await;
        assert!(world.gitea.writes().is_empty());
        world.clock.advance(jump);
        world.settle_within(SOON).await;
        println!("{jump}");
        world.assert_with_claude(&issue);
    }
}

#[tokio::test]
async fn what_was_accepted_before_the_clock_was_set_is_worked_off_after() {
    for jump in jumps() {
        let world = World::with(PATIENT).await;
        let issue = world.open_issue(bug());
        world.gitea.delivered().await;
        world.clock.advance(jump);
        world.settle_within(SOON).await;
        world.assert_with_claude(&issue);
        world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
        world.gitea.delivered().await;
        world.clock.advance(-jump);
        world.settle_within(SOON).await;
        assert!(world.history(&issue).await.pending.is_empty());
        world.assert_with_claude(&issue);
    }
}

#[tokio::test]
async fn a_clock_that_was_wrong_at_boot_leaves_nothing_behind() {
    for jump in jumps() {
        let mut world = World::start().await;
        let kind = FaultKind::Status(500);
        let fault = Fault { method: None, path_contains: "/issues/1?".into(), times: 1, kind };
        world.gitea.fail(fault);
        let issue = world.open_issue(bug());
        world.gitea.delivered().await;
        world.work_within(Duration::ZERO).await;
        world.clock.advance(jump);
        world.restart().await;
        world.settle_within(SOON).await;
        world.assert_with_claude(&issue);
    }
}

#[tokio::test]
async fn a_wish_to_wait_is_kept_when_the_clock_is_set_back() {
    let world = World::start().await;
    let kind = FaultKind::StatusRetryAfter(429, 600);
    let fault = Fault { method: None, path_contains: "/issues/1?".into(), times: 1, kind };
    world.gitea.fail(fault);
    let issue = world.open_issue(bug());
    world.gitea.delivered().await;
    world.work_within(Duration::ZERO).await;
    world.clock.advance(TimeDelta::days(-1));
    world.gitea.clear_requests();
    world.settle_within(Duration::from_secs(500)).await;
    assert!(world.gitea.requests().is_empty(), "{:?}", world.gitea.requests());
    world.settle_within(Duration::from_secs(800)).await;
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_heeded_once_however_often_the_service_starts() {
    let mut world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let deadline = async |world: &World| world.history(&issue).await.dispatches[0].deadline_at;
    let before = deadline(&world).await;
    world.clock.advance(TimeDelta::hours(-1));
    for _ in 0..3 {
        world.restart().await;
        world.settle().await;
    }
    assert_eq!(deadline(&world).await, before - TimeDelta::hours(1));
    world.assert_with_claude(&issue);
}

/// Reminders and time-outs that were told on the issue.
fn told(world: &World, at: &IssueRef) -> [usize; 2] {
    let comments = world.comments(at);
    ["**Triage: reminder**", "**Triage: timed out**"]
        .map(|head| comments.iter().filter(|comment| comment.starts_with(head)).count())
}

/// After how many minutes of real time each was told, whatever the clock said.
#[derive(Debug, Default)]
struct Told {
    reminded: Option<i64>,
    timed_out: Option<i64>,
}

/// Lets real time pass in steps, and notes when something was told. Never more than once.
async fn watch(world: &World, at: &IssueRef, minutes: std::ops::Range<i64>, seen: &mut Told) {
    for minute in minutes.step_by(STEP.num_minutes() as usize) {
        world.clock.advance(STEP);
        world.settle_within(Duration::ZERO).await;
        let now = minute + STEP.num_minutes();
        let [reminders, timeouts] = told(world, at);
        assert!(reminders < 2 && timeouts < 2, "told twice after {now} minutes");
        seen.reminded = seen.reminded.or((reminders == 1).then_some(now));
        seen.timed_out = seen.timed_out.or((timeouts == 1).then_some(now));
    }
}

const STEP: TimeDelta = TimeDelta::minutes(5);
/// A dispatch may take two hours, and is reminded of after three quarters of them.
const REMINDED: i64 = 90;
const TIMED_OUT: i64 = 120;

/// A dispatch of two hours from its beginning to long after its end. The clock jumps in between, and is put right
/// three hours later.
async fn runs_out(jump: TimeDelta, after: i64, is_at_boot: bool) -> Told {
    let mut world = World::with("[triage]\nowner = \"alice\"\n").await;
    let (issue, mut seen) = (world.open_issue(bug()), Told::default());
    world.settle_within(Duration::ZERO).await;
    watch(&world, &issue, 0..after, &mut seen).await;
    for by in [jump, -jump] {
        world.clock.advance(by);
        if is_at_boot {
            world.restart().await;
        }
        let from = if by == jump { after } else { after + 180 };
        watch(&world, &issue, from..from + 180, &mut seen).await;
    }
    // Days later nothing more is told.
    world.clock.advance(TimeDelta::days(3));
    world.settle_within(Duration::ZERO).await;
    let [reminders, timeouts] = told(&world, &issue);
    assert!(reminders < 2 && timeouts == 1, "{reminders} reminders, {timeouts} time-outs");
    assert_eq!(world.history(&issue).await.dispatches.len(), 1);
    seen
}

#[tokio::test]
async fn a_reminder_and_a_deadline_come_once_whichever_way_the_clock_was_set() {
    for jump in jumps() {
        for (after, is_at_boot) in [(30, false), (30, true), (100, false), (100, true), (130, true)]
        {
            let seen = runs_out(jump, after, is_at_boot).await;
            println!("{jump} after {after} minutes, at boot {is_at_boot}: {seen:?}");
            let timed_out = seen.timed_out.expect("it never timed out");
            if jump < TimeDelta::zero() || after > TIMED_OUT {
                // What was set back is known, and what waits goes with it. It is late by the time since the last look;
                // after a start, when the latest delivery says what time it was, since that.
                let late = STEP.num_minutes() + if is_at_boot { after } else { 0 };
                assert!((TIMED_OUT..=TIMED_OUT + late).contains(&timed_out), "{seen:?}");
                let reminded = seen.reminded.expect("it was never reminded");
                assert!((REMINDED..=REMINDED + late).contains(&reminded), "{seen:?}");
                continue;
            }
            // A clock that was set forward looks like a night in which nothing ran: what is due comes at once.
            let is_over = after + jump.num_minutes() >= TIMED_OUT;
            assert_eq!(timed_out, if is_over { after + 5 } else { TIMED_OUT - jump.num_minutes() });
            let reminded = if after > REMINDED { Some(REMINDED) } else { Some(after + 5) };
            let is_moot = is_over && after < REMINDED;
            assert_eq!(seen.reminded, reminded.filter(|_| !is_moot));
        }
    }
}

#[tokio::test]
async fn a_deadline_across_the_change_to_summer_time_is_two_hours_away() {
    // At 01:00 UTC the clocks of Berlin go from two to three; seven months later from three to two.
    for night in ["2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z"] {
        let world = World::with(
            "[triage]\nowner = \"alice\"\n[summary]\nenabled = false\ntimezone = \"Europe/Berlin\"\n",
        )
        .await;
        let night: gitea_triage::clock::Timestamp = night.parse().unwrap();
        world.clock.advance(night - world.clock.now());
        let (issue, mut seen) = (world.open_issue(bug()), Told::default());
        world.settle_within(Duration::ZERO).await;
        watch(&world, &issue, 0..300, &mut seen).await;
        assert_eq!((seen.reminded, seen.timed_out), (Some(REMINDED), Some(TIMED_OUT)), "{night}");
    }
}

//! The machine's clock is set: nothing is done twice, and nothing waits for a day that has been taken back.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::fake_gitea::{Fault, FaultKind};

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
        let kind = FaultKind::Status(500);
        let fault = Fault { method: None, path_contains: "/issues/1".into(), times: 1, kind };
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
        let fault = Fault { method: None, path_contains: "/issues/1".into(), times: 1, kind };
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
    let fault = Fault { method: None, path_contains: "/issues/1".into(), times: 1, kind };
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

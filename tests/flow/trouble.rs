//! Gitea answers badly: nothing is lost and nothing is written twice.

use std::time::Duration;

use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};

use crate::world::{World, bug};

fn fault(method: &str, path: &str, times: u32, kind: FaultKind) -> Fault {
    Fault { method: Some(method.into()), path_contains: path.into(), times, kind }
}

#[tokio::test]
async fn an_answer_that_was_lost_after_the_comment_leaves_one_comment() {
    let world = World::start().await;
    world.gitea.fail(fault("POST", "/comments", 1, FaultKind::AnswerLost));
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn a_comment_whose_answer_is_lost_is_adopted_however_often_that_happens() {
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let times = if full { 200 } else { 20 };
    let world =
        World::with("[[agent]]\nid = \"claude\"\ntimeout = \"30d\"\nmax_concurrent = 1000\n").await;
    world.gitea.fail(fault("POST", "/comments", times, FaultKind::AnswerLost));
    let title = |number: u32| format!("[bug] Login crashes on an empty password ({number})");
    let open = |number| world.open_issue(NewIssue { title: title(number), ..bug() });
    let issues: Vec<_> = (0..times).map(open).collect();
    world.settle().await;
    for issue in &issues {
        world.assert_with_claude(issue);
        let [comment] = &world.issue(issue).comments[..] else { panic!("not one on {issue}") };
        let effects = world.history(issue).await.evaluations.into_iter().flat_map(|e| e.effects);
        let told: Vec<_> = effects.filter(|e| e.kind == "comment").collect();
        let [told] = &told[..] else { panic!("meant more than once: {told:#?}") };
        assert_eq!((told.state.as_str(), told.forge_id), ("done", Some(comment.id)), "{told:#?}");
    }
    let writes = world.gitea.writes();
    let told = writes.iter().filter(|w| w.path.contains("/comments")).map(|w| w.status);
    assert_eq!(told.collect::<Vec<_>>(), vec![0; issues.len()], "each was sent once, in vain");
}

#[tokio::test]
async fn every_kind_of_broken_answer_at_every_write_ends_in_one_of_each() {
    let kinds = [
        FaultKind::Status(500),
        FaultKind::Status(503),
        FaultKind::StatusRetryAfter(429, 7),
        FaultKind::ResetBefore,
        FaultKind::AnswerLost,
        FaultKind::CutBody,
        FaultKind::Html,
        FaultKind::WrongJson,
    ];
    for kind in kinds {
        for (method, path) in [
            ("GET", "/issues/1"),
            ("POST", "/comments"),
            ("GET", "/labels"),
            ("POST", "/labels"),
            ("PATCH", "/issues/1"),
        ] {
            let world = World::start().await;
            world.gitea.fail(fault(method, path, 2, kind.clone()));
            let issue = world.open_issue(bug());
            world.settle().await;
            eprintln!("{kind:?} at {method} {path}");
            world.assert_with_claude(&issue);
        }
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_a_dead_letter_that_says_what_to_do() {
    let world = World::start().await;
    world.gitea.fail(fault("POST", "/comments", 5, FaultKind::Status(403)));
    let issue = world.open_issue(bug());
    world.settle().await;
    let dead = world.dead().await;
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert!(dead[0].reason.as_ref().unwrap().contains("403"));
    assert_eq!(world.gitea.writes().len(), 1);
    world.gitea.clear_faults();
    let id = gitea_triage::delivery::DeliveryId::parse(&dead[0].id).unwrap();
    assert!(world.service().parts().store.revive(&id, world.clock.now()).await.unwrap());
    world.settle().await;
    world.assert_with_claude(&issue);
}

/// A new issue comes to its end, no earlier than after so many seconds.
async fn assert_waits(world: &World, seconds: u64) {
    let began = world.clock.now();
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    let waited = world.clock.now() - began;
    assert!(waited.to_std().unwrap() >= Duration::from_secs(seconds), "{waited}");
}

#[tokio::test]
async fn a_wish_to_wait_is_kept() {
    let world = World::start().await;
    world.gitea.fail(fault("GET", "/issues/1", 1, FaultKind::StatusRetryAfter(429, 120)));
    assert_waits(&world, 120).await;
}

#[tokio::test]
async fn of_two_wishes_to_wait_the_longer_is_kept() {
    for (issue, dependencies) in [(5, 300), (300, 5)] {
        let world = World::start().await;
        let wish = |seconds| FaultKind::StatusRetryAfter(429, seconds);
        world.gitea.fail(fault("GET", "/dependencies", 1, wish(dependencies)));
        world.gitea.fail(fault("GET", "/issues/1", 1, wish(issue)));
        assert_waits(&world, 300).await;
    }
}

#[tokio::test]
async fn a_refusal_of_what_it_waits_for_does_not_bury_a_new_issue_that_could_not_be_read() {
    let world = World::start().await;
    world.gitea.fail(fault("GET", "/dependencies", 1, FaultKind::StatusRetryAfter(403, 60)));
    world.gitea.fail(fault("GET", "/issues/1", 1, FaultKind::Status(503)));
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
}

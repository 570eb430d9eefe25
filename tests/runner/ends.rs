//! Runs that do not come to a pull request: what is said, and that nothing is left.

use gitea_triage::dispatch::run::{Assignment, Permits, Refusal, RunOutcome, ToolKind};

use super::world::World;

async fn with(mode: &str, change: impl FnOnce(&mut Assignment)) -> World {
    let world = World::prepare(mode).await;
    let mut assignment = world.assignment();
    change(&mut assignment);
    world.assign(assignment);
    world.run();
    world
}

#[tokio::test]
async fn an_agent_that_says_nothing_is_ended_with_all_it_started() {
    let world = with("hang", |assignment| assignment.stall_s = 1).await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert_eq!(message, "the agent said nothing for 1s");
    assert!(world.are_gone());
    assert_eq!(world.workspaces(), Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_that_prints_without_end_is_ended_and_the_log_is_bounded() {
    let world = with("flood", |assignment| assignment.timeout_s = 2).await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert_eq!(message, "the agent was not done after 2s");
    let log = world.log();
    assert!(
        log.len() < 8 << 20 && log.contains("endless") && !log.contains('\x1b'),
        "{}",
        log.len()
    );
}

#[tokio::test]
async fn an_agent_that_dies_is_reported_with_its_last_words() {
    let world = with("die", |_| ()).await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(message.starts_with("the agent ended before its turn was over"), "{message}");
    assert!(message.contains("out of credit"), "{message}");
}

#[tokio::test]
async fn a_permission_that_no_rule_decides_ends_with_the_question() {
    let world = with("execute", |_| ()).await;
    let message = world.ended_as(RunOutcome::NeedsPerson).await;
    assert!(message.contains("`execute`: rm -rf build"), "{message}");
    assert!(message.contains("permissions.allow"), "{message}");
    let asked = world.ended().await.asks.unwrap();
    assert_eq!((asked.kind, asked.title.as_str()), (ToolKind::Execute, "rm -rf build"));
}

#[tokio::test]
async fn what_people_answered_is_told_to_the_agent_and_to_no_other_kind_of_tool() {
    let answers = [
        (Permits { allow: vec![ToolKind::Execute], ..Permits::default() }, "execute allowed"),
        (Permits { deny: vec![ToolKind::Execute], ..Permits::default() }, "execute refused"),
    ];
    for (permits, noted) in answers {
        let world = with("execute", |assignment| assignment.permits = permits).await;
        assert_eq!(world.ended().await.asks, None);
        assert!(world.log().contains(noted), "{}", world.log());
    }
    let fetch = Permits { allow: vec![ToolKind::Fetch], ..Permits::default() };
    let world = with("execute", |assignment| assignment.permits = fetch).await;
    world.ended_as(RunOutcome::NeedsPerson).await;
}

#[tokio::test]
async fn an_account_that_is_missing_is_said_with_what_to_do() {
    let world = with("signed-out", |_| ()).await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(message.contains("is not signed in (Authentication required)"), "{message}");
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused() {
    let message = with("old", |_| ()).await.ended_as(RunOutcome::Failed).await;
    assert!(message.contains("speaks version 7"), "{message}");
}

#[tokio::test]
async fn too_many_tokens_end_the_run() {
    let world = with("work", |assignment| assignment.max_tokens = Some(500)).await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert_eq!(message, "the agent used 900 tokens, and may use 500");
    assert_eq!(world.written(), (String::new(), 0));
}

#[tokio::test]
async fn a_workspace_that_grows_too_large_ends_the_run() {
    let mut world = World::prepare("big").await;
    world.config = format!("disk_limit = \"1MiB\"\n{}", world.config);
    world.assign(world.assignment());
    world.run();
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(message.contains("more than 1 MiB"), "{message}");
}

/// An agent that does this and ends at once, under a limit.
async fn weighed(mode: &str, limit: &str) -> String {
    let mut world = World::prepare(mode).await;
    world.config = format!("{limit}\n{}", world.config);
    world.assign(world.assignment());
    world.run();
    let message = world.ended_as(RunOutcome::Failed).await;
    assert_eq!(world.written(), (String::new(), 0));
    assert_eq!(world.workspaces(), Vec::<String>::new());
    message
}

#[tokio::test]
async fn what_an_agent_wrote_is_weighed_also_when_it_ends_before_anybody_looked() {
    let message = weighed("hole", "").await;
    assert!(message.contains("more than 10240 MiB (`disk_limit`)"), "{message}");
    let message = weighed("large", "disk_limit = \"32MiB\"").await;
    assert!(message.contains("more than 32 MiB (`disk_limit`)"), "{message}");
    let message = weighed("crowd", "file_limit = 2000").await;
    assert!(message.contains("more than 2000 files (`file_limit`)"), "{message}");
}

#[tokio::test]
async fn a_run_that_is_called_off_is_cancelled_politely_and_then_ended() {
    let world = with("hang", |_| ()).await;
    world.logged("I am at work.").await;
    world.service.script.lock().unwrap().cancel = Some("the issue was closed".to_owned());
    assert_eq!(world.ended_as(RunOutcome::Cancelled).await, "the issue was closed");
    assert!(world.are_gone());
    assert_eq!(world.written(), (String::new(), 0));
}

#[tokio::test]
async fn after_the_lease_is_lost_nothing_is_pushed_and_nothing_said() {
    let world = World::prepare("work").await;
    world.service.script.lock().unwrap().refuse.insert("push", Refusal::Fenced);
    world.assign(world.assignment());
    world.run();
    world.service.wait_for("push", 1).await;
    // The runner is free again, and has taken the next one.
    world.service.script.lock().unwrap().refuse.clear();
    let next = Assignment {
        run: 2,
        dispatch: "another".to_owned(),
        branch: "triage/2-x".to_owned(),
        ..world.assignment()
    };
    world.assign(next);
    world.ended().await;
    assert_eq!(world.written(), ("triage/2-x".to_owned(), 1));
    assert!(
        world
            .service
            .script
            .lock()
            .unwrap()
            .calls
            .iter()
            .all(|(path, _)| path != "/runner/v1/runs/1/finish")
    );
}

#[tokio::test]
async fn a_lease_that_is_lost_in_the_middle_ends_the_agent() {
    let world = World::prepare("hang").await;
    world.service.script.lock().unwrap().refuse.insert("heartbeat", Refusal::Fenced);
    world.assign(world.assignment());
    world.run();
    world.service.wait_for("heartbeat", 1).await;
    world.service.script.lock().unwrap().refuse.clear();
    let mut next = world.assignment();
    (next.run, next.epoch) = (1, 2);
    next.stall_s = 1;
    world.assign(next);
    let ended = world.ended().await;
    assert_eq!((ended.epoch, ended.outcome), (2, RunOutcome::Failed));
    assert!(world.are_gone());
}

#[tokio::test]
async fn a_branch_of_somebody_else_is_never_overwritten() {
    let world = World::prepare("work").await;
    let theirs = world.commit_as_somebody("triage/1-it-crashes", "theirs.txt");
    world.assign(world.assignment());
    world.run();
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(message.contains("the service knows nothing of it"), "{message}");
    assert_eq!(world.head("triage/1-it-crashes"), Some(theirs));
}

#[tokio::test]
async fn workspaces_of_an_earlier_process_are_removed_at_the_start() {
    let world = World::prepare("nothing").await;
    let left = world.folder.path().join("work/runs/acme.widgets.9.00");
    std::fs::create_dir_all(left.join("tree/deep")).unwrap();
    world.run();
    world.service.wait_for("register", 1).await;
    assert_eq!(world.workspaces(), Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_that_asks_a_person_pushes_nothing() {
    let world = with("asks", |_| ()).await;
    assert_eq!(world.ended_as(RunOutcome::NeedsPerson).await, "which of the two?");
    assert!(world.service.calls("push").is_empty());
}

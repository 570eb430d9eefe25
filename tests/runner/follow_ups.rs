//! Further turns of a run: in the workspace of the turn before, on the branch as it is by now.

use gitea_triage::dispatch::run::{Assignment, Finish, RunOutcome};

use super::world::World;

const BRANCH: &str = "triage/1-it-crashes";

/// A world in which the first turn has ended with a pull request, and how it did.
async fn first_turn(mode: &str) -> (World, Finish) {
    let world = World::prepare(mode).await;
    // Files of the name `text` are ignored.
    world.commit_as_somebody("main", ".gitignore");
    world.assign(Assignment { may_follow: true, ..world.assignment() });
    world.run();
    let first = world.ended().await;
    assert_eq!(first.outcome, RunOutcome::Done, "{first:?}");
    (world, first)
}

/// The second turn.
fn second(world: &World, first: &Finish) -> Assignment {
    Assignment {
        epoch: 2,
        turn: 2,
        pushed: first.head.iter().cloned().collect(),
        pull_request: first.pull_request,
        ..world.assignment()
    }
}

#[tokio::test]
async fn a_further_turn_goes_on_in_the_same_workspace_which_is_gone_after_the_dispatch() {
    let (world, first) = first_turn("grow").await;
    let tree = world.tree();
    std::fs::write(tree.join("text"), "what was built").unwrap();
    world.assign(Assignment { may_follow: true, ..second(&world, &first) });
    let ended = world.ended_for(2).await;
    assert_eq!((ended.outcome, ended.pull_request), (RunOutcome::Done, first.pull_request));
    assert_eq!(world.git(&["rev-parse", &format!("{BRANCH}^")]), first.head.unwrap());
    assert_eq!(world.head(BRANCH), ended.head);
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
    assert_eq!(world.tree(), tree);
    assert_eq!(std::fs::read_to_string(tree.join("text")).unwrap(), "what was built");
    // The service says that it goes on; then it does not.
    world.service.wait_for("over", 2).await;
    assert_eq!(world.workspaces().len(), 1);
    let key = world.assignment().dispatch;
    world.service.script.lock().unwrap().over.push(key);
    world.cleared().await;
}

#[tokio::test]
async fn the_last_turn_leaves_no_workspace() {
    let (world, first) = first_turn("grow").await;
    world.assign(second(&world, &first));
    assert_eq!(world.ended_for(2).await.outcome, RunOutcome::Done);
    assert_eq!(world.workspaces(), Vec::<String>::new());
}

#[tokio::test]
async fn a_workspace_that_is_gone_is_made_anew_from_what_was_pushed() {
    let (world, first) = first_turn("grow").await;
    std::fs::remove_dir_all(world.folder.path().join("work/runs")).unwrap();
    std::fs::create_dir(world.folder.path().join("work/runs")).unwrap();
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!((ended.outcome, ended.pull_request), (RunOutcome::Done, first.pull_request));
    assert_eq!(world.git(&["rev-parse", &format!("{BRANCH}^")]), first.head.unwrap());
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
}

#[tokio::test]
async fn commits_of_a_person_in_between_are_gone_on_from() {
    let (world, first) = first_turn("grow").await;
    let theirs = world.commit_as_somebody(BRANCH, "theirs.txt");
    world.assign(Assignment { may_follow: true, ..second(&world, &first) });
    let ended = world.ended_for(2).await;
    assert_eq!((ended.outcome, ended.pull_request), (RunOutcome::Done, first.pull_request));
    assert_eq!(world.git(&["rev-parse", &format!("{BRANCH}^")]), theirs);
    assert_eq!(world.git(&["show", &format!("{BRANCH}:theirs.txt")]), "text");
    assert!(world.tree().join("theirs.txt").exists());
}

#[tokio::test]
async fn a_branch_that_somebody_rewrote_is_left_so() {
    let (world, first) = first_turn("grow").await;
    let main = world.head("main").unwrap();
    world.git(&["update-ref", &format!("refs/heads/{BRANCH}"), &main]);
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!(ended.outcome, RunOutcome::Failed);
    let message = ended.message.unwrap();
    assert!(
        message.contains("does not stand on what the agent pushed; it was left so"),
        "{message}"
    );
    assert_eq!(world.head(BRANCH), Some(main));
    assert_eq!(world.service.calls("push").len(), 1, "only that of the first turn");
}

#[tokio::test]
async fn what_was_left_uncommitted_or_changed_behind_the_runner_is_not_taken_over() {
    let (world, first) = first_turn("grow").await;
    let tree = world.tree();
    std::fs::write(tree.join("README.md"), "tampered with").unwrap();
    std::fs::write(tree.join(".git/index"), "no index").unwrap();
    std::fs::create_dir_all(tree.join(".git/hooks")).unwrap();
    std::fs::write(tree.join(".git/config"), "[core]\n\tfsmonitor = false\n[alias]\n").unwrap();
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!(ended.outcome, RunOutcome::Done, "{ended:?}");
    assert_eq!(world.git(&["show", &format!("{BRANCH}:README.md")]), "text");
}

#[tokio::test]
async fn a_turn_that_changes_nothing_opens_and_pushes_nothing() {
    let (world, first) = first_turn("nothing-then").await;
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!(ended.outcome, RunOutcome::NoChange);
    assert_eq!(world.head(BRANCH), first.head);
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
}

#[tokio::test]
async fn a_pull_request_that_was_closed_meanwhile_is_no_reason_for_a_second() {
    let (world, first) = first_turn("grow").await;
    let number = first.pull_request.unwrap();
    world.gitea.close(&format!("acme/widgets#{number}").parse().unwrap(), "alice");
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!(ended.outcome, RunOutcome::NeedsPerson, "{ended:?}");
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
}

#[tokio::test]
async fn an_agent_that_can_goes_on_with_its_session() {
    let (world, first) = first_turn("resume").await;
    assert!(!world.signs().contains(&"loaded".to_owned()), "there was none before");
    world.assign(second(&world, &first));
    let ended = world.ended_for(2).await;
    assert_eq!(ended.outcome, RunOutcome::Done);
    let loaded = std::fs::read_to_string(world.signs.join("loaded")).unwrap();
    assert!(loaded.contains(r#""sessionId":"s1""#), "{loaded}");
    assert!(!world.log().contains("This was said before."), "that is no news");
    assert_eq!(ended.message, None, "nor are they its last words");
}

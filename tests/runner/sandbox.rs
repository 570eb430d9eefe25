//! The same agent in bubblewrap: what it reaches there is nothing.

use gitea_triage::dispatch::run::RunOutcome;

use super::attacks::a_bomb_is_ended;
use super::world::{World, sleepers};

const BRANCH: &str = "triage/1-it-crashes";
/// How long the program sleeps that the agent tries to leave behind.
const LEFT: &str = "98765";

#[tokio::test]
#[ignore = "needs bubblewrap, and a machine where it can make namespaces"]
async fn in_the_sandbox_an_agent_reaches_nothing_but_its_workspace() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner");
    let keys = format!("sandbox = \"bubblewrap\"\nnetwork = false\nread = [\"{scripts}\"]");
    let world = World::prepare_with("escape", &keys).await;
    world.assign(world.assignment());
    world.run();
    let ended = world.ended().await;
    assert_eq!(ended.outcome, RunOutcome::Done, "{ended:?}");
    assert_eq!(world.git(&["show", &format!("{BRANCH}:answers.txt")]), "end");
    assert_eq!(world.signs(), Vec::<String>::new());
    assert_eq!(sleepers(LEFT), 0);
}

#[tokio::test]
#[ignore = "needs bubblewrap, and a machine where it can make namespaces"]
async fn in_the_sandbox_a_fork_bomb_is_ended_with_its_run() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner");
    let keys = format!("sandbox = \"bubblewrap\"\nread = [\"{scripts}\"]");
    a_bomb_is_ended(World::prepare_with("bomb", &keys).await).await;
}

#[tokio::test]
async fn without_one_it_reaches_what_the_account_may() {
    let world = World::start("escape").await;
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    let answers = world.git(&["show", &format!("{BRANCH}:answers.txt")]);
    // The page about security says so. That the attempts of the test above are real is seen here.
    for reached in ["/token", "/forge-token", "/sign", "/work/cache", "/environ"] {
        assert!(answers.lines().any(|line| line.ends_with(reached)), "{reached}: {answers}");
    }
}

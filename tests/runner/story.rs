//! A run to its pull request, and what follows it.

use gitea_triage::dispatch::run::{Assignment, Finish, RunOutcome};
use serde_json::json;

use super::world::{World, repo};

const BRANCH: &str = "triage/1-it-crashes";

#[tokio::test]
async fn a_run_ends_in_a_branch_and_a_pull_request() {
    let world = World::start("work").await;
    let Finish { outcome, message, head, pull_request, url, usage, .. } = world.ended().await;
    assert_eq!((outcome, message.as_deref()), (RunOutcome::Done, Some("I fixed it.")));
    assert_eq!((usage.tokens, usage.cost), (Some(1234), Some(0.25)));
    let head = head.unwrap();
    assert_eq!(world.head(BRANCH).as_ref(), Some(&head));
    assert_eq!(world.git(&["show", &format!("{BRANCH}:src/lib.rs")]), "pub fn fixed() {}");
    let about =
        world.git(&["log", "-1", "--format=%an <%ae>%n%s%n%(trailers:key=Co-authored-by)", BRANCH]);
    assert_eq!(
        about,
        "Triage Bot <bot@example.com>\nWork on #1\nCo-authored-by: claude <claude@localhost>"
    );
    // It was asked for before it was done.
    assert_eq!(world.service.calls("push"), [json!({"epoch": 1, "head": head})]);
    let number = pull_request.unwrap();
    let pull = world.gitea.issue(&format!("acme/widgets#{number}").parse().unwrap()).unwrap();
    // A keyword before a number in somebody else's title would close that issue, too.
    assert_eq!(pull.title, "It crashes, fixes 77");
    assert!(
        pull.body.starts_with("Closes #1\n") && pull.body.contains("I fixed it."),
        "{}",
        pull.body
    );
    assert!(url.unwrap().ends_with(&format!("/acme/widgets/pulls/{number}")));
    let log = world.log();
    for line in [
        "a line before the first message",
        "[tool] edit: Edit src/lib.rs",
        "[permission] edit allowed",
        "I fixed it.",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert_eq!(world.workspaces(), Vec::<String>::new());
}

#[tokio::test]
async fn a_take_over_goes_on_from_what_was_pushed_and_opens_no_second_pull_request() {
    let world = World::start("grow").await;
    let first = world.ended().await;
    let head = first.head.unwrap();
    // As after a crash between the push and the report of it.
    world.assign(Assignment { epoch: 2, pushed: vec![head.clone()], ..world.assignment() });
    let second = world.ended_for(2).await;
    assert_eq!((second.outcome, second.epoch), (RunOutcome::Done, 2));
    assert_eq!(second.pull_request, first.pull_request);
    assert_eq!(world.git(&["rev-parse", &format!("{BRANCH}^")]), head);
    assert_eq!(world.head(BRANCH), second.head);
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
}

#[tokio::test]
async fn a_take_over_that_finds_nothing_more_to_do_reports_what_was_pushed() {
    let world = World::start("work").await;
    let first = world.ended().await;
    let head = first.head.clone().unwrap();
    world.assign(Assignment { epoch: 2, pushed: vec![head.clone()], ..world.assignment() });
    let second = world.ended_for(2).await;
    assert_eq!((second.outcome, &second.head), (RunOutcome::Done, &first.head));
    assert_eq!(second.pull_request, first.pull_request);
    assert_eq!(world.head(BRANCH), Some(head));
    assert_eq!(world.written(), (BRANCH.to_owned(), 1));
}

#[tokio::test]
async fn a_take_over_opens_nothing_beside_a_pull_request_that_people_have_merged_or_closed() {
    for is_merged in [true, false] {
        let world = World::start("grow").await;
        let first = world.ended().await;
        let pull = format!("{}#{}", repo(), first.pull_request.unwrap()).parse().unwrap();
        if is_merged {
            world.gitea.merge(&pull, "alice")
        } else {
            world.gitea.close(&pull, "alice")
        }
        let head = first.head.clone().unwrap();
        world.assign(Assignment { epoch: 2, pushed: vec![head.clone()], ..world.assignment() });
        let second = world.ended_for(2).await;
        let expected = if is_merged { RunOutcome::Done } else { RunOutcome::NeedsPerson };
        assert_eq!(second.outcome, expected, "{second:?}");
        assert_eq!(second.pull_request, first.pull_request.filter(|_| is_merged));
        assert_eq!(world.head(BRANCH), Some(head));
        assert_eq!(world.written(), (BRANCH.to_owned(), 1));
    }
}

#[tokio::test]
async fn commits_of_the_agent_stay_and_the_rest_is_committed_on_top() {
    let world = World::start("commits").await;
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    let log = world.git(&["log", "--format=%s by %an", BRANCH]);
    assert_eq!(log, "Work on #1 by Triage Bot\nAdd one by agent\nBy somebody by somebody");
}

#[tokio::test]
async fn where_nothing_changed_nothing_is_pushed() {
    let world = World::start("nothing").await;
    assert_eq!(world.ended_as(RunOutcome::NoChange).await, "There is nothing to do.");
    assert_eq!(world.written(), (String::new(), 0));
    assert!(world.service.calls("push").is_empty());
}

#[tokio::test]
async fn a_draft_is_one() {
    let world = World::prepare("work").await;
    world.assign(Assignment { is_draft: true, ..world.assignment() });
    world.run();
    let number = world.ended().await.pull_request.unwrap();
    let pull = world.gitea.issue(&format!("{}#{number}", repo()).parse().unwrap()).unwrap();
    assert!(pull.title.starts_with("WIP: "), "{}", pull.title);
}

#[tokio::test]
async fn a_command_gets_its_prompt_on_its_input_and_its_last_lines_are_its_words() {
    let mut world = World::prepare("work").await;
    let (before, _) = world.config.split_once("[[agent]]").unwrap();
    world.config = format!(
        "{before}[[agent]]\nid = \"claude\"\nprotocol = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"cat > prompt.txt; echo wrote it\"]\n"
    );
    world.assign(world.assignment());
    world.run();
    assert_eq!(world.ended_as(RunOutcome::Done).await, "wrote it");
    assert_eq!(world.git(&["show", &format!("{BRANCH}:prompt.txt")]), "Make it work.");
}

#[tokio::test]
async fn hooks_run_in_the_workspace_and_one_that_fails_ends_the_run() {
    let mut world = World::prepare("nothing").await;
    world.config += "[hooks]\nafter_create = [\"/bin/sh\", \"-c\", \"echo made > made.txt\"]\n";
    world.assign(world.assignment());
    world.run();
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    assert_eq!(world.git(&["show", &format!("{BRANCH}:made.txt")]), "made");

    let mut world = World::prepare("work").await;
    world.config +=
        "[hooks]\nbefore_run = [\"/bin/sh\", \"-c\", \"echo no compiler >&2; exit 1\"]\n";
    world.assign(world.assignment());
    world.run();
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(
        message.contains("`before_run` failed") && message.contains("no compiler"),
        "{message}"
    );
}

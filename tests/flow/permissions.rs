//! Permissions of commands: only people with write access may give them; the others get an answer that says why.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind};
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

/// Every command that is for writers.
const COMMANDS: [&str; 7] = [
    "/triage",
    "/triage hold",
    "/triage resume",
    "/triage retry",
    "/triage assign kimi",
    "/triage assign @alice",
    "/triage done",
];

/// All that a command could have changed.
#[derive(Debug, PartialEq)]
struct Standing {
    labels: Vec<String>,
    assignees: Vec<String>,
    dispatches: Vec<DispatchState>,
}

async fn standing(world: &World, at: &IssueRef) -> Standing {
    let history = world.history(at).await;
    Standing {
        labels: world.labels(at),
        assignees: world.assignees(at),
        dispatches: history.dispatches.iter().map(|d| d.state).collect(),
    }
}

fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let comments = world.issue(at).comments;
    let comment = comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().map(|(_, what)| what).collect()
}

/// An issue of bob, who may only read, dispatched to an agent.
async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    issue
}

/// Lets `by` give every command, and finds each refused with `why` and without any other effect.
async fn is_refused(world: &World, at: &IssueRef, by: &str, why: &str) {
    let (before, said) = (standing(world, at).await, world.comments(at).len());
    let comment = world.gitea.comment(at, by, &COMMANDS.join("\n"));
    world.settle().await;
    assert_eq!(reactions(world, at, comment), ["confused"], "{by}");
    let answers = world.comments(at);
    assert_eq!(answers.len(), said + 1, "{by} gets one answer: {answers:#?}");
    let refusals = answers[said].matches(why).count();
    assert_eq!(refusals, COMMANDS.len(), "{by}: {}", answers[said]);
    assert_eq!(standing(world, at).await, before, "{by}");
}

/// What a writer can do; without it, a refusal of everybody would pass for a refusal of the right ones.
async fn is_carried_out(world: &World, at: &IssueRef, by: &str) {
    let comment = world.gitea.comment(at, by, "/triage done");
    world.settle().await;
    assert_eq!(reactions(world, at, comment), ["+1"], "{by}");
    assert_eq!(standing(world, at).await.dispatches, [DispatchState::Completed], "{by}");
}

#[tokio::test]
async fn readers_are_refused_also_on_their_own_issues() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    assert_eq!(world.issue(&issue).author, "bob");
    is_refused(&world, &issue, "bob", "`bob` has no write access to this repository").await;
    world.gitea.add_user("carol");
    is_refused(&world, &issue, "carol", "`carol` has no write access to this repository").await;
    is_carried_out(&world, &issue, "alice").await;
}

#[tokio::test]
async fn anybody_may_ask_what_there_is_and_why() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.add_user("carol");
    for (asked, answer) in [("/triage help", "| command |"), ("/triage explain", "score 9")] {
        let comment = world.gitea.comment(&issue, "carol", asked);
        world.settle().await;
        assert_eq!(reactions(&world, &issue, comment), ["+1"]);
        let said = world.comments(&issue).pop().unwrap();
        assert!(said.contains(answer), "{said}");
    }
}

#[tokio::test]
async fn a_former_member_is_refused_and_a_new_one_obeyed() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.remove_collaborator(&world.repo, "alice");
    world.gitea.add_collaborator(&world.repo, "bob", "write");
    is_refused(&world, &issue, "alice", "`alice` has no write access to this repository").await;
    world.gitea.remove_collaborator(&world.repo, "bob");
    // Who may write is believed for a minute; another start asks anew.
    world.restart().await;
    is_refused(&world, &issue, "bob", "`bob` has no write access to this repository").await;
    world.gitea.add_collaborator(&world.repo, "bob", "write");
    world.restart().await;
    is_carried_out(&world, &issue, "bob").await;
}

#[tokio::test]
async fn our_own_comments_command_nothing_and_another_bot_is_like_anybody() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let before = standing(&world, &issue).await;
    let ours = world.gitea.comment(&issue, &world.gitea.bot().login, &COMMANDS.join("\n"));
    world.settle().await;
    assert!(reactions(&world, &issue, ours).is_empty());
    assert_eq!(world.comments(&issue).len(), 2, "the dispatch, and what was just written");
    assert_eq!(standing(&world, &issue).await, before);
    is_refused(&world, &issue, "renovate-bot", "`renovate-bot` has no write access").await;
    is_carried_out(&world, &issue, "claude").await;
}

#[tokio::test]
async fn somebody_whose_permission_cannot_be_found_out_is_refused() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let hidden = |kind| Fault {
        method: Some("GET".into()),
        path_contains: "/assignees".into(),
        // To see whose turn comes first, and whether they may.
        times: 2,
        kind,
    };
    world.gitea.fail(hidden(FaultKind::Status(403)));
    is_refused(&world, &issue, "alice", "the permissions of `alice` could not be checked").await;
    // What passes by itself is waited for.
    world.gitea.fail(hidden(FaultKind::Status(502)));
    is_carried_out(&world, &issue, "alice").await;
}

#[tokio::test]
async fn a_team_that_may_only_read_pull_requests_is_refused_where_the_forge_tells() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.add_pull_reader(&world.repo, "carol");
    world.gitea.add_collaborator(&world.repo, &world.gitea.bot().login, "admin");
    is_refused(&world, &issue, "carol", "`carol` has no write access to this repository").await;
    is_carried_out(&world, &issue, "alice").await;
}

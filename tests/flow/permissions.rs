//! Permissions of commands: only people with write access may give them; the others get an answer that says why.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind};
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

/// Every command that is for writers.
const COMMANDS: [&str; 8] = [
    "/triage",
    "/triage hold",
    "/triage resume",
    "/triage retry",
    "/triage assign kimi",
    "/triage assign @alice",
    "/triage approve",
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

/// Lets `by` give every command, and finds each refused without any other effect, with `why` where nobody was told so
/// within the hour.
async fn is_refused(world: &World, at: &IssueRef, by: &str, why: &str) {
    let (before, comments) = (standing(world, at).await, world.comments(at));
    let is_first = !comments.iter().any(|comment| comment.contains("decision=answer:outsider:"));
    let said = comments.len();
    let comment = world.gitea.comment(at, by, &COMMANDS.join("\n"));
    world.settle().await;
    assert_eq!(reactions(world, at, comment), ["confused"], "{by}");
    let answers = world.comments(at);
    assert_eq!(answers.len(), said + usize::from(is_first), "{by} gets one answer: {answers:#?}");
    for answer in &answers[said..] {
        assert_eq!(answer.matches(why).count(), COMMANDS.len(), "{by}: {answer}");
    }
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

/// Why somebody is refused of whom the forge does not tell us.
const UNSHOWN: &str =
    "make our account an administrator of the repository, or name logins in `triage.commanders`";

/// Every unit of a team but the issues, with the least right that has its members listed as possible assignees.
const LISTED_BY: [(&str, &str); 8] = [
    ("pulls", "read"),
    ("pulls", "write"),
    ("code", "write"),
    ("wiki", "write"),
    ("releases", "write"),
    ("packages", "write"),
    ("projects", "write"),
    ("actions", "write"),
];

/// Adds a team with one member.
fn team(world: &World, name: &str, units: &[(&str, &str)], member: &str) {
    world.gitea.add_team(&world.repo, name, units);
    world.gitea.join_team(name, member);
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

#[tokio::test]
async fn nobody_is_obeyed_for_being_listed_beside_a_team_that_writes_no_issues() {
    for unit in LISTED_BY {
        let world = World::start().await;
        let issue = dispatched(&world).await;
        team(&world, "others", &[unit, ("issues", "read")], "carol");
        is_refused(&world, &issue, "carol", UNSHOWN).await;
    }
}

#[tokio::test]
async fn who_may_write_is_not_told_apart_from_a_reader_and_the_answer_says_what_helps() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    team(&world, "readers", &[("pulls", "read"), ("issues", "read")], "carol");
    is_refused(&world, &issue, "alice", UNSHOWN).await;
    world.gitea.add_collaborator(&world.repo, &world.gitea.bot().login, "admin");
    world.restart().await;
    is_refused(&world, &issue, "carol", "`carol` has no write access to this repository").await;
    is_carried_out(&world, &issue, "alice").await;
}

#[tokio::test]
async fn named_commanders_are_obeyed_where_the_forge_does_not_tell_and_nowhere_else() {
    let world = World::with("[triage]\ncommanders = [\"alice\", \"bob\"]\n").await;
    let issue = dispatched(&world).await;
    team(&world, "readers", &[("pulls", "read"), ("issues", "read")], "carol");
    is_refused(&world, &issue, "bob", "`bob` has no write access to this repository").await;
    is_refused(&world, &issue, "carol", UNSHOWN).await;
    is_carried_out(&world, &issue, "alice").await;
}

#[tokio::test]
async fn a_commanders_login_is_not_followed_to_whoever_takes_it_over() {
    let world = World::with("[triage]\ncommanders = [\"alice\"]\n").await;
    let issue = dispatched(&world).await;
    team(&world, "readers", &[("pulls", "read"), ("issues", "read")], "carol");
    let held = world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, held), ["+1"]);
    world.gitea.rename_owner("alice", "alicia");
    world.gitea.rename_owner("carol", "alice");
    is_refused(&world, &issue, "alice", UNSHOWN).await;
}

#[tokio::test]
async fn members_of_a_team_that_writes_issues_are_obeyed_whatever_else_it_may() {
    for units in
        [&[("issues", "write")][..], &[("issues", "write"), ("code", "read")], &[("admin", "")]]
    {
        let world = World::start().await;
        let issue = dispatched(&world).await;
        team(&world, "triagers", units, "carol");
        is_carried_out(&world, &issue, "carol").await;
    }
}

#[tokio::test]
async fn a_team_that_our_account_is_in_is_known_beside_one_of_readers() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    team(&world, "readers", &[("pulls", "read"), ("issues", "read")], "carol");
    team(&world, "triagers", &[("issues", "write")], "dana");
    is_refused(&world, &issue, "dana", UNSHOWN).await;
    world.gitea.join_team("triagers", &world.gitea.bot().login);
    is_refused(&world, &issue, "carol", UNSHOWN).await;
    is_carried_out(&world, &issue, "dana").await;
}

#[tokio::test]
async fn an_administrators_permission_over_all_is_not_the_last_word_about_a_team() {
    let world = World::start().await;
    let bot = world.gitea.bot().login;
    let issue = dispatched(&world).await;
    team(&world, "readers", &[("pulls", "read"), ("issues", "read")], "carol");
    team(&world, "triagers", &[("issues", "write")], "dana");
    world.gitea.add_collaborator(&world.repo, &bot, "admin");
    // The forge says `read` of both.
    let why =
        "make our account an owner of the organisation, or name logins in `triage.commanders`";
    is_refused(&world, &issue, "dana", why).await;
    world.gitea.add_org_owner("acme", &bot);
    is_refused(&world, &issue, "carol", "`carol` has no write access to this repository").await;
    is_carried_out(&world, &issue, "dana").await;
}

#[tokio::test]
async fn a_site_administrator_is_obeyed_where_the_forge_tells() {
    let mut world = World::start().await;
    let issue = dispatched(&world).await;
    world.gitea.add_site_admin("root");
    is_refused(&world, &issue, "root", "`root` has no write access to this repository").await;
    world.gitea.add_collaborator(&world.repo, &world.gitea.bot().login, "admin");
    world.restart().await;
    is_carried_out(&world, &issue, "root").await;
}

#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_with_the_next_command() {
    let world = World::start().await;
    let issue = dispatched(&world).await;
    let held = world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, held), ["+1"]);
    world.gitea.remove_collaborator(&world.repo, "alice");
    is_refused(&world, &issue, "alice", "`alice` has no write access to this repository").await;
}

#[tokio::test]
async fn a_question_about_rights_that_is_refused_gives_no_right() {
    for path in ["/permission", "/teams", "/assignees"] {
        let world = World::start().await;
        let issue = dispatched(&world).await;
        team(&world, "triagers", &[("issues", "write")], "carol");
        let fault = Fault {
            method: Some("GET".into()),
            path_contains: path.into(),
            times: u32::MAX,
            kind: FaultKind::Status(if path == "/permission" { 401 } else { 403 }),
        };
        world.gitea.fail(fault);
        is_refused(&world, &issue, "carol", "the permissions of `carol` could not be checked")
            .await;
        world.gitea.clear_faults();
        is_carried_out(&world, &issue, "carol").await;
    }
}

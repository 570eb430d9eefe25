//! Where an issue needs a person, the members of a rotation are asked in turn: by weight, but for who is away.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};

use crate::world::{World, bug};

/// Anna and Ben in turn.
const TWO: &str = "[triage]\nowner = \"alice\"\n[[rotation]]\nname = \"backend\"\nmembers = [\"anna\", \"ben\"]\n";

/// A world in which these people may be assigned.
async fn world(more: &str) -> World {
    let world = World::with(more).await;
    for login in ["anna", "ben", "cleo"] {
        world.gitea.add_collaborator(&world.repo, login, "write");
    }
    world
}

/// A ready bug that says it is blocked.
fn blocked() -> NewIssue {
    let mut blocked = bug();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    blocked
}

async fn flagged(world: &World) -> IssueRef {
    let issue = world.open_issue(blocked());
    world.settle().await;
    issue
}

/// Whom the only comment calls, who is assigned, and why them.
#[track_caller]
fn asked(world: &World, at: &IssueRef) -> (String, Vec<String>, String) {
    let comment = world.comment(at);
    let called = comment.strip_prefix("**Triage: @").unwrap().split(',').next().unwrap();
    let why = comment.lines().find_map(|line| line.strip_prefix("**Asked:** "));
    (called.to_owned(), world.assignees(at), why.unwrap_or_default().to_owned())
}

#[track_caller]
fn is_asked(world: &World, at: &IssueRef, login: &str, why: &str) {
    let expected = (login.to_owned(), vec![login.to_owned()], why.to_owned());
    assert_eq!(asked(world, at), expected);
}

#[tokio::test]
async fn members_are_asked_in_turn_assigned_and_told_why() {
    let world = world(TWO).await;
    for login in ["anna", "ben", "anna"] {
        let issue = flagged(&world).await;
        is_asked(&world, &issue, login, "next of 2 in rotation `backend`.");
        let duties = world.history(&issue).await.duties;
        assert_eq!(duties.len(), 1);
        assert_eq!(duties[0].login.as_deref(), Some(login));
        assert_eq!(duties[0].why, "next of 2 in rotation `backend`");
    }
}

#[tokio::test]
async fn who_weighs_twice_as_much_is_asked_twice_as_often() {
    let world = world(
        "[[rotation]]\nname = \"backend\"\nmembers = [{ login = \"anna\", weight = 2 }, \"ben\"]\n",
    )
    .await;
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut order = Vec::new();
    for _ in 0..9 {
        let issue = flagged(&world).await;
        let (login, assignees, _) = asked(&world, &issue);
        assert_eq!(assignees, std::slice::from_ref(&login));
        *count.entry(login.clone()).or_default() += 1;
        order.push(login);
    }
    assert_eq!(count, BTreeMap::from([("anna".into(), 6), ("ben".into(), 3)]), "{order:?}");
    assert_eq!(order[..3], ["anna", "ben", "anna"]);
}

#[tokio::test]
async fn issues_flagged_in_one_go_are_shared_too() {
    let world = world(TWO).await;
    world.gitea.pause_deliveries();
    let issues: Vec<_> = (0..6).map(|_| world.open_issue(blocked())).collect();
    world.gitea.resume();
    world.gitea.delivered().await;
    let worker = &world.service().parts().worker;
    let patience = std::time::Duration::from_secs(60);
    let all = [worker.settle(patience), worker.settle(patience), worker.settle(patience)];
    assert!(futures_util::future::join_all(all).await.into_iter().all(|one| one.is_ok()));
    world.settle().await;
    let anna = issues.iter().filter(|at| asked(&world, at).0 == "anna").count();
    assert_eq!(anna, 3);
}

#[tokio::test]
async fn who_is_away_is_passed_over_until_they_are_back_and_has_nothing_to_catch_up_with() {
    let absent = "[{ from = \"2026-03-24\", until = 2026-03-25 }]";
    let world = world(&format!(
        "[summary]\nenabled = false\ntimezone = \"Europe/Berlin\"\n[[rotation]]\nname = \"backend\"\n\
         members = [\"ben\", {{ login = \"anna\", absent = {absent} }}]\n"
    ))
    .await;
    let fine = "next of 2 in rotation `backend`.";
    is_asked(&world, &flagged(&world).await, "ben", fine);
    // Still the 23rd in London, and the 24th in Berlin.
    world.clock.advance(TimeDelta::minutes(11 * 60 + 30));
    let away = "next of 2 in rotation `backend`; `anna` is away until 2026-03-25.";
    is_asked(&world, &flagged(&world).await, "ben", away);
    for _ in 0..3 {
        let issue = flagged(&world).await;
        assert_eq!(asked(&world, &issue).0, "ben");
    }
    world.clock.advance(TimeDelta::days(2));
    for login in ["anna", "ben", "anna"] {
        is_asked(&world, &flagged(&world).await, login, fine);
    }
}

#[tokio::test]
async fn who_cannot_be_assigned_is_passed_over_and_named() {
    let world = world(&TWO.replace("\"anna\"", "\"ghost\"")).await;
    let why = "next of 2 in rotation `backend`; `ghost` cannot be assigned here.";
    is_asked(&world, &flagged(&world).await, "ben", why);
    is_asked(&world, &flagged(&world).await, "ben", why);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_owner_is_and_hears_why() {
    let members = "[\"ghost\", { login = \"anna\", absent = [{ from = \"2026-01-01\", until = \"2026-12-31\" }] }]";
    let world = world(&TWO.replace("[\"anna\", \"ben\"]", members)).await;
    let issue = flagged(&world).await;
    let why = "nobody in rotation `backend` can be asked: `ghost` cannot be assigned here; `anna` \
               is away until 2026-12-31.";
    assert_eq!(asked(&world, &issue), ("alice".into(), vec![], why.into()));
    // It stays so: nobody is called by an edit.
    world.clock.advance(TimeDelta::days(365));
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes on an empty name"), None);
    world.settle().await;
    assert_eq!(asked(&world, &issue).0, "alice");
}

#[tokio::test]
async fn whoever_opened_the_issue_is_asked_only_where_nobody_else_can_be() {
    let world = world(TWO).await;
    let own = || NewIssue { author: "anna".into(), ..blocked() };
    let issue = world.open_issue(own());
    world.settle().await;
    let why = "next of 2 in rotation `backend`; `anna` opened it.";
    is_asked(&world, &issue, "ben", why);
    world.gitea.remove_collaborator(&world.repo, "ben");
    world.gitea.remove_user("ben");
    let alone = World::with(&TWO.replace("\"anna\", \"ben\"", "\"anna\"")).await;
    alone.gitea.add_collaborator(&alone.repo, "anna", "write");
    let issue = alone.open_issue(own());
    alone.settle().await;
    is_asked(&alone, &issue, "anna", "next of 1 in rotation `backend`.");
}

#[tokio::test]
async fn nobody_is_chosen_a_second_time() {
    let mut world = world(TWO).await;
    let issue = flagged(&world).await;
    for title in ["[bug] Login crashes on an empty name", "[bug] Login crashes again"] {
        world.gitea.edit_issue(&issue, "bob", Some(title), None);
        world.settle().await;
        world.restart().await;
        world.gitea.comment(&issue, "alice", "/triage");
        world.settle().await;
    }
    is_asked(&world, &issue, "anna", "next of 2 in rotation `backend`.");
    assert_eq!(world.history(&issue).await.duties.len(), 1);
    is_asked(&world, &flagged(&world).await, "ben", "next of 2 in rotation `backend`.");
}

#[tokio::test]
async fn who_is_taken_off_by_a_person_is_not_put_back() {
    let world = world(TWO).await;
    let issue = flagged(&world).await;
    world.gitea.unassign(&issue, "alice", "anna");
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes again"), None);
    world.settle().await;
    assert_eq!(asked(&world, &issue).1, [""; 0]);
    // The next flag is for the next one.
    is_asked(&world, &flagged(&world).await, "ben", "next of 2 in rotation `backend`.");
}

#[tokio::test]
async fn who_was_assigned_keeps_the_issue_when_it_is_not_blocked_any_more() {
    let world = world(TWO).await;
    let blocker = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    let mut waits = bug();
    waits.body.push_str(&format!("\n\nBlocked by #{}", blocker.number));
    let issue = world.open_issue(waits);
    world.settle().await;
    is_asked(&world, &issue, "anna", "next of 2 in rotation `backend`.");
    world.gitea.close(&blocker, "alice");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["anna"]);
    let said = world.comment(&issue);
    assert!(
        said.starts_with("**Nobody has to act on this any more:** already assigned to `anna`"),
        "{said}"
    );
    // A person may give it to an agent all the same.
    world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["claude"]);
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn who_was_asked_can_claim_the_issue_and_give_it_back_to_the_rotation() {
    let world = world(TWO).await;
    let issue = flagged(&world).await;
    world.gitea.comment(&issue, "cleo", "/triage claim");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["anna"]);
    assert!(world.comments(&issue)[1].contains("already assigned to `anna`"));
    for (command, assignee) in [("/triage claim", "anna"), ("/triage release", "ben")] {
        world.gitea.comment(&issue, "anna", command);
        world.settle().await;
        assert_eq!(world.assignees(&issue), [assignee], "{command}");
    }
    let comments = world.comments(&issue);
    assert!(comments[2].starts_with("**Triage: @ben, this needs you**"), "{comments:#?}");
    assert_eq!(comments.len(), 3);
}

#[tokio::test]
async fn who_gives_a_claim_back_is_not_asked_next_though_it_is_their_turn() {
    let world = world(TWO).await;
    let issue = flagged(&world).await;
    world.gitea.comment(&issue, "anna", "/triage claim");
    world.settle().await;
    is_asked(&world, &flagged(&world).await, "ben", "next of 2 in rotation `backend`.");
    world.gitea.comment(&issue, "anna", "/triage release");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["ben"]);
    let comment = world.comments(&issue).pop().unwrap();
    assert!(comment.starts_with("**Triage: @ben, this needs you**"), "{comment}");
    let why = "next of 2 in rotation `backend`; `anna` had claimed it until now.";
    assert!(comment.contains(why), "{comment}");
}

#[tokio::test]
async fn without_assign_they_are_mentioned_only_and_the_issue_goes_on() {
    let world = world(&format!("{TWO}assign = false\n")).await;
    let blocker = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    let mut waits = bug();
    waits.body.push_str(&format!("\n\nBlocked by #{}", blocker.number));
    let issue = world.open_issue(waits);
    world.settle().await;
    let why = "next of 2 in rotation `backend`.";
    assert_eq!(asked(&world, &issue), ("anna".into(), vec![], why.into()));
    world.gitea.close(&blocker, "alice");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["claude"]);
    world.comments(&issue);
}

#[tokio::test]
async fn labels_and_paths_say_which_rotation_serves_an_issue() {
    let rotations = "[triage]\nowner = \"alice\"\n\
        [[rotation]]\nname = \"elsewhere\"\nmembers = [\"cleo\"]\nrepos = [\"acme/gears\"]\n\
        [[rotation]]\nname = \"docs\"\nmembers = [\"cleo\"]\nlabels = [\"Area/Docs\"]\n\
        [[rotation]]\nname = \"auth\"\nmembers = [\"ben\"]\npaths = [\"src/auth/**\"]\n";
    let world = world(rotations).await;
    let labelled = world.open_issue(NewIssue { labels: vec!["area/docs".into()], ..blocked() });
    let named = world.open_issue(blocked());
    let mut other = blocked();
    other.body = other.body.replace("src/auth/login.py", "src/web/page.py");
    let other = world.open_issue(other);
    world.settle().await;
    is_asked(&world, &labelled, "cleo", "next of 1 in rotation `docs`.");
    is_asked(&world, &named, "ben", "next of 1 in rotation `auth`.");
    assert_eq!(asked(&world, &other), ("alice".into(), vec![], String::new()));
}

#[tokio::test]
async fn a_dispatch_that_times_out_asks_the_next_of_the_rotation() {
    let world = world(TWO).await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    let comments = world.comments(&issue);
    assert!(
        comments[1].starts_with("**Triage: timed out**\n\n@anna: `claude` has had this for 2 h")
    );
    assert!(comments[1].contains("**Asked:** next of 2 in rotation `backend`."), "{}", comments[1]);
    assert_eq!(world.assignees(&issue), ["claude", "anna"]);
    // Sent back to the agent, it is no longer hers.
    world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["claude"]);
    assert_eq!(world.history(&issue).await.dispatches.len(), 2);
    world.comments(&issue);
}

#[tokio::test]
async fn a_dry_run_counts_nothing() {
    let mut world = world(&TWO.replace("owner", "dry_run = true\nowner")).await;
    let issues = [flagged(&world).await, flagged(&world).await, flagged(&world).await];
    assert!(world.history(&issues[0]).await.duties.is_empty());
    world.configure(|text| text.replace("dry_run = true", "dry_run = false"));
    world.restart().await;
    world.settle().await;
    let mut logins: Vec<_> = issues.iter().map(|at| asked(&world, at).0).collect();
    logins.sort();
    assert_eq!(logins, ["anna", "anna", "ben"]);
}

#[tokio::test]
async fn a_turn_goes_on_through_a_rename_and_a_login_of_old_is_passed_over() {
    let mut world = world(TWO).await;
    let issue = flagged(&world).await;
    let name: RepoName = "acme/gadgets".parse().unwrap();
    world.gitea.rename_repo(&world.repo, &name);
    world.repo = name.clone();
    let issue = IssueRef { repo: name, ..issue };
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes again"), None);
    world.settle().await;
    is_asked(&world, &issue, "anna", "next of 2 in rotation `backend`.");
    world.gitea.rename_owner("ben", "benjamin");
    let why = "next of 2 in rotation `backend`; `ben` cannot be assigned here.";
    is_asked(&world, &flagged(&world).await, "anna", why);
}

#[tokio::test]
async fn a_failure_at_any_request_of_a_flag_asks_one_person_once() {
    let requests = {
        let world = world(TWO).await;
        world.gitea.clear_requests();
        let issue = flagged(&world).await;
        world.comment(&issue);
        let sent = world.gitea.requests().into_iter();
        let path = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
        sent.map(|r| (r.method, path(&r.path))).collect::<Vec<_>>()
    };
    assert!(requests.iter().any(|(method, _)| method == "PATCH"), "{requests:?}");
    for (method, path) in &requests {
        for kind in [FaultKind::Status(500), FaultKind::AnswerLost] {
            let world = world(TWO).await;
            let method = Some(method.clone());
            let place = format!("{kind:?} at {method:?} {path}");
            world.gitea.fail(Fault { method, path_contains: path.clone(), times: 1, kind });
            let issue = flagged(&world).await;
            assert_eq!(asked(&world, &issue).0, "anna", "{place}");
            assert_eq!(world.assignees(&issue), ["anna"], "{place}");
            assert_eq!(world.history(&issue).await.duties.len(), 1, "{place}");
            let next = flagged(&world).await;
            assert_eq!(asked(&world, &next).0, "ben", "{place}");
        }
    }
}

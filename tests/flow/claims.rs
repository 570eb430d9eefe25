//! People claim issues and give them back: one holder each, so many at once, for as long as they show signs of work.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::sweep::How;
use gitea_triage::triage::OrderState;

use crate::world::{PATIENT, SECRET, World, bug};

/// An issue that no score gives to anybody.
fn poor() -> NewIssue {
    NewIssue { title: "It is slow".into(), author: "dora".into(), ..NewIssue::default() }
}

async fn looked_at(world: &World) -> IssueRef {
    let issue = world.open_issue(poor());
    world.settle().await;
    issue
}

/// Lets somebody say this, and everything come to its end; the reaction of ours.
async fn say(world: &World, at: &IssueRef, by: &str, text: &str) -> Vec<String> {
    let comment = world.gitea.comment(at, by, text);
    world.settle().await;
    reactions(world, at, comment)
}

fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let bot = world.gitea.bot().login;
    let comment = world.issue(at).comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().filter(|(by, _)| *by == bot).map(|(_, what)| what).collect()
}

/// An issue below the threshold that Bob, who may not write, has claimed.
async fn with_bob(world: &World) -> IssueRef {
    let issue = looked_at(world).await;
    assert_eq!(say(world, &issue, "bob", "/triage claim").await, ["+1"]);
    assert_eq!(world.assignees(&issue), ["bob"]);
    issue
}

async fn reason(world: &World, at: &IssueRef) -> String {
    world.history(at).await.evaluations.last().unwrap().reason.clone()
}

/// Lets so many hours go by, and works off what is due.
async fn pass(world: &World, hours: i64) {
    world.clock.advance(TimeDelta::hours(hours));
    world.settle_within(Duration::from_secs(2)).await;
}

/// Does something of which no delivery arrives.
async fn unheard<T>(world: &World, act: impl FnOnce() -> T) -> T {
    world.gitea.delivered().await;
    world.gitea.set_hook("http://127.0.0.1:1/", "nobody");
    let result = act();
    world.gitea.delivered().await;
    world.gitea.set_hook(&world.url("/webhook"), SECRET);
    result
}

async fn sweep(world: &World) {
    world.sweep(How { at_once: true, ..How::default() }).await;
    world.settle().await;
}

#[tokio::test]
async fn who_may_be_assigned_but_not_write_claims_an_issue_and_is_named() {
    let world = World::start().await;
    let issue = with_bob(&world).await;
    assert_eq!(reason(&world, &issue).await, "claimed by `bob` until 2026-03-30 12:00 UTC");
    assert!(world.comments(&issue).is_empty(), "a reaction says enough");
    // The next one is told who has it.
    assert_eq!(say(&world, &issue, "alice", "/triage claim").await, ["confused"]);
    let said = world.comment(&issue);
    assert!(said.contains("claimed by `bob` until 2026-03-30 12:00 UTC"), "{said}");
    assert_eq!(world.assignees(&issue), ["bob"]);
}

#[tokio::test]
async fn who_cannot_be_assigned_is_refused() {
    let world = World::start().await;
    world.gitea.set_private(&world.repo, true);
    world.gitea.add_pull_reader(&world.repo, "pia");
    let issue = looked_at(&world).await;
    assert_eq!(say(&world, &issue, "mallory", "/triage claim").await, ["confused"]);
    assert!(world.comment(&issue).contains("`mallory` does not exist or cannot be assigned here"));
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(say(&world, &issue, "pia", "/triage claim").await, ["+1"], "listed, and no writer");
}

#[tokio::test]
async fn one_person_claims_so_many_issues_at_once() {
    let world = World::with("[claim]\nlimit = 2\n").await;
    let [first, second, third] =
        [with_bob(&world).await, with_bob(&world).await, looked_at(&world).await];
    assert_eq!(say(&world, &third, "bob", "/triage claim").await, ["confused"]);
    let said = world.comment(&third);
    assert!(said.contains("you have claimed 2 other issues, and 2 are allowed"), "{said}");
    assert!(world.assignees(&third).is_empty());
    // Both ways to make room: to give one back, and to finish one.
    assert_eq!(say(&world, &first, "bob", "/triage release").await, ["+1"]);
    assert_eq!(say(&world, &third, "bob", "/triage claim").await, ["+1"]);
    world.gitea.close(&second, "alice");
    world.settle().await;
    assert_eq!(say(&world, &first, "bob", "/triage claim").await, ["+1"]);
    assert_eq!(world.assignees(&first), ["bob"]);
}

#[tokio::test]
async fn claims_made_at_the_same_moment_keep_the_limit() {
    let world = World::with("[claim]\nlimit = 1\n").await;
    let issues = [looked_at(&world).await, looked_at(&world).await, looked_at(&world).await];
    for issue in &issues {
        world.gitea.comment(issue, "bob", "/triage claim");
    }
    world.gitea.delivered().await;
    let worker = &world.service().parts().worker;
    let patience = Duration::from_secs(60);
    let all = [worker.settle(patience), worker.settle(patience), worker.settle(patience)];
    assert!(futures_util::future::join_all(all).await.into_iter().all(|one| one.is_ok()));
    world.settle().await;
    let taken = issues.iter().filter(|at| world.assignees(at) == ["bob"]).count();
    issues.iter().for_each(|at| drop(world.comments(at)));
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn claims_can_be_switched_off() {
    let world = World::with("[claim]\nlimit = 0\n").await;
    let issue = looked_at(&world).await;
    assert_eq!(say(&world, &issue, "alice", "/triage claim").await, ["confused"]);
    assert!(world.comment(&issue).contains("claiming is switched off here (`claim.limit`)"));
}

#[tokio::test]
async fn a_claim_without_a_sign_of_work_is_reminded_of_once_and_ends() {
    let mut world = World::start().await;
    let issue = with_bob(&world).await;
    pass(&world, 125).await;
    assert!(world.comments(&issue).is_empty());
    pass(&world, 1).await;
    let reminder = world.comment(&issue);
    let expected = "**Triage: reminder**\n\n@bob: your claim ends at 2026-03-30 12:00 UTC.";
    assert!(reminder.starts_with(expected), "{reminder}");
    world.restart().await;
    world.gitea.edit_issue(&issue, "alice", Some("It is very slow"), None);
    pass(&world, 41).await;
    assert_eq!(world.comments(&issue).len(), 1);
    assert_eq!(world.assignees(&issue), ["bob"]);
    pass(&world, 1).await;
    let comments = world.comments(&issue);
    assert!(comments[1].starts_with("**Triage: claim ended**\n\n@bob: "), "{comments:#?}");
    assert!(world.assignees(&issue).is_empty());
    // It is free for the next.
    assert_eq!(say(&world, &issue, "alice", "/triage claim").await, ["+1"]);
    assert_eq!(world.assignees(&issue), ["alice"]);
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn nobody_loses_a_claim_unwarned_however_long_the_service_was_down() {
    let mut world = World::start().await;
    let issue = with_bob(&world).await;
    world.clock.advance(TimeDelta::days(30));
    world.restart().await;
    world.settle_within(Duration::from_secs(2)).await;
    assert!(world.comment(&issue).contains("@bob: your claim ends at 2026-04-24 06:00 UTC"));
    assert_eq!(world.assignees(&issue), ["bob"]);
    pass(&world, 42).await;
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn a_comment_of_the_holder_keeps_the_claim() {
    let world = World::start().await;
    let issue = with_bob(&world).await;
    pass(&world, 100).await;
    say(&world, &issue, "bob", "I found it, more tomorrow").await;
    let expected = "claimed by `bob` until 2026-04-03 16:00 UTC";
    assert_eq!(reason(&world, &issue).await, expected);
    // What others say is no sign of work.
    pass(&world, 20).await;
    say(&world, &issue, "alice", "any news?").await;
    assert_eq!(reason(&world, &issue).await, expected);
    pass(&world, 110).await;
    assert_eq!(world.comments(&issue).len(), 1, "reminded of the new end");
    pass(&world, 43).await;
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn an_open_pull_request_of_the_holder_keeps_the_claim() {
    let world = World::start().await;
    let issue = with_bob(&world).await;
    let pull = world.open_issue(NewIssue {
        title: "Make it fast".into(),
        body: format!("For #{}", issue.number),
        author: "bob".into(),
        is_pull_request: true,
        ..NewIssue::default()
    });
    world.settle().await;
    for _ in 0..4 {
        pass(&world, 130).await;
    }
    assert!(world.comments(&issue).is_empty(), "{:#?}", world.comments(&issue));
    assert_eq!(world.assignees(&issue), ["bob"]);
    world.gitea.close(&pull, "alice");
    pass(&world, 130).await;
    pass(&world, 170).await;
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn the_holder_and_whoever_may_write_release_a_claim_and_nobody_else_does() {
    let world = World::start().await;
    let issue = with_bob(&world).await;
    assert_eq!(say(&world, &issue, "carol", "/triage release").await, ["confused"]);
    assert!(world.comment(&issue).contains("`carol` has no write access to this repository"));
    assert_eq!(say(&world, &issue, "bob", "/triage release").await, ["+1"]);
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["+1"]);
    assert_eq!(say(&world, &issue, "alice", "/triage release").await, ["+1"]);
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(say(&world, &issue, "alice", "/triage release").await, ["confused"]);
    assert!(world.comments(&issue)[1].contains("nobody has claimed the issue"));
}

#[tokio::test]
async fn a_released_issue_is_decided_again_at_once() {
    let world = World::with(PATIENT).await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.comment(&issue, "bob", "/triage claim");
    world.gitea.resume();
    world.settle().await;
    assert_eq!(world.assignees(&issue), ["bob"]);
    assert!(world.labels(&issue).is_empty(), "no agent gets what somebody has");
    say(&world, &issue, "bob", "/triage release").await;
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn an_agents_issue_cannot_be_claimed_and_one_that_is_held_neither() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["confused"]);
    let said = world.comments(&issue).pop().unwrap();
    assert!(said.contains("`claude` works on it; somebody with write access can say"), "{said}");
    assert_eq!(world.assignees(&issue), ["claude"]);
    say(&world, &issue, "alice", "/triage hold until the release").await;
    world.gitea.unassign(&issue, "alice", "claude");
    world.clock.advance(TimeDelta::hours(2));
    assert_eq!(say(&world, &issue, "dave", "/triage claim").await, ["confused"]);
    let said = world.comments(&issue).pop().unwrap();
    assert!(said.contains("held by `alice`: `until the release`"), "{said}");
}

#[tokio::test]
async fn what_is_closed_or_somebody_elses_cannot_be_claimed() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue { assignees: vec!["alice".into()], ..poor() });
    world.settle().await;
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["confused"]);
    assert!(world.comment(&issue).contains("already assigned to `alice`"));
    let other = looked_at(&world).await;
    world.gitea.close(&other, "alice");
    assert_eq!(say(&world, &other, "carol", "/triage claim").await, ["confused"]);
    assert!(world.comment(&other).contains("the issue is closed; reopen it first"));
}

#[tokio::test]
async fn a_flag_is_not_taken_off_by_a_claim_of_somebody_who_may_not_write() {
    let world = World::with("[triage]\nowner = \"alice\"\n").await;
    let mut blocked = bug();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    let issue = world.open_issue(blocked);
    world.settle().await;
    let flag = world.comment(&issue);
    assert!(flag.starts_with("**Triage: @alice, this needs you**"), "{flag}");
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["confused"]);
    let comments = world.comments(&issue);
    let expected = "meanwhile only people with write access can claim it: ask one of them";
    assert!(comments[1].contains(expected), "{comments:#?}");
    assert_eq!(comments[0], flag);
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(say(&world, &issue, "alice", "/triage claim").await, ["+1"]);
    assert_eq!(world.assignees(&issue), ["alice"]);
}

#[tokio::test]
async fn ready_labels_say_what_can_be_claimed_and_keep_it_from_agents() {
    let world =
        World::with("[triage]\nready_labels = [\"help wanted\", \"good first issue\"]\n").await;
    let kept = world.open_issue(NewIssue { labels: vec!["Help Wanted".into()], ..bug() });
    world.settle().await;
    let expected = "its label `Help Wanted` keeps it for people; `/triage claim` takes it, \
                    `/triage assign <agent>` gives it to an agent";
    assert_eq!(reason(&world, &kept).await, expected);
    assert_eq!(world.labels(&kept), ["Help Wanted"]);
    assert_eq!(say(&world, &kept, "bob", "/triage claim").await, ["+1"]);
    assert_eq!(say(&world, &kept, "bob", "/triage release").await, ["+1"]);
    let other = looked_at(&world).await;
    assert_eq!(say(&world, &other, "bob", "/triage claim").await, ["confused"]);
    let said = world.comment(&other);
    let expected = "only issues with the label `help wanted` or `good first issue` can be claimed";
    assert!(said.contains(expected), "{said}");
    // A person may give it to an agent all the same.
    assert_eq!(say(&world, &kept, "alice", "/triage assign claude").await, ["+1"]);
    assert_eq!(world.assignees(&kept), ["claude"]);
    world.comments(&kept);
}

#[tokio::test]
async fn who_is_given_the_issue_takes_the_holders_place() {
    let world = World::with(PATIENT).await;
    let issue = with_bob(&world).await;
    say(&world, &issue, "alice", "/triage assign @alice").await;
    assert_eq!(world.assignees(&issue), ["alice"]);
    let issue = with_bob(&world).await;
    say(&world, &issue, "alice", "/triage assign claude").await;
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn a_person_who_takes_the_holder_off_ends_the_claim_without_a_word() {
    let world = World::with("[claim]\nlimit = 1\n").await;
    let issue = with_bob(&world).await;
    world.gitea.unassign(&issue, "alice", "bob");
    world.settle().await;
    assert!(reason(&world, &issue).await.starts_with("score 1 is below"));
    assert!(world.comments(&issue).is_empty());
    with_bob(&world).await;
    pass(&world, 24 * 30).await;
    assert!(world.assignees(&issue).is_empty());
    assert!(world.comments(&issue).is_empty());
    world.comments(&IssueRef { number: 2, ..issue });
}

#[tokio::test]
async fn whom_a_person_assigned_stays_assigned_when_their_claim_ends() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue { assignees: vec!["bob".into()], ..poor() });
    world.settle().await;
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["+1"]);
    pass(&world, 130).await;
    pass(&world, 50).await;
    assert_eq!(world.comments(&issue).len(), 2);
    assert_eq!(world.assignees(&issue), ["bob"]);
    assert_eq!(reason(&world, &issue).await, "already assigned to `bob`");
}

#[tokio::test]
async fn a_claim_while_the_service_was_down_is_found_and_acts_once() {
    let mut world = World::start().await;
    let issue = looked_at(&world).await;
    sweep(&world).await;
    let claim = unheard(&world, || world.gitea.comment(&issue, "bob", "/triage claim")).await;
    world.restart().await;
    sweep(&world).await;
    assert_eq!(reactions(&world, &issue, claim), ["+1"]);
    assert_eq!(world.assignees(&issue), ["bob"]);
    sweep(&world).await;
    let assigned = world.gitea.requests().into_iter().filter(|r| r.method == "PATCH").count();
    assert_eq!(assigned, 1);
    assert_eq!(world.history(&issue).await.orders.len(), 1);
}

#[tokio::test]
async fn a_claim_goes_on_through_a_rename_and_a_restart() {
    let mut world = World::with("[claim]\nlimit = 1\n").await;
    let issue = with_bob(&world).await;
    let name: RepoName = "acme/gadgets".parse().unwrap();
    world.gitea.rename_repo(&world.repo, &name);
    world.repo = name.clone();
    world.restart().await;
    let issue = IssueRef { repo: name, ..issue };
    say(&world, &issue, "alice", "any news?").await;
    assert_eq!(reason(&world, &issue).await, "claimed by `bob` until 2026-03-30 12:00 UTC");
    let other = looked_at(&world).await;
    assert_eq!(say(&world, &other, "bob", "/triage claim").await, ["confused"]);
    world.comments(&other);
    pass(&world, 130).await;
    pass(&world, 50).await;
    assert_eq!(world.comments(&issue).len(), 2);
    assert!(world.assignees(&issue).is_empty());
}

#[tokio::test]
async fn a_claim_stays_with_the_account_when_its_login_changes() {
    let world = World::with("[claim]\nlimit = 1\n").await;
    let issue = with_bob(&world).await;
    world.gitea.rename_owner("bob", "robert");
    say(&world, &issue, "alice", "any news?").await;
    assert_eq!(reason(&world, &issue).await, "claimed by `robert` until 2026-03-30 12:00 UTC");
    let other = looked_at(&world).await;
    assert_eq!(say(&world, &other, "robert", "/triage claim").await, ["confused"]);
    assert!(world.comment(&other).contains("you have claimed 1 other issues"));
    assert_eq!(say(&world, &issue, "robert", "/triage release").await, ["+1"]);
    assert!(world.assignees(&issue).is_empty());
}

/// Each request that this takes on an issue like this, in order.
fn requests(world: &World) -> Vec<(String, String)> {
    let sent = world.gitea.requests().into_iter();
    sent.map(|r| (r.method, r.path.split('?').next().unwrap_or_default().to_owned())).collect()
}

/// The faults that are tried at each request.
fn faults(requests: &[(String, String)]) -> Vec<Fault> {
    let kinds = [FaultKind::Status(500), FaultKind::AnswerLost];
    let each = requests.iter().flat_map(|one| kinds.iter().map(move |kind| (one, kind)));
    let fault = |((method, path), kind): (&(String, String), &FaultKind)| Fault {
        method: Some(method.clone()),
        path_contains: path.clone(),
        times: 1,
        kind: kind.clone(),
    };
    each.map(fault).collect()
}

#[tokio::test]
async fn a_failure_at_any_request_of_a_claim_ends_in_one_claim() {
    let requests = {
        let world = World::start().await;
        let issue = looked_at(&world).await;
        world.gitea.clear_requests();
        say(&world, &issue, "bob", "/triage claim").await;
        requests(&world)
    };
    assert!(requests.len() >= 4, "{requests:?}");
    for fault in faults(&requests) {
        let world = World::start().await;
        let issue = looked_at(&world).await;
        world.gitea.fail(fault.clone());
        assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["+1"], "{fault:?}");
        assert_eq!(world.assignees(&issue), ["bob"], "{fault:?}");
        let orders = world.history(&issue).await.orders;
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].state, OrderState::CarriedOut, "{fault:?}");
        assert!(reason(&world, &issue).await.starts_with("claimed by `bob`"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_failure_at_any_request_of_an_end_ends_in_one_comment_and_nobody_assigned() {
    let ended = async |world: &World, fault: Option<&Fault>| {
        let issue = with_bob(world).await;
        pass(world, 130).await;
        world.gitea.clear_requests();
        fault.into_iter().for_each(|fault| world.gitea.fail(fault.clone()));
        world.clock.advance(TimeDelta::hours(50));
        world.settle().await;
        issue
    };
    let requests = {
        let world = World::start().await;
        let issue = ended(&world, None).await;
        world.comments(&issue);
        requests(&world)
    };
    for fault in faults(&requests) {
        let world = World::start().await;
        let issue = ended(&world, Some(&fault)).await;
        assert_eq!(world.comments(&issue).len(), 2, "{fault:?}");
        assert!(world.assignees(&issue).is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn what_the_forge_refuses_is_no_claim() {
    let world = World::with("[claim]\nlimit = 1\n").await;
    let issue = looked_at(&world).await;
    let fault = Fault {
        method: Some("PATCH".into()),
        path_contains: "/issues/1".into(),
        times: 1,
        kind: FaultKind::Status(403),
    };
    world.gitea.fail(fault);
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["confused"]);
    assert!(world.comment(&issue).contains("answered 403"));
    let other = looked_at(&world).await;
    assert_eq!(say(&world, &other, "bob", "/triage claim").await, ["+1"], "nothing counts");
}

#[tokio::test]
async fn a_claim_in_a_dry_run_is_carried_out_when_the_dry_run_is_over() {
    let mut world = World::with("[triage]\ndry_run = true\n").await;
    let issue = looked_at(&world).await;
    let claim = world.gitea.comment(&issue, "bob", "/triage claim");
    world.settle().await;
    pass(&world, 24 * 30).await;
    assert!(world.assignees(&issue).is_empty());
    world.configure(|text| text.replace("dry_run = true", "dry_run = false"));
    world.restart().await;
    world.settle_within(Duration::from_secs(2)).await;
    assert_eq!(world.assignees(&issue), ["bob"]);
    assert_eq!(reactions(&world, &issue, claim), ["+1"]);
    assert!(world.comments(&issue).is_empty(), "its time begins now");
}

#[tokio::test]
async fn a_claim_on_an_issue_that_nobody_can_reach_any_more_counts_for_nothing() {
    let world = World::with("[claim]\nlimit = 1\n").await;
    let name: RepoName = "acme/old".parse().unwrap();
    world.gitea.add_repo(&name);
    let old = world.gitea.open_issue(&name, poor());
    world.settle().await;
    assert_eq!(say(&world, &old, "bob", "/triage claim").await, ["+1"]);
    world.gitea.delete_repo(&name);
    let issue = looked_at(&world).await;
    pass(&world, 24 * 8).await;
    assert_eq!(say(&world, &issue, "bob", "/triage claim").await, ["+1"]);
    world.dead().await;
}

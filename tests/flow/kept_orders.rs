//! Orders are kept until their effects are known: whatever is lost or fails on the way, each is carried out or refused
//! once, and whoever gave it is told the truth.

use chrono::TimeDelta;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;
use gitea_triage::store::DeliveryState;
use gitea_triage::sweep::How;
use gitea_triage::triage::OrderState;

use crate::world::{World, bug};

/// An issue that no score gives to anybody.
fn poor() -> NewIssue {
    NewIssue { title: "It is slow".into(), author: "bob".into(), ..NewIssue::default() }
}

/// An issue below the threshold that was looked at.
async fn looked_at(world: &World) -> IssueRef {
    let issue = world.open_issue(poor());
    world.settle().await;
    assert_eq!(world.evaluations(&issue).await, 1);
    issue
}

/// The reactions of ours on a comment.
fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let bot = world.gitea.bot().login;
    let comment = world.issue(at).comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().filter(|(by, _)| *by == bot).map(|(_, what)| what).collect()
}

async fn sweep(world: &World) {
    let how = How { at_once: true, ..How::default() };
    let report = world.service().parts().sweeper.round(how, &|_, _, _| {}).await.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    world.settle().await;
}

/// How far the orders for an issue have come, the newest first.
async fn states(world: &World, at: &IssueRef) -> Vec<OrderState> {
    world.history(at).await.orders.iter().map(|order| order.state).collect()
}

fn with_kimi(world: &World, at: &IssueRef) -> bool {
    world.labels(at) == ["kimi-ready"]
}

#[tokio::test]
async fn a_command_whose_delivery_was_lost_is_obeyed_when_the_sweep_finds_the_issue() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    sweep(&world).await;
    let order = world.unheard(|| world.gitea.comment(&issue, "alice", "/triage assign kimi")).await;
    assert!(world.labels(&issue).is_empty());
    sweep(&world).await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, order), ["+1"]);
    assert!(world.comment(&issue).contains("dispatched to `kimi`"));
    sweep(&world).await;
    assert_eq!(states(&world, &issue).await, [OrderState::CarriedOut]);
}

#[tokio::test]
async fn a_command_given_while_the_service_was_down_is_obeyed_at_the_start() {
    let mut world = World::start().await;
    let issue = looked_at(&world).await;
    let order = world
        .unheard(|| {
            world.gitea.comment(&issue, "bob", "is anybody there?");
            world.gitea.comment(&issue, "alice", "Please.\n\n/triage assign kimi")
        })
        .await;
    world.restart().await;
    sweep(&world).await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, order), ["+1"]);
    world.comments(&issue);
}

#[tokio::test]
async fn a_lost_command_is_found_when_anything_else_tells_of_its_issue() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let order = world.unheard(|| world.gitea.comment(&issue, "alice", "/triage assign kimi")).await;
    world.gitea.edit_issue(&issue, "bob", Some("It is very slow"), None);
    world.settle().await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, order), ["+1"]);
    world.comments(&issue);
}

#[tokio::test]
async fn a_command_is_obeyed_once_though_its_delivery_comes_after_the_sweep() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    world.gitea.pause_deliveries();
    world.gitea.comment(&issue, "alice", "/triage help");
    let how = How { at_once: true, ..How::default() };
    world.service().parts().sweeper.round(how, &|_, _, _| {}).await.unwrap();
    world.work().await;
    assert_eq!(world.comments(&issue).len(), 1);
    world.gitea.resume();
    world.settle().await;
    assert_eq!(world.comments(&issue).len(), 1);
    assert_eq!(states(&world, &issue).await, [OrderState::CarriedOut]);
}

#[tokio::test]
async fn what_was_commented_before_the_first_look_is_no_order() {
    let world = World::over(|gitea, repo, _| {
        let issue = gitea.open_issue(repo, bug());
        gitea.comment(&issue, "alice", "/triage hold");
    })
    .await;
    sweep(&world).await;
    let issue: IssueRef = "acme/widgets#1".parse().unwrap();
    world.assert_with_claude(&issue);
    world.unheard(|| world.gitea.comment(&issue, "bob", "more")).await;
    sweep(&world).await;
    assert!(states(&world, &issue).await.is_empty());
    assert_eq!(world.assignees(&issue), ["claude"]);
}

#[tokio::test]
async fn an_issue_that_nobody_heard_of_brings_its_commands_with_it() {
    let world = World::start().await;
    sweep(&world).await;
    world.clock.advance(chrono::TimeDelta::seconds(60));
    let issue = world
        .unheard(|| {
            let issue = world.open_issue(bug());
            world.gitea.comment(&issue, "alice", "/triage hold");
            issue
        })
        .await;
    sweep(&world).await;
    assert_eq!(states(&world, &issue).await, [OrderState::CarriedOut]);
    assert!(world.labels(&issue).is_empty());
}

/// Each request that carrying out `command` takes on an issue like this, in order.
async fn requests_of(command: &str) -> Vec<(String, String)> {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    world.gitea.clear_requests();
    world.gitea.comment(&issue, "alice", command);
    world.settle().await;
    world.comments(&issue);
    let sent = world.gitea.requests().into_iter();
    sent.map(|r| (r.method, r.path.split('?').next().unwrap_or_default().to_owned())).collect()
}

#[tokio::test]
async fn a_failure_at_any_request_of_a_command_below_the_threshold_ends_in_its_being_carried_out() {
    let requests = requests_of("/triage assign kimi").await;
    assert!(requests.len() >= 5, "{requests:?}");
    let kinds = [FaultKind::Status(500), FaultKind::AnswerLost, FaultKind::Html];
    for (place, (method, path)) in requests.iter().enumerate() {
        for kind in &kinds {
            let world = World::start().await;
            let issue = looked_at(&world).await;
            world.gitea.fail(Fault {
                method: Some(method.clone()),
                path_contains: path.clone(),
                times: 1,
                kind: kind.clone(),
            });
            let order = world.gitea.comment(&issue, "alice", "/triage assign kimi");
            world.settle().await;
            let place = format!("{kind:?} at {place}: {method} {path}");
            assert!(with_kimi(&world, &issue), "{place}: {:?}", world.labels(&issue));
            assert_eq!(reactions(&world, &issue, order), ["+1"], "{place}");
            assert_eq!(world.comments(&issue).len(), 1, "{place}");
            let history = world.history(&issue).await;
            assert_eq!(history.dispatches.len(), 1, "{place}");
            assert_eq!(history.dispatches[0].state.as_str(), "assigned", "{place}");
            assert_eq!(states(&world, &issue).await, [OrderState::CarriedOut], "{place}");
        }
    }
}

#[tokio::test]
async fn what_the_forge_refuses_for_good_is_answered_with_why() {
    for (path, command) in
        [("/labels", "/triage assign kimi"), ("/issues/1", "/triage assign @alice")]
    {
        let world = World::start().await;
        let issue = looked_at(&world).await;
        for method in ["POST", "PATCH"] {
            let (path_contains, kind) = (path.to_owned(), FaultKind::Status(403));
            let method = Some(method.to_owned());
            // A comment and a reaction are below the issue, too.
            let times = u32::from(path == "/labels" || method.as_deref() == Some("PATCH"));
            world.gitea.fail(Fault { method, path_contains, times, kind });
        }
        let order = world.gitea.comment(&issue, "alice", command);
        world.settle().await;
        assert_eq!(reactions(&world, &issue, order), ["confused"], "{command}");
        let said = world.comments(&issue).join("\n");
        assert!(said.contains("answered 403"), "{command}: {said}");
        assert_eq!(states(&world, &issue).await, [OrderState::Refused]);
        world.dead().await;
    }
}

#[tokio::test]
async fn a_hold_in_the_same_comment_does_not_forget_the_agent_that_was_chosen() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    world.gitea.comment(&issue, "alice", "/triage assign kimi\n/triage hold until friday");
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle().await;
    assert!(with_kimi(&world, &issue));
    assert!(world.comment(&issue).contains("dispatched to `kimi`"));
}

#[tokio::test]
async fn a_hold_and_a_retry_go_back_to_the_agent_that_was_chosen() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    for commands in
        [&["/triage assign kimi", "/triage hold", "/triage resume"][..], &["/triage retry"]]
    {
        for command in commands {
            world.gitea.comment(&issue, "alice", command);
            world.settle().await;
        }
        let history = world.history(&issue).await;
        let latest = history.dispatches.last().unwrap();
        assert_eq!((latest.agent.as_str(), latest.state.as_str()), ("kimi", "assigned"));
        assert!(with_kimi(&world, &issue));
    }
    world.comments(&issue);
}

#[tokio::test]
async fn a_comment_that_is_edited_into_a_command_acts_once() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let comment = world.gitea.comment(&issue, "alice", "somebody should do this");
    world.settle().await;
    world.gitea.edit_comment(&issue, "alice", comment, "/triage assign kimi");
    world.settle().await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, comment), ["+1"]);
    world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle().await;
    for text in ["/triage assign kimi, please", "no\n\n/triage assign claude", "never mind"] {
        world.gitea.edit_comment(&issue, "alice", comment, text);
        world.settle().await;
    }
    assert_eq!(world.history(&issue).await.dispatches.len(), 1, "it was carried out");
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn only_a_text_that_changed_into_a_command_acts() {
    let world = World::over(|gitea, repo, _| {
        let issue = gitea.open_issue(repo, poor());
        gitea.comment(&issue, "alice", "/triage assign kimi");
    })
    .await;
    sweep(&world).await;
    let issue: IssueRef = "acme/widgets#1".parse().unwrap();
    let old = world.issue(&issue).comments[0].id;
    world.gitea.edit_comment(&issue, "alice", old, "Well.\n\n/triage assign kimi");
    world.settle().await;
    assert!(states(&world, &issue).await.is_empty(), "it is as old as it was");
    world.gitea.edit_comment(&issue, "alice", old, "Well.\n\n/triage assign kimi\n\n/triage hold");
    world.settle().await;
    assert!(world.history(&issue).await.evaluations.last().unwrap().reason.starts_with("held by"));
}

#[tokio::test]
async fn a_refused_comment_can_be_mended_by_an_edit() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let comment = world.gitea.comment(&issue, "alice", "/triage asign kimi");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, comment), ["confused"]);
    world.gitea.edit_comment(&issue, "alice", comment, "/triage assign kimi");
    world.settle().await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, comment), ["confused", "+1"]);
    assert_eq!(states(&world, &issue).await, [OrderState::CarriedOut, OrderState::Refused]);
    world.comments(&issue);
}

#[tokio::test]
async fn whoever_edits_a_comment_into_a_command_gives_it() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let comment = world.gitea.comment(&issue, "bob", "hello");
    world.gitea.edit_comment(&issue, "bob", comment, "/triage assign kimi");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, comment), ["confused"]);
    assert!(world.comment(&issue).contains("`bob` has no write access"));
}

#[tokio::test]
async fn a_retry_that_dispatches_nothing_says_why() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let comment = world.gitea.comment(&issue, "alice", "/triage retry");
    world.settle().await;
    assert_eq!(reactions(&world, &issue, comment), ["confused"]);
    let said = world.comment(&issue);
    assert!(said.contains("`/triage retry` was not carried out: score 1 is below"), "{said}");
}

#[tokio::test]
async fn an_order_by_hand_that_cannot_work_is_in_the_ledger_with_why() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    for (command, why) in [
        ("assign nobody", "no agent has this name"),
        ("assign @nobody", "does not exist or cannot be assigned here"),
        ("resume", "the issue is not on hold"),
    ] {
        world.order(&issue, "operator", command).await;
        world.settle().await;
        let order = world.history(&issue).await.orders.remove(0);
        assert_eq!(order.command, format!("/triage {command}"));
        assert_eq!(order.state, OrderState::Refused);
        assert!(order.why.unwrap().contains(why), "{command}");
    }
}

#[tokio::test]
async fn an_order_whose_delivery_ended_dead_is_carried_out_at_the_next_look() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    let path_contains = format!("/issues/{}", issue.number);
    world.gitea.fail(Fault { method: None, path_contains, times: 2, kind: FaultKind::Status(403) });
    let order = world.gitea.comment(&issue, "alice", "/triage assign kimi");
    world.settle().await;
    assert_eq!(world.dead().await.len(), 1);
    world.gitea.clear_faults();
    world.gitea.edit_issue(&issue, "bob", Some("It is very slow"), None);
    world.settle().await;
    assert!(with_kimi(&world, &issue));
    assert_eq!(reactions(&world, &issue, order), ["+1"]);
    world.comments(&issue);
}

#[tokio::test]
async fn an_issue_that_was_judged_in_a_dry_run_is_dispatched_when_it_is_over() {
    let dry = "[triage]\ndry_run = true";
    let mut world = World::with(dry).await;
    let (ready, poor) = (world.open_issue(bug()), world.open_issue(poor()));
    world.settle().await;
    let ordered = world.gitea.comment(&poor, "alice", "/triage assign kimi");
    let held = world.gitea.comment(&poor, "alice", "/triage explain");
    world.settle().await;
    assert_eq!(states(&world, &poor).await.len(), 2);
    world.configure(|config| config.replace(dry, ""));
    world.restart().await;
    world.settle().await;
    world.assert_with_claude(&ready);
    assert!(with_kimi(&world, &poor));
    for comment in [ordered, held] {
        assert_eq!(reactions(&world, &poor, comment), ["+1"]);
    }
    assert_eq!(world.comments(&poor).len(), 2);
    let deliveries = world.deliveries().await.len();
    world.restart().await;
    world.settle().await;
    assert_eq!(world.deliveries().await.len(), deliveries, "each is due again once");
    assert!(world.deliveries().await.iter().all(|d| d.state != DeliveryState::Dead));
}

/// Commands of a writer and of a reader, some of which cannot work.
const GIVEN: [(&str, &str); 8] = [
    ("alice", "/triage assign kimi"),
    ("alice", "/triage hold until friday"),
    ("alice", "/triage assign @alice"),
    ("alice", "/triage explain"),
    ("bob", "/triage help"),
    ("alice", "/triage assign nobody"),
    ("alice", "/triage retry"),
    ("bob", "/triage assign kimi"),
];

/// What can go wrong with a request, and where: some pass by themselves, some do not.
fn fault(number: usize, at: &IssueRef, comment: i64) -> Fault {
    let kinds = [
        FaultKind::Status(500),
        FaultKind::AnswerLost,
        FaultKind::Status(403),
        FaultKind::ResetBefore,
        FaultKind::CutBody,
        FaultKind::Status(502),
        FaultKind::Html,
    ];
    let issue = format!("/issues/{}", at.number);
    let places = [
        ("GET", issue.clone()),
        ("POST", format!("{issue}/comments")),
        ("POST", format!("{issue}/labels")),
        ("PATCH", issue.clone()),
        ("POST", format!("/comments/{comment}/reactions")),
        ("GET", format!("{issue}/comments")),
        ("GET", "/assignees".to_owned()),
    ];
    let (method, path_contains) = places[number / kinds.len() % places.len()].clone();
    let method = Some(method.to_owned());
    Fault { method, path_contains, times: 1, kind: kinds[number % kinds.len()].clone() }
}

struct Given {
    at: IssueRef,
    comment: i64,
    command: &'static str,
}

/// Opens an issue for each number and has a command given on it, with something that will go wrong.
fn give(world: &World, numbers: std::ops::Range<usize>, issues: &[IssueRef]) -> Vec<Given> {
    let give = |number: usize| {
        let (at, (by, command)) = (issues[number].clone(), GIVEN[number % GIVEN.len()]);
        let comment = world.gitea.comment(&at, by, command);
        // Before anybody looks at it; a fault of another issue's reaction would make this one's go amiss.
        world.gitea.fail(fault(number, &at, comment));
        Given { comment, at, command }
    };
    numbers.map(give).collect()
}

/// What is told of a command is what became of it, and is told once.
async fn is_told_once_and_true(world: &World, given: &Given) {
    let Given { at, comment, command } = given;
    let history = world.history(at).await;
    let place = format!("{at} {command}: {:#?}", history.orders);
    assert_eq!(history.orders.len(), 1, "{place}");
    let state = history.orders[0].state;
    let answers = ["", "outsider:"].map(|to| format!("decision=answer:{to}{comment} "));
    let is_answer = |c: &&String| answers.iter().any(|answer| c.contains(answer));
    let words = world.comments(at).iter().filter(is_answer).count();
    let told = reactions(world, at, *comment);
    assert!(told.len() <= 1, "{place} {told:?}");
    if state == OrderState::Refused {
        // In words once a day to whoever may not command; the reaction says it each time.
        let is_told = words == 1 || (words == 0 && told == ["confused"]);
        assert!(is_told && !told.contains(&"+1".to_owned()), "{place} {told:?}");
        return;
    }
    assert_eq!((state, told), (OrderState::CarriedOut, vec!["+1".to_owned()]), "{place}");
    let last = &history.evaluations.last().unwrap().reason;
    let is_done = match *command {
        "/triage assign kimi" => {
            with_kimi(world, at)
                && history.dispatches.iter().filter(|d| d.state.is_open()).count() == 1
        }
        "/triage hold until friday" => last.contains("held by `alice`: `until friday`"),
        "/triage assign @alice" => world.assignees(at) == ["alice"],
        _ => words == 1,
    };
    assert!(is_done, "{place}");
}

#[tokio::test]
async fn commands_given_while_nobody_listens_or_with_their_deliveries_lost_end_once_whatever_fails()
{
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let count = if full { 201 } else { 57 };
    let mut world = World::with("[[agent]]\nid = \"kimi\"\nmax_concurrent = 1000\n").await;
    let issues: Vec<IssueRef> = (0..count).map(|_| world.open_issue(poor())).collect();
    world.settle().await;
    sweep(&world).await;
    let third = count / 3;
    let mut all = give(&world, 0..third, &issues);
    world.settle().await;
    let dropped = world.unheard(|| give(&world, third..2 * third, &issues)).await;
    all.extend(dropped);
    sweep(&world).await;
    let posted = world.unheard(|| give(&world, 2 * third..count, &issues)).await;
    all.extend(posted);
    world.restart().await;
    sweep(&world).await;
    world.gitea.clear_faults();
    for given in &all {
        is_told_once_and_true(&world, given).await;
    }
    let dead = world.dead().await.len();
    println!("{} commands, {dead} of their deliveries given up", all.len());
}

#[tokio::test]
async fn a_delivery_that_tells_of_a_comment_counted_before_hides_no_other() {
    let world = World::start().await;
    let issue = looked_at(&world).await;
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.pause_deliveries();
    world.gitea.comment(&issue, "bob", "any news?");
    world.order(&issue, "ops", "").await;
    world.work().await;
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.drop_next_deliveries(1);
    world.gitea.comment(&issue, "alice", "/triage hold");
    world.gitea.resume();
    world.settle().await;
    let held = world.history(&issue).await.evaluations.pop().unwrap().reason;
    assert!(held.contains("held by"), "{held}");
    world.comments(&issue);
}

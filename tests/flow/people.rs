//! What a person changes stays as they left it.

use std::time::Duration;

use gitea_triage::fake_gitea::FakeGitea;
use gitea_triage::issue::{IssueRef, IssueState};

use crate::world::{World, bug};

#[tokio::test]
async fn a_label_that_a_person_took_off_is_not_put_back() {
    let mut world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.settle().await;
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
    world.restart().await;
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn an_assignment_that_a_person_took_back_is_not_made_again() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.unassign(&issue, "alice", "claude");
    world.settle().await;
    world.gitea.comment(&issue, "bob", "any news?");
    world.settle().await;
    assert!(world.assignees(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn somebody_else_taking_over_frees_the_agent() {
    let world = World::start().await;
    let first = world.open_issue(bug());
    world.settle().await;
    world.gitea.unassign(&first, "alice", "claude");
    world.gitea.assign(&first, "alice", "alice");
    let second = world.open_issue(bug());
    world.settle().await;
    assert_eq!(world.assignees(&first), ["alice"]);
    assert_eq!(world.comments(&first).len(), 1);
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn a_comment_that_a_person_removed_is_not_written_again() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let ours = world.issue(&issue).comments[0].id;
    world.gitea.delete_comment(&issue, "alice", ours);
    world.gitea.edit_issue(
        &issue,
        "bob",
        None,
        Some("`login()` in src/auth.py must not crash, should return 400, verify it"),
    );
    world.settle().await;
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_assigned_while_a_slow_forge_writes_stays_assigned() {
    let world = World::start().await;
    world.gitea.set_delay("POST", Duration::from_millis(600));
    let issue = world.open_issue(bug());
    let assigning = async {
        while world.labels(&issue).is_empty() {
            tokio::task::yield_now().await;
        }
        world.gitea.assign(&issue, "alice", "alice");
    };
    tokio::join!(world.settle(), assigning);
    assert!(world.assignees(&issue).contains(&"alice".to_owned()), "{:?}", world.assignees(&issue));
    world.comment(&issue);
}

#[tokio::test]
async fn somebody_who_assigns_themselves_while_we_assign_stays_assigned() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    let (gitea, at) = (world.gitea.clone(), issue.clone());
    world.gitea.just_before("PATCH", "/issues/", move || gitea.assign(&at, "alice", "alice"));
    world.settle().await;
    assert!(world.assignees(&issue).contains(&"alice".to_owned()), "{:?}", world.assignees(&issue));
    world.comment(&issue);
}

#[tokio::test]
async fn our_exclusive_label_pushes_no_persons_label_out() {
    let agent = "[[agent]]\nid = \"claude\"\nlabel = \"state/claude\"\n";
    let world = World::with(agent).await;
    let issue = world.open_issue(bug());
    for name in ["state/claude", "state/discussed"] {
        world.gitea.add_label(&issue, "alice", name);
        world.gitea.set_label_exclusive(&world.repo, name);
    }
    world.gitea.remove_label(&issue, "alice", "state/claude");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["state/discussed"]);
    assert_eq!(world.assignees(&issue), ["claude"]);
    let comment = world.comment(&issue);
    assert!(comment.contains("without the label `state/claude`"), "{comment}");
    assert!(comment.contains("`state/discussed`"), "{comment}");
}

#[tokio::test]
async fn who_gives_an_issue_to_a_person_has_the_agents_marks_taken_off() {
    let world = World::start().await;
    world.gitea.add_collaborator(&world.repo, "wendy", "write");
    for is_held_before in [false, true] {
        let issue = world.open_issue(bug());
        world.settle().await;
        if is_held_before {
            world.gitea.comment(&issue, "alice", "/triage hold");
            world.settle().await;
        }
        world.gitea.comment(&issue, "alice", "/triage assign @wendy");
        world.settle().await;
        assert_eq!(world.assignees(&issue), ["wendy"]);
        assert!(world.labels(&issue).is_empty(), "{:?}", world.labels(&issue));
        world.comments(&issue);
    }
}

/// What a person does to an issue, and what has to hold in the end whatever we do meanwhile.
struct Act {
    name: &'static str,
    act: fn(&FakeGitea, &IssueRef),
    holds: fn(&World, &IssueRef) -> bool,
}

const ACTS: [Act; 2] = [
    Act {
        name: "assigns alice, thinks better of dora, and changes labels",
        act: |gitea, at| {
            gitea.assign(at, "alice", "alice");
            gitea.assign(at, "alice", "dora");
            gitea.unassign(at, "alice", "dora");
            gitea.add_label(at, "alice", "seen");
            gitea.remove_label(at, "alice", "stale");
        },
        holds: |world, at| {
            let (assignees, labels) = (world.assignees(at), world.labels(at));
            let has = |list: &[String], name: &str| list.iter().any(|one| one == name);
            has(&assignees, "alice")
                && !has(&assignees, "dora")
                && has(&labels, "seen")
                && !has(&labels, "stale")
        },
    },
    Act {
        name: "closes it",
        act: |gitea, at| gitea.close(at, "alice"),
        holds: |world, at| world.issue(at).state == IssueState::Closed,
    },
];

/// Has a person do each of [`ACTS`] before each request that `flow` leads to.
async fn at_every_moment(flow: impl AsyncFn(&World, &IssueRef)) {
    let many = "[[agent]]\nid = \"claude\"\nmax_concurrent = 1000\n[[agent]]\nid = \"kimi\"\nlogin = \"kimi\"\nmax_concurrent = 1000\n";
    let world = World::with(many).await;
    for login in ["kimi", "dora", "wendy"] {
        world.gitea.add_collaborator(&world.repo, login, "write");
    }
    for act in &ACTS {
        for moment in 0.. {
            let issue = world.open_issue(bug());
            world.gitea.add_label(&issue, "alice", "stale");
            world.gitea.delivered().await;
            let (gitea, at, run) = (world.gitea.clone(), issue.clone(), act.act);
            (0..moment).for_each(|_| world.gitea.just_before("", "/issues/", || ()));
            world.gitea.just_before("", "/issues/", move || run(&gitea, &at));
            flow(&world, &issue).await;
            world.comments(&issue);
            if world.gitea.clear_faults() {
                assert!(moment > 5, "{moment} requests are no whole way");
                break;
            }
            let holds = (act.holds)(&world, &issue);
            assert!(holds, "{} before request {moment}: {:?}", act.name, world.issue(&issue));
        }
    }
}

#[tokio::test]
async fn what_a_person_changes_while_we_dispatch_stays() {
    at_every_moment(async |world, _| world.settle().await).await;
}

#[tokio::test]
async fn what_a_person_changes_while_we_hand_on_stays() {
    at_every_moment(async |world, issue| {
        world.settle().await;
        world.gitea.comment(issue, "alice", "/triage assign kimi");
        world.settle().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_person_changes_while_we_give_it_to_a_person_stays() {
    at_every_moment(async |world, issue| {
        world.settle().await;
        world.gitea.comment(issue, "alice", "/triage assign @wendy");
        world.settle().await;
    })
    .await;
}

//! What a person changes stays as they left it.

use std::time::Duration;

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

//! Who opened an issue that is given to nobody hears why: once, in their language, and only while they wait for it.

use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;

use crate::world::World;

/// A world in which whoever opens an issue may cause work; `approvals` has the stories of those who may not.
async fn practical(more: &str) -> World {
    let world = World::with(&format!("{more}\n[policy]\npreset = \"practical\"")).await;
    world.gitea.add_collaborator(&world.repo, "bob", "write");
    world
}

fn vague() -> NewIssue {
    NewIssue {
        title: "The list is wrong".into(),
        body: "It is not as it was before the update.".into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

fn open(world: &World, title: &str, body: &str) -> IssueRef {
    world.open_issue(NewIssue { title: title.into(), body: body.into(), ..vague() })
}

const ASKED: &str = "**Thank you. For somebody to work on this, it still needs:**\n\n";
const ANSWER: &str = "`sort()` in `src/list.py` should sort by name.";

#[tokio::test]
async fn a_vague_report_is_asked_once_and_dispatched_when_its_author_answers() {
    let world = practical("").await;
    let issue = world.open_issue(vague());
    world.settle().await;
    let asked = world.comment(&issue);
    assert!(asked.starts_with(ASKED), "{asked}");
    assert!(asked.contains("- steps to see it happen"), "{asked}");
    assert_eq!(world.labels(&issue), ["needs-info"]);
    // What others say is no answer of the author.
    world.gitea.comment(&issue, "carol", ANSWER);
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    assert_eq!(world.comment(&issue), asked);
    world.gitea.comment(&issue, "bob", ANSWER);
    world.settle().await;
    let comments = world.comments(&issue);
    assert_eq!(comments.len(), 2);
    assert!(comments[0].starts_with("**Nobody has to act on this any more:**"), "{comments:#?}");
    assert!(comments[1].starts_with("**Triage: dispatched to `claude`"), "{comments:#?}");
    assert_eq!(world.labels(&issue), ["claude-ready", "seen"]);
}

#[tokio::test]
async fn an_edit_by_the_author_is_an_answer_too_and_a_worse_text_is_not_asked_again() {
    let world = practical("").await;
    let issue = world.open_issue(vague());
    world.settle().await;
    world.gitea.edit_issue(&issue, "bob", None, Some(ANSWER));
    world.settle().await;
    assert_eq!(world.labels(&issue), ["claude-ready"]);
    assert_eq!(world.comments(&issue).len(), 2);
}

#[tokio::test]
async fn what_is_still_missing_is_an_edit_of_the_question() {
    let world = practical("").await;
    let issue = world.open_issue(vague());
    world.settle().await;
    let before = world.comment(&issue);
    world.gitea.edit_issue(&issue, "bob", None, Some("It should be sorted."));
    world.settle().await;
    let after = world.comment(&issue);
    assert!(after.starts_with(ASKED) && after != before, "{after}");
    assert_eq!(world.labels(&issue), ["needs-info"]);
}

#[tokio::test]
async fn the_question_is_in_the_language_of_the_issue() {
    let world = practical("").await;
    let german = open(&world, "Die Liste ist kaputt", "Nach dem Update ist die Liste falsch.");
    let chinese = open(&world, "列表坏了", "更新之后列表不正确");
    world.settle().await;
    assert!(world.comment(&german).starts_with("**Danke. Damit jemand daran arbeiten kann"));
    assert!(world.comment(&chinese).starts_with("**谢谢"));
}

#[tokio::test]
async fn a_question_gets_a_label_and_no_comment() {
    let world = practical("").await;
    let issue = open(&world, "How do I change the port?", "I read the manual.");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["question"]);
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn a_label_that_a_person_removed_is_not_put_back_and_theirs_is_not_taken_off() {
    let world = practical("").await;
    let removed = world.open_issue(vague());
    let theirs = open(&world, "[Bug] The list", ANSWER);
    world.gitea.add_label(&theirs, "alice", "needs-info");
    world.settle().await;
    world.gitea.remove_label(&removed, "alice", "needs-info");
    world.gitea.add_label(&removed, "alice", "seen");
    world.settle().await;
    assert_eq!(world.labels(&removed), ["seen"]);
    assert_eq!(world.labels(&theirs), ["claude-ready", "needs-info"]);
    world.comments(&removed);
    world.comments(&theirs);
}

#[tokio::test]
async fn nobody_is_asked_against_the_owners_wish() {
    let silent = practical("[triage]\nanswers = \"none\"").await;
    let issue = silent.open_issue(vague());
    silent.settle().await;
    assert!(silent.comments(&issue).is_empty() && silent.labels(&issue).is_empty());
    let labels = practical("[triage]\nanswers = \"label\"\nneeds_info_label = \"more\"").await;
    let issue = labels.open_issue(vague());
    labels.settle().await;
    assert!(labels.comments(&issue).is_empty());
    assert_eq!(labels.labels(&issue), ["more"]);
    labels.gitea.edit_issue(&issue, "bob", None, Some(ANSWER));
    labels.settle().await;
    assert_eq!(labels.labels(&issue), ["claude-ready"]);
    labels.comments(&issue);
}

#[tokio::test]
async fn an_answer_counts_whatever_the_text_ends_with_and_its_blocker_blocks() {
    let form = "### What happened\n\nThe list is wrong.\n\n### Version\n\n1.2";
    for (more, is_dispatched) in [("", true), ("\n\nBlocked by #1.", false)] {
        let world = practical("").await;
        open(&world, "The first", "It comes before.");
        let issue = open(&world, "The list", form);
        world.settle().await;
        world.gitea.comment(&issue, "bob", &format!("{ANSWER}{more}"));
        world.settle().await;
        let is_with_claude = world.labels(&issue).contains(&"claude-ready".to_owned());
        assert_eq!(is_with_claude, is_dispatched, "{:?}", world.labels(&issue));
        for (at, _) in world.gitea.issues(&world.repo) {
            world.comments(&at);
        }
    }
}

#[tokio::test]
async fn who_has_an_issue_by_a_persons_order_is_not_asked_what_it_needs() {
    let world = practical("").await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(vague());
    world.gitea.comment(&issue, "alice", "/triage assign claude");
    world.gitea.resume();
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    assert_eq!(world.labels(&issue), ["claude-ready", "seen"]);
    assert!(world.comment(&issue).starts_with("**Triage: dispatched to `claude`"));
}

#[tokio::test]
async fn what_is_urgent_is_still_asked_for_what_it_lacks() {
    let world = practical("[triage]\nowner = \"alice\"").await;
    let issue = world.open_issue(vague());
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "critical");
    world.settle().await;
    let comments = world.comments(&issue);
    assert!(comments.iter().any(|said| said.starts_with(ASKED)), "{comments:#?}");
}

#[tokio::test]
async fn long_comments_of_an_author_are_no_answer_and_hide_no_order() {
    let world = practical("").await;
    let issue = world.open_issue(vague());
    world.settle().await;
    for _ in 0..3 {
        world.gitea.comment(&issue, "bob", &"x ".repeat(400 * 1024));
    }
    world.gitea.comment(&issue, "alice", "/triage hold");
    world.settle().await;
    let held = world.history(&issue).await.evaluations.pop().unwrap().reason;
    assert!(held.contains("held by"), "{held}");
    world.comments(&issue);
}

//! An agent works again on its pull request: for what people who may write say about it, and for the checks that fail at its
//! head.

use std::time::Duration;

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Flavour, NewCheck, NewIssue, NewLine, NewReview};
use gitea_triage::issue::IssueRef;
use gitea_triage::sweep::How;
use serde_json::json;

use crate::runs::{HEAD, ONE, Runner, TWO, Taken, config, handed_over, held, state};
use crate::world::{World, flavour};

const NEXT: &str = "1123456789abcdef0123456789abcdef01234567";
const THIRD: &str = "2123456789abcdef0123456789abcdef01234567";

/// A world in which the agent has had its first turn: an issue, and the pull request for it.
struct Story {
    world: World,
    issue: IssueRef,
    pull: IssueRef,
}

impl Story {
    async fn with(more: &str) -> Self {
        Self::of(World::with(&config(more)).await).await
    }

    async fn of(world: World) -> Self {
        let issue = handed_over(&world).await;
        let run = Runner::of(&world, ONE).taken("r1").await;
        run.heartbeat().await;
        run.push(HEAD).await;
        let pull = world.open_issue(NewIssue {
            title: "Login crashes on an empty password".into(),
            body: format!("Closes #{}", issue.number),
            author: "runner-bot".into(),
            number: Some(7),
            is_pull_request: true,
            ..NewIssue::default()
        });
        world.gitea.push_commit(&pull, "runner-bot", HEAD);
        assert_eq!(run.finish("done", "Empty passwords get 400.").await, held());
        world.settle().await;
        Self { world, issue, pull }
    }

    fn check(&self, context: &str, state: &str) {
        let description = format!("{context} says {state}");
        let check = NewCheck { context: context.into(), state: state.into(), description };
        self.world.gitea.check(&self.pull, check);
    }

    fn review(&self, by: &str, state: &str, body: &str) -> i64 {
        let review = NewReview { state: state.into(), body: body.into(), lines: Vec::new() };
        self.world.gitea.review(&self.pull, by, review)
    }

    /// The next turn, which there has to be.
    async fn turn(&self, number: u32) -> Taken<'_> {
        let run = Runner::of(&self.world, ONE).taken(&format!("turn {number}")).await;
        assert_eq!(run.assignment["turn"], number, "{}", run.assignment);
        run
    }

    async fn assert_no_turn(&self) {
        let (status, run) = Runner::of(&self.world, ONE).take("is there a turn?").await;
        assert_eq!(status, 204, "{run}");
    }

    /// The turn ends with another commit.
    async fn finish(&self, run: &Taken<'_>, head: &str) {
        assert_eq!(run.heartbeat().await, held());
        assert_eq!(run.push(head).await, held());
        self.world.gitea.push_commit(&self.pull, "runner-bot", head);
        let end = json!({"outcome": "done", "message": "It is changed.", "head": head, "pull_request": 7, "url": null,
            "usage": {"tokens": null, "cost": null}});
        assert_eq!(run.tell("finish", end).await, held());
        self.world.settle().await;
    }

    /// What we say at the pull request.
    #[track_caller]
    fn told(&self) -> String {
        self.world.comment(&self.pull)
    }

    /// The pull request is merged, and the dispatch completed by that.
    async fn merge(&self) {
        self.world.gitea.merge(&self.pull, "alice");
        self.world.settle().await;
        assert_eq!(state(&self.world, &self.issue).await, DispatchState::Completed);
        self.world.comments(&self.issue);
        self.assert_no_turn().await;
    }
}

/// Checks say nothing by an event on Forgejo: the sweep finds what they said.
async fn heard(story: &Story) {
    story.world.settle().await;
    if flavour() == Flavour::Forgejo {
        story.world.sweep(How::default()).await;
        story.world.settle().await;
    }
}

#[tokio::test]
async fn a_failed_check_begins_a_turn_which_makes_it_green_and_the_merge_completes_the_dispatch() {
    let story = Story::with("").await;
    story.assert_no_turn().await;
    story.check("ci/lint", "pending");
    story.check("ci/test", "failure");
    // It is looked at again as long as a check runs.
    story.world.settle_within(Duration::from_secs(60)).await;
    story.assert_no_turn().await;
    story.check("ci/lint", "success");
    heard(&story).await;

    let run = story.turn(2).await;
    let told = &run.assignment;
    assert_eq!(told["pull_request"], 7);
    assert_eq!(told["branch"], "triage/1-bug-login-crashes-on-an-empty-password");
    assert_eq!(told["pushed"], json!([HEAD]));
    assert_eq!(told["timeout_s"], 7200, "it has its whole time");
    let prompt = told["prompt"].as_str().unwrap();
    assert!(prompt.contains("This is turn 2 of your work"), "{prompt}");
    assert!(
        prompt.contains(": a failed check]]\nci/test\nci/test says failure\n[[end "),
        "{prompt}"
    );
    assert!(!prompt.contains("ci/lint"), "{prompt}");
    let line = "**State:** `in_progress`: turn 2 of 2, for the failed check `ci/test`";
    assert!(story.world.comment(&story.issue).contains(line));
    let works = "**Triage:** agent `claude` works on the failed check `ci/test` (turn 2 of 2).";
    assert!(story.told().starts_with(works), "{}", story.told());

    story.finish(&run, NEXT).await;
    let done = "**Triage:** agent `claude` has worked on what was asked here (turn 2 of 2).";
    assert!(story.told().starts_with(done), "{}", story.told());
    story.check("ci/test", "success");
    heard(&story).await;
    story.assert_no_turn().await;
    assert_eq!(state(&story.world, &story.issue).await, DispatchState::InProgress);
    story.merge().await;
}

#[tokio::test]
async fn a_review_of_who_may_write_begins_a_turn_and_one_of_an_outsider_does_not() {
    let story = Story::with("").await;
    story.review("bob", "REQUEST_CHANGES", "Do it otherwise");
    story.world.gitea.comment(&story.pull, "bob", "Do it otherwise, I said");
    story.world.gitea.comment(&story.pull, "alice", "/triage explain");
    story.review("alice", "APPROVED", "Fine!");
    story.review("alice", "PENDING", "I am about to say");
    story.world.settle().await;
    story.assert_no_turn().await;
    let lines =
        vec![NewLine { path: "src/auth/login.py".into(), line: 12, body: "Use `strip()`".into() }];
    let body = "Almost.".to_owned();
    let review = NewReview { state: "REQUEST_CHANGES".into(), body, lines };
    story.world.gitea.review(&story.pull, "alice", review);
    story.world.settle().await;
    let run = story.turn(2).await;
    let prompt = run.assignment["prompt"].as_str().unwrap();
    assert!(prompt.contains(": a review by alice]]\nAlmost.\n[[end "), "{prompt}");
    let line = ": a line of a review by alice]]\nsrc/auth/login.py, line 12\n\n@@ -1,3 +1,12 @@\n+line 12\n\nUse `strip()`\n[[end ";
    assert!(prompt.contains(line), "{prompt}");
    assert!(!prompt.contains("otherwise") && !prompt.contains("Fine!"), "{prompt}");
    assert!(!prompt.contains("about to say"), "{prompt}");
    let told = story.told();
    assert!(told.contains("works on the review of `alice` (turn 2 of 2)"), "{told}");
    story.finish(&run, NEXT).await;
    story.told();
    story.merge().await;
}

#[tokio::test]
async fn what_was_answered_is_not_answered_again_also_after_a_restart() {
    let mut story = Story::with("[dispatch]\nmax_attempts = 3\n").await;
    story.world.gitea.comment(&story.pull, "alice", "Please add a test");
    story.check("ci/test", "failure");
    heard(&story).await;
    let run = story.turn(2).await;
    story.finish(&run, NEXT).await;
    drop(run);
    story.world.restart().await;
    for _ in 0..2 {
        story.world.sweep(How { full: true, ..How::default() }).await;
        story.world.settle().await;
    }
    story.assert_no_turn().await;
    // The same check, at the new head: that is another failure.
    story.check("ci/test", "failure");
    heard(&story).await;
    let run = story.turn(3).await;
    assert!(!run.assignment["prompt"].as_str().unwrap().contains("add a test"));
    story.finish(&run, THIRD).await;
    let done = "has worked on what was asked here (turn 3 of 3)";
    assert!(story.told().contains(done), "{}", story.told());
    story.merge().await;
}

#[tokio::test]
async fn after_the_last_turn_a_person_is_called_once() {
    let story = Story::with("").await;
    story.review("alice", "REQUEST_CHANGES", "Not yet");
    story.world.settle().await;
    let run = story.turn(2).await;
    story.finish(&run, NEXT).await;
    story.review("alice", "REQUEST_CHANGES", "Still not");
    story.world.settle().await;
    story.review("alice", "COMMENT", "Is anybody there?");
    story.world.settle().await;
    story.assert_no_turn().await;
    assert_eq!(state(&story.world, &story.issue).await, DispatchState::Escalated);
    let comments = story.world.comments(&story.issue);
    let calls: Vec<_> = comments.iter().filter(|one| one.contains("@alice")).collect();
    assert_eq!(calls.len(), 1, "{comments:#?}");
    assert!(
        calls[0].contains("the review of `alice` would need another turn of the agent"),
        "{}",
        calls[0]
    );
    let told = story.told();
    assert!(
        told.contains("has had all of its 2 turns; the review of `alice` needs a person"),
        "{told}"
    );
}

#[tokio::test]
async fn where_no_follow_up_is_wanted_there_is_none() {
    let story = Story::with("[runs]\nfollow_up = false\n").await;
    story.review("alice", "REQUEST_CHANGES", "Not yet");
    story.check("ci/test", "failure");
    heard(&story).await;
    story.assert_no_turn().await;
    assert!(story.world.comments(&story.pull).is_empty());
    story.merge().await;
}

#[tokio::test]
async fn what_is_said_while_the_agent_works_is_one_turn_after_it() {
    let story = Story::with("[dispatch]\nmax_attempts = 3\n").await;
    story.review("alice", "REQUEST_CHANGES", "First");
    story.world.settle().await;
    let run = story.turn(2).await;
    run.heartbeat().await;
    story.review("alice", "COMMENT", "Second");
    story.world.gitea.comment(&story.pull, "claude", "Third");
    story.world.settle().await;
    assert_eq!(Runner::of(&story.world, TWO).take("another").await.0, 204, "it goes on");
    story.finish(&run, NEXT).await;
    let run = story.turn(3).await;
    let prompt = run.assignment["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("Second") && prompt.contains("Third") && !prompt.contains("First"),
        "{prompt}"
    );
    assert!(
        story
            .told()
            .contains("works on the review of `alice` and the comment of `claude` (turn 3 of 3)")
    );
    story.finish(&run, HEAD).await;
    story.assert_no_turn().await;
    story.told();
    story.merge().await;
}

#[tokio::test]
async fn no_turn_begins_for_an_issue_that_is_closed_or_a_pull_request_that_is() {
    let story = Story::with("").await;
    story.world.gitea.close(&story.pull, "alice");
    story.review("alice", "REQUEST_CHANGES", "Not like that");
    story.world.settle().await;
    story.assert_no_turn().await;
    story.world.gitea.reopen(&story.pull, "alice");
    story.world.gitea.close(&story.issue, "alice");
    story.world.settle().await;
    story.review("alice", "REQUEST_CHANGES", "Not like that either");
    story.world.settle().await;
    story.assert_no_turn().await;
    assert_eq!(state(&story.world, &story.issue).await, DispatchState::Completed);
    story.world.comments(&story.issue);
}

#[tokio::test]
async fn a_turn_that_changes_nothing_is_told_and_the_work_stays_with_the_agent() {
    let story = Story::with("").await;
    story.review("alice", "COMMENT", "Why not `trim()`?");
    story.world.settle().await;
    let run = story.turn(2).await;
    run.heartbeat().await;
    assert_eq!(run.finish("no_change", "Because it is `strip()` here. @bob").await, held());
    story.world.settle().await;
    assert_eq!(state(&story.world, &story.issue).await, DispatchState::InProgress);
    let told = story.told();
    assert!(told.contains("found nothing to change (turn 2 of 2)"), "{told}");
    assert!(told.contains("```text\nBecause it is `strip()` here. @bob\n```"), "{told}");
    let comments = story.world.comments(&story.issue);
    assert_eq!(comments.len(), 2, "{comments:#?}");
    assert!(
        comments[1].starts_with("**Triage: nothing was changed**\n\n@alice: `claude`"),
        "{comments:#?}"
    );
    story.assert_no_turn().await;
    story.world.sweep(How::default()).await;
    story.world.settle().await;
    assert_eq!(story.world.comments(&story.issue).len(), 2, "it is said once");
    story.merge().await;
}

#[tokio::test]
async fn a_turn_that_fails_is_a_persons_matter_and_no_second_attempt() {
    let story = Story::with("[dispatch]\nmax_attempts = 5\n").await;
    story.review("alice", "REQUEST_CHANGES", "Not yet");
    story.world.settle().await;
    let run = story.turn(2).await;
    run.heartbeat().await;
    assert_eq!(run.finish("failed", "the branch has other commits").await, held());
    story.world.settle().await;
    assert_eq!(state(&story.world, &story.issue).await, DispatchState::Escalated);
    story.assert_no_turn().await;
    let comments = story.world.comments(&story.issue);
    assert!(
        comments.iter().any(|one| one.contains("the branch has other commits")),
        "{comments:#?}"
    );
    story.told();
}

#[tokio::test]
async fn a_status_of_another_commit_is_ignored_with_its_reason() {
    let story = Story::of(World::on(Flavour::Gitea, &config("")).await).await;
    let looks = story.world.evaluations(&story.issue).await;
    let other = story.world.open_issue(NewIssue {
        title: "Another".into(),
        is_pull_request: true,
        ..NewIssue::default()
    });
    story.world.settle().await;
    let check = NewCheck { context: "ci".into(), state: "failure".into(), ..NewCheck::default() };
    story.world.gitea.check(&other, check);
    story.world.settle().await;
    let all = story.world.deliveries().await;
    let status = all.iter().find(|one| one.action == "status").unwrap();
    assert_eq!(
        status.reason.as_deref(),
        Some("the commit is not at the head of an agent's pull request")
    );
    assert_eq!(story.world.evaluations(&story.issue).await, looks);
    // What a person pushed is looked at like what the agent did.
    story.world.gitea.push_commit(&story.pull, "alice", NEXT);
    story.world.settle().await;
    story.check("ci", "failure");
    story.world.settle().await;
    let run = story.turn(2).await;
    story.finish(&run, HEAD).await;
    story.told();
    story.merge().await;
}

#[tokio::test]
async fn our_own_comment_begins_nothing_and_one_that_was_removed_is_not_written_again() {
    let story = Story::with("[dispatch]\nmax_attempts = 4\n").await;
    story.review("alice", "REQUEST_CHANGES", "First");
    story.world.settle().await;
    let run = story.turn(2).await;
    story.told();
    let id = story.world.issue(&story.pull).comments.last().unwrap().id;
    story.world.gitea.delete_comment(&story.pull, "alice", id);
    story.finish(&run, NEXT).await;
    story.review("alice", "REQUEST_CHANGES", "Second");
    story.world.settle().await;
    let run = story.turn(3).await;
    story.finish(&run, HEAD).await;
    let bot = story.world.gitea.bot().login;
    assert!(story.world.issue(&story.pull).comments.iter().all(|one| one.author != bot));
    story.merge().await;
}

/// A check may speak of a commit before anybody could tell whose it is, while the issue is being looked at.
#[tokio::test]
async fn an_issue_is_looked_at_once_more_when_its_pull_request_has_another_head() {
    let story = Story::with("").await;
    let looks = async || {
        let deliveries = story.world.deliveries().await;
        deliveries.into_iter().filter(|one| one.action == "wake/a pull request concerns it").count()
    };
    assert_eq!(looks().await, 0, "the head is what the agent pushed");
    story.world.gitea.push_commit(&story.pull, "alice", NEXT);
    story.world.settle().await;
    assert_eq!(looks().await, 1);
    story.world.gitea.comment(&story.pull, "bob", "When is it merged?");
    story.world.settle().await;
    assert_eq!(looks().await, 1, "it is known");
    story.world.comments(&story.issue);
}

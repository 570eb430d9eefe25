//! What a forge keeps from us: a token that may not read accounts, as one is that Forgejo binds to repositories, and a
//! person who has blocked our account. Neither stops what is possible all the same.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{FaultKind, Flavour, NewIssue};
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug};

const BOTH: [Flavour; 2] = [Flavour::Gitea, Flavour::Forgejo];
/// All that a token can have that is bound to repositories.
const BOUND: [&str; 2] = ["write:issue", "read:repository"];

/// A world whose token cannot read accounts, not even its own.
async fn bound(flavour: Flavour) -> World {
    let mut world = World::on(flavour, "").await;
    let (whole, bound) =
        (world.gitea.token().to_owned(), world.gitea.token_with_scopes("triage-bot", &BOUND));
    world.configure(|config| config.replace(&whole, &bound));
    world.knows_us = false;
    world.restart().await;
    world
}

/// Makes an account that may read, as everybody may, and has no role here.
fn reader(world: &World, login: &str) {
    world.gitea.add_user(login);
    world.gitea.remove_collaborator(&world.repo, login);
}

fn reactions(world: &World, at: &IssueRef, comment: i64) -> Vec<String> {
    let comments = world.issue(at).comments;
    let comment = comments.into_iter().find(|c| c.id == comment).unwrap();
    comment.reactions.into_iter().map(|(_, what)| what).collect()
}

#[tokio::test]
async fn a_bug_goes_to_an_agent_without_a_role_by_a_token_that_may_not_read_accounts() {
    for flavour in BOTH {
        let world = bound(flavour).await;
        reader(&world, "claude");
        let issue = world.open_issue(bug());
        world.settle().await;
        world.assert_with_claude(&issue);
        assert!(world.dead().await.is_empty());
    }
}

#[tokio::test]
async fn an_agent_without_an_account_is_called_by_its_label_by_such_a_token_too() {
    for flavour in BOTH {
        let world = bound(flavour).await;
        world.gitea.remove_user("claude");
        let issue = world.open_issue(bug());
        world.settle().await;
        assert!(world.comment(&issue).contains("not assigned, because the account `claude`"));
        assert_eq!(world.labels(&issue), ["claude-ready"]);
        assert!(world.assignees(&issue).is_empty());
    }
}

#[tokio::test]
async fn a_reader_is_assigned_by_order_and_nobody_is_refused_by_such_a_token() {
    for flavour in BOTH {
        let world = bound(flavour).await;
        reader(&world, "wendy");
        let issue = world.open_issue(NewIssue { title: "It is slow".into(), ..bug() });
        let asked = world.gitea.comment(&issue, "alice", "/triage assign @wendy");
        world.settle().await;
        assert_eq!(world.assignees(&issue), ["wendy"]);
        assert_eq!(reactions(&world, &issue, asked), ["+1"]);
        let asked = world.gitea.comment(&issue, "alice", "/triage assign @nobody");
        world.settle().await;
        assert_eq!(reactions(&world, &issue, asked), ["confused"]);
        assert!(world.comments(&issue).last().unwrap().contains("nobody"));
        assert!(world.dead().await.is_empty());
    }
}

#[tokio::test]
async fn our_comments_are_known_as_ours_by_a_token_that_may_not_read_its_account() {
    for flavour in BOTH {
        let world = bound(flavour).await;
        let issue = world.open_issue(bug());
        // Somebody talks before anything was decided, so that our own comments have to be looked for.
        world.gitea.comment(&issue, "alice", "I see that, too");
        world.settle().await;
        world.assert_with_claude(&issue);
        let reasons = world.deliveries().await.into_iter().filter_map(|d| d.reason);
        assert!(reasons.collect::<Vec<_>>().contains(&"our own change".to_owned()), "{flavour:?}");
    }
}

#[tokio::test]
async fn repositories_named_by_a_pattern_are_found_by_such_a_token() {
    for flavour in BOTH {
        let world = bound(flavour).await;
        let forge = &world.service().parts().forge;
        let found = forge.repositories("acme").await.unwrap();
        assert_eq!(found, std::slice::from_ref(&world.repo));
    }
}

/// What was tried on the issue and failed, with why.
async fn failures(world: &World, at: &IssueRef) -> Vec<String> {
    let evaluations = world.history(at).await.evaluations;
    let effects = evaluations.into_iter().flat_map(|e| e.effects);
    effects.filter(|e| e.state == "failed").filter_map(|e| e.detail).collect()
}

#[tokio::test]
async fn where_the_poster_has_blocked_us_the_rest_is_done_and_the_page_says_why() {
    for flavour in BOTH {
        let world = World::on(flavour, "").await;
        world.gitea.block("bob", "triage-bot");
        let issue = world.open_issue(bug());
        world.settle().await;
        assert_eq!(world.labels(&issue), ["claude-ready"]);
        assert_eq!(world.assignees(&issue), ["claude"]);
        assert!(world.comments(&issue).is_empty());
        let history = world.history(&issue).await;
        assert_eq!(history.dispatches[0].state, DispatchState::Assigned);
        let why = failures(&world, &issue).await.join("\n");
        assert!(why.contains("has blocked our account") && !why.contains("scopes"), "{why}");
        world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes, still"), None);
        world.settle().await;
        world.gitea.close(&issue, "alice");
        world.settle().await;
        assert!(world.dead().await.is_empty());
        let ended = world.history(&issue).await.dispatches[0].state;
        assert_eq!(ended, DispatchState::Completed);
    }
}

#[tokio::test]
async fn a_refusal_for_want_of_scopes_is_still_told_as_one() {
    let world = World::start().await;
    let kind = FaultKind::Status(403);
    world.gitea.fail(gitea_triage::fake_gitea::Fault {
        method: Some("POST".into()),
        path_contains: "/comments".into(),
        times: 1,
        kind,
    });
    let issue = world.open_issue(bug());
    world.settle().await;
    let dead = world.dead().await;
    assert!(dead[0].reason.as_deref().unwrap().contains("scopes"), "{dead:?}");
    assert!(world.comments(&issue).is_empty());
}

#[tokio::test]
async fn an_order_of_whoever_has_blocked_us_is_carried_out_without_a_word() {
    for flavour in BOTH {
        let world = World::on(flavour, "").await;
        world.gitea.block("alice", "triage-bot");
        let vague = NewIssue { title: "It is slow".into(), author: "alice".into(), ..bug() };
        let issue = world.open_issue(NewIssue { body: String::new(), ..vague });
        world.settle().await;
        world.gitea.comment(&issue, "alice", "/triage assign claude");
        world.settle().await;
        assert_eq!(world.assignees(&issue), ["claude"], "{flavour:?}");
        assert!(world.dead().await.is_empty());
    }
}

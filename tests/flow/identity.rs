//! An issue is known by the forge's ids: what it and its repository are called today changes nothing that was decided,
//! and what is new under an old name starts with nothing.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::sweep::How;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::database;
use crate::world::{PATIENT, SECRET, World, bug};

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

/// The same issue under another name of its repository.
fn under(at: &IssueRef, repo: &str) -> IssueRef {
    IssueRef { repo: name(repo), number: at.number }
}

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches.last().unwrap().state
}

/// A world whose service looks after these repositories.
async fn looking_after(repos: &str) -> World {
    let mut world = World::with(PATIENT).await;
    world.configure(|text| text.replace("[\"acme/*\"]", repos));
    world.restart().await;
    world
}

/// A bug that Alice took out of automatic hands before anybody had it.
async fn held_by_alice(world: &World) -> IssueRef {
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.comment(&issue, "alice", "/triage hold until the release");
    world.gitea.resume();
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    issue
}

/// Lets somebody say something, which has the issue looked at.
async fn say(world: &World, at: &IssueRef) {
    world.gitea.comment(at, "bob", "any news?");
    world.settle().await;
}

#[tokio::test]
async fn a_held_issue_stays_held_when_its_repository_is_renamed() {
    let world = World::start().await;
    let issue = held_by_alice(&world).await;
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let issue = under(&issue, "acme/gadgets");
    say(&world, &issue).await;
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
    world.gitea.comment(&issue, "alice", "/triage resume");
    world.settle().await;
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn a_held_issue_stays_held_when_its_repository_is_transferred() {
    let world = looking_after("[\"acme/*\", \"nova/*\"]").await;
    let issue = held_by_alice(&world).await;
    world.gitea.rename_repo(&world.repo, &name("nova/widgets"));
    let issue = under(&issue, "nova/widgets");
    say(&world, &issue).await;
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
}

#[tokio::test]
async fn a_held_issue_stays_held_when_its_owner_is_renamed() {
    let world = looking_after("[\"acme/*\", \"nova/*\"]").await;
    let issue = held_by_alice(&world).await;
    world.gitea.rename_owner("acme", "nova");
    let issue = under(&issue, "nova/widgets");
    say(&world, &issue).await;
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
}

#[tokio::test]
async fn a_label_that_a_person_took_off_stays_off_after_a_rename() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.remove_label(&issue, "alice", "claude-ready");
    world.gitea.unassign(&issue, "alice", "claude");
    world.settle().await;
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let issue = under(&issue, "acme/gadgets");
    say(&world, &issue).await;
    assert!(world.labels(&issue).is_empty() && world.assignees(&issue).is_empty());
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn an_http_agent_is_not_called_again_after_a_rename() {
    let agent = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&agent).await;
    let world = World::with(&format!(
        "[agents]\nallow_private = [\"127.0.0.1\"]\n[[agent]]\nid = \"claude\"\ninterface = \"http\"\n\
         endpoint = \"{}\"\n",
        agent.uri()
    ))
    .await;
    let issue = world.open_issue(bug());
    world.settle().await;
    assert_eq!(agent.received_requests().await.unwrap().len(), 1);
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let issue = under(&issue, "acme/gadgets");
    say(&world, &issue).await;
    assert_eq!(agent.received_requests().await.unwrap().len(), 1);
    assert_eq!(world.history(&issue).await.dispatches.len(), 1);
    world.comments(&issue);
}

#[tokio::test]
async fn a_dispatch_goes_on_under_the_new_name_and_its_end_frees_the_place() {
    let world = World::start().await;
    let [first, second] = [1, 2].map(|_| world.open_issue(bug()));
    world.settle().await;
    world.assert_with_claude(&first);
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let [first, second] = [first, second].map(|at| under(&at, "acme/gadgets"));
    world.gitea.close(&first, "alice");
    world.settle().await;
    assert_eq!(state(&world, &first).await, DispatchState::Completed);
    world.assert_with_claude(&second);
    let old = under(&first, "acme/widgets");
    assert_eq!(world.history(&old).await.dispatches.len(), 1, "old links lead to it");
}

#[tokio::test]
async fn a_deadline_is_kept_after_a_rename_that_nobody_told_of() {
    let world = World::start().await;
    let [first, second] = [1, 2].map(|_| world.open_issue(bug()));
    world.settle().await;
    world.assert_with_claude(&first);
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    let [first, second] = [first, second].map(|at| under(&at, "acme/gadgets"));
    assert_eq!(state(&world, &first).await, DispatchState::TimedOut);
    assert!(world.comments(&first).iter().any(|text| text.contains("timed out")));
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn a_rename_in_the_middle_of_writing_writes_everything_once() {
    let world = World::start().await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.resume();
    world.gitea.delivered().await;
    world.gitea.fail(Fault {
        method: Some("POST".into()),
        path_contains: "/labels".into(),
        times: 1,
        kind: FaultKind::Status(500),
    });
    world.settle_within(std::time::Duration::ZERO).await;
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    world.settle().await;
    world.assert_with_claude(&under(&issue, "acme/gadgets"));
}

#[tokio::test]
async fn what_is_renamed_out_of_reach_gives_its_place_back() {
    let world = looking_after("[\"acme/widgets\", \"acme/other\"]").await;
    world.gitea.add_repo(&name("acme/other"));
    let first = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&first);
    let second = world.gitea.open_issue(&name("acme/other"), bug());
    world.gitea.add_collaborator(&second.repo, "claude", "write");
    world.settle().await;
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    world.clock.advance(TimeDelta::days(30));
    world.settle().await;
    let reason = world.dead().await[0].reason.clone().unwrap();
    assert!(
        reason.contains("the repository is now `acme/gadgets`; change `gitea.repos`"),
        "{reason}"
    );
    let first = under(&first, "acme/gadgets");
    assert!(!state(&world, &first).await.is_open());
    world.comments(&first);
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn a_repository_made_anew_under_its_name_inherits_no_hold() {
    let world = World::start().await;
    let issue = held_by_alice(&world).await;
    world.gitea.delete_repo(&world.repo);
    world.gitea.add_collaborator(&world.repo, "claude", "write");
    let new = world.open_issue(bug());
    assert_eq!(new, issue);
    world.settle().await;
    world.assert_with_claude(&new);
}

#[tokio::test]
async fn a_repository_made_anew_gets_its_comment_and_the_old_place_is_free() {
    let world = World::with(PATIENT).await;
    let old = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&old);
    world.gitea.delete_repo(&world.repo);
    world.gitea.add_collaborator(&world.repo, "claude", "write");
    let new = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&new);
    let former = state(&world, &"acme/widgets@2#1".parse().unwrap()).await;
    assert_eq!(former, DispatchState::Completed, "the issue is gone");
}

#[tokio::test]
async fn a_number_used_again_inherits_nothing() {
    let world = World::start().await;
    let held = held_by_alice(&world).await;
    world.gitea.pause_deliveries();
    world.gitea.delete_issue(&held);
    // Nobody hears of the end of the first; a Forgejo tells nobody anyway.
    let tells = crate::world::flavour() == gitea_triage::fake_gitea::Flavour::Gitea;
    world.gitea.drop_next_deliveries(u32::from(tells));
    let new = world.open_issue(NewIssue { number: Some(held.number), ..bug() });
    assert_eq!(new, held);
    world.gitea.resume();
    world.settle().await;
    world.assert_with_claude(&new);
}

#[tokio::test]
async fn an_order_by_name_is_for_the_issue_that_has_the_name_now() {
    let mut world = World::with(PATIENT).await;
    let held = held_by_alice(&world).await;
    world.gitea.delete_repo(&world.repo);
    world.gitea.add_collaborator(&world.repo, "claude", "write");
    world.gitea.set_hook("http://127.0.0.1:1/", "nobody");
    let new = world.open_issue(bug());
    world.gitea.delivered().await;
    world.order(&new, "ops", "assign claude").await;
    world.restart().await;
    world.settle().await;
    world.assert_with_claude(&new);
    assert_eq!(held, new);
}

#[tokio::test]
async fn orders_by_a_new_name_that_nobody_told_of_are_carried_out() {
    let world = World::with(PATIENT).await;
    let held = [held_by_alice(&world).await, held_by_alice(&world).await];
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let [first, second] = held.map(|at| under(&at, "acme/gadgets"));
    world.order(&first, "ops", "assign claude").await;
    world.order(&second, "ops", "resume").await;
    world.settle().await;
    world.assert_with_claude(&first);
    let waits = world.history(&second).await.evaluations.pop().unwrap();
    assert!(!waits.reason.contains("held"), "{}", waits.reason);
}

#[tokio::test]
async fn what_is_ordered_before_a_rename_is_no_old_order_where_no_issue_was_known() {
    let world = World::with(PATIENT).await;
    world.sweep(How::default()).await;
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.drop_next_deliveries(2);
    let issue = world.open_issue(bug());
    world.gitea.comment(&issue, "alice", "/triage hold");
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    world.clock.advance(TimeDelta::minutes(15));
    world.sweep(How::default()).await;
    world.settle().await;
    let issue = under(&issue, "acme/gadgets");
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
}

#[tokio::test]
async fn two_repositories_that_swap_their_names_keep_what_is_theirs() {
    let world = World::with(PATIENT).await;
    let other = name("acme/gadgets");
    world.gitea.add_collaborator(&other, "alice", "write");
    let held = held_by_alice(&world).await;
    let free =
        world.gitea.open_issue(&other, NewIssue { title: "Something vague".into(), ..bug() });
    world.settle().await;
    let aside = name("acme/aside");
    world.gitea.rename_repo(&world.repo, &aside);
    world.gitea.rename_repo(&other, &world.repo);
    world.gitea.rename_repo(&aside, &other);
    world.comments(&free);
    for at in [under(&held, "acme/gadgets"), under(&free, "acme/widgets")] {
        say(&world, &at).await;
    }
    let of_held = world.history(&under(&held, "acme/gadgets")).await;
    assert!(of_held.evaluations.last().unwrap().reason.contains("until the release"));
    let of_free = world.history(&under(&free, "acme/widgets")).await;
    assert!(!of_free.evaluations.last().unwrap().reason.contains("held"));
    world.comments(&under(&free, "acme/widgets"));
}

#[tokio::test]
async fn a_server_that_tells_of_a_rename_is_understood() {
    let world = World::start().await;
    let issue = held_by_alice(&world).await;
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let told = json!({
        "action": "renamed",
        "repository": {"id": 1, "full_name": "acme/gadgets"},
        "sender": {"id": 3, "login": "alice"},
    });
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let body = told.to_string();
    let signature = hex::encode(mac.chain_update(&body).finalize().into_bytes());
    let request = world.http.post(world.url("/webhook")).header("content-type", "application/json");
    let request = request.header("x-gitea-signature", signature).header("x-gitea-delivery", "told");
    assert_eq!(request.body(body).send().await.unwrap().status(), 202);
    world.settle().await;
    let delivery = world.delivery("told").await;
    assert_eq!(delivery.reason.unwrap(), "the repository's new name was noted");
    assert_eq!(delivery.action, "repository/renamed");
    let issue = under(&issue, "acme/gadgets");
    assert_eq!(world.history(&issue).await.pending.len(), 0);
    world.gitea.clear_requests();
    say(&world, &issue).await;
    let paths: Vec<_> = world.gitea.requests().into_iter().map(|r| r.path).collect();
    assert!(paths.iter().all(|path| !path.contains("widgets")), "{paths:?}");
}

#[tokio::test]
async fn a_delivery_sent_again_from_before_a_rename_changes_nothing() {
    let world = World::start().await;
    let issue = held_by_alice(&world).await;
    let opened = world.gitea.deliveries()[0].uuid.clone();
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let issue = under(&issue, "acme/gadgets");
    say(&world, &issue).await;
    world.gitea.redeliver(&opened).unwrap();
    world.settle().await;
    assert!(world.labels(&issue).is_empty());
    assert_eq!(world.history(&issue).await.dispatches.len(), 0);
    assert!(world.dead().await.is_empty());
}

/// Takes away what a version before did not keep, as an upgrade finds it, while the service is stopped.
async fn as_an_older_version_left_it(world: &mut World, meanwhile: impl FnOnce(&World)) {
    let path = world.store_path();
    meanwhile(world);
    for forget in ["UPDATE lane SET repo_id = NULL, issue_id = NULL", "DELETE FROM repository"] {
        database::rows(&path, forget);
    }
    world.restart().await;
}

#[tokio::test]
async fn what_an_older_version_kept_gets_its_ids_and_survives_a_rename() {
    let mut world = World::start().await;
    let issue = held_by_alice(&world).await;
    as_an_older_version_left_it(&mut world, |_| {}).await;
    let other = world.open_issue(NewIssue { title: "Something vague".into(), ..bug() });
    world.settle().await;
    world.comments(&other);
    world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    let issue = under(&issue, "acme/gadgets");
    say(&world, &issue).await;
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
}

#[tokio::test]
async fn a_rename_during_an_upgrade_keeps_what_was_decided() {
    let mut world = World::start().await;
    let issue = held_by_alice(&world).await;
    let at_work = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&at_work);
    let renamed = |world: &World| world.gitea.rename_repo(&world.repo, &name("acme/gadgets"));
    as_an_older_version_left_it(&mut world, renamed).await;
    say(&world, &under(&issue, "acme/gadgets")).await;
    world.gitea.close(&under(&at_work, "acme/gadgets"), "alice");
    world.settle().await;
    let [issue, at_work] = [&issue, &at_work].map(|at| under(at, "acme/gadgets"));
    assert!(world.labels(&issue).is_empty() && world.history(&issue).await.dispatches.is_empty());
    assert_eq!(state(&world, &at_work).await, DispatchState::Completed);
    assert_eq!(world.service().parts().store.load().await.unwrap().len(), 0);
    world.comments(&at_work);
}

//! Who may cause work: the issue of somebody who may not write waits for a person who may, and what was approved is what is
//! worked on.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::sweep::How;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{World, bug};

const WAITS: &str = "**An agent can work on this once somebody who may write to this repository approves it.**\n\n\
     Put on the label `approved`, or comment `/triage approve`.\n\n<!--";
const CHANGED: &str = "**The text was changed by `bob` since it was approved.**\n\n";
const UNKNOWN: &str = "**This is not known to be the text that was approved.**\n\n";
const OVER: &str = "**Nobody has to act on this any more:**";
const DISPATCHED: &str = "**Triage: dispatched to `claude`";

/// A world in which bob's issues have to be approved, and people hear of it.
async fn asking(more: &str) -> World {
    let authors = "[triage]\nauthors = \"approved\"\nanswers = \"comment\"";
    World::with(&format!("{more}\n{authors}")).await
}

/// The text of a ready bug, said otherwise.
fn other(word: &str) -> String {
    bug().body.replace("400", word)
}

fn approve(world: &World, at: &IssueRef) -> i64 {
    world.gitea.comment(at, "alice", "/triage approve")
}

async fn reason(world: &World, at: &IssueRef) -> String {
    world.history(at).await.evaluations.pop().unwrap().reason
}

async fn states(world: &World, at: &IssueRef) -> Vec<DispatchState> {
    world.history(at).await.dispatches.iter().map(|one| one.state).collect()
}

/// That it is with the agent; its comments are hereby asserted.
#[track_caller]
fn is_with_claude(world: &World, at: &IssueRef) {
    world.comments(at);
    assert!(world.labels(at).contains(&"claude-ready".to_owned()), "{:?}", world.labels(at));
    assert_eq!(world.assignees(at), ["claude"]);
}

/// That nobody has it; its comments are hereby asserted.
#[track_caller]
fn is_with_nobody(world: &World, at: &IssueRef) {
    world.comments(at);
    assert!(!world.labels(at).contains(&"claude-ready".to_owned()), "{:?}", world.labels(at));
    assert!(world.assignees(at).is_empty());
}

/// The latest of our comments; all are hereby asserted.
fn last(world: &World, at: &IssueRef) -> String {
    world.comments(at).pop().unwrap()
}

/// Bob's bug, approved by a command and with the agent.
async fn approved(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    approve(world, &issue);
    world.settle().await;
    is_with_claude(world, &issue);
    issue
}

#[tokio::test]
async fn an_outsiders_bug_is_approved_by_a_command_edited_and_approved_again() {
    let world = asking("").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let asked = world.comment(&issue);
    assert!(asked.starts_with(WAITS), "{asked}");
    is_with_nobody(&world, &issue);
    let comment = approve(&world, &issue);
    world.settle().await;
    is_with_claude(&world, &issue);
    let comments = world.comments(&issue);
    assert!(comments[0].starts_with(OVER) && comments.len() == 2, "{comments:#?}");
    let digest = world.history(&issue).await.approval.unwrap().digest;
    let line = format!("**Approved:** by `alice`, text `{}`", &digest[..12]);
    assert!(comments[1].starts_with(DISPATCHED) && comments[1].contains(&line), "{comments:#?}");
    let view = world.issue(&issue);
    let answered = view.comments.iter().find(|one| one.id == comment).unwrap();
    assert_eq!(
        answered.reactions.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(),
        ["+1"]
    );

    world.gitea.edit_issue(&issue, "bob", None, Some(&other("500")));
    world.settle().await;
    is_with_nobody(&world, &issue);
    assert_eq!(states(&world, &issue).await, [DispatchState::Failed]);
    let comments = world.comments(&issue);
    // An edit would notify nobody, and alice waits for what comes of her approval.
    assert_eq!(comments.len(), 3, "another comment asks: {comments:#?}");
    assert!(comments[2].starts_with(CHANGED), "{comments:#?}");
    let ended = "**State:** `ended`: the text was changed by `bob` since it was approved";
    assert!(comments[1].contains(ended), "{comments:#?}");

    approve(&world, &issue);
    world.settle().await;
    is_with_claude(&world, &issue);
    let comments = world.comments(&issue);
    assert!(comments[2].starts_with(OVER) && comments.len() == 4, "{comments:#?}");
    assert!(comments[3].starts_with(DISPATCHED), "{comments:#?}");
    assert!(!comments[3].contains(&digest[..12]), "another text: {comments:#?}");
}

#[tokio::test]
async fn an_outsiders_bug_is_approved_by_a_label_and_again_when_it_is_put_on_anew() {
    let world = asking("").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "approved");
    world.settle().await;
    is_with_claude(&world, &issue);
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes on every password"), None);
    world.settle().await;
    is_with_nobody(&world, &issue);
    let asked = last(&world, &issue);
    assert!(asked.contains("take the label `approved` off and put it on again"), "{asked}");
    // The label is still there, and approves the old text.
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    is_with_nobody(&world, &issue);
    world.clock.advance(TimeDelta::minutes(1));
    world.gitea.pause_deliveries();
    world.gitea.remove_label(&issue, "alice", "approved");
    world.gitea.add_label(&issue, "alice", "approved");
    world.gitea.resume();
    world.settle().await;
    is_with_claude(&world, &issue);
}

#[tokio::test]
async fn a_label_that_is_taken_off_before_an_agent_has_it_approves_nothing() {
    let busy = "[[agent]]\nid = \"claude\"\nmax_concurrent = 1";
    let world = asking(busy).await;
    let first = world.open_issue(NewIssue { author: "alice".into(), ..bug() });
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "approved");
    world.settle().await;
    assert!(reason(&world, &issue).await.contains("waits for `claude`"));
    world.gitea.remove_label(&issue, "alice", "approved");
    world.settle().await;
    assert!(reason(&world, &issue).await.starts_with("waits for approval: opened by `bob`"));
    world.gitea.close(&first, "alice");
    world.settle().await;
    is_with_nobody(&world, &issue);
    world.comments(&first);
}

#[tokio::test]
async fn a_label_of_an_outsider_or_of_ours_approves_nothing() {
    let world = asking("").await;
    for by in ["bob", "carol", &world.gitea.bot().login] {
        let issue = world.open_issue(bug());
        world.settle().await;
        world.gitea.add_label(&issue, by, "approved");
        world.gitea.add_label(&issue, "alice", "seen");
        world.settle().await;
        assert!(reason(&world, &issue).await.starts_with("waits for approval"), "{by}");
        is_with_nobody(&world, &issue);
    }
}

#[tokio::test]
async fn an_outsiders_command_approves_nothing() {
    let world = asking("").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.comment(&issue, "bob", "/triage approve");
    world.settle().await;
    is_with_nobody(&world, &issue);
    let answer = world.comments(&issue).pop().unwrap();
    assert!(answer.contains("`/triage approve` was not carried out: `bob` has no write access"));
}

#[tokio::test]
async fn a_writers_edit_does_not_ask_again() {
    let world = asking("").await;
    let issue = approved(&world).await;
    let before = world.history(&issue).await.approval.unwrap();
    world.gitea.edit_issue(&issue, "alice", Some("[bug] Login crashes"), Some(&other("422")));
    world.settle().await;
    is_with_claude(&world, &issue);
    assert_eq!(states(&world, &issue).await.len(), 1);
    let after = world.history(&issue).await.approval.unwrap();
    assert_ne!(before.digest, after.digest);
    let comments = world.comments(&issue);
    assert!(comments[1].contains(&after.digest[..12]), "{comments:#?}");
    // What bob changes after that is another text; what he undoes would start an agent each time.
    for text in ["Do something else.", &other("422")] {
        world.gitea.edit_issue(&issue, "bob", None, Some(text));
        world.settle().await;
        is_with_nobody(&world, &issue);
    }
    approve(&world, &issue);
    world.settle().await;
    is_with_claude(&world, &issue);
}

#[tokio::test]
async fn line_ends_alone_are_no_edit() {
    let world = asking("").await;
    let issue = approved(&world).await;
    world.gitea.edit_issue(&issue, "bob", None, Some(&bug().body.replace('\n', "\r\n")));
    world.settle().await;
    is_with_claude(&world, &issue);
    // Nobody sees these, and a model reads them.
    let hidden = format!("{}\u{e0041}\u{200b}", bug().body);
    world.gitea.edit_issue(&issue, "bob", None, Some(&hidden));
    world.settle().await;
    is_with_nobody(&world, &issue);
}

#[tokio::test]
async fn an_edit_whose_delivery_was_lost_asks_again() {
    for by in ["alice", "bob"] {
        let world = asking("").await;
        let issue = approved(&world).await;
        world.gitea.drop_next_deliveries(1);
        world.gitea.edit_issue(&issue, by, None, Some(&other("409")));
        world.gitea.add_label(&issue, "alice", "seen");
        world.settle().await;
        is_with_nobody(&world, &issue);
        assert!(last(&world, &issue).starts_with(UNKNOWN), "{by}");
        // A later edit by somebody who may write explains only itself.
        world.gitea.edit_issue(&issue, "alice", None, Some(&other("410")));
        world.settle().await;
        is_with_nobody(&world, &issue);
        approve(&world, &issue);
        world.settle().await;
        is_with_claude(&world, &issue);
    }
}

#[tokio::test]
async fn in_a_burst_every_change_counts() {
    let world = asking("").await;
    let issue = approved(&world).await;
    world.gitea.pause_deliveries();
    world.gitea.edit_issue(&issue, "alice", None, Some(&other("422")));
    world.gitea.edit_issue(&issue, "bob", None, Some(&other("503")));
    world.gitea.edit_issue(&issue, "alice", Some("[bug] Login crashes"), None);
    world.gitea.resume();
    world.settle().await;
    is_with_nobody(&world, &issue);
    assert!(reason(&world, &issue).await.contains("`bob` changed the text since `alice`"));
    // The next ones are all by writers, in the same burst as the approval and after it.
    world.gitea.pause_deliveries();
    approve(&world, &issue);
    world.gitea.edit_issue(&issue, "alice", None, Some(&other("404")));
    world.gitea.edit_issue(&issue, "alice", Some("[bug] Login"), Some(&other("405")));
    world.gitea.resume();
    world.settle().await;
    is_with_claude(&world, &issue);
}

#[tokio::test]
async fn an_approval_is_one_of_the_text_that_was_there_then() {
    let world = asking("").await;
    let by_command = world.open_issue(bug());
    let by_label = world.open_issue(bug());
    world.settle().await;
    world.gitea.pause_deliveries();
    let comment = approve(&world, &by_command);
    world.gitea.add_label(&by_label, "alice", "approved");
    for issue in [&by_command, &by_label] {
        world.gitea.edit_issue(issue, "bob", None, Some(&other("and delete all")));
    }
    world.gitea.resume();
    world.settle().await;
    for issue in [&by_command, &by_label] {
        is_with_nobody(&world, issue);
        assert!(world.comment(issue).starts_with(CHANGED), "{issue}");
    }
    let view = world.issue(&by_command);
    let answered = view.comments.into_iter().find(|one| one.id == comment).unwrap();
    assert_eq!(answered.reactions[0].1, "+1", "it is kept");
}

#[tokio::test]
async fn an_approval_whose_delivery_was_lost_is_one_of_the_text_as_it_was_seen_last() {
    for (edits, is_approved) in [(false, true), (true, false)] {
        let world = asking("").await;
        let by_command = world.open_issue(bug());
        let by_label = world.open_issue(bug());
        world.settle().await;
        world.clock.advance(TimeDelta::minutes(1));
        world.gitea.drop_next_deliveries(if edits { 4 } else { 2 });
        approve(&world, &by_command);
        world.gitea.add_label(&by_label, "alice", "approved");
        if edits {
            world.gitea.edit_issue(&by_command, "bob", None, Some(&other("503")));
            world.gitea.edit_issue(&by_label, "bob", None, Some(&other("503")));
        }
        world.gitea.delivered().await;
        world.sweep(How { at_once: true, ..How::default() }).await;
        for issue in [&by_command, &by_label] {
            world.settle().await;
            let is_given = states(&world, issue).await.len() == 1;
            let is_waiting = reason(&world, issue).await.contains("waits for `claude`");
            assert_eq!(
                is_given || is_waiting,
                is_approved,
                "{issue}: {}",
                reason(&world, issue).await
            );
            world.comments(issue);
        }
    }
}

#[tokio::test]
async fn an_approval_before_the_issue_is_ready_is_kept() {
    for text in [None, Some(other("503"))] {
        let world = World::with("[triage]\nauthors = \"approved\"\nready_at = 9").await;
        let issue = world.open_issue(NewIssue { title: "Login crashes".into(), ..bug() });
        world.settle().await;
        world.gitea.add_label(&issue, "alice", "approved");
        world.settle().await;
        is_with_nobody(&world, &issue);
        assert!(reason(&world, &issue).await.contains("below the threshold"));
        world.gitea.edit_issue(&issue, "bob", None, text.as_deref());
        world.settle().await;
        world.gitea.add_label(&issue, "alice", "bug");
        world.settle().await;
        match text {
            None => is_with_claude(&world, &issue),
            Some(_) => assert!(reason(&world, &issue).await.contains("`bob` changed the text")),
        }
    }
}

#[tokio::test]
async fn a_persons_choice_stands_above_it_and_approves_the_text() {
    let world = asking("").await;
    let chosen = world.open_issue(bug());
    let given = world.open_issue(bug());
    world.settle().await;
    world.gitea.comment(&chosen, "alice", "/triage assign claude");
    world.gitea.add_label(&given, "alice", "kimi-ready");
    world.settle().await;
    is_with_claude(&world, &chosen);
    for issue in [&chosen, &given] {
        let approval = world.history(issue).await.approval.unwrap();
        assert_eq!((approval.by.as_str(), approval.way.as_str()), ("alice", "choice"), "{issue}");
    }
    world.gitea.edit_issue(&chosen, "bob", None, Some(&other("503")));
    world.settle().await;
    is_with_nobody(&world, &chosen);
    approve(&world, &chosen);
    world.settle().await;
    is_with_claude(&world, &chosen);
    assert!(world.history(&chosen).await.evaluations.pop().unwrap().reason.contains("chosen for"));
    world.comments(&given);
}

#[tokio::test]
async fn members_give_an_outsiders_issue_away_by_name_or_not_at_all() {
    let world = World::with("[triage]\nauthors = \"members\"\nanswers = \"comment\"").await;
    let issue = world.open_issue(bug());
    let ours = world.open_issue(NewIssue { author: "alice".into(), ..bug() });
    world.settle().await;
    is_with_claude(&world, &ours);
    assert!(world.comment(&issue).contains("Comment `/triage assign <agent>`."));
    approve(&world, &issue);
    world.gitea.add_label(&issue, "alice", "approved");
    world.settle().await;
    is_with_nobody(&world, &issue);
    world.gitea.comment(&issue, "alice", "/triage assign kimi");
    world.settle().await;
    assert!(world.labels(&issue).contains(&"kimi-ready".to_owned()));
    world.gitea.edit_issue(&issue, "bob", None, Some(&other("503")));
    world.settle().await;
    assert!(!world.labels(&issue).contains(&"kimi-ready".to_owned()));
    world.comments(&issue);
}

#[tokio::test]
async fn practical_asks_in_public_repositories_only() {
    let world = World::with("[policy]\npreset = \"practical\"").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    assert!(world.comment(&issue).starts_with(WAITS));
    world.gitea.set_private(&world.repo, true);
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    is_with_claude(&world, &issue);
}

#[tokio::test]
async fn who_may_write_causes_work_by_opening_an_issue() {
    let world = asking("").await;
    world.gitea.add_collaborator(&world.repo, "carol", "write");
    world.gitea.add_collaborator(&world.repo, "dave", "admin");
    for login in ["carol", "dave"] {
        let issue = world.open_issue(NewIssue { author: login.into(), ..bug() });
        world.settle().await;
        is_with_claude(&world, &issue);
        world.gitea.edit_issue(&issue, login, None, Some(&other("503")));
        world.settle().await;
        is_with_claude(&world, &issue);
        assert_eq!(world.history(&issue).await.approval, None);
        world.gitea.close(&issue, login);
        world.settle().await;
        world.comments(&issue);
    }
}

#[tokio::test]
async fn the_seed_is_asked_nothing_more() {
    for authors in ["", "[triage]\nauthors = \"anyone\""] {
        let world = World::with(authors).await;
        let issue = world.open_issue(bug());
        world.settle().await;
        world.gitea.edit_issue(&issue, "bob", None, Some(&other("503")));
        world.settle().await;
        is_with_claude(&world, &issue);
        let asked = world.gitea.requests().into_iter().filter(|one| one.method == "GET");
        let asked: Vec<_> =
            asked.filter_map(|one| one.path.rsplit('/').next().map(str::to_owned)).collect();
        // The issue with what it depends on, whether the agent can be assigned, the labels, the issue again before it is
        // assigned; and what the agent did, after our own change and after the edit. Where another service could make the
        // label too, the labels are read once more when it is certain that none does.
        let labels = if crate::database::is_on_server() { 4 } else { 2 };
        let first = ["1", "dependencies", "assignees"].into_iter();
        let first: Vec<_> =
            first.chain(["labels"; 4].into_iter().take(labels)).chain(["1"]).collect();
        let (begins, rest) = asked.split_at(first.len());
        assert_eq!(begins, first);
        assert!(rest.iter().all(|one| ["1", "timeline"].contains(&one.as_str())), "{asked:?}");
        // A needless approval is kept, and harmless.
        approve(&world, &issue);
        world.settle().await;
        is_with_claude(&world, &issue);
        assert_eq!(world.history(&issue).await.approval.unwrap().by, "alice");
    }
}

#[tokio::test]
async fn an_approval_goes_with_the_issue_through_a_rename_and_a_restart() {
    let mut world = asking("").await;
    let first = world.open_issue(NewIssue { author: "alice".into(), ..bug() });
    let issue = world.open_issue(bug());
    world.settle().await;
    approve(&world, &issue);
    world.settle().await;
    assert!(reason(&world, &issue).await.contains("waits for `claude`"));
    let renamed: RepoName = "acme/gears".parse().unwrap();
    world.comments(&first);
    world.comments(&issue);
    world.gitea.rename_repo(&world.repo, &renamed);
    world.repo = renamed.clone();
    world.restart().await;
    let [first, issue] = [first, issue].map(|at| IssueRef { repo: renamed.clone(), ..at });
    world.gitea.close(&first, "alice");
    world.settle().await;
    assert_eq!(world.history(&issue).await.approval.unwrap().by, "alice");
    is_with_claude(&world, &issue);
    world.comments(&first);
}

#[tokio::test]
async fn an_agent_with_an_endpoint_is_told_the_digest_of_what_it_gets() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    let world = asking(&format!(
        "[agents]\nallow_private = [\"127.0.0.1\"]\n[policy]\ndefault_agent = \"api\"\n\
         [[agent]]\nid = \"api\"\nendpoint = \"{}\"",
        server.uri()
    ))
    .await;
    let issue = world.open_issue(bug());
    world.settle().await;
    approve(&world, &issue);
    world.settle().await;
    let told = server.received_requests().await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&told[0].body).unwrap();
    let approval = world.history(&issue).await.approval.unwrap();
    assert_eq!(body["text_digest"], json!(approval.digest));
    world.comments(&issue);
}

#[tokio::test]
async fn the_comment_is_in_the_language_of_the_issue_and_mentions_nobody() {
    let world = asking("").await;
    let body = bug().body.replace(
        "The handler",
        "Nach dem Update stürzt die Anmeldung ab und das ist nicht gut, weil",
    );
    let issue = world.open_issue(NewIssue { body, ..bug() });
    world.settle().await;
    let asked = world.comment(&issue);
    assert!(asked.starts_with("**Ein Agent kann daran arbeiten"), "{asked}");
    assert!(!asked.contains('@'));
}

#[tokio::test]
async fn nothing_is_said_where_nobody_is_to_be_told_and_it_waits_all_the_same() {
    let world = World::with("[triage]\nauthors = \"approved\"").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    assert!(world.comments(&issue).is_empty());
    assert!(reason(&world, &issue).await.starts_with("waits for approval: opened by `bob`"));
    world.order(&issue, "alice", "approve").await;
    world.settle().await;
    is_with_claude(&world, &issue);
}

#[tokio::test]
async fn an_interruption_leaves_nothing_that_calls_the_agent() {
    // Each write of the evaluation that takes the issue from the agent fails once; so does each that gives it back.
    let writes = [("PATCH", "/comments/"), ("DELETE", "/labels/"), ("PATCH", "/issues/1")];
    for (method, path) in writes {
        for is_killed in [false, true] {
            let mut world = asking("").await;
            let issue = approved(&world).await;
            let fault = Fault {
                method: Some(method.into()),
                path_contains: path.into(),
                times: if is_killed { 1_000 } else { 1 },
                kind: FaultKind::Status(500),
            };
            world.gitea.fail(fault);
            world.gitea.edit_issue(&issue, "bob", None, Some(&other("503")));
            if is_killed {
                world.gitea.delivered().await;
                world.work_within(std::time::Duration::from_millis(300)).await;
                world.gitea.clear_faults();
                world.restart().await;
            }
            world.settle().await;
            is_with_nobody(&world, &issue);
            assert!(last(&world, &issue).starts_with(CHANGED), "{method} {path}");
            assert_eq!(states(&world, &issue).await, [DispatchState::Failed]);
            approve(&world, &issue);
            world.settle().await;
            is_with_claude(&world, &issue);
        }
    }
}

#[tokio::test]
async fn an_outsider_gives_no_issue_to_an_agent_by_the_form_of_a_new_one() {
    let by_form = NewIssue {
        labels: vec!["claude-ready".into(), "kimi-ready".into(), "approved".into()],
        assignees: vec!["claude".into()],
        ..bug()
    };
    let world = asking("").await;
    let issue = world.open_issue(by_form.clone());
    world.settle().await;
    assert_eq!(world.labels(&issue), ["approved"]);
    is_with_nobody(&world, &issue);
    assert!(world.history(&issue).await.dispatches.is_empty());
    let asked = world.comment(&issue);
    assert!(asked.contains("take the label `approved` off and put it on again"), "{asked}");
    approve(&world, &issue);
    world.settle().await;
    is_with_claude(&world, &issue);
    // Who may write gives it away by the same form.
    let issue = world.open_issue(NewIssue { author: "alice".into(), ..by_form });
    world.settle().await;
    assert_eq!(world.history(&issue).await.dispatches.len(), 1);
    assert_eq!(world.labels(&issue), ["approved", "claude-ready", "kimi-ready"]);
}

#[tokio::test]
async fn what_a_person_gave_to_an_agent_is_taken_from_it_when_an_outsider_changes_the_text() {
    for authors in ["approved", "members"] {
        let more = format!("[triage]\nauthors = \"{authors}\"\nanswers = \"comment\"");
        let world = World::with(&more).await;
        let issue = world.open_issue(bug());
        world.settle().await;
        world.gitea.add_label(&issue, "alice", "claude-ready");
        world.settle().await;
        assert_eq!(states(&world, &issue).await, [DispatchState::Assigned], "{authors}");
        world.gitea.edit_issue(&issue, "bob", None, Some(&other("500")));
        world.settle().await;
        is_with_nobody(&world, &issue);
        assert_eq!(states(&world, &issue).await, [DispatchState::Failed], "{authors}");
        // Looked at again, it stays so; and a person may give it again.
        world.gitea.add_label(&issue, "alice", "seen");
        world.settle().await;
        is_with_nobody(&world, &issue);
        world.clock.advance(TimeDelta::minutes(1));
        world.gitea.add_label(&issue, "alice", "claude-ready");
        world.settle().await;
        world.comments(&issue);
        let latest = states(&world, &issue).await.pop();
        assert_eq!(latest, Some(DispatchState::Assigned), "{authors}");
    }
}

#[tokio::test]
async fn an_approval_that_nobody_saw_before_anybody_looked_is_one_of_no_text() {
    let world = asking("").await;
    let issue = world
        .unheard(|| {
            let issue = world.gitea.open_issue(&world.repo, bug());
            approve(&world, &issue);
            world.gitea.edit_issue(&issue, "bob", None, Some(&other("500")));
            issue
        })
        .await;
    world.clock.advance(TimeDelta::minutes(1));
    world.sweep(How { at_once: true, ..How::default() }).await;
    world.settle().await;
    world.gitea.add_label(&issue, "alice", "seen");
    world.settle().await;
    is_with_nobody(&world, &issue);
}

#[tokio::test]
async fn an_outsiders_label_for_an_agent_comes_off_whoever_has_the_issue() {
    let world = asking("[[agent]]\nid = \"kimi\"\nlogin = \"\"").await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(NewIssue { labels: vec!["claude-ready".into()], ..bug() });
    world.gitea.comment(&issue, "alice", "/triage assign kimi");
    world.gitea.resume();
    world.settle().await;
    world.comments(&issue);
    assert_eq!(world.labels(&issue), ["kimi-ready"], "two would work on it");
}

//! A report that was made before is held back from agents, and the comment says which one it is. A person decides; nothing
//! is ever closed.

use chrono::TimeDelta;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, IssueState, RepoName};
use gitea_triage::sweep::How;

use crate::database;
use crate::world::World;

const PATIENT: &str = "[[agent]]\nid = \"claude\"\ntimeout = \"300d\"\nmax_concurrent = 9\n";

async fn practical(more: &str) -> World {
    let world = World::with(&format!("{PATIENT}{more}\n[policy]\npreset = \"practical\"")).await;
    // Whose issues wait for nobody's approval.
    for login in ["bob", "carol"] {
        world.gitea.add_collaborator(&world.repo, login, "write");
    }
    world
}

/// A ready report.
fn first() -> NewIssue {
    NewIssue {
        title: "Export to CSV drops the last row".into(),
        body: "1. Create a table with five rows\n2. Export it as CSV with `export_rows()`\n3. Open the file\n\n\
               The last row is missing. All rows of the table should be in the file."
            .into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

/// The same report by somebody else, in other words.
fn again() -> NewIssue {
    NewIssue {
        title: "CSV export is missing the last row of the table".into(),
        body: "When I export a table as CSV, the file lacks its last row. It should have all rows. \
               Seen with version 2.3 on Linux; the code is `export_rows()`.\n\n1. Create a table\n2. Export as CSV"
            .into(),
        author: "carol".into(),
        ..NewIssue::default()
    }
}

const HELD: &str = "**This may be the same as [`#1`](";
const OVER: &str = "**Nobody has to act on this any more:**";

/// A world in which the second of two reports is held.
async fn held(more: &str) -> (World, [IssueRef; 2]) {
    let world = practical(more).await;
    let issues = [first(), again()].map(|report| world.open_issue(report));
    world.settle().await;
    world.assert_with_claude(&issues[0]);
    (world, issues)
}

async fn reason(world: &World, at: &IssueRef) -> String {
    world.history(at).await.evaluations.pop().unwrap().reason
}

async fn is_held(world: &World, at: &IssueRef) -> bool {
    reason(world, at).await.starts_with("likely a duplicate of `#1`")
}

fn is_with_claude(world: &World, at: &IssueRef) -> bool {
    world.assignees(at) == ["claude"] && world.labels(at).contains(&"claude-ready".to_owned())
}

#[tokio::test]
async fn without_any_agent_a_duplicate_calls_nobody() {
    let none = ["claude", "kimi", "api", "local"]
        .map(|id| format!("[[agent]]\nid = \"{id}\"\nenabled = false\n"))
        .concat();
    let world = World::with(&format!(
        "[triage]\nowner = \"alice\"\n{none}[policy]\npreset = \"practical\""
    ))
    .await;
    let [older, newer] = [first(), again()].map(|report| world.open_issue(report));
    world.settle().await;
    assert!(world.comment(&older).contains("@alice, this needs you"));
    assert!(is_held(&world, &newer).await);
    let said = world.comment(&newer);
    assert!(said.starts_with(HELD) && !said.contains('@'), "{said}");
    world.gitea.comment(&newer, "alice", "/triage go");
    world.settle().await;
    assert!(world.comments(&newer).iter().any(|said| said.contains("@alice, this needs you")));
}

#[tokio::test]
async fn a_duplicate_is_held_with_a_comment_and_go_frees_it() {
    let (world, [older, newer]) = held("").await;
    let said = world.comment(&newer);
    assert!(said.starts_with(HELD), "{said}");
    assert!(said.contains("//acme/widgets/issues/1/)") && said.contains("`/triage go`"), "{said}");
    assert!(said.contains("Words in common (") && said.contains("`export_rows`"), "{said}");
    assert!(!said.contains('@'), "it calls nobody: {said}");
    assert!(world.labels(&newer).is_empty() && world.assignees(&newer).is_empty());
    // Looked at again, it says nothing new.
    world.gitea.add_label(&newer, "alice", "seen");
    world.settle().await;
    assert_eq!(world.comment(&newer), said);
    assert_eq!(world.comments(&older).len(), 1, "nothing is said on the older one");
    // Who may not write to the repository does not free it.
    world.gitea.comment(&newer, "mallory", "/triage go");
    world.settle().await;
    assert!(is_held(&world, &newer).await);
    world.gitea.comment(&newer, "alice", "/triage go");
    world.settle().await;
    assert!(is_with_claude(&world, &newer));
    let comments = world.comments(&newer);
    assert!(comments[0].starts_with(OVER), "{comments:#?}");
    assert!(comments.last().unwrap().starts_with("**Triage: dispatched to `claude`"));
    assert!([&older, &newer].iter().all(|at| world.issue(at).state == IssueState::Open));
    let marks = world.issue(&older).timeline;
    assert!(marks.iter().all(|one| one.kind != "comment_ref"), "{marks:#?}");
}

#[tokio::test]
async fn what_a_person_said_once_holds_for_the_issue() {
    let world = practical("").await;
    world.open_issue(first());
    world.settle().await;
    world.gitea.pause_deliveries();
    let newer = world.open_issue(again());
    let comment = world.gitea.comment(&newer, "alice", "/triage go");
    world.gitea.resume();
    world.settle().await;
    assert!(is_with_claude(&world, &newer), "{}", reason(&world, &newer).await);
    let comments = world.issue(&newer).comments;
    let thanked = comments.iter().find(|one| one.id == comment).unwrap();
    assert!(thanked.reactions.iter().any(|(_, what)| what == "+1"), "{:?}", thanked.reactions);
    world.gitea.edit_issue(&newer, "carol", Some(&first().title), Some(&first().body));
    world.settle().await;
    assert!(is_with_claude(&world, &newer));
    for (at, _) in world.gitea.issues(&world.repo) {
        world.comments(&at);
    }
}

#[tokio::test]
async fn the_dashboard_and_the_command_line_can_say_it_too() {
    let (world, [_, newer]) = held("").await;
    world.order(&newer, "alice", "go").await;
    world.settle().await;
    assert!(is_with_claude(&world, &newer));
    world.comments(&newer);
}

#[tokio::test]
async fn an_agent_that_a_person_chose_gets_it() {
    let (world, [_, newer]) = held("").await;
    world.gitea.comment(&newer, "alice", "/triage assign claude");
    world.settle().await;
    assert!(is_with_claude(&world, &newer));
    assert!(world.comments(&newer)[0].starts_with(OVER));
}

#[tokio::test]
async fn an_issue_that_is_edited_to_say_something_else_is_free() {
    let (world, [_, newer]) = held("").await;
    world.gitea.edit_issue(
        &newer,
        "carol",
        Some("Import of a spreadsheet swaps day and month"),
        Some("1. Import `dates.ods`\n2. Look at the date column\n\nDay and month are swapped. They should stay."),
    );
    world.settle().await;
    assert!(is_with_claude(&world, &newer), "{}", reason(&world, &newer).await);
    assert!(world.comments(&newer)[0].starts_with(OVER));
}

#[tokio::test]
async fn the_same_form_with_other_answers_is_another_issue() {
    let form = |what: &str, steps: &str| {
        format!(
            "### Before submitting\n\n- [x] I searched the existing issues and found no duplicate.\n- [x] I use the \
             latest release.\n\n### What happened?\n\n{what}\n\n### Steps to reproduce\n\n{steps}\n\n### Version\n\n\
             1.20.3\n\n### Operating system\n\nUbuntu 24.04\n\n### Logs or stack traces\n\n_No response_"
        )
    };
    let world = practical("").await;
    let upload = form(
        "Uploading a video stops at 80 %. It should finish.",
        "1. Open files\n2. Take `a.mp4`",
    );
    let search =
        form("Searching for an umlaut finds nobody. It should.", "1. Open contacts\n2. Type `ü`");
    for (title, body) in [("[Bug]: Upload stops", upload), ("[Bug]: No umlauts", search)] {
        let issue = world.open_issue(NewIssue { title: title.into(), body, ..first() });
        world.settle().await;
        world.assert_with_claude(&issue);
    }
}

#[tokio::test]
async fn an_issue_that_was_closed_long_ago_holds_nothing_back() {
    for (days, is_held) in [(10, true), (100, false)] {
        let world = practical("").await;
        let older = world.open_issue(first());
        world.settle().await;
        world.gitea.close(&older, "alice");
        world.settle().await;
        world.clock.advance(TimeDelta::days(days));
        let newer = world.open_issue(again());
        world.settle().await;
        assert_eq!(!is_with_claude(&world, &newer), is_held, "after {days} days");
        let said = world.comment(&newer);
        assert_eq!(said.contains("The other one was closed on 2026-03-23."), is_held, "{said}");
        assert_eq!(reason(&world, &newer).await.contains("; closed on 2026-03-23;"), is_held);
        world.comments(&older);
    }
}

#[tokio::test]
async fn when_the_older_one_is_closed_or_gone_the_comment_says_so() {
    let (world, [older, newer]) = held("").await;
    let before = world.comment(&newer);
    world.gitea.close(&older, "alice");
    world.settle().await;
    let said = world.comment(&newer);
    assert!(said.starts_with(HELD) && said != before, "{said}");
    assert!(said.contains("The other one was closed on 2026-03-23."), "{said}");
    let (world, [older, newer]) = held("").await;
    world.comments(&older);
    world.gitea.delete_issue(&older);
    // A Forgejo tells nobody; the sweep finds it.
    world.sweep(How { full: true, ..How::default() }).await;
    world.settle().await;
    assert!(is_with_claude(&world, &newer), "{}", reason(&world, &newer).await);
    assert!(world.comments(&newer)[0].starts_with(OVER));
}

#[tokio::test]
async fn what_is_known_goes_with_a_repository_and_lasts_through_a_restart() {
    let mut world = practical("").await;
    let older = world.open_issue(first());
    world.settle().await;
    world.comments(&older);
    world.gitea.rename_repo(&world.repo, &"acme/gadgets".parse::<RepoName>().unwrap());
    world.repo = "acme/gadgets".parse().unwrap();
    world.restart().await;
    let newer = world.open_issue(again());
    world.settle().await;
    assert!(is_held(&world, &newer).await, "{}", reason(&world, &newer).await);
    let said = world.comment(&newer);
    assert!(said.contains("//acme/gadgets/issues/1/)"), "{said}");
    // What a person said goes with it, too.
    world.gitea.comment(&newer, "alice", "/triage go");
    world.settle().await;
    world.gitea.rename_repo(&world.repo, &"acme/cogs".parse::<RepoName>().unwrap());
    world.repo = "acme/cogs".parse().unwrap();
    let newer = IssueRef { repo: world.repo.clone(), ..newer };
    world.gitea.edit_issue(&newer, "carol", None, Some(&first().body));
    world.settle().await;
    assert!(is_with_claude(&world, &newer));
    world.comments(&newer);
    world.comments(&IssueRef { repo: world.repo.clone(), ..older });
}

#[tokio::test]
async fn issues_that_were_there_before_it_was_switched_on_are_compared_after_the_next_sweep() {
    let mut world = practical("[triage]\nduplicates = false").await;
    let older = world.open_issue(first());
    world.settle().await;
    world.sweep(How { full: true, at_once: true, ..How::default() }).await;
    world.configure(|text| text.replace("duplicates = false", "duplicates = true"));
    world.restart().await;
    world.sweep(How { at_once: true, ..How::default() }).await;
    world.settle().await;
    let newer = world.open_issue(again());
    world.settle().await;
    assert!(is_held(&world, &newer).await, "{}", reason(&world, &newer).await);
    world.comments(&newer);
    world.assert_with_claude(&older);
}

#[tokio::test]
async fn both_that_arrive_in_one_moment_are_told_apart() {
    let world = practical("").await;
    world.gitea.pause_deliveries();
    let [older, newer] = [first(), first()].map(|report| world.open_issue(report));
    world.gitea.resume();
    world.settle().await;
    world.assert_with_claude(&older);
    assert!(is_held(&world, &newer).await);
    world.comments(&newer);
}

#[tokio::test]
async fn an_ignored_issue_and_one_that_the_text_names_hold_nothing_back() {
    let (world, [_, newer]) = held("").await;
    let follow_up = format!("{}\n\nThis is left over from #1.", again().body);
    world.gitea.edit_issue(&newer, "carol", None, Some(&follow_up));
    world.settle().await;
    assert!(is_with_claude(&world, &newer), "{}", reason(&world, &newer).await);
    world.comments(&newer);
    let world = practical("").await;
    let older = world.open_issue(NewIssue { labels: vec!["wontfix".into()], ..first() });
    world.settle().await;
    let newer = world.open_issue(again());
    world.settle().await;
    world.assert_with_claude(&newer);
    assert!(world.comments(&older).is_empty());
}

#[tokio::test]
async fn without_comments_only_the_history_says_it() {
    for answers in ["label", "none"] {
        let (world, [_, newer]) = held(&format!("[triage]\nanswers = \"{answers}\"")).await;
        assert!(world.comments(&newer).is_empty() && world.labels(&newer).is_empty());
        assert!(is_held(&world, &newer).await);
    }
}

#[tokio::test]
async fn the_seed_compares_nothing_and_asks_for_nothing_more() {
    // As many as each costs by itself: the second one makes no label, and the first reads the labels twice where another
    // service could make it too.
    let world = World::with(PATIENT).await;
    let twice = if database::is_on_server() { 2 } else { 0 };
    for expected in [11 + twice, 7] {
        let issue = world.open_issue(crate::world::bug());
        world.gitea.clear_requests();
        world.settle().await;
        world.assert_with_claude(&issue);
        let requests = world.gitea.requests();
        assert_eq!(requests.len(), expected, "{requests:#?}");
    }
    assert_eq!(database::count(&world.store_path(), "SELECT count(*) FROM wording"), 0);
}

//! Issues that were open before the service first saw their repository call nobody: agents get them as places allow,
//! and people are mentioned and asked only once somebody has touched an issue, or wants it so.

use assert_cmd::Command;
use chrono::TimeDelta;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, RepoPatterns};
use gitea_triage::sweep::How;

use crate::world::{World, bug, noon};

const ONCE: How = How { full: false, look_only: false, at_once: true };
const PRACTICAL: &str =
    "[triage]\nowner = \"alice\"\nflag_label = \"for-people\"\n[policy]\npreset = \"practical\"";

/// Forty old issues that nobody told the service of: ready ones, blocked ones, vague ones, and an urgent one that says too
/// little.
fn old_issues(world: &World) -> Vec<IssueRef> {
    let created_at = Some(noon() - TimeDelta::days(400));
    let issue = |n: usize| match n % 4 {
        0 => NewIssue {
            title: format!("[bug] Part {n} crashes"),
            body: format!("`read_{n}()` in `src/part{n}.py` should return {n} rows."),
            ..bug()
        },
        1 => NewIssue { labels: vec!["blocked".into()], ..bug() },
        2 => NewIssue {
            title: format!("The list {n} is wrong"),
            author: "bob".into(),
            ..NewIssue::default()
        },
        _ => NewIssue { title: "Data loss".into(), author: "bob".into(), ..NewIssue::default() },
    };
    let issues =
        (0..40).map(|n| world.gitea.open_issue(&world.repo, NewIssue { created_at, ..issue(n) }));
    issues.collect()
}

async fn first_start(more: &str) -> (World, Vec<IssueRef>) {
    let world = World::with(more).await;
    world.gitea.add_collaborator(&world.repo, "bob", "write");
    let issues = world.unheard(|| old_issues(&world)).await;
    world.sweep(ONCE).await;
    world.settle().await;
    (world, issues)
}

/// The comments on all issues, as people read them.
fn said(world: &World, issues: &[IssueRef]) -> Vec<String> {
    issues.iter().flat_map(|at| world.comments(at)).collect()
}

fn with_a_label(world: &World, issues: &[IssueRef], label: &str) -> usize {
    let has = |at: &&IssueRef| world.labels(at).iter().any(|one| one == label);
    issues.iter().filter(has).count()
}

#[tokio::test]
async fn forty_old_issues_call_nobody_and_are_dispatched_as_places_allow() {
    let (world, issues) = first_start(PRACTICAL).await;
    let comments = said(&world, &issues);
    assert!(
        comments.iter().all(|text| text.starts_with("**Triage: dispatched to")),
        "{comments:#?}"
    );
    assert!(!comments.iter().any(|text| text.contains('@')), "{comments:#?}");
    assert_eq!(comments.len(), 1, "one place, one dispatch");
    assert_eq!(with_a_label(&world, &issues, "claude-ready"), 1);
    for label in ["for-people", "needs-info", "question"] {
        assert_eq!(with_a_label(&world, &issues, label), 0, "{label}");
    }
    // The next place goes to the next one, and again nobody is called.
    let first = issues.iter().find(|at| world.labels(at).contains(&"claude-ready".to_owned()));
    world.gitea.close(first.unwrap(), "claude");
    world.settle().await;
    let comments = said(&world, &issues);
    assert_eq!((comments.len(), comments.iter().filter(|text| text.contains('@')).count()), (2, 0));
    // A restart and a full pass change nothing.
    let mut world = world;
    world.restart().await;
    world.sweep(How { full: true, ..ONCE }).await;
    world.settle().await;
    assert_eq!(said(&world, &issues).len(), 2);
}

#[tokio::test]
async fn they_are_counted_and_listed_in_one_summary() {
    let (world, issues) = first_start(PRACTICAL).await;
    said(&world, &issues);
    world.clock.advance(TimeDelta::seconds(1));
    let summaries = &world.service().parts().summaries;
    let of = gitea_triage::store::SummaryDay { repo: world.repo.clone(), day: summaries.today() };
    let body = summaries.write(&of).await.unwrap().body;
    let (_, listed) = body.split_once("## From Before\n").expect("a section of its own");
    assert_eq!(listed.matches("- [`#").count().min(20), 20, "{body}");
    assert!(body.contains("`gitea-triage sweep --backlog`") && !body.contains('@'), "{body}");
    assert!(!body.contains("## Needs Attention"), "{body}");
}

#[tokio::test]
async fn an_old_issue_that_somebody_touches_is_like_a_new_one() {
    let (world, issues) = first_start(PRACTICAL).await;
    let (blocked, vague, urgent) = (&issues[1], &issues[2], &issues[3]);
    for at in [blocked, vague, urgent] {
        world.gitea.add_label(at, "bob", "seen");
    }
    world.settle().await;
    assert!(world.comment(blocked).contains("@alice"));
    assert!(world.comment(urgent).contains("@alice"));
    assert!(world.comment(vague).starts_with("**Thank you."));
    assert_eq!(with_a_label(&world, &issues, "for-people"), 2);
    // So it is when the delivery is lost, and when a person orders something by hand.
    let [lost, by_hand] = [&issues[5], &issues[9]];
    world.unheard(|| world.gitea.add_label(lost, "bob", "seen")).await;
    world.clock.advance(TimeDelta::minutes(1));
    world.sweep(ONCE).await;
    world.order(by_hand, "alice", "triage").await;
    world.settle().await;
    assert!(world.comment(lost).contains("@alice"));
    assert!(world.comment(by_hand).contains("@alice"));
    said(&world, &issues);
}

#[tokio::test]
async fn whoever_wants_it_so_has_all_of_them_looked_at_like_new_ones() {
    let (world, issues) = first_start(PRACTICAL).await;
    let before = said(&world, &issues).len();
    let config = world.config_file();
    let run = |more: &[&str]| {
        let mut command = Command::cargo_bin("gitea-triage").unwrap();
        let output = command
            .arg("--config")
            .arg(&config)
            .args(["sweep", "--backlog"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&["--dry-run"]);
    assert!(
        shown.contains("acme/widgets#2\n") && shown.contains("40 issues were open before"),
        "{shown}"
    );
    world.settle().await;
    assert_eq!(said(&world, &issues).len(), before, "a dry run calls nobody");
    // The command has the clock of the machine, the story one in hand.
    let store = &world.service().parts().store;
    let quiet = store.from_before(RepoPatterns::new(["acme/*"]).unwrap()).await.unwrap();
    store.call_from_before(quiet, world.clock.now()).await.unwrap();
    world.settle().await;
    let comments = said(&world, &issues);
    assert_eq!(comments.iter().filter(|text| text.contains("@alice")).count(), 20);
    assert_eq!(comments.iter().filter(|text| text.starts_with("**Thank you.")).count(), 10);
    assert!(run(&["--enqueue"]).starts_with("0 issues"));
}

#[tokio::test]
async fn what_a_dry_run_withheld_is_due_when_it_ends_and_an_old_backlog_stays_quiet() {
    let dry = format!("{PRACTICAL}\n").replace("[triage]\n", "[triage]\ndry_run = true\n");
    let (mut world, issues) = first_start(&dry).await;
    assert!(said(&world, &issues).is_empty());
    let new = world.open_issue(NewIssue { labels: vec!["blocked".into()], ..bug() });
    world.settle().await;
    assert!(world.comments(&new).is_empty());
    world.configure(|config| config.replace("dry_run = true", "dry_run = false"));
    world.restart().await;
    world.sweep(ONCE).await;
    world.settle().await;
    assert!(world.comment(&new).contains("@alice"));
    let comments = said(&world, &issues);
    assert!(comments.len() == 1 && !comments[0].contains('@'), "{comments:#?}");
}

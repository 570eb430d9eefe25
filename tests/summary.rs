//! The daily summary: what it says, and that there is one for each repository and local day, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;
#[allow(dead_code, reason = "these stories need a part of the world")]
#[path = "flow/world.rs"]
mod world;

use std::time::Duration;

use assert_cmd::Command;
use gitea_triage::clock::Timestamp;
use gitea_triage::fake_gitea::{Fault, FaultKind, Flavour, IssueView, NewIssue};
use gitea_triage::issue::{IssueRef, IssueState};
use gitea_triage::store::{OpenMode, Place, Store, SummaryDay};
use gitea_triage::summary::{By, Error, Outcome, Parts, Schedule, Settings, Summaries};

use world::{PATIENT, World, bug};

const TITLE: &str = "[Triage] Daily backlog summary — ";
const BERLIN: &str = "[summary]\nat = \"06:00\"\ntimezone = \"Europe/Berlin\"";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Sets the clock, forwards or back.
fn set(world: &World, text: &str) {
    world.clock.advance(time(text) - world.clock.now());
}

fn summaries(world: &World) -> &Summaries {
    &world.service().parts().summaries
}

/// What the service's timer does at this moment.
async fn at(world: &World, text: &str) {
    set(world, text);
    summaries(world).post_due().await.unwrap();
}

fn of(world: &World, day: &str) -> SummaryDay {
    SummaryDay { repo: world.repo.clone(), day: day.parse().unwrap() }
}

/// The summaries on the forge: number, day, and whether they are open.
fn posted(world: &World) -> Vec<(u64, String, bool)> {
    let all = world.gitea.issues(&world.repo).into_iter();
    let bot = world.gitea.bot().login;
    let ours = all.filter(|(_, issue)| issue.title.starts_with(TITLE) && issue.author == bot);
    let row = |(at, issue): (IssueRef, IssueView)| {
        (at.number, issue.title[TITLE.len()..].to_owned(), issue.state == IssueState::Open)
    };
    ours.map(row).collect()
}

fn days(world: &World) -> Vec<String> {
    posted(world).into_iter().map(|(_, day, _)| day).collect()
}

fn fault(method: &str, path: &str, kind: FaultKind) -> Fault {
    Fault { method: Some(method.into()), path_contains: path.into(), times: 1, kind }
}

/// A repository with one vague issue that has been looked at, and a summary that may be posted by hand.
async fn small_world(more: &str) -> World {
    let world = World::with(more).await;
    world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    world.clock.advance(chrono::TimeDelta::seconds(1));
    world
}

fn issue(title: &str, body: &str) -> NewIssue {
    NewIssue { title: title.into(), body: body.into(), author: "bob".into(), ..NewIssue::default() }
}

/// A backlog with one issue of every kind.
async fn busy_world() -> (World, Vec<IssueRef>) {
    busy_world_on(world::flavour()).await
}

async fn busy_world_on(flavour: Flavour) -> (World, Vec<IssueRef>) {
    let more = format!("{BERLIN}\n[triage]\nowner = \"alice\"\n{PATIENT}");
    let world = World::on(flavour, &more).await;
    let ready = "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes";
    let blocked = format!("{ready}\n\nThis is blocked by the schema.");
    let mut all = vec![
        issue("[bug] Login crashes", ready),
        issue("[bug] Logout crashes for @bob, see #5 and `code`, closes #6", ready),
        issue("[feature] A page for login", ready),
        issue("[bug] Blocked", &blocked),
    ];
    all.extend((0..7).map(|n| issue(&format!("It is slow, number {n}"), "")));
    let mut issues = Vec::new();
    for new in all {
        issues.push(world.open_issue(new));
        world.settle().await;
    }
    world.gitea.fail(fault("GET", "/issues/11", FaultKind::Status(403)));
    world.gitea.edit_issue(&issues[10], "bob", Some("It is very slow"), None);
    world.settle().await;
    assert_eq!(world.dead().await.len(), 1);
    world.gitea.close(&issues[0], "alice");
    world.settle().await;
    issues.iter().for_each(|at| drop(world.comments(at)));
    (world, issues)
}

#[tokio::test]
async fn it_shows_the_backlog_and_what_needs_attention() {
    let (world, _) = busy_world().await;
    set(&world, "2026-03-24T05:00:00Z");
    let written = summaries(&world).write(&of(&world, "2026-03-24")).await.unwrap();
    assert_eq!(written.title, "[Triage] Daily backlog summary — 2026-03-24");
    let body = written.body.replace(&world.gitea.url(), "https://gitea");
    insta::assert_snapshot!(body, @r#"
    **Open issues:** 10 | **Ready:** 3 | **Dispatched:** 1 | **Done:** 1 | **Flagged:** 1 | **Waiting:** 1 | **Missed webhooks:** 0 | **Failed deliveries:** 1

    As of 2026-03-24 06:00, with the activity since 2026-03-23 06:00 (Europe/Berlin).

    ## Top 10 Ready Issues (by score)

    - 🐛 **[`#2`](https://gitea//acme/widgets/issues/2/)** (score=9, age=0d) — `Logout crashes for @bob, see #5 and code, closes #6`, with `claude`
    - 🐛 **[`#4`](https://gitea//acme/widgets/issues/4/)** (score=9, age=0d) — `Blocked`
    - **[`#3`](https://gitea//acme/widgets/issues/3/)** (score=8, age=0d) — `A page for login`

    ## Actions Taken

    - [`#1`](https://gitea//acme/widgets/issues/1/) → `dispatch` (`claude`): `P0/bug issue (score 9, opened today): goes to claude first`
    - [`#4`](https://gitea//acme/widgets/issues/4/) → `flag`: `blocked, by its own text: a person has to resolve that`
    - [`#1`](https://gitea//acme/widgets/issues/1/) → `completed` (`claude`): `the issue is closed`
    - [`#2`](https://gitea//acme/widgets/issues/2/) → `dispatch` (`claude`): `P0/bug issue (score 9, opened today): goes to claude first`

    ## Needs Attention

    - [`#4`](https://gitea//acme/widgets/issues/4/) needs the owner, `alice`: `blocked, by its own text: a person has to resolve that`
    - [`#11`](https://gitea//acme/widgets/issues/11/) needs the operator: a failed delivery, `GET acme/widgets#11: the forge answered 403; the token's scopes or the account's permissions do not…`; `gitea-triage inbox list --state dead`

    ## Skipped (7 issues)

    - [`#5`](https://gitea//acme/widgets/issues/5/): `score 1 is below the threshold of 5: names no file or function, has no…`
    - [`#6`](https://gitea//acme/widgets/issues/6/): `score 1 is below the threshold of 5: names no file or function, has no…`
    - [`#7`](https://gitea//acme/widgets/issues/7/): `score 1 is below the threshold of 5: names no file or function, has no…`
    - [`#8`](https://gitea//acme/widgets/issues/8/): `score 1 is below the threshold of 5: names no file or function, has no…`
    - [`#9`](https://gitea//acme/widgets/issues/9/): `score 1 is below the threshold of 5: names no file or function, has no…`
    - … and 2 more

    ---
    *Auto-generated from the triage ledger. Override any decision by assigning somebody or editing the issue. It is then evaluated again.*
    "#);
}

#[tokio::test]
async fn an_urgent_issue_that_is_not_ready_needs_the_owner() {
    let world = World::with(BERLIN).await;
    world.open_issue(issue("[P0] data loss", ""));
    world.settle().await;
    set(&world, "2026-03-24T05:00:00Z");
    let body = summaries(&world).write(&of(&world, "2026-03-24")).await.unwrap().body;
    let needs = body.split("## Needs Attention").nth(1).unwrap_or_default();
    assert!(needs.contains("needs the owner, `acme`: `urgent, but score"), "{body}");
    assert!(!body.contains("## Skipped (1"), "it is listed once: {body}");
}

#[tokio::test]
async fn it_touches_no_issue_that_it_links() {
    for flavour in [Flavour::Gitea, Flavour::Forgejo] {
        let (world, issues) = busy_world_on(flavour).await;
        touches_no_issue(&world, &issues).await;
    }
}

async fn touches_no_issue(world: &World, issues: &[IssueRef]) {
    let before: Vec<_> = issues.iter().map(|at| world.issue(at)).collect();
    set(world, "2026-03-24T05:00:00Z");
    summaries(world).post(&of(world, "2026-03-24"), By::Hand).await.unwrap();
    world.settle().await;
    let after: Vec<_> = issues.iter().map(|at| world.issue(at)).collect();
    assert_eq!(before, after);
    let (number, ..) = posted(world)[0].clone();
    let body = world.issue(&IssueRef { repo: world.repo.clone(), number }).body;
    assert!(
        issues.iter().skip(1).take(8).all(|at| body.contains(&format!("/issues/{}/)", at.number))),
        "{body}"
    );
}

#[tokio::test]
async fn a_day_without_activity_has_a_summary_too() {
    let world = small_world(BERLIN).await;
    set(&world, "2026-03-27T05:00:00Z");
    let written = summaries(&world).write(&of(&world, "2026-03-27")).await.unwrap();
    let body = written.body.replace(&world.gitea.url(), "https://gitea");
    insta::assert_snapshot!(body, @r#"
    **Open issues:** 1 | **Ready:** 0 | **Dispatched:** 0 | **Done:** 0 | **Flagged:** 0 | **Waiting:** 0 | **Missed webhooks:** 0 | **Failed deliveries:** 0

    As of 2026-03-27 06:00, with the activity since 2026-03-26 06:00 (Europe/Berlin).

    ## Top 10 Ready Issues (by score)

    No issue is ready.

    ## Skipped (1 issue)

    - [`#1`](https://gitea//acme/widgets/issues/1/): `score 1 is below the threshold of 5: names no file or function, has no…`

    ---
    *Auto-generated from the triage ledger. Override any decision by assigning somebody or editing the issue. It is then evaluated again.*
    "#);
}

#[tokio::test]
async fn one_a_day_however_often_it_is_asked_for() {
    let mut world = small_world(BERLIN).await;
    at(&world, "2026-03-23T12:00:00Z").await;
    assert!(days(&world).is_empty(), "a new store waits for its first hour");
    at(&world, "2026-03-24T04:59:59Z").await;
    assert!(days(&world).is_empty());
    for moment in ["05:00:00", "05:00:30", "12:00:00", "22:59:59"] {
        at(&world, &format!("2026-03-24T{moment}Z")).await;
        assert_eq!(days(&world), ["2026-03-24"]);
    }
    let again = summaries(&world).post(&of(&world, "2026-03-24"), By::Hand).await.unwrap();
    assert_eq!(again, Outcome::There(2));
    world.restart().await;
    at(&world, "2026-03-24T22:59:59Z").await;
    // Tomorrow in Berlin, not yet in UTC; and its hour has not come.
    at(&world, "2026-03-24T23:00:00Z").await;
    assert_eq!(days(&world), ["2026-03-24"]);
    at(&world, "2026-03-25T05:00:00Z").await;
    assert_eq!(days(&world), ["2026-03-24", "2026-03-25"]);
}

#[tokio::test]
async fn a_service_that_was_down_at_the_hour_posts_later_that_day_and_covers_all_since() {
    let world = small_world(BERLIN).await;
    at(&world, "2026-03-23T12:00:00Z").await;
    at(&world, "2026-03-24T05:00:00Z").await;
    at(&world, "2026-03-27T15:00:00Z").await;
    assert_eq!(days(&world), ["2026-03-24", "2026-03-27"]);
    let body = world.issue(&"acme/widgets#3".parse().unwrap()).body;
    assert!(
        body.contains(
            "As of 2026-03-27 16:00, with the activity since 2026-03-24 06:00 (Europe/Berlin)."
        ),
        "{body}"
    );
}

#[tokio::test]
async fn an_hour_that_is_left_out_comes_at_the_next_moment_and_one_that_comes_twice_once() {
    let at_night = "[summary]\nat = \"02:30\"\ntimezone = \"Europe/Berlin\"";
    let world = small_world(at_night).await;
    at(&world, "2026-03-28T12:00:00Z").await;
    at(&world, "2026-03-29T00:59:59Z").await;
    assert!(days(&world).is_empty());
    at(&world, "2026-03-29T01:00:00Z").await;
    assert_eq!(days(&world), ["2026-03-29"]);
    at(&world, "2026-03-29T01:30:00Z").await;
    assert_eq!(days(&world), ["2026-03-29"]);
    at(&world, "2026-10-25T00:29:59Z").await;
    assert_eq!(days(&world), ["2026-03-29"]);
    at(&world, "2026-10-25T00:30:00Z").await;
    at(&world, "2026-10-25T01:30:00Z").await;
    assert_eq!(days(&world), ["2026-03-29", "2026-10-25"]);
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_and_back_posts_each_day_once() {
    let world = small_world(BERLIN).await;
    at(&world, "2026-03-23T12:00:00Z").await;
    for moment in
        ["24T05:00", "25T05:00", "24T05:01", "23T05:01", "24T05:02", "25T05:02", "26T05:00"]
    {
        at(&world, &format!("2026-03-{moment}:00Z")).await;
    }
    assert_eq!(days(&world), ["2026-03-24", "2026-03-25", "2026-03-26"]);
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_make_a_second_one() {
    let world = small_world(BERLIN).await;
    let day = of(&world, "2026-03-23");
    world.gitea.fail(fault("POST", "/issues", FaultKind::AnswerLost));
    assert_eq!(summaries(&world).post(&day, By::Hand).await.unwrap(), Outcome::Opened(2));
    assert_eq!(summaries(&world).post(&day, By::Timer).await.unwrap(), Outcome::There(2));
    assert_eq!(days(&world), ["2026-03-23"]);
}

#[tokio::test]
async fn what_may_have_been_written_is_looked_for_when_nothing_can_be_under_way_any_more() {
    for was_done in [true, false] {
        let mut world = small_world(BERLIN).await;
        let day = of(&world, "2026-03-23");
        lose(&world, &day, was_done).await;
        world.restart().await;
        let Outcome::NotBefore(later) = summaries(&world).post(&day, By::Hand).await.unwrap()
        else {
            panic!("somebody may still be writing");
        };
        world.clock.advance(later - world.clock.now());
        let outcome = summaries(&world).post(&day, By::Timer).await.unwrap();
        world.gitea.clear_faults();
        assert_eq!(outcome, if was_done { Outcome::There(2) } else { Outcome::Opened(2) });
        assert_eq!(days(&world), ["2026-03-23"]);
    }
}

/// A post whose answer is lost, and whose writer is gone before it can look.
async fn lose(world: &World, day: &SummaryDay, was_done: bool) {
    let kind =
        if was_done { FaultKind::Hang(Duration::from_secs(60)) } else { FaultKind::ResetBefore };
    world.gitea.fail(fault("POST", "/issues", kind));
    let summaries = summaries(world).clone();
    let day = day.clone();
    let task = tokio::spawn(async move { summaries.post(&day, By::Timer).await });
    while !world.gitea.requests().iter().any(|r| r.method == "POST" && r.path.ends_with("/issues"))
    {
        tokio::task::yield_now().await;
    }
    task.abort();
    let _ = task.await;
    world.gitea.delivered().await;
}

#[tokio::test]
async fn two_hands_on_one_store_post_once() {
    let world = small_world(BERLIN).await;
    let day = of(&world, "2026-03-23");
    // Long enough for the other hand to come meanwhile, whatever its store had to wait for.
    world.gitea.set_delay("POST", Duration::from_secs(2));
    let (one, other) = (summaries(&world).clone(), other_summaries(&world, &world.store_path()));
    let (a, b) = tokio::join!(one.post(&day, By::Timer), other.post(&day, By::Hand));
    let outcomes = [a.unwrap(), b.unwrap()];
    assert!(outcomes.contains(&Outcome::Opened(2)), "{outcomes:?}");
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::NotBefore(_))), "{outcomes:?}");
    assert_eq!(days(&world), ["2026-03-23"]);
}

/// Another process beside the service: the same forge and account, its own connection to a store.
fn other_summaries(world: &World, store: &std::path::Path) -> Summaries {
    let parts = world.service().parts();
    Summaries::new(Parts {
        store: Store::open(database::url(store).parse::<Place>().unwrap(), 16, OpenMode::Shared)
            .unwrap(),
        forge: parts.forge.clone(),
        clock: world.clock.clone(),
        settings: std::sync::Arc::new(Settings {
            enabled: true,
            schedule: Schedule {
                at: "06:00:00".parse().unwrap(),
                timezone: chrono_tz::Europe::Berlin,
            },
            close_previous: true,
            repos: gitea_triage::issue::RepoPatterns::new(["acme/widgets"]).unwrap(),
            owner: None,
            timeout: Duration::from_secs(30),
        })
        .into(),
    })
}

#[tokio::test]
async fn a_service_with_another_store_finds_what_is_there() {
    let world = small_world(BERLIN).await;
    let folder = tempfile::tempdir().unwrap();
    let other = other_summaries(&world, &folder.path().join("other.db"));
    let day = of(&world, "2026-03-23");
    assert_eq!(other.post(&day, By::Hand).await.unwrap(), Outcome::Opened(2));
    world.gitea.close(&"acme/widgets#2".parse().unwrap(), "alice");
    assert_eq!(summaries(&world).post(&day, By::Timer).await.unwrap(), Outcome::There(2));
    // The next day it is this one that posts, and it knows the other's summary by title and author.
    world.gitea.reopen(&"acme/widgets#2".parse().unwrap(), "alice");
    set(&world, "2026-03-24T05:00:00Z");
    summaries(&world).post(&of(&world, "2026-03-24"), By::Timer).await.unwrap();
    assert_eq!(posted(&world).iter().map(|p| p.2).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn two_services_at_the_same_moment_leave_one_open() {
    let world = small_world(BERLIN).await;
    let folder = tempfile::tempdir().unwrap();
    let other = other_summaries(&world, &folder.path().join("other.db"));
    let day = of(&world, "2026-03-23");
    // Both have looked, and found nothing, before either has written.
    world.gitea.set_delay("GET", Duration::from_millis(100));
    let (a, b) = tokio::join!(other.post(&day, By::Timer), summaries(&world).post(&day, By::Timer));
    let mut outcomes = [a.unwrap(), b.unwrap()];
    outcomes.sort_by_key(|o| matches!(o, Outcome::There(_)));
    assert_eq!(outcomes, [Outcome::Opened(2), Outcome::There(2)]);
    assert_eq!(posted(&world).iter().filter(|p| p.2).count(), 1);
}

#[tokio::test]
async fn the_newest_older_one_is_closed_once() {
    let world = small_world(BERLIN).await;
    let open = |world: &World| posted(world).iter().map(|p| p.2).collect::<Vec<_>>();
    at(&world, "2026-03-23T12:00:00Z").await;
    at(&world, "2026-03-24T05:00:00Z").await;
    world.gitea.edit_issue(
        &"acme/widgets#2".parse().unwrap(),
        "alice",
        Some("To be talked about"),
        None,
    );
    world.gitea.fail(fault("PATCH", "/issues/2", FaultKind::Status(503)));
    at(&world, "2026-03-25T05:00:00Z").await;
    let first = |world: &World| world.issue(&"acme/widgets#2".parse().unwrap()).state;
    assert_eq!(first(&world), IssueState::Open, "the forge refused for now");
    at(&world, "2026-03-25T05:30:00Z").await;
    assert_eq!(first(&world), IssueState::Closed, "known from the ledger, whatever its title");
    world.gitea.reopen(&"acme/widgets#2".parse().unwrap(), "alice");
    at(&world, "2026-03-26T05:00:00Z").await;
    assert_eq!(first(&world), IssueState::Open, "a person wants it open");
    assert_eq!(open(&world), [false, true]);
}

#[tokio::test]
async fn older_ones_stay_when_nobody_wants_them_closed() {
    let world = small_world(&format!("{BERLIN}\nclose_previous = false")).await;
    at(&world, "2026-03-23T12:00:00Z").await;
    at(&world, "2026-03-24T05:00:00Z").await;
    at(&world, "2026-03-25T05:00:00Z").await;
    assert!(posted(&world).iter().all(|p| p.2));
}

#[tokio::test]
async fn our_own_summary_is_not_triaged_and_one_by_somebody_else_is() {
    let world = small_world(BERLIN).await;
    summaries(&world).post(&of(&world, "2026-03-23"), By::Hand).await.unwrap();
    let forged = NewIssue { title: format!("[bug] {TITLE}2026-03-22"), ..bug() };
    let forged = NewIssue {
        title: forged.title.replace("[bug] ", ""),
        labels: vec!["bug".into()],
        ..forged
    };
    let forged = world.open_issue(forged);
    world.settle().await;
    let history = world.history(&"acme/widgets#2".parse().unwrap()).await;
    assert_eq!(history.evaluations[0].reason, "our own daily summary");
    world.assert_with_claude(&forged);
    let written = summaries(&world).write(&of(&world, "2026-03-23")).await.unwrap();
    assert!(
        written.body.starts_with("**Open issues:** 1 |"),
        "as it was when it was posted: {}",
        written.body
    );
    set(&world, "2026-03-24T05:00:00Z");
    let written = summaries(&world).write(&of(&world, "2026-03-24")).await.unwrap();
    assert!(written.body.starts_with("**Open issues:** 2 |"), "{}", written.body);
}

#[tokio::test]
async fn a_dry_run_posts_nothing_and_says_so_once() {
    let world = small_world(&format!("{BERLIN}\n[triage]\ndry_run = true")).await;
    let day = of(&world, "2026-03-23");
    for is_news in [true, false] {
        let outcome = summaries(&world).post(&day, By::Timer).await.unwrap();
        assert_eq!(outcome, Outcome::Withheld { is_news });
    }
    assert!(world.gitea.writes().is_empty());
}

#[tokio::test]
async fn a_refusal_is_not_asked_for_again_that_day_but_by_hand() {
    let world = small_world(BERLIN).await;
    let day = of(&world, "2026-03-23");
    world.gitea.set_archived(&world.repo, true);
    assert!(matches!(summaries(&world).post(&day, By::Timer).await, Err(Error::Forge(_))));
    world.gitea.clear_requests();
    assert_eq!(summaries(&world).post(&day, By::Timer).await.unwrap(), Outcome::GivenUp);
    assert!(world.gitea.requests().is_empty());
    world.gitea.set_archived(&world.repo, false);
    assert_eq!(summaries(&world).post(&day, By::Hand).await.unwrap(), Outcome::Opened(2));
}

#[tokio::test]
async fn an_outage_at_the_hour_is_waited_out() {
    let world = small_world(BERLIN).await;
    at(&world, "2026-03-23T12:00:00Z").await;
    let down = Fault { times: 1_000, ..fault("GET", "created_by", FaultKind::Status(503)) };
    world.gitea.fail(down);
    for minute in 0..30 {
        at(&world, &format!("2026-03-24T05:{minute:02}:00Z")).await;
    }
    assert!(days(&world).is_empty());
    let asked = world.gitea.requests().iter().filter(|r| r.query.contains("created_by")).count();
    assert!((3..8).contains(&asked), "{asked} calls in half an hour");
    world.gitea.clear_faults();
    at(&world, "2026-03-24T06:30:00Z").await;
    assert_eq!(days(&world), ["2026-03-24"]);
    let body = world.issue(&"acme/widgets#2".parse().unwrap()).body;
    assert!(body.contains("As of 2026-03-24 06:00"), "it shows the backlog of its hour: {body}");
}

/// The program itself, on the machine's clock.
fn program(world: &World, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("gitea-triage").unwrap();
    command.arg("--config").arg(world.config_file()).arg("summary").args(arguments);
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_and_posts_any_day_that_has_come() {
    let world = small_world(BERLIN).await;
    let day = ["--date", "2026-03-23", "--repo", "acme/widgets"];
    let run = |more: &[&str]| program(&world, &[more, &day[..]].concat());
    let printed = run(&["--print"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        text.starts_with(
            "# acme/widgets · [Triage] Daily backlog summary — 2026-03-23\n\n**Open issues:** "
        ),
        "{text}"
    );
    assert!(world.gitea.writes().is_empty());
    for status in ["posted", "there"] {
        let line: serde_json::Value =
            serde_json::from_slice(&run(&["--post", "--json"]).stdout).unwrap();
        assert_eq!((line["status"].as_str(), line["number"].as_u64()), (Some(status), Some(2)));
    }
    assert_eq!(days(&world), ["2026-03-23"]);
    assert_eq!(program(&world, &["--print", "--date", "2999-01-01"]).status.code(), Some(2));
    assert_eq!(program(&world, &["--print", "--repo", "other/x"]).status.code(), Some(2));
    // Without a word what to do with it, it is printed.
    let printed = program(&world, &[]);
    assert_eq!(printed.status.code(), Some(0));
    assert!(String::from_utf8(printed.stdout).unwrap().starts_with("# acme/widgets · [Triage]"));
    assert_eq!(days(&world), ["2026-03-23"]);
}

#[tokio::test]
async fn an_issue_is_listed_once_and_words_are_whole() {
    let (world, issues) = busy_world().await;
    // Ready by its score, and somebody has taken it.
    world.gitea.assign(&issues[2], "alice", "bob");
    world.settle().await;
    set(&world, "2026-03-24T05:00:00Z");
    let body = summaries(&world).write(&of(&world, "2026-03-24")).await.unwrap().body;
    let section = |from: &str| {
        let rest = body.split_once(from).unwrap_or_else(|| panic!("no `{from}` in {body}")).1;
        rest.split("\n## ").next().unwrap().to_owned()
    };
    let (ready, skipped) = (section("## Top 10"), section("## Skipped"));
    for issue in &issues {
        let name = format!("`#{}`", issue.number);
        assert!(!(ready.contains(&name) && skipped.contains(&name)), "{name}: {body}");
    }
    assert!(skipped.contains(&format!("`#{}`", issues[2].number)), "{body}");
    assert!(body.contains("**Ready:** 2"), "{body}");
    for cut in body.split('…').rev().skip(1) {
        assert!(cut.ends_with(|c: char| c.is_alphanumeric() || c == ' '), "{cut}");
    }
    assert!(!body.contains("acceptanc…") && body.contains("has no…"), "{body}");
    issues.iter().for_each(|at| drop(world.comments(at)));
}

#[test]
fn every_summary_is_the_same_on_a_forgejo() {
    world::tell_again_on_a_forgejo("every_summary_is_the_same_on_a_forgejo");
}

//! A database that the version before has left in the middle of its work: every meaning its rows had is kept, and the
//! service goes on with them. The file of each schema stands in `fixtures/store` and is never edited once it is there.

use chrono::TimeDelta;
use gitea_triage::clock::Timestamp;
use gitea_triage::dispatch::Mark;
use gitea_triage::fake_gitea::{FakeGitea, Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::plan::{Effect, EffectOutcome, Marker};
use gitea_triage::store::{History, OpenMode, Period, Store};
use rusqlite::Connection;

use crate::migration::{dump, fill, texts};
use crate::world::{PATIENT, World, bug, noon};

const SUMMARY: &str = "[Triage] Daily backlog summary — 2026-03-23";
const BEFORE: &str = "fixtures/store/version-1.sql";

/// The rows of a question as text, the columns parted by semicolons and by bars; null is empty.
fn rows(database: &Connection, columns: &str, rest: &str) -> Vec<String> {
    let columns: Vec<_> = columns.split("; ").map(|c| format!("coalesce({c}, '')")).collect();
    texts(database, &format!("SELECT {} FROM {rest}", columns.join(" || '|' || ")))
}

#[test]
fn every_meaning_has_a_column_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("before.db");
    fill(&path, std::path::Path::new(BEFORE));
    drop(Store::open(&path, 16, OpenMode::Shared).unwrap());
    let database = Connection::open(&path).unwrap();
    let columns =
        "lane; origin; kind; value; subject; comment; substr(body, 1, 16); state; recovery; note";
    let effects = rows(&database, columns, "effect WHERE id > 16 ORDER BY id");
    insta::assert_snapshot!(effects.join("\n"), @"
    8|plan|comment|flag|audit|||done||
    8|plan|reaction|+1||||done||
    8|plan|comment|answer:18|answer|||done|found|
    8|plan|reaction|+1||||done||
    8|plan|comment|answer:20|answer|||failed|not_written|
    8|plan|comment|answer:20|answer|||done||
    10|plan|comment|flag|audit|||done||
    10|agent|label|docs||||failed|unknown|
    11|agent|label|docs||||done||
    3|plan|label|area/auth||||failed||`acme/widgets#3` could not be changed: Gitea answered 422
    3|agent|label|help wanted||||intended||
    2|agent|comment|answer:local-comment|answer|||intended||
    4|agent|label|docs||||done||
    12|plan|comment|flag|audit||**Triage: @alice|withheld||
    13|plan|comment|flag|audit|||intended||
    8|plan|reaction|+1||||done||
    8|plan|comment|answer:24|answer||A command stands|intended||
    4|plan|reaction|+1||25||intended||
    4|plan|comment|answer:25|answer||```text
    decision|intended||
    2|plan|comment|notice:reminder:2|notice||**Triage: remind|intended||
    ");
    let of_evaluation =
        rows(&database, "lane; reason_code", "evaluation WHERE reason_code IS NOT NULL");
    assert_eq!(of_evaluation, ["9|own_summary", "11|run_by_hand"]);
    let holds =
        rows(&database, "number; hold ->> 'kind'; hold ->> 'text'", "lane WHERE hold IS NOT NULL");
    insta::assert_snapshot!(holds.join("\n"), @"
    3|not_evaluated|
    5|earlier|held by `alice`: `until the release`; `/triage resume` goes on
    7|earlier|somebody took `kimi-ready` off; `/triage resume` goes on
    ");
    let same =
        "delivery AS d JOIN delivery AS earlier ON earlier.id = d.same_as WHERE d.reason IS NULL";
    assert_eq!(rows(&database, "d.seq; earlier.seq", same), ["37|1", "38|1"]);
    let commands =
        rows(&database, "lane; source_comment; source_entry; state", "command ORDER BY id");
    assert_eq!(
        commands,
        [
            "6||19|answered",
            "5|10||answered",
            "7|13||answered",
            "8|18||answered",
            "8|20||answered",
            "8|24||answered",
            "4|25||answered"
        ]
    );
    assert_eq!(
        rows(&database, "id; cause ->> 'text'", "dispatch WHERE id = 1"),
        ["1|the issue is closed"]
    );
}

/// A forge as the database before remembers it, as far as its issues are looked at again.
fn forge_before(gitea: &FakeGitea, repo: &RepoName, database: &std::path::Path) {
    let author = gitea.bot().login;
    for number in 1..=13 {
        gitea.open_issue(
            repo,
            match number {
                1..=3 => bug(),
                9 => NewIssue {
                    title: SUMMARY.into(),
                    author: author.clone(),
                    ..NewIssue::default()
                },
                _ => blocked(),
            },
        );
    }
    let at = |number| IssueRef { repo: repo.clone(), number };
    gitea.add_label(&at(2), &author, "claude-ready");
    gitea.assign(&at(2), &author, "claude");
    while gitea.comment(&at(12), "bob", "Me too.") < 23 {}
    assert_eq!(gitea.comment(&at(8), "alice", "/triage help"), 24);
    assert_eq!(gitea.comment(&at(4), "alice", "/triage explain"), 25);
    fill(database, std::path::Path::new(BEFORE));
}

#[tokio::test]
async fn the_service_goes_on_where_the_version_before_was_interrupted() {
    let world = World::over(forge_before).await;
    world.settle().await;
    let at = |number| IssueRef { repo: world.repo.clone(), number };
    // What nobody knew was looked for, and is there once.
    let answers = |number| world.comments(&at(number));
    let given =
        |number, marker: &str| answers(number).into_iter().filter(|c| c.contains(marker)).count();
    assert_eq!(given(8, "decision=answer:24"), 1);
    assert_eq!(given(4, "decision=answer:25"), 1);
    let asked = world.issue(&at(4)).comments.into_iter().find(|c| c.id == 25).unwrap();
    assert_eq!(asked.reactions, [(world.gitea.bot().login, "+1".to_owned())]);
    assert_eq!(answers(13).len(), 1);
    assert!(answers(2).is_empty(), "it was not looked at");
    for number in [2, 3, 5] {
        world.gitea.edit_issue(
            &at(number),
            "bob",
            Some("[bug] Login crashes, also in the shop"),
            None,
        );
    }
    world.settle().await;
    assert_eq!(given(2, "decision=notice:reminder:2"), 1);
    // What was held stays so, in the same words, until a person says otherwise.
    let reason = |history: History| history.evaluations.last().unwrap().reason.clone();
    let timed_out = "timed out, and could not be evaluated; `/triage retry` dispatches it again";
    assert_eq!(reason(world.history(&at(3)).await), timed_out);
    let held = "held by `alice`: `until the release`; `/triage resume` goes on";
    assert_eq!(reason(world.history(&at(5)).await), held);
    told(&world, &at(5), "/triage resume").await;
    assert_ne!(reason(world.history(&at(5)).await), held);
    // The story is told as before.
    assert_eq!(remarks(&world.history(&at(2)).await), ["interrupted; it is not on the issue"; 2]);
    assert_eq!(
        remarks(&world.history(&at(3)).await),
        [
            "`acme/widgets#3` could not be changed: Gitea answered 422",
            "interrupted; it is not on the issue",
        ]
    );
    assert_eq!(remarks(&world.history(&at(11)).await), ["by the local agent"]);
    let answered = remarks(&world.history(&at(8)).await);
    assert_eq!(
        answered[..2],
        ["found on the issue after an interruption", "interrupted; it is not on the issue"]
    );
    assert!(
        remarks(&world.history(&at(12)).await)[0].starts_with("**Triage: @alice, this needs you**")
    );
    let again = world.delivery("sent-by-hand").await;
    assert_eq!(again.reason.unwrap(), "the same bytes as `4b2a1140-9c49-4e4e-a818-37778ed76909`");
    let woken =
        world.deliveries().await.into_iter().find(|d| d.action.starts_with("wake/")).unwrap();
    assert_eq!(woken.action, "wake/a place is free");
    let period = Period { from: noon() - TimeDelta::days(1), until: noon() + TimeDelta::days(1) };
    let digest = world.service().parts().store.digest(&world.repo, period).await.unwrap();
    assert!(digest.open.iter().all(|issue| issue.number != 9), "our own summary is none of them");
    (1..=13).for_each(|number| drop(answers(number)));
}

/// What there is to say of the writes of an issue, the oldest first.
fn remarks(history: &History) -> Vec<String> {
    let effects = history.evaluations.iter().flat_map(|e| &e.effects);
    effects.filter_map(|effect| effect.detail.clone()).collect()
}

fn post_fails(path: &str, kind: FaultKind, times: u32) -> Fault {
    Fault { method: Some("POST".into()), path_contains: path.into(), times, kind }
}

fn blocked() -> NewIssue {
    let mut issue = bug();
    issue.body.push_str("\nBlocked until the schema is settled.");
    issue
}

/// A bug, opened and looked at.
async fn opened(world: &World, issue: NewIssue) -> IssueRef {
    let at = world.open_issue(issue);
    world.settle().await;
    at
}

/// A comment of alice, with what it asks for done.
async fn told(world: &World, at: &IssueRef, command: &str) {
    world.gitea.comment(at, "alice", command);
    world.settle().await;
}

/// A comment of alice, and as much of what it asks for as the forge lets through.
async fn told_in_vain(world: &World, at: &IssueRef, command: &str, fault: Fault) {
    world.gitea.fail(fault);
    world.gitea.comment(at, "alice", command);
    world.gitea.delivered().await;
    world.work_within(std::time::Duration::from_millis(300)).await;
    world.gitea.clear_faults();
}

fn said_by_agent(text: &str) -> Effect {
    let marker = Marker { decision: "answer:local-comment".into(), digest: "0a1b2c3d4e5f".into() };
    let body = format!("{text}\n\n{marker}");
    Effect::Comment { edit: None, marker, body }
}

#[tokio::test]
#[ignore = "writes `fixtures/store/version-N.sql`: run once for a new schema, before it is released"]
async fn a_database_in_the_middle_of_its_work_is_written_down() {
    let mut world = World::with(&format!("[triage]\nowner = \"alice\"\n{PATIENT}")).await;
    // 1: dispatched and done. 2: dispatched. 3: waits. 4: flagged. 5: held. 6: chosen, waits.
    let done = opened(&world, bug()).await;
    world.gitea.close(&done, "alice");
    world.settle().await;
    let open = opened(&world, bug()).await;
    let waiting = opened(&world, bug()).await;
    let flagged = opened(&world, blocked()).await;
    let held = opened(&world, blocked()).await;
    told(&world, &held, "/triage hold until the release").await;
    let chosen = opened(&world, blocked()).await;
    world.order(&chosen, "ops", "assign claude").await;
    world.settle().await;
    // 7: what an agent was called by is taken off by a person.
    let taken_off = opened(&world, blocked()).await;
    told(&world, &taken_off, "/triage assign kimi").await;
    world.gitea.remove_label(&taken_off, "alice", "kimi-ready");
    world.settle().await;
    // 8: answers that were lost on the way and given again.
    let answered = opened(&world, blocked()).await;
    for kind in [FaultKind::AnswerLost, FaultKind::Status(500)] {
        world.gitea.fail(post_fails("/issues/8/comments", kind, 1));
        told(&world, &answered, "/triage explain").await;
    }
    // 9: the daily summary. 10: a write of the local agent that was cut off. 11: it was run by hand.
    let title = SUMMARY.into();
    let author = world.gitea.bot().login;
    let summary = opened(&world, NewIssue { title, author, ..NewIssue::default() }).await;
    let cut_off = opened(&world, blocked()).await;
    by_agent(&world, &cut_off, label("docs"), None).await;
    world.gitea.edit_issue(&cut_off, "bob", Some("[bug] It crashes again"), None);
    world.settle().await;
    let alone: IssueRef = "acme/widgets#11".parse().unwrap();
    by_agent(&world, &alone, label("docs"), Some(finished(None))).await;
    let refused = finished(Some("`acme/widgets#3` could not be changed: Gitea answered 422"));
    by_agent(&world, &waiting, label("area/auth"), Some(refused)).await;
    by_agent(&world, &waiting, label("help wanted"), None).await;
    by_agent(&world, &open, said_by_agent("It fails in `login()`."), None).await;
    by_agent(&world, &flagged, label("docs"), Some(finished(None))).await;
    // A delivery that came again with another id.
    let same = world.gitea.deliveries()[0].clone();
    world.post("0190b5a0-0000-7000-8000-00000000000a", &same.body).await;
    world.post("sent-by-hand", &same.body).await;
    world.settle().await;
    // 12: what a dry run holds back.
    let alone = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    assert_eq!(alone.number, 11);
    world.settle().await;
    world.configure(|config| config.replace("[triage]", "[triage]\ndry_run = true"));
    world.restart().await;
    let withheld = opened(&world, blocked()).await;
    world.configure(|config| config.replace("\ndry_run = true", ""));
    world.restart().await;
    // 13: nobody knows whether its comment was written. 8 and 4: whether an answer and a reaction were given.
    let unsure = world.open_issue(blocked());
    world.gitea.fail(post_fails("/issues/13/comments", FaultKind::Status(500), 9));
    world.gitea.delivered().await;
    world.work_within(std::time::Duration::ZERO).await;
    told_in_vain(
        &world,
        &answered,
        "/triage help",
        post_fails("/issues/8/comments", FaultKind::Status(500), 9),
    )
    .await;
    told_in_vain(
        &world,
        &flagged,
        "/triage explain",
        post_fails("/reactions", FaultKind::Status(500), 9),
    )
    .await;
    let database = Connection::open(world.store_path()).unwrap();
    database.execute_batch(NOT_TOLD).unwrap();
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let head = format!(
        "-- A database of schema version {version} in the middle of its work. Never edited once released.\n"
    );
    std::fs::write(format!("fixtures/store/version-{version}.sql"), head + &dump(&database))
        .unwrap();
    for at in [
        done, open, waiting, flagged, held, chosen, taken_off, answered, summary, cut_off, alone,
        withheld, unsure,
    ] {
        world.comments(&at);
    }
}

fn finished(refusal: Option<&str>) -> EffectOutcome {
    refusal.map_or_else(|| EffectOutcome::done(None), EffectOutcome::failed)
}

fn label(name: &str) -> Effect {
    Effect::Put(Mark::Label(name.to_owned()))
}

/// A write of the local agent, and how it ended, if that is known.
async fn by_agent(world: &World, at: &IssueRef, effect: Effect, outcome: Option<EffectOutcome>) {
    let store = &world.service().parts().store;
    let now: Timestamp = world.clock.now();
    let written = store.intend_agent_effect(at, &effect, now).await.unwrap();
    if let Some(outcome) = outcome {
        store.settle_agent_effect(written, &outcome, now).await.unwrap();
    }
}

/// What the story does not come to: a notice nobody knows about, and a hold that the store itself wrote.
const NOT_TOLD: &str = "
    INSERT INTO effect (evaluation, lane, dispatch, kind, value, digest, intended_at, detail)
        SELECT max(evaluation.id), lane.id, dispatch.id, 'comment', 'notice:reminder:' || dispatch.id, '-', 1774267300000,
            '**Triage: reminder**' || char(10) || char(10) || 'This is due soon.' || char(10) || char(10)
                || '<!-- gitea-triage decision=notice:reminder:' || dispatch.id || ' digest=- -->'
        FROM lane JOIN dispatch ON dispatch.lane = lane.id JOIN evaluation ON evaluation.lane = lane.id
        WHERE number = 2 GROUP BY dispatch.id;
    UPDATE lane SET held = 'timed out, and could not be looked at; `/triage retry` hands it over again'
        WHERE number = 3;
    INSERT INTO delivery (id, origin, received_at, event, state, lane, action, evaluation, settled_at)
        SELECT x'0190b5a000007000800000000000000b', 'wake', at, '', 'done', lane, 'wake/a place is free', evaluation.id, at
        FROM evaluation JOIN lane ON lane.id = lane WHERE number = 3;
    -- As they go when they are past their time; the file is to be read by people.
    DELETE FROM body WHERE seq IN (SELECT seq FROM delivery WHERE settled_at IS NOT NULL);";

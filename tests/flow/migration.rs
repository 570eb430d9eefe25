//! Databases that released versions have filled: nothing in them is lost, and what waited in them is worked off.
//! Each released schema has its file in `fixtures/schema`; a new one is added beside the others.

use std::path::{Path, PathBuf};

use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::store::{Store, Use};
use rusqlite::Connection;

use crate::world::{World, bug};

/// Tables of version 1, which no later one may lose.
const TABLES: [&str; 12] = [
    "delivery",
    "body",
    "lane",
    "evaluation",
    "latest",
    "effect",
    "dispatch",
    "fact",
    "removed",
    "command",
    "sweep",
    "summary",
];

fn schemas() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("fixtures/schema").unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "sql")).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// A database with what the file says.
fn fill(database: &Path, schema: &Path) {
    let database = Connection::open(database).unwrap();
    database.execute_batch(&std::fs::read_to_string(schema).unwrap()).unwrap();
}

fn counts(path: &Path) -> Vec<i64> {
    let database = Connection::open(path).unwrap();
    let count = |table: &&str| {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    };
    TABLES.iter().map(count).collect()
}

/// What was told to people about each delivery: its id, how it ended, and why.
fn ends(path: &Path) -> Vec<(String, String, Option<String>)> {
    let database = Connection::open(path).unwrap();
    let mut rows = database
        .prepare(
            "SELECT hex(id), CASE state WHEN 'claimed' THEN 'pending' ELSE state END, reason
             FROM delivery ORDER BY seq",
        )
        .unwrap();
    let rows = rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// A database as SQL text, so that a change of it can be read.
fn dump(database: &Connection) -> String {
    let texts = |sql: &str| -> Vec<String> {
        let mut rows = database.prepare(sql).unwrap();
        rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let mut text = String::from("PRAGMA foreign_keys = OFF;\n");
    let made = |which: &str| {
        let wanted = format!("WHERE sql IS NOT NULL AND {which} ORDER BY type = 'index', rowid");
        let all = texts(&format!("SELECT sql FROM sqlite_master {wanted}"));
        all.into_iter().map(|sql| format!("{sql};\n")).collect::<String>()
    };
    text.push_str(&made("type <> 'trigger'"));
    for table in texts("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid") {
        let columns = texts(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let quoted: Vec<_> = columns.iter().map(|c| format!("quote({c})")).collect();
        let row = format!("'(' || {} || ')'", quoted.join(" || ', ' || "));
        for row in texts(&format!("SELECT {row} FROM {table}")) {
            text.push_str(&format!("INSERT INTO {table} ({}) VALUES {row};\n", columns.join(", ")));
        }
    }
    // Last, since the rows above hold already what a trigger would add.
    format!("{text}{}PRAGMA user_version = {version};\n", made("type = 'trigger'"))
}

#[tokio::test]
#[ignore = "writes `fixtures/schema/version-N.sql`: run once for a new schema, before it is released"]
async fn a_filled_database_is_written_down() {
    let world = World::with("[triage]\nowner = \"alice\"").await;
    let first = world.open_issue(bug());
    world.settle().await;
    world.open_issue(NewIssue { title: "[bug] Größe wird falsch gerundet 🐛".into(), ..bug() });
    let mut blocked = bug();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    let blocked = world.open_issue(blocked);
    world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    world.settle().await;
    let better = "## Problem\nsrc/x.py must return, should verify";
    world.gitea.edit_issue(&first, "bob", None, Some(better));
    world.settle().await;
    let done = world.open_issue(NewIssue {
        title: "[research] Which queue keeps order per issue?".into(),
        body: "Compare the queues in src/queue.py. The report must name two and verify it.\n\n## Expected\n`run()` returns.".into(),
        ..NewIssue::default()
    });
    world.settle().await;
    world.gitea.close(&done, "alice");
    world.settle().await;
    world.post("not-a-uuid", br#"{"ref": "refs/heads/main", "commits": []}"#).await;
    world.post("0190b5a0-0000-7000-8000-000000000001", b"<html>").await;
    let same = world.gitea.deliveries()[0].clone();
    world.post(&same.uuid, &same.body).await;
    world.settle().await;
    // One that waits to be tried again, one cut off by a crash, one nobody has read.
    let fault = |times| Fault {
        method: Some("GET".into()),
        path_contains: "/issues/6".into(),
        times,
        kind: FaultKind::Status(500),
    };
    world.gitea.fail(fault(1));
    world.open_issue(NewIssue { title: "[bug] P0: data is lost on save".into(), ..bug() });
    world.gitea.delivered().await;
    world.work_within(std::time::Duration::ZERO).await;
    world.open_issue(bug());
    world.gitea.delivered().await;
    let database = Connection::open(world.store_path()).unwrap();
    database.execute_batch(CUT_OFF).unwrap();
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let head = format!(
        "-- A database of schema version {version} with something in every table and state. Never edited once released.\n"
    );
    let file = format!("fixtures/schema/version-{version}.sql");
    std::fs::write(file, head + &dump(&database)).unwrap();
    world.dead().await;
    for at in [first, blocked, done] {
        world.comments(&at);
    }
}

/// An issue that was in a worker's hands, with a comment meant, when the program ended.
const CUT_OFF: &str = "
    INSERT INTO lane (repo, number, state, claimed_at, epoch)
        VALUES ('acme/widgets', 8, 'claimed', 1774267203000, 3);
    INSERT INTO delivery (id, origin, received_at, event, state, lane, action)
        SELECT x'0190b5a0000070008000000000000002', 'sweep', 1774267202000, '', 'claimed', id, 'sweep/changed'
        FROM lane WHERE number = 8;
    INSERT INTO evaluation (lane, at, action, agent, reason)
        SELECT id, 1774267203000, 'dispatch', 'claude', 'interrupted' FROM lane WHERE number = 8;
    INSERT INTO effect (evaluation, lane, kind, value, digest, intended_at)
        SELECT evaluation.id, lane, 'comment', 'dispatch:claude', '000000000000', 1774267203000
        FROM evaluation JOIN lane ON lane.id = lane WHERE number = 8;";

#[test]
fn every_released_schema_is_brought_to_today_with_all_its_rows() {
    for schema in schemas() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        fill(&path, &schema);
        let (rows, told) = (counts(&path), ends(&path));
        assert!(
            rows[..7].iter().all(|count| *count > 0),
            "{} fills not every table: {rows:?}",
            schema.display()
        );
        drop(Store::open(&path, 16, Use::Serve).unwrap());
        assert_eq!(counts(&path), rows, "{}", schema.display());
        assert_eq!(ends(&path), told, "{}", schema.display());
        // Opened again, there is nothing left to do.
        drop(Store::open(&path, 16, Use::Serve).unwrap());
        assert_eq!(counts(&path), rows);
        let database = Connection::open(&path).unwrap();
        let verdict: String =
            database.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }
}

#[tokio::test]
async fn what_waited_in_an_old_database_is_worked_off() {
    for schema in schemas() {
        let world = World::over(|gitea, repo, database| {
            for _ in 0..8 {
                gitea.open_issue(repo, bug());
            }
            fill(database, &schema);
        })
        .await;
        assert_eq!(world.dead().await.len(), 1);
        world.settle().await;
        let deliveries = world.deliveries().await;
        let open: Vec<_> = deliveries.iter().filter(|d| d.settled_at.is_none()).collect();
        assert!(open.is_empty(), "{open:#?}");
        let first = world.history(&"acme/widgets#1".parse().unwrap()).await;
        assert_eq!(first.evaluations.len(), 2, "the old story is still told");
        assert_eq!(first.dispatches.len(), 1);
    }
}

#[test]
fn a_database_of_a_later_version_is_refused_politely_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later.db");
    let later = "CREATE TABLE later (x); INSERT INTO later VALUES (1); PRAGMA user_version = 99;";
    Connection::open(&path).unwrap().execute_batch(later).unwrap();
    let config = folder.path().join("config.toml");
    let text = format!(
        "[gitea]\nurl = \"http://127.0.0.1:1\"\ntoken = \"t\"\nrepos = [\"acme/*\"]\n\
         [server]\nlisten = \"127.0.0.1:0\"\n[webhook]\nsecrets = [\"s\"]\n[store]\nurl = \"sqlite:{}\"\n",
        path.display()
    );
    std::fs::write(&config, text).unwrap();
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"))
        .args(["serve", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("was written by a later version of gitea-triage"), "{said}");
    let database = Connection::open(&path).unwrap();
    let kept: i64 = database.query_row("SELECT count(*) FROM later", [], |r| r.get(0)).unwrap();
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!((kept, version), (1, 99));
}

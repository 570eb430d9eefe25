//! Databases that released versions have filled: nothing in them is lost, and what waited in them is worked off.
//! Each released schema has its file in `fixtures/schema`; a new one is added beside the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::store::{OpenMode, Store};
use rusqlite::Connection;

use crate::world::{World, bug};

fn schemas() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("fixtures/schema").unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "sql")).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// A database with what the file says.
pub fn fill(database: &Path, schema: &Path) {
    let database = Connection::open(database).unwrap();
    database.execute_batch(&std::fs::read_to_string(schema).unwrap()).unwrap();
}

pub fn texts(database: &Connection, sql: &str) -> Vec<String> {
    let mut rows = database.prepare(sql).unwrap();
    rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A table and its columns.
type Table = (String, Vec<String>);

/// All tables of a database, as it lists them itself, so that none can be forgotten.
fn tables(database: &Connection) -> Vec<Table> {
    let all = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let columns = |table: &str| {
        texts(database, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))
    };
    texts(database, all).into_iter().map(|table| (table.clone(), columns(&table))).collect()
}

/// The rows of a table as text, complete to the last byte.
fn rows(database: &Connection, (table, columns): &Table) -> Vec<String> {
    let quoted: Vec<_> = columns.iter().map(|c| format!("quote({c})")).collect();
    texts(database, &format!("SELECT '(' || {} || ')' FROM {table}", quoted.join(" || ', ' || ")))
}

/// The tables of `old` with those of their columns that `new` has too. No table may be gone.
fn shared(old: &Connection, new: &Connection) -> Vec<Table> {
    let new: BTreeMap<_, _> = tables(new).into_iter().collect();
    let both = |(table, mut columns): Table| {
        let today = new.get(&table).unwrap_or_else(|| panic!("`{table}` is gone"));
        columns.retain(|column| today.contains(column));
        (table, columns)
    };
    tables(old).into_iter().map(both).collect()
}

/// All rows of these tables, each behind the name of its table.
fn all_rows(path: &Path, tables: &[Table]) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let named = |table: &Table| {
        rows(&database, table).into_iter().map(|row| format!("{} {row}", table.0)).collect()
    };
    tables.iter().flat_map(|table| -> Vec<String> { named(table) }).collect()
}

/// The rows that are not as they were, or not at all.
fn changed<'a>(before: &'a [String], after: &[String]) -> Vec<&'a String> {
    assert!(after.len() <= before.len(), "{} rows were added", after.len() - before.len());
    before.iter().filter(|row| !after.contains(row)).collect()
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
pub fn dump(database: &Connection) -> String {
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let mut text = String::from("PRAGMA foreign_keys = OFF;\n");
    let made = |which: &str| {
        let wanted = format!("WHERE sql IS NOT NULL AND {which} ORDER BY type = 'index', rowid");
        let all = texts(database, &format!("SELECT sql FROM sqlite_master {wanted}"));
        all.into_iter().map(|sql| format!("{sql};\n")).collect::<String>()
    };
    text.push_str(&made("type <> 'trigger'"));
    for table in tables(database) {
        for row in rows(database, &table) {
            let (name, columns) = (&table.0, table.1.join(", "));
            text.push_str(&format!("INSERT INTO {name} ({columns}) VALUES {row};\n"));
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
        path_contains: "/issues/6?".into(),
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
    database.execute_batch(UNTOLD).unwrap();
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

/// What the story does not come to: an issue that a person holds back, and what is remembered beside the issues.
const UNTOLD: &str = r#"
    INSERT INTO lane (repo, number, epoch, evaluated_at, held, chosen, chosen_task)
        VALUES ('acme/widgets', 9, 1, 1774267204000, 'until the release', 'claude', 'routine_coding');
    INSERT INTO evaluation (lane, at, action, reason)
        SELECT id, 1774267204000, 'skip', 'on hold: until the release' FROM lane WHERE number = 9;
    INSERT INTO delivery (id, origin, received_at, event, state, lane, action, evaluation, settled_at)
        SELECT x'0190b5a0000070008000000000000003', 'manual', 1774267203500, '', 'done', lane, 'manual/hold',
            evaluation.id, at
        FROM evaluation JOIN lane ON lane.id = lane WHERE number = 9;
    INSERT INTO command SELECT -seq, lane, settled_at FROM delivery WHERE origin = 'manual';
    INSERT INTO command SELECT 7, id, 1774267200500 FROM lane WHERE number = 3;
    INSERT INTO blocker SELECT id, 'acme/widgets', 2 FROM lane WHERE number = 3;
    INSERT INTO blocker SELECT id, 'acme/gears', 14 FROM lane WHERE number = 3;
    INSERT INTO removed SELECT id, 'label', 'kimi-ready', 1774267200500 FROM lane WHERE number = 5;
    INSERT INTO delivery_id SELECT id, seq FROM delivery WHERE seq <= 12 ORDER BY id;
    INSERT INTO fact SELECT 'ids_upto', max(seq) FROM delivery_id;
    INSERT INTO sweep VALUES ('acme/widgets', 1774267202000, 1774264802000, 1774267197000);
    INSERT INTO summary VALUES
        ('acme/widgets', '2026-03-19', 'posted', 1773907200000, 1, NULL, 40, 1773993601000, 1773993601000, NULL),
        ('acme/widgets', '2026-03-20', 'failed', 1773993600000, 5, NULL, NULL, NULL, NULL, 'Gitea answered 403'),
        ('acme/widgets', '2026-03-21', 'withheld', 1774080000000, 0, NULL, NULL, NULL, NULL, NULL),
        ('acme/widgets', '2026-03-22', 'intended', 1774166400000, 1, 1774167000000, NULL, NULL, NULL, NULL);
    INSERT INTO note VALUES ('acme/widgets', 'tests', '`pytest -q` takes four minutes: one file at a time', 1774267201000);
    INSERT INTO spending VALUES ('2026-03-23', 'acme/widgets', 4, 3, 5210, 41000, 1);
    INSERT INTO proposal VALUES ('acme/widgets', 4,
        '[{"title":"Measure where it is slow","body":"`src/db.py`"},{"title":"Größe zählen","body":"once"}]', 1774267201000);"#;

#[test]
fn every_released_schema_is_brought_to_today_with_all_its_rows() {
    for schema in schemas() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let (kept, old, new) = (path("kept.db"), path("old.db"), path("new.db"));
        fill(&kept, &schema);
        fill(&old, &schema);
        // Beside a service, it is brought to today's schema and nothing else happens.
        drop(Store::open(&old, 16, OpenMode::Shared).unwrap());
        drop(Store::open(&new, 16, OpenMode::Shared).unwrap());
        let open = |path| Connection::open(path).unwrap();
        let shared = shared(&open(&kept), &open(&old));
        for table in &shared {
            let count = rows(&open(&kept), table).len();
            assert!(count > 0, "{} leaves `{}` empty", schema.display(), table.0);
        }
        let told = all_rows(&kept, &shared);
        assert_eq!(changed(&told, &all_rows(&old, &shared)), Vec::<&str>::new());
        let shape = |path| tables(&open(path)).into_iter().collect::<BTreeMap<_, _>>();
        assert_eq!(shape(&old), shape(&new), "{} was not kept up with", schema.display());
        // A service takes back what was in a worker's hands, and leaves all else alone.
        let ended = ends(&old);
        drop(Store::open(&old, 16, OpenMode::Exclusive).unwrap());
        let served = all_rows(&old, &shared);
        let taken_back = changed(&told, &served);
        assert_eq!(taken_back.len(), 2, "{taken_back:#?}");
        assert!(taken_back.iter().all(|row| row.contains("'claimed'")), "{taken_back:#?}");
        assert_eq!(ends(&old), ended);
        // Opened again, there is nothing left to do.
        drop(Store::open(&old, 16, OpenMode::Exclusive).unwrap());
        assert_eq!(changed(&served, &all_rows(&old, &shared)), Vec::<&str>::new());
        assert_eq!(texts(&open(&old), "PRAGMA integrity_check"), ["ok"]);
        assert!(texts(&open(&old), "SELECT \"table\" FROM pragma_foreign_key_check").is_empty());
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
         [server]\nlisten = \"127.0.0.1:0\"\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n[store]\nurl = \"sqlite:{}\"\n",
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

//! Databases that released versions have filled: nothing in them is lost, and what waited in them is worked off.
//! Each released schema has its file in `fixtures/schema`; a new one is added beside the others.

use std::path::{Path, PathBuf};

use gitea_triage::store::{Store, Use};
use rusqlite::Connection;

use crate::world::{World, bug};

/// Tables of version 1, which no later one may lose.
const TABLES: [&str; 7] = ["delivery", "body", "lane", "evaluation", "effect", "dispatch", "fact"];

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

#[test]
fn every_released_schema_is_brought_to_today_with_all_its_rows() {
    for schema in schemas() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        fill(&path, &schema);
        let (rows, told) = (counts(&path), ends(&path));
        assert!(
            rows[..6].iter().all(|count| *count > 0),
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

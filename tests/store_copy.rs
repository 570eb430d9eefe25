//! Copies of the whole store from one place to another: between files always, and by way of a server where
//! `GITEA_TRIAGE_TEST_POSTGRES` names one. At full scale (`GITEA_TRIAGE_TEST_SCALE=full`) 200,000 deliveries.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use bytes::Bytes;
use gitea_triage::clock::from_millis;
use gitea_triage::delivery::{Delivery, DeliveryId};
use gitea_triage::store::{
    self, Accepted, CopiedTable, CopyProgress, CopyStep, Error, OpenMode, Place, Store,
};
use tempfile::TempDir;

/// More than a start leaves to be sorted in by and by (`store/ids.rs`).
const MANY: i64 = 26_000;
const FULL: i64 = 200_000;

fn place(url: &str) -> Place {
    url.parse().unwrap()
}

fn url_of(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

/// The id of a delivery that [`fill`] made.
fn id(seq: i64) -> DeliveryId {
    DeliveryId::parse(&uuid::Uuid::from_u128(scattered(seq)).to_string()).unwrap()
}

fn scattered(seq: i64) -> u128 {
    u128::from(seq.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c82_0d2b_4a87)
}

/// A store with rows in every table, and in them what the engines keep and order differently: names whose order depends
/// on the case, a character 0, fractions, the largest numbers, empty texts and bytes.
fn filled(folder: &TempDir, deliveries: i64) -> PathBuf {
    let path = folder.path().join("source.db");
    drop(Store::open(&path, 8, OpenMode::Exclusive).unwrap());
    let c = rusqlite::Connection::open(&path).unwrap();
    c.execute_batch("CREATE TEMP TABLE ids (i INTEGER PRIMARY KEY, id BLOB); BEGIN").unwrap();
    for seq in 1..=deliveries {
        let mut insert = c.prepare_cached("INSERT INTO ids VALUES (?1, ?2)").unwrap();
        insert.execute((seq, scattered(seq).to_be_bytes())).unwrap();
    }
    c.execute_batch("COMMIT").unwrap();
    let lanes = (deliveries / 20).max(60);
    let sql = format!(
        "PRAGMA foreign_keys = ON;
         CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {deliveries})
             SELECT i, CASE i % 5 WHEN 0 THEN 'acme/Zeta' WHEN 1 THEN 'acme/alpha' WHEN 2 THEN 'Acme/_under'
                 WHEN 3 THEN 'acme/Émile-' ELSE 'beta/x.y' END || i AS repo, printf('2026-%02d-%02d', 1 + i / 28 % 12, 1 + i % 28) AS day
             FROM n;
         BEGIN;
         INSERT INTO lane (id, repo, number, repo_id, issue_id, last_error, fresh_from)
             SELECT i, repo, i, i % 40, i, CASE i % 3 WHEN 0 THEN 'zero' || char(0) || 'within' WHEN 1 THEN '' END, 9223372036854775807
             FROM n WHERE i <= {lanes};
         UPDATE lane SET state = 'claimed', claimed_at = 5 WHERE id = 7;
         INSERT INTO evaluation (id, lane, at, action, reason, verdict)
             SELECT i, 1 + i % {lanes}, i, 'skip', 'why', json_object('title', CASE i % 7 WHEN 0 THEN char(0) ELSE '' END || i, 'score', i % 10) FROM n WHERE i % 3 = 0;
         -- What the trigger would not say again.
         UPDATE latest SET title = 'kept from before' WHERE lane % 2 = 0;
         INSERT INTO delivery (seq, id, origin, received_at, event, state, lane, evaluation, settled_at, reason)
             SELECT i, id, 'webhook', i, 'issues', CASE WHEN i % 3 = 0 THEN 'done' ELSE 'ignored' END, 1 + i % {lanes},
                 CASE WHEN i % 3 = 0 THEN i END, i, 'why' FROM ids;
         INSERT INTO body SELECT i, CASE WHEN i % 50 = 0 THEN zeroblob(0) ELSE randomblob(600 + i % 900) END FROM n WHERE i % 10 <> 3;
         INSERT INTO dispatch (id, key, lane, evaluation, agent, task_type, state, opened_at, deadline_at, ended_at)
             SELECT i, 'key-' || i, 1 + i % {lanes}, i, 'claude', 'routine_coding', 'completed', i, i, i FROM n WHERE i % 30 = 0;
         INSERT INTO transition (dispatch, at, state, cause) SELECT id, 1, 'completed', '{{}}' FROM dispatch;
         INSERT INTO effect (evaluation, lane, kind, value, intended_at) SELECT id, lane, 'label', 'ready', at FROM evaluation;
         INSERT INTO blocker SELECT i, repo, i FROM n WHERE i < 50;
         INSERT INTO alternative SELECT CASE i % 2 WHEN 0 THEN 'Claude' ELSE 'claude-2' END, i FROM n WHERE i < 50;
         INSERT INTO removed SELECT 1, 'label', CASE i % 4 WHEN 0 THEN 'Ab' WHEN 1 THEN 'aB' WHEN 2 THEN 'é' ELSE 'a' || char(0) END || i, i
             FROM n WHERE i <= 1100;
         INSERT INTO approval VALUES (1, 'alex', 1, 'label', 'digest', NULL);
         INSERT INTO command (id, lane, source_comment, at) SELECT i, 1, i, i FROM n WHERE i < 20;
         INSERT INTO person_claim (lane, command, login, since, remind_at, until, due_at) VALUES (1, 3, 'Alex', 1, 2, 3, 2);
         INSERT INTO duty (lane, rotation, login, at, duty) VALUES (1, 'weekly', 'Alex', 1, '{{}}');
         INSERT INTO duty_share SELECT 'weekly', CASE i % 2 WHEN 0 THEN 'A' ELSE 'a' END || i, -i FROM n WHERE i < 20;
         INSERT INTO sweep (repo, passed_at, full_at, since) SELECT repo, 1, 1, 1 FROM n WHERE i <= 1200;
         INSERT INTO summary (repo, day, state, until, again_at) SELECT repo, day, 'intended', 1, 1 FROM n WHERE i <= 700;
         INSERT INTO repository SELECT i, repo FROM n WHERE i <= 40;
         INSERT INTO former_name SELECT 'old/' || repo, repo FROM n WHERE i <= 40;
         INSERT INTO wording VALUES (1, 1, NULL, x'00ff'), (1, 2, 3, x'');
         INSERT INTO word SELECT 1, -9223372036854775807 + i, 1 FROM n WHERE i < 600;
         INSERT INTO run (id, dispatch, agent, title, text_digest, prompt, branch, created_at, cost, past_cost)
             SELECT id, id, agent, 'title', 'digest', x'0001', 'b', 1, 0.1, 3.0 FROM dispatch;
         INSERT INTO run_log (run, is_head, bytes, text) SELECT id, 0, 3000, randomblob(3000) FROM run;
         INSERT INTO run_permit VALUES (1, 'read', 1, 'alex', 1), (1, 'edit', 0, 'alex', 1);
         INSERT INTO run_spending SELECT day, i, 'claude', i, NULL FROM n WHERE i < 60;
         INSERT INTO agent_spending VALUES ('claude', 1, 2), ('Claude', NULL, NULL);
         INSERT INTO runner VALUES ('Build-1', '1', '[]', 2, 3), ('a', '1', '[]', 2, 3);
         INSERT INTO session VALUES ('key', 1, 'alex', 'Firefox', 'm', 1, 2, 'sealed');
         INSERT INTO note SELECT repo, 'topic', 'text', i FROM n WHERE i < 60;
         INSERT INTO spending (day, repo, number) SELECT day, repo, i FROM n WHERE i < 900;
         INSERT INTO proposal SELECT repo, i, '[]', 1 FROM n WHERE i < 60;
         INSERT INTO paused_agent VALUES ('claude', 1, 'alex'), ('kimi', 2, 'ünlike');
         INSERT INTO paused_repository VALUES ('acme/r-1', 1, 'alex');
         INSERT INTO act (at, who, what, repo) SELECT i, 'alex', 'paused', repo FROM n WHERE i < 60;
         INSERT INTO fact VALUES ('probe', '7'), ('ünlike', 'value');
         COMMIT;"
    );
    c.execute_batch(&sql).unwrap();
    path
}

async fn copied(from: &str, to: &str) -> Result<Vec<CopiedTable>, Error> {
    store::copy(&place(from), &place(to), |_| ControlFlow::Continue(())).await
}

/// Copies, and breaks off after so many batches.
async fn broken_off(from: &str, to: &str, after: usize) -> Result<Vec<CopiedTable>, Error> {
    let mut left = after;
    let told = |_: &CopyProgress| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store::copy(&place(from), &place(to), told).await
}

/// That both ends hold the same, and every table something.
#[track_caller]
fn same(tables: &[CopiedTable]) {
    for table in tables {
        assert!(table.is_equal(), "{table:?}");
        assert!(table.to.rows > 0, "nothing in `{}` was tried", table.table);
    }
}

/// The service starts on a copy, knows every delivery and takes new ones in.
async fn serves(url: &str, deliveries: i64) {
    let store = Store::open(place(url), 8, OpenMode::Exclusive).unwrap();
    let accept = |id| {
        let delivery = Delivery {
            id,
            received_at: from_millis(1),
            body: Bytes::from_static(b"{}"),
            event_header: "issues".into(),
            scope: None,
        };
        store.accept(delivery)
    };
    for known in [1, deliveries / 2, deliveries] {
        assert_eq!(accept(id(known)).await.unwrap(), Accepted::Duplicate, "delivery {known}");
    }
    for seq in [deliveries + 1, deliveries + 2] {
        assert_eq!(accept(id(seq)).await.unwrap(), Accepted::New);
        // A server gives no number twice, and counts those of deliveries that turned out to be known.
        let given = store.delivery(&id(seq)).await.unwrap().unwrap().seq;
        assert!(given == seq || (given > seq && url.starts_with("postgres")), "{given}");
    }
    store.close().await.unwrap();
}

/// Where to go by way of: another file, and a server if there is one.
fn ways(folder: &TempDir) -> Vec<String> {
    let mut ways = vec![url_of(&folder.path().join("between.db"))];
    if database::is_on_server() {
        ways.push(database::url(&folder.path().join("on-the-server.db")));
    }
    ways
}

#[tokio::test]
async fn a_store_goes_to_another_place_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let source = url_of(&filled(&folder, 1_300));
    for (number, between) in ways(&folder).iter().enumerate() {
        let back = url_of(&folder.path().join(format!("back-{number}.db")));
        let there = copied(&source, between).await.unwrap();
        same(&there);
        let again = copied(between, &back).await.unwrap();
        same(&again);
        // What came back is what had gone.
        assert_eq!(
            there.iter().map(|table| &table.from).collect::<Vec<_>>(),
            again.iter().map(|table| &table.to).collect::<Vec<_>>()
        );
        serves(between, 1_300).await;
        serves(&back, 1_300).await;
    }
}

#[tokio::test]
async fn a_copy_that_is_broken_off_again_and_again_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let source = url_of(&filled(&folder, 1_300));
    for to in ways(&folder) {
        let mut times = 0;
        let tables = loop {
            match broken_off(&source, &to, 9).await {
                // The check begins anew each time, and has more batches than this.
                Err(Error::BrokenOff) if times < 5 => times += 1,
                Err(Error::BrokenOff) => break copied(&source, &to).await.unwrap(),
                other => panic!("{other:?}"),
            }
            let refused = Store::open(place(&to), 8, OpenMode::Shared).err().unwrap();
            assert!(matches!(refused, Error::Unfinished { .. }), "{refused}");
        };
        same(&tables);
        serves(&to, 1_300).await;
    }
}

#[tokio::test]
async fn what_was_copied_before_a_break_is_not_copied_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = url_of(&filled(&folder, 1_300));
    let to = url_of(&folder.path().join("to.db"));
    let mut batches = [Vec::new(), Vec::new()];
    let (first, second) = batches.split_at_mut(1);
    let until_body = |progress: &CopyProgress| {
        first[0].push(*progress);
        match progress.table == "body" && progress.rows >= 300 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let stopped = store::copy(&place(&source), &place(&to), until_body).await;
    assert!(matches!(stopped, Err(Error::BrokenOff)), "{stopped:?}");
    let rest = |progress: &CopyProgress| {
        second[0].push(*progress);
        ControlFlow::Continue(())
    };
    same(&store::copy(&place(&source), &place(&to), rest).await.unwrap());
    let copying = batches[1].iter().filter(|one| one.step == CopyStep::Copying);
    let mut tables: Vec<_> = copying.clone().map(|one| one.table).collect();
    tables.dedup();
    assert_eq!(tables[..2], ["body", "latest"]);
    let next = copying.clone().next().unwrap();
    assert_eq!((next.rows, next.of), (350, 1_170));
    let all: BTreeSet<_> = batches.iter().flatten().map(|one| one.table).collect();
    assert_eq!(all.len(), 36);
}

#[tokio::test]
async fn the_ids_of_very_many_deliveries_are_known_after_a_break_in_the_middle() {
    let is_full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let deliveries = if is_full { FULL } else { MANY };
    let folder = tempfile::tempdir().unwrap();
    let source = url_of(&filled(&folder, deliveries));
    for (number, between) in ways(&folder).iter().enumerate() {
        let back = url_of(&folder.path().join(format!("back-{number}.db")));
        for (from, to) in [(&source, between), (between, &back)] {
            let begun = Instant::now();
            let until_all_but_few = |progress: &CopyProgress| {
                let is_there = progress.table == "delivery"
                    && progress.rows + 1_000 > deliveries.unsigned_abs();
                if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = store::copy(&place(from), &place(to), until_all_but_few).await;
            assert!(matches!(stopped, Err(Error::BrokenOff)), "{stopped:?}");
            let tables = copied(from, to).await.unwrap();
            let seconds = begun.elapsed().as_secs_f64();
            let rows: u64 = tables.iter().map(|table| table.to.rows).sum();
            println!("{rows} rows in {seconds:.1} s, checked; way {number}, {}", place(to));
            println!("the most memory so far: {} KiB", peak());
            same(&tables);
        }
        serves(between, deliveries).await;
        serves(&back, deliveries).await;
    }
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_place_that_does_not_fit_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let source = url_of(&filled(&folder, 60));
    let other = url_of(&folder.path().join("other.db"));
    let store = Store::open(place(&other), 8, OpenMode::Exclusive).unwrap();
    store.remember("something", "else".to_owned()).await.unwrap();

    let busy = copied(&source, &other).await.unwrap_err();
    assert!(matches!(busy, Error::InUse(_)), "{busy}");
    let busy = copied(&other, &url_of(&folder.path().join("new.db"))).await.unwrap_err();
    assert!(matches!(busy, Error::InUse(_)), "{busy}");
    store.close().await.unwrap();
    drop(store);

    let full = copied(&source, &other).await.unwrap_err();
    assert!(matches!(full, Error::NotEmpty(_)), "{full}");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("source.db"), &link).unwrap();
    let same = copied(&source, &url_of(&link)).await.unwrap_err();
    assert!(matches!(same, Error::SamePlace(_)), "{same}");
    let missing = folder.path().join("missing.db");
    let none = copied(&url_of(&missing), &other).await.unwrap_err();
    assert!(none.to_string().contains("no store is there"), "{none}");
    assert!(!missing.exists());
    let empty = folder.path().join("empty.db");
    drop(Store::open(&empty, 8, OpenMode::Exclusive).unwrap());
    let none = copied(&url_of(&empty), &url_of(&missing)).await.unwrap_err();
    assert!(none.to_string().contains("is empty"), "{none}");

    let newer = folder.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for (from, to) in [(&source, &url_of(&newer)), (&url_of(&newer), &other)] {
        let refused = copied(from, to).await.unwrap_err();
        assert!(matches!(refused, Error::TooNew(_)), "{refused}");
    }

    // The unfinished copy of another store.
    let half = url_of(&folder.path().join("half.db"));
    broken_off(&source, &half, 1).await.unwrap_err();
    for refused in [copied(&other, &half).await, copied(&half, &url_of(&missing)).await] {
        assert!(matches!(refused, Err(Error::Unfinished { .. })), "{refused:?}");
    }
    let store = Store::open(place(&other), 8, OpenMode::Exclusive).unwrap();
    assert_eq!(store.fact("something").await.unwrap().as_deref(), Some("else"));
}

#[tokio::test]
async fn a_source_that_changed_since_the_break_is_found_and_the_copy_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder, 200);
    for to in ways(&folder) {
        broken_off(&url_of(&path), &to, 3).await.unwrap_err();
        let c = rusqlite::Connection::open(&path).unwrap();
        c.execute("UPDATE lane SET epoch = epoch + 1 WHERE id = 3", []).unwrap();
        drop(c);
        let tables = copied(&url_of(&path), &to).await.unwrap();
        let differing: Vec<_> = tables.iter().filter(|one| !one.is_equal()).collect();
        assert_eq!(differing.iter().map(|one| one.table).collect::<Vec<_>>(), ["lane"]);
        assert_eq!(differing[0].from.rows, differing[0].to.rows);
        let refused = Store::open(place(&to), 8, OpenMode::Exclusive).err().unwrap();
        assert!(matches!(refused, Error::Unfinished { .. }), "{refused}");
    }
}

fn command(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_gitea-triage");
    Command::new(program).args(["store", "copy"]).args(arguments).output().unwrap()
}

#[test]
fn the_command_prints_the_digests_of_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let from = url_of(&filled(&folder, 200));
    let to = url_of(&folder.path().join("to.db"));
    let done = command(&["--from", &from, "--to", &to, "--json"]);
    assert!(done.status.success(), "{done:?}");
    assert!(done.stderr.is_empty(), "{done:?}");
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(value["is_equal"], true);
    let delivery = &value["tables"][2];
    assert_eq!((&delivery["table"], &delivery["to"]["rows"]), (&"delivery".into(), &200.into()));
    assert_eq!(delivery["from"]["digest"], delivery["to"]["digest"]);
    assert_eq!(delivery["to"]["digest"].as_str().unwrap().len(), 64);

    let text = command(&["--from", &to, "--to", &url_of(&folder.path().join("next.db"))]);
    let text = String::from_utf8(text.stdout).unwrap();
    let digest = delivery["to"]["digest"].as_str().unwrap();
    assert!(text.contains(&format!("delivery: 200 rows {digest} = 200 rows {digest}\n")), "{text}");
    assert!(text.ends_with("of 36 tables; both ends hold the same\n"), "{text}");
}

#[test]
fn the_command_says_what_is_wrong_with_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("empty"), "\n").unwrap();
    std::fs::write(file("password"), "secret\n").unwrap();
    let server = "postgres://triage@localhost:1/triage";
    let (empty, password, missing) = (file("empty"), file("password"), file("missing"));
    for (arguments, code, said) in [
        (vec!["--from", "sqlite:x", "--to", "sqlite:x"], 2, "name another place"),
        (vec!["--from", "x.db", "--to", "sqlite:x"], 2, "`--from`: write `sqlite:`"),
        (
            vec!["--from", "sqlite:x", "--to", server, "--from-password-file", &password],
            2,
            "`--from-password-file`",
        ),
        (
            vec!["--from", "sqlite:x", "--to", server, "--to-password-file", &empty],
            2,
            "write the password into it",
        ),
        (
            vec!["--from", "sqlite:x", "--to", server, "--to-password-file", &missing],
            2,
            "cannot be read",
        ),
        (vec!["--from", "sqlite:/nowhere/x.db", "--to", server], 1, "no store is there"),
        (vec!["--from", server, "--to", "sqlite:x"], 1, "localhost:1"),
    ] {
        let refused = command(&arguments);
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

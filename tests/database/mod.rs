//! The database of a test: a file in the test's folder, or, where `GITEA_TRIAGE_TEST_POSTGRES` names a database on a
//! server, a schema of its own there. A test knows either by the path of the file. A file that is there already is the
//! database, whatever the others are on.
#![allow(dead_code, reason = "each test program has its own copy and uses a part of it")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use postgres::SimpleQueryMessage;
use rusqlite::types::ValueRef;

/// What `store.url` says.
pub fn url(file: &Path) -> String {
    let Some((server, schema)) = server(file) else { return format!("sqlite:{}", file.display()) };
    on_server(&server, &format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}options=-csearch_path%3D{schema}")
}

/// Whether it is on a server.
pub fn is_on_server() -> bool {
    std::env::var_os("GITEA_TRIAGE_TEST_POSTGRES").is_some()
}

/// The rows of an answer, every column as text.
pub fn rows(file: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let Some((server, schema)) = server(file) else { return rows_of_file(file, sql) };
    on_server(&server, &format!("SET search_path = {schema}; {sql}"))
}

/// What a statement gives that is about the server itself, outside of any transaction.
pub fn rows_outside(sql: &str) -> Vec<Vec<Option<String>>> {
    on_server(&std::env::var("GITEA_TRIAGE_TEST_POSTGRES").unwrap(), sql)
}

/// The first column of the first row.
pub fn one(file: &Path, sql: &str) -> Option<String> {
    rows(file, sql).into_iter().next().and_then(|row| row.into_iter().next().flatten())
}

/// A number in the first column of the first row; 0 where there is none.
pub fn count(file: &Path, sql: &str) -> i64 {
    one(file, sql).map_or(0, |number| number.parse().unwrap())
}

/// What is in a column of bytes, as hexadecimal digits.
pub fn hex(file: &Path, column: &str) -> String {
    match server(file) {
        Some(_) => format!("encode({column}, 'hex')"),
        None => format!("lower(hex({column}))"),
    }
}

/// Sixteen random bytes, as an expression.
pub fn random_id(file: &Path) -> &'static str {
    if server(file).is_some() { "uuid_send(gen_random_uuid())" } else { "randomblob(16)" }
}

/// The same for so many times sixteen bytes, which SQLite would put together as a text.
pub fn random_bytes(file: &Path, times: usize) -> String {
    let one = random_id(file);
    match server(file) {
        Some(_) => vec![one; times].join(" || "),
        None => format!("randomblob({})", 16 * times),
    }
}

/// Fills tables past the program with the rows of a large store. The indexes are made afterwards and nothing is checked
/// or followed by a trigger, which is by far the quicker way; what is to be known of deliveries by their ids is.
pub fn fill(file: &Path, sql: &str) {
    const TABLES: &str = "('delivery', 'evaluation', 'latest', 'effect', 'dispatch')";
    if let Some((url, schema)) = server(file) {
        let indexes = format!(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = '{schema}' AND tablename IN {TABLES}
             AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        );
        let indexes = on_server(&url, &indexes);
        let part = |at: usize, before: &str| -> String {
            indexes.iter().map(|row| format!("{before} {};\n", row[at].as_ref().unwrap())).collect()
        };
        let (drop, make) = (part(0, "DROP INDEX"), part(1, ""));
        let alone = format!("SET search_path = {schema}; SET session_replication_role = replica");
        on_server(&url, &format!("{alone}; {drop} {sql} {make}"));
        // As the server does by itself a minute later.
        on_server(
            &url,
            &format!(
                "SET search_path = {schema}; ANALYZE lane, body, delivery, evaluation, latest, effect, dispatch"
            ),
        );
        return;
    }
    let database = rusqlite::Connection::open(file).unwrap();
    // The store that made the schema may still be closing.
    database.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    let made = format!(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('index', 'trigger')
         AND tbl_name IN {TABLES}"
    );
    let mut rows = database.prepare(&made).unwrap();
    let made = rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    let made: Vec<(String, String, String)> = made.unwrap().map(Result::unwrap).collect();
    database
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")
        .unwrap();
    let drop = made.iter().map(|(kind, name, _)| format!("DROP {kind} {name};"));
    let make = made.iter().map(|(_, _, sql)| format!("{sql};"));
    let known = "INSERT INTO delivery_id SELECT id, seq FROM delivery ORDER BY id;
                 INSERT INTO fact SELECT 'ids_upto', max(seq) FROM delivery;";
    let all = [&drop.collect::<String>(), sql, &make.collect::<String>(), known].concat();
    database.execute_batch(&all).unwrap();
    database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // Nothing was flushed so far; the first checkpoint of the store would wait for all of it.
    std::fs::File::open(file).unwrap().sync_all().unwrap();
}

/// Takes what a test has on a server away; a file goes with its folder.
pub fn forget(file: &Path) {
    if let Some((url, schema)) = server(file) {
        on_server(&url, &format!("DROP SCHEMA {schema} CASCADE"));
    }
}

/// That nothing of a file is broken; a server sees to that itself.
pub fn check(file: &Path) {
    if server(file).is_none() {
        assert_eq!(one(file, "PRAGMA integrity_check").as_deref(), Some("ok"));
    }
}

/// Another process that writes, and does not come to an end for as long as this lasts.
pub enum Held {
    File(rusqlite::Connection),
    Server(std::sync::mpsc::Sender<()>),
}

impl Held {
    pub fn of(file: &Path) -> Self {
        let Some((url, schema)) = server(file) else {
            let database = rusqlite::Connection::open(file).unwrap();
            database.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::File(database);
        };
        let lock = "SELECT pg_advisory_xact_lock(19796, hashtext(current_schema()))";
        Self::on_server(url, schema, lock.to_owned())
    }

    /// One that has a table for itself, on a server.
    pub fn table(file: &Path, table: &str) -> Self {
        let (url, schema) = server(file).unwrap();
        Self::on_server(url, schema, format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    }

    fn on_server(url: String, schema: String, lock: String) -> Self {
        let (let_go, until) = std::sync::mpsc::channel();
        let (is_held, held) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
            client.batch_execute(&format!("SET search_path = {schema}; BEGIN; {lock}")).unwrap();
            is_held.send(()).unwrap();
            let _ = until.recv();
        });
        held.recv().unwrap();
        Self::Server(let_go)
    }
}

/// The server and the schema there; none for a file that is there.
fn server(file: &Path) -> Option<(String, String)> {
    if file.exists() {
        return None;
    }
    let url = std::env::var("GITEA_TRIAGE_TEST_POSTGRES").ok()?;
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    Some((url, format!("test_{:016x}", hasher.finish())))
}

/// On a thread of its own, which may wait.
fn on_server(url: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let ask = || {
        let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
        let said = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        };
        said.into_iter().filter_map(row).collect()
    };
    std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
}

fn rows_of_file(file: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let database = rusqlite::Connection::open(file).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let mut statement = database.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let text = |at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => None,
                ValueRef::Integer(number) => Some(number.to_string()),
                ValueRef::Real(number) => Some(number.to_string()),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            })
        };
        (0..columns).map(text).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

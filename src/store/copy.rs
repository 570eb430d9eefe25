//! Copies the whole store to another place, whichever engine either of them has. Both are opened as a service opens them,
//! so that none runs. How far the copy is stands in the target, in the transaction of the rows themselves: a copy that was
//! broken off goes on there, and no service takes the unfinished one for a store.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::engine::{Connection, Flush, Row, ToSql};
use super::rows::{all, from_json, is_any, only, run, to_json, unreadable};
use super::{Error, OpenMode, Place, Store, ids};

/// The fact of a target that says how far its copy is.
const COPYING: &str = "copying";
/// How many rows one statement inserts: a server that is far away is waited for once for all of them.
const AT_ONCE: usize = 16;
/// How many rows one batch has at most, and of the tables whose rows may be large.
const BATCH: usize = 500;
const LARGE_BATCH: usize = 50;
/// The bytes after which a batch ends.
const BATCH_BYTES: usize = 4 << 20;
/// Each so many batches are flushed. A loss of power costs those before it together with what says that they were copied.
const FLUSH_EVERY: usize = 32;

/// Of the schema's tables, each after those that it refers to, with the columns of its key.
const TABLES: &[Table] = &[
    Table("lane", &["id"]),
    Table("evaluation", &["id"]),
    Table("delivery", &["seq"]),
    Table("body", &["seq"]),
    Table("latest", &["lane"]),
    Table("dispatch", &["id"]),
    Table("transition", &["id"]),
    Table("effect", &["id"]),
    Table("blocker", &["lane", "repo", "number"]),
    Table("alternative", &["agent", "lane"]),
    Table("removed", &["lane", "kind", "value"]),
    Table("approval", &["lane"]),
    Table("command", &["id"]),
    Table("person_claim", &["id"]),
    Table("duty", &["id"]),
    Table("duty_share", &["rotation", "login"]),
    Table("sweep", &["repo"]),
    Table("summary", &["repo", "day"]),
    Table("repository", &["id"]),
    Table("former_name", &["repo"]),
    Table("wording", &["repo_id", "number"]),
    Table("word", &["repo_id", "word", "number"]),
    Table("run", &["id"]),
    Table("run_log", &["id"]),
    Table("run_permit", &["lane", "kind"]),
    Table("run_spending", &["day", "lane", "agent"]),
    Table("agent_spending", &["agent"]),
    Table("runner", &["name"]),
    Table("session", &["key"]),
    Table("note", &["repo", "topic"]),
    Table("spending", &["day", "repo", "number"]),
    Table("proposal", &["repo", "number"]),
    Table("paused_agent", &["agent"]),
    Table("paused_repository", &["repo"]),
    Table("act", &["id"]),
    Table(FACT, &["name"]),
];
const FACT: &str = "fact";
/// What a trigger fills while `evaluation` is copied.
const FILLED: &str = "latest";
/// Of SQLite alone, and made anew of the deliveries when the service starts; and what is of the services that run, of
/// which there are none.
#[cfg(test)]
const NOT_COPIED: [&str; 3] = ["delivery_id", "replica", "turn"];

struct Table(&'static str, &'static [&'static str]);

impl Table {
    fn limit(&self) -> usize {
        match self.0 {
            "body" | "run" | "run_log" => LARGE_BATCH,
            _ => BATCH,
        }
    }

    /// Which rows are the store's own, and not of this file or of its copy.
    fn own(&self) -> String {
        match self.0 {
            FACT => format!("name NOT IN ('{}', '{COPYING}')", ids::UPTO),
            _ => "1 = 1".to_owned(),
        }
    }

    fn count(&self, c: &Connection) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM \"{}\" WHERE {}", self.0, self.own());
        only(c, &sql, [], |row| row.get(0))
    }
}

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is done with the table.
    pub step: CopyStep,
    /// The table.
    pub table: &'static str,
    /// Of how many rows of it that is done.
    pub rows: u64,
    /// How many it has.
    pub of: u64,
}

/// What a copy does with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// It is written to the target.
    Copying,
    /// It is read at both ends.
    Checking,
}

/// What a table holds at both ends of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopiedTable {
    /// Its name.
    pub table: &'static str,
    /// At the source.
    pub from: Content,
    /// At the target.
    pub to: Content,
}

impl CopiedTable {
    /// Whether both ends hold the same.
    pub fn is_equal(&self) -> bool {
        self.from == self.to
    }
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// How many rows.
    pub rows: u64,
    /// The sum of the SHA-256 of each row, modulo 2^256, in hexadecimal digits: the engines order text differently, and
    /// a sum has no order.
    pub digest: String,
}

/// Copies the store at `from` to `to`, which is empty or holds a part of the same copy, and reads both afterwards. After
/// each batch `told` hears where it is, and may break off. Where a table differs at the end, the target stays an
/// unfinished copy.
///
/// # Errors
/// When both are the same place, a service has one of them open, there is nothing at `from`, something else at `to`, or
/// `told` breaks off.
pub async fn copy(
    from: &Place,
    to: &Place,
    told: impl FnMut(&CopyProgress) -> ControlFlow<()>,
) -> Result<Vec<CopiedTable>, Error> {
    if from.identity() == to.identity() {
        return Err(Error::SamePlace(from.identity()));
    }
    if !from.may_be_there() {
        return Err(from.error("no store is there"));
    }
    let source = Store::open(from.clone(), 1, OpenMode::Exclusive)?;
    let target = Store::open_as(to.clone(), 1, OpenMode::Exclusive, |_, _| Ok(()))?;
    let mut copy = Copy { source: &source, target: &target, told, batches: 0 };
    let copied = copy.run().await;
    let closed = [source.close().await, target.close().await];
    let copied = copied?;
    closed.into_iter().collect::<Result<(), _>>()?;
    Ok(copied)
}

/// Refuses a place that holds a part of a copy.
pub(super) fn must_be_whole(c: &Connection, place: &Place) -> Result<(), Error> {
    match Position::read(c)? {
        Some(Position { from, .. }) => Err(Error::Unfinished { place: place.to_string(), from }),
        None => Ok(()),
    }
}

/// How far a copy is.
#[derive(Clone, Serialize, Deserialize)]
struct Position {
    /// The place that is copied.
    from: String,
    /// The table.
    table: String,
    /// The key of the row that was the last in it so far; empty before the first.
    after: Vec<Key>,
}

/// A value in a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn of(value: &Value) -> Result<Self, Error> {
        match value {
            Value::Integer(number) => Ok(Self::Number(*number)),
            Value::Text(text) => Ok(Self::Text(text.clone())),
            _ => Err(unreadable(&"a key is neither a number nor a text")),
        }
    }

    fn bound(&self) -> &dyn ToSql {
        match self {
            Self::Number(number) => number,
            Self::Text(text) => text,
        }
    }
}

impl Position {
    fn read(c: &Connection) -> Result<Option<Self>, Error> {
        super::fact(c, COPYING)?.map(|text| from_json(&text)).transpose()
    }

    fn write(&self, c: &Connection) -> Result<(), Error> {
        super::set_fact(c, COPYING, &to_json(self))
    }
}

/// A table with all its columns.
struct Shape {
    table: &'static Table,
    columns: Vec<String>,
    /// Where the columns of the key are among all.
    key: Vec<usize>,
}

impl Shape {
    fn of(table: &'static Table, c: &Connection) -> Result<Self, Error> {
        let columns: Vec<String> = all(c, columns_of(c), [table.0], |row| row.get(0))?;
        let place = |name: &&str| columns.iter().position(|column| column == name);
        let key = table.1.iter().map(place).collect::<Option<_>>();
        let key = key.ok_or_else(|| unreadable(&format!("table `{}` has another key", table.0)))?;
        Ok(Self { table, columns, key })
    }

    fn names(&self) -> String {
        quoted(self.columns.iter().map(String::as_str))
    }

    /// The rows after a key, in the order that the engine itself has for it: its index answers.
    fn page(&self, c: &Connection, after: &[Key]) -> Result<Page, Error> {
        let Table(table, key) = self.table;
        let limit = self.table.limit();
        let key = quoted(key.iter().copied());
        let from = match after {
            [] => String::new(),
            _ => format!("AND ({key}) > ({})", parameters(1, after.len())),
        };
        let sql = format!(
            "SELECT {} FROM \"{table}\" WHERE {} {from} ORDER BY {key} LIMIT {limit}",
            self.names(),
            self.table.own()
        );
        let after: Vec<&dyn ToSql> = after.iter().map(Key::bound).collect();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        c.query(&sql, after.as_slice(), &mut |row| {
            let row = read(row, self.columns.len())?;
            bytes += row.iter().map(weight).sum::<usize>();
            rows.push(row);
            Ok(bytes < BATCH_BYTES)
        })?;
        let is_last = rows.len() < limit && bytes < BATCH_BYTES;
        let last = rows.last().map(|row| self.key_of(row)).transpose()?;
        Ok(Page { rows, last, is_last })
    }

    fn key_of(&self, row: &[Value]) -> Result<Vec<Key>, Error> {
        self.key.iter().filter_map(|at| row.get(*at)).map(Key::of).collect()
    }

    fn insert(&self, c: &Connection, rows: &[Vec<Value>]) -> Result<(), Error> {
        let width = self.columns.len();
        let row = |at| format!("({})", parameters(at * width + 1, width));
        let each: Vec<_> = (0..rows.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES {}",
            self.table.0,
            self.names(),
            each.join(", ")
        );
        let values: Vec<&dyn ToSql> = rows.iter().flatten().map(|value| value as _).collect();
        run(c, &sql, values.as_slice())
    }
}

/// Some rows of a table.
struct Page {
    rows: Vec<Vec<Value>>,
    /// The key of the last.
    last: Option<Vec<Key>>,
    /// Nothing follows.
    is_last: bool,
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn parameters(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

fn read(row: &Row<'_>, columns: usize) -> Result<Vec<Value>, Error> {
    let value = |at| Value::try_from(row.get_ref(at)?).map_err(Error::from);
    (0..columns).map(value).collect()
}

/// The bytes of a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}

struct Copy<'a, F> {
    source: &'a Store,
    target: &'a Store,
    told: F,
    batches: usize,
}

impl<F: FnMut(&CopyProgress) -> ControlFlow<()>> Copy<'_, F> {
    async fn run(&mut self) -> Result<Vec<CopiedTable>, Error> {
        let mut position = self.begin().await?;
        let first = TABLES.iter().position(|table| table.0 == position.table);
        let first = first.ok_or_else(|| unreadable(&"the copy is at an unknown table"))?;
        for table in TABLES.iter().skip(first) {
            if table.0 != position.table {
                table.0.clone_into(&mut position.table);
                position.after.clear();
            }
            self.copy_table(table, &mut position).await?;
        }
        let mut copied = Vec::new();
        for table in TABLES {
            copied.push(self.check_table(table).await?);
        }
        if copied.iter().all(CopiedTable::is_equal) {
            self.finish().await?;
        }
        Ok(copied)
    }

    /// Where the copy is; at its beginning, marks the target as a part of it.
    async fn begin(&self) -> Result<Position, Error> {
        self.source.read(must_hold_something(self.source.place().clone())).await?;
        let place = self.target.place().to_string();
        let from = self.source.place().identity();
        let begin = move |c: &Connection| match Position::read(c)? {
            Some(known) if known.from == from => Ok(known),
            Some(known) => Err(Error::Unfinished { place: place.clone(), from: known.from }),
            None if holds_something(c)? => Err(Error::NotEmpty(place.clone())),
            None => {
                let first = TABLES.first().map_or(FACT, |table| table.0);
                let new =
                    Position { from: from.clone(), table: first.to_owned(), after: Vec::new() };
                new.write(c).map(|()| new)
            }
        };
        self.target.write(begin).await
    }

    async fn copy_table(
        &mut self,
        table: &'static Table,
        position: &mut Position,
    ) -> Result<(), Error> {
        let shape = shape(self.source, table).await?;
        let of = self.source.read(move |c| table.count(c)).await?;
        // What a trigger put there does not count.
        let is_begun = !position.after.is_empty();
        let mut rows = if is_begun { self.target.read(move |c| table.count(c)).await? } else { 0 };
        loop {
            let (read, after) = (Arc::clone(&shape), position.after.clone());
            let page = self.source.read(move |c| read.page(c, &after)).await?;
            let is_first = position.after.is_empty();
            rows += page.rows.len() as u64;
            if let Some(last) = page.last {
                position.after = last;
            }
            self.put(&shape, page.rows, Entry { position: position.clone(), is_first }).await?;
            self.tell(CopyProgress { step: CopyStep::Copying, table: table.0, rows, of })?;
            if page.is_last {
                return Ok(());
            }
        }
    }

    /// Writes rows, and that the copy is behind them.
    async fn put(
        &mut self,
        shape: &Arc<Shape>,
        rows: Vec<Vec<Value>>,
        Entry { position, is_first }: Entry,
    ) -> Result<(), Error> {
        self.batches += 1;
        let flush =
            if self.batches.is_multiple_of(FLUSH_EVERY) { Flush::First } else { Flush::Later };
        let shape = Arc::clone(shape);
        let put = move |c: &Connection| {
            if is_first && shape.table.0 == FILLED {
                run(c, &format!("DELETE FROM {FILLED}"), [])?;
            }
            rows.chunks(AT_ONCE).try_for_each(|some| shape.insert(c, some))?;
            position.write(c)
        };
        self.target.inner.writer.write(flush, put).await
    }

    /// Reads a table at both ends.
    async fn check_table(&mut self, table: &'static Table) -> Result<CopiedTable, Error> {
        let shape = shape(self.source, table).await?;
        let of = self.source.read(move |c| table.count(c)).await?;
        let (mut from, mut to) = (Tally::default(), Tally::default());
        while !(from.is_over && to.is_over) {
            let read = tokio::try_join!(
                from.goes_on(self.source, &shape),
                to.goes_on(self.target, &shape)
            );
            (from, to) = read?;
            let rows = from.rows;
            self.tell(CopyProgress { step: CopyStep::Checking, table: table.0, rows, of })?;
        }
        Ok(CopiedTable { table: table.0, from: from.content(), to: to.content() })
    }

    /// Makes a store of the copy.
    async fn finish(&self) -> Result<(), Error> {
        let finish = |c: &Connection| {
            number_on(c)?;
            run(c, "DELETE FROM fact WHERE name = ?1", [COPYING])
        };
        self.target.write(finish).await
    }

    fn tell(&mut self, progress: CopyProgress) -> Result<(), Error> {
        match (self.told)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::BrokenOff),
        }
    }
}

/// The question for the columns of a table, in their order.
fn columns_of(c: &Connection) -> &'static str {
    match c {
        Connection::Sqlite(_) => "SELECT name FROM pragma_table_info(?1) ORDER BY cid",
        Connection::Postgres(_) => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
             WHERE table_schema = current_schema() AND CAST(table_name AS TEXT) = ?1 ORDER BY ordinal_position"
        }
    }
}

/// Sees to it that new rows get numbers behind those that are there, after rows were written with their numbers. SQLite
/// finds the greatest each time.
fn number_on(c: &Connection) -> Result<(), Error> {
    let Connection::Postgres(_) = c else { return Ok(()) };
    let sql = "SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), (SELECT coalesce(max(%I), 0) + 1 FROM %I), false)',
                   table_name, column_name, column_name, table_name)
               FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'";
    let each: Vec<String> = all(c, sql, [], |row| row.get(0))?;
    each.iter().try_for_each(|set| c.batch(set))
}

/// What a batch writes beside its rows.
struct Entry {
    position: Position,
    /// The table begins with it.
    is_first: bool,
}

async fn shape(store: &Store, table: &'static Table) -> Result<Arc<Shape>, Error> {
    store.read(move |c| Shape::of(table, c)).await.map(Arc::new)
}

/// Whether a row of a store is there.
fn holds_something(c: &Connection) -> Result<bool, Error> {
    for table in TABLES {
        let sql = format!("SELECT 1 FROM \"{}\" WHERE {} LIMIT 1", table.0, table.own());
        if is_any(c, &sql, [])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn must_hold_something(place: Place) -> impl FnOnce(&Connection) -> Result<(), Error> {
    move |c| match holds_something(c)? {
        true => Ok(()),
        false => Err(place.error("the store there is empty")),
    }
}

/// What was read of a table so far.
#[derive(Clone, Default)]
struct Tally {
    rows: u64,
    sum: Sum,
    after: Vec<Key>,
    is_over: bool,
}

impl Tally {
    /// Reads on, if there is more.
    async fn goes_on(&self, store: &Store, shape: &Arc<Shape>) -> Result<Self, Error> {
        let (mut tally, shape) = (self.clone(), Arc::clone(shape));
        if tally.is_over {
            return Ok(tally);
        }
        let read = move |c: &Connection| {
            let page = shape.page(c, &tally.after)?;
            page.rows.iter().for_each(|row| tally.sum.add(row));
            tally.rows += page.rows.len() as u64;
            tally.is_over = page.is_last;
            if let Some(last) = page.last {
                tally.after = last;
            }
            Ok(tally)
        };
        store.read(read).await
    }

    fn content(self) -> Content {
        Content { rows: self.rows, digest: self.sum.hex() }
    }
}

/// A number of 256 bits, in pieces of 64, the least first.
#[derive(Clone, Default)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let digest = digest(row);
        let mut carry = false;
        for (part, bytes) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let added = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let (sum, over) = part.overflowing_add(added);
            let (sum, over_again) = sum.overflowing_add(carry.into());
            *part = sum;
            carry = over || over_again;
        }
    }

    fn hex(&self) -> String {
        self.0.iter().map(|part| hex::encode(part.to_le_bytes())).collect()
    }
}

/// Of all values of a row, each with its kind and its length: no two rows read the same.
fn digest(row: &[Value]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for value in row {
        match value {
            Value::Null => put(0, &[]),
            Value::Integer(number) => put(1, &number.to_le_bytes()),
            Value::Real(number) => put(2, &number.to_bits().to_le_bytes()),
            // As PostgreSQL keeps it, which has no character 0.
            Value::Text(text) => put(3, text.replace('\0', "\u{fffd}").as_bytes()),
            Value::Blob(bytes) => put(4, bytes),
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{scratch, scratch_file};
    use super::*;

    /// The tables, with the columns of their keys, as SQLite has them.
    async fn keys(store: &Store) -> Vec<(String, Vec<String>)> {
        let tables = |c: &Connection| {
            let sql =
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            let names: Vec<String> = all(c, sql, [], |row| row.get(0))?;
            let key = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
            let with_key = |name: String| Ok((name.clone(), all(c, key, [name], |r| r.get(0))?));
            names.into_iter().map(with_key).collect()
        };
        store.read(tables).await.unwrap()
    }

    #[tokio::test]
    async fn every_table_is_copied_by_its_key() {
        let (_folder, store) = scratch_file();
        let mut known: Vec<_> = TABLES
            .iter()
            .map(|Table(name, key)| {
                ((*name).to_owned(), key.iter().map(|&column| column.to_owned()).collect())
            })
            .collect();
        let mut there = keys(&store).await;
        there.retain(|(name, _)| !NOT_COPIED.contains(&name.as_str()));
        known.sort();
        there.sort();
        assert_eq!(there, known, "a new table has to be copied, too");
    }

    #[tokio::test]
    async fn both_engines_have_the_same_tables_and_columns() {
        let ((_one, file), (_other, other)) = (scratch_file(), scratch());
        for table in TABLES {
            let (file, other) = (shape(&file, table).await, shape(&other, table).await);
            assert_eq!(file.unwrap().columns, other.unwrap().columns, "{}", table.0);
        }
    }

    #[tokio::test]
    async fn a_table_comes_after_those_that_it_refers_to() {
        let (_folder, store) = scratch_file();
        let mut copied = BTreeSet::new();
        for Table(name, _) in TABLES {
            copied.insert((*name).to_owned());
            let sql = "SELECT \"table\" FROM pragma_foreign_key_list(?1)";
            let refers = store.read(move |c| all::<String, Vec<_>>(c, sql, [name], |r| r.get(0)));
            for to in refers.await.unwrap() {
                assert!(copied.contains(&to), "`{name}` refers to `{to}`");
            }
        }
    }

    #[test]
    fn a_digest_tells_rows_apart_and_knows_no_order() {
        let text = |text: &str| Value::Text(text.to_owned());
        let rows = [
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![Value::Null, text("")],
            vec![text(""), Value::Null],
            vec![Value::Blob(b"1".into()), Value::Integer(1)],
            vec![text("1"), Value::Real(1.0)],
        ];
        let digests: BTreeSet<_> = rows.iter().map(|row| digest(row)).collect();
        assert_eq!(digests.len(), rows.len());
        let sum = |rows: &mut dyn Iterator<Item = &Vec<Value>>| {
            let mut sum = Sum::default();
            rows.for_each(|row| sum.add(row));
            sum.hex()
        };
        assert_eq!(sum(&mut rows.iter()), sum(&mut rows.iter().rev()));
        assert_ne!(sum(&mut rows.iter()), sum(&mut rows.iter().skip(1)));
        // Twice the same is not nothing, as it would be with XOR.
        assert_ne!(sum(&mut [&rows[0], &rows[0]].into_iter()), Sum::default().hex());
        assert_eq!(digest(&[text("a\0b")]), digest(&[text("a\u{fffd}b")]));
    }

    #[test]
    fn a_sum_carries_from_piece_to_piece() {
        let row = [Value::Integer(7)];
        let mut sum = Sum([u64::MAX; 4]);
        sum.add(&row);
        // All ones are one less than nothing.
        let mut expected = digest(&row);
        for byte in &mut expected {
            let (less, borrows) = byte.overflowing_sub(1);
            *byte = less;
            if !borrows {
                break;
            }
        }
        assert_eq!(sum.hex(), hex::encode(expected));
    }
}

//! SQLite: WAL, a flush at every commit.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::store::{Commit, Job, Kept, now};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS delivery (id BLOB PRIMARY KEY, received_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS job (
        id INTEGER PRIMARY KEY, delivery BLOB NOT NULL, repo TEXT NOT NULL, number INTEGER NOT NULL,
        action TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL
    );";

pub fn open(path: &Path) -> anyhow::Result<Commit> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Small, because the fold is what the slowest answers wait for.
    connection.pragma_update(None, "wal_autocheckpoint", 250)?;
    connection.execute_batch(SCHEMA)?;
    Ok(Box::new(move |group| Ok(commit(&mut connection, group)?)))
}

fn commit(connection: &mut Connection, group: &[&Job]) -> rusqlite::Result<Vec<Kept>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept = group.iter().map(|job| insert(&transaction, job)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(kept)
}

fn insert(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<Kept> {
    let mut delivery = transaction
        .prepare_cached("INSERT INTO delivery VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    if delivery.execute(params![job.id, now()])? == 0 {
        return Ok(Kept::Repeated);
    }
    let mut keep = transaction.prepare_cached(
        "INSERT INTO job (delivery, repo, number, action, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    keep.execute(params![job.id, job.repo, job.number, job.action, &job.body[..]])?;
    Ok(Kept::New)
}

//! SQLite, with a write-ahead log: one process writes at a time, and each reader sees the last commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{OpenFlags, ToSql};

use super::{Flush, Row, Take};
use crate::store::{Error, private};

/// How long the writer waits for another process's lock. Below the two seconds in which a delivery must be answered.
const BUSY_WRITER: Duration = Duration::from_millis(1_500);
/// How long a reader waits for a lock; in WAL mode it only has to while the schema changes.
const BUSY_READER: Duration = Duration::from_secs(5);
/// Bytes of a page: most packed bodies fit into one, and the log has half as many to take.
const PAGE_SIZE: i64 = 8_192;
/// Pages in the log before it is folded back. Small, because the fold is what the slowest answers wait for.
const WAL_AUTOCHECKPOINT: i64 = 250;
/// Memory for the pages a reader keeps, in KiB, and negative because SQLite takes a positive number for pages. The
/// kernel keeps the file as well.
const READER_CACHE: i64 = -512;

/// A connection to the file.
pub(in crate::store) struct Sqlite {
    connection: rusqlite::Connection,
    /// What the next commit does; `None` where nothing is written.
    flush: Option<Flush>,
    /// A flush has failed. What was committed before without one may be lost although the next one succeeds: Linux
    /// tells of a page that could not be written once, and takes it for written from then on (fsync(2)).
    is_doubtful: bool,
}

impl Sqlite {
    /// The one connection that writes.
    pub(in crate::store) fn writer(path: &Path) -> Result<Self, Error> {
        // SQLite gives its log and its index the mode of the database.
        private::file(path).map_err(|e| open_error(path, e))?;
        ["-wal", "-shm"].iter().for_each(|end| private::close(&beside(path, end)));
        let connection = rusqlite::Connection::open(path).map_err(|e| open_error(path, e))?;
        connection.busy_timeout(BUSY_WRITER)?;
        // For a new file; one that has its pages keeps them.
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(|e| open_error(path, e))?;
        // FULL, not NORMAL: a 2xx must survive power loss, and WAL with NORMAL does not flush at commit.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, flush: Some(Flush::First), is_doubtful: false })
    }

    /// A connection that can only read.
    pub(in crate::store) fn reader(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            rusqlite::Connection::open_with_flags(path, flags).map_err(|e| open_error(path, e))?;
        connection.busy_timeout(BUSY_READER)?;
        // The first that looks into the file.
        connection
            .pragma_update(None, "cache_size", READER_CACHE)
            .map_err(|e| open_error(path, e))?;
        Ok(Self { connection, flush: None, is_doubtful: false })
    }

    /// SQLite's own connection, for what only it has.
    pub(in crate::store) fn inner(&mut self) -> &mut rusqlite::Connection {
        &mut self.connection
    }

    pub(super) fn query(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        take: Take<'_>,
    ) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            if !take(&Row::Sqlite(row))? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// Inserts a row, and gives its number.
    pub(in crate::store) fn insert(&self, sql: &str, values: &[&dyn ToSql]) -> Result<i64, Error> {
        Ok(self.connection.prepare_cached(sql)?.insert(values)?)
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// The steps in which a question would be answered.
    #[cfg(test)]
    pub(in crate::store) fn plan(&self, sql: &str) -> Result<Vec<String>, Error> {
        let mut plan = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        // What the question asks for stays empty: only its shape matters here.
        let steps = plan.raw_query().mapped(|r| r.get(3)).collect::<Result<_, _>>()?;
        Ok(steps)
    }

    /// Takes the write lock at once: a deferred transaction could fail halfway when another process writes.
    pub(super) fn begin(&mut self, flush: Flush) -> Result<(), Error> {
        self.prepare(flush)?;
        Ok(self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)?)
    }

    pub(super) fn end(&mut self, is_kept: bool) -> Result<(), Error> {
        let sql = if is_kept { "COMMIT" } else { "ROLLBACK" };
        let ended = self.connection.prepare_cached(sql)?.execute([]).map(drop).map_err(Error::from);
        self.is_doubtful |= ended.as_ref().is_err_and(Error::is_failed_flush);
        if ended.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        ended
    }

    /// Sets what the next commit does, which SQLite refuses within a transaction, and sees to it that a flush means
    /// something.
    fn prepare(&mut self, flush: Flush) -> Result<(), Error> {
        if self.flush != Some(flush) {
            let (mode, autocheckpoint) = match flush {
                Flush::First => ("FULL", WAL_AUTOCHECKPOINT),
                // SQLite tells nobody of a fold that failed, and the flush it begins with would be the first of this.
                Flush::Later => ("NORMAL", 0),
            };
            self.connection.pragma_update(None, "synchronous", mode)?;
            self.connection.pragma_update(None, "wal_autocheckpoint", autocheckpoint)?;
            self.flush = Some(flush);
        }
        if self.is_doubtful && flush == Flush::First {
            // Writes all that is in the log into the database, and begins it again.
            let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
            if self.connection.query_row(fold, [], |row| row.get(0))? {
                return Err(Error::Write("its log cannot be renewed while it is read".to_owned()));
            }
            self.is_doubtful = false;
        }
        Ok(())
    }

    /// What is in the log belongs into the file when the service stops in good order.
    pub(super) fn close(self) {
        if let Err(error) = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE") {
            tracing::debug!(%error, "the log could not be folded into the database at the end");
        }
    }
}

/// The file beside this one whose name ends so.
pub(in crate::store) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A file that cannot be opened.
pub(in crate::store) fn open_error(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Open { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_flush_nothing_is_answered_for_before_the_log_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doubt.db");
        let mut writer = Sqlite::writer(&path).unwrap();
        writer.connection.busy_timeout(Duration::ZERO).unwrap();
        writer.batch("CREATE TABLE t (x); INSERT INTO t VALUES (0)").unwrap();
        writer.is_doubtful = true;
        let mut commit = |flush| {
            writer.begin(flush).map_err(|error| error.to_string())?;
            writer.execute("INSERT INTO t VALUES (1)", &[]).unwrap();
            writer.end(true).map_err(|error| error.to_string())
        };
        let log = || std::fs::metadata(folder.path().join("doubt.db-wal")).unwrap().len();
        let reader = rusqlite::Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        assert_eq!(commit(Flush::Later), Ok(()));
        let refused = commit(Flush::First).unwrap_err();
        assert!(refused.contains("while it is read"), "{refused}");
        let before = log();
        drop(reader);
        assert_eq!(commit(Flush::First), Ok(()));
        assert!(log() < before, "{} is not less than {before}", log());
        // From then on it goes on as ever.
        let new = log();
        assert_eq!(commit(Flush::First), Ok(()));
        assert!(log() > new);
    }

    #[test]
    fn only_a_flush_that_failed_makes_the_log_doubtful() {
        let error = |code| {
            let code = rusqlite::ffi::Error::new(code);
            Error::Sqlite(rusqlite::Error::SqliteFailure(code, None))
        };
        assert!(error(rusqlite::ffi::SQLITE_IOERR_FSYNC).is_failed_flush());
        assert!(!error(rusqlite::ffi::SQLITE_FULL).is_failed_flush());
        assert!(!Error::Undone.is_failed_flush());
    }
}

//! What answers the SQL: SQLite in a file of its own, or a PostgreSQL server. Both take the same text, the same values and
//! give the same rows; where they differ by nature, this room says how.

mod dialect;
mod listener;
mod news;
mod postgres;
mod rows;
mod sqlite;

pub(super) use self::listener::Listener;
pub use self::news::News;
pub(super) use self::postgres::{Server, Session};
pub(super) use self::rows::{Row, RowResult, Take, Values};
pub(super) use self::sqlite::{Sqlite, beside, open_error};
pub(super) use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Value, ValueRef};
pub(super) use rusqlite::{ToSql, params};

use super::Error;

/// When what was written has to be on the device, which only a loss of power tells apart: what is committed survives
/// the end of the process either way. SQLite's names for the two, with a write-ahead log, are `FULL` and `NORMAL`
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>), PostgreSQL's are `on` and `off`
/// (<https://www.postgresql.org/docs/current/wal-async-commit.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flush {
    /// With whatever is flushed next. The log is flushed from its start to its end, so nothing later can be on the
    /// device without it. Only for what can be done again when it is lost with all that followed it.
    Later,
    /// Before it is answered.
    First,
}

/// A connection to the database.
pub(super) enum Connection {
    /// To a file.
    Sqlite(Sqlite),
    /// To a server.
    Postgres(Box<Session>),
}

impl Connection {
    /// Gives each row of an answer to `take`, until that gives `false`.
    pub(super) fn query(
        &self,
        sql: &str,
        values: impl Values,
        take: Take<'_>,
    ) -> Result<(), Error> {
        values.give(|values| match self {
            Self::Sqlite(c) => c.query(sql, values, take),
            Self::Postgres(c) => c.query(sql, values, take),
        })
    }

    /// The same for an answer that may be much longer than what is taken of it.
    pub(super) fn walk(&self, sql: &str, values: impl Values, take: Take<'_>) -> Result<(), Error> {
        values.give(|values| match self {
            Self::Sqlite(c) => c.query(sql, values, take),
            Self::Postgres(c) => c.walk(sql, values, take),
        })
    }

    /// Changes rows, and says how many.
    pub(super) fn execute(&self, sql: &str, values: impl Values) -> Result<usize, Error> {
        values.give(|values| match self {
            Self::Sqlite(c) => c.execute(sql, values),
            Self::Postgres(c) => c.execute(sql, values),
        })
    }

    /// Runs several statements that take no values.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(c) => c.batch(sql),
            Self::Postgres(c) => c.batch(sql),
        }
    }

    /// Tells the other services on the same database of this transaction, once it is committed.
    pub(super) fn announce(&self, news: News) {
        if let Self::Postgres(c) = self {
            c.announce(news);
        }
    }

    /// Writes only into a schema of this version or an earlier one from now on, where another program may change it.
    pub(super) fn expect_schema(&mut self, version: usize) {
        if let Self::Postgres(c) = self {
            c.expect_schema(version);
        }
    }

    /// Begins the transaction of the only one who may write now.
    pub(super) fn begin(&mut self, flush: Flush) -> Result<(), Error> {
        match self {
            Self::Sqlite(c) => c.begin(flush),
            Self::Postgres(c) => c.begin(flush),
        }
    }

    /// Ends a transaction; with `false`, nothing of it has happened.
    pub(super) fn end(&mut self, is_kept: bool) -> Result<(), Error> {
        match self {
            Self::Sqlite(c) => c.end(is_kept),
            Self::Postgres(c) => c.end(is_kept),
        }
    }

    /// Lets another service have the database, where this connection keeps it for one.
    pub(super) fn let_go(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(c) => c.let_go(),
        }
    }

    /// Leaves the database in good order, as far as that needs anything.
    pub(super) fn close(self) {
        if let Self::Sqlite(c) = self {
            c.close();
        }
    }
}

//! What can go wrong with the store, as far as a caller has to tell it apart.

use std::path::PathBuf;

use postgres::error::SqlState;
use rusqlite::types::FromSqlError;

use crate::dispatch::AgentId;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bounded queue to the writer is full, or the writer did not answer in time; nothing was stored.
    #[error("the store has more to write than it can; try again in a moment")]
    Overloaded,
    /// SQLite refused.
    #[error("the store could not be used: {0}")]
    Sqlite(rusqlite::Error),
    /// PostgreSQL refused, or is not there.
    #[error("the store could not be used: {}", said(.0))]
    Postgres(#[from] postgres::Error),
    /// SQLite refused the transaction this was part of.
    #[error("the store could not be written: {0}")]
    Write(String),
    /// This worker no longer has the lane.
    #[error("this claim is over; another worker has the issue")]
    Stale,
    /// The agent took its last free place for another issue in the meantime.
    #[error("agent `{0}` has no free place any more")]
    AgentBusy(AgentId),
    /// Whoever claims an issue has claimed others in the meantime.
    #[error("`{0}` has claimed as many issues as they may")]
    ClaimLimit(String),
    /// Somebody of the rotation was asked about another issue in the meantime.
    #[error("rotation `{0}` has gone on")]
    DutyTaken(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// What was to be written panicked, which is a mistake of ours.
    #[error("an internal error of the store; please report it with the log around it")]
    Broken,
    /// A neighbour in the same transaction failed; run again alone.
    #[error("the transaction was undone")]
    Undone,
    /// A row does not say what it must.
    #[error("the store holds something unreadable: {0}; restore a backup or report this")]
    Unreadable(String),
    /// The file was written by a later version.
    #[error("`{}` was written by a later version of gitea-triage; use that version, or a backup from before it", .0)]
    TooNew(String),
    /// Services of an earlier version run on the store.
    #[error("services of an earlier version of gitea-triage run on `{}`; use that version, or replace them with this one first", .0)]
    TooOld(String),
    /// The file could not be brought to today's schema.
    #[error("`{place}` could not be migrated: {reason}; it was left as it was")]
    Migration {
        /// The database.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// Another `serve` has it open.
    #[error("`{}` is in use by another `gitea-triage serve`; stop that one, or give this one its own `store.url`", .0)]
    InUse(String),
    /// Copies of a database on a server are not ours to make.
    #[error(
        "the store is in PostgreSQL, whose own `pg_dump` and `pg_restore` make and bring back copies; see the page on scaling"
    )]
    Elsewhere,
    /// A copy from a place to itself.
    #[error(
        "`{0}` is both where the store is copied from and where it is copied to; name another place for one of them"
    )]
    SamePlace(String),
    /// The target of a copy holds a store.
    #[error("`{0}` holds a store already; copy to a place that is empty")]
    NotEmpty(String),
    /// What is there is a part of a copy.
    #[error(
        "`{place}` is an unfinished copy of `{from}`; finish it with `gitea-triage store copy`, or empty that place and start again"
    )]
    Unfinished {
        /// The target of the copy.
        place: String,
        /// Its source.
        from: String,
    },
    /// A copy was broken off.
    #[error("the copy was broken off; the same command goes on with it")]
    BrokenOff,
    /// The server cannot be used.
    #[error("`{place}` cannot be used: {reason}")]
    Server {
        /// Which one, without its password.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// The file cannot be opened.
    #[error("`{}` cannot be opened: {reason}; check that the folder exists and that this user may write there", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    /// What went wrong, without saying that it was the store.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Postgres(error) => said(error),
            other => other.to_string(),
        }
    }

    /// Whether another issue got first what was to be taken, so that this one is to be evaluated anew.
    pub fn is_race(&self) -> bool {
        matches!(self, Self::AgentBusy(_) | Self::ClaimLimit(_) | Self::DutyTaken(_))
    }
}

/// An error with all that led to it.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What the server said, or what happened on the way to it, and what can be done about it. The codes are those of
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn said(error: &postgres::Error) -> String {
    let said = match error.as_db_error() {
        Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        None => causes(error),
    };
    let cure = match error.code().map(SqlState::code) {
        Some("28000") if said.contains("no encryption") => {
            "this server wants it encrypted: write `sslmode=require` in `store.url`"
        }
        Some("28P01" | "28000") => {
            "check the user in `store.url` and the password in `store.password_file`"
        }
        Some("3D000") => "make the database with `createdb`, or correct `store.url`",
        Some("3F000") => "make the schema that `search_path` in `store.url` names",
        Some("42501") => "let this user create tables there: `GRANT CREATE ON SCHEMA … TO …`",
        Some("25006") => {
            "this server is a standby; name the primary, or all of them with `target_session_attrs=read-write`"
        }
        Some("53300") => "let the server take more connections (`max_connections`)",
        Some("53100") => "make room on the server's disk",
        Some(_) => return said,
        None if said.contains("not valid for name") => {
            "write the server in `store.url` by a name that stands in its certificate"
        }
        None if said.contains("certificate") => {
            "name the certificate of its authority in `SSL_CERT_FILE`, or write `sslmode=disable` where nobody can listen in"
        }
        None => {
            "check the address in `store.url`, and that the server is running and takes connections from here"
        }
    };
    format!("{said}; {cure}")
}

impl From<FromSqlError> for Error {
    fn from(error: FromSqlError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(_, _, why) => {
                Self::Unreadable(why.to_string())
            }
            other => Self::Sqlite(other),
        }
    }
}

impl Error {
    /// The same error for one more listener; SQLite's own errors cannot be cloned.
    pub(super) fn again(&self) -> Self {
        Self::Write(match self {
            Self::Sqlite(error) => error.to_string(),
            Self::Write(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Whether the device did not take what was committed.
    pub(super) fn is_failed_flush(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error().map(|error| error.extended_code),
            _ => None,
        };
        code == Some(rusqlite::ffi::SQLITE_IOERR_FSYNC)
    }

    /// The error a test asks the database for: `busy`, `full`, or the disk's.
    #[cfg(feature = "failpoints")]
    pub(super) fn injected(how: Option<String>) -> Self {
        let code = match how.as_deref() {
            Some("busy") => rusqlite::ffi::SQLITE_BUSY,
            Some("full") => rusqlite::ffi::SQLITE_FULL,
            _ => rusqlite::ffi::SQLITE_IOERR,
        };
        Self::Sqlite(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), how))
    }
}

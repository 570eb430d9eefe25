//! PostgreSQL, over a connection that is made when it is needed and made anew when it was lost. Whoever writes holds one
//! lock of the whole store, so that one transaction follows another as they do in SQLite, whichever process they are of.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::types::{IsNull, ToSql as Bind, Type, to_sql_checked};
use postgres::{Client, NoTls, Statement};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rustls_platform_verifier::BuilderVerifierExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dialect::for_postgres;
use super::news::{CHANNEL, News, said};
use super::{Flush, Row, Take};
use crate::store::error::causes;
use crate::store::{Error, OpenMode};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_millis(1_500);
/// How many statements a connection keeps prepared.
const PREPARED: usize = 512;
/// How many rows of a long answer come at once.
const AT_ONCE: usize = 256;
/// The lock of whoever writes into the store: a number of ours, and one of its schema, among all that use the same database.
const WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(19796, hashtext(current_schema()))";
/// The lock of services, for as long as the connection lasts: those that share a store hold it together, and who wants the
/// store alone holds it alone.
const SHARE: &str = "SELECT pg_advisory_lock_shared(19797, hashtext(current_schema()))";
const UNSHARE: &str = "SELECT pg_advisory_unlock_shared(19797, hashtext(current_schema()))";
const ALONE: &str = "SELECT pg_advisory_lock(19797, hashtext(current_schema()))";
const NOT_ALONE: &str = "SELECT pg_advisory_unlock(19797, hashtext(current_schema()))";
/// How long one waits for another, which the server may not know to be gone yet.
const SERVICE_WAIT: &str = "SET lock_timeout = '5s'";
/// What holds for each of our connections. Whoever holds the lock of those who write and says nothing more, as a process
/// that was stopped or a machine that is gone, is ended by the server. A stricter isolation would have whoever waited for
/// that lock see the store as it was before the wait.
const SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '20s';
    SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = warning;
    SET default_transaction_isolation = 'read committed'";
/// What `expect_schema` fails with.
const LATER: &str = "GTNEW";
/// How long a server may leave what was sent to it without a sign that it came, before the connection is given up.
const UNHEARD: Duration = Duration::from_secs(5);

/// A database on a server.
#[derive(Clone)]
pub(in crate::store) struct Server {
    config: Arc<postgres::Config>,
    /// How a connection is encrypted, where it may be.
    tls: Option<MakeRustlsConnect>,
    /// By which this process knows its own news.
    pub(super) sender: uuid::Uuid,
}

impl Server {
    /// The database that a connection string names.
    ///
    /// # Errors
    /// When it is none, or the certificates of this system cannot be read.
    pub(in crate::store) fn parse(
        url: &str,
        password: Option<&SecretString>,
    ) -> Result<Self, String> {
        let mut config: postgres::Config = url.parse().map_err(|e| causes(&e))?;
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let is_plain = is_local || config.get_ssl_mode() == SslMode::Disable;
        let tls = if is_plain { None } else { Some(tls().map_err(|e| causes(&e))?) };
        if config.get_application_name().is_none() {
            config.application_name("gitea-triage");
        }
        config.connect_timeout(CONNECT);
        config.tcp_user_timeout(UNHEARD).keepalives_idle(UNHEARD);
        Ok(Self { config: Arc::new(config), tls, sender: uuid::Uuid::new_v4() })
    }

    /// A connection that is made with the first question; of a service, it is the only one that has this.
    pub(in crate::store) fn session(&self, how: OpenMode) -> Session {
        Session {
            server: self.clone(),
            how,
            live: RefCell::default(),
            is_writing: Cell::new(false),
            news: RefCell::default(),
            schema: None,
        }
    }

    /// Where it is, with the options of its connections.
    pub(in crate::store) fn identity(&self) -> String {
        match self.config.get_options() {
            Some(options) => format!("{self} ({options})"),
            None => self.to_string(),
        }
    }

    /// A new connection, as it comes.
    pub(super) fn client(&self) -> Result<Client, postgres::Error> {
        match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        }
    }

    fn connect(&self, how: OpenMode) -> Result<Live, Error> {
        let mut client = self.client()?;
        let lock = match how {
            OpenMode::Exclusive => Some(ALONE),
            OpenMode::Service => Some(SHARE),
            OpenMode::Shared => None,
        };
        if let Some(lock) = lock {
            client.batch_execute(SERVICE_WAIT)?;
            let locked = client.batch_execute(lock);
            locked.map_err(|error| match error.code() {
                Some(&SqlState::LOCK_NOT_AVAILABLE) => Error::InUse(self.to_string()),
                _ => error.into(),
            })?;
        }
        client.batch_execute(SETTINGS)?;
        Ok(Live { client, prepared: HashMap::new() })
    }
}

/// As the certificates of this system allow it; `SSL_CERT_FILE` names others.
fn tls() -> Result<MakeRustlsConnect, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?;
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// Without the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hosts, ports) = (self.config.get_hosts(), self.config.get_ports());
        let places: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(folder) => format!("{}:{port}", folder.display()),
                }
            })
            .collect();
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        write!(f, "postgres://{user}@{}/{database}", places.join(","))
    }
}

/// A connection, or none yet.
pub(in crate::store) struct Session {
    server: Server,
    how: OpenMode,
    live: RefCell<Option<Live>>,
    /// Between the beginning and the end of a transaction that writes.
    is_writing: Cell<bool>,
    /// What the others are told when it is committed.
    news: RefCell<BTreeSet<News>>,
    /// The latest version of the schema that may be written.
    schema: Option<usize>,
}

struct Live {
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl Live {
    /// The statement, prepared on this connection.
    fn prepared(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.prepared.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(&for_postgres(sql))?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends a statement with its values, as `send` does.
    fn send<T>(
        &mut self,
        sql: &str,
        values: &[&dyn ToSql],
        send: impl FnOnce(&mut Client, &Statement, &[&(dyn Bind + Sync)]) -> Result<T, postgres::Error>,
    ) -> Result<T, Error> {
        let statement = self.prepared(sql)?;
        let bound = bind(values)?;
        let bound: Vec<&(dyn Bind + Sync)> = bound.iter().map(|one| one as _).collect();
        Ok(send(&mut self.client, &statement, &bound)?)
    }
}

impl Session {
    /// Does something with the connection, which is made first where there is none. One that turns out to be gone is made
    /// anew, but within a transaction, of which another connection would know nothing.
    fn live<T>(&self, f: impl Fn(&mut Live) -> Result<T, Error>) -> Result<T, Error> {
        let mut live = self.live.borrow_mut();
        let is_new = live.is_none();
        let done = self.try_live(&mut live, &f);
        if !done.as_ref().is_err_and(is_over) {
            return done;
        }
        *live = None;
        if is_new || self.is_writing.get() { done } else { self.try_live(&mut live, &f) }
    }

    fn try_live<T>(
        &self,
        live: &mut Option<Live>,
        f: impl Fn(&mut Live) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if live.is_none() && !self.is_writing.get() {
            *live = Some(self.server.connect(self.how)?);
        }
        live.as_mut().map_or(Err(Error::Closed), f)
    }

    pub(super) fn query(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        take: Take<'_>,
    ) -> Result<(), Error> {
        let rows =
            self.live(|live| live.send(sql, values, |c, sql, values| c.query(sql, values)))?;
        give(&rows, take).map(drop)
    }

    /// The same about many things at once: a parameter is the list of what each of them has for it.
    pub(in crate::store) fn query_lists(
        &self,
        sql: &str,
        lists: Vec<Vec<Value>>,
        take: Take<'_>,
    ) -> Result<(), Error> {
        let bound = |list: Vec<Value>| list.into_iter().map(Bound).collect::<Vec<_>>();
        let lists: Vec<_> = lists.into_iter().map(bound).collect();
        let lists: Vec<&(dyn Bind + Sync)> = lists.iter().map(|list| list as _).collect();
        let rows = self.live(|live| {
            let statement = live.prepared(sql)?;
            Ok(live.client.query(&statement, &lists)?)
        })?;
        give(&rows, take).map(drop)
    }

    /// By a cursor, which only lives in a transaction.
    pub(super) fn walk(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        take: Take<'_>,
    ) -> Result<(), Error> {
        if self.is_writing.get() {
            let walked = self.walk_cursor(sql, values, take);
            return walked.and_then(|()| self.batch("CLOSE walk"));
        }
        self.batch("BEGIN READ ONLY")?;
        let walked = self.walk_cursor(sql, values, take);
        let ended = self.batch("ROLLBACK");
        walked.and(ended)
    }

    fn walk_cursor(&self, sql: &str, values: &[&dyn ToSql], take: Take<'_>) -> Result<(), Error> {
        self.execute(&format!("DECLARE walk NO SCROLL CURSOR FOR {sql}"), values)?;
        let fetch = format!("FETCH FORWARD {AT_ONCE} FROM walk");
        loop {
            // Never prepared twice: what it gives is another thing each time.
            let rows = self.live(|live| Ok(live.client.query(&fetch, &[])?))?;
            let goes_on = give(&rows, take)?;
            if !goes_on || rows.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    pub(super) fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, Error> {
        let changed =
            self.live(|live| live.send(sql, values, |c, sql, values| c.execute(sql, values)))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.live(|live| Ok(live.client.batch_execute(sql)?))
    }

    /// Begins a transaction and takes the lock of whoever writes.
    pub(super) fn begin(&mut self, flush: Flush) -> Result<(), Error> {
        let later = match flush {
            Flush::First => "",
            Flush::Later => "SET LOCAL synchronous_commit = off;",
        };
        let expect = self.schema.map(|version| format!("; SELECT expect_schema({version})"));
        self.news.borrow_mut().clear();
        let begun =
            self.batch(&format!("BEGIN; {later} {WRITE_LOCK}{}", expect.unwrap_or_default()));
        if let Err(error) = begun {
            // Half begun, it would be in the way of the next.
            *self.live.borrow_mut() = None;
            let is_later = matches!(&error, Error::Postgres(error) if error.code().is_some_and(|code| code.code() == LATER));
            return Err(if is_later { Error::TooNew(self.server.to_string()) } else { error });
        }
        self.is_writing.set(true);
        Ok(())
    }

    pub(super) fn announce(&self, news: News) {
        self.news.borrow_mut().insert(news);
    }

    pub(super) fn expect_schema(&mut self, version: usize) {
        self.schema = Some(version);
    }

    /// Lets another service have the database.
    pub(super) fn let_go(&self) -> Result<(), Error> {
        match self.how {
            OpenMode::Exclusive => self.batch(NOT_ALONE),
            OpenMode::Service => self.batch(UNSHARE),
            OpenMode::Shared => Ok(()),
        }
    }

    /// Ends it, and tells the others of it with the same message.
    pub(super) fn end(&mut self, is_kept: bool) -> Result<(), Error> {
        let news = std::mem::take(self.news.get_mut());
        let ended = match (is_kept, news.is_empty()) {
            (false, _) => self.batch("ROLLBACK"),
            (true, true) => self.batch("COMMIT"),
            (true, false) => {
                let said = said(self.server.sender, &news);
                self.batch(&format!("SELECT pg_notify({CHANNEL}, '{said}'); COMMIT"))
            }
        };
        // Only now: a connection that is made anew knows of no transaction, and takes a `COMMIT` without a complaint.
        self.is_writing.set(false);
        if ended.is_err() {
            // Its transaction may still be open.
            *self.live.borrow_mut() = None;
        }
        ended
    }
}

/// Whether a connection is of no use any more: it is gone or going, or its server only reads.
fn is_over(error: &Error) -> bool {
    let Error::Postgres(error) = error else { return false };
    let code = error.code().map(SqlState::code);
    error.is_closed() || code.is_some_and(|code| code == "25006" || code.starts_with("57P"))
}

/// Gives rows to `take`; whether it wants more.
fn give(rows: &[postgres::Row], take: Take<'_>) -> Result<bool, Error> {
    for row in rows {
        let values = (0..row.len()).map(|at| row.try_get::<_, Raw>(at).map(|Raw(value)| value));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if !take(&Row::Read(&values))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What stands in a column, as one of SQLite's kinds of values.
struct Raw(Value);

impl<'a> postgres::types::FromSql<'a> for Raw {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::BOOL => Value::Integer(bool::from_sql(kind, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::VOID => Value::Null,
            _ => Value::Text(String::from_sql(kind, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A value on its way to a parameter, of whatever type the server expects there.
#[derive(Debug)]
struct Bound(Value);

fn bind(values: &[&dyn ToSql]) -> Result<Vec<Bound>, Error> {
    let bound = values.iter().map(|value| {
        Ok(Bound(match value.to_sql()? {
            ToSqlOutput::Owned(value) => value,
            ToSqlOutput::Borrowed(value) => owned(value)?,
            other => return Err(Error::Unreadable(format!("a value of no known kind: {other:?}"))),
        }))
    });
    bound.collect()
}

fn owned(value: ValueRef<'_>) -> Result<Value, Error> {
    Value::try_from(value).map_err(|e| Error::Unreadable(e.to_string()))
}

impl Bind for Bound {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (&self.0, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::INT8) => Bind::to_sql(number, kind, out),
            (Value::Integer(number), &Type::INT4) => {
                Bind::to_sql(&i32::try_from(*number)?, kind, out)
            }
            (Value::Integer(number), &Type::BOOL) => Bind::to_sql(&(*number != 0), kind, out),
            (Value::Integer(number), &Type::FLOAT8) => Bind::to_sql(&(*number as f64), kind, out),
            (Value::Integer(number), _) => Bind::to_sql(&number.to_string(), kind, out),
            (Value::Real(number), _) => Bind::to_sql(number, kind, out),
            // PostgreSQL keeps no character 0 in a text; people have no use for one.
            (Value::Text(text), _) if text.contains('\0') => {
                Bind::to_sql(&text.replace('\0', "\u{fffd}"), kind, out)
            }
            (Value::Text(text), _) => Bind::to_sql(text, kind, out),
            (Value::Blob(bytes), _) => Bind::to_sql(bytes, kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::store::rows::only;
    use crate::store::{fact, scratch, set_fact};

    /// The connection that is made anew would commit nothing, and the server would not mind.
    #[tokio::test]
    #[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
    async fn what_is_cut_off_before_its_commit_is_not_said_to_be_kept() {
        let (_folder, store) = scratch();
        let other = store.place().clone();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        let written = store.write(move |c| {
            set_fact(c, "cut", "off")?;
            let own: i64 = only(c, "SELECT pg_backend_pid()", [], |row| row.get(0))?;
            let end = "SELECT CAST(pg_terminate_backend(CAST(?1 AS INT), 10000) AS INT)";
            let ended: i64 = only(&other.reader()?, end, [own], |row| row.get(0))?;
            cut.store(ended == 1, Ordering::SeqCst);
            Ok(())
        });
        let written = written.await;
        assert!(is_cut.load(Ordering::SeqCst), "the connection was not cut");
        assert!(written.unwrap_err().to_string().contains("connection"));
        assert_eq!(store.read(|c| fact(c, "cut")).await.unwrap(), None);
        // The next one is kept again.
        store.write(|c| set_fact(c, "cut", "on")).await.unwrap();
        assert_eq!(store.read(|c| fact(c, "cut")).await.unwrap().as_deref(), Some("on"));
    }
}

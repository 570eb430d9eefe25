//! Writing down what arrived: all at once what waits for the same flush, where a server answers each statement.

use std::collections::HashSet;

use tokio::sync::OwnedSemaphorePermit;

use super::Error;
use super::engine::{Connection, News, Row, Session, Value, params};
use super::entries::keep;
use super::ids::{Ids, Key};
use super::rows::{insert, run};

/// What became of a delivery that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is on disk and will be processed.
    New,
    /// Its id had been seen before; that it came again is noted, nothing else is done.
    Duplicate,
}

/// A delivery that waits to be written.
pub(super) struct Arrived {
    pub(super) key: Key,
    pub(super) received_at: i64,
    pub(super) event: String,
    pub(super) scope: Option<String>,
    pub(super) body: Vec<u8>,
    /// Kept until the writer is through with it, also when nobody waits for that any more.
    pub(super) _place: OwnedSemaphorePermit,
}

/// Writes deliveries, and notes of those whose id is there that they came again.
pub(super) fn take_in(
    c: &Connection,
    ids: &Ids,
    arrived: &[&Arrived],
) -> Result<Vec<Accepted>, Error> {
    let accepted = match c {
        Connection::Sqlite(_) => arrived.iter().map(|one| take_one_in(c, ids, one)).collect(),
        Connection::Postgres(server) => send(server, arrived),
    };
    if accepted.as_ref().is_ok_and(|accepted| accepted.contains(&Accepted::New)) {
        c.announce(News::Arrived);
        boundary!("accept::inserted");
    }
    accepted
}

fn take_one_in(c: &Connection, ids: &Ids, one: &Arrived) -> Result<Accepted, Error> {
    let Arrived { key, received_at, event, scope, body, .. } = one;
    if let Some(seq) = ids.seen(c, key)? {
        repeated(c, seq, 1, *received_at)?;
        return Ok(Accepted::Duplicate);
    }
    let sql = "INSERT INTO delivery (id, origin, received_at, event, scope)
         VALUES (?1, 'webhook', ?2, ?3, ?4)";
    let seq = insert(c, "seq", sql, params![&key[..], received_at, event, scope])?;
    ids.remember(key.clone(), seq);
    keep(c, seq, body)?;
    Ok(Accepted::New)
}

/// Notes that a delivery came again.
pub(super) fn repeated(
    c: &Connection,
    seq: i64,
    times: u32,
    received_at: i64,
) -> Result<(), Error> {
    let sql = "UPDATE delivery SET repeats = repeats + ?3, repeated_at = ?2 WHERE seq = ?1";
    run(c, sql, params![seq, received_at, times])
}

/// How many bytes of bodies go to a server in one statement, which is in memory as a whole.
const AT_ONCE: usize = 4 << 20;

const TAKE_IN: &str = "WITH given AS (
        SELECT * FROM unnest(CAST(?1 AS BYTEA[]), CAST(?2 AS BIGINT[]), CAST(?3 AS TEXT[]), CAST(?4 AS TEXT[]), CAST(?5 AS BYTEA[]))
            AS given (id, received_at, event, scope, bytes)
    ), new AS (
        INSERT INTO delivery (id, origin, received_at, event, scope)
        SELECT id, 'webhook', received_at, event, scope FROM given ON CONFLICT (id) DO NOTHING RETURNING seq, id
    ), kept AS (
        INSERT INTO body SELECT seq, bytes FROM new JOIN given USING (id)
    )
    SELECT id FROM new";

const REPEATED: &str = "WITH again AS (
        SELECT id, count(*) AS times, max(received_at) AS at
        FROM unnest(CAST(?1 AS BYTEA[]), CAST(?2 AS BIGINT[])) AS again (id, received_at) GROUP BY id
    )
    UPDATE delivery SET repeats = repeats + again.times, repeated_at = again.at FROM again WHERE delivery.id = again.id";

/// The same for all of them in a statement or two.
fn send(server: &Session, arrived: &[&Arrived]) -> Result<Vec<Accepted>, Error> {
    let mut weight = 0;
    let statements = arrived.chunk_by(|one, _| {
        weight += one.body.len();
        let has_room = weight < AT_ONCE;
        weight *= usize::from(has_room);
        has_room
    });
    let mut accepted = Vec::with_capacity(arrived.len());
    for some in statements {
        accepted.extend(send_at_once(server, some)?);
    }
    Ok(accepted)
}

fn send_at_once(server: &Session, arrived: &[&Arrived]) -> Result<Vec<Accepted>, Error> {
    let mut seen = HashSet::new();
    let firsts: Vec<&Arrived> =
        arrived.iter().copied().filter(|one| seen.insert(&one.key)).collect();
    let mut new: HashSet<Vec<u8>> = HashSet::new();
    let lists = vec![
        list(&firsts, |one| Value::Blob(one.key.to_vec())),
        list(&firsts, |one| Value::Integer(one.received_at)),
        list(&firsts, |one| Value::Text(one.event.clone())),
        list(&firsts, |one| one.scope.clone().map_or(Value::Null, Value::Text)),
        list(&firsts, |one| Value::Blob(one.body.clone())),
    ];
    server.query_lists(TAKE_IN, lists, &mut |row: &Row<'_>| {
        new.insert(row.get(0)?);
        Ok(true)
    })?;
    let what = |one: &&Arrived| match new.remove(&one.key[..]) {
        true => Accepted::New,
        false => Accepted::Duplicate,
    };
    let accepted: Vec<_> = arrived.iter().map(what).collect();
    let both = arrived.iter().zip(&accepted);
    let again: Vec<&Arrived> =
        both.filter(|(_, what)| **what == Accepted::Duplicate).map(|(one, _)| *one).collect();
    if !again.is_empty() {
        let lists = vec![
            list(&again, |one| Value::Blob(one.key.to_vec())),
            list(&again, |one| Value::Integer(one.received_at)),
        ];
        server.query_lists(REPEATED, lists, &mut |_| Ok(true))?;
    }
    Ok(accepted)
}

/// What each has for one parameter.
fn list(of: &[&Arrived], value: impl Fn(&Arrived) -> Value) -> Vec<Value> {
    of.iter().map(|one| value(one)).collect()
}

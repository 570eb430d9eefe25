//! Statements that stay prepared, and what stands in columns: text that names something, JSON, and pairs that stand in
//! several tables.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::dispatch::{EffectKind, Mark};

/// Every row of an answer, as `read` reads it.
pub(super) fn all<T, A: FromIterator<T>>(
    c: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<A, Error> {
    Ok(c.prepare_cached(sql)?.query_map(values, read)?.collect::<Result<_, _>>()?)
}

/// The first row of an answer, if it has any.
pub(super) fn first<T>(
    c: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Error> {
    Ok(c.prepare_cached(sql)?.query_row(values, read).optional()?)
}

/// Changes rows.
pub(super) fn run(c: &Connection, sql: &str, values: impl Params) -> Result<(), Error> {
    changed(c, sql, values).map(drop)
}

/// Changes rows, and says how many.
pub(super) fn changed(c: &Connection, sql: &str, values: impl Params) -> Result<usize, Error> {
    Ok(c.prepare_cached(sql)?.execute(values)?)
}

struct Parsed<T>(T);

impl<T: FromStr<Err: Display>> FromSql for Parsed<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = value.as_str()?.parse().map(Self);
        parsed.map_err(|error: T::Err| FromSqlError::Other(error.to_string().into()))
    }
}

/// What the text of a column names.
pub(super) fn parsed<T: FromStr<Err: Display>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    row.get(column).map(|Parsed(parsed)| parsed)
}

/// The same of a column that may be empty.
pub(super) fn parsed_if_any<T: FromStr<Err: Display>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<_>>(column)?.map(|Parsed(parsed)| parsed))
}

/// What was put on an issue or taken off it.
pub(super) fn kind_and_value(row: &Row<'_>) -> rusqlite::Result<(EffectKind, String)> {
    Ok((parsed(row, 0)?, row.get(1)?))
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| unreadable(&e))
}

pub(super) fn unreadable(error: &dyn Display) -> Error {
    Error::Unreadable(error.to_string())
}

/// Those of the effects that stay on the issue to be seen.
pub(super) fn marks(written: Vec<(EffectKind, String)>) -> BTreeSet<Mark> {
    written.into_iter().filter_map(|(kind, value)| Mark::of(kind, value)).collect()
}

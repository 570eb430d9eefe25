//! Statements that stay prepared, and what stands in columns: text that names something, JSON, and pairs that stand in
//! several tables.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::engine::{
    Connection, FromSql, FromSqlError, FromSqlResult, Row, RowResult, ValueRef, Values,
};
use crate::dispatch::{EffectKind, Mark};

/// Every row of an answer, as `read` reads it.
pub(super) fn all<T, A: FromIterator<T>>(
    c: &Connection,
    sql: &str,
    values: impl Values,
    mut read: impl FnMut(&Row<'_>) -> RowResult<T>,
) -> Result<A, Error> {
    let mut found = Vec::new();
    c.query(sql, values, &mut |row| {
        found.push(read(row)?);
        Ok(true)
    })?;
    Ok(found.into_iter().collect())
}

/// The first row of an answer, if it has any.
pub(super) fn first<T>(
    c: &Connection,
    sql: &str,
    values: impl Values,
    read: impl FnOnce(&Row<'_>) -> RowResult<T>,
) -> Result<Option<T>, Error> {
    let (mut found, mut read) = (None, Some(read));
    c.query(sql, values, &mut |row| {
        found = read.take().map(|read| read(row)).transpose()?;
        Ok(false)
    })?;
    Ok(found)
}

/// The only row of an answer that always has one.
pub(super) fn only<T>(
    c: &Connection,
    sql: &str,
    values: impl Values,
    read: impl FnOnce(&Row<'_>) -> RowResult<T>,
) -> Result<T, Error> {
    first(c, sql, values, read)?.ok_or_else(|| unreadable(&"an answer without a row"))
}

/// Whether an answer has a row.
pub(super) fn is_any(c: &Connection, sql: &str, values: impl Values) -> Result<bool, Error> {
    Ok(first(c, sql, values, |_| Ok(()))?.is_some())
}

/// Changes rows.
pub(super) fn run(c: &Connection, sql: &str, values: impl Values) -> Result<(), Error> {
    changed(c, sql, values).map(drop)
}

/// Changes rows, and says how many.
pub(super) fn changed(c: &Connection, sql: &str, values: impl Values) -> Result<usize, Error> {
    c.execute(sql, values)
}

/// Inserts a row, and gives the number that it gets in the column `key`, its primary key.
pub(super) fn insert(
    c: &Connection,
    key: &str,
    sql: &str,
    values: impl Values,
) -> Result<i64, Error> {
    // SQLite knows the number without being asked for a row, which would cost it more than the insert.
    if let Connection::Sqlite(c) = c {
        return values.give(|values| c.insert(sql, values));
    }
    only(c, &format!("{sql} RETURNING {key}"), values, |row| row.get(0))
}

struct Parsed<T>(T);

impl<T: FromStr<Err: Display>> FromSql for Parsed<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = value.as_str()?.parse().map(Self);
        parsed.map_err(|error: T::Err| FromSqlError::Other(error.to_string().into()))
    }
}

/// What the text of a column names.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, column: usize) -> RowResult<T> {
    row.get(column).map(|Parsed(parsed)| parsed)
}

/// The same of a column that may be empty.
pub(super) fn parsed_if_any<T: FromStr<Err: Display>>(
    row: &Row<'_>,
    column: usize,
) -> RowResult<Option<T>> {
    Ok(row.get::<Option<_>>(column)?.map(|Parsed(parsed)| parsed))
}

/// What was put on an issue or taken off it.
pub(super) fn kind_and_value(row: &Row<'_>) -> RowResult<(EffectKind, String)> {
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

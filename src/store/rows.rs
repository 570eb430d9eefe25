//! Reading columns: text that names something, and times.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;

use crate::plan::EffectKind;

/// What the text of a column names.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: Display,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string().into();
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    })
}

/// What was put on an issue or taken off it.
pub(super) fn kind_and_value(row: &Row<'_>) -> rusqlite::Result<(EffectKind, String)> {
    Ok((parsed(row, 0)?, row.get(1)?))
}

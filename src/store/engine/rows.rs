//! Values that go to a database, and rows that come back. SQLite's five kinds of values are all there are: PostgreSQL's
//! are read as those.

use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Error, ToSql};

/// What reading a row gives.
pub(in crate::store) type RowResult<T> = rusqlite::Result<T>;

/// One row of an answer.
pub(in crate::store) enum Row<'a> {
    /// As SQLite holds it.
    Sqlite(&'a rusqlite::Row<'a>),
    /// As it came over the wire.
    Read(&'a [Value]),
}

impl Row<'_> {
    /// What stands in a column, counted from 0.
    pub(in crate::store) fn get<T: FromSql>(&self, column: usize) -> RowResult<T> {
        match self {
            Self::Sqlite(row) => row.get(column),
            Self::Read(_) => {
                let value = self.get_ref(column)?;
                T::column_result(value).map_err(|why| {
                    Error::FromSqlConversionFailure(column, value.data_type(), Box::new(why))
                })
            }
        }
    }

    /// The same, as it is kept.
    pub(in crate::store) fn get_ref(&self, column: usize) -> RowResult<ValueRef<'_>> {
        match self {
            Self::Sqlite(row) => row.get_ref(column),
            Self::Read(values) => {
                values.get(column).map(ValueRef::from).ok_or(Error::InvalidColumnIndex(column))
            }
        }
    }
}

/// Whoever is given the rows of an answer, one by one; `false` when it wants no more.
pub(in crate::store) type Take<'a> =
    &'a mut dyn FnMut(&Row<'_>) -> Result<bool, crate::store::Error>;

macro_rules! read_as_tuple {
    ($($column:tt $part:ident),+) => {
        impl<$($part: FromSql),+> TryFrom<&Row<'_>> for ($($part,)+) {
            type Error = Error;
            fn try_from(row: &Row<'_>) -> RowResult<Self> {
                Ok(($(row.get::<$part>($column)?,)+))
            }
        }
    };
}
read_as_tuple!(0 A, 1 B);
read_as_tuple!(0 A, 1 B, 2 C);
read_as_tuple!(0 A, 1 B, 2 C, 3 D);
read_as_tuple!(0 A, 1 B, 2 C, 3 D, 4 E);

/// The values of a statement's parameters, from `?1` on.
pub(in crate::store) trait Values {
    /// Gives them to whoever binds them.
    fn give<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R;
}

impl Values for &[&dyn ToSql] {
    fn give<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        to(self)
    }
}

/// Of a statement without parameters.
impl Values for [&dyn ToSql; 0] {
    fn give<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        to(&[])
    }
}

macro_rules! bind_array {
    ($($size:literal)+) => {$(
        impl<T: ToSql> Values for [T; $size] {
            fn give<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
                to(&self.each_ref().map(|value| value as &dyn ToSql))
            }
        }
    )+};
}
bind_array!(1 2 3 4 5);

macro_rules! bind_tuple {
    ($($part:ident)+) => {
        impl<$($part: ToSql),+> Values for ($($part,)+) {
            #[allow(non_snake_case, reason = "each part is called as its type")]
            fn give<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
                let ($($part,)+) = &self;
                to(&[$($part as &dyn ToSql),+])
            }
        }
    };
}
bind_tuple!(A B);
bind_tuple!(A B C);

//! The schema and its history. Migrations only go forward; a released one is never edited.

use std::path::Path;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::Error;

const STEPS: &[M<'static>] =
    &[M::up(include_str!("schema/1-first.sql")), M::up(include_str!("schema/2-facts.sql"))];

/// Brings the database to today's schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let migrations = Migrations::from_slice(STEPS);
    let failed = |e: rusqlite_migration::Error| Error::Migration {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    match migrations.current_version(connection).map_err(failed)? {
        SchemaVersion::Outside(_) => Err(Error::TooNew(path.to_owned())),
        SchemaVersion::Inside(n) if n.get() == STEPS.len() => Ok(()),
        SchemaVersion::Inside(_) | SchemaVersion::NoneSet => {
            migrations.to_latest(connection).map_err(failed)
        }
    }
}

/// Whether a file is a store, of today's version or an earlier one; changes nothing.
pub(super) fn must_be_known(connection: &Connection, path: &Path) -> Result<(), Error> {
    let reason = match Migrations::from_slice(STEPS).current_version(connection) {
        Ok(SchemaVersion::Inside(_)) => return Ok(()),
        Ok(SchemaVersion::Outside(_)) => return Err(Error::TooNew(path.to_owned())),
        Ok(SchemaVersion::NoneSet) => "it is no store".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::Open { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::super::pages::LaneState;
    use super::super::summaries::SummaryState;
    use super::*;
    use crate::delivery::{DeliveryState, Origin};
    use crate::dispatch::DispatchState;
    use crate::plan::{EffectKind, EffectState, Recovery, Subject, WriteOrigin};
    use crate::triage::Action;

    #[test]
    fn the_steps_build_a_valid_schema() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }

    /// The names that the schema allows in a column.
    fn allowed(connection: &Connection, table: &str, column: &str) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1";
        let sql: String = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
        let list = sql.split(&format!("CHECK ({column} IN")).nth(1).unwrap();
        let list = list.trim_start().strip_prefix('(').unwrap().split(')').next().unwrap();
        list.split(',').map(|name| name.trim().trim_matches('\'').to_owned()).collect()
    }

    #[test]
    fn the_schema_allows_the_names_of_the_enums_and_no_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("names.db")).unwrap();
        for (table, column, names) in [
            ("delivery", "origin", Origin::NAMES),
            ("delivery", "state", DeliveryState::NAMES),
            ("dispatch", "state", DispatchState::NAMES),
            ("effect", "kind", EffectKind::NAMES),
            ("effect", "origin", WriteOrigin::NAMES),
            ("effect", "recovery", Recovery::NAMES),
            ("effect", "state", EffectState::NAMES),
            ("effect", "subject", Subject::NAMES),
            ("evaluation", "action", Action::NAMES),
            ("lane", "state", LaneState::NAMES),
            ("summary", "state", SummaryState::NAMES),
        ] {
            assert_eq!(allowed(&connection, table, column), names, "{table}.{column}");
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection, Path::new("later.db")).unwrap_err();
        assert!(error.to_string().contains("later version"), "{error}");
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, 99);
    }
}

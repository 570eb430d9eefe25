//! The schema and its history, of each engine: the steps of both have the same numbers. Migrations only go forward; a
//! released one is never edited.

use std::path::Path;

use rusqlite::TransactionBehavior;
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::engine::{Connection, Flush, open_error};
use super::rows::{first, only, run};
use super::{Error, Place};

const STEPS: &[M<'static>] = &[
    M::up(include_str!("schema/1-first.sql")),
    M::up(include_str!("schema/2-facts.sql")),
    M::up(include_str!("schema/3-identity.sql")),
    M::up(include_str!("schema/4-orders.sql")),
    M::up(include_str!("schema/5-repositories.sql")),
    M::up(include_str!("schema/6-sessions.sql")),
    M::up(include_str!("schema/7-authors.sql")),
    M::up(include_str!("schema/8-from-before.sql")),
    M::up(include_str!("schema/9-wordings.sql")),
    M::up(include_str!("schema/10-approvals.sql")),
    M::up(include_str!("schema/11-people.sql")),
    M::up(include_str!("schema/12-runs.sql")),
    M::up(include_str!("schema/13-turns.sql")),
    M::up(include_str!("schema/14-budgets.sql")),
    M::up(include_str!("schema/15-replicas.sql")),
    M::up(include_str!("schema/16-pauses.sql")),
];
/// The version of the schema that this program writes.
pub const VERSION: usize = STEPS.len();
/// What the steps build in an empty file, in one go: a column that a step renames costs a start more than all the
/// tables together. Written by a test, which compares the two.
const NEWEST: &str = include_str!("schema/newest.sql");

/// The steps on PostgreSQL, which begin with the first that there was one for.
const POSTGRES_STEPS: &[(usize, &str)] = &[
    (14, include_str!("schema/postgres/14-first.sql")),
    (15, include_str!("schema/postgres/15-replicas.sql")),
    (16, include_str!("schema/postgres/16-pauses.sql")),
];

/// Brings the database to today's schema.
pub(super) fn migrate(connection: &mut Connection, place: &Place) -> Result<(), Error> {
    match connection {
        Connection::Sqlite(c) => migrate_sqlite(c.inner(), &place.to_string()),
        Connection::Postgres(_) => {
            must_be_usable(connection, place)?;
            migrate_postgres(connection, place)?;
            connection.expect_schema(VERSION);
            Ok(())
        }
    }
}

/// The oldest PostgreSQL that is taken, as `server_version_num` has it.
const OLDEST_SERVER: i64 = 140_000;

/// Whether a server knows what we ask of it.
fn must_be_usable(c: &Connection, place: &Place) -> Result<(), Error> {
    let sql = "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding'),
                   current_setting('server_version')";
    let (number, encoding, version): (i64, String, String) =
        only(c, sql, [], |r| r.try_into()).map_err(|error| place.refused(error))?;
    if number < OLDEST_SERVER {
        return Err(place.error(format!("it is PostgreSQL {version}; use 14 or newer")));
    }
    if encoding != "UTF8" {
        let cure = "make one with `createdb --encoding UTF8 --template template0`";
        return Err(place.error(format!("the database keeps text as {encoding}; {cure}")));
    }
    Ok(())
}

fn migrate_sqlite(connection: &mut rusqlite::Connection, place: &str) -> Result<(), Error> {
    let migrations = Migrations::from_slice(STEPS);
    let failed = |e: rusqlite_migration::Error| Error::Migration {
        place: place.to_owned(),
        reason: e.to_string(),
    };
    match migrations.current_version(connection).map_err(failed)? {
        SchemaVersion::Outside(_) => Err(Error::TooNew(place.to_owned())),
        SchemaVersion::Inside(n) if n.get() == STEPS.len() => Ok(()),
        SchemaVersion::NoneSet => {
            create(connection)?;
            migrations.to_latest(connection).map_err(failed)
        }
        SchemaVersion::Inside(_) => migrations.to_latest(connection).map_err(failed),
    }
}

/// Builds the newest schema, where nothing was built before.
fn create(connection: &mut rusqlite::Connection) -> Result<(), Error> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)";
    if change.query_row(is_empty, [], |row| row.get(0))? {
        change.execute_batch(NEWEST)?;
        change.pragma_update(None, "user_version", STEPS.len())?;
    }
    Ok(change.commit()?)
}

/// Takes the steps that are missing, all in one transaction, which PostgreSQL can undo as a whole. Where none is, nobody
/// waits for whoever writes.
fn migrate_postgres(connection: &mut Connection, place: &Place) -> Result<(), Error> {
    if version(connection).map_err(|error| place.refused(error))? == STEPS.len() {
        return Ok(());
    }
    let failed =
        |error: Error| Error::Migration { place: place.to_string(), reason: error.reason() };
    connection.begin(Flush::First).map_err(|error| place.refused(error))?;
    let taken = take_steps(connection, place);
    let ended = connection.end(taken.is_ok()).map_err(failed);
    match taken {
        Err(error @ Error::TooNew(_)) => Err(error),
        taken => taken.map_err(failed).and(ended),
    }
}

/// The last step that was taken on a server; 0 before the first.
pub(super) fn version(c: &Connection) -> Result<usize, Error> {
    let is_new = "SELECT to_regclass('schema_version') IS NULL";
    if only(c, is_new, [], |r| r.get(0))? {
        return Ok(0);
    }
    let version = first(c, "SELECT version FROM schema_version", [], |r| r.get(0))?;
    Ok(version.unwrap_or(0))
}

fn take_steps(c: &Connection, place: &Place) -> Result<(), Error> {
    // Another process may have taken them meanwhile.
    let version = version(c)?;
    if version > STEPS.len() {
        return Err(Error::TooNew(place.to_string()));
    }
    for (_, step) in POSTGRES_STEPS.iter().filter(|(number, _)| *number > version) {
        c.batch(step)?;
    }
    if version == STEPS.len() {
        return Ok(());
    }
    c.batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")?;
    c.batch("DELETE FROM schema_version")?;
    run(c, "INSERT INTO schema_version VALUES (?1)", [STEPS.len()])
}

/// Whether a file is a store, of today's version or an earlier one; changes nothing.
pub(super) fn must_be_known(connection: &rusqlite::Connection, path: &Path) -> Result<(), Error> {
    let reason = match Migrations::from_slice(STEPS).current_version(connection) {
        Ok(SchemaVersion::Inside(_)) => return Ok(()),
        Ok(SchemaVersion::Outside(_)) => return Err(Error::TooNew(path.display().to_string())),
        Ok(SchemaVersion::NoneSet) => "it is no store".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(open_error(path, reason))
}

#[cfg(test)]
mod tests {
    use super::super::pages::LaneState;
    use super::super::runs::RunState;
    use super::super::summaries::SummaryState;
    use rusqlite::Connection;

    use super::*;
    use crate::delivery::{DeliveryState, Origin};
    use crate::dispatch::DispatchState;
    use crate::dispatch::run::{RunOutcome, ToolKind};
    use crate::plan::{EffectKind, EffectState, Recovery, Subject, WriteOrigin};
    use crate::triage::{Action, OrderState, Way};

    #[test]
    fn the_steps_build_a_valid_schema() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }

    /// Each table, index and trigger as the database keeps it, in the order in which they can be made.
    fn objects(c: &Connection) -> Vec<String> {
        let sql = "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type <> 'table', name";
        let mut query = c.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn an_empty_file_gets_the_newest_schema_that_the_steps_build() {
        let (mut stepped, mut created) =
            (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        Migrations::from_slice(STEPS).to_latest(&mut stepped).unwrap();
        let head = "-- The schema of an empty store. Made of the numbered steps: `NEWEST_SCHEMA=write cargo test newest`.";
        let newest = format!("{head}\n{}\n", objects(&stepped).join("\n"));
        if std::env::var_os("NEWEST_SCHEMA").is_some() {
            std::fs::write("src/store/schema/newest.sql", &newest).unwrap();
            return;
        }
        migrate_sqlite(&mut created, "created.db").unwrap();
        assert_eq!(
            objects(&created),
            objects(&stepped),
            "run `NEWEST_SCHEMA=write cargo test newest`"
        );
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
        migrate_sqlite(&mut connection, "names.db").unwrap();
        for (table, column, names) in [
            ("approval", "way", Way::NAMES),
            ("command", "state", OrderState::NAMES),
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
            ("run", "outcome", RunOutcome::NAMES),
            ("run_permit", "kind", ToolKind::NAMES),
            ("run", "state", RunState::NAMES),
            ("summary", "state", SummaryState::NAMES),
        ] {
            assert_eq!(allowed(&connection, table, column), names, "{table}.{column}");
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate_sqlite(&mut connection, "later.db").unwrap_err();
        assert!(error.to_string().contains("later version"), "{error}");
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, 99);
    }
}

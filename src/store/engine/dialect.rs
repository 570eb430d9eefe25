//! The few words in which the SQL of SQLite and of PostgreSQL differ: the statements are written for SQLite, and said
//! to PostgreSQL as it knows them.

use std::sync::LazyLock;

use regex::Regex;

/// A parameter; SQLite's hints by which index a question is answered, which PostgreSQL finds out by itself.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static SQLITE_ONLY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\?([0-9])| NOT INDEXED\b| INDEXED BY \w+|\b(CROSS )JOIN\b| \+([a-z])| COLLATE NOCASE",
    )
    .expect("a valid pattern")
});

/// A statement as PostgreSQL takes it.
pub(super) fn for_postgres(sql: &str) -> String {
    let said = SQLITE_ONLY.replace_all(sql, |found: &regex::Captures<'_>| {
        let part = |group| found.get(group).map(|part| part.as_str());
        match (part(1), part(2), part(3)) {
            (Some(number), _, _) => format!("${number}"),
            (_, Some(_), _) => "JOIN".to_owned(),
            (_, _, Some(letter)) => format!(" {letter}"),
            _ if found[0].ends_with("NOCASE") => " COLLATE nocase".to_owned(),
            _ => String::new(),
        }
    });
    said.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_and_parameters_are_said_as_postgresql_knows_them() {
        for (sqlite, postgres) in [
            (
                "SELECT 1 FROM t WHERE a = ?1 AND b = ?12",
                "SELECT 1 FROM t WHERE a = $1 AND b = $12",
            ),
            ("FROM t INDEXED BY t_a WHERE", "FROM t WHERE"),
            ("FROM t NOT INDEXED ORDER", "FROM t ORDER"),
            ("FROM a CROSS JOIN b ON b.a = a.id", "FROM a JOIN b ON b.a = a.id"),
            ("WHERE +action = 'x' AND a + b > 1", "WHERE action = 'x' AND a + b > 1"),
            ("WHERE repo COLLATE NOCASE = ?1", "WHERE repo COLLATE nocase = $1"),
        ] {
            assert_eq!(for_postgres(sqlite), postgres);
        }
    }
}

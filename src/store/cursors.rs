//! How far the sweep has come in each repository.

use rusqlite::Row;

use super::rows::parsed;
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::issue::RepoName;

/// How far the sweep has come in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepCursor {
    /// The repository, as the forge spells it.
    pub repo: RepoName,
    /// When the last pass began.
    pub passed_at: Timestamp,
    /// When the last full pass began.
    pub full_at: Timestamp,
    /// When the last pass began, on the forge's clock.
    pub since: Timestamp,
}

impl Store {
    /// How far the sweep has come in a repository, whatever the case of its name.
    pub async fn sweep_cursor(&self, repo: &RepoName) -> Result<Option<SweepCursor>, Error> {
        let repo = repo.to_string();
        let all = self.sweep_cursors().await?;
        Ok(all.into_iter().find(|c| c.repo.to_string().eq_ignore_ascii_case(&repo)))
    }

    /// How far the sweep has come in every repository it ever read.
    pub async fn sweep_cursors(&self) -> Result<Vec<SweepCursor>, Error> {
        self.read(|c| {
            let mut rows = c.prepare_cached("SELECT repo, passed_at, full_at, since FROM sweep")?;
            Ok(rows.query_map([], cursor)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Keeps how far the sweep has come.
    pub async fn keep_sweep_cursor(&self, cursor: SweepCursor) -> Result<(), Error> {
        self.write(move |c| {
            let repo = cursor.repo.to_string();
            // The forge may spell the name in another case than it did.
            c.execute("DELETE FROM sweep WHERE repo = ?1 COLLATE NOCASE", [&repo])?;
            let at = [cursor.passed_at, cursor.full_at, cursor.since];
            let at = at.map(|t| t.timestamp_millis());
            c.execute("INSERT INTO sweep VALUES (?1, ?2, ?3, ?4)", (repo, at[0], at[1], at[2]))?;
            Ok(())
        })
        .await
    }

    /// The repositories that any delivery or sweep ever led to.
    pub async fn known_repos(&self) -> Result<Vec<RepoName>, Error> {
        self.read(|c| {
            let mut rows =
                c.prepare_cached("SELECT repo FROM sweep UNION SELECT repo FROM lane")?;
            Ok(rows.query_map([], |row| parsed(row, 0))?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn cursor(row: &Row<'_>) -> rusqlite::Result<SweepCursor> {
    let at = |column| row.get::<_, i64>(column).map(from_millis);
    Ok(SweepCursor { repo: parsed(row, 0)?, passed_at: at(1)?, full_at: at(2)?, since: at(3)? })
}

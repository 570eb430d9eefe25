//! What the local agent noted about repositories. A small memory: the oldest notes go when there are too many.

use rusqlite::params;

use super::{Error, Store};
use crate::clock::Timestamp;
use crate::issue::RepoName;

/// How many notes a repository has at most.
const MOST: u32 = 100;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    /// What it is about; one note a topic.
    pub topic: String,
    /// What is to be remembered.
    pub text: String,
}

impl Store {
    /// Keeps a note, in place of the one of its topic.
    pub async fn jot(&self, repo: &RepoName, note: StoredNote, at: Timestamp) -> Result<(), Error> {
        let repo = repo.to_string();
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO note (repo, topic, text, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET text = excluded.text, at = excluded.at",
            )?
            .execute(params![repo, note.topic, note.text, at.timestamp_millis()])?;
            c.prepare_cached(
                "DELETE FROM note WHERE repo = ?1 AND topic NOT IN
                 (SELECT topic FROM note WHERE repo = ?1 ORDER BY at DESC, topic LIMIT ?2)",
            )?
            .execute(params![repo, MOST])?;
            Ok(())
        })
        .await
    }

    /// The notes about a repository, the newest first.
    pub async fn notes(&self, repo: &RepoName) -> Result<Vec<StoredNote>, Error> {
        let repo = repo.to_string();
        self.read(move |c| {
            let mut rows = c.prepare_cached(
                "SELECT topic, text FROM note WHERE repo = ?1 ORDER BY at DESC, topic",
            )?;
            let note = |r: &rusqlite::Row<'_>| Ok(StoredNote { topic: r.get(0)?, text: r.get(1)? });
            Ok(rows.query_map([repo], note)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::scratch;
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_topic_has_one_note_and_the_oldest_notes_go() {
        let (_folder, store) = scratch();
        let repo: RepoName = "acme/widgets".parse().unwrap();
        let now = Clock::System.now();
        for n in 0..=i64::from(MOST) {
            let note = StoredNote { topic: format!("topic {n}"), text: "one".into() };
            store.jot(&repo, note, now + TimeDelta::seconds(n)).await.unwrap();
        }
        let again = StoredNote { topic: "topic 50".into(), text: "two".into() };
        store.jot(&repo, again.clone(), now + TimeDelta::hours(1)).await.unwrap();
        let notes = store.notes(&"ACME/widgets".parse().unwrap()).await.unwrap();
        assert_eq!(notes.len(), MOST as usize);
        assert_eq!(notes[0], again);
        assert!(notes.iter().all(|note| note.topic != "topic 0"));
        assert!(store.notes(&"acme/other".parse().unwrap()).await.unwrap().is_empty());
    }
}

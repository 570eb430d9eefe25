//! What issues say, by the words that tell most: which older issues have words in common with one. How like they are is
//! not decided here.

use std::collections::HashMap;

use super::engine::{Connection, Flush, Row, RowResult, params};
use super::rows::{all, changed, first, run};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::issue::IssueNumber;
use crate::triage::{Lookup, Neighbour, Neighbours, Word};

/// By how many of its words an issue is found. Each one more is a page that its change writes.
const KEYS: usize = 16;
/// How many of these are the words that tell most. The others are those by which the fewest issues are found: where a word
/// has more issues than are looked at, the newer ones hide the older ones.
const TELLING: usize = 6;
/// How many words of an issue others are looked for by.
const LOOKED_UP: usize = 64;
/// How many of the newest issues tell how usual a word is in the repository.
const SAMPLE: usize = 128;
/// How many issues of a word are looked at, the newest first, and how many of all are compared.
const OF_A_WORD: u32 = 32;
const COMPARED: usize = 12;
/// How many are removed in one step, so that no step keeps the writer for long.
const STEP: usize = 50;

/// An issue by the forge's id of its repository, which no rename changes.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// The forge's id of the repository.
    pub repo: i64,
    /// The number of the issue.
    pub number: IssueNumber,
}

impl Store {
    /// Keeps the words of an issue, and when it was closed; without words, nothing more is kept of it. What is kept
    /// already costs no write.
    pub async fn keep_wording(
        &self,
        at: Numbered,
        words: Option<Vec<Word>>,
        closed_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let closed_at = closed_at.map(|at| at.timestamp_millis());
        let change = self.read(move |c| change(c, at, words, closed_at)).await?;
        let Some(words) = change else { return Ok(()) };
        // It is kept anew when it is lost with the evaluation that follows.
        let keep = move |c: &Connection| keep(c, at, words.as_deref(), closed_at);
        self.inner.writer.write(Flush::Later, keep).await
    }

    /// The older issues that have words in common with one.
    pub async fn neighbours(&self, lookup: Lookup) -> Result<Neighbours, Error> {
        self.read(move |c| neighbours(c, &lookup)).await
    }

    /// Removes one step's worth of issues that were closed before a time, or of all of them; the number removed. Call
    /// again until it is 0.
    pub async fn prune_wordings(&self, closed_before: Option<Timestamp>) -> Result<usize, Error> {
        let before = closed_before.map(|at| at.timestamp_millis());
        let old = move |c: &Connection| match before {
            Some(at) => all::<_, Vec<_>>(c, OLD, params![at, STEP], numbered),
            None => all(c, "SELECT repo_id, number FROM wording LIMIT ?1", [STEP], numbered),
        };
        if self.read(old).await?.is_empty() {
            return Ok(0);
        }
        self.write(move |c| {
            let old = old(c)?;
            old.iter().try_for_each(|at| remove(c, *at))?;
            Ok(old.len())
        })
        .await
    }
}

const OLD: &str = "SELECT repo_id, number FROM wording
                   WHERE closed_at IS NOT NULL AND closed_at < ?1 LIMIT ?2";

/// What is to be kept in place of what is; `None` where it is the same.
fn change(
    c: &Connection,
    at: Numbered,
    words: Option<Vec<Word>>,
    closed_at: Option<i64>,
) -> Result<Option<Option<Vec<Word>>>, Error> {
    let known = "SELECT closed_at, words FROM wording WHERE repo_id = ?1 AND number = ?2";
    let known: Option<(Option<i64>, Vec<u8>)> =
        first(c, known, params![at.repo, at.number], |r| r.try_into())?;
    let Some(words) = words else { return Ok(known.map(|_| None)) };
    if let Some((known_closed_at, known)) = known {
        let (mut old, mut new) = (unpack(&known), words.clone());
        old.sort_unstable();
        new.sort_unstable();
        if old == new {
            // In the order in which it is kept, so that it is found by the same words.
            return Ok((known_closed_at != closed_at).then(|| Some(unpack(&known))));
        }
    }
    let usual = Sample::read(c, at)?.usual(words.iter().copied());
    let keys = keys(c, at.repo, &usual, &words)?;
    Ok(Some(Some(keys)))
}

/// The words, those first by which the issue is to be found.
fn keys(c: &Connection, repo: i64, usual: &Neighbours, words: &[Word]) -> Result<Vec<Word>, Error> {
    let mut weighed: Vec<_> = words.iter().map(|word| (usual.weight(*word), *word)).collect();
    weighed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let sql = "SELECT count(*) FROM (SELECT 1 FROM word WHERE repo_id = ?1 AND word = ?2 LIMIT ?3) AS found";
    for (weight, word) in weighed.iter_mut().take(LOOKED_UP).skip(TELLING) {
        let found = first(c, sql, params![repo, word.key(), OF_A_WORD], |r| r.get(0))?;
        *weight *= rarity(found.unwrap_or_default());
    }
    let end = weighed.len().min(LOOKED_UP);
    let rest = weighed.get_mut(TELLING..end).unwrap_or_default();
    rest.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Ok(weighed.into_iter().map(|(_, word)| word).collect())
}

/// How much more a word tells, the fewer issues are found by it.
fn rarity(found: u32) -> f64 {
    (1.0 + f64::from(OF_A_WORD) / f64::from(found + 1)).ln()
}

fn keep(
    c: &Connection,
    at: Numbered,
    words: Option<&[Word]>,
    closed_at: Option<i64>,
) -> Result<(), Error> {
    let Some(words) = words else { return remove(c, at) };
    let Numbered { repo, number } = at;
    let blob: Vec<u8> = words.iter().flat_map(|word| word.bits().to_le_bytes()).collect();
    let close =
        "UPDATE wording SET closed_at = ?3 WHERE repo_id = ?1 AND number = ?2 AND words = ?4";
    if changed(c, close, params![repo, number, closed_at, blob])? == 1 {
        return Ok(());
    }
    remove(c, at)?;
    let insert = "INSERT INTO wording (repo_id, number, closed_at, words) VALUES (?1, ?2, ?3, ?4)";
    run(c, insert, params![repo, number, closed_at, blob])?;
    let insert = "INSERT INTO word VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    let mut keys = words.iter().take(KEYS);
    keys.try_for_each(|word| run(c, insert, params![repo, word.key(), number]))
}

fn remove(c: &Connection, at: Numbered) -> Result<(), Error> {
    let Numbered { repo, number } = at;
    let sql = "DELETE FROM wording WHERE repo_id = ?1 AND number = ?2 RETURNING words";
    let Some(words) = first(c, sql, (repo, number), |r| r.get::<Vec<u8>>(0))? else {
        return Ok(());
    };
    let sql = "DELETE FROM word WHERE repo_id = ?1 AND word = ?2 AND number = ?3";
    let words = unpack(&words);
    words.iter().take(KEYS).try_for_each(|word| run(c, sql, params![repo, word.key(), number]))
}

fn neighbours(c: &Connection, lookup: &Lookup) -> Result<Neighbours, Error> {
    let sample = Sample::read(c, Numbered { repo: lookup.repo, number: lookup.number })?;
    let issues = candidates(c, lookup, &sample)?;
    let theirs = issues.iter().flat_map(|one| &one.words).copied();
    let usual = sample.usual(lookup.words.iter().copied().chain(theirs));
    Ok(Neighbours { issues, ..usual })
}

/// The issues that have most in common with one, by the words that tell most in it.
fn candidates(c: &Connection, lookup: &Lookup, sample: &Sample) -> Result<Vec<Neighbour>, Error> {
    let usual = sample.usual(lookup.words.iter().copied());
    let mut words: Vec<_> =
        lookup.words.iter().map(|word| (usual.weight(*word), word.key())).collect();
    words.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let with = "SELECT number FROM word WHERE repo_id = ?1 AND word = ?2 AND number < ?3
                ORDER BY number DESC LIMIT ?4";
    let mut common: HashMap<IssueNumber, f64> = HashMap::new();
    for (weight, key) in words.into_iter().take(LOOKED_UP) {
        let values = params![lookup.repo, key, lookup.number, OF_A_WORD];
        let found: Vec<IssueNumber> = all(c, with, values, |r| r.get(0))?;
        let weight = weight * rarity(u32::try_from(found.len()).unwrap_or(OF_A_WORD));
        found.into_iter().for_each(|number| *common.entry(number).or_default() += weight);
    }
    let mut ranked: Vec<_> = common.into_iter().collect();
    ranked.sort_by(|(a, most), (b, least)| least.total_cmp(most).then(a.cmp(b)));
    let sql = "SELECT closed_at, words FROM wording
               WHERE repo_id = ?1 AND number = ?2 AND (closed_at IS NULL OR closed_at >= ?3)";
    let since = lookup.closed_since.timestamp_millis();
    let read = |(number, _)| {
        let found = first(c, sql, params![lookup.repo, number, since], |r| {
            let closed_at = r.get::<Option<i64>>(0)?.map(from_millis);
            Ok(Neighbour { number, closed_at, words: unpack(r.get_ref(1)?.as_blob()?) })
        });
        found.transpose()
    };
    ranked.into_iter().filter_map(read).take(COMPARED).collect()
}

/// The words of the newest issues of a repository but one, in order: sorted once, they are counted by searching.
struct Sample {
    size: u32,
    keys: Vec<u32>,
}

impl Sample {
    fn read(c: &Connection, at: Numbered) -> Result<Self, Error> {
        let sql = "SELECT words FROM wording WHERE repo_id = ?1 AND number <> ?2
                   ORDER BY number DESC LIMIT ?3";
        let mut sample = Self { size: 0, keys: Vec::new() };
        c.query(sql, params![at.repo, at.number, SAMPLE], &mut |row| {
            sample.size += 1;
            sample.keys.extend(each(row.get_ref(0)?.as_blob().unwrap_or_default()).map(Word::key));
            Ok(true)
        })?;
        sample.keys.sort_unstable();
        Ok(sample)
    }

    /// How usual these words are.
    fn usual(&self, words: impl Iterator<Item = Word>) -> Neighbours {
        let count = |key: u32| {
            let from = self.keys.partition_point(|one| *one < key);
            let times = self.keys[from..].iter().take_while(|one| **one == key).count();
            u32::try_from(times).ok().filter(|times| *times > 0)
        };
        let seen = words.filter_map(|word| Some((word.key(), count(word.key())?))).collect();
        Neighbours { sample: self.size, seen, issues: Vec::new() }
    }
}

fn numbered(row: &Row<'_>) -> RowResult<Numbered> {
    Ok(Numbered { repo: row.get(0)?, number: row.get(1)? })
}

fn each(blob: &[u8]) -> impl Iterator<Item = Word> {
    blob.as_chunks().0.iter().map(|bytes| Word::from_bits(u32::from_le_bytes(*bytes)))
}

fn unpack(blob: &[u8]) -> Vec<Word> {
    each(blob).collect()
}

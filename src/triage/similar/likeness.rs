//! How like two issues are: the cosine of their words, where a word of the title counts double and one that many issues
//! of the repository have counts for little.

use std::collections::HashMap;

use super::words::{Word, Wording};
use crate::clock::Timestamp;
use crate::issue::IssueNumber;

/// How much more a word of the title counts.
const TITLE: f64 = 2.0;
/// How many issues are supposed that have none of the words: among few, how many have one says little.
const SUPPOSED: f64 = 20.0;
/// How much the words have to tell that both have: two reports of three words are soon the same.
const LEAST_SHARED: f64 = 3.5;
/// Where each title has something that stands nowhere in the other issue, the two are about different things: the same
/// wish for another format, the same task for another file.
const MOST_OWN: f64 = 0.99;
/// Which part of a title may stand nowhere in the other issue.
const MOST_OWN_PART: f64 = 0.5;
/// How many shared words are named.
const NAMED: usize = 8;

/// What is asked about an issue: which older ones have words in common with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The forge's id of its repository.
    pub repo: i64,
    /// Its number.
    pub number: IssueNumber,
    /// Its words.
    pub words: Vec<Word>,
    /// Since when others may have been closed.
    pub closed_since: Timestamp,
}

/// An older issue that has words in common with one.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Its number.
    pub number: IssueNumber,
    /// When it was closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
    /// Its words.
    pub words: Vec<Word>,
}

/// The issues that have words in common with one, and how usual words are in its repository.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// How many of the repository's issues were looked through for that.
    pub sample: u32,
    /// How many of those have a word, by its key; none where it is missing.
    pub seen: HashMap<u32, u32>,
    /// The issues.
    pub issues: Vec<Neighbour>,
}

impl Neighbours {
    /// How much a word tells in this repository.
    pub fn weight(&self, word: Word) -> f64 {
        let seen = self.seen.get(&word.key()).copied().unwrap_or_default();
        // One that has it may be the other issue itself.
        let rarity = (f64::from(self.sample) + SUPPOSED) / f64::from(seen.max(1));
        let place = if word.in_title() { TITLE } else { 1.0 };
        word.worth() * place * rarity.ln() / SUPPOSED.ln()
    }

    fn length(&self, words: &[Word]) -> f64 {
        words.iter().map(|word| self.weight(*word).powi(2)).sum::<f64>().sqrt()
    }
}

/// An older issue that says the same.
#[derive(Debug)]
pub(super) struct Likeness {
    pub(super) number: IssueNumber,
    pub(super) closed_at: Option<Timestamp>,
    /// How much of the two is the same, in percent.
    pub(super) percent: u8,
    /// Words that both have, as the newer one writes them, those that tell most first.
    pub(super) words: Vec<String>,
}

impl Likeness {
    /// The one that is most like an issue, of two the older; `None` where none is like it by so many percent, but for those
    /// that it names.
    pub(super) fn most(
        own: &Wording,
        among: &Neighbours,
        least: u8,
        is_named: impl Fn(IssueNumber) -> bool,
    ) -> Option<Self> {
        let all = among.issues.iter().filter_map(|one| Self::of(own, one, among));
        let like = all.filter(|one| one.percent >= least && !is_named(one.number));
        like.min_by_key(|one| (std::cmp::Reverse(one.percent), one.number))
    }

    /// How like two issues are; `None` where something says that they are not the same, however many words they share.
    fn of(own: &Wording, other: &Neighbour, among: &Neighbours) -> Option<Self> {
        let theirs: HashMap<u32, Word> =
            other.words.iter().map(|word| (word.key(), *word)).collect();
        let ours: HashMap<u32, Word> = own.words.iter().map(|word| (word.key(), *word)).collect();
        let [mine, yours] = [own_part(&own.words, &theirs), own_part(&other.words, &ours)];
        let is_other = [mine, yours].iter().all(|part| part.only > MOST_OWN)
            || [mine, yours].iter().any(|part| part.only > part.all * MOST_OWN_PART);
        let mut shared: Vec<_> = own
            .words
            .iter()
            .zip(&own.shown)
            .filter_map(|(word, shown)| {
                let weight = among.weight(*word) * among.weight(*theirs.get(&word.key())?);
                Some((weight, word.worth(), shown))
            })
            .collect();
        let told: f64 = shared.iter().map(|(_, worth, _)| worth).sum();
        if is_other || told < LEAST_SHARED {
            return None;
        }
        let product: f64 = shared.iter().map(|(weight, _, _)| weight).sum();
        let lengths = among.length(&own.words) * among.length(&other.words);
        shared.sort_by(|(a, _, _), (b, _, _)| b.total_cmp(a));
        Some(Self {
            number: other.number,
            closed_at: other.closed_at,
            percent: percent(product, lengths),
            words: shared.into_iter().take(NAMED).map(|(_, _, shown)| shown.clone()).collect(),
        })
    }
}

/// How much the title of an issue tells, and how much of that stands nowhere in the other issue.
#[derive(Clone, Copy)]
struct OwnPart {
    all: f64,
    only: f64,
}

fn own_part(words: &[Word], others: &HashMap<u32, Word>) -> OwnPart {
    let title = || words.iter().filter(|word| word.in_title());
    let only = title().filter(|word| !others.contains_key(&word.key()));
    OwnPart {
        all: title().map(|word| word.worth()).sum(),
        only: only.map(|word| word.worth()).sum(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
fn percent(product: f64, lengths: f64) -> u8 {
    if lengths > 0.0 { (100.0 * product / lengths).clamp(0.0, 100.0) as u8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::statements::Forms;
    use crate::triage::{Policy, Preset};

    /// The issues of a repository, of which each is asked about in turn.
    struct Tracker(Vec<Wording>);

    impl Tracker {
        fn of<'a>(issues: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
            let forms = Forms::new(&Policy::of(Preset::Practical).fields);
            let issues = issues.into_iter();
            Self(issues.map(|(title, body)| Wording::of(&forms, title, body)).collect())
        }

        /// What one of them is like among the older ones.
        fn like(&self, at: usize) -> Option<Likeness> {
            let mut among = Neighbours { sample: self.0.len() as u32 - 1, ..Neighbours::default() };
            for (other, one) in self.0.iter().enumerate().filter(|(other, _)| *other != at) {
                one.words.iter().for_each(|word| *among.seen.entry(word.key()).or_default() += 1);
                let words = one.words.clone();
                let older = (other < at).then_some(Neighbour {
                    number: other as u64,
                    closed_at: None,
                    words,
                });
                among.issues.extend(older);
            }
            Likeness::most(&self.0[at], &among, Policy::default().duplicate_at, |_| false)
        }
    }

    #[derive(serde::Deserialize)]
    struct Pairs {
        pair: Vec<Pair>,
    }

    #[derive(serde::Deserialize)]
    struct Pair {
        about: String,
        same: bool,
        held: bool,
        first: Report,
        second: Report,
    }

    #[derive(serde::Deserialize)]
    struct Report {
        title: String,
        body: String,
    }

    impl Report {
        fn text(&self) -> (&str, &str) {
            (&self.title, &self.body)
        }
    }

    fn pairs() -> Vec<Pair> {
        toml::from_str::<Pairs>(include_str!("pairs.toml")).expect("pairs").pair
    }

    #[test]
    fn a_report_that_was_made_before_is_told_from_another_one() {
        let mut wrong = Vec::new();
        for Pair { about, held, first, second, .. } in pairs() {
            for both in [[&first, &second], [&second, &first]] {
                let like = Tracker::of(both.map(Report::text)).like(1);
                if like.is_some() != held {
                    wrong.push(format!("{about}: {like:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn among_all_pairs_of_one_tracker_only_the_same_reports_are_found() {
        let pairs = pairs();
        let issues = pairs.iter().flat_map(|pair| [pair.first.text(), pair.second.text()]);
        let tracker = Tracker::of(issues);
        for (number, pair) in pairs.iter().enumerate() {
            let (first, second) = (tracker.like(2 * number), tracker.like(2 * number + 1));
            assert!(first.is_none(), "{}: {first:?}", pair.about);
            let of = second.map(|like| like.number);
            let expected = pair.held.then_some(2 * number as u64);
            assert_eq!(of, expected, "{}", pair.about);
            assert!(pair.same || !pair.held, "{}", pair.about);
        }
    }

    #[test]
    fn of_two_that_are_as_like_the_older_one_is_named() {
        let report =
            ("Export drops the last row of a table", "The CSV of `export()` lacks the last row.");
        let like = Tracker::of([report; 3]).like(2).expect("the same text");
        assert_eq!((like.number, like.percent), (0, 100));
        assert_eq!(like.words[..4], ["Export", "row", "table", "CSV"]);
    }
}

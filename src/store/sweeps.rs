//! What the sweep asks and keeps: how far it has come, what is known of issues, what it found, what our own writes left.

use std::collections::BTreeSet;

use super::engine::{Connection, Row, RowResult, params};
use super::entries::{Entry, enqueue};
use super::rows::{all, first, is_any, only, parsed, run, to_json};
use super::{Error, ShownIssue, Store, identity, lanes};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::Origin;
use crate::issue::{Fingerprint, IssueNumber, IssueRef, RepoName, RepoPatterns};
use crate::plan::Outcome;

/// How many finds one transaction takes, so that deliveries never wait long for the writer.
const STEP: usize = 100;
/// The fact that counts what no webhook had reported.
const MISSED: &str = "missed_events_total";

/// How far the sweep has come in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepCursor {
    /// The repository, as the forge spells it.
    pub repo: RepoName,
    /// When the last pass began.
    pub passed_at: Timestamp,
    /// When the last full pass began.
    pub full_at: Timestamp,
    /// Until when every change was looked at, by a pass or a search, on the forge's clock.
    pub since: Timestamp,
    /// The digest of the rules that were in force then; empty when nobody knows.
    pub rules: String,
}

impl SweepCursor {
    /// Whether other rules are in force than at the last pass.
    pub fn is_anew(&self, rules: &str) -> bool {
        !self.rules.is_empty() && self.rules != rules
    }
}

/// A moment in the ledger: what is evaluated after it may be newer than a list that was asked for at it.
#[derive(Clone, Debug)]
pub struct Mark {
    evaluation: i64,
    claimed: BTreeSet<i64>,
}

/// What is known of one issue.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub number: IssueNumber,
    /// The forge's id of it, where it was seen.
    pub issue_id: Option<i64>,
    /// What the last evaluation saw and left; `None` when there was none, or when the issue was gone.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it was ever evaluated.
    pub is_evaluated: bool,
    /// Whether somebody works on it.
    pub is_dispatched: bool,
    /// Whether something is pending for it, or a worker has it.
    pub is_busy: bool,
    /// When it was last evaluated.
    pub evaluated_at: Option<Timestamp>,
    /// When something about it last ended dead since it was evaluated.
    pub died_at: Option<Timestamp>,
    /// What else it was evaluated by.
    pub unlisted: Unlisted,
    lane: i64,
    epoch: i64,
    evaluation: i64,
}

impl Known {
    /// Whether a worker had it at `mark` or later.
    pub fn was_in_hands_since(&self, mark: &Mark) -> bool {
        self.evaluation > mark.evaluation || mark.claimed.contains(&self.lane)
    }
}

/// What an issue was last evaluated by that no list of issues shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlisted {
    /// The open issues that it waits for.
    pub blockers: BTreeSet<IssueRef>,
    /// Whether it depends on them by the forge, and not by its own text.
    pub by_forge: bool,
    /// Whether it waits for a place of an agent.
    pub waits: bool,
    /// Since when an agent has it that has not begun.
    pub assigned_at: Option<Timestamp>,
}

named_enum! {
    /// Why an issue has to be looked at.
    Why {
        /// Nobody ever evaluated it.
        New = "new",
        /// It is not as the last evaluation left it.
        Changed = "changed",
        /// It was open and is not listed any more.
        Gone = "gone",
        /// Something else that it is decided by has changed, of which no webhook is sent.
        Input = "input",
    }
}

/// An issue whose present state nobody has evaluated.
#[derive(Clone, Debug)]
pub struct Find {
    /// The issue.
    pub at: IssueRef,
    /// What the forge shows of it; `None` when it shows it no more, or it was not listed.
    pub shown: Option<ShownIssue>,
    /// Why it has to be looked at.
    pub why: Why,
    /// Whether a webhook should have reported it and did not.
    pub is_missed: bool,
    /// How many events that were, as far as the forge tells; one where it does not.
    pub events: u32,
    /// What was known of it when it was judged.
    pub known: Option<Known>,
}

impl Find {
    /// What the inbox calls it. What counts as missed has a name of its own, so that it can be counted by day.
    fn action(&self) -> &'static str {
        match (self.is_missed, self.why) {
            (_, Why::Input) => Why::Input.as_str(),
            (false, _) => "backlog",
            (true, why) => why.as_str(),
        }
    }

    /// Whether it was open before its repository was first read; `None` where the find says nothing about that. What
    /// somebody has changed is not from before any more.
    fn is_from_before(&self) -> Option<bool> {
        match (self.is_missed, self.why) {
            (false, Why::New) => Some(true),
            (true, Why::New | Why::Changed) => Some(false),
            _ => None,
        }
    }
}

/// A write by gitea-triage that was no effect of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWrite {
    /// One more comment.
    Comment,
    /// Title, body, labels, assignees or state.
    Content,
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
            all(c, "SELECT repo, passed_at, full_at, since, rules FROM sweep", [], |row| {
                let [passed_at, full_at, since] =
                    [row.get(1)?, row.get(2)?, row.get(3)?].map(from_millis);
                let (repo, rules) = (parsed(row, 0)?, row.get(4)?);
                Ok(SweepCursor { repo, passed_at, full_at, since, rules })
            })
        })
        .await
    }

    /// Keeps how far the sweep has come.
    pub async fn keep_sweep_cursor(&self, cursor: SweepCursor) -> Result<(), Error> {
        let SweepCursor { repo, passed_at, full_at, since, rules } = cursor;
        let [passed_at, full_at, since] = [passed_at, full_at, since].map(|t| t.timestamp_millis());
        let repo = repo.to_string();
        self.write(move |c| {
            // The forge may spell the name in another case than it did.
            let known = "SELECT min(first_at) FROM sweep WHERE repo = ?1 COLLATE NOCASE";
            let first_at: Option<i64> = first(c, known, [&repo], |r| r.get(0))?.flatten();
            run(c, "DELETE FROM sweep WHERE repo = ?1 COLLATE NOCASE", [&repo])?;
            let insert = "INSERT INTO sweep (repo, passed_at, full_at, since, first_at, rules)
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let first_at = first_at.unwrap_or(since);
            run(c, insert, params![repo, passed_at, full_at, since, first_at, rules])
        })
        .await
    }

    /// Notes that nothing had changed in these repositories until `since`.
    pub async fn sweep_moved_on(
        &self,
        repos: Vec<RepoName>,
        since: Timestamp,
    ) -> Result<(), Error> {
        let since = since.timestamp_millis();
        for step in repos.chunks(STEP) {
            let step: Vec<_> = step.iter().map(ToString::to_string).collect();
            // The primary key tells names apart by their case; the cursors have the forge's spelling.
            let sql = "UPDATE sweep SET since = ?2 WHERE repo = ?1 AND since < ?2";
            self.write(move |c| step.iter().try_for_each(|repo| run(c, sql, params![repo, since])))
                .await?;
        }
        Ok(())
    }

    /// The repositories with issues that somebody works on or that wait for others: of those something is to be looked
    /// at that no list shows.
    pub async fn sweep_at_work(&self) -> Result<BTreeSet<RepoName>, Error> {
        let sql =
            "SELECT repo FROM lane WHERE id IN (SELECT lane FROM dispatch WHERE ended_at IS NULL)
                   UNION SELECT repo FROM lane WHERE id IN (SELECT lane FROM blocker)";
        self.read(|c| all(c, sql, [], |row| parsed(row, 0))).await
    }

    /// The repositories that any delivery or sweep ever led to.
    pub async fn known_repos(&self) -> Result<Vec<RepoName>, Error> {
        let sql = "SELECT repo FROM sweep UNION SELECT repo FROM lane";
        self.read(|c| all(c, sql, [], |row| parsed(row, 0))).await
    }

    /// Where the ledger stands now.
    pub async fn sweep_mark(&self) -> Result<Mark, Error> {
        self.read(|c| {
            let evaluation =
                only(c, "SELECT coalesce(max(id), 0) FROM evaluation", [], |r| r.get(0))?;
            let claimed = all(c, "SELECT id FROM lane WHERE state = 'claimed'", [], |r| r.get(0))?;
            Ok(Mark { evaluation, claimed })
        })
        .await
    }

    /// What is known of a repository's issues, or only of those with these numbers and those that wait for others.
    pub async fn known_issues(
        &self,
        repo: &RepoName,
        only: Option<Vec<IssueNumber>>,
    ) -> Result<Vec<Known>, Error> {
        let repo = repo.to_string();
        self.read(move |c| match only {
            None => all(c, &format!("{KNOWN} WHERE repo = ?1"), [&repo], known),
            Some(numbers) => {
                let sql = format!("{KNOWN} WHERE repo = ?1 AND number = ?2");
                let find = |number| first(c, &sql, params![repo, number], known).transpose();
                let waiting =
                    format!("{KNOWN} WHERE repo = ?1 AND id IN (SELECT lane FROM blocker)");
                let waiting: Vec<_> = all(c, &waiting, [&repo], known)?;
                let listed = numbers.into_iter().filter_map(find);
                waiting.into_iter().map(Ok).chain(listed).collect()
            }
        })
        .await
    }

    /// What is known of a repository's issues that somebody works on.
    pub async fn known_dispatched(&self, repo: &RepoName) -> Result<Vec<Known>, Error> {
        let repo = repo.to_string();
        let sql = format!(
            "{KNOWN} WHERE repo = ?1 AND id IN (SELECT lane FROM dispatch WHERE ended_at IS NULL)"
        );
        self.read(move |c| all(c, &sql, [&repo], known)).await
    }

    /// Keeps the forge's ids of issues that were evaluated before they were kept.
    pub async fn keep_ids(&self, issues: &[ShownIssue], now: Timestamp) -> Result<(), Error> {
        for step in issues.chunks(STEP) {
            let step = step.to_vec();
            let keep = move |c: &Connection| {
                step.iter().try_for_each(|shown| identity::shown_lane(c, shown, now).map(drop))
            };
            self.write(keep).await?;
        }
        Ok(())
    }

    /// Those of the issues of which every change is told or listed: they have been evaluated.
    pub async fn followed(&self, issues: BTreeSet<IssueRef>) -> Result<BTreeSet<IssueRef>, Error> {
        let sql = "SELECT 1 FROM lane WHERE repo = ?1 AND number = ?2 AND fingerprint IS NOT NULL";
        self.read(move |c| {
            let mut found = BTreeSet::new();
            for at in issues {
                if is_any(c, sql, params![at.repo.to_string(), at.number])? {
                    found.insert(at);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Makes inbox entries of finds, but not where somebody has taken the issue in hand since it was judged; says
    /// which were made. Missed ones are counted in the same transaction.
    pub async fn enqueue_finds(
        &self,
        finds: &[Find],
        now: Timestamp,
    ) -> Result<BTreeSet<IssueRef>, Error> {
        let mut made = BTreeSet::new();
        for step in finds.chunks(STEP) {
            let step = step.to_vec();
            made.extend(self.write(move |c| enqueue_all(c, &step, now)).await?);
        }
        Ok(made)
    }

    /// The open issues of these repositories that were open before they were first read and that nobody has touched since.
    pub async fn from_before(&self, repos: RepoPatterns) -> Result<Vec<IssueRef>, Error> {
        let sql = "SELECT repo, number FROM lane WHERE from_before = 1 AND fingerprint_open = 1 ORDER BY repo, number";
        let found: Vec<_> = self.read(|c| all(c, sql, [], named)).await?;
        Ok(found.into_iter().filter(|at| repos.allows(&at.repo)).collect())
    }

    /// Has these issues looked at as if they had been opened now: whom they concern is called.
    pub async fn call_from_before(
        &self,
        issues: Vec<IssueRef>,
        now: Timestamp,
    ) -> Result<(), Error> {
        for step in issues.chunks(STEP) {
            let step = step.to_vec();
            self.write(move |c| {
                for at in &step {
                    let lane = lanes::lane(c, at)?;
                    lanes::mark_from_before(c, lane, false)?;
                    let what = Why::Input.as_str().into();
                    enqueue(c, lane, &Entry { origin: Origin::Sweep, what, at: now })?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Notes a write by gitea-triage that no evaluation planned, such as an answer to a command: what the sweep finds because
    /// of it is not the change of somebody else.
    pub async fn note_own_write(&self, at: &IssueRef, write: OwnWrite) -> Result<(), Error> {
        let (repo, number) = (at.repo.to_string(), at.number);
        let change = match write {
            OwnWrite::Comment => "fingerprint_comments = fingerprint_comments + 1",
            OwnWrite::Content => "fingerprint = ''",
        };
        let sql = format!(
            "UPDATE lane SET {change} WHERE repo = ?1 AND number = ?2 AND fingerprint IS NOT NULL"
        );
        self.write(move |c| run(c, &sql, params![repo, number])).await
    }
}

/// Keeps what an evaluation saw and left.
pub(super) fn note_left(c: &Connection, lane: i64, outcome: &Outcome) -> Result<(), Error> {
    let seen = outcome.fingerprint.as_ref();
    let (comments, is_open) = seen.map_or((0, false), |seen| (seen.comments, seen.is_open));
    let sql = "UPDATE lane SET fingerprint = ?2, fingerprint_comments = ?3, fingerprint_open = ?4, carried = ?5
               WHERE id = ?1";
    let carried = to_json(&outcome.carried);
    run(c, sql, params![lane, seen.map(|seen| &seen.digest), comments, is_open, carried])
}

/// The columns [`known`] reads.
const KNOWN: &str = "SELECT number, fingerprint, fingerprint_comments, fingerprint_open, evaluated_at IS NOT NULL,
     EXISTS (SELECT 1 FROM dispatch WHERE dispatch.lane = lane.id AND ended_at IS NULL),
     state <> 'idle' OR EXISTS (SELECT 1 FROM delivery WHERE delivery.lane = lane.id
                                AND delivery.state IN ('pending', 'claimed')),
     (SELECT max(settled_at) FROM delivery WHERE delivery.lane = lane.id AND delivery.state = 'dead'
      AND settled_at > coalesce(evaluated_at, 0)),
     id, epoch, coalesce((SELECT max(id) FROM evaluation WHERE evaluation.lane = lane.id), 0), issue_id,
     coalesce((SELECT string_agg(repo || '#' || number, ' ') FROM blocker WHERE blocker.lane = lane.id), ''),
     coalesce((SELECT reason_code = 'depends' FROM evaluation
               WHERE id = (SELECT max(id) FROM evaluation WHERE evaluation.lane = lane.id)), FALSE),
     waits_for IS NOT NULL,
     (SELECT opened_at FROM dispatch WHERE dispatch.lane = lane.id AND ended_at IS NULL AND state = 'assigned'),
     evaluated_at FROM lane";

fn known(row: &Row<'_>) -> RowResult<Known> {
    let (comments, is_open) = (row.get(2)?, row.get(3)?);
    let digest: Option<String> = row.get(1)?;
    Ok(Known {
        number: row.get(0)?,
        fingerprint: digest.map(|digest| Fingerprint { digest, comments, is_open }),
        is_evaluated: row.get(4)?,
        is_dispatched: row.get(5)?,
        is_busy: row.get(6)?,
        died_at: row.get::<Option<i64>>(7)?.map(from_millis),
        unlisted: unlisted(row)?,
        lane: row.get(8)?,
        epoch: row.get(9)?,
        evaluation: row.get(10)?,
        issue_id: row.get(11)?,
        evaluated_at: row.get::<Option<i64>>(16)?.map(from_millis),
    })
}

fn unlisted(row: &Row<'_>) -> RowResult<Unlisted> {
    let blockers: String = row.get(12)?;
    Ok(Unlisted {
        blockers: blockers.split(' ').filter_map(|at| at.parse().ok()).collect(),
        by_forge: row.get(13)?,
        waits: row.get(14)?,
        assigned_at: row.get::<Option<i64>>(15)?.map(from_millis),
    })
}

fn named(row: &Row<'_>) -> RowResult<IssueRef> {
    Ok(IssueRef { repo: parsed(row, 0)?, number: row.get(1)? })
}

fn enqueue_all(c: &Connection, finds: &[Find], now: Timestamp) -> Result<Vec<IssueRef>, Error> {
    let (mut made, mut missed) = (Vec::new(), 0_u32);
    for find in finds {
        let lane = match &find.shown {
            Some(shown) => identity::shown_lane(c, shown, now)?,
            None => lanes::lane(c, &find.at)?,
        };
        if !is_as_judged(c, lane, find)? {
            continue;
        }
        if let Some(is) = find.is_from_before() {
            lanes::mark_from_before(c, lane, is)?;
        }
        let what = find.action().into();
        enqueue(c, lane, &Entry { origin: Origin::Sweep, what, at: now })?;
        missed += if find.is_missed { find.events } else { 0 };
        made.push(find.at.clone());
    }
    let sql = "INSERT INTO fact VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(fact.value AS BIGINT) + CAST(excluded.value AS BIGINT) AS TEXT)";
    run(c, sql, (MISSED, missed.to_string()))?;
    Ok(made)
}

/// Whether nobody has touched the lane since the find was judged.
fn is_as_judged(c: &Connection, lane: i64, find: &Find) -> Result<bool, Error> {
    let epoch = find.known.as_ref().map_or(0, |known| known.epoch);
    let sql = "SELECT 1 FROM lane WHERE id = ?1 AND epoch = ?2 AND state = 'idle' AND NOT EXISTS
             (SELECT 1 FROM delivery WHERE delivery.lane = lane.id
              AND delivery.state IN ('pending', 'claimed') AND delivery.state = 'pending')";
    is_any(c, sql, params![lane, epoch])
}

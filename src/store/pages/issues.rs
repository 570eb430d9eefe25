//! The list of issues that were ever decided about, the newest decision first.

use super::between::{Between, List};
use super::filling::{Filling, Page};
use super::{Sight, holds};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::DispatchState;
use crate::reason::URGENT_NOT_READY;
use crate::store::engine::{Connection, Row, RowResult, params};
use crate::store::people::hold_text;
use crate::store::rows::{only, parsed_if_any};
use crate::store::{Error, Store};
use crate::triage::Action;

/// How many issues one page looks through; what lies beyond is a click away.
const MOST_EXAMINED: usize = 10_000;
/// A repository with more issues than these is not sorted for one page; all issues are walked instead, of which it is a
/// good part.
const MOST_SORTED: u32 = 5_000;

named_enum! {
    /// Which issues to show.
    #[derive(Default)]
    Show {
        /// All of them.
        #[default]
        All = "all",
        /// Those that wait for a person's answer.
        Flagged = "flagged",
        /// Those that an agent gave up, or had for too long, and that are still open.
        Escalated = "escalated",
        /// Those that are urgent, not ready, and that nobody has, among the newest that are left alone.
        Urgent = "urgent",
        /// Those an agent has.
        Dispatched = "dispatched",
        /// Those that wait for an agent's place.
        Waiting = "waiting",
        /// Those on hold.
        Held = "held",
        /// Those that are left alone.
        Skipped = "skipped",
        /// Those that are closed or gone.
        Finished = "finished",
        /// Those that were open before their repository was first read, and that nobody has touched since.
        Before = "before",
    }
}

/// Which issues to show, and from where on.
#[derive(Clone, Debug, Default)]
pub struct IssueQuery {
    /// Which of them.
    pub show: Show,
    /// Only those of this repository.
    pub repo: Option<String>,
    /// Only those whose title, name or reason holds this, whatever its case.
    pub text: Option<String>,
    /// Only those last decided about then.
    pub decided: Between,
    /// Only those decided before this evaluation.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// One issue, as its newest evaluation left it.
#[derive(Clone, Debug)]
pub struct IssueRow {
    /// `owner/name`.
    pub repo: String,
    /// Its index there.
    pub number: u64,
    /// Its title without bracket tags; empty when it was gone before it was read.
    pub title: String,
    /// The newest evaluation.
    pub evaluation: i64,
    /// When that was.
    pub at: Timestamp,
    /// `dispatch`, `flag`, `wait`, `skip` or `finish`.
    pub action: String,
    /// The agent it names.
    pub agent: Option<String>,
    /// Why.
    pub reason: String,
    /// Its score, 0–9.
    pub score: Option<u8>,
    /// Why it is on hold, if it is.
    pub held: Option<String>,
    /// Who has it and how far that has come, while a dispatch is open.
    pub dispatch: Option<(String, DispatchState)>,
    /// Whom a rotation has asked about it.
    pub asked: Option<String>,
}

/// How many issues stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Waiting for a person's answer.
    pub flagged: u64,
    /// Given up by an agent, and still open.
    pub escalated: u64,
    /// Urgent, not ready, and nobody's.
    pub urgent: u64,
    /// Dispatched to an agent.
    pub dispatched: u64,
    /// Waiting for an agent's place.
    pub waiting: u64,
    /// On hold.
    pub held: u64,
    /// Open before their repository was first read, and untouched since.
    pub from_before: u64,
}

pub(super) const ISSUE: &str = "SELECT repo, number, title, latest.evaluation, latest.at, action,
     latest.agent, reason, score, hold, dispatch.agent, dispatch.state,
     (SELECT login FROM duty WHERE duty.lane = latest.lane AND duty.ended_at IS NULL) FROM latest
     CROSS JOIN lane ON lane.id = latest.lane
     LEFT JOIN dispatch ON dispatch.lane = latest.lane AND ended_at IS NULL";

impl Store {
    /// Issues in sight that match, the newest decision first.
    pub async fn issue_page(
        &self,
        mut query: IssueQuery,
        sight: Sight,
    ) -> Result<Page<IssueRow>, Error> {
        query.text = query.text.map(|text| text.to_lowercase());
        self.read(move |c| page(c, &query, &sight)).await
    }
}

impl IssueQuery {
    /// The issue of a row, if it is asked for and in sight.
    fn wanted(&self, row: &Row<'_>, sight: &Sight) -> Result<Option<IssueRow>, Error> {
        let repo = row.get_ref(0)?.as_str()?;
        if self.repo.as_ref().is_some_and(|wanted| wanted != repo) || !sight.has(repo) {
            return Ok(None);
        }
        let (issue, text) = (issue(row)?, self.text.as_deref().unwrap_or_default());
        let is_wanted = text.is_empty()
            || holds(&issue.title, text)
            || holds(&format!("{}#{}", issue.repo, issue.number), text)
            || holds(&issue.reason, text);
        Ok(is_wanted.then_some(issue))
    }
}

const DECISIONS: List<'_> = List {
    last: "SELECT max(id) FROM evaluation",
    time: "SELECT at FROM evaluation WHERE id >= ?1 ORDER BY id LIMIT 1",
};

fn page(c: &Connection, query: &IssueQuery, sight: &Sight) -> Result<Page<IssueRow>, Error> {
    filled(c, query, |row| query.wanted(row, sight))
}

/// A page of a list, of those issues that are wanted.
fn filled(
    c: &Connection,
    query: &IssueQuery,
    wanted: impl Fn(&Row<'_>) -> Result<Option<IssueRow>, Error>,
) -> Result<Page<IssueRow>, Error> {
    let repo = query.repo.as_deref();
    let is_small = repo.map_or(Ok(false), |repo| is_small(c, repo))?;
    let sql = format!("{ISSUE} {}", walk(query.show, is_small));
    let places = query.decided.places(c, &DECISIONS, query.before)?;
    let mut filling = Filling::new(places, query.limit, MOST_EXAMINED);
    let mut take = |row: &Row<'_>| filling.take(row.get(3)?, || wanted(row));
    match query.show.is_short() {
        true => c.query(&sql, params![places.before, repo], &mut take)?,
        false => c.walk(&sql, params![places.before, repo], &mut take)?,
    }
    Ok(filling.page)
}

impl Show {
    /// Whether there are so few of them that they are read at once. PostgreSQL expects of a walk that it is soon given up, and
    /// would look at every issue in turn: 350 ms where the whole answer takes 14.
    fn is_short(self) -> bool {
        matches!(self, Self::Escalated | Self::Urgent)
    }
}

fn is_small(c: &Connection, repo: &str) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM lane WHERE repo = ?1 LIMIT ?2) AS counted";
    let counted: u32 = only(c, sql, params![repo, MOST_SORTED + 1], |r| r.get(0))?;
    Ok(counted <= MOST_SORTED)
}

/// The issues whose last dispatch was escalated.
const ESCALATED: &str = "SELECT e.lane FROM dispatch e WHERE e.state = 'escalated'
     AND e.id = (SELECT max(d.id) FROM dispatch d WHERE d.lane = e.lane)";

/// The urgent ones among the newest skipped ones, so that a page costs the same whatever the backlog. Each code is looked
/// up by itself: joined, PostgreSQL reads all decisions there are.
fn urgent() -> String {
    format!(
        "SELECT evaluation FROM (SELECT evaluation FROM latest WHERE action = 'skip' ORDER BY evaluation DESC LIMIT {MOST_EXAMINED}) AS newest
         WHERE (SELECT reason_code FROM evaluation WHERE id = newest.evaluation) = '{URGENT_NOT_READY}'"
    )
}

/// The newest decisions about a repository's issues, by their numbers alone: sorting those is cheap.
const OF_REPO: &str = "SELECT l.evaluation FROM lane CROSS JOIN latest l ON l.lane = lane.id
     WHERE lane.repo = ?2 AND l.evaluation < ?1";

/// The end of the question, by the index that leads to what is wanted.
fn walk(show: Show, by_repo: bool) -> String {
    // The sign keeps SQLite from walking all issues that stand so, when those of the repository are few.
    let sign = if by_repo { "+" } else { "" };
    let by_action = |action: Action| format!("{sign}action = '{action}' AND");
    let by_lane = |lanes| format!("{sign}latest.lane IN ({lanes}) AND");
    let condition = match show {
        Show::All => String::new(),
        Show::Flagged => by_action(Action::Flag),
        Show::Waiting => by_action(Action::Wait),
        Show::Skipped => by_action(Action::Skip),
        Show::Finished => by_action(Action::Finish),
        Show::Escalated => by_lane(ESCALATED) + " action <> 'finish' AND",
        Show::Urgent => {
            format!("latest.evaluation IN ({}) AND dispatch.agent IS NULL AND", urgent())
        }
        Show::Held => by_lane("SELECT id FROM lane WHERE hold IS NOT NULL"),
        Show::Dispatched => by_lane("SELECT lane FROM dispatch WHERE ended_at IS NULL"),
        Show::Before => {
            by_lane("SELECT id FROM lane WHERE from_before = 1 AND fingerprint_open = 1")
        }
    };
    let place =
        if by_repo { format!("latest.evaluation IN ({OF_REPO}) AND") } else { String::new() };
    format!(
        "WHERE {condition} {place} ?2 IS NOT DISTINCT FROM ?2 AND latest.evaluation < ?1 ORDER BY latest.evaluation DESC"
    )
}

pub(super) fn issue(row: &Row<'_>) -> RowResult<IssueRow> {
    let agent: Option<String> = row.get(10)?;
    Ok(IssueRow {
        repo: row.get(0)?,
        number: row.get(1)?,
        title: row.get(2)?,
        evaluation: row.get(3)?,
        at: from_millis(row.get(4)?),
        action: row.get(5)?,
        agent: row.get(6)?,
        reason: row.get(7)?,
        score: row.get(8)?,
        held: hold_text(row, 9)?,
        dispatch: agent.zip(parsed_if_any(row, 11)?),
        asked: row.get(12)?,
    })
}

/// Gives each issue of a short list to `take`, the newest decision first, until it has enough.
pub(super) fn each(
    c: &Connection,
    show: Show,
    take: &mut dyn FnMut(IssueRow) -> Result<bool, Error>,
) -> Result<(), Error> {
    let sql = format!("{ISSUE} {}", walk(show, false));
    c.query(&sql, params![i64::MAX, None::<&str>], &mut |row| take(issue(row)?))
}

/// The newest issues of a list that are wanted.
pub(super) fn few(
    c: &Connection,
    show: Show,
    limit: usize,
    wanted: impl Fn(&IssueRow) -> bool,
) -> Result<Vec<IssueRow>, Error> {
    let query = IssueQuery { show, limit, ..IssueQuery::default() };
    Ok(filled(c, &query, |row| Ok(Some(issue(row)?).filter(&wanted)))?.rows)
}

pub(super) const STANDINGS: &str = "SELECT (SELECT count(*) FROM latest WHERE action = 'flag'),
     (SELECT count(*) FROM dispatch WHERE ended_at IS NULL),
     (SELECT count(*) FROM latest WHERE action = 'wait'),
     (SELECT count(*) FROM lane WHERE hold IS NOT NULL),
     (SELECT count(*) FROM lane WHERE from_before = 1 AND fingerprint_open = 1)";

impl Store {
    /// How many issues stand how.
    pub async fn standings(&self) -> Result<Standings, Error> {
        self.read(standings).await
    }
}

fn standings(c: &Connection) -> Result<Standings, Error> {
    let (escalated, urgent) = (count(c, Show::Escalated)?, count(c, Show::Urgent)?);
    Ok(Standings { escalated, urgent, ..tallies(c)? })
}

/// The same, but for the short lists, which have to be read to be counted.
pub(super) fn tallies(c: &Connection) -> Result<Standings, Error> {
    let (flagged, dispatched, waiting, held, from_before) =
        only(c, STANDINGS, [], |r| r.try_into())?;
    Ok(Standings { flagged, dispatched, waiting, held, from_before, ..Standings::default() })
}

/// How many issues a short list has.
fn count(c: &Connection, show: Show) -> Result<u64, Error> {
    let mut all = 0;
    each(c, show, &mut |_| {
        all += 1;
        Ok(true)
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch, scratch_file};

    /// Of three from before, one was deleted without an event and one was touched.
    const FROM_BEFORE: &str =
        "INSERT INTO lane (id, repo, number, from_before, fingerprint_open)
             VALUES (1, 'acme/widgets', 1, 1, 1), (2, 'acme/widgets', 2, 1, 0), (3, 'acme/widgets', 3, 0, 1);
         INSERT INTO evaluation (id, lane, at, action, reason, signals)
             VALUES (1, 1, 0, 'flag', 'blocked', '[]'), (2, 2, 0, 'flag', 'blocked', '[]'), (3, 3, 0, 'flag', 'blocked', '[]');";

    #[tokio::test]
    async fn an_issue_from_before_that_is_gone_is_neither_counted_nor_listed() {
        let (_folder, store) = scratch();
        store.write(|c| c.batch(FROM_BEFORE)).await.unwrap();
        let (counted, listed) = store
            .read(move |c| Ok((standings(c)?, few(c, Show::Before, 9, |_| true)?)))
            .await
            .unwrap();
        assert_eq!(counted.from_before, 1);
        assert_eq!(listed.iter().map(|issue| issue.number).collect::<Vec<_>>(), [1]);
    }

    /// What may be read in full: indices of the few that stand so, and the newest that were cut out before.
    const SMALL: [&str; 5] =
        ["lane_held", "dispatch_open", "lane_from_before", "dispatch_escalated", "SCAN newest"];

    #[tokio::test]
    async fn every_list_is_walked_by_an_index() {
        let (_folder, store) = scratch_file();
        for show in Show::ALL.iter().copied() {
            for by_repo in [false, true] {
                let sql = format!("{ISSUE} {}", walk(show, by_repo));
                let steps = store.read(move |c| plan(c, &sql)).await.unwrap();
                let is_bad = |step: &String| {
                    step.starts_with("SCAN") && !SMALL.iter().any(|small| step.contains(small))
                };
                assert!(!steps.iter().any(is_bad), "{show}: {steps:#?}");
                let is_sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
                let is_few = matches!(
                    show,
                    Show::Held | Show::Dispatched | Show::Before | Show::Escalated | Show::Urgent
                );
                let may_sort = by_repo || is_few;
                assert!(!is_sorted || may_sort, "{show}: {steps:#?}");
            }
        }
    }
}

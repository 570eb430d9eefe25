//! The list of issues that were ever decided about, the newest decision first.

use rusqlite::{Connection, Row, params};

use super::holds;
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::DispatchState;
use crate::store::inbox::unreadable;
use crate::store::{Error, Store};

/// How many issues one page looks through; what lies beyond is a click away.
const MOST_EXAMINED: usize = 50_000;

/// Which issues to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// All of them.
    #[default]
    All,
    /// Those that wait for a person's answer.
    Flagged,
    /// Those an agent has.
    Dispatched,
    /// Those that wait for an agent's place.
    Waiting,
    /// Those that people took out of automatic hands.
    Held,
    /// Those that are left alone.
    Skipped,
    /// Those that are closed or gone.
    Finished,
}

impl Show {
    /// Every choice with its name, in the order they are offered.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::All, "all"),
        (Self::Flagged, "flagged"),
        (Self::Dispatched, "dispatched"),
        (Self::Waiting, "waiting"),
        (Self::Held, "held"),
        (Self::Skipped, "skipped"),
        (Self::Finished, "finished"),
    ];

    /// The choice called `name`; all of them for any other word.
    pub fn named(name: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == name).map_or(Self::All, |(show, _)| *show)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(show, _)| *show == self).map_or("all", |(_, name)| name)
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
    /// Why people took it out of automatic hands, if they did.
    pub held: Option<String>,
    /// Who has it and how far that has come, while a dispatch is open.
    pub dispatch: Option<(String, DispatchState)>,
}

/// One page of them.
#[derive(Clone, Debug, Default)]
pub struct IssuePage {
    /// What is on it.
    pub issues: Vec<IssueRow>,
    /// Where the next page begins; `None` on the last one.
    pub older: Option<i64>,
    /// Whether the search stopped because it had looked through enough.
    pub stopped: bool,
}

/// How many issues stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Waiting for a person's answer.
    pub flagged: u64,
    /// In an agent's hands.
    pub dispatched: u64,
    /// Waiting for an agent's place.
    pub waiting: u64,
    /// Taken out of automatic hands by people.
    pub held: u64,
}

pub(super) const ISSUE: &str = "SELECT repo, number, title, latest.evaluation, latest.at, action,
     latest.agent, reason, score, held, dispatch.agent, dispatch.state FROM latest
     CROSS JOIN lane ON lane.id = latest.lane
     LEFT JOIN dispatch ON dispatch.lane = latest.lane AND ended_at IS NULL";

impl Store {
    /// Issues that match, the newest decision first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn issue_page(&self, query: IssueQuery) -> Result<IssuePage, Error> {
        self.read(move |c| page(c, &query)).await
    }
}

fn page(c: &Connection, query: &IssueQuery) -> Result<IssuePage, Error> {
    let before = query.before.unwrap_or(i64::MAX);
    let wanted = query.text.as_deref().unwrap_or_default().to_lowercase();
    let mut rows = c.prepare_cached(&format!("{ISSUE} {}", walk(query.show)))?;
    let mut rows = rows.query([before])?;
    let mut page = IssuePage::default();
    let (mut last, mut examined) = (before, 0);
    while let Some(row) = rows.next()? {
        if page.issues.len() == query.limit || examined == MOST_EXAMINED {
            page.stopped = page.issues.len() < query.limit;
            page.older = Some(last);
            break;
        }
        examined += 1;
        last = row.get(3)?;
        let repo = row.get_ref(0)?.as_str().map_err(|e| unreadable(&e))?;
        if query.repo.as_deref().is_some_and(|wanted| wanted != repo) {
            continue;
        }
        let issue = issue(row)?;
        if matches(&issue, &wanted) {
            page.issues.push(issue);
        }
    }
    Ok(page)
}

fn matches(issue: &IssueRow, wanted: &str) -> bool {
    wanted.is_empty()
        || holds(&issue.title, wanted)
        || holds(&format!("{}#{}", issue.repo, issue.number), wanted)
        || holds(&issue.reason, wanted)
}

fn walk(show: Show) -> String {
    let by_action = |action: &str| format!("action = '{action}' AND");
    let condition = match show {
        Show::All => String::new(),
        Show::Flagged => by_action("flag"),
        Show::Waiting => by_action("wait"),
        Show::Skipped => by_action("skip"),
        Show::Finished => by_action("finish"),
        Show::Held => "latest.lane IN (SELECT id FROM lane WHERE held IS NOT NULL) AND".to_owned(),
        Show::Dispatched => {
            "latest.lane IN (SELECT lane FROM dispatch WHERE ended_at IS NULL) AND".to_owned()
        }
    };
    format!("WHERE {condition} latest.evaluation < ?1 ORDER BY latest.evaluation DESC")
}

pub(super) fn issue(row: &Row<'_>) -> Result<IssueRow, Error> {
    let agent: Option<String> = row.get(10)?;
    let state: Option<String> = row.get(11)?;
    let state = state.map(|s| s.parse().map_err(|e: String| unreadable(&e))).transpose()?;
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
        held: row.get(9)?,
        dispatch: agent.zip(state),
    })
}

pub(super) fn few(c: &Connection, show: Show, limit: usize) -> Result<Vec<IssueRow>, Error> {
    Ok(page(c, &IssueQuery { show, limit, ..IssueQuery::default() })?.issues)
}

pub(super) fn standings(c: &Connection) -> Result<Standings, Error> {
    let mut rows = c.prepare_cached(
        "SELECT (SELECT count(*) FROM latest WHERE action = 'flag'),
                (SELECT count(*) FROM dispatch WHERE ended_at IS NULL),
                (SELECT count(*) FROM latest WHERE action = 'wait'),
                (SELECT count(*) FROM lane WHERE held IS NOT NULL)",
    )?;
    let standings = rows.query_row(params![], |r| {
        Ok(Standings {
            flagged: r.get(0)?,
            dispatched: r.get(1)?,
            waiting: r.get(2)?,
            held: r.get(3)?,
        })
    })?;
    Ok(standings)
}

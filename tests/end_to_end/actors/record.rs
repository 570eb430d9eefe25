//! What became of an issue, read where service and runner keep it: the service's store, the runner's log, the folder of
//! workspaces.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::coder::Coder;
use super::program::{Program, until};

/// Where to look.
pub struct Record {
    /// The file of the service's store.
    pub database: PathBuf,
    /// The folder of the runner.
    pub work: PathBuf,
}

/// A run, as the service keeps it.
#[derive(Clone, Debug)]
pub struct Run {
    pub turn: u32,
    pub branch: String,
    pub outcome: Option<String>,
    pub message: Option<String>,
    pub pull_request: Option<u64>,
    pub tokens: Option<u64>,
}

/// What happened about one issue, by the clock.
#[derive(Default)]
pub struct Timeline {
    title: String,
    began: DateTime<Utc>,
    lines: Vec<(DateTime<Utc>, String)>,
}

impl Timeline {
    pub fn begin(title: &str) -> Self {
        let began = Utc::now();
        Self {
            title: title.to_owned(),
            began,
            lines: vec![(began, "the issue is opened".to_owned())],
        }
    }

    /// Something happened now.
    pub fn now(&mut self, what: &str) {
        self.add(Utc::now(), what);
    }

    pub fn add(&mut self, at: DateTime<Utc>, what: impl Into<String>) {
        self.lines.push((at, what.into()));
    }

    /// When something happened for the first time.
    pub fn at(&self, what: &str) -> DateTime<Utc> {
        let found = self.lines.iter().filter(|(_, line)| line.starts_with(what)).map(|(at, _)| *at);
        found.min().unwrap_or_else(|| panic!("`{what}` is not in\n{self}"))
    }

    /// The time from one thing to another.
    pub fn between(&self, from: &str, to: &str) -> Duration {
        (self.at(to) - self.at(from)).to_std().unwrap_or_default()
    }

    /// Adds what the runner logged and the agent's model was asked since the issue was opened.
    pub fn add_the_work(&mut self, runner: &Program, coder: &Coder) {
        let began = self.began;
        for line in runner.log().into_iter().filter(|line| line.at >= began) {
            let (event, detail) = (&line.fields["event"], &line.fields["detail"]);
            let text = match event.as_str() {
                Some(event) => format!("runner: {event} {}", detail.as_str().unwrap_or_default()),
                None => format!("runner: {}", line.message),
            };
            self.add(line.at, text.trim());
        }
        for (at, what) in coder.asked().into_iter().filter(|(at, _)| *at >= began) {
            self.add(at, format!("model: is asked, and answers {what}"));
        }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines.clone();
        lines.sort_by_key(|(at, _)| *at);
        writeln!(f, "{}", self.title)?;
        for (at, line) in lines {
            writeln!(f, "{:>7} ms  {line}", (at - self.began).num_milliseconds())?;
        }
        Ok(())
    }
}

impl Record {
    fn store(&self) -> Connection {
        let store =
            Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        store
    }

    /// The run of an issue.
    pub fn run(&self, number: u64) -> Option<Run> {
        let sql = "SELECT r.branch, r.outcome, r.message, r.pull_request, r.tokens, r.turn FROM run r \
                   JOIN dispatch d ON d.id = r.dispatch JOIN lane l ON l.id = d.lane WHERE l.number = ?1";
        let run = |row: &rusqlite::Row<'_>| {
            Ok(Run {
                turn: row.get(5)?,
                branch: row.get(0)?,
                outcome: row.get(1)?,
                message: row.get(2)?,
                pull_request: row.get(3)?,
                tokens: row.get(4)?,
            })
        };
        self.store().query_row(sql, [number], run).optional().unwrap()
    }

    /// Waits until this turn of the run of an issue is done, which it has to be.
    pub async fn done(&self, number: u64, turn: u32) -> Run {
        let mut found = None;
        until(&format!("the end of turn {turn} of the run of #{number}"), || {
            found = self.run(number).filter(|run| run.turn == turn && run.outcome.is_some());
            found.is_some()
        })
        .await;
        let run = found.unwrap();
        assert_eq!(run.outcome.as_deref(), Some("done"), "{run:?}");
        run
    }

    /// Waits until the dispatch of an issue is in this state.
    pub async fn reaches(&self, number: u64, state: &str) {
        let is_it = || self.states(number).last().is_some_and(|(_, last)| last == state);
        until(&format!("`{state}` of #{number}"), is_it).await;
    }

    /// The states of the dispatch of an issue, in order.
    pub fn states(&self, number: u64) -> Vec<(DateTime<Utc>, String)> {
        let sql = "SELECT t.at, t.state FROM transition t JOIN dispatch d ON d.id = t.dispatch \
                   JOIN lane l ON l.id = d.lane WHERE l.number = ?1 ORDER BY t.id";
        let store = self.store();
        let mut rows = store.prepare(sql).unwrap();
        let rows = rows.query_map([number], |row| Ok((time(row.get(0)?), row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Adds what the service keeps of an issue.
    pub fn tell(&self, number: u64, timeline: &mut Timeline) {
        let sql = "SELECT min(v.received_at) FROM delivery v JOIN lane l ON l.id = v.lane \
                   WHERE l.number = ?1 AND v.origin = 'webhook'";
        let received = self.store().query_row(sql, [number], |row| row.get(0)).unwrap();
        timeline.add(time(received), "service: the delivery is in the inbox");
        for (at, state) in self.states(number) {
            timeline.add(at, format!("service: the dispatch is {state}"));
        }
    }

    /// What became of the deliveries of this kind.
    #[allow(dead_code, reason = "only a real server is asked")]
    pub fn deliveries(&self, action: &str) -> Vec<String> {
        let store = self.store();
        let mut rows = store.prepare("SELECT state FROM delivery WHERE action = ?1").unwrap();
        let rows = rows.query_map([action], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// The names of the workspaces.
    pub fn workspaces(&self) -> Vec<String> {
        let found = std::fs::read_dir(self.work.join("runs")).unwrap();
        found.map(|one| one.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Waits until no workspace is left.
    pub async fn workspaces_are_gone(&self) {
        let runs = self.work.join("runs");
        until("the end of the workspace", || std::fs::read_dir(&runs).unwrap().count() == 0).await;
    }
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

//! The agents: open dispatches, waiting issues, and how earlier dispatches ended.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use askama::Template;
use chrono::TimeDelta;

use super::access::Reader;
use super::chart::{Chart, Column};
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use crate::dispatch::pause::{Pausable, Pause};
use crate::dispatch::{Agent, AgentId, Dispatch, Interface};
use crate::store::{AgentLoad, DISPATCHES, DispatchDay};

#[derive(Template)]
#[template(path = "agents.html")]
struct Page {
    frame: Frame,
    agents: Vec<Row>,
    dispatches: Vec<(Dispatch, String)>,
    charts: [Chart; 3],
    paused: Vec<PausedRepository>,
}

/// Where the columns of the times end; a dispatch counts in the first that it fits.
const TOOK: [(&str, TimeDelta); 7] = [
    ("1 min", TimeDelta::minutes(1)),
    ("10 min", TimeDelta::minutes(10)),
    ("1 h", TimeDelta::hours(1)),
    ("4 h", TimeDelta::hours(4)),
    ("1 d", TimeDelta::days(1)),
    ("3 d", TimeDelta::days(3)),
    ("longer", TimeDelta::MAX),
];

/// A repository in sight that is paused.
struct PausedRepository {
    repo: String,
    pause: Pause,
    /// Whether they may end it.
    may_resume: bool,
}

/// One agent.
struct Row {
    load: AgentLoad,
    /// `None` for an agent that is no longer configured.
    agent: Option<Agent>,
    paused: Option<Pause>,
}

impl Row {
    fn slots(&self) -> u32 {
        self.agent.as_ref().map_or(0, |agent| agent.max_concurrent)
    }

    fn interface(&self) -> &'static str {
        match self.agent.as_ref().map(|agent| agent.interface) {
            Some(Interface::Forge) => "label and assignment",
            Some(Interface::Http) => "HTTP",
            Some(Interface::Local) => "built in",
            Some(Interface::Runner) => "runner",
            None => "no longer configured",
        }
    }

    fn strengths(&self) -> String {
        let names =
            self.agent.iter().flat_map(|a| &a.strengths).map(|s| s.as_str().replace('_', " "));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The handler of `GET /agents`.
pub(super) async fn page(reader: Reader) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let sees = reader.visitor.sees.clone();
    let (loads, dispatches, days, pauses) = tokio::try_join!(
        store.agent_loads(),
        store.open_dispatches(sees),
        store.dispatch_days(reader.now),
        store.pauses()
    )?;
    let configured = &reader.settings.agents;
    let paused = pauses.iter().filter_map(|pause| match &pause.of {
        Pausable::Agent(agent) => Some(agent.clone()),
        Pausable::Repository(_) => None,
    });
    let known = loads.iter().map(|load| AgentId::new(load.agent.clone()));
    let ids = configured.iter().map(|agent| agent.id.clone()).chain(known).chain(paused);
    let mut seen = BTreeSet::new();
    let ids = ids.filter(|id| seen.insert(id.clone()));
    let row = |id: AgentId| Row {
        load: load(&loads, &id),
        agent: configured.iter().find(|agent| agent.id == id).cloned(),
        paused: pauses.iter().find(|pause| pause.of == Pausable::Agent(id.clone())).cloned(),
    };
    let agents: Vec<Row> = ids.map(row).collect();
    let frame = reader.frame(NavItem::Agents, "Agents");
    let paused = pauses.iter().filter_map(|pause| match &pause.of {
        Pausable::Repository(repo) => Some(PausedRepository {
            repo: repo.to_string(),
            pause: pause.clone(),
            may_resume: reader.visitor.is_admin && reader.may_act_in(repo),
        }),
        Pausable::Agent(_) => None,
    });
    let paused = paused.filter(|one| reader.sees_repo(&one.repo)).collect();
    let charts = [now(agents.iter().map(|row| &row.load)), took(&loads), by_day(days)];
    Ok(render(&Page { frame, agents, dispatches, charts, paused }))
}

/// What each agent has, and what waits for it.
fn now<'a>(loads: impl Iterator<Item = &'a AgentLoad>) -> Chart {
    let column = |load: &AgentLoad| Column {
        name: load.agent.clone(),
        parts: vec![load.open, load.waiting],
    };
    let columns: Vec<Column> = loads.map(column).collect();
    Chart {
        title: "Issues that agents have, and that wait for one, by agent".to_owned(),
        series: vec!["open", "waiting"],
        every: Column::named(&columns),
        columns,
    }
}

/// How long the completed ones took.
fn took(loads: &[AgentLoad]) -> Chart {
    let times = || loads.iter().flat_map(|load| &load.times);
    let mut before = 0;
    let mut column = |(name, longest): &(&str, TimeDelta)| {
        let until = times().filter(|took| *took <= longest).count() as u64;
        let count = until - std::mem::replace(&mut before, until);
        Column { name: (*name).to_owned(), parts: vec![count] }
    };
    Chart {
        title: "Completed dispatches by duration, up to (among the newest 1,000)".to_owned(),
        series: vec!["completed"],
        columns: TOOK.iter().map(&mut column).collect(),
        every: 1,
    }
}

fn by_day(days: Vec<DispatchDay>) -> Chart {
    let column = |(at, parts): DispatchDay| Column {
        name: at.format("%m-%d").to_string(),
        parts: parts.to_vec(),
    };
    Chart {
        title: "Dispatches per day, last 14 days (UTC), by how they stand now".to_owned(),
        series: DISPATCHES.to_vec(),
        columns: days.into_iter().map(column).collect(),
        every: 4,
    }
}

fn load(loads: &[AgentLoad], agent: &AgentId) -> AgentLoad {
    let found = loads.iter().find(|load| load.agent == agent.as_str());
    let none = || AgentLoad { agent: agent.to_string(), ..AgentLoad::default() };
    found.cloned().unwrap_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_once_and_in_its_column() {
        let minutes = |minutes: &[i64]| AgentLoad {
            times: minutes.iter().map(|m| TimeDelta::minutes(*m)).collect(),
            ..AgentLoad::default()
        };
        let chart = took(&[minutes(&[0, 1, 60]), minutes(&[2, 100_000])]);
        let counts: Vec<u64> = chart.columns.iter().map(|column| column.parts[0]).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn names_of_agents_are_left_out_before_they_overlap() {
        let every = |name: &str, count: usize| {
            let load = AgentLoad { agent: name.to_owned(), open: 1, ..AgentLoad::default() };
            now(std::iter::repeat_n(&load, count)).every
        };
        assert_eq!((every("kimi", 0), every("kimi", 4), every("local-reviewer", 8)), (1, 1, 3));
    }
}

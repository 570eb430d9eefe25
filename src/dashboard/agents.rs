//! The agents: open dispatches, waiting issues, and how earlier dispatches ended.

use actix_web::HttpResponse;
use askama::Template;

use super::access::Reader;
use super::chart::{Chart, Column};
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use crate::dispatch::pause::{Pausable, Pause};
use crate::dispatch::{Agent, Dispatch, Interface};
use crate::store::{AgentLoad, DISPATCHES, DispatchDay};

#[derive(Template)]
#[template(path = "agents.html")]
struct Page {
    frame: Frame,
    agents: Vec<Row>,
    dispatches: Vec<(Dispatch, String)>,
    chart: Chart,
    /// The repositories in sight that are paused.
    paused: Vec<Pause>,
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
    let row = |agent: &Agent| {
        let is_it = |pause: &&Pause| pause.of == Pausable::Agent(agent.id.clone());
        let paused = pauses.iter().find(is_it).cloned();
        Row { load: load(&loads, agent), agent: Some(agent.clone()), paused }
    };
    let is_gone = |load: &&AgentLoad| !configured.iter().any(|a| load.agent == a.id.as_str());
    let gone = loads.iter().filter(is_gone).map(|load| Row {
        load: load.clone(),
        agent: None,
        paused: None,
    });
    let agents = configured.iter().map(row).chain(gone).collect();
    let frame = reader.frame(NavItem::Agents, "Agents");
    let in_sight = |pause: &&Pause| match &pause.of {
        Pausable::Repository(repo) => reader.sees_repo(&repo.to_string()),
        Pausable::Agent(_) => false,
    };
    let paused = pauses.iter().filter(in_sight).cloned().collect();
    Ok(render(&Page { frame, agents, dispatches, chart: chart(days), paused }))
}

fn chart(days: Vec<DispatchDay>) -> Chart {
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

fn load(loads: &[AgentLoad], agent: &Agent) -> AgentLoad {
    let found = loads.iter().find(|load| load.agent == agent.id.as_str());
    let none = || AgentLoad { agent: agent.id.to_string(), ..AgentLoad::default() };
    found.cloned().unwrap_or_else(none)
}

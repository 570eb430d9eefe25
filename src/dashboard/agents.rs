//! The agents: open dispatches, waiting issues, and how earlier dispatches ended.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use askama::Template;

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
    chart: Chart,
    paused: Vec<PausedRepository>,
}

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
    let agents = ids.map(row).collect();
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

fn load(loads: &[AgentLoad], agent: &AgentId) -> AgentLoad {
    let found = loads.iter().find(|load| load.agent == agent.as_str());
    let none = || AgentLoad { agent: agent.to_string(), ..AgentLoad::default() };
    found.cloned().unwrap_or_else(none)
}

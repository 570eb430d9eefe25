//! The agents: what each has on its hands, what waits for it, and how its work ended.

use actix_web::HttpResponse;
use askama::Template;

use super::access::Reader;
use super::frame::{Frame, Place, render};
use super::refusal::Refusal;
use crate::dispatch::{Agent, Interface};
use crate::store::{AgentLoad, DispatchRow};

#[derive(Template)]
#[template(path = "agents.html")]
struct Page {
    frame: Frame,
    agents: Vec<Row>,
    dispatches: Vec<DispatchRow>,
}

/// One agent.
struct Row {
    load: AgentLoad,
    /// How it is configured; `None` for one that no longer is.
    agent: Option<Agent>,
}

impl Row {
    fn places(&self) -> u32 {
        self.agent.as_ref().map_or(0, |agent| agent.max_concurrent)
    }

    fn told_by(&self) -> &'static str {
        match self.agent.as_ref().map(|agent| agent.interface) {
            Some(Interface::Forge) => "label and assignment",
            Some(Interface::Http) => "HTTP",
            Some(Interface::Local) => "built in",
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
    let (loads, dispatches) = reader.dashboard.parts.store.agent_loads().await?;
    let mut agents: Vec<Row> = reader
        .settings
        .agents
        .iter()
        .map(|agent| Row { load: load(&loads, agent), agent: Some(agent.clone()) })
        .collect();
    let is_known = |load: &AgentLoad| agents.iter().any(|row| row.load.agent == load.agent);
    let gone: Vec<Row> = loads
        .iter()
        .filter(|load| !is_known(load))
        .map(|load| Row { load: load.clone(), agent: None })
        .collect();
    agents.extend(gone);
    Ok(render(&Page { frame: reader.frame(Place::Agents, "Agents"), agents, dispatches }))
}

fn load(loads: &[AgentLoad], agent: &Agent) -> AgentLoad {
    let found = loads.iter().find(|load| load.agent == agent.id.as_str());
    let none = || AgentLoad { agent: agent.id.to_string(), ..AgentLoad::default() };
    found.cloned().unwrap_or_else(none)
}

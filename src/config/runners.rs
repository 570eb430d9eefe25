//! The runners: what makes one that cannot work, and what agents are told by them.

use std::time::Duration;

use super::error::{Found, wrong};
use super::source::Origins;
use super::{AgentEntry, Config, RunBudget, RunnerEntry, keys};
use crate::agents::runner::{Prompt, SMALLEST_LOG};
use crate::dispatch::Interface;
use crate::runner::Settings;

/// The key of the template.
const PROMPT_FILE: &str = "runs.prompt_file";
/// The key of the runner in this process.
const EMBEDDED: &str = "runs.embedded";

/// A shorter lease would end while a call is on its way.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);

/// Every mistake in the runners, and in what they are told, that a single value does not show.
pub(super) fn mistakes(config: &Config) -> Vec<Found> {
    let mut all: Vec<Found> = unlisted(config).collect();
    for (at, entry) in config.runner.iter().enumerate() {
        all.extend(same_as_before(config, at, entry));
        all.extend(entry.agents.iter().filter_map(|id| not_run(config, at, entry, id)));
    }
    if config.runs.lease < SHORTEST_LEASE {
        let (key, least) = ("runs.lease", SHORTEST_LEASE.as_secs());
        let message =
            format!("`{key}` is too short for a runner to renew it; write at least `{least}s`");
        all.push(wrong(key, message));
    }
    if config.runs.log_limit < SMALLEST_LOG {
        let (key, least) = ("runs.log_limit", SMALLEST_LOG / 1024);
        let message = format!("`{key}` is too small for a log; write at least `{least}KiB`");
        all.push(wrong(key, message));
    }
    let empty = |(at, one): (usize, &RunBudget)| {
        let is_empty = one.tokens.is_none() && one.money.is_none();
        let message =
            format!("`runs.budget` per {} limits nothing; add `tokens` or `money` to it", one.per);
        is_empty.then(|| (format!("runs.budget.{at}"), "runs.budget".to_owned(), message))
    };
    all.extend(config.runs.budgets.iter().enumerate().filter_map(empty));
    all
}

/// The enabled agents that work by runs.
fn run(config: &Config) -> impl Iterator<Item = (usize, &AgentEntry)> {
    let is_run = |entry: &AgentEntry| entry.enabled && entry.interface == Some(Interface::Runner);
    config.agent.iter().enumerate().filter(move |(_, entry)| is_run(entry))
}

/// Agents whose runs nobody would take.
fn unlisted(config: &Config) -> impl Iterator<Item = Found> + '_ {
    let is_listed =
        |id: &str| config.runner.iter().flat_map(|runner| &runner.agents).any(|one| one == id);
    let alone = run(config).filter(move |(_, agent)| !is_listed(&agent.id));
    alone.map(|(at, agent)| {
        let id = &agent.id;
        let message = format!(
            "no `[[runner]]` lists `{id}` among its `agents`, so nobody would do its work; `gitea-triage runner token NAME` prints one to add"
        );
        (format!("agent.{at}.interface"), format!("agent.{id}.interface"), message)
    })
}

/// Two runners that nobody could tell apart.
fn same_as_before(config: &Config, at: usize, entry: &RunnerEntry) -> Vec<Found> {
    let (before, name) = (&config.runner[..at], entry.name.as_str());
    let mut all = Vec::new();
    let mut add = |key: &str, message| {
        all.push((format!("runner.{at}.{key}"), format!("runner.{name}.{key}"), message));
    };
    if !name.is_empty() && before.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
        add("name", format!("runner `{name}` is there twice; give each its own name"));
    }
    let is_same = |other: &&RunnerEntry| other.token_sha256 == entry.token_sha256;
    let other = before.iter().filter(|_| !entry.token_sha256.is_empty()).find(is_same);
    if let Some(other) = other {
        let make = "make each its own with `gitea-triage runner token NAME`";
        let message = format!("runners `{}` and `{name}` have the same token; {make}", other.name);
        add("token_sha256", message);
    }
    all
}

/// That a runner lists what is no agent of its kind.
fn not_run(config: &Config, at: usize, entry: &RunnerEntry, id: &str) -> Option<Found> {
    if run(config).any(|(_, agent)| agent.id == id) {
        return None;
    }
    let there = config.agent.iter().find(|agent| agent.enabled && agent.id == id);
    let what = match there {
        Some(AgentEntry { interface: Some(interface), .. }) => {
            format!("works by `interface = \"{interface}\"`; write `interface = \"runner\"` there")
        }
        // That it is missing is reported where the agent stands.
        Some(_) => return None,
        None => {
            let near = keys::nearest(id, run(config).map(|(_, agent)| agent.id.as_str()));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let add = "add an `[[agent]]` with this `id` and `interface = \"runner\"`";
            format!("is no agent that is enabled; {}", hint.unwrap_or_else(|| add.to_owned()))
        }
    };
    let name = &entry.name;
    let message = format!("runner `{name}` lists `{id}`, which {what}");
    Some((format!("runner.{at}.agents"), format!("runner.{name}.agents"), message))
}

/// Reads the settings of the runner that works in this process.
pub(super) fn read_embedded(config: &mut Config, origins: &Origins) -> Option<Found> {
    let path = config.runs.embedded.clone()?;
    let settings = Settings::load(&origins.resolved(EMBEDDED, config.file(), &path));
    let checked = settings.and_then(|settings| {
        // Where it is left out, it is this service, whose address is known when it listens.
        let server = match settings.server.as_str() {
            "" => format!("http://{}", config.server.listen),
            server => server.to_owned(),
        };
        Settings { server, ..settings.clone() }.check().map(|()| settings)
    });
    match checked {
        Ok(settings) => config.runs.runner = Some(settings),
        Err(error) => {
            let message = format!("`{EMBEDDED}` names a runner that cannot work: {error}");
            return Some(wrong(EMBEDDED, message));
        }
    }
    None
}

/// Reads the template that agents are told by.
pub(super) fn read_prompt(config: &mut Config, origins: &Origins) -> Option<Found> {
    let path = config.runs.prompt_file.clone()?;
    let found = |why: String| {
        let message = format!("`{PROMPT_FILE}` names `{path}`, which {why}");
        Some(wrong(PROMPT_FILE, message))
    };
    let text = match std::fs::read_to_string(origins.resolved(PROMPT_FILE, config.file(), &path)) {
        Ok(text) => text,
        Err(error) => return found(format!("cannot be read: {error}")),
    };
    if let Err(why) = Prompt::new(&text) {
        return found(format!("is no template: {why}"));
    }
    config.runs.prompt = Some(text);
    None
}

//! One [`Config`] from a TOML file and the environment. Every mistake names its key and its line, all of
//! them at once; secrets are wrapped from the moment they are read.
//!
//! A key is a field of a settings struct, with its kind, its default and its doc comment: `sections.rs` holds the
//! structs, but for those of rooms that take theirs as they stand. Nothing else has to be changed for a new key but
//! the code that uses it; the reference in the book is printed by `gitea-triage config reference`.

mod agents;
mod changes;
mod error;
mod keys;
mod policy;
mod preset;
mod read;
mod rotations;
mod rules;
mod runners;
mod schema;
mod sections;
mod show;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use agents::built_in_agents;
pub use error::{ConfigError, Origin, Problem};
pub use policy::as_section;
pub use schema::{reference, schema};
pub use sections::*;

use crate::agents::local;
use crate::triage::{self, Policy};
use read::Spot;
use source::{Origins, Source};

/// Where a configuration is looked for when none is named.
pub const PLACES: [&str; 2] = ["gitea-triage.toml", "/etc/gitea-triage/gitea-triage.toml"];

/// Everything an operator tunes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The Gitea or Forgejo server.
    pub gitea: Gitea,
    /// The address this service listens on.
    pub server: Server,
    /// What the webhook accepts.
    pub webhook: Webhook,
    /// Where deliveries and the ledger are kept.
    pub store: Store,
    /// How issues are judged and what is left alone.
    pub triage: Triage,
    /// What people may take with `/triage claim`.
    pub claim: Claim,
    /// People who are asked in turn where an issue needs a person, instead of the owner; of several entries, the first that
    /// serves an issue counts.
    pub rotation: Vec<RotationEntry>,
    /// Labels the service puts on.
    pub labels: Labels,
    /// How issues are given to agents.
    pub dispatch: Dispatch,
    /// What a closed issue has to show.
    pub review: Review,
    /// What holds for all agents.
    pub agents: Agents,
    /// One agent; a built-in `id` changes only the keys named here.
    pub agent: Vec<AgentEntry>,
    /// A runner: a `gitea-triage runner` on any machine that works for agents with `interface = "runner"`.
    pub runner: Vec<RunnerEntry>,
    /// What runners are told about the work of agents with `interface = "runner"`.
    pub runs: Runs,
    /// The model behind agents with `interface = "local"`.
    #[schemars(with = "local::Settings")]
    pub local_agent: Option<local::Settings>,
    /// Looking for what no webhook told.
    pub sweep: Sweep,
    /// The daily summary issue.
    pub summary: Summary,
    /// How the inbox is worked off.
    pub worker: Worker,
    /// The pages for people; they show nothing until a way to sign in is set.
    pub dashboard: Dashboard,
    /// What the owner tunes in scoring and deciding.
    pub policy: Policy,
    /// The policy made ready for use, once all was read.
    #[serde(skip)]
    pub compiled: Option<triage::Triage>,
    #[serde(skip)]
    file: Option<String>,
    #[serde(skip)]
    origins: Origins,
    /// The file that each secret was read from.
    #[serde(skip)]
    files: BTreeMap<String, String>,
    #[serde(skip)]
    marks: BTreeMap<String, u64>,
}

/// The file to read: the one that was named, else the first of [`PLACES`] that exists.
pub fn find(explicit: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    match explicit {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => {
            let message = "there is no such file; correct `--config`".to_owned();
            Err(ConfigError::of(Some(path.display().to_string()), message))
        }
        None => Ok(PLACES.iter().map(PathBuf::from).find(|p| p.is_file())),
    }
}

/// The process's environment, without what is no text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

impl Config {
    /// Reads `path`, or nothing but the environment when there is none.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Self::from_toml(None, "", env) };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_toml(name.as_str(), &text, env),
            Err(e) => Err(ConfigError::of(Some(name), format!("cannot be read: {e}"))),
        }
    }

    /// Reads `text`, which messages call `name`.
    pub fn from_toml<'a>(
        name: impl Into<Option<&'a str>>,
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut source = Source::parse(name.into(), text)?;
        source.lay_over_built_in();
        source.overlay(env);
        source.lay_over_preset();
        let root = std::mem::take(&mut source.root);
        let root = source.table(keys::root(), root, &Spot::default());
        let marks = changes::marks(&root);
        let whole = toml::Value::Table(root).try_into::<Self>();
        let Source { origins, mut mistakes, bad, files, .. } = source;
        let Ok(mut config) = whole else {
            let file = mistakes.file.clone();
            mistakes.check()?;
            // Cannot happen: each value was read on its own before.
            let message = "cannot be read as a whole; please report this".to_owned();
            return Err(ConfigError::of(file, message));
        };
        config.file.clone_from(&mistakes.file);
        for (at, key, message) in rules::apply(&mut config, &origins) {
            if !bad.iter().any(|bad| bad.starts_with(&at)) {
                mistakes.add(origins.near(&at), &key, message);
            }
        }
        mistakes.check()?;
        config.agents.list = agents::enabled(&config.agent).collect();
        config.agents.secrets = agents::secrets(&config.agent);
        Ok(Self { origins, files, marks, ..config })
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Where `path` was set: a key such as `triage.ready_at`.
    pub fn origin(&self, path: &str) -> Origin {
        self.origins.of(path)
    }
}

//! One [`Config`] from a TOML file and the environment. Every mistake names its key and its line, all of
//! them at once; secrets are wrapped from the moment they are read.
//!
//! All keys are listed once, in `keys.rs`; what is read, shown, documented and refused comes from there.

mod agents;
mod build;
mod checks;
mod dashboard;
mod env;
mod error;
mod keys;
mod kind;
mod resolve;
mod row;
mod schema;
mod secret_file;
mod sections;
mod show;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

pub use agents::built_in_agents;
pub use error::{ConfigError, Problem};
pub use schema::{reference, schema};
pub use sections::*;
pub use tree::Origin;

use error::{Mistakes, problem};
use resolve::Resolved;

/// Where a configuration is looked for when none is named.
pub const PLACES: [&str; 2] = ["gitea-triage.toml", "/etc/gitea-triage/gitea-triage.toml"];

/// Everything an operator tunes.
#[derive(Clone, Debug)]
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
    /// Labels the service puts on.
    pub labels: Labels,
    /// How issues are given to agents.
    pub dispatch: Dispatch,
    /// What a closed issue has to show.
    pub review: Review,
    /// Who works on issues.
    pub agents: Agents,
    /// The model behind local agents, when there is one.
    pub local_agent: Option<LocalAgent>,
    /// Looking for what no webhook told.
    pub sweep: Sweep,
    /// The daily summary issue.
    pub summary: Summary,
    /// How the inbox is worked off.
    pub worker: Worker,
    /// The pages for people.
    pub dashboard: Dashboard,
    /// The policy as it stands in the file; the triage room knows its keys.
    pub policy: toml::Table,
    file: Option<String>,
    resolved: Resolved,
}

/// The file to read: the one that was named, else the first of [`PLACES`] that exists.
pub fn find(explicit: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    match explicit {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => Err(of_file(path, "there is no such file; correct `--config`".to_owned())),
        None => Ok(PLACES.iter().map(PathBuf::from).find(|p| p.is_file())),
    }
}

/// The process's environment, without what is no text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

fn of_file(path: &Path, message: String) -> ConfigError {
    problem(Some(&path.display().to_string()), &Origin::Default, "", message).into()
}

impl Config {
    /// Reads `path`, or nothing but the environment when there is none.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Self::read(None, "", env) };
        let text = std::fs::read_to_string(path)
            .map_err(|e| of_file(path, format!("cannot be read: {e}")))?;
        Self::read(Some(&path.display().to_string()), &text, env)
    }

    /// Reads `text`, which messages call `name`.
    pub fn from_toml(
        name: &str,
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::read(Some(name), text, env)
    }

    fn read(
        file: Option<&str>,
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::new(file);
        let mut root = tree::parse(text).map_err(|found| {
            let one = |(line, what): (usize, String)| {
                problem(file, &Origin::Line(line), "", format!("this is not TOML: {what}"))
            };
            ConfigError::new(found.into_iter().map(one).collect())
        })?;
        env::overlay(&mut root, env, &mut mistakes);
        let resolved = resolve::resolve(&root, &mut mistakes);
        match mistakes.into_error() {
            Some(error) => Err(error),
            None => build::config(file.map(str::to_owned), resolved),
        }
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Where `path` was set: a key such as `triage.ready_at`, or one inside the policy.
    pub fn origin(&self, path: &str) -> Origin {
        if let Some(origin) = self.resolved.policy_origins.get(path) {
            return origin.clone();
        }
        let row = path.split_once('.').and_then(|(s, k)| Some((self.resolved.sections.get(s)?, k)));
        row.map_or(Origin::Default, |(row, key)| row.origin(key).clone())
    }

    /// A mistake about `path` that only another room can see, told like the ones found here.
    pub fn problem(&self, path: &str, message: impl fmt::Display) -> Problem {
        problem(self.file.as_deref(), &self.origin(path), path, message.to_string())
    }
}

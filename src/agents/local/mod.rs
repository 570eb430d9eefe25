//! The built-in agent: a model near the server that works on one issue with a bounded number of tool calls. It sees no
//! token, writes nothing itself, and believes no text that somebody else wrote: reads and writes go through
//! [`Environment`], which `forge_environment` implements over the forge, the store and the executor.
//!
//! [`LocalAgent::start`] registers every tool or names the one that cannot be; [`LocalAgent::run`] gives one [`Run`]
//! whatever happens. [`LocalRuns`] keeps to the budgets, and [`LocalClient`] takes dispatches.

mod budget;
mod clean;
mod client;
mod conversation;
mod environment;
mod forge_environment;
mod guard;
mod json_client;
mod mcp;
mod model;
mod prompt;
mod quoted;
mod registry;
mod run;
mod runs;
mod schema;
mod settings;
mod tool;
mod tools;

use std::sync::Arc;

pub use self::budget::{Allowance, Budget, BudgetScope};
pub use self::clean::clean;
pub use self::client::LocalClient;
pub use self::environment::{
    AgentAction, Answer, AvailableAgent, Environment, Note, SubIssue, Unavailable,
};
pub use self::forge_environment::{LocalRules, Parts};
pub use self::model::message::{Message, ToolCall};
pub(super) use self::quoted::fence;
pub use self::run::{CallRecord, Run};
pub use self::runs::LocalRuns;
pub use self::settings::{
    ConsultSettings, InvoiceKind, McpSettings, ModelApi, Settings, SubIssues,
};
pub use self::tool::{Permission, RegistrationError};

use self::model::Model;
use self::registry::Registry;
use crate::issue::IssueRef;

/// What the agent is asked to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The issue it works on; the only one it may change.
    pub at: IssueRef,
    /// What whoever runs it asks for; the usual request when `None`.
    pub prompt: Option<String>,
    /// The digest of the text that was approved, where one was: the run ends where the issue says otherwise.
    pub approved: Option<String>,
    /// What the run may spend.
    pub allowance: Allowance,
}

impl Task {
    /// The usual request for an issue, without a limit but the agent's own.
    pub fn new(at: IssueRef) -> Self {
        Self { at, prompt: None, approved: None, allowance: Allowance::default() }
    }
}

/// The agent. Cheap to clone; clones share its tools and connections.
#[derive(Clone)]
pub struct LocalAgent {
    model: Arc<Model>,
    registry: Arc<Registry>,
}

impl std::fmt::Debug for LocalAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAgent").field("tools", &self.tools()).finish_non_exhaustive()
    }
}

/// Called with each message of a run, in order, as it is added.
pub type Watch<'a> = &'a (dyn Fn(&Message) + Send + Sync);

/// Registers what needs no server.
///
/// # Errors
/// As [`LocalAgent::start`].
pub fn check_tools(settings: &Settings) -> Result<(), RegistrationError> {
    Registry::own(settings).map(|_| ())
}

impl LocalAgent {
    /// Registers every tool the settings name, starting or calling the servers of further ones.
    ///
    /// # Errors
    /// When one tool cannot be registered, or a server that is required does not answer; names it and says why.
    pub async fn start(settings: Settings) -> Result<Self, RegistrationError> {
        let registry = Registry::fill(&settings).await?;
        let model = Model::new(settings).map_err(RegistrationError::Client)?;
        Ok(Self { model: Arc::new(model), registry: Arc::new(registry) })
    }

    /// The names of its tools, as the model is offered them.
    pub fn tools(&self) -> Vec<String> {
        self.registry.names()
    }

    /// Works on one issue to the end. Never fails: what went wrong is in [`Run::error`], with what was done so far.
    pub async fn run(&self, task: &Task, environment: &dyn Environment) -> Run {
        self.run_watched(task, environment, &|_| {}).await
    }

    /// A run that has not begun.
    fn not_begun(&self) -> Run {
        Run { model: self.model.settings.model.clone(), ..Run::default() }
    }

    /// Ends the servers of further tools that were started.
    pub async fn stop(&self) {
        self.registry.stop().await;
    }
}

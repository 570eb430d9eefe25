//! Runs of the local agent on issues, within what they may spend.

use std::sync::Arc;

use anyhow::Context as _;

use super::budget::{BudgetScope, left};
use super::forge_environment::{ForgeEnvironment, LocalRules, Parts};
use super::{Environment as _, LocalAgent, Run, Task, Watch};

/// Runs the local agent on issues within its budgets.
pub struct LocalRuns {
    pub(super) agent: LocalAgent,
    pub(super) environment: ForgeEnvironment,
}

impl LocalRuns {
    /// Runs of this agent.
    pub fn new(agent: LocalAgent, parts: Parts, rules: LocalRules) -> Self {
        Self { agent, environment: ForgeEnvironment::new(parts, rules) }
    }

    /// Swaps what the owner tunes.
    pub(super) fn set_rules(&self, rules: LocalRules) {
        self.environment.rules.store(Arc::new(rules));
    }

    /// One run to its end; what it spent is written down. When a budget is used up the model is not called, and the
    /// owner is notified once a day.
    ///
    /// # Errors
    /// When the store cannot be used. What goes wrong in the run itself is in the [`Run`].
    pub async fn run(&self, mut task: Task, watch: Watch<'_>) -> anyhow::Result<Run> {
        let Parts { store, clock, .. } = &self.environment.parts;
        let now = clock.now();
        let totals = store.spent(&task.at, now).await.context("the budget is unknown")?;
        let (allowance, tightest) = left(&self.environment.rules.load().budgets, &totals);
        task.allowance = task.allowance.and(allowance);
        if let (Some(what), Some(scope)) = (allowance.used_up(), tightest) {
            let whom = match scope {
                BudgetScope::Issue => format!("`{}`", task.at),
                BudgetScope::Repository => format!("`{}`", task.at.repo),
                BudgetScope::Day => "all issues".to_owned(),
            };
            let why = format!(
                "the budget of {what} for {whom} is used up until midnight UTC; see `[[local_agent.budget]]`"
            );
            let env = &self.environment;
            if !env.is_dry_run()
                && store.tell_of_budget(&task.at, now).await?
                && let Err(why) = env.notify_owner(&task.at, &why).await
            {
                tracing::warn!(issue = %task.at, %why, "the owner could not be notified that a budget is used up");
            }
            return Ok(Run { error: why, ..self.agent.not_begun() });
        }
        let run = self.agent.run_watched(&task, &self.environment, watch).await;
        let kept = store.spend(&task.at, run.spent(), now).await;
        kept.context("what was spent could not be kept")?;
        Ok(run)
    }
}

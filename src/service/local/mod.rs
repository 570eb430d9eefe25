//! The local agent, put together: its settings from the configuration, the world it may use, and what a run may spend.

mod outside;
mod runner;
mod say;
mod settings;
mod split;

use std::time::Duration;

use anyhow::Context as _;

use crate::agents::local::{Allowance, LocalAgent, Run, Spent, Task, Watch};
use crate::clock::Clock;
use crate::config::{Budget, BudgetScope, Config};
use crate::gitea as forge;
use crate::issue::IssueRef;
use crate::store::{Spending, Store, Totals};

use self::outside::World;

pub use self::runner::Runner;

/// Starts the local agent, if there is one.
///
/// # Errors
/// When a tool cannot be registered, as a [`crate::agents::local::RegistrationError`].
pub async fn start(config: &Config) -> anyhow::Result<Option<LocalAgent>> {
    let Some(local) = &config.local_agent else { return Ok(None) };
    Ok(Some(LocalAgent::start(settings::of(local, config)).await?))
}

/// Runs the local agent on issues within its budgets. Cheap to clone; a run can go on in a task of its own.
#[derive(Clone)]
pub struct LocalRuns {
    agent: LocalAgent,
    world: World,
    store: Store,
    clock: Clock,
    budgets: Vec<Budget>,
}

impl LocalRuns {
    /// Runs over the agent, with the forge and the store behind its tools. The forge's own dry run holds here too.
    pub fn new(
        agent: LocalAgent,
        config: &Config,
        store: &Store,
        forge: &forge::Client,
        clock: &Clock,
    ) -> Self {
        let world = World::new(config, store, forge, clock);
        let budgets = config.local_agent.as_ref().map(|l| l.budgets.clone()).unwrap_or_default();
        Self { agent, world, store: store.clone(), clock: clock.clone(), budgets }
    }

    /// One run to its end; what it spent is written down. When a budget is used up nothing is asked, and a person is
    /// told once a day.
    ///
    /// # Errors
    /// When the store cannot be used. What goes wrong in the run itself is in the [`Run`].
    pub async fn run(&self, mut task: Task, watch: Watch<'_>) -> anyhow::Result<Run> {
        let now = self.clock.now();
        let totals = self.store.spent(&task.at, now).await.context("the budget is unknown")?;
        let (allowance, tightest) = left(&self.budgets, &totals);
        task.allowance = task.allowance.and(allowance);
        if let (Some(what), Some(scope)) = (allowance.used_up(), tightest) {
            let why = format!(
                "the budget of {what} for {} is used up until midnight UTC; see `[[local_agent.budget]]`",
                named(scope, &task.at)
            );
            self.tell(&task.at, &why).await?;
            return Ok(Run::not_begun(self.agent.model(), why));
        }
        let run = self.agent.run_watched(&task, &self.world, watch).await;
        let spent = Spending { rounds: run.rounds.into(), tokens: run.tokens, ms: run.latency_ms };
        self.store.spend(&task.at, spent, now).await.context("what was spent could not be kept")?;
        Ok(run)
    }

    async fn tell(&self, at: &IssueRef, why: &str) -> anyhow::Result<()> {
        if self.world.is_dry_run() || !self.store.tell_of_budget(at, self.clock.now()).await? {
            return Ok(());
        }
        if let Err(unmet) = self.world.tell_owner(at, why).await {
            tracing::warn!(issue = %at, %unmet, "nobody could be told that a budget is used up");
        }
        Ok(())
    }
}

/// What is left of all budgets, and which one ends first if one has.
fn left(budgets: &[Budget], totals: &Totals) -> (Allowance, Option<BudgetScope>) {
    let mut all = Allowance::default();
    let mut ended = None;
    for budget in budgets {
        let spent = match budget.per {
            BudgetScope::Issue => totals.issue,
            BudgetScope::Repository => totals.repository,
            BudgetScope::Day => totals.day,
        };
        let most = Allowance { rounds: budget.rounds, tokens: budget.tokens, time: budget.time };
        let left = most.after(Spent {
            rounds: spent.rounds,
            tokens: spent.tokens,
            time: Duration::from_millis(spent.ms),
        });
        if left.used_up().is_some() && ended.is_none() {
            ended = Some(budget.per);
        }
        all = all.and(left);
    }
    (all, ended)
}

fn named(scope: BudgetScope, at: &IssueRef) -> String {
    match scope {
        BudgetScope::Issue => format!("`{at}`"),
        BudgetScope::Repository => format!("`{}`", at.repo),
        BudgetScope::Day => "all issues".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_budget_counts_and_the_one_that_ended_is_named() {
        let budget = |per, rounds| Budget { per, rounds: Some(rounds), tokens: None, time: None };
        let budgets = [
            budget(BudgetScope::Issue, 10),
            budget(BudgetScope::Repository, 20),
            budget(BudgetScope::Day, 30),
        ];
        let rounds = |rounds| Spending { rounds, ..Spending::default() };
        let totals = Totals { issue: rounds(4), repository: rounds(18), day: rounds(25) };
        assert_eq!(
            left(&budgets, &totals),
            (Allowance { rounds: Some(2), ..Allowance::default() }, None)
        );
        let totals = Totals { issue: rounds(4), repository: rounds(21), day: rounds(25) };
        let (allowance, ended) = left(&budgets, &totals);
        assert_eq!((allowance.used_up(), ended), (Some("rounds"), Some(BudgetScope::Repository)));
        assert_eq!(left(&[], &totals), (Allowance::default(), None));
    }
}

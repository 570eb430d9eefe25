//! What runs may spend within a day, and what is left of it for the next one. Where it is added up is not its business.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{As, Maybe, Span};
use crate::store::{Spending, Totals};

/// What the local agent may spend within a day (UTC); without one there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Budget {
    /// What the budget is for: each issue, each repository, or all of them together.
    #[schemars(extend("x-required" = "per = \"issue\""))]
    pub per: BudgetScope,
    /// Answers of the model.
    #[schemars(with = "u64", range(min = 1))]
    pub rounds: Option<u64>,
    /// Tokens, as the model counts them.
    #[schemars(with = "u64", range(min = 1))]
    pub tokens: Option<u64>,
    /// Time of all runs together.
    #[serde(with = "As::<Maybe<Span>>")]
    pub time: Option<Duration>,
}

named_enum! {
    /// What a budget is for.
    #[derive(Default)]
    BudgetScope {
        /// Each issue.
        Issue = "issue",
        /// Each repository.
        Repository = "repository",
        /// All of them together.
        #[default]
        Day = "day",
    }
}

/// What may still be spent; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Answers of the model.
    pub rounds: Option<u64>,
    /// Tokens, questions and answers together, as the model counts them.
    pub tokens: Option<u64>,
    /// Time, from the first question on.
    pub time: Option<Duration>,
}

impl Allowance {
    /// What is left of it.
    #[must_use]
    pub fn after(self, spent: Spending) -> Self {
        Self {
            rounds: self.rounds.map(|most| most.saturating_sub(spent.rounds)),
            tokens: self.tokens.map(|most| most.saturating_sub(spent.tokens)),
            time: self.time.map(|most| most.saturating_sub(Duration::from_millis(spent.ms))),
        }
    }

    /// The smaller of both in everything.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn less<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            a.into_iter().chain(b).min()
        }
        Self {
            rounds: less(self.rounds, other.rounds),
            tokens: less(self.tokens, other.tokens),
            time: less(self.time, other.time),
        }
    }

    /// What of it is used up, if anything is.
    pub fn used_up(&self) -> Option<&'static str> {
        let is_used_up = [
            (self.rounds == Some(0), "rounds"),
            (self.tokens == Some(0), "tokens"),
            (self.time == Some(Duration::ZERO), "time"),
        ];
        is_used_up.into_iter().find(|(is_it, _)| *is_it).map(|(_, what)| what)
    }
}

/// What is left of all budgets, and the first of those that have run out.
pub(super) fn left(budgets: &[Budget], totals: &Totals) -> (Allowance, Option<BudgetScope>) {
    let mut all = Allowance::default();
    let mut exhausted = None;
    for &Budget { per, rounds, tokens, time } in budgets {
        let left = Allowance { rounds, tokens, time }.after(match per {
            BudgetScope::Issue => totals.issue,
            BudgetScope::Repository => totals.repository,
            BudgetScope::Day => totals.day,
        });
        exhausted = exhausted.or(left.used_up().map(|_| per));
        all = all.and(left);
    }
    (all, exhausted)
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

    #[test]
    fn the_first_thing_to_run_out_ends_it() {
        let day = Allowance { rounds: Some(20), tokens: Some(1_000), time: None };
        let issue =
            Allowance { rounds: Some(30), tokens: Some(500), time: Some(Duration::from_secs(60)) };
        let both = day.and(issue);
        assert_eq!((both.rounds, both.tokens), (Some(20), Some(500)));
        let spent = Spending { rounds: 3, tokens: 700, ms: 10_000 };
        assert_eq!(both.used_up(), None);
        assert_eq!(both.after(spent).used_up(), Some("tokens"));
        assert_eq!(Allowance::default().after(spent).used_up(), None);
    }
}

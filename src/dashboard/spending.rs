//! What agents on runners used, as the page of the runners shows it: by day and agent, and of each budget.

use chrono::Days;

use crate::clock::Timestamp;
use crate::dispatch::budget::{Budget, BudgetScope, BudgetUnit, Budgets, Spent, Used, amount};
use crate::store::{DaySpending, Sight};

/// How many days are shown, today included.
const DAYS: u64 = 7;

/// What an agent used on a day.
#[derive(Debug, PartialEq, Eq)]
pub struct AgentDay {
    /// The day.
    pub day: String,
    /// The agent.
    pub agent: String,
    /// Tokens, where any were counted.
    pub tokens: Option<u64>,
    /// Money, where any was named.
    pub money: Option<String>,
}

/// A budget, and what is used of it.
#[derive(Debug, PartialEq, Eq)]
pub struct BudgetRow {
    /// What it is for.
    pub of: String,
    /// How much may be used.
    pub limit: String,
    /// How much was; `None` for one that each run or issue has of its own.
    pub spent: Option<Spent>,
}

/// The first day that is shown.
pub(super) fn first_day(budgets: &Budgets, now: Timestamp) -> String {
    let today = budgets.day(now);
    today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today).to_string()
}

/// The days of agents, the latest first, as far as the repositories are in sight.
pub(super) fn days(all: &[DaySpending], sight: &Sight) -> Vec<AgentDay> {
    let mut days: Vec<(&DaySpending, Used)> = Vec::new();
    for one in all.iter().filter(|one| sight.has(&one.repo)) {
        match days.last_mut() {
            Some((last, used)) if (&last.day, &last.agent) == (&one.day, &one.agent) => {
                *used = sum(*used, one.used);
            }
            _ => days.push((one, one.used)),
        }
    }
    let row = |(one, used): (&DaySpending, Used)| AgentDay {
        day: one.day.clone(),
        agent: one.agent.to_string(),
        tokens: used.tokens,
        money: used.money.map(|money| amount(BudgetUnit::Money, money)),
    };
    days.into_iter().map(row).collect()
}

/// Who looks at budgets, and when.
pub(super) struct Viewer<'a> {
    pub(super) sight: &'a Sight,
    /// Sees what is used in all repositories.
    pub(super) is_admin: bool,
    pub(super) now: Timestamp,
}

/// The budgets with what is used of them today.
pub(super) fn rows(budgets: &Budgets, all: &[DaySpending], viewer: &Viewer<'_>) -> Vec<BudgetRow> {
    let today = budgets.day(viewer.now).to_string();
    let of_today: Vec<_> = all.iter().filter(|one| one.day == today).collect();
    let mut repos: Vec<&str> = of_today.iter().map(|one| one.repo.as_str()).collect();
    repos.retain(|repo| viewer.sight.has(repo));
    repos.sort_unstable();
    repos.dedup();
    let used = |is_it: &dyn Fn(&&DaySpending) -> bool| {
        of_today
            .iter()
            .copied()
            .filter(is_it)
            .fold(Used::default(), |used, one| sum(used, one.used))
    };
    let mut rows = Vec::new();
    for budget in &budgets.list {
        let row = |of: &str, used: Option<Used>| row(budget, of, used);
        match budget.per {
            BudgetScope::Dispatch | BudgetScope::Issue => rows.push(row("each of them", None)),
            BudgetScope::Day if viewer.is_admin => {
                rows.push(row("all repositories today", Some(used(&|_| true))));
            }
            BudgetScope::Day => rows.push(row("all repositories today", None)),
            BudgetScope::Repository if repos.is_empty() => rows.push(row("each of them", None)),
            BudgetScope::Repository => {
                rows.extend(repos.iter().map(|repo| {
                    row(&format!("{repo} today"), Some(used(&|one| one.repo == *repo)))
                }))
            }
        }
    }
    rows
}

fn row(budget: &Budget, of: &str, used: Option<Used>) -> BudgetRow {
    let Budget { per, unit, limit } = *budget;
    let spent = used.map(|used| budget.spent(used));
    BudgetRow {
        of: of.to_owned(),
        limit: format!("{} {unit} per {per}", amount(unit, limit)),
        spent,
    }
}

/// Both together; what neither says stays unknown.
fn sum(one: Used, other: Used) -> Used {
    let both = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).reduce(u64::saturating_add);
    Used { tokens: both(one.tokens, other.tokens), money: both(one.money, other.money) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::AgentId;

    #[test]
    fn an_agents_repositories_are_added_up_by_day_and_unknown_stays_unknown() {
        let used = |tokens, money| Used { tokens, money };
        let one = |day: &str, agent, repo: &str, used| DaySpending {
            day: day.into(),
            agent: AgentId::new(agent),
            repo: repo.into(),
            used,
        };
        let all = [
            one("2026-03-23", "claude", "acme/a", used(Some(5), None)),
            one("2026-03-23", "claude", "acme/b", used(Some(7), Some(1_500_000))),
            one("2026-03-23", "kimi", "acme/a", used(None, None)),
            one("2026-03-22", "claude", "acme/a", used(Some(1), None)),
        ];
        let shown = days(&all, &Sight::All);
        let shown: Vec<_> =
            shown.iter().map(|d| (d.agent.as_str(), d.tokens, d.money.as_deref())).collect();
        let expected =
            [("claude", Some(12), Some("1.50")), ("kimi", None, None), ("claude", Some(1), None)];
        assert_eq!(shown, expected);
    }
}

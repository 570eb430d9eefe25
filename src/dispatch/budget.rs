//! What runs may use, and how much of it is used: a budget is for a dispatch, an issue, a repository or all of them, and
//! counts tokens or money. Who adds up and who is stopped is not its business.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::AgentId;
use super::run::Usage;
use crate::clock::{self, Timestamp};

/// Money is counted in millionths.
pub const MILLION: u64 = 1_000_000;

named_enum! {
    /// What a budget is for.
    #[derive(Default)]
    BudgetScope {
        /// Each dispatch.
        Dispatch = "dispatch",
        /// Each issue, all its dispatches together.
        Issue = "issue",
        /// Each repository within a day.
        Repository = "repository",
        /// All of them together within a day.
        #[default]
        Day = "day",
    }
}

named_enum! {
    /// What is counted.
    BudgetUnit {
        /// Tokens, in and out.
        Tokens = "tokens",
        /// Money in millionths, in the currency of the prices and the agents.
        Money = "money",
    }
}

/// What may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What it is for.
    pub per: BudgetScope,
    /// What is counted.
    pub unit: BudgetUnit,
    /// How much may be used.
    pub limit: u64,
}

impl Budget {
    /// The budget with what was used of it.
    pub fn spent(self, used: Used) -> Spent {
        let used = match self.unit {
            BudgetUnit::Tokens => used.tokens,
            BudgetUnit::Money => used.money,
        };
        // What nobody says is held against nobody.
        Spent { per: self.per, unit: self.unit, limit: self.limit, used: used.unwrap_or(0) }
    }
}

/// What was used; `None` is unknown, and never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens.
    pub tokens: Option<u64>,
    /// Money, in millionths.
    pub money: Option<u64>,
}

/// How much of a budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// What the budget is for.
    pub per: BudgetScope,
    /// What is counted.
    pub unit: BudgetUnit,
    /// How much may be used.
    pub limit: u64,
    /// How much was.
    pub used: u64,
}

impl Spent {
    /// In percent, rounded down.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// Whether people are warned: from 80 percent on.
    pub fn is_near(&self) -> bool {
        self.percent() >= 80
    }

    /// Whether nothing is left.
    pub fn is_used_up(&self) -> bool {
        self.used >= self.limit
    }

    /// Whether it is of the same budget.
    pub fn is_of(&self, other: &Self) -> bool {
        (self.per, self.unit) == (other.per, other.unit)
    }

    /// How much was used, as people read it.
    pub fn used(&self) -> String {
        amount(self.unit, self.used)
    }

    /// How much may be used, as people read it.
    pub fn limit(&self) -> String {
        amount(self.unit, self.limit)
    }
}

/// `12000 of the 10000 tokens per issue`, `5.12 of the 5.00 of money per day`.
impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.unit {
            BudgetUnit::Tokens => "tokens",
            BudgetUnit::Money => "of money",
        };
        let per = match self.per {
            BudgetScope::Repository => "repository and day",
            per => per.as_str(),
        };
        write!(f, "{} of the {} {what} per {per}", self.used(), self.limit())
    }
}

/// A budget that has nothing left for an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// Which.
    pub spent: Spent,
    /// When it is looked at again: at the next day.
    pub until: Timestamp,
}

/// What holds for the spending of all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// The budgets.
    pub list: Vec<Budget>,
    /// What a million tokens of an agent cost, in millionths of money.
    pub prices: BTreeMap<AgentId, u64>,
    /// Where days begin.
    pub timezone: Tz,
    /// How many runs of a repository runners may have at once.
    pub per_repository: Option<u32>,
}

impl Budgets {
    /// Whether any run may have to wait for another.
    pub fn holds_back(&self) -> bool {
        self.per_repository.is_some()
            || self.list.iter().any(|one| one.per != BudgetScope::Dispatch)
    }

    /// The day on which something is used.
    pub fn day(&self, now: Timestamp) -> NaiveDate {
        now.with_timezone(&self.timezone).date_naive()
    }

    /// When the next day begins: at midnight, or later where the clocks leave midnight out.
    pub fn next_day(&self, now: Timestamp) -> Timestamp {
        let next = self.day(now).checked_add_days(Days::new(1));
        next.map_or(now + TimeDelta::days(1), |day| {
            clock::moment(day, NaiveTime::MIN, self.timezone)
        })
    }

    /// What an agent used. Where it counts tokens and no money, its price says what they cost.
    pub fn used(&self, agent: &AgentId, usage: Usage) -> Used {
        let cost = usage.cost.filter(|cost| cost.is_finite() && *cost >= 0.0);
        let own = cost.map(|cost| (cost * MILLION as f64).round() as u64);
        let by_price = || {
            let price = u128::from(*self.prices.get(agent)?);
            let millionths = u128::from(usage.tokens?) * price / u128::from(MILLION);
            Some(u64::try_from(millionths).unwrap_or(u64::MAX))
        };
        Used { tokens: usage.tokens, money: own.or_else(by_price) }
    }
}

/// An amount as people read it: whole tokens, or money with at least two digits behind the point.
pub fn amount(unit: BudgetUnit, amount: u64) -> String {
    if unit == BudgetUnit::Tokens {
        return amount.to_string();
    }
    let digits = format!("{}.{:06}", amount / MILLION, amount % MILLION);
    let short = digits.trim_end_matches('0');
    let least = digits.len() - 4;
    digits[..short.len().max(least)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(used: u64) -> Spent {
        let budget = Budget { per: BudgetScope::Issue, unit: BudgetUnit::Tokens, limit: 1_000 };
        budget.spent(Used { tokens: Some(used), money: None })
    }

    #[test]
    fn people_are_warned_from_80_percent_on_and_nothing_is_left_at_100() {
        for (used, is_near, is_used_up) in [
            (0, false, false),
            (799, false, false),
            (800, true, false),
            (999, true, false),
            (1_000, true, true),
        ] {
            let spent = spent(used);
            assert_eq!((spent.is_near(), spent.is_used_up()), (is_near, is_used_up), "{used}");
        }
        assert_eq!(spent(1_200).to_string(), "1200 of the 1000 tokens per issue");
    }

    #[test]
    fn money_is_shown_with_two_digits_or_as_many_as_it_takes() {
        let shown =
            [0, 2_500_000, 10_000_000, 1_234_567, 5].map(|it| amount(BudgetUnit::Money, it));
        assert_eq!(shown, ["0.00", "2.50", "10.00", "1.234567", "0.000005"]);
    }

    #[test]
    fn a_price_counts_where_the_agent_names_no_money_and_unknown_stays_unknown() {
        let (priced, other) = (AgentId::new("claude"), AgentId::new("kimi"));
        let prices = BTreeMap::from([(priced.clone(), 3 * MILLION)]);
        let budgets = Budgets { prices, ..Budgets::default() };
        let usage = |tokens, cost| Usage { tokens, cost };
        let used = |agent, usage| budgets.used(agent, usage).money;
        assert_eq!(used(&priced, usage(Some(500_000), None)), Some(1_500_000));
        assert_eq!(used(&priced, usage(Some(500_000), Some(0.25))), Some(250_000));
        assert_eq!(used(&priced, usage(None, None)), None);
        assert_eq!(used(&other, usage(Some(500_000), None)), None);
        for wrong in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(used(&other, usage(None, Some(wrong))), None);
        }
        assert_eq!(used(&other, usage(None, Some(1e300))), Some(u64::MAX));
    }

    #[test]
    fn a_day_ends_at_midnight_where_the_configuration_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let next = |timezone, now| Budgets { timezone, ..Budgets::default() }.next_day(at(now));
        assert_eq!(next(Tz::UTC, "2026-03-23T23:59:59Z"), at("2026-03-24T00:00:00Z"));
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(next(berlin, "2026-03-23T22:59:59Z"), at("2026-03-23T23:00:00Z"));
        assert_eq!(next(berlin, "2026-03-23T23:00:00Z"), at("2026-03-24T23:00:00Z"));
        // The clocks of Beirut leave out the first hour of this day.
        let next = next(chrono_tz::Asia::Beirut, "2026-03-28T12:00:00Z");
        assert_eq!(next, at("2026-03-28T22:00:00Z"));
    }
}

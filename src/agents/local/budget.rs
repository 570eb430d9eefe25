//! What a run may spend, and what it has spent. Where that is added up is not its business.

use std::time::Duration;

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

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Answers of the model.
    pub rounds: u64,
    /// Tokens.
    pub tokens: u64,
    /// Time.
    pub time: Duration,
}

impl Allowance {
    /// What is left of it.
    #[must_use]
    pub fn after(self, spent: Spent) -> Self {
        Self {
            rounds: self.rounds.map(|most| most.saturating_sub(spent.rounds)),
            tokens: self.tokens.map(|most| most.saturating_sub(spent.tokens)),
            time: self.time.map(|most| most.saturating_sub(spent.time)),
        }
    }

    /// The smaller of both in everything.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn less<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            rounds: less(self.rounds, other.rounds),
            tokens: less(self.tokens, other.tokens),
            time: less(self.time, other.time),
        }
    }

    /// What of it is used up, if anything is.
    pub fn used_up(&self) -> Option<&'static str> {
        if self.rounds == Some(0) {
            Some("rounds")
        } else if self.tokens == Some(0) {
            Some("tokens")
        } else if self.time == Some(Duration::ZERO) {
            Some("time")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_to_run_out_ends_it() {
        let day = Allowance { rounds: Some(20), tokens: Some(1_000), time: None };
        let issue =
            Allowance { rounds: Some(30), tokens: Some(500), time: Some(Duration::from_secs(60)) };
        let both = day.and(issue);
        assert_eq!((both.rounds, both.tokens), (Some(20), Some(500)));
        let spent = Spent { rounds: 3, tokens: 700, time: Duration::from_secs(10) };
        assert_eq!(both.used_up(), None);
        assert_eq!(both.after(spent).used_up(), Some("tokens"));
        assert_eq!(Allowance::default().after(spent).used_up(), None);
    }
}

//! From facts to points, and from points to a score. The same points make the score and its explanation.

use super::Score;
use super::kinds::{Kind, Part};
use super::policy::Policy;
use super::signals::Facts;
use super::tags::{self, Classes};
use crate::clock::Timestamp;
use crate::issue::Issue;

/// What points were given or taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    Term(Kind),
    ShortTitle,
    Bug,
    Refactor,
    Feature,
    FromLoop,
    Docs,
    Chore,
    Research,
    Meta,
    Cap,
}

/// Some points, never none, for one ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) part: Part,
    pub(super) ground: Ground,
    pub(super) points: i64,
}

/// What the points are made from.
pub(super) struct Basis<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    /// The title without its tags.
    title: String,
    classes: Classes,
}

impl<'a> Basis<'a> {
    pub(super) fn of(policy: &'a Policy, issue: &Issue, facts: &'a Facts) -> Self {
        Self { policy, facts, title: tags::without_brackets(&issue.title), classes: facts.classes }
    }

    /// The score of the issue.
    pub(super) fn score(self, issue: &Issue, now: Timestamp) -> Score {
        let points = self.points();
        let sum = |part| points.iter().filter(|p| p.part == part).map(|p| p.points).sum::<i64>();
        // The caps keep it far below 255.
        let sum = |part| u8::try_from(sum(part)).unwrap_or(0);
        let [scope, acceptance, alignment] =
            [Part::Scope, Part::Acceptance, Part::Alignment].map(sum);
        let total = scope + acceptance + alignment;
        let Self { policy, facts, title, classes } = self;
        Score {
            title,
            issue_type: classes.issue_type(),
            tags: facts.tags.clone(),
            scope,
            acceptance,
            alignment,
            total,
            ready: total >= policy.ready_at,
            p0: classes.is_urgent(),
            blocked: facts.shows(Kind::Blocked),
            research: classes.research || issue.has_label(&policy.research_label),
            age_days: issue.created_at.map_or(0, |created| whole_days(created, now)),
        }
    }

    /// All points of the issue, in the order they are explained in.
    pub(super) fn points(&self) -> Vec<Point> {
        let (Policy { scope, acceptance, alignment, .. }, classes) = (self.policy, &self.classes);
        let mut points = Vec::with_capacity(8);

        let mut tally = Tally::new(Part::Scope, &mut points);
        tally.terms(self.policy, self.facts);
        let is_short = is_short(&self.title, scope.title_limit);
        tally.give(is_short, Ground::ShortTitle, scope.title_points);
        tally.take(classes.meta, scope.meta_penalty.into());
        tally.cap(scope.cap);

        let mut tally = Tally::new(Part::Acceptance, &mut points);
        tally.terms(self.policy, self.facts);
        tally.take(classes.meta, acceptance.meta_penalty.into());
        tally.cap(acceptance.cap);

        let mut tally = Tally::new(Part::Alignment, &mut points);
        if classes.bug {
            tally.give(true, Ground::Bug, alignment.bug_points);
        } else {
            tally.give(classes.refactor, Ground::Refactor, alignment.refactor_points);
            tally.give(classes.feature, Ground::Feature, alignment.feature_points);
            tally.give(classes.from_loop, Ground::FromLoop, alignment.from_loop_points);
            tally.give(classes.docs, Ground::Docs, alignment.docs_points);
            tally.give(classes.chore, Ground::Chore, alignment.chore_points);
            tally.give(classes.research, Ground::Research, alignment.research_points);
            tally.take(classes.meta, i64::MAX);
        }
        tally.cap(alignment.cap);
        points
    }
}

/// Whether a title has fewer characters than the limit.
pub(super) fn is_short(title: &str, limit: usize) -> bool {
    title.chars().count() < limit
}

/// Adds up one part.
struct Tally<'a> {
    part: Part,
    sum: i64,
    points: &'a mut Vec<Point>,
}

impl<'a> Tally<'a> {
    fn new(part: Part, points: &'a mut Vec<Point>) -> Self {
        Self { part, sum: 0, points }
    }

    /// The points for terms of this part.
    fn terms(&mut self, policy: &Policy, facts: &Facts) {
        let rules = &policy.acceptance;
        for kind in Kind::ALL {
            let Some((part, some)) = kind.points(policy) else { continue };
            let are_many = kind == Kind::Acceptance && facts.acceptance >= rules.many;
            let points = if are_many { rules.many_points } else { some };
            self.give(part == self.part && facts.shows(kind), Ground::Term(kind), points);
        }
    }

    fn give(&mut self, due: bool, ground: Ground, points: u8) {
        self.add(ground, if due { points.into() } else { 0 });
    }

    /// Takes points away, but never more than there are.
    fn take(&mut self, due: bool, points: i64) {
        self.add(Ground::Meta, if due { -points.min(self.sum) } else { 0 });
    }

    fn cap(&mut self, cap: u8) {
        self.add(Ground::Cap, (i64::from(cap) - self.sum).min(0));
    }

    fn add(&mut self, ground: Ground, points: i64) {
        if points != 0 {
            self.sum += points;
            self.points.push(Point { part: self.part, ground, points });
        }
    }
}

/// Days since then, rounded down, so that a minute into the future is day −1 as in Python's `timedelta.days`.
fn whole_days(created: Timestamp, now: Timestamp) -> i64 {
    let age = now - created;
    let seconds = age.num_seconds() - i64::from(age.subsec_nanos() < 0);
    seconds.div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Triage;
    use crate::triage::samples::{issue, now, triage};

    #[track_caller]
    fn ages(created: &str, expected: i64) {
        let created = created.parse().expect("a valid time");
        assert_eq!(whole_days(created, now()), expected);
    }

    #[test]
    fn ages_are_rounded_down() {
        ages("2026-03-22T12:00:00Z", 1);
        ages("2026-03-22T12:00:00.000001Z", 0);
        ages("2026-03-23T12:00:00.000001Z", -1);
        ages("2026-03-24T12:00:01Z", -2);
    }

    #[test]
    fn an_issue_of_unknown_age_is_new() {
        let timeless = Issue { created_at: None, ..issue("x", "") };
        assert_eq!(triage().score(&timeless, now()).age_days, 0);
    }

    #[test]
    fn a_title_is_measured_in_characters_without_tags() {
        assert!(is_short(&"é".repeat(79), 80));
        assert!(!is_short(&"é".repeat(80), 80));
        let long_tag = issue(&format!("[{}] x", "y".repeat(100)), "");
        assert_eq!(triage().score(&long_tag, now()).scope, 1);
    }

    #[test]
    fn other_points_make_other_scores() {
        let mut policy = Policy::default();
        policy.scope.file_points = 3;
        policy.scope.cap = 4;
        policy.ready_at = 4;
        let score = Triage::new(policy).expect("a valid policy").score(&issue("x", "a.py"), now());
        assert_eq!((score.scope, score.ready), (4, true));
    }
}

//! Texts for people about points and verdicts.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::kinds::{Kind, Part};
use super::policy::Policy;
use super::score::{Ground, Point, is_short};
use super::signals::{Facts, Quotes};
use super::tags::{self, Classes};
use super::{Assessment, Score, Signal, Triage, Verdict, text};
use crate::issue::Issue;
use crate::reason::{Missing, age, type_name};

/// How many words a signal shows.
const MOST_WORDS: usize = 5;

/// How many characters of a word are shown.
const LONGEST_WORD: usize = 60;

/// The points as signals, with the words that gave them.
pub(super) fn signals(triage: &Triage, issue: &Issue, points: &[Point]) -> Vec<Signal> {
    let quotes = Quotes::of(&triage.lexicon, issue);
    let signal = |point: &Point| Signal {
        part: part_name(point.part).to_owned(),
        name: ground_name(&triage.policy, point.ground).to_owned(),
        points: point.points,
        words: words(&triage.policy, issue, &quotes, point.ground),
    };
    points.iter().map(signal).collect()
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Scope => "scope",
        Part::Acceptance => "acceptance",
        Part::Alignment => "alignment",
    }
}

fn ground_name(policy: &Policy, ground: Ground) -> &'static str {
    match ground {
        Ground::Term(kind) => kind.list(policy).gives.map_or("", |(_, _, name)| name),
        Ground::ShortTitle => "has a short title",
        Ground::Bug => "is a bug",
        Ground::Refactor => "is a refactoring",
        Ground::Feature => "is a feature",
        Ground::FromLoop => "was reported by the agent loop",
        Ground::Meta => "needs discussion first",
        Ground::Cap => "limit of this part",
    }
}

fn words(policy: &Policy, issue: &Issue, quotes: &Quotes, ground: Ground) -> Vec<String> {
    let tagged = |set: &[String]| distinct(tagged(issue, set));
    match ground {
        Ground::Term(kind) => distinct(quotes.words(kind)),
        Ground::Bug => tagged(&policy.tags.bug),
        Ground::Refactor => tagged(&policy.tags.refactor),
        Ground::Feature => tagged(&policy.tags.feature),
        Ground::FromLoop => tagged(&policy.tags.from_loop),
        Ground::Meta => tagged(&policy.tags.meta),
        Ground::ShortTitle | Ground::Cap => Vec::new(),
    }
}

fn tagged<'a>(issue: &'a Issue, set: &[String]) -> impl Iterator<Item = &'a str> {
    tags::as_typed(issue).filter(|tag| set.contains(&text::normal(tag)))
}

/// The first few different words, each on one line and of bearable length.
fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let short = |word: &str| {
        let line =
            word.split(text::is_space).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        line.chars().take(LONGEST_WORD).collect::<String>()
    };
    words.map(short).filter(|word| seen.insert(word.clone())).take(MOST_WORDS).collect()
}

/// What an issue would need to be ready.
pub(super) fn missing(policy: &Policy, assessment: &Assessment) -> Vec<Missing> {
    let Assessment { score, facts, .. } = assessment;
    let all = [
        missing_place(facts),
        (!is_short(&score.title, policy.scope.title_limit)).then_some(Missing::ShortTitle),
        (facts.acceptance == 0).then_some(Missing::Acceptance),
        (!facts.shows(Kind::Test)).then_some(Missing::Test),
        (!facts.shows(Kind::Section)).then_some(Missing::Section),
        missing_tag(policy, score),
    ];
    all.into_iter().flatten().collect()
}

fn missing_place(facts: &Facts) -> Option<Missing> {
    match (facts.shows(Kind::File), facts.shows(Kind::Function)) {
        (false, false) => Some(Missing::Place),
        (false, true) => Some(Missing::File),
        (true, false) => Some(Missing::Function),
        (true, true) => None,
    }
}

fn missing_tag(policy: &Policy, score: &Score) -> Option<Missing> {
    let classes = Classes::new(policy, &score.tags);
    if classes.meta {
        return Some(Missing::Agreement);
    }
    (!classes.bug && !classes.feature && !classes.refactor).then_some(Missing::Kind)
}

/// A verdict in several lines: what was decided and why, then the points of each part with their words.
pub fn explain(verdict: &Verdict, signals: &[Signal]) -> String {
    let score = &verdict.score;
    let mut text = headline(verdict);
    for (part, sum) in
        [("scope", score.scope), ("acceptance", score.acceptance), ("alignment", score.alignment)]
    {
        let _ = writeln!(text, "{part}: {sum}");
        for signal in signals.iter().filter(|signal| signal.part == part) {
            let _ = writeln!(text, "  {}", signal_line(signal));
        }
    }
    text
}

fn headline(verdict: &Verdict) -> String {
    let (score, decision) = (&verdict.score, &verdict.decision);
    let target = decision.agent().map_or_else(String::new, |agent| format!(" `{agent}`"));
    let kind = match type_name(score.issue_type) {
        "" => "unknown",
        name => name,
    };
    let ready = if score.ready { "ready" } else { "not ready" };
    format!(
        "decision: {}{target}\nwhy: {}\ntype: {kind}, {}\ntask type: {}\nscore: {} ({ready})\n",
        decision.action(),
        decision.reason(),
        age(score.age_days),
        verdict.task_type,
        score.total,
    )
}

fn signal_line(signal: &Signal) -> String {
    let quoted: Vec<_> =
        signal.words.iter().map(|word| format!("`{}`", word.replace('`', ""))).collect();
    let colon = if quoted.is_empty() { "" } else { ": " };
    format!("{:+} {}{colon}{}", signal.points, signal.name, quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::{bug, issue, now, triage};

    fn explained(issue: &Issue) -> String {
        let triage = triage();
        let verdict = triage.verdict(issue, now());
        explain(&verdict, &triage.signals(issue))
    }

    #[test]
    fn a_ready_bug_is_explained_by_its_words() {
        insta::assert_snapshot!(explained(&bug()), @"
        decision: dispatch `claude`
        why: P0/bug issue (score 8, 3 days old): goes to `claude` first
        type: bug, 3 days old
        task type: routine_coding
        score: 8 (ready)
        scope: 2
          +1 names a file: `src/db.py`
          +1 has a short title
        acceptance: 3
          +2 states acceptance criteria: `fails`, `should`, `return`, `must`
          +1 mentions tests: `tox`
          +1 describes the problem in sections: `## Problem`
          -1 limit of this part
        alignment: 3
          +3 is a bug: `Bug`
        ");
    }

    #[test]
    fn penalties_and_caps_are_explained_too() {
        let body = "## Steps\n`run()` in src/x.py should, must and returns; pytest";
        let mut issue = issue("[RFC][refactor] Sleep", body);
        issue.labels = vec!["feature".into()];
        insta::assert_snapshot!(explained(&issue), @"
        decision: skip
        why: score 4 is below the threshold of 5: a tag or label says that it needs discussion first
        type: feature, 3 days old
        task type: refactoring
        score: 4 (not ready)
        scope: 1
          +1 names a file: `src/x.py`
          +1 names a function or class: `run()`
          +1 has a short title
          -2 needs discussion first: `RFC`
        acceptance: 3
          +2 states acceptance criteria: `should`, `must`, `returns`
          +1 mentions tests: `pytest`
          +1 describes the problem in sections: `## Steps`
          -1 needs discussion first: `RFC`
        alignment: 0
          +2 is a refactoring: `refactor`
          +2 is a feature: `feature`
          -4 needs discussion first: `RFC`
        ");
    }

    #[test]
    fn long_words_are_cut_and_line_breaks_become_spaces() {
        let long = format!("src/{}", "x".repeat(200));
        assert_eq!(distinct([long.as_str()].into_iter())[0].len(), LONGEST_WORD);
        assert_eq!(distinct(["##\n\x1fproblem", "## problem"].into_iter()), ["## problem"]);
    }
}

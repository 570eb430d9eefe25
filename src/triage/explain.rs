//! Texts for people about points and verdicts.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::kinds::Kind;
use super::policy::Policy;
use super::score::{Ground, Point, is_short};
use super::signals::Reading;
use super::tags::{self, Classes};
use super::{Assessment, Signal, TagSets, Triage, Verdict, text};
use crate::issue::Issue;
use crate::reason::{Missing, age};

/// How many words a signal shows.
const MOST_WORDS: usize = 5;

/// How many characters of a word are shown.
const LONGEST_WORD: usize = 60;

/// The points as signals, with the words that gave them.
pub(super) fn signals(triage: &Triage, issue: &Issue, points: &[Point]) -> Vec<Signal> {
    let reading = Reading::with_places(&triage.lexicon, issue);
    let signal = |point: &Point| {
        let (name, words) = ground(&triage.policy.tags, issue, &reading, point.ground);
        let part = point.part.as_str().to_owned();
        Signal { part, name: name.to_owned(), points: point.points, words }
    };
    points.iter().map(signal).collect()
}

/// What points were given for, and the words that show it.
fn ground(
    tags: &TagSets,
    issue: &Issue,
    reading: &Reading<'_>,
    ground: Ground,
) -> (&'static str, Vec<String>) {
    let tagged = |set: &[String]| {
        let typed = tags::typed(&issue.title, &issue.labels);
        distinct(typed.filter(|tag| set.contains(&text::normal(tag))))
    };
    match ground {
        Ground::Term(kind) => (kind.name(), distinct(reading.words(kind))),
        Ground::ShortTitle => ("has a short title", Vec::new()),
        Ground::Bug => ("is a bug", tagged(&tags.bug)),
        Ground::Refactor => ("is a refactoring", tagged(&tags.refactor)),
        Ground::Feature => ("is a feature", tagged(&tags.feature)),
        Ground::FromLoop => ("was reported by the agent loop", tagged(&tags.from_loop)),
        Ground::Meta => ("needs discussion first", tagged(&tags.meta)),
        Ground::Cap => ("limit of this part", Vec::new()),
    }
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
    let place = match (facts.shows(Kind::File), facts.shows(Kind::Function)) {
        (false, false) => Some(Missing::Place),
        (false, true) => Some(Missing::File),
        (true, false) => Some(Missing::Function),
        (true, true) => None,
    };
    let classes = Classes::new(policy, &score.tags);
    let has_kind = classes.bug || classes.feature || classes.refactor;
    let all = [
        place,
        (!is_short(&score.title, policy.scope.title_limit)).then_some(Missing::ShortTitle),
        (!facts.shows(Kind::Acceptance)).then_some(Missing::Acceptance),
        (!facts.shows(Kind::Test)).then_some(Missing::Test),
        (!facts.shows(Kind::Section)).then_some(Missing::Section),
        classes.meta.then_some(Missing::Agreement),
        (!classes.meta && !has_kind).then_some(Missing::Kind),
    ];
    all.into_iter().flatten().collect()
}

/// A verdict in several lines: what was decided and why, then the points of each part with their words.
pub fn explain(verdict: &Verdict, signals: &[Signal]) -> String {
    let (score, decision) = (&verdict.score, &verdict.decision);
    let target = decision.agent().map_or_else(String::new, |agent| format!(" `{agent}`"));
    let ready = if score.ready { "ready" } else { "not ready" };
    let mut text = format!(
        "decision: {}{target}\nwhy: {}\ntype: {}, {}\ntask type: {}\nscore: {} ({ready})\n",
        decision.action(),
        decision.reason(),
        score.issue_type,
        age(score.age_days),
        verdict.task_type,
        score.total,
    );
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

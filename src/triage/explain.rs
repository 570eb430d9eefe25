//! Texts for people about points and verdicts.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::evidence::Evidence;
use super::kinds::Kind;
use super::policy::{Policy, Reads};
use super::score::{Ground, Point, is_short};
use super::signals::{Facts, Reading};
use super::tags;
use super::{Assessment, Signal, TagSets, Triage, Verdict, text};
use crate::issue::Issue;
use crate::reason::{Missing, age};

/// How many words a signal shows.
const MOST_WORDS: usize = 5;

/// How many characters of a word are shown.
const LONGEST_WORD: usize = 60;

/// The points as signals, with the words that gave them.
pub(super) fn signals(triage: &Triage, issue: &Issue, points: &[Point]) -> Vec<Signal> {
    let words: Box<dyn Fn(Ground) -> (String, Vec<String>)> = match triage.evidence(issue) {
        Some(evidence) => Box::new(move |ground| stated(&evidence, ground)),
        None => {
            let reading = Reading::with_places(&triage.lexicon, issue);
            Box::new(move |ground| tagged(&triage.policy.tags, issue, &reading, ground))
        }
    };
    let signal = |point: &Point| {
        let (name, words) = words(point.ground);
        let part = point.part.as_str().to_owned();
        Signal { part, name, points: point.points, words }
    };
    points.iter().map(signal).collect()
}

/// The files that an issue names, as they stand there.
pub(super) fn named_files(triage: &Triage, issue: &Issue) -> Vec<String> {
    match triage.evidence(issue) {
        Some(evidence) => evidence.words(Kind::File).map(str::to_owned).collect(),
        None => {
            let reading = Reading::with_places(&triage.lexicon, issue);
            reading.words(Kind::File).map(str::to_owned).collect()
        }
    }
}

fn name(ground: Ground) -> &'static str {
    match ground {
        Ground::Term(kind) => kind.name(),
        Ground::ShortTitle => "has a short title",
        Ground::Bug => "is a bug",
        Ground::Refactor => "is a refactoring",
        Ground::Feature => "is a feature",
        Ground::FromLoop => "was reported by the agent loop",
        Ground::Docs => "is about documentation",
        Ground::Chore => "is upkeep",
        Ground::Research => "is research",
        Ground::Meta => "needs discussion first",
        Ground::Cap => "limit of this part",
    }
}

/// What points were given for, and the words or tags that show it.
fn tagged(
    tags: &TagSets,
    issue: &Issue,
    reading: &Reading<'_>,
    ground: Ground,
) -> (String, Vec<String>) {
    let tagged = |set: &[String]| {
        let typed = tags::typed(&issue.title, &issue.labels);
        distinct(typed.filter(|tag| set.contains(&text::normal(tag))))
    };
    let words = match ground {
        Ground::Term(kind) => distinct(reading.words(kind)),
        Ground::Bug => tagged(&tags.bug),
        Ground::Refactor => tagged(&tags.refactor),
        Ground::Feature => tagged(&tags.feature),
        Ground::FromLoop => tagged(&tags.from_loop),
        Ground::Research => tagged(&tags.research),
        Ground::Meta => tagged(&tags.meta),
        Ground::ShortTitle | Ground::Docs | Ground::Chore | Ground::Cap => Vec::new(),
    };
    (name(ground).to_owned(), words)
}

/// What points were given for, and the words that state it; of a type, what told it.
fn stated(evidence: &Evidence<'_>, ground: Ground) -> (String, Vec<String>) {
    let told = &evidence.facts.told;
    match ground {
        Ground::Term(kind) => (name(ground).to_owned(), distinct(evidence.words(kind))),
        Ground::ShortTitle | Ground::FromLoop | Ground::Cap => {
            (name(ground).to_owned(), Vec::new())
        }
        _ => {
            let words = distinct(told.words.iter().map(String::as_str));
            (format!("{}{}", name(ground), told.by.phrase()), words)
        }
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
    if policy.reads == Reads::Statements {
        return unstated(facts);
    }
    let place = match (facts.shows(Kind::File), facts.shows(Kind::Function)) {
        (false, false) => Some(Missing::Place),
        (false, true) => Some(Missing::File),
        (true, false) => Some(Missing::Function),
        (true, true) => None,
    };
    let classes = facts.classes;
    let all = [
        place,
        (!is_short(&score.title, policy.scope.title_limit)).then_some(Missing::ShortTitle),
        (!facts.shows(Kind::Acceptance)).then_some(Missing::Acceptance),
        (!facts.shows(Kind::Test)).then_some(Missing::Test),
        (!facts.shows(Kind::Section)).then_some(Missing::Section),
        classes.meta.then_some(Missing::Agreement),
        (!classes.meta && !classes.is_work()).then_some(Missing::Kind),
    ];
    all.into_iter().flatten().collect()
}

/// What an issue does not state of what makes it ready.
fn unstated(facts: &Facts) -> Vec<Missing> {
    let shows = |any: &[Kind]| any.iter().any(|kind| facts.shows(*kind));
    let classes = facts.classes;
    let (has_place, has_steps) =
        (shows(&[Kind::File, Kind::Function]), shows(&[Kind::Steps, Kind::Example]));
    let all = [
        (!classes.is_work() && !classes.meta).then_some(Missing::Type),
        (!has_place && !has_steps && classes.bug).then_some(Missing::Steps),
        (!has_place && (!classes.bug || has_steps)).then_some(Missing::Place),
        (!shows(&[Kind::Expected, Kind::Criteria])).then_some(Missing::Expected),
        (!shows(&[Kind::Detail])).then_some(Missing::Detail),
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

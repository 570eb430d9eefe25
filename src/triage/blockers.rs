//! Which issues an issue's own text says it waits for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::cues::{self, Meaning};
use super::lexicon::{Find, Lexicon};
use super::markdown;
use super::references::{Here, REFERENCE};
use super::text;
use crate::issue::{Issue, IssueRef, beginning};

/// `blocked by #12`, `Blocked on: issue #3, acme/gears#4 and https://forge.example.com/acme/gears/issues/5`.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    let one =
        format!(r"(?:(?:the )?(?:issues?|tickets?|bugs?|prs?|pull requests?) )?(?:{REFERENCE})");
    let join = r"(?:\s*,\s*(?:and |or )?|\s*(?:&|\+)\s*|\s+(?:and|or)\s+)";
    let mention = format!(r"(?i)\bblocked\**:?\s+(?:by|on)\**\s*:?\**\s*{one}(?:{join}{one})*");
    Regex::new(&mention).expect("a valid pattern")
});

/// What a text says that blocks its issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blockers {
    /// The issues that it names, each once, in ascending order.
    pub(super) named: BTreeSet<IssueRef>,
    /// The text without them: what is left may block for other reasons.
    pub(super) rest: String,
}

impl Blockers {
    fn of(text: &str, here: Here<'_>) -> Self {
        let mut named = BTreeSet::new();
        let rest = MENTION.replace_all(text, |mention: &Captures<'_>| {
            let found: Vec<_> = here.all(&mention[0]).collect();
            // What leads nowhere blocks for ever.
            if found.is_empty() || found.contains(&None) {
                return mention[0].to_owned();
            }
            named.extend(found.into_iter().flatten());
            " ".to_owned()
        });
        let rest = rest.into_owned();
        Self { named, rest }
    }
}

/// What the issue says that blocks it. Where nothing that its author says sounds blocked, the words that do stand in code,
/// a quotation or a comment: those are read then, as the score reads them.
pub(super) fn read(
    issue: &Issue,
    at: &IssueRef,
    sounds_blocked: impl Fn(&str) -> bool,
) -> Blockers {
    let with = |body: &str| [&issue.title, "\n", body].concat();
    let said = with(&markdown::prose(&issue.body));
    let text = if sounds_blocked(&said) { said } else { with(&issue.body) };
    Blockers::of(&text, Here::on(issue, at))
}

/// What follows a phrase that names a blocker: words between, and one or more names.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let between = r"(?:(?:the|an?|on|by|for|of|in|with|issues?|tickets?|bugs?|tasks?|prs?|mrs?|pull requests?|merge(?: of)?|work|fix|release|upstream|open|both|also)\b[\s*_:]*){0,4}";
    let one = format!(r"(?:{between}(?:{REFERENCE}))");
    let join =
        r"(?:\s*,\s*(?:and |or )?|\s*(?:&|\+)\s*|\s+(?:and|or|und|oder|y|et|和)\s+|\s*\n+\s*)";
    Regex::new(&format!(r"(?i)^[\s*_:：]*{one}(?:{join}{one})*")).expect("a valid pattern")
});

/// How far behind a phrase names are looked for.
const LONGEST_LIST: usize = 2000;

/// The lists of names that follow a phrase for it in what is said, where nothing turns it into its opposite.
pub(super) fn in_context<'a>(
    lexicon: &'a Lexicon,
    negations: &'a [String],
    said: &'a str,
) -> impl Iterator<Item = &'a str> {
    let lower = text::fold_in_place(said);
    let found = lexicon.all_finds(&lower);
    found.into_iter().filter_map(move |(find, place)| {
        let Find::Cue(cue) = find else { return None };
        let cue = &lexicon.cues[cue];
        if cue.meaning != Meaning::BlockedBy || !cue.stands(said, &place) {
            return None;
        }
        let names = NAMES.find(beginning(&said[place.end..], LONGEST_LIST))?;
        (!cues::is_negated(said, place.start, negations)).then_some(names.as_str())
    })
}

/// The issues that an issue says it waits for, each once, and whether one of the names leads nowhere on this forge.
pub(super) fn stated(
    lexicon: &Lexicon,
    negations: &[String],
    issue: &Issue,
    at: &IssueRef,
) -> (BTreeSet<IssueRef>, bool) {
    let here = Here::on(issue, at);
    let said = [&issue.title, "\n", &markdown::prose(&issue.body)].concat();
    let (mut named, mut leads_nowhere) = (BTreeSet::new(), false);
    for list in in_context(lexicon, negations, &said) {
        for one in here.all(list) {
            leads_nowhere |= one.is_none();
            named.extend(one.filter(|one| one != at));
        }
    }
    (named, leads_nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::issue;

    #[track_caller]
    fn mentions(text: &str, expected: &[&str]) {
        let at = "acme/widgets#1".parse().unwrap();
        let url = "https://forge.example.com/git/acme/widgets/issues/1".to_owned();
        let found = read(&Issue { url, ..issue(text, text) }, &at, |text| text.contains("locked"));
        let found: Vec<_> = found.named.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn numbers_after_blocked_by_are_blockers() {
        mentions("Blocked by #12", &["acme/widgets#12"]);
        mentions(
            "is **blocked by:** #4, #3 and issue #5, or #6.",
            &["acme/widgets#3", "acme/widgets#4", "acme/widgets#5", "acme/widgets#6"],
        );
        mentions("blocked on PR !7\nblocked by\n#8", &["acme/widgets#7", "acme/widgets#8"]);
    }

    #[test]
    fn names_and_addresses_lead_to_other_repositories() {
        mentions("Blocked by acme/gears#9", &["acme/gears#9"]);
        mentions("blocked by Acme/Widgets#9", &["acme/widgets#9"]);
        mentions(
            "blocked by https://forge.example.com/git/acme/gears/issues/9#issuecomment-3, and #2.",
            &["acme/gears#9", "acme/widgets#2"],
        );
        mentions(
            "blocked by [the gears](https://forge.example.com/git/acme/gears/pulls/9/files)!",
            &["acme/gears#9"],
        );
        mentions("blocked by https://github.com/acme/gears/issues/9", &[]);
        mentions("blocked by https://forge.example.com/acme/gears/issues/9", &[]);
    }

    #[test]
    fn other_numbers_are_none() {
        mentions("blocks #12, see #13, unblocked by #14", &[]);
        mentions("blocked by #12abc #0", &[]);
        mentions("blocked by #0 and #99999999999999999999999", &[]);
        mentions("blocked by #3 and #0", &[]);
    }

    #[test]
    fn what_nobody_says_names_none_unless_nothing_else_does() {
        for hidden in ["<!-- blocked by #3 -->", "> blocked by #3", "`blocked by #3`"] {
            let at = "acme/widgets#1".parse().unwrap();
            let of = |body: &str| read(&issue("t", body), &at, |text| text.contains("locked"));
            let found = of(&format!("Blocked by #2\n\n{hidden}"));
            assert_eq!(found.named, ["acme/widgets#2".parse().unwrap()].into(), "{hidden}");
            assert!(!found.rest.contains("locked"), "{hidden}");
            assert_eq!(of(hidden).named, ["acme/widgets#3".parse().unwrap()].into(), "{hidden}");
        }
    }
}

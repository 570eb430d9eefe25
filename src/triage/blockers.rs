//! Which issues an issue's own text says it waits for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::issue::{Issue, IssueNumber};

/// `blocked by #12`, `Blocked on: issue #3, #4 and #5`. An `owner/name#12` is of another repository.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    let one = r"(?:(?:the )?(?:issues?|tickets?|bugs?|prs?|pull requests?) )?#[0-9]+\b";
    let join = r"(?:\s*,\s*(?:and |or )?|\s*(?:&|\+)\s*|\s+(?:and|or)\s+)";
    let mention = format!(r"(?i)\bblocked\**:?\s+(?:by|on)\**\s*:?\**\s*{one}(?:{join}{one})*");
    Regex::new(&mention).expect("a valid pattern")
});

/// The numbers in texts like `blocked by #12`, each once, in ascending order.
pub fn mentioned_blockers(issue: &Issue) -> Vec<IssueNumber> {
    let texts = [&issue.title, &issue.body];
    let mentions = texts.into_iter().flat_map(|text| MENTION.find_iter(text));
    let numbers: BTreeSet<_> = mentions.flat_map(|mention| numbers(mention.as_str())).collect();
    numbers.into_iter().collect()
}

fn numbers(mention: &str) -> impl Iterator<Item = IssueNumber> {
    mention.split('#').skip(1).filter_map(|tail| {
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        tail[..end].parse().ok().filter(|number| *number > 0)
    })
}

/// Title and body without what [`mentioned_blockers`] understands: what is left may block for other reasons.
pub(super) fn without_mentions(issue: &Issue) -> String {
    let text = format!("{}\n{}", issue.title, issue.body);
    MENTION.replace_all(&text, " ").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::issue;

    #[track_caller]
    fn mentions(text: &str, expected: &[IssueNumber]) {
        assert_eq!(mentioned_blockers(&issue(text, text)), expected, "{text}");
    }

    #[test]
    fn numbers_after_blocked_by_are_blockers() {
        mentions("Blocked by #12", &[12]);
        mentions("is **blocked by:** #4, #3 and issue #5, or #6.", &[3, 4, 5, 6]);
        mentions("blocked on PR #7\nblocked by\n#8", &[7, 8]);
    }

    #[test]
    fn other_numbers_are_none() {
        mentions("blocked by acme/other#12", &[]);
        mentions("blocks #12, see #13, unblocked by #14", &[]);
        mentions("blocked by #12abc #0", &[]);
        mentions("blocked by #0 and #99999999999999999999999", &[]);
    }
}

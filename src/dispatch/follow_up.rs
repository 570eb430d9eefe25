//! What follows the pull request of an agent: what people say about it, which checks fail, and the turn that answers it.
//! No I/O, no rules.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::run::RunOutcome;
use crate::clock::Timestamp;
use crate::issue::{Account, IssueRef};
use crate::reason::code;

/// The run of a dispatch, as far as the next turn depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSoFar {
    /// Which turn it is, from 1.
    pub turn: u32,
    /// How that turn ended; `None` while it waits or somebody works.
    pub outcome: Option<RunOutcome>,
    /// What the agent said at its end, in its own words: quote them as code.
    pub message: Option<String>,
    /// The number of the pull request, in the repository of the issue.
    pub pull_request: Option<u64>,
    /// What earlier turns were begun for.
    pub answered: Answered,
}

/// What turns were begun for: no further one is begun for the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answered {
    /// Reviews and comments.
    pub remarks: BTreeSet<RemarkId>,
    /// The commit whose checks failed.
    pub head: String,
    /// The checks that failed there, by their contexts.
    pub checks: BTreeSet<String>,
}

/// By what the forge knows something that was said. It numbers reviews and comments apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkId {
    /// A review, with all of its comments.
    Review(i64),
    /// A comment on the pull request.
    Comment(i64),
}

/// A pull request as it is now, as far as the agent has to answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullState {
    /// Whether it is open.
    pub is_open: bool,
    /// The commit at its head.
    pub head: String,
    /// What was said about it, oldest first.
    pub remarks: Vec<Remark>,
    /// The latest of each check of its head.
    pub checks: Vec<CommitCheck>,
}

/// Something that was said about a pull request: a comment, the text of a review, or a comment of one on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// By what it is known.
    pub id: RemarkId,
    /// Who said it, where the forge says.
    pub by: Option<Account>,
    /// When.
    pub at: Option<Timestamp>,
    /// Whether it is the text of a review that approves.
    pub is_approval: bool,
    /// The file and the line that it is about.
    pub place: Option<String>,
    /// What stands there, as a diff.
    pub hunk: String,
    /// What was said.
    pub text: String,
}

/// What a check said of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitCheck {
    /// Its name.
    pub context: String,
    /// How far it is.
    pub state: CheckState,
    /// What it said, in a line.
    pub description: String,
    /// Where more can be read.
    pub url: String,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It runs, or will.
    Pending,
    /// It does not accept the commit.
    Failed,
    /// It has nothing against the commit.
    Passed,
}

/// Another turn of an agent in the same workspace, for the same pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// Which turn of the run it is; the first has none before it.
    pub turn: u32,
    /// How many there may be.
    pub limit: u32,
    /// The pull request.
    pub pull: IssueRef,
    /// What people who may write have said, oldest first.
    pub remarks: Vec<Remark>,
    /// The checks that failed at its head.
    pub checks: Vec<CommitCheck>,
    /// What was answered once this turn has begun.
    pub answered: Answered,
}

impl FollowUp {
    /// What the agent works on: `` the review of `anna` and the failed check `ci/test` ``.
    pub fn asked(&self) -> String {
        let by = |is_wanted: fn(&RemarkId) -> bool| -> BTreeSet<String> {
            let wanted = self.remarks.iter().filter(|one| is_wanted(&one.id));
            wanted.filter_map(|one| Some(code(&one.by.as_ref()?.login))).collect()
        };
        let checks = self.checks.iter().map(|one| code(&one.context)).collect();
        let parts = [
            Asked {
                one: "the review of",
                many: "the reviews of",
                of: by(|id| matches!(id, RemarkId::Review(_))),
            },
            Asked {
                one: "the comment of",
                many: "the comments of",
                of: by(|id| matches!(id, RemarkId::Comment(_))),
            },
            Asked { one: "the failed check", many: "the failed checks", of: checks },
        ];
        let parts: Vec<_> =
            parts.iter().filter(|part| !part.of.is_empty()).map(Asked::to_string).collect();
        listed(&parts)
    }
}

/// One kind of what is asked for.
struct Asked {
    one: &'static str,
    many: &'static str,
    of: BTreeSet<String>,
}

/// How many names of a kind are told.
const NAMED: usize = 5;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.of.len() == 1 { self.one } else { self.many };
        let mut names: Vec<_> = self.of.iter().take(NAMED).cloned().collect();
        let more = self.of.len() - names.len();
        names.extend((more > 0).then(|| format!("{more} more")));
        write!(f, "{word} {}", listed(&names))
    }
}

/// `one, two and three`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_told_by_its_kind_and_its_names() {
        let remark = |id, login: &str| Remark {
            id,
            by: Some(Account { id: 1, login: login.into() }),
            at: None,
            is_approval: false,
            place: None,
            hunk: String::new(),
            text: String::new(),
        };
        let check = |context: &str| CommitCheck {
            context: context.into(),
            state: CheckState::Failed,
            description: String::new(),
            url: String::new(),
        };
        let mut asked = FollowUp {
            turn: 2,
            limit: 3,
            pull: "acme/widgets#7".parse().unwrap(),
            remarks: vec![remark(RemarkId::Review(1), "anna"), remark(RemarkId::Review(1), "anna")],
            checks: Vec::new(),
            answered: Answered::default(),
        };
        assert_eq!(asked.asked(), "the review of `anna`");
        asked.remarks.push(remark(RemarkId::Comment(1), "bob"));
        asked.checks = vec![check("ci/test"), check("ci/lint")];
        let all = "the review of `anna`, the comment of `bob` and the failed checks `ci/lint` and `ci/test`";
        assert_eq!(asked.asked(), all);
        asked.remarks.clear();
        asked.checks = (0..7).map(|n| check(&n.to_string())).collect();
        assert_eq!(asked.asked(), "the failed checks `0`, `1`, `2`, `3`, `4` and 2 more");
    }

    #[test]
    fn what_was_answered_is_read_back() {
        let remarks = [RemarkId::Review(3), RemarkId::Comment(3)].into();
        let answered = Answered { remarks, head: "abc".into(), checks: ["ci".to_owned()].into() };
        let text = serde_json::to_string(&answered).unwrap();
        assert_eq!(
            text,
            r#"{"remarks":[{"review":3},{"comment":3}],"head":"abc","checks":["ci"]}"#
        );
        assert_eq!(serde_json::from_str::<Answered>(&text).unwrap(), answered);
        assert_eq!(serde_json::from_str::<Answered>("{}").unwrap(), Answered::default());
    }
}

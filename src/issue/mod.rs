//! The nouns of an issue: which one, and what it says. No I/O, no rules.

mod cut;
mod fingerprint;
mod invisible;
mod named;
mod paths;
mod patterns;
mod text;
mod timeline;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

pub use cut::{beginning, ending};
pub use fingerprint::Fingerprint;
pub use invisible::is_invisible;
pub use named::NamedPeople;
pub use paths::PathPattern;
pub use patterns::RepoPatterns;
pub use text::{TextDigest, TextEdit};
pub use timeline::{Change, TimelineEvent};

/// A repository's full name, `owner/name`, as the forge spells it. Names that differ by case alone are the same.
#[derive(Clone, Debug)]
pub struct RepoName {
    owner: String,
    name: String,
}

/// The forge's own numbers of an issue and its repository, which outlive every name: a rename, a transfer, a change of
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForgeIds {
    /// Of the repository.
    pub repo: i64,
    /// Of the issue, on the whole forge; not the number people see.
    pub issue: i64,
}

impl ForgeIds {
    /// Both, unless one is the zero of what the forge could not read.
    pub fn new(repo: i64, issue: i64) -> Option<Self> {
        (repo > 0 && issue > 0).then_some(Self { repo, issue })
    }
}

/// What parts the name that a repository had from the count of those that had it, once another repository has it:
/// `acme/widgets@2`. No name on the forge holds one.
const FORMER: char = '@';

impl PartialEq for RepoName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RepoName {}

impl PartialOrd for RepoName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepoName {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |text: &str| text.to_ascii_lowercase();
        let by_owner = lower(&self.owner).cmp(&lower(&other.owner));
        by_owner.then_with(|| lower(&self.name).cmp(&lower(&other.name)))
    }
}

impl Hash for RepoName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_string().to_ascii_lowercase().hash(state);
    }
}

impl RepoName {
    /// Whether another repository has the name now. The forge knows it by its id only.
    pub fn is_former(&self) -> bool {
        self.name.contains(FORMER)
    }

    /// What the `n`th repository is called that lost this name to another one.
    pub fn former(&self, n: u32) -> Self {
        let Self { owner, name } = self.plain();
        Self { owner, name: format!("{name}{FORMER}{n}") }
    }

    /// The name that another repository has now, or the only one.
    pub fn plain(&self) -> Self {
        let name = self.name.split(FORMER).next().unwrap_or_default();
        Self { owner: self.owner.clone(), name: name.to_owned() }
    }

    /// The user or organisation the repository belongs to.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's own name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why a text is no repository or issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct ParseRefError {
    text: String,
    wanted: &'static str,
}

impl FromStr for RepoName {
    type Err = ParseRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || ParseRefError { text: text.to_owned(), wanted: "a repository; write `owner/name`" };
        let (owner, name) = text.split_once('/').ok_or_else(bad)?;
        let (plain, former) = name.split_once(FORMER).unwrap_or((name, "1"));
        let is_count = former.parse::<u32>().is_ok();
        if is_path_segment(owner) && is_path_segment(plain) && is_count {
            Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
        } else {
            Err(bad())
        }
    }
}

/// Gitea allows letters, digits, `-`, `_` and `.` in names (modules/structs/repo.go, `AlphaDashDot`);
/// anything else would let a payload choose another path of the API.
fn is_path_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= 255
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl Serialize for RepoName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepoName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An issue's index within its repository (the number people see, not the database id).
pub type IssueNumber = u64;

/// One issue of one repository, written `owner/name#12`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssueRef {
    /// The repository.
    pub repo: RepoName,
    /// The issue's index in it.
    pub number: IssueNumber,
}

impl FromStr for IssueRef {
    type Err = ParseRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || ParseRefError { text: text.to_owned(), wanted: "an issue; write `owner/name#12`" };
        let (repo, number) = text.rsplit_once('#').ok_or_else(bad)?;
        let number = number.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        Ok(Self { repo: repo.parse().map_err(|_| bad())?, number })
    }
}

impl fmt::Display for IssueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repo, self.number)
    }
}

impl<'de> Deserialize<'de> for IssueRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for IssueRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An account of the forge. Identity is the id: logins can be renamed and differ in case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The forge's number for it; negative for built-in accounts such as a deleted user's.
    pub id: i64,
    /// The name people write after `@`.
    pub login: String,
}

impl Account {
    /// Whether both are one account. An id of 0 means that only the login is known.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (0, _) | (_, 0) => self.login.eq_ignore_ascii_case(&other.login),
            (a, b) => a == b,
        }
    }
}

/// Whether an issue still asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueState {
    /// Work is still wanted.
    Open,
    /// Done, or given up.
    Closed,
}

named_enum! {
    /// What kind of issue it is, from its tags.
    IssueType {
        /// Something is broken.
        Bug = "bug",
        /// Something is to be found out.
        Research = "research",
        /// Something new is wanted.
        Feature = "feature",
        /// Something is to be restructured.
        Refactor = "refactor",
        /// Something is to be written down for readers.
        Docs = "docs",
        /// Upkeep: dependencies, builds, releases.
        Chore = "chore",
        /// Something is to be talked about.
        Philosophy = "philosophy",
        /// No tag says.
        Unknown = "unknown",
    }
}

/// An issue as the forge shows it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// The forge's own numbers; `None` for one that a person wrote into a file.
    pub ids: Option<ForgeIds>,
    /// Its index in the repository.
    pub number: IssueNumber,
    /// Title as typed, bracket tags included.
    pub title: String,
    /// Body as typed; empty when there is none.
    pub body: String,
    /// Label names, in the forge's order.
    pub labels: Vec<String>,
    /// Logins of the assignees, in the forge's order.
    pub assignees: Vec<String>,
    /// Who opened it, when the forge says.
    pub author: Option<Account>,
    /// Open or closed.
    pub state: IssueState,
    /// True for a pull request, which shares the numbers of issues.
    pub is_pull_request: bool,
    /// When it was opened; `None` when the forge's text could not be read as a time.
    pub created_at: Option<Timestamp>,
    /// When anything about it last changed.
    pub updated_at: Option<Timestamp>,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
    /// How many comments it has.
    pub comments: u64,
    /// Its page, as the forge links it; empty when the forge does not say.
    pub url: String,
}

/// What an issue carries that people and we put on and take off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Label names, in the forge's order.
    pub labels: Vec<String>,
    /// Logins of the assignees, in the forge's order.
    pub assignees: Vec<String>,
}

impl Issue {
    /// Whether `login` is among the assignees; logins do not differ by case alone.
    pub fn is_assigned_to(&self, login: &str) -> bool {
        self.assignees.iter().any(|a| a.eq_ignore_ascii_case(login))
    }

    /// What its title and body say, in a few bytes.
    pub fn text(&self) -> TextDigest {
        TextDigest::of(&self.title, &self.body)
    }

    /// Whether the issue carries the label, spelled exactly so.
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|l| l == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_alike() {
        let at: IssueRef = "acme/widgets#12".parse().unwrap();
        assert_eq!(at.to_string(), "acme/widgets#12");
        for bad in ["acme/widgets", "acme#1", "a/b#0", "a/b#x", "../x#1", "a/b/c#1", "a/..#1", ""] {
            assert!(bad.parse::<IssueRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_the_same_in_every_case_and_says_whether_another_has_it_now() {
        let [lower, upper] =
            ["acme/widgets", "Acme/Widgets"].map(|t| t.parse::<RepoName>().unwrap());
        assert_eq!(lower, upper);
        assert_eq!(std::collections::HashSet::from([lower.clone(), upper]).len(), 1);
        let former = lower.former(2).former(3);
        assert_eq!(former.to_string(), "acme/widgets@3");
        assert!(former.is_former() && !lower.is_former());
        assert_eq!("acme/widgets@3".parse(), Ok(former));
        for bad in ["acme/widgets@", "acme/widgets@x", "ac@1/widgets", "acme/@1"] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
    }
}

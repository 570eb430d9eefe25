//! What happened on an issue, as its timeline tells: the only place that says who put a label on or took it off, and
//! which pull requests are about it. And what there is to know about those.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::transport::{Request, issue_path, repo_path};
use super::wire::{RepoMeta, User, or_default, time};
use super::{Client, Error};
use crate::clock::Timestamp;
use crate::issue::{Account, IssueRef, RepoName};

/// More pages than these are no issue that people can follow either.
const MAX_PAGES: u32 = 40;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Who did it, when Gitea says.
    pub by: Option<Account>,
    /// When.
    pub at: Option<Timestamp>,
    /// What it was.
    pub what: What,
}

/// What can happen on an issue, as far as triage cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody commented.
    Commented,
    /// A label was put on, or taken off.
    Labelled {
        /// Its name.
        name: String,
        /// False when it was taken off.
        on: bool,
    },
    /// Somebody was assigned, or no longer is.
    Assigned {
        /// Whom it was about.
        login: String,
        /// False when they were taken off.
        on: bool,
    },
    /// A pull request, or a comment on one, speaks of the issue.
    Linked {
        /// The pull request.
        pull: IssueRef,
        /// Whether it is merged by now.
        is_merged: bool,
    },
    /// Anything else.
    Other,
}

/// A pull request, as far as a review cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Whether it is merged.
    pub is_merged: bool,
    /// The commit at its head.
    pub head: String,
}

impl Client {
    /// What happened on an issue, oldest first, from `since` on.
    pub async fn timeline(
        &self,
        at: &IssueRef,
        since: Option<Timestamp>,
    ) -> Result<Vec<Happening>, Error> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let mut request =
                Request::get(format_args!("{at} timeline"), issue_path(at, &["timeline"]))
                    .query("page", page)
                    .query("limit", self.inner.page_size);
            if let Some(since) = since {
                let text = since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                request = request.query("since", text);
            }
            // `null` when there is nothing.
            let answer = self.send(request).await?;
            let found: Vec<WireHappening> =
                answer.read(|found: Option<Vec<_>>| Ok::<_, String>(found.unwrap_or_default()))?;
            let received = found.len();
            all.extend(found.into_iter().map(|one| one.into_happening(at)));
            // Gitea leaves out what we may not see after it has cut the page, and counts only what is in the answer:
            // a page that is a little short need not be the last.
            if received * 2 < self.inner.page_size as usize {
                break;
            }
        }
        Ok(all)
    }

    /// A pull request as it is now; `None` when there is none of that number.
    pub async fn pull(&self, at: &IssueRef) -> Result<Option<Pull>, Error> {
        let path = repo_path(&at.repo, &["pulls", &at.number.to_string()]);
        let request = Request::get(format_args!("{at} pull"), path);
        match self.send(request).await {
            Err(Error::Status { status: 404, .. }) => Ok(None),
            answer => {
                let pull = answer?.json::<WirePull>()?;
                Ok(Some(Pull { is_merged: pull.merged, head: pull.head.sha }))
            }
        }
    }

    /// What the checks say of a commit, all together: `success`, `failure`, `pending`, …; empty when there are none.
    pub async fn commit_status(&self, repo: &RepoName, sha: &str) -> Result<String, Error> {
        let path = repo_path(repo, &["commits", sha, "status"]);
        let request = Request::get(format_args!("{repo} commit status"), path);
        let answer = self.send(request).await?;
        answer.json::<WireStatus>().map(|status| status.state)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireHappening {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    user: Option<User>,
    #[serde(deserialize_with = "or_default")]
    body: String,
    #[serde(deserialize_with = "or_default")]
    created_at: String,
    label: Option<Named>,
    assignee: Option<User>,
    #[serde(deserialize_with = "or_default")]
    removed_assignee: bool,
    ref_issue: Option<RefIssue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RefIssue {
    #[serde(deserialize_with = "or_default")]
    number: u64,
    pull_request: Option<Merged>,
    repository: Option<RepoMeta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Merged {
    #[serde(deserialize_with = "or_default")]
    merged: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePull {
    #[serde(deserialize_with = "or_default")]
    merged: bool,
    #[serde(deserialize_with = "or_default")]
    head: Head,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    #[serde(deserialize_with = "or_default")]
    sha: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireStatus {
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(rename = "statuses")]
    _each: Option<IgnoredAny>,
}

impl WireHappening {
    fn into_happening(self, on: &IssueRef) -> Happening {
        let at = time(&self.created_at);
        let what = match self.kind.as_str() {
            "comment" => What::Commented,
            // The body of a label's line is "1" when it was put on, and empty when it was taken off.
            "label" => self.label.map_or(What::Other, |label| What::Labelled {
                name: label.name,
                on: self.body == "1",
            }),
            "assignees" => self.assignee.map_or(What::Other, |user| What::Assigned {
                login: user.login,
                on: !self.removed_assignee,
            }),
            "pull_ref" | "comment_ref" | "issue_ref" => {
                self.ref_issue.and_then(|other| other.linked(on)).unwrap_or(What::Other)
            }
            _ => What::Other,
        };
        Happening { by: self.user.and_then(User::into_account), at, what }
    }
}

impl RefIssue {
    fn linked(self, on: &IssueRef) -> Option<What> {
        let is_merged = self.pull_request?.merged;
        let repo = match self.repository.filter(|repo| !repo.full_name.is_empty()) {
            Some(elsewhere) => elsewhere.full_name.parse().ok()?,
            None => on.repo.clone(),
        };
        Some(What::Linked { pull: IssueRef { repo, number: self.number }, is_merged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &serde_json::Value) -> What {
        let at: IssueRef = "acme/widgets#5".parse().unwrap();
        WireHappening::deserialize(value).unwrap().into_happening(&at).what
    }

    #[test]
    fn a_line_of_the_timeline_says_what_happened() {
        let on = json!({"type": "label", "body": "1", "label": {"name": "bug"}});
        assert_eq!(read(&on), What::Labelled { name: "bug".into(), on: true });
        let off = json!({"type": "label", "body": "", "label": {"name": "bug"}, "user": null});
        assert_eq!(read(&off), What::Labelled { name: "bug".into(), on: false });
        let gone = json!({"type": "label", "body": "", "label": null});
        assert_eq!(read(&gone), What::Other);
        let off =
            json!({"type": "assignees", "assignee": {"login": "bob"}, "removed_assignee": true});
        assert_eq!(read(&off), What::Assigned { login: "bob".into(), on: false });
    }

    #[test]
    fn only_pull_requests_are_linked() {
        let other =
            |pull| json!({"type": "pull_ref", "ref_issue": {"number": 7, "pull_request": pull}});
        let pull = "acme/widgets#7".parse().unwrap();
        let linked = read(&other(json!({"merged": true})));
        assert_eq!(linked, What::Linked { pull, is_merged: true });
        assert_eq!(read(&other(serde_json::Value::Null)), What::Other);
    }
}
